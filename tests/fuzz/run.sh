#!/usr/bin/env bash
# Fuzzes each target (tests/*/fuzz_NAME.c) under address and undefined sanitizers: tests/fuzz/run.sh [SECONDS [NAME...]]
# Seeds are in corpus/NAME beside the target, words in dictionaries; what is found goes to OUT (default: build/fuzz).  Prints executions and
# edges reached.  Needs clang with libFuzzer.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
out=${OUT:-build/fuzz}
bash tests/fuzz/build.sh "$out" "$@"
# What targets write: in memory where the system has such a folder, unless TMPDIR says where.
work=$(mktemp -d -p "${TMPDIR:-$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)}" gemlet-fuzz-XXXXXX)
trap 'rm -rf "$work"' EXIT
for target in tests/*/fuzz_*.c; do
    name=$(basename "$target" .c)
    name=${name#fuzz_}
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    options=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=200000 -print_final_stats=1 -artifact_prefix="$out/found/$name-")
    [ ! -e "tests/fuzz/dictionaries/$name.dict" ] || options+=(-dict="tests/fuzz/dictionaries/$name.dict")
    mkdir -p "$out/$name" "$out/found"
    failed=0
    TMPDIR=$work "$out/fuzz_$name" "${options[@]}" "$out/$name" "$(dirname "$target")/corpus/$name" >"$out/$name.log" 2>&1 || failed=$?
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log")
    echo "$name: $seconds s, $executions executions," \
        "$(grep -oE ' cov: [0-9]+ ft: [0-9]+' "$out/$name.log" | tail -n 1 | sed 's/ cov: \([0-9]*\) ft: \([0-9]*\)/\1 edges, \2 features/')"
    if ls "$out/found/$name-"* >/dev/null 2>&1; then
        grep -E "ERROR|SUMMARY|runtime error|abort|#[0-9]+ 0x" "$out/$name.log" || true
        echo "$name: found inputs that fail: $(ls "$out/found/$name-"*)"
        exit 1
    fi
    if [ $failed -ne 0 ] || [ -z "$executions" ]; then
        tail -n 20 "$out/$name.log"
        echo "$name: expected a target that fuzzes and ends with 0, found one that ended with $failed; $out/$name.log has all it said"
        exit 1
    fi
done
