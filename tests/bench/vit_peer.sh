#!/usr/bin/env bash
# Counts the instructions of encoding a picture of 480 x 336 pixels (70 soft tokens; neither program scales it) with gemma4v's encoder at its
# real size with random weights under qemu (one thread, a Cortex-A76 unless CPU says another), and the same of llama.cpp with the same
# weights: of a layer as the difference of two counts of layers, and of all layers and what is around them.  Prints a Markdown table, and how
# well both programs' soft tokens agree.  Needs what tests/bench/peers.sh --tools builds; PYTHON needs numpy and gguf.
#     tests/bench/vit_peer.sh            some 20 minutes: arithmetic in float16 is slow under qemu
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/count.sh
. tests/bench/build_peer.sh
layers=16
text=tests/data/gemma4-tiny/text-q4_0.gguf
picture=$work/vit.ppm

# encoding PROGRAM ARGUMENT... -- [LAST-ARGUMENT] : instructions of one picture, the opening of the model left out
encoding() {
    local run=() before
    while [ "$1" != -- ]; do run+=("$1"); shift; done
    shift
    before=$(count "${run[@]}" 0)
    echo $(($(count "${run[@]}" 1 "$@") - before))
}

of_all_layers() { # OF-ONE OF-TWO
    awk -v one="$1" -v two="$2" -v layers=$layers 'BEGIN { printf "%.3f", (one + (layers - 1) * (two - one)) / 1e9 }'
}

build_counters
build_peer
for i in 1 2; do
    projector=$work/vit-$i.gguf packed=$work/vit-$i-packed.gguf
    [ -f "$projector" ] || "$PYTHON" tests/bench/make_vit_shape.py "$text" "$projector" "$picture" --layers $i
    build/host/gemlet-pack --text "$text" --mmproj "$projector" -o "$packed" --quiet
    ours[i]=$(encoding "$work/count_model" "$packed" "$picture" --)
    theirs[i]=$(encoding "$work/peer_encoder" "$text" "$projector" "$picture" -- "$work/vit-theirs.f32")
done
ours=$(of_all_layers "${ours[1]}" "${ours[2]}") theirs=$(of_all_layers "${theirs[1]}" "${theirs[2]}")
echo "| giga-instructions a picture of 480 x 336, $cpu | gemlet | llama.cpp | ratio | at most |"
echo "|---|---:|---:|---:|---:|"
echo "| gemma4v, $layers layers | $ours | $theirs | $(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.3f", a / b }') | 0.5 |"
build/host/gemlet dump -m "$packed" --image "$picture" --image-tokens 70 --soft-tokens "$work/vit-ours.npy"
"$PYTHON" - "$work/vit-ours.npy" "$work/vit-theirs.f32" <<'PYTHON'
import sys, numpy as np
a = np.load(sys.argv[1])
b = np.fromfile(sys.argv[2], np.float32).reshape(a.shape)
cosine = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
print(f"\nBehind two layers {len(a)} soft tokens of both agree by a cosine of {cosine.mean():.5f}, the worst by {cosine.min():.5f} (llama.cpp runs quick GELU).")
PYTHON
