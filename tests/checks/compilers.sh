#!/usr/bin/env bash
# usage: compilers.sh BUILD_DIRECTORY TOOLCHAIN_FILE|none
# Builds library, ports and program with other compilers than the presets', warnings being errors, and runs the kernels' tests and the demo
# with what they make: clang 14 and 19 for ARM (the native build under sanitizers is clang 14's), clang 19 and musl's gcc for this machine.
set -euo pipefail
build=$(realpath "$1")/compilers toolchain=$2
mkdir -p "$build"
rm -rf "${build:?}"/*
read -ra emulator <<<"$EMULATOR"
common=(-G Ninja -DCMAKE_BUILD_TYPE=Release -DGEMLET_WERROR=ON)
targets=(gemlet-program kernels-matrix kernels-row_scaled kernels-conv kernels-real)

try() { # NAME CONFIGURE...
    local name=$1 run=()
    cmake -S . -B "$build/$name" "${common[@]}" "${@:2}" >"$build/$name.log" 2>&1 || { tail -n 20 "$build/$name.log"; return 1; }
    local made=("${targets[@]}")
    [[ " $* " != *" -DGEMLET_TESTS=OFF "* ]] || made=(gemlet-program)
    cmake --build "$build/$name" -j2 --target "${made[@]}" >"$build/$name.log" 2>&1 || { grep -E 'error|FAILED' "$build/$name.log" | head -n 20; return 1; }
    [[ " $* " != *CMAKE_C_COMPILER_TARGET* ]] || run=("${emulator[@]}" -cpu max)
    for test in "${made[@]:1}"; do
        "${run[@]}" "$build/$name/tests/$test" >"$build/$name.log" 2>&1 || { grep -E 'ERROR|FAILED' "$build/$name.log" | head; return 1; }
    done
    local answer
    answer=$("${run[@]}" "$build/$name/gemlet" run -m examples/demo/demo.gguf --image "$picture" -p "Where is the star?" --temp 0)
    echo "$name: $answer"
    [ "$answer" = "The star is at the bottom right." ]
}

picture=$build/one.ppm # that a program without libraries can show
djpeg -outfile "$picture" examples/demo/one.jpg
failed=0
if [ "$toolchain" != none ]; then
    for version in 14 19; do
        try "clang-$version-arm" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 "-DCMAKE_C_COMPILER=clang-$version" \
            -DCMAKE_C_COMPILER_TARGET=aarch64-linux-gnu "-DCMAKE_CROSSCOMPILING_EMULATOR=${EMULATOR// /;}" || failed=1
    done
else
    try clang-19 -DCMAKE_C_COMPILER=clang-19 || failed=1
    mkdir "$build/include"
    ln -s /usr/include/simde /usr/include/linux /usr/include/asm-generic "$build/include/" # the others there are another C library's
    ln -s "/usr/include/$(gcc -print-multiarch)/asm" "$build/include/asm"
    try musl -DCMAKE_C_COMPILER=musl-gcc -DCMAKE_EXE_LINKER_FLAGS=-static -DGEMLET_TESTS=OFF "-DSIMDE_INCLUDE_DIR=$build/include" \
        "-DCMAKE_C_FLAGS=-isystem $build/include" \
        -DCMAKE_DISABLE_FIND_PACKAGE_JPEG=ON -DCMAKE_DISABLE_FIND_PACKAGE_PNG=ON -DCMAKE_DISABLE_FIND_PACKAGE_WEBP=ON -DCMAKE_DISABLE_FIND_PACKAGE_SNDFILE=ON -DCMAKE_DISABLE_FIND_PACKAGE_SAMPLERATE=ON -DCJSON_LIBRARY=OFF || failed=1
fi
exit $failed
