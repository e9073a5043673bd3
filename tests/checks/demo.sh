#!/usr/bin/env bash
# usage: demo.sh GEMLET MODEL
# The demo model gives the right answers about the pictures of examples/demo.
set -euo pipefail
failed=0 asked=0
while IFS=$'\t' read -r picture question right; do
    answer=$("$1" run -m "$2" --ctx 512 --temp 0 --image "examples/demo/$picture" -p "$question" </dev/null)
    asked=$((asked + 1))
    if [ "$answer" != "$right" ]; then
        printf '%s: %s\n  expected "%s"\n  found    "%s"\n' "$picture" "$question" "$right" "$answer"
        failed=1
    fi
done <examples/demo/questions.tsv
[ "$asked" = 3 ] || { echo "examples/demo/questions.tsv: expected 3 questions, found $asked"; failed=1; }
exit $failed
