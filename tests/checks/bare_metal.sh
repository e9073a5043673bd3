#!/usr/bin/env bash
# The library and the ports for boards compile where no header of an operating system, and hardly one of a C library, can be included.
set -euo pipefail
cmake --preset bare-metal >/dev/null
cmake --build --preset bare-metal >build/bare-metal/build.log || { cat build/bare-metal/build.log; exit 1; }
for library in gemlet gemlet-semihosting gemlet-template; do
    [ -s build/bare-metal/lib$library.a ] || { echo "lib$library.a was not built"; exit 1; }
done
tests/checks/symbols.sh build/bare-metal/libgemlet.a aarch64-linux-gnu-nm aarch64-linux-gnu-objdump

# That the headers are out of reach is itself checked: with the build's own flags.
read -ra compiler <<<"$(sed -n 's/^set(CMAKE_C_COMPILER "\(.*\)")$/\1/p' build/bare-metal/CMakeFiles/*/CMakeCCompiler.cmake) $(cmake -LA -N build/bare-metal | sed -n 's/^CMAKE_C_FLAGS:STRING=//p')"
can_include() {
    echo "#include <$1>" | "${compiler[@]}" -std=c11 -x c -fsyntax-only - 2>/dev/null
}
for header in string.h math.h stdint.h arm_neon.h; do
    can_include $header || { echo "<$header> cannot be included"; exit 1; }
done
for header in stdio.h stdlib.h unistd.h fcntl.h pthread.h time.h errno.h sys/types.h sys/mman.h sys/stat.h; do
    if can_include $header; then
        echo "<$header> can be included"
        exit 1
    fi
done
