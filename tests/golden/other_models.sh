#!/usr/bin/env bash
# Compares the text decoder with the reference implementation on models that are not in the repository: three other seeds, and one with
# 30 layers, width 160 and a window of 8.  Prints one Markdown table and fails where a model falls short.  Outside the tests, see
# reference.sh.
#     tests/golden/other_models.sh
#     PYTHON=/path/to/python tests/golden/other_models.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/golden/reference.sh

compare='
import sys, numpy as np
golden, found, name = np.load(sys.argv[1]), np.load(sys.argv[2]), sys.argv[3]
expected, simulated = golden["text_logits"], golden["quantised_text_logits"]
def cosines(a, b):
    return (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
ours, floor = cosines(found, expected), cosines(simulated, expected)
same = (found.argmax(-1) == expected.argmax(-1)).mean()
print(f"| {name} | {ours.mean():.5f} | {ours.min():.5f} | {same:.3f} | {floor.mean():.5f} | {floor.min():.5f} |", flush=True)
sys.exit(not (ours.mean() >= 0.9998 and ours.min() >= 0.9996 and same >= 0.98))
'
echo "| model | mean cosine | worst | same largest | quantisation alone, simulated: mean | worst |"
echo "|---|---:|---:|---:|---:|---:|"
failed=0
while read -r name arguments; do
    folder=$out/$name
    # shellcheck disable=SC2086 # the arguments are several words
    make_model "$name" $arguments
    "$PYTHON" -c 'import sys, numpy as np; print(*np.load(sys.argv[1])["text_ids"])' "$folder/golden.npz" >"$folder/ids.txt"
    build/host/gemlet dump -m "$folder/packed.gguf" --tokens "$folder/ids.txt" --logits "$folder/logits.npy"
    "$PYTHON" -c "$compare" "$folder/golden.npz" "$folder/logits.npy" "$name" || failed=1
done <<'MODELS'
seed-2 --seed 2
seed-3 --seed 3
seed-4 --seed 4
layers-30-width-160-window-8 --seed 5 --layers 30 --hidden 160 --window 8
MODELS
exit $failed
