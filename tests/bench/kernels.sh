#!/usr/bin/env bash
# Counts the instructions of every kernel at every level under qemu and prints one Markdown table.
#     tests/bench/kernels.sh              all cases
#     tests/bench/kernels.sh "q4_0 x 1"   these cases
#     tests/bench/kernels.sh --document     all cases, and puts this table and that of cycles (mca.sh) into docs/kernels.md
# "budget" is what the kernel must not exceed; KleidiAI's figures are of its best kernels for the same job (512 rows, 2,048 columns, 64
# vectors where many); ggml's are counted in this run where tests/bench/peers.sh has built it; "bound" is what multiplies and loads alone
# would take.  Cycles are llvm-mca's for the innermost loop, for cores of the level.
set -euo pipefail
cd "$(dirname "$0")/../.."
. toolchains/emulator.sh
document=false
if [ "${1:-}" = --document ]; then document=true; shift; fi

build=build/aarch64
if [ ! -x "$build/tests/bench_kernels" ]; then
    cmake --preset aarch64 >/dev/null
fi
cmake --build "$build" --target bench_kernels >/dev/null
plugin=build/count_instructions.so
gcc -O2 -shared -fPIC -o "$plugin" tests/bench/count_instructions.c

run() { # run CPU PROGRAM ARGUMENT...
    local cpu=$1
    shift
    "${emulator[@]}" -plugin "$plugin" -cpu "$cpu" "$@" 2>&1 | awk '$1 == "insns" { print $2 }'
}

# per_unit CPU WORK PROGRAM ARGUMENT... : instructions per unit of work, as the difference of one run and three
per_unit() {
    local cpu=$1 work=$2
    shift 2
    awk -v one="$(run "$cpu" "$@" 1)" -v three="$(run "$cpu" "$@" 3)" -v work="$work" 'BEGIN { printf "%.4f", (three - one) / 2 / work }'
}

declare -A cpu_of=([neon]=cortex-a72 [dotprod]=cortex-a76 [i8mm]=max) number_of=([neon]=1 [dotprod]=2 [i8mm]=3)

peer_figure() { # LEVEL CASE
    local program=build/peers/peer_ggml_${number_of[$1]} work
    [ -x "$program" ] || return 0
    work=$("${emulator[@]}" "$program" list | awk -F'\t' -v c="$2" '$1 == c { print $2 }')
    [ -n "$work" ] && per_unit "${cpu_of[$1]}" "$work" "$program" "$2"
}

field() { # CASE LEVEL COLUMN of targets.tsv
    awk -F'\t' -v c="$1" -v l="$2" -v n="$3" '$1 == c && $2 == l { print $n }' tests/bench/targets.tsv
}

print_table() {
    echo "| kernel | per | level | instructions | budget | KleidiAI | ggml | bound |"
    echo "|---|---|---|---:|---:|---:|---:|---:|"
    "${emulator[@]}" "$build/tests/bench_kernels" list | while IFS=$'\t' read -r name work unit; do
        if [ $# -gt 0 ] && ! printf '%s\n' "$@" | grep -qxF -- "$name"; then continue; fi
        for level in neon dotprod i8mm; do
            # The float kernels are the same code at every level.
            if [ "$level" != neon ] && grep -qxF -- "$name" build/real_cases.txt; then continue; fi
            figure=$(per_unit "${cpu_of[$level]}" "$work" "$build/tests/bench_kernels" "$level" "$name" </dev/null)
            budget=$(field "$name" "$level" 3)
            miss=$(awk -v f="$figure" -v b="$budget" 'BEGIN { print (b != "" && f + 0 > b + 0 ? " **over**" : "") }')
            echo "| $name | $unit | $level | $figure$miss | $budget | $(field "$name" "$level" 4) | $(peer_figure "$level" "$name" </dev/null || true) | $(field "$name" "$level" 5) |"
        done
    done
}

sed -n 's/^ *{"\([^"]*\)", "[a-z-]*".*/\1/p' tests/bench/bench_real.c >build/real_cases.txt
# replace NAME FILE : puts FILE between the marks of NAME in docs/kernels.md
replace() {
    awk -v name="$1" -v table="$2" '$0 == "<!-- " name " begin -->" { print; while ((getline line < table) > 0) print line; skip = 1; next }
        $0 == "<!-- " name " end -->" { skip = 0 } !skip' docs/kernels.md >build/kernels.new
    cp build/kernels.new docs/kernels.md
}

if $document; then
    print_table | tee build/kernels.md
    replace kernels build/kernels.md
    tests/bench/mca.sh --all "$build" | tee build/cycles.md
    replace cycles build/cycles.md
else
    print_table "$@"
    echo
    tests/bench/mca.sh --all "$build" || true
fi
