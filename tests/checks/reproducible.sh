#!/usr/bin/env bash
# usage: reproducible.sh BUILD_DIRECTORY TOOLCHAIN_FILE
# The same sources, copied to a folder of another name and built there again without a compiler cache, give the bytes of the build's
# libgemlet.a.
set -euo pipefail
build=$1 toolchain=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/elsewhere"
cp -r CMakeLists.txt cmake core include model port toolchains "$work/elsewhere"
cd "$work/elsewhere"
export CCACHE_DISABLE=1
unset CMAKE_C_COMPILER_LAUNCHER
cmake -S . -B out -G Ninja -DCMAKE_TOOLCHAIN_FILE="$toolchain" -DGEMLET_PROGRAMS=OFF -DGEMLET_TESTS=OFF >/dev/null
cmake --build out --target gemlet >build.log || { cat build.log; exit 1; }
cd - >/dev/null
first=$(sha256sum <"$build/libgemlet.a") second=$(sha256sum <"$work/elsewhere/out/libgemlet.a")
echo "libgemlet.a: $first"
if [ "$first" != "$second" ]; then
    echo "built in another folder: $second"
    mkdir "$work/first" "$work/second"
    (cd "$work/first" && ar x "$OLDPWD/$build/libgemlet.a")
    (cd "$work/second" && ar x ../elsewhere/out/libgemlet.a)
    diff -rq "$work/first" "$work/second" || true
    exit 1
fi
