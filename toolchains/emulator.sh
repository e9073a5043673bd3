# Sourced: `emulator` is the command that runs a program for Linux on 64-bit ARM.  Of the two C libraries that a machine may have for it
# only one may be in a process, see aarch64-linux-gnu.cmake.
emulator=(qemu-aarch64)
[ -e /lib/ld-linux-aarch64.so.1 ] || emulator+=(-L /usr/aarch64-linux-gnu)
