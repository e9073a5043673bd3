#!/usr/bin/env bash
# Counts the instructions of the text decoder under qemu (Cortex-A76, one thread): a decoded token, and a token of a prompt of 128,
# each as the difference of two lengths, so that loading cancels; on the tiny models of the tests.  Where tests/bench/peers.sh --tools
# has been run, the same of llama.cpp and the ratio, which is to be at most 0.6 (decode) and 0.4 (prefill).
#     tests/bench/decoder.sh             the tiny models
#     tests/bench/decoder.sh --real      and ones with all layers of both E2Bs' shapes and random weights (make_shape.py): what skipping saves,
#                                        and how long four threads would wait; 4 GB of disk, some 20 minutes
# PYTHON needs gguf and numpy for --real.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/count.sh
bench=$llama/bin/llama-bench

gemlet_figure() { # MODEL prefill|decode FEW MANY [all]
    per_unit "$3" "$4" "$(count "$work/count_model" "$1" "$2" "$3" 1 ${5:+"$5"})" "$(count "$work/count_model" "$1" "$2" "$4" 1 ${5:+"$5"})"
}

llama_figure() { # SOURCE prefill|decode FEW MANY; llama-bench's other kind of test is turned off
    local on=-p off=-n
    [ -x "$bench" ] || return 0
    [ "$2" = prefill ] || on=-n off=-p
    local run=("$bench" -m "$1" -t 1 -r 1 --no-warmup "$off" 0 "$on")
    per_unit "$3" "$4" "$(count "${run[@]}" "$3")" "$(count "${run[@]}" "$4")"
}

row() { # NAME SOURCE MODEL prefill|decode FEW MANY TARGET
    local ours theirs
    ours=$(gemlet_figure "$3" "$4" "$5" "$6")
    theirs=$(llama_figure "$2" "$4" "$5" "$6")
    echo "| $1 | $ours | $theirs | $(ratio "$ours" "$theirs") | $7 |"
}

compare_with_llama() {
    echo "| million instructions a token | gemlet | llama.cpp | ratio | at most |"
    echo "|---|---:|---:|---:|---:|"
    row "tiny model, decode" "$tiny" "$work/tiny.gguf" decode 8 24 0.6
    row "tiny model, prompt of 128" "$tiny" "$work/tiny.gguf" prefill 128 256 0.4
    row "tiny Gemma 4, decode" "$tiny4" "$work/tiny4.gguf" decode 8 24 0.5
    row "tiny Gemma 4, prompt of 128" "$tiny4" "$work/tiny4.gguf" prefill 128 256 0.3
    if $real; then
        row "Gemma 4 E2B's layers, decode" "$work/e2b4-source.gguf" "$work/e2b4.gguf" decode 2 6 0.68
        row "Gemma 4 E2B's layers, prompt of 128" "$work/e2b4-source.gguf" "$work/e2b4.gguf" prefill 1 128 0.24
        row "the same, mobile checkpoint, decode" "$work/e2b4-source.gguf" "$work/e2bm.gguf" decode 2 6 0.57
        row "the same, mobile checkpoint, prompt of 128" "$work/e2b4-source.gguf" "$work/e2bm.gguf" prefill 1 128 0.17
        row "Gemma 3n E2B's layers, decode" "$work/e2b-source.gguf" "$work/e2b.gguf" decode 2 6 0.6
        row "Gemma 3n E2B's layers, prompt of 128" "$work/e2b-source.gguf" "$work/e2b.gguf" prefill 1 128 0.4
    fi
}

# The sparse kernels would be slow on full lists: what sparsity saves is shown against the same model without it.
show_skipping() {
    local model=$work/e2b.gguf dense=$work/e2b-dense.gguf
    echo "| million instructions a token, E2B's layers | prompt of 32 | decode |"
    echo "|---|---:|---:|"
    echo "| no sparse layers, nothing skipped | $(gemlet_figure "$dense" prefill 1 32 all) | $(gemlet_figure "$dense" decode 2 4 all) |"
    echo "| no sparse layers | $(gemlet_figure "$dense" prefill 1 32) | $(gemlet_figure "$dense" decode 2 4) |"
    echo "| as it is | $(gemlet_figure "$model" prefill 1 32) | $(gemlet_figure "$model" decode 2 4) |"
}

# Four threads that take one task each, and one of them what is in no task: the part of their time that they wait.
waiting() { # KIND FEW MANY
    { count_figures "$work/count_model" "$work/e2b.gguf" "$1" "$2" 4
      count_figures "$work/count_model" "$work/e2b.gguf" "$1" "$3" 4; } | awk -v n="$2" -v m="$3" -v kind="$1" '
        { value[$1] = $2 - seen[$1]; seen[$1] = $2 }
        END {
            unit = (m - n) * 1e6
            share = 1 - (value["serial"] + value["tasks"]) / 4 / (value["serial"] + value["longest"])
            printf "| %s | %.3f | %.3f | %.3f | %.1f %% |\n", kind, value["serial"] / unit, value["tasks"] / unit, value["longest"] / unit, 100 * share
        }'
}

show_waiting() {
    echo "| million instructions a token, E2B's layers, 4 threads | in no task | in tasks | longest tasks | waiting |"
    echo "|---|---:|---:|---:|---:|"
    waiting decode 2 6
    waiting prefill 1 64
}

make_models() {
    build/host/gemlet-pack --text "$tiny" --mmproj tests/data/tiny/mm-f16.gguf -o "$work/tiny.gguf" --quiet
    build/host/gemlet-pack --text "$tiny4" -o "$work/tiny4.gguf" --quiet
    $real || return 0
    [ -f "$work/e2b4-source.gguf" ] || "$PYTHON" tests/bench/make_shape.py "$tiny4" "$work/e2b4-source.gguf"
    build/host/gemlet-pack --text "$work/e2b4-source.gguf" -o "$work/e2b4.gguf" --quiet
    [ -f "$work/e2bm/model.safetensors" ] || "$PYTHON" tests/bench/make_mobile_shape.py "$work/e2bm"
    build/host/gemlet-pack --hf "$work/e2bm" -o "$work/e2bm.gguf" --quiet
    for kind in "" -dense; do
        [ -f "$work/e2b$kind-source.gguf" ] || "$PYTHON" tests/bench/make_shape.py "$tiny" "$work/e2b$kind-source.gguf" ${kind:+"-$kind"}
        build/host/gemlet-pack --text "$work/e2b$kind-source.gguf" -o "$work/e2b$kind.gguf" --quiet
    done
}

tiny=tests/data/tiny/text-q4_0.gguf tiny4=tests/data/gemma4-tiny/text-q4_0.gguf
real=false
[ "${1:-}" != --real ] || real=true
build_counters
make_models
compare_with_llama
if $real; then
    echo
    show_skipping
    echo
    show_waiting
fi
