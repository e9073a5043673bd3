#!/usr/bin/env bash
# Compares the text decoder with the reference implementation on models that are not in the repository: other seeds, layers, widths,
# windows, key heads and sharing points.  Prints one Markdown table and fails where a model falls short of what int8 activations alone
# cost, which the reference simulates.  Outside the tests, see reference.sh.
#     tests/golden/other_models.sh
#     PYTHON=/path/to/python tests/golden/other_models.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/golden/reference.sh

compare='
import sys, numpy as np
golden, found, name = np.load(sys.argv[1]), np.load(sys.argv[2]), sys.argv[3]
mobile = "runtime_text_logits" in golden.files  # what static activations cost is in the reference; one code on the other side of a tie spreads
expected, simulated = golden["text_logits"], golden["runtime_text_logits" if mobile else "quantised_text_logits"]
def cosines(a, b):
    return (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
ours, floor = cosines(found, expected), cosines(simulated, expected)
same = (found.argmax(-1) == expected.argmax(-1)).mean()
print(f"| {name} | {ours.mean():.5f} | {ours.min():.5f} | {same:.3f} | {floor.mean():.5f} | {floor.min():.5f} |", flush=True)
least = (0.9975, 0.992) if mobile else (min(0.9998, floor.mean() - 0.00005), min(0.9996, floor.min() - 0.0002))
sys.exit(not (ours.mean() >= least[0] and ours.min() >= least[1] and same >= 0.98))
'
echo "| model | mean cosine | worst | same largest | quantisation alone, simulated: mean | worst |"
echo "|---|---:|---:|---:|---:|---:|"
failed=0
while read -r family name arguments; do
    folder=$out/$name
    # shellcheck disable=SC2086 # the arguments are several words
    make_model "$name" $arguments
    "$PYTHON" -c 'import sys, numpy as np; print(*np.load(sys.argv[1])["text_ids"])' "$folder/golden.npz" >"$folder/ids.txt"
    build/host/gemlet dump -m "$folder/packed.gguf" --tokens "$folder/ids.txt" --logits "$folder/logits.npy"
    "$PYTHON" -c "$compare" "$folder/golden.npz" "$folder/logits.npy" "$name" || failed=1
done <<'MODELS'
gemma3n seed-2 --seed 2
gemma3n seed-3 --seed 3
gemma3n seed-4 --seed 4
gemma3n layers-30-width-160-window-8 --seed 5 --layers 30 --hidden 160 --window 8
gemma4 e4b-like-two-key-heads --seed 2 --kv-heads 2 --double-wide 0 --period 6 --layers 12 --shared 6
gemma4 period-3-width-160-window-8 --seed 3 --hidden 160 --period 3 --layers 9 --shared 3 --window 8 --head-dim 64 --global-head-dim 128
gemma4 period-4-eight-heads-bfloat16 --seed 4 --layers 12 --shared 4 --period 4 --inter 320 --ple 64 --id-shift 3 --heads 8 --dtype bfloat16
mobile e2b-like-seed-21 --seed 21
mobile e2b-like-period-3-width-160 --seed 22 --layers 12 --shared 6 --period 3 --hidden 160 --inter 224 --window 8 --ple 64 --id-shift 3
mobile e4b-like-two-key-heads --seed 23 --style e4b --kv-heads 2
MODELS
exit $failed
