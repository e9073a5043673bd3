# Sourced by the scripts beside it, in the root of the repository: makes models with the reference implementation, which needs torch,
# timm and transformers.  PYTHON must have them, or they are installed into build/reference/venv.
out=build/reference
mkdir -p "$out"
if [ -z "${PYTHON:-}" ]; then
    PYTHON=$out/venv/bin/python
    if [ ! -x "$PYTHON" ]; then
        python3 -m venv "$out/venv"
        "$PYTHON" -m pip install -q torch==2.14.1 torchvision==0.29.1 timm==1.0.31 transformers==5.23.0 sentencepiece safetensors numpy pillow gguf
    fi
fi
if [ ! -x build/host/gemlet ] || [ ! -x build/host/gemlet-pack ]; then
    cmake --preset host >/dev/null
    cmake --build build/host --target gemlet-pack gemlet-program >/dev/null
fi

# make_model NAME ARGUMENT... : the folder build/reference/NAME with hf, golden.npz and packed.gguf; what took long stays where it is
# there.  The script of the family is reference_$family.py, gemma3n unless the caller has set another one.
make_model() {
    local folder=$out/$1 script=tests/golden/reference_${family:-gemma3n}.py
    shift
    [ "${family:-gemma3n}" != gemma3n ] || set -- --snap "$@"
    [ -f "$folder/golden.npz" ] || "$PYTHON" "$script" "$folder" "$@" >"$folder.log" 2>&1
    build/host/gemlet-pack --hf "$folder/hf" -o "$folder/packed.gguf" --quiet
}

# make_picture NAME : the picture of a model that is made as image.rgb
make_picture() {
    local folder=$out/$1
    "$PYTHON" -c 'import sys, numpy as np; np.load(sys.argv[1])["image_rgb"].tofile(sys.argv[2])' "$folder/golden.npz" "$folder/image.rgb"
}
