#!/usr/bin/env bash
# Cycles of the kernels' innermost loops as llvm-mca models them.
#     tests/bench/mca.sh OBJECT [FUNCTION [CPU]...]   one line per function (all without FUNCTION or with "-") and core
#     tests/bench/mca.sh --all BUILD                  a Markdown table of all integer kernels in a build folder of the aarch64 preset
# A function's loop is found in objdump's listing: of the backward branches that enclose no other, the one with the most
# multiply-adds, counted by instruction (SMMLA 32, SDOT 16, SMULL and SMLAL 8).  llvm-mca's cycles are those of the loop repeated, with
# every load a hit in the nearest cache.  LLVM 14 has models of Cortex-A53, A57 and A72 among the cores of interest; for Cortex-A76 it
# takes the one of A57, in which a dot product costs what a multiplication does: read that figure as an upper bound.
set -euo pipefail

objdump=${OBJDUMP:-aarch64-linux-gnu-objdump}
mca=${LLVM_MCA:-$(command -v llvm-mca || command -v llvm-mca-14 || true)}
if [ -z "$mca" ]; then
    echo "mca.sh: llvm-mca is not installed" >&2
    exit 1
fi

# loops OBJECT FUNCTION : for each function a line "function<TAB>multiply-adds<TAB>instructions" and its loop, each instruction after a tab
loops() {
    "$objdump" -d --no-show-raw-insn "$1" | awk -v wanted="$2" '
        function work(text) {
            if (text ~ /^smmla/) return 32
            if (text ~ /^sdot/) return 16
            if (text ~ /^sml[as]l2?\t[^,]*8h/ || text ~ /^smull2?\t[^,]*8h/) return 8
            return 0
        }
        function finish(    best, i, from, sum) {
            if (name == "" || (wanted != "-" && wanted != name)) return
            best = 0
            for (i = 1; i <= count; i++) {
                if (target[i] == "" || !(target[i] in index_of) || index_of[target[i]] > i) continue
                from = index_of[target[i]]
                sum = 0
                for (k = from; k <= i; k++) {
                    sum += work(text[k])
                    if (k < i && (target[k] in index_of) && index_of[target[k]] >= from && index_of[target[k]] <= k) sum = -1e9
                }
                if (sum > best) { best = sum; first = from; last = i }
            }
            if (best == 0) return
            print name "\t" best "\t" last - first + 1
            for (i = first; i <= last; i++) {
                line = text[i]
                if (target[i] != "") sub(/[0-9a-f]+ <.*/, "#0", line)
                print "\t" line
            }
        }
        /^[0-9a-f]+ <.*>:$/ { finish(); name = $2; gsub(/[<>:]/, "", name); count = 0; split("", index_of); split("", target); next }
        /^ *[0-9a-f]+:\t/ {
            split($0, part, ":\t"); address = part[1]; gsub(/ /, "", address)
            count++
            text[count] = substr($0, index($0, ":\t") + 2)
            sub(/[ \t]*\/\/.*/, "", text[count])
            index_of[address] = count
            target[count] = match(text[count], /[0-9a-f]+ <[^>]*>$/) ? substr(text[count], RSTART, RLENGTH) : ""
            sub(/ <.*/, "", target[count])
            if (text[count] ~ /^(bl|blr|adr|adrp)\t/) target[count] = ""
        }
        END { finish() }'
}

# cycles CPU < loop : cycles of one pass
cycles() {
    "$mca" -march=aarch64 -mcpu="$1" -mattr=+dotprod,+i8mm -iterations=100 2>/dev/null | awk '/^Total Cycles:/ { printf "%.1f", $3 / 100 }'
}

# report OBJECT FUNCTION CPU... : lines "function<TAB>multiply-adds<TAB>instructions<TAB>cpu<TAB>cycles<TAB>cycles per multiply-add"
report() {
    local object=$1 function=$2 name work size loop count
    shift 2
    while IFS=$'\t' read -r name work size; do
        loop=$(loops "$object" "$name" | sed -n 's/^\t//p')
        for cpu in "$@"; do
            count=$(cycles "$cpu" <<<"$loop")
            printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$work" "$size" "$cpu" "$count" \
                "$(awk -v c="$count" -v w="$work" 'BEGIN { printf "%.4f", c / w }')"
        done
    done < <(loops "$object" "$function" | grep -v $'^\t')
}

if [ "${1:-}" = --all ]; then
    echo "| kernel | level | instructions | multiply-adds | core | cycles | cycles per multiply-add |"
    echo "|---|---|---:|---:|---|---:|---:|"
    for level in neon dotprod; do
        cores=cortex-a76
        if [ "$level" = neon ]; then cores="cortex-a53 cortex-a72"; fi
        find "$2" -path "*gemlet-$level.dir/*" \( -name 'conv.c.o*' -o -name 'matrix*.c.o*' \) | sort | while read -r object; do
            family=$(basename "$object" | sed 's/\.c\.o.*//')
            # shellcheck disable=SC2086
            report "$object" - $cores | awk -F'\t' -v f="$family" -v l="$level" '{ print "| " f " " $1 " | " l " | " $3 " | " $2 " | " $4 " | " $5 " | " $6 " |" }'
        done
    done
elif [ $# -ge 1 ]; then
    object=$1
    function=${2:--}
    shift $(($# < 2 ? $# : 2))
    report "$object" "$function" "${@:-cortex-a72}"
else
    sed -n '2,5p' "$0" >&2
    exit 2
fi
