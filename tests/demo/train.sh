#!/bin/sh
# Makes the demo model from nothing, or goes on where an earlier run was stopped:
#
#     tests/demo/train.sh WORK OUT
#
# WORK keeps checkpoints and caches, OUT becomes a Hugging Face folder for gemlet-pack.  Needs the packages of
# requirements.txt (set PYTHON to their interpreter) and espeak-ng.  THREADS is 2 unless set.  EARS_SECONDS is how long the ears may
# learn: 500 s are enough on a large GPU, which is taken where PyTorch finds one; README.md says what that would be on a CPU.
set -eu
work=${1:?usage: train.sh WORK OUT}
out=${2:?usage: train.sh WORK OUT}
here=$(dirname "$0")
python=${PYTHON:-python3}
threads=${THREADS:-2}

# Keeping freed pages saves a third of the time; passive waiting lets other programs run.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=500000000
export OMP_WAIT_POLICY=passive HF_HUB_OFFLINE=1

mkdir -p "$work/ears"
[ -f "$here/state/tokenizer.model" ] || (cd "$here" && "$python" -c "import model; model.train_tokenizer('state/tokenizer.model')")
"$python" "$here/test_decoder.py" "$here/state/tokenizer.model"
"$python" "$here/train_vision.py" "$work" --threads "$threads"
"$python" "$here/train_text.py" "$work" --threads "$threads"

# The ears last: they learn to speak to this encoder and this decoder, which rest.
"$python" "$here/test_ears.py" --untrained
[ -f "$work/ears/sounds.npz" ] || "$python" "$here/sounds.py" "$work/ears"
[ -f "$work/ears/ears.pt" ] || "$python" "$here/make_ears.py" "$work/ears"
"$python" "$here/train_sound.py" "$work/ears" "$work/ears" --seconds "${EARS_SECONDS:-500}"
cp "$work/ears/best.npz" "$here/state/ears.npz"
"$python" "$here/test_ears.py"

"$python" "$here/export.py" "$out" --work "$work"
