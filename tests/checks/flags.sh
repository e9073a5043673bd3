#!/usr/bin/env bash
# usage: flags.sh TOOLCHAIN_FILE
# What a user says is heard: flags of a configuration, a CPU, Debug, libraries to do without; a 32-bit userland is refused while
# configuring.
set -euo pipefail
toolchain=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
complain() {
    echo "$1"
    failed=1
}
configure() { # NAME OPTION...
    local name=$1
    shift
    cmake -S . -B "$work/$name" -G Ninja -DGEMLET_PROGRAMS=OFF -DGEMLET_TESTS=OFF "$@" >"$work/$name.log" 2>&1
}
build() {
    cmake --build "$work/$1" --target gemlet >>"$work/$1.log" 2>&1 || { tail -n 20 "$work/$1.log"; complain "$1 does not build"; }
}

configure release -DCMAKE_TOOLCHAIN_FILE="$toolchain" -DGEMLET_WERROR=ON -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS="-mcpu=cortex-a76" \
    -DCMAKE_C_FLAGS_RELEASE="-O1 -g0" -DCMAKE_POSITION_INDEPENDENT_CODE=ON
grep -q -- '-O3' "$work/release/compile_commands.json" && complain "the user's CMAKE_C_FLAGS_RELEASE is not all that says how to optimise"
grep -c '"command"' "$work/release/compile_commands.json" >"$work/all"
for flag in '-O1 -g0' -fPIC; do
    grep -c -- "\"command\".*$flag" "$work/release/compile_commands.json" | cmp -s - "$work/all" || complain "$flag does not reach every file"
done
build release

configure debug -DCMAKE_TOOLCHAIN_FILE="$toolchain" -DGEMLET_WERROR=ON -DCMAKE_BUILD_TYPE=Debug
build debug

if configure narrow -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_C_COMPILER=clang \
    -DCMAKE_C_COMPILER_TARGET=arm-linux-gnueabihf -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY; then
    complain "a 32-bit userland under a 64-bit kernel is not refused"
fi
grep -q 'gemlet is for 64-bit systems' "$work/narrow.log" || complain "a 32-bit userland: $(tail -n 5 "$work/narrow.log")"

# A library that is left out of a folder that was configured with it is left out; what can't be linked is refused; no empty package.
parts=(parts -DCMAKE_TOOLCHAIN_FILE="$toolchain" -DGEMLET_PROGRAMS=ON)
configure "${parts[@]}"
for library in WEBP:WEBP SNDFILE:SNDFILE SAMPLERATE:SAMPLERATE MICROHTTPD:SERVE; do
    grep -q "GEMLET_HAVE_${library#*:}" "$work/parts/compile_commands.json" || complain "the program does without ${library%:*}"
    parts+=("-DCMAKE_DISABLE_FIND_PACKAGE_${library%:*}=ON")
done
grep -q packer "$work/parts/CPackConfig.cmake" || complain "there is no package of gemlet-pack"
configure "${parts[@]}" -DCMAKE_DISABLE_FIND_PACKAGE_CJSON=ON
grep -qE 'GEMLET_HAVE_(WEBP|SNDFILE|SAMPLERATE|SERVE)' "$work/parts/compile_commands.json" && complain "libraries that are left out are used"
grep -q packer "$work/parts/CPackConfig.cmake" && complain "gemlet-pack is packed where it is not built"
for without in -DGEMLET_PROGRAMS=OFF -DCMAKE_DISABLE_FIND_PACKAGE_CJSON=ON; do
    if configure untested -DCMAKE_TOOLCHAIN_FILE="$toolchain" -DGEMLET_PROGRAMS=ON -DGEMLET_TESTS=ON $without; then
        complain "tests are configured that can't be linked: $without"
    fi
    grep -q 'The tests need the programs' "$work/untested.log" || complain "tests $without: $(tail -n 5 "$work/untested.log")"
done
exit $failed
