#!/usr/bin/env bash
# Counts what the form of an answer costs: tests/bench/grammar.sh TABLES.  TABLES: a vocabulary's, as tests/tokenizer/bench_tokenizer
# writes them with --tables.  Prints millions of instructions (cortex-a76) and the share of a decoded token, TOKEN of them (382: Gemma 4
# E2B of Q4_0, docs/kernels.md).
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/count.sh
build_counters
build_counted count_grammar
tables=$1 token=${TOKEN:-382}
none=$(count "$work/count_grammar" "$tables" free 0 64)
awk -v a="$(count "$work/count_grammar" "$tables" open 0 64)" -v b="$none" 'BEGIN { printf "to sort the vocabulary, once: %.1f\n", (a - b) / 1e6 }'
echo "| schema | top-k | a token, millions | of a decoded token |"
echo "|---|---:|---:|---:|"
while read -r name schema; do
    for top in 64 1 0; do
        steps=40
        free=$(count "$work/count_grammar" "$tables" free $steps $top)
        start=$(count "$work/count_grammar" "$tables" "$schema" 0 $top)
        held=$(count "$work/count_grammar" "$tables" "$schema" $steps $top)
        awk -v name="$name" -v top=$top -v free=$((free - none)) -v held=$((held - start)) -v steps=$steps -v token="$token" 'BEGIN {
            each = (held - free) / steps / 1e6
            printf "| %s | %s | %.2f | %.1f %% |\n", name, top, each, 100 * each / token }'
    done
done <<'SCHEMAS'
record {"type":"object","properties":{"name":{"type":"string","maxLength":40},"age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array","items":{"enum":["red","green","blue"]},"maxItems":3}},"required":["name","age","tags"]}
text {"type":"string"}
letter {"type":"array","items":{"type":"string","pattern":"^[a-z]$"}}
capitals {"type":"array","items":{"type":"string","pattern":"^[^a-z]*$"}}
digits {"type":"array","items":{"type":"string","pattern":"^[0-9]{4}$"}}
any {}
SCHEMAS
