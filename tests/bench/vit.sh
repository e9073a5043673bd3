#!/usr/bin/env bash
# Counts the instructions of the image encoders that are transformers, at their real sizes with made-up weights, under qemu on one thread:
# of a layer as the difference of two counts of layers, and of all layers and what is around them.  Prints one Markdown table.
#     tests/bench/vit.sh                         gemma4v at 70 and at 280 soft tokens, SigLIP, at every level: half an hour
#     tests/bench/vit.sh "gemma4v 16 70"         what is given: encoder, layers, soft tokens; and the sides of a picture that is scaled
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/count.sh
build_counters
build_counted encode_vit
[ $# -gt 0 ] || set -- "gemma4v 16 70" "gemma4v 16 280" "siglip 27 256"

echo "| encoder | multiply-adds of the layers | memory of a run, bytes | CPU | instructions | for each multiply-add |"
echo "|---|---:|---:|---|---:|---:|"
for what in "$@"; do
    read -r encoder layers tokens sides <<<"$what"
    read -ra sides <<<"$sides"
    for cpu in ${CPUS:-cortex-a72 cortex-a76 max}; do
        one=$(count "$work/encode_vit" "$encoder" 1 "$tokens" 1 "${sides[@]}")
        two=$(count "$work/encode_vit" "$encoder" 2 "$tokens" 1 "${sides[@]}")
        products=$(figure layer) bytes=$(figure bytes)
        once=$(count "$work/encode_vit" "$encoder" 0 "$tokens" 1 "${sides[@]}")
        twice=$(count "$work/encode_vit" "$encoder" 0 "$tokens" 2 "${sides[@]}")
        awk -v encoder="$encoder, $tokens soft tokens${sides:+, ${sides[0]} x ${sides[1]}}" -v layers="$layers" -v around=$((twice - once)) -v one="$one" -v two="$two" \
            -v products="$products" -v bytes="$bytes" -v cpu="$cpu" 'BEGIN {
                all = (two - one) * layers + around
                printf "| %s | %.1f G | %d | %s | %.2f G | %.4f |\n", encoder, products * layers / 1e9, bytes, cpu, all / 1e9,
                       all / (products * layers) }'
    done
done
