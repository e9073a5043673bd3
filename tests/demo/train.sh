#!/bin/sh
# Makes the demo model from nothing, or goes on where an earlier run was stopped:
#
#     tests/demo/train.sh WORK OUT
#
# WORK keeps checkpoints and caches, OUT becomes a Hugging Face folder for gemlet-pack.  Needs the packages of
# requirements.txt (set PYTHON to their interpreter).  THREADS is 2 unless set.
set -eu
work=${1:?usage: train.sh WORK OUT}
out=${2:?usage: train.sh WORK OUT}
here=$(dirname "$0")
python=${PYTHON:-python3}
threads=${THREADS:-2}

# Keeping freed pages saves a third of the time; passive waiting lets other programs run.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=500000000
export OMP_WAIT_POLICY=passive HF_HUB_OFFLINE=1

mkdir -p "$work"
[ -f "$here/state/tokenizer.model" ] || (cd "$here" && "$python" -c "import model; model.train_tokenizer('state/tokenizer.model')")
"$python" "$here/test_decoder.py" "$here/state/tokenizer.model"
"$python" "$here/train_vision.py" "$work" --threads "$threads"
"$python" "$here/train_text.py" "$work" --threads "$threads"
"$python" "$here/export.py" "$out" --work "$work"
