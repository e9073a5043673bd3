#!/usr/bin/env bash
# Sourced by the scripts that count a model's instructions under qemu: builds what is counted, and counts.  The caller stands in the
# source tree.
. toolchains/emulator.sh
build=${BUILD:-build/aarch64}
work=build/count
peers=build/peers
llama=${LLAMA:-$peers/llama.cpp}
cpu=${CPU:-cortex-a76}
PYTHON=${PYTHON:-python3}

# build_counted NAME : tests/bench/NAME.c, with the library
build_counted() {
    local cross=aarch64-linux-gnu-gcc
    [ "$(uname -m)" != aarch64 ] || cross=gcc
    "$cross" -std=c11 -O2 -I. -Iinclude "tests/bench/$1.c" "$build/libgemlet-posix.a" "$build/libgemlet.a" -lm -pthread -o "$work/$1"
}

build_counters() {
    mkdir -p "$work"
    [ -f "$build/build.ninja" ] || cmake --preset aarch64 >/dev/null
    cmake --build "$build" --target gemlet-posix gemlet >/dev/null
    if [ ! -x build/host/gemlet-pack ]; then
        cmake --preset host >/dev/null
        cmake --build build/host --target gemlet-pack >/dev/null
    fi
    gcc -O2 -shared -fPIC -o "$work/count.so" tests/bench/count_instructions.c
    build_counted count_model
}

# count_figures PROGRAM ARGUMENT... : the plugin's lines, "insns N" and, where there are marks, the others
count_figures() {
    "${emulator[@]}" -plugin "$work/count.so" -cpu "$cpu" "$@" 2>&1 >"$work/out.log" |
        grep -E '^(insns|regions|serial|tasks|longest) [0-9]+$'
}

# count PROGRAM ARGUMENT... : instructions
count() {
    count_figures "$@" | awk '$1 == "insns" { print $2 }'
}

# figure NAME : what the last run printed behind it
figure() {
    awk -v name="$1" '$1 == name { print $2 }' "$work/out.log"
}

# per_unit FEW MANY INSTRUCTIONS-OF-FEW INSTRUCTIONS-OF-MANY : millions
per_unit() {
    awk -v n="$1" -v m="$2" -v a="$3" -v b="$4" 'BEGIN { printf "%.3f", (b - a) / (m - n) / 1e6 }'
}

# ratio OURS THEIRS
ratio() {
    [ -z "$2" ] || awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'
}
