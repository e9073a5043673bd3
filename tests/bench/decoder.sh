#!/usr/bin/env bash
# Counts the instructions of the text decoder on the tiny model under qemu (Cortex-A76, one thread): a decoded token and a token of a
# prompt of 128, each as the difference of two lengths, so that loading cancels.  Where LLAMA_BENCH is the path of an aarch64 build of
# llama.cpp's llama-bench, the same of llama.cpp and the ratio, which is to be at most 0.6 (decode) and 0.4 (prefill).
#     tests/bench/decoder.sh
#     LLAMA_BENCH=/path/to/llama-bench tests/bench/decoder.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
source_model=tests/data/tiny/text-q4_0.gguf
build=${BUILD:-build/aarch64}
work=build/decoder
mkdir -p "$work"
if [ -z "${BUILD:-}" ]; then
    [ -f "$build/build.ninja" ] || cmake --preset aarch64 >/dev/null
    cmake --build "$build" --target gemlet-posix gemlet >/dev/null
fi
[ -x build/host/gemlet-pack ] || { cmake --preset host >/dev/null && cmake --build build/host --target gemlet-pack >/dev/null; }
build/host/gemlet-pack --text "$source_model" --mmproj tests/data/tiny/mm-f16.gguf -o "$work/tiny.gguf" --quiet
gcc -O2 -shared -fPIC -o "$work/count.so" tests/bench/count_instructions.c
cross=aarch64-linux-gnu-gcc
[ "$(uname -m)" != aarch64 ] || cross=gcc
"$cross" -std=c11 -O2 -I. tests/bench/count_decoder.c "$build/libgemlet-posix.a" "$build/libgemlet.a" -lm -pthread -o "$work/count_decoder"

count() { # count PROGRAM ARGUMENT...
    qemu-aarch64 -L /usr/aarch64-linux-gnu -plugin "$work/count.so" -cpu cortex-a76 "$@" 2>&1 >/dev/null | awk '$1 == "insns" { print $2 }'
}

per_token() { # per_token SHORT LONG INSTRUCTIONS-OF-SHORT INSTRUCTIONS-OF-LONG
    awk -v n="$1" -v m="$2" -v a="$3" -v b="$4" 'BEGIN { printf "%.3f", (b - a) / (m - n) / 1e6 }'
}

gemlet_figure() { # prefill|decode SHORT LONG
    per_token "$2" "$3" "$(count "$work/count_decoder" "$work/tiny.gguf" "$1" "$2")" "$(count "$work/count_decoder" "$work/tiny.gguf" "$1" "$3")"
}

llama_figure() { # -p|-n SHORT LONG; llama-bench's other kind of test is turned off
    local off=-n
    [ "$1" = -p ] || off=-p
    local run=("$LLAMA_BENCH" -m "$source_model" -t 1 -r 1 --no-warmup "$off" 0 "$1")
    per_token "$2" "$3" "$(count "${run[@]}" "$2")" "$(count "${run[@]}" "$3")"
}

row() { # NAME TARGET GEMLET LLAMA
    awk -v name="$1" -v target="$2" -v ours="$3" -v theirs="$4" \
        'BEGIN { ratio = theirs == "" ? "" : sprintf("%.2f", ours / theirs); print "| " name " | " ours " | " theirs " | " ratio " | " target " |" }'
}

echo "| million instructions a token | gemlet | llama.cpp | ratio | at most |"
echo "|---|---:|---:|---:|---:|"
llama=
[ -z "${LLAMA_BENCH:-}" ] || llama=$(llama_figure -n 8 24)
row "decode" 0.6 "$(gemlet_figure decode 8 24)" "$llama"
[ -z "${LLAMA_BENCH:-}" ] || llama=$(llama_figure -p 128 256)
row "prompt of 128" 0.4 "$(gemlet_figure prefill 128 256)" "$llama"
