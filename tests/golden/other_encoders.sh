#!/usr/bin/env bash
# Compares the image encoder, stage by stage, with the reference implementation on models that are not in the repository: other seeds,
# activations beyond half precision, 512 pixels (where the fusion pools), and the 300M encoder at 768 pixels with random weights (some
# minutes and 3 GB).  Prints one Markdown table of cosines, beside what float arithmetic gives with the same weights and quantised
# activations, and fails where a model falls short.  Outside the tests, see reference.sh.
#     tests/golden/other_encoders.sh
#     tests/golden/other_encoders.sh seed-2 hot      these only
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/golden/reference.sh

level=i8mm
[ "$(uname -m)" = aarch64 ] || level=neon # what SIMDe does best; all levels give the same
gcc -std=c11 -O2 -I. tests/bench/encode_image.c build/host/libgemlet-posix.a build/host/libgemlet.a -lm -pthread -o "$out/encode_image"

encode() { # encode MODEL THREADS BAND FOLDER
    rm -rf "$1/$4"
    mkdir "$1/$4"
    "$out/encode_image" "$1/packed.gguf" "$side" "$level" "$1/image.rgb" "$1/$4" "$2" "$3" >/dev/null
}

compare='
import sys, numpy as np
golden, folder, name = np.load(sys.argv[1]), sys.argv[2], sys.argv[3]
def cosines(a, b):
    return (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
def pixels(x, key):
    return np.moveaxis(x, 0, -1).reshape(-1, x.shape[0]) if key.startswith("vision_") else x
keys = ["vision_stage0", "vision_stage1", "vision_stage2", "vision_stage3", "vision_msfa", "image_soft_tokens"]
expected = {k: pixels(golden[k], k).astype(np.float64) for k in keys}
found = {k: np.fromfile(f"{folder}/{k.split(chr(95), 1)[1]}.f32", np.float32).reshape(expected[k].shape) for k in keys}
simulated = {k: pixels(golden["quantised_" + k], k) for k in keys}
for who, values in (("gemlet", found), ("simulated", simulated)):
    c = {k: cosines(values[k].astype(np.float64), expected[k]) for k in keys}
    print(f"| {name} | {who} |", " | ".join(f"{c[k].mean():.5f}" for k in keys), f"| {c[keys[-1]].min():.5f} |", flush=True)
    if who == "gemlet":
        good = min(c[k].mean() for k in keys) >= 0.998 and c[keys[-1]].min() >= 0.995
sys.exit(not good)
'
echo "| model | arithmetic | stage 0 | stage 1 | stage 2 | stage 3 | fusion | soft tokens | worst of them |"
echo "|---|---|---:|---:|---:|---:|---:|---:|---:|"
failed=0
while read -r name side arguments; do
    if [ $# -gt 0 ] && ! printf '%s\n' "$@" | grep -qxF -- "$name"; then continue; fi
    # shellcheck disable=SC2086 # the arguments are several words
    make_model "$name" --image-size "$side" $arguments
    make_picture "$name"
    encode "$out/$name" 4 4 stages
    encode "$out/$name" 1 7 again
    cmp "$out/$name/stages/soft_tokens.f32" "$out/$name/again/soft_tokens.f32" || failed=1 # whatever the threads and bands
    "$PYTHON" -c "$compare" "$out/$name/golden.npz" "$out/$name/stages" "$name" || failed=1
done <<'MODELS'
seed-2 256 --seed 2
seed-3 256 --seed 3
seed-4 256 --seed 4
hot 256 --seed 1 --hot
512-pixels 512 --seed 1
300M-768-pixels 768 --seed 1 --full-vision
MODELS
exit $failed
