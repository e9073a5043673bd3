#!/usr/bin/env bash
# Counts the instructions of encoding a picture of 256 x 256 under qemu (one thread, a Cortex-A76 unless CPU says another), and the same
# of llama.cpp, as the difference of two counts of pictures.  Needs what tests/bench/peers.sh --tools builds; PYTHON needs numpy and gguf.
#     tests/bench/encoder.sh            the tiny encoder; compares both programs' soft tokens with the reference's, too, also where the
#                                       encoder's activations pass float16's range, as trained ones do
#     tests/bench/encoder.sh --full     MobileNetV5-300M with random weights, made as tests/golden/reference.sh says: 3 GB, and llama.cpp
#                                       takes about 20 minutes
# A core without dot products and without arithmetic in float16, after tests/bench/peers.sh --tools armv8-a:
#     LLAMA=build/peers/llama.cpp-armv8-a CPU=cortex-a72 tests/bench/encoder.sh [--full]
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/count.sh
. tests/bench/build_peer.sh

use_tiny() {
    text=tests/data/tiny/text-q4_0.gguf
    projector=tests/data/tiny/mm-f16.gguf
    picture=tests/data/vision/image.rgb
}

use_full() {
    . tests/golden/reference.sh
    local folder=$out/300M-256-pixels
    make_model 300M-256-pixels --full-vision --image-size 256 --hidden 2048 --seed 1
    make_picture 300M-256-pixels
    text=$folder/text.gguf
    projector=$folder/mmproj.gguf
    picture=$folder/image.rgb
    [ -f "$projector" ] || "$PYTHON" tests/bench/convert_for_peer.py "${sources[0]}" "$folder/hf" "$folder" >"$folder/convert.log" 2>&1
}

print_instructions() { # NAME FEW MANY
    local ours theirs
    build/host/gemlet-pack --text "$text" --mmproj "$projector" -o "$work/encoder.gguf" --quiet
    ours=$(per_unit "$2" "$3" "$(count "$work/count_model" "$work/encoder.gguf" "$picture" "$2")" "$(count "$work/count_model" "$work/encoder.gguf" "$picture" "$3")")
    theirs=$(per_unit "$2" "$3" "$(count "$work/peer_encoder" "$text" "$projector" "$picture" "$2")" "$(count "$work/peer_encoder" "$text" "$projector" "$picture" "$3")")
    echo "| million instructions a picture of 256 | gemlet | llama.cpp | ratio | at most |"
    echo "|---|---:|---:|---:|---:|"
    echo "| $1 | $ours | $theirs | $(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.3f", a / b }') | 0.05 |"
}

# The small encoder with residual activations around 1e5.
make_hot() {
    cp "$projector" "$work/hot.gguf"
    "$PYTHON" - "$work/hot.gguf" <<'PYTHON'
import sys, numpy as np
from gguf import GGUFReader
scaled = 0
for t in GGUFReader(sys.argv[1], "r+").tensors:
    if t.name.startswith("v.blk.1.") and "layer_scale" in t.name:
        t.data[...] = (t.data.astype(np.float32) * 1e5).astype(t.data.dtype)
        assert np.isfinite(t.data).all()
        scaled += 1
assert scaled > 0
PYTHON
}

compare_soft_tokens() { # NAME PROJECTOR REFERENCE
    "${emulator[@]}" -cpu "$cpu" "$work/peer_encoder" "$text" "$2" "$picture" 1 "$work/soft.f32" >"$work/out.log"
    "$PYTHON" - "$1" "$work/soft.f32" "$3" <<'PYTHON'
import sys, numpy as np
name, found, expected = sys.argv[1], np.fromfile(sys.argv[2], np.float32), np.fromfile(sys.argv[3], np.float32)
a, b = found.reshape(256, -1), expected.reshape(256, -1)
cosine = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
print(f"| {name} | {np.isnan(found).mean():.1%} | {np.nanmean(cosine) if np.isfinite(cosine).any() else float('nan'):.5f} |")
PYTHON
}

build_counters
build_peer
if [ "${1:-}" = --full ]; then
    use_full
    print_instructions MobileNetV5-300M 0 1
    exit
fi
use_tiny
print_instructions "tiny encoder" 1 2
make_hot
echo
echo "| llama.cpp's soft tokens, against the reference | NaN | mean cosine of the others |"
echo "|---|---:|---:|"
compare_soft_tokens "tiny encoder" "$projector" tests/data/golden/gemma3n/image_soft_tokens.f32
compare_soft_tokens "the same, activations around 1e5" "$work/hot.gguf" tests/data/vision/hot_soft.f32
