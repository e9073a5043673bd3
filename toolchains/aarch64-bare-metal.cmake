# 64-bit ARM without an operating system.  The compiler is the one for Linux, kept from every header of its C library: what can be
# included is what C11 promises without one, and the few declarations in bare-metal/include, which a board must provide.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=include OUTPUT_VARIABLE compiler_include OUTPUT_STRIP_TRAILING_WHITESPACE)
set(CMAKE_ASM_COMPILER ${CMAKE_C_COMPILER})
# No tables to unwind a stack by; every function in a section of its own, so that an image holds only those that are called.
set(sparing "-fno-pie -fno-asynchronous-unwind-tables -fno-unwind-tables -ffunction-sections -fdata-sections")
set(CMAKE_C_FLAGS_INIT "${sparing} -ffreestanding -nostdinc -isystem ${compiler_include} -isystem ${CMAKE_CURRENT_LIST_DIR}/bare-metal/include")
