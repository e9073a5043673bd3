#!/usr/bin/env bash
# Counts the instructions of encoding a picture of 256 x 256 with the tiny encoder under qemu (Cortex-A76, one thread), and the same of
# llama.cpp, as the difference of one picture and two; and compares both programs' soft tokens with the reference's, also where the
# encoder's activations pass float16's range, as trained ones do.  Needs what tests/bench/peers.sh --tools builds; PYTHON needs numpy
# and gguf.
#     tests/bench/encoder.sh [TEXT.gguf MMPROJ.gguf PICTURE.rgb]     (another pair and picture: instructions only)
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/count.sh
text=${1:-tests/data/tiny/text-q4_0.gguf}
projector=${2:-tests/data/tiny/mm-f16.gguf}
picture=${3:-tests/data/vision/image.rgb}

build_peer() {
    local source=("$peers"/llama_cpp_python-*/vendor/llama.cpp) made=$peers/llama.cpp cross=aarch64-linux-gnu
    [ "$(uname -m)" != aarch64 ] || cross=$(gcc -dumpmachine)
    "$cross-gcc" -std=c11 -O2 -I. "-I${source[0]}/include" "-I${source[0]}/ggml/include" "-I${source[0]}/tools/mtmd" -c tests/bench/peer_encoder.c -o "$work/peer_encoder.o"
    "$cross-g++" -static "$work/peer_encoder.o" "$made/tools/mtmd/libmtmd.a" "$made/src/libllama.a" "$made/ggml/src/libggml.a" \
        "$made/ggml/src/libggml-cpu.a" "$made/ggml/src/libggml-base.a" -lm -pthread -o "$work/peer_encoder"
}

print_instructions() {
    local ours theirs
    build/host/gemlet-pack --text "$text" --mmproj "$projector" -o "$work/encoder.gguf" --quiet
    ours=$(per_unit 1 2 "$(count "$work/count_model" "$work/encoder.gguf" "$picture" 1)" "$(count "$work/count_model" "$work/encoder.gguf" "$picture" 2)")
    theirs=$(per_unit 1 2 "$(count "$work/peer_encoder" "$text" "$projector" "$picture" 1)" "$(count "$work/peer_encoder" "$text" "$projector" "$picture" 2)")
    echo "| million instructions a picture | gemlet | llama.cpp | ratio | at most |"
    echo "|---|---:|---:|---:|---:|"
    echo "| $(basename "$projector"), $(basename "$picture") | $ours | $theirs | $(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.3f", a / b }') | 0.05 |"
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
    "${emulator[@]}" -cpu cortex-a76 "$work/peer_encoder" "$text" "$2" "$picture" 1 "$work/soft.f32" >"$work/out.log"
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
print_instructions
if [ $# -eq 0 ]; then
    make_hot
    echo
    echo "| llama.cpp's soft tokens, against the reference | NaN | mean cosine of the others |"
    echo "|---|---:|---:|"
    compare_soft_tokens "tiny encoder" "$projector" tests/data/golden/image_soft_tokens.f32
    compare_soft_tokens "the same, activations around 1e5" "$work/hot.gguf" tests/data/vision/hot_soft.f32
fi
