#!/usr/bin/env bash
# Counts the instructions of the sound encoders at their real sizes under qemu, front end included, on one thread of a Cortex-A76 (CPU says
# another): of the second second of a clip, and what is left to do when its last sample has been fed in pieces of 20 ms.
#     tests/bench/sound.sh [usm|gemma4a ...]
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/count.sh
build_counters
build_counted encode_sound

echo "| encoder | multiply-adds a second | instructions a second | each | state + work, bytes | left of 10 s |"
echo "|---|---:|---:|---:|---:|---:|"
[ $# -gt 0 ] || set -- usm gemma4a
for encoder in "$@"; do
    few=$(count "$work/encode_sound" "$encoder" 1 32000)
    few_products=$(figure multiply-adds)
    many=$(count "$work/encode_sound" "$encoder" 2.28 36480)
    many_products=$(figure multiply-adds)
    bytes=$(($(figure state) + $(figure work)))
    "${emulator[@]}" -cpu "$cpu" "$work/encode_sound" "$encoder" 10 >"$work/out.log"
    awk -v encoder="$encoder" -v a="$few" -v b="$many" -v c="$few_products" -v d="$many_products" -v bytes="$bytes" -v left="$(figure left)" \
        -v all="$(figure multiply-adds)" 'BEGIN {
            printf "| %s | %.0f M | %.0f M | %.4f | %d | %.0f M, %.2f %% |\n", encoder, (d - c) / 1.28 / 1e6, (b - a) / 1.28 / 1e6,
                   (b - a) / (d - c), bytes, left / 1e6, 100 * left / all }'
done
