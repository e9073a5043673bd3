#!/usr/bin/env bash
# usage: installed.sh BUILD_DIRECTORY CC CXX TOOLCHAIN_FILE|none CPU=LEVEL...
# Installs the build and makes examples/embed from the installed tree alone: from C and C++ through pkg-config, and through the CMake
# package.  Each program runs on a CPU (of the emulator in $EMULATOR, or "native"), must name its level and answer a question about a
# picture with what the installed `gemlet run` says, in the memory that was planned.  Where there is a toolchain file, that is done, too,
# with gemlet as a part of another project (add_subdirectory, FetchContent), and installed into folders of the user's own; not where
# AS_BUILT=1, for which that would be the same again.
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

# on CPU PROGRAM ARGUMENT...
on() {
    local cpu=$1 run=()
    shift
    [ "$cpu" = native ] || read -ra run <<<"$EMULATOR -cpu $cpu"
    "${run[@]}" "$@"
}

# All that is installed as headers is for users: each compiles alone, and includes none but its sisters and C's.
headers=("$work"/prefix/include/gemlet/*.h)
[ "$(find "$work/prefix" -name '*.h' | wc -l)" = ${#headers[@]} ] || { echo "headers are installed beside include/gemlet"; exit 1; }
for header in "${headers[@]}"; do
    name=gemlet/$(basename "$header")
    # shellcheck disable=SC2086
    echo "#include <$name>" | $cc -std=c11 $warnings -Wconversion "${flags[@]}" -fsyntax-only -x c -
    # shellcheck disable=SC2086
    echo "#include <$name>" | $cxx -std=c++17 $warnings -Wconversion "${flags[@]}" -fsyntax-only -x c++ -
    if grep -nE '#include' "$header" | grep -vE '<(gemlet/[a-z0-9]+|std(bool|def|int|io))\.h>'; then
        echo "$name: includes what is no public header"
        exit 1
    fi
done

bin=$(dirname "$(find "$work/prefix" -path "*/bin/gemlet-pack")")
data=$source/tests/data/tiny
on "${1%=*}" "$bin/gemlet-pack" --text "$data/text-q4_0.gguf" --mmproj "$data/mm-f16.gguf" -o tiny.gguf --quiet >/dev/null
awk 'BEGIN { printf "P6 8 6 255\n"; for (k = 0; k < 144; k++) printf "%c", 1 + k * 38 % 126 }' >picture.ppm
question='what is this?'
on "${1%=*}" "$bin/gemlet" run -m tiny.gguf --ctx 512 -n 64 --image picture.ppm -p "$question" >expected

# check PROGRAM CPU=LEVEL
check() {
    on "${2%=*}" "$1" tiny.gguf picture.ppm "$question" >output
    if ! sed -n 1p output | grep -qx "level: ${2#*=}" || ! sed -n 2p output | grep -qx 'arena: [0-9]* bytes, as planned: yes' ||
        ! { printf 'answer: '; cat expected; } | cmp -s - <(tail -n +3 output); then
        printf '%s on %s: expected level %s, a planned arena and this answer:\n%s\nfound:\n%s\n' "$1" "${2%=*}" "${2#*=}" \
            "$(cat expected)" "$(cat output)"
        exit 1
    fi
}

for expected in "$@"; do
    check ./embed-c "$expected"
done
check ./embed-c++ "$1"
check ./cmake/embed "$1"
[ "$toolchain" != none ] && [ "${AS_BUILT:-0}" = 0 ] || exit 0

# --- A part of another project, whose flags and install rules are its own; a user's -mcpu with our -Werror ---------------------------
for how in add_subdirectory FetchContent; do
    cmake -S "$source/tests/consumer" -B $how -G Ninja -DHOW=$how -DGEMLET_SOURCE="$source" -DGEMLET_WERROR=ON -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_C_FLAGS="-mcpu=cortex-a72" -DCMAKE_C_FLAGS_RELEASE="-O2 -g1" -DCMAKE_TOOLCHAIN_FILE="$toolchain" >/dev/null
    cmake --build $how >/dev/null
    cmake --install $how --prefix "$work/$how-prefix" >/dev/null
    installed=$(cd "$work/$how-prefix" && find . -type f)
    [ "$installed" = ./bin/embed ] || { echo "$how: the parent project installs $installed, expected bin/embed alone"; exit 1; }
    check ./$how/embed "$1"
done

# --- Folders of the user's own -------------------------------------------------------------------------------------------------------
own=$(mktemp -d) # CMake refuses headers that are installed below the source tree
trap 'rm -rf "$own"' EXIT
folders=(-DCMAKE_INSTALL_LIBDIR="$own/libraries" -DCMAKE_INSTALL_INCLUDEDIR="$own/headers")
cmake -S "$source" -B own-build -G Ninja -DGEMLET_PROGRAMS=OFF -DGEMLET_TESTS=OFF "${folders[@]}" \
    -DCMAKE_TOOLCHAIN_FILE="$toolchain" -DCMAKE_INSTALL_PREFIX="$work/own-prefix" >/dev/null
cmake --build own-build >/dev/null
cmake --install own-build >/dev/null
export PKG_CONFIG_LIBDIR=$own/libraries/pkgconfig
read -ra flags <<<"$(pkg-config --cflags gemlet-posix)"
read -ra libraries <<<"$(pkg-config --libs gemlet-posix)"
# shellcheck disable=SC2086
$cc -std=c11 $warnings "${flags[@]}" embed.c -o embed-own "${libraries[@]}"
check ./embed-own "$1"
cmake -S . -B own-cmake -G Ninja -DCMAKE_PREFIX_PATH="$own/libraries" -Dgemlet_DIR="$own/libraries/cmake/gemlet" \
    -DCMAKE_TOOLCHAIN_FILE="$toolchain" >/dev/null
cmake --build own-cmake >/dev/null
check ./own-cmake/embed "$1"
