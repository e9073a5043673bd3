# Linux on 64-bit ARM.  Debian and Ubuntu: gcc-aarch64-linux-gnu, qemu-user, and libcmocka-dev:arm64 for the tests.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
# Foreign packages bring their own C library, and with it the loader; the cross compiler's copy may be of another version, and the
# two must not meet in one process (threads then hang).  Its loader is for a machine that has no foreign packages.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
if(NOT EXISTS /lib/ld-linux-aarch64.so.1)
    list(APPEND CMAKE_CROSSCOMPILING_EMULATOR -L /usr/aarch64-linux-gnu)
endif()
