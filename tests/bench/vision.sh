#!/usr/bin/env bash
# Counts the instructions of one image through the image encoder under qemu (one thread), at every level, by kind of operation, as
# instructions per multiply-add of the whole encoder.  Prints one Markdown table; fails where a level exceeds its budget at 768 pixels.
#     tests/bench/vision.sh                                       the 300M encoder with random weights at 768 pixels: needs torch
#                                                                 (tests/golden/reference.sh), and half an hour on a free core
#     MODEL=packed.gguf SIDE=256 tests/bench/vision.sh dotprod    another model or square; these levels
# At 768 pixels attention weighs more than in a smaller square.
set -euo pipefail
cd "$(dirname "$0")/../.."
. toolchains/emulator.sh
side=${SIDE:-768}
declare -A cpu_of=([neon]=cortex-a72 [dotprod]=cortex-a76 [i8mm]=max) budget_of=([neon]=0.32 [dotprod]=0.13 [i8mm]=0.09)
[ $# -gt 0 ] || set -- neon dotprod i8mm
for level in "$@"; do
    [ -n "${cpu_of[$level]:-}" ] || { echo "vision.sh: $level is not one of ${!cpu_of[*]}" >&2; exit 2; }
done
build=${BUILD:-build/aarch64}
work=build/vision
mkdir -p "$work"
if [ -z "${BUILD:-}" ]; then
    [ -f "$build/build.ninja" ] || cmake --preset aarch64 >/dev/null
    cmake --build "$build" --target gemlet-posix gemlet >/dev/null
fi
if [ -z "${MODEL:-}" ]; then
    . tests/golden/reference.sh
    make_model 300M-768-pixels --image-size 768 --seed 1 --full-vision
    make_picture 300M-768-pixels
    MODEL=$out/300M-768-pixels/packed.gguf
fi
gcc -O2 -shared -fPIC -o "$work/count.so" tests/bench/count_instructions.c
prefix=aarch64-linux-gnu-
[ "$(uname -m)" != aarch64 ] || prefix=
# Static: so that blocks have the addresses that the file's symbols have.
"${prefix}gcc" -std=c11 -O2 -I. -Iinclude -static tests/bench/encode_image.c "$build/libgemlet-posix.a" "$build/libgemlet.a" -lm -pthread -o "$work/encode_image"

# Functions by address: "ADDRESS function FILE:NAME", FILE being that of the static ones.
"${prefix}readelf" -sW "$work/encode_image" | awk '
    $4 == "FILE" { file = $8 }
    $4 == "FUNC" && $7 != "UND" { print $2, "function", ($5 == "LOCAL" ? file : "") ":" $8 }' >"$work/functions.txt"

# kinds BLOCKS : lines "kind<TAB>instructions"
kinds() {
    { cat "$work/functions.txt"; awk '$1 == "block" { print $2, "in", $3 }' "$1"; } | LC_ALL=C sort -k1,1 -k2,2 | awk '
        function kind_of(name) {
            if (name ~ /^conv\.c:multiply/) return "convolutions, products of attention"
            if (name ~ /^conv\.c:/) return "quantising"
            if (name ~ /depthwise/) return "depthwise convolutions"
            if (name ~ /^real\.c:(rms_norm|sum_of_squares|mean_square|gelu)/) return "norms and GELU"
            if (name ~ /^real\.c:(softmax|exponentials|largest_of)/) return "softmax"
            if (name ~ /bfloat16|^real\.c:(add_scaled|multiply|scale)/) return "pictures in bfloat16, sums"
            if (name ~ /gemlet_real_mix/) return "stem"
            if (name ~ /mem(cpy|set|move)/) return "copying"
            return "all else, opening the model too"
        }
        $2 == "function" { kind = kind_of($3) }
        $2 == "in" { count[kind] += $3 }
        END { for (kind in count) printf "%s\t%.0f\n", kind, count[kind] }'
}

for level in "$@"; do
    "${emulator[@]}" -plugin "$work/count.so,blocks=on" -cpu "${cpu_of[$level]}" "$work/encode_image" "$MODEL" "$side" >"$work/$level.txt" 2>"$work/$level.blocks"
    kinds "$work/$level.blocks" >"$work/$level.kinds"
done

multiply_adds=$(awk '$1 == "multiply-adds" { print $2 }' "$work/$1.txt")
per() { # per INSTRUCTIONS
    awk -v n="$1" -v macs="$multiply_adds" 'BEGIN { printf " %.4f |", n / macs }'
}
echo "$side pixels, $(awk -v m="$multiply_adds" 'BEGIN { printf "%.1f", m / 1e9 }') G multiply-adds, $(awk '$1 == "scratch" { print $2 }' "$work/$1.txt") bytes of scratch"
echo
printf '| instructions per multiply-add |'; printf ' %s |' "$@"; echo
printf '|---|'; printf -- '---:|%.0s' "$@"; echo
cut -f1 "$work/$1.kinds" | sort | while read -r kind; do
    printf '| %s |' "$kind"
    for level in "$@"; do per "$(awk -F'\t' -v k="$kind" '$1 == k { print $2 }' "$work/$level.kinds")"; done
    echo
done
failed=0
printf '| **all** |'
for level in "$@"; do
    total=$(awk '$1 == "insns" { print $2 }' "$work/$level.blocks")
    per "$total"
    awk -v n="$total" -v m="$multiply_adds" -v b="${budget_of[$level]}" -v s="$side" 'BEGIN { exit s == 768 && n / m > b }' || failed=1
done
printf '\n| at most |'
for level in "$@"; do printf ' %s |' "${budget_of[$level]}"; done
echo
exit $failed
