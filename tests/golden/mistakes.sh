#!/usr/bin/env bash
# usage: mistakes.sh [--patterns]
# Makes deliberate mistakes in a copy of the source, one at a time, and tells whether golden/text sees them: a mistake that no test sees
# is what golden values are for.  Fails where one is not seen, or can't be made any more.  Outside the tests; some five minutes.
# --patterns asks of each only whether it can still be made, which is one of the checks.
set -euo pipefail
cd "$(dirname "$0")/../.."
copy=build/mistakes

prepare() {
    rm -rf "$copy/source"
    mkdir -p "$copy/source"
    git ls-files -z --cached --others --exclude-standard | grep -zv '^tests/\(fuzz/corpus\|demo\)/' | xargs -0 cp --parents -t "$copy/source" 2>/dev/null || true
    cmake -G Ninja -S "$copy/source" -B "$copy/build" -DCMAKE_BUILD_TYPE=Release >"$copy/configure.log"
}

# try NAME FILE PATTERN REPLACEMENT: of a line, as sed has them
try() {
    local file=$copy/source/$2 seen
    if [ "$patterns" = 1 ]; then
        if sed "s|$3|$4|" "$2" | cmp -s - "$2"; then
            echo "$1: can't be made: expected \"$3\" in $2, found no such line"
            failed=1
        fi
        return
    fi
    cp "$file" "$copy/before"
    sed -i "s|$3|$4|" "$file"
    if cmp -s "$file" "$copy/before"; then
        echo "| $1 | can't be made: $2 has changed |"
        failed=1
        return
    fi
    if ! ninja -C "$copy/build" tests/golden-text >"$copy/build.log" 2>&1; then
        seen="does not compile"
        failed=1
    elif (cd "$copy/source" && ../build/tests/golden-text of-the-cpu) >"$copy/run.log" 2>&1; then
        seen="NOT SEEN"
        failed=1
    else
        seen="seen by $(grep -o '\[  FAILED  \] [a-z_3]*$' "$copy/run.log" | awk '{ print $4 }' | sort -u | tr '\n' ' ')"
    fi
    echo "| $1 | $seen |"
    cp "$copy/before" "$file"
}

failed=0
patterns=0
if [ "${1:-}" = --patterns ]; then
    patterns=1
else
    prepare
    echo "| mistake | |"
    echo "|---|---|"
fi
try "layer scalars ignored" model/text/decoder.c 'if (c->traits->layer_scalar)' 'if (c->traits->layer_scalar \&\& c->layers > 128)'
try "global RoPE over the whole head" model/text/attention.c 'rotated = d->config->kinds\[kind\].rotated_pairs' 'rotated = pairs'
try "RoPE's exponent over the turned part" model/text/weights.c 'a->head_width, w->turns' '2 * (size_t)a->rotated_pairs, w->turns'
try "per-layer inputs missing" model/text/decoder.c 'if (c->traits->per_layer_inputs != GEMLET_NO_PER_LAYER_INPUTS) {$' 'if (c->traits->per_layer_inputs != GEMLET_NO_PER_LAYER_INPUTS \&\& c->layers > 128) {'
try "embedding's part of the per-layer inputs missing" model/text/embeddings.c 'real->add_scaled(inputs, 1.0f, d->scratch.table_values' 'real->scale(inputs, 0.0f, numbers); real->add_scaled(inputs, 1.0f, d->scratch.table_values'
try "values not normed" model/text/attention.c 'if (c->traits->value_norm)' 'if (c->traits->value_norm \&\& c->layers > 128)'
try "shared layers read the layer before the right one" model/text/config.c 'for (uint32_t j = c->first_shared; j > 0; j--) {' 'for (uint32_t j = c->first_shared - (c->layer[i].kind == GEMLET_LOCAL_LAYER ? 2 : 0); j > 0; j--) {'
try "window one too small" model/text/ring.h 'end > window ? window : end' 'end >= window ? window - 1 : end'
try "window one too large" model/text/ring.h 'end > window ? window : end' 'end > window + 1 ? window + 1 : end'
try "gate from the normed residual" model/text/decoder.c 'const float \*gated = d->scratch.streams' 'const float *gated = d->scratch.normed'
try "per-layer rows of soft tokens from another row" model/text/embeddings.c 'chunk->tokens\[t\] : 0' 'chunk->tokens[t] : 5'
exit $failed
