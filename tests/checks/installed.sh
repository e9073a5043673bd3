#!/usr/bin/env bash
# usage: installed.sh BUILD_DIRECTORY CC CXX TOOLCHAIN_FILE|none CPU=LEVEL...
# Installs the build and makes examples/embed from the installed tree alone: from C and C++ through pkg-config, and through the CMake
# package.  Each program runs on each CPU (of the emulator in $EMULATOR, or "native") and must name that level.
set -euo pipefail
build=$1 cc=$2 cxx=$3 toolchain=$4
shift 4
source=$PWD
work=$build/installed
rm -rf "$work"
cmake --install "$build" --prefix "$work/prefix" >/dev/null
cp -r examples/embed "$work/embed" # out of the source tree, so that nothing of it can be found by accident
cd "$work/embed"

PKG_CONFIG_LIBDIR=$(dirname "$(find "$work/prefix" -name gemlet.pc)")
export PKG_CONFIG_LIBDIR
warnings='-Wall -Wextra -Wpedantic -Werror'
read -ra flags <<<"$(pkg-config --cflags gemlet-posix)"
read -ra libraries <<<"$(pkg-config --libs gemlet-posix)"
if printf '%s\n' "${flags[@]}" "${libraries[@]}" | grep -F "$source" | grep -vF "$work"; then
    echo "pkg-config names the source tree"
    exit 1
fi
# shellcheck disable=SC2086
$cc -std=c11 $warnings "${flags[@]}" embed.c -o embed-c "${libraries[@]}"
# shellcheck disable=SC2086
$cxx -x c++ -std=c++17 $warnings "${flags[@]}" embed.c -x none -o embed-c++ "${libraries[@]}"
options=(-DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER="$cc")
[ "$toolchain" = none ] || options+=(-DCMAKE_TOOLCHAIN_FILE="$toolchain")
cmake -S . -B cmake -G Ninja "${options[@]}" >/dev/null
cmake --build cmake >/dev/null

for program in ./embed-c ./embed-c++ ./cmake/embed; do
    for expected in "$@"; do
        cpu=${expected%=*} level=${expected#*=}
        run=("$program")
        if [ "$cpu" != native ]; then
            read -ra run <<<"$EMULATOR -cpu $cpu $program"
        fi
        output=$("${run[@]}")
        if ! grep -q "^level: $level\$" <<<"$output" || ! grep -q '^  kept  *weights ' <<<"$output"; then
            printf '%s on %s: expected level %s and a report, found:\n%s\n' "$program" "$cpu" "$level" "$output"
            exit 1
        fi
    done
done
