#!/usr/bin/env bash
# usage: level_max.sh LEVEL TOOLCHAIN_FILE CC CXX CPU=LEVEL...
# A build that is limited to LEVEL contains no instruction beyond it, and runs on newer CPUs at that level.
set -euo pipefail
level=$1 toolchain=$2 cc=$3 cxx=$4
shift 4
build=$PWD/build/level-$level
cmake -S . -B "$build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$toolchain" -DGEMLET_LEVEL_MAX="$level" -DGEMLET_TESTS=OFF -DGEMLET_WERROR=ON >/dev/null
cmake --build "$build" >"$build/build.log" || { cat "$build/build.log"; exit 1; }

case $level in
neon) beyond='[su]dot|[su]mmla|usmmla' ;;
dotprod) beyond='[su]mmla|usmmla' ;;
*) echo "unknown level $level"; exit 1 ;;
esac
found=$(aarch64-linux-gnu-objdump -d --no-show-raw-insn "$build/libgemlet.a" | grep -cE "[[:space:]]($beyond)[[:space:]]" || true)
if [ "$found" != 0 ]; then
    echo "limited to $level, yet $found instructions are beyond it"
    exit 1
fi
AS_BUILT=1 exec tests/checks/installed.sh "$build" "$cc" "$cxx" "$toolchain" "$@"
