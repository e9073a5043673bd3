#!/usr/bin/env bash
# usage: keep.sh NAME...
# Adds to the seeds of each target the fewest of what run.sh found (below OUT, default: build/fuzz) that reach all edges which the seeds do
# not, so that the next run, and CI's short one, begin where this one ended.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${OUT:-build/fuzz}
for name in "$@"; do
    seeds=$(echo tests/*/corpus/"$name")
    before=$(find "$seeds" -type f | wc -l)
    "$out/fuzz_$name" -set_cover_merge=1 -use_counters=0 -max_len=200000 "$seeds" "$out/$name" >"$out/keep.log" 2>&1 || { tail -n 20 "$out/keep.log"; exit 1; }
    echo "$name: $before seeds, now $(find "$seeds" -type f | wc -l)"
done
