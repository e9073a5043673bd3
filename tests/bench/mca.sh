#!/usr/bin/env bash
# Cycles of the kernels' innermost loops as llvm-mca 19 models them.
#     tests/bench/mca.sh OBJECT [FUNCTION [CORE]...]   one line per function (all without FUNCTION or with "-") and core
#     tests/bench/mca.sh --all BUILD                   a Markdown table of all kernels in a build folder of the aarch64 preset, and of
#                                                      ggml's where tests/bench/peers.sh has built them
# A function's loop is found in objdump's listing: of the backward branches that enclose no other, the one with the most
# multiply-adds, counted by instruction (SMMLA 32, SDOT 16, SMULL and SMLAL 8; FMLA 4 where there are none of these).  llvm-mca's cycles
# are those of the loop repeated, with every load a hit in the nearest cache.  Its models in order (Cortex-A53, A55, A510) also make an
# instruction wait until it would end after the one before it, and count an LDP of two vectors on A55 as six cycles.
set -euo pipefail

objdump=${OBJDUMP:-aarch64-linux-gnu-objdump}
mca=${LLVM_MCA:-$(command -v llvm-mca-19 || true)}
if [ -z "$mca" ]; then
    echo "mca.sh: llvm-mca-19 is not installed" >&2
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
        function float_work(text) {
            return text ~ /^fml[as]\tv[0-9]+\.4s/ ? 4 : 0
        }
        function finish(    best, i, from, sum, float) {
            if (name == "" || (wanted != "-" && wanted != name)) return
            best = 0
            for (i = 1; i <= count; i++) {
                if (target[i] == "" || !(target[i] in index_of) || index_of[target[i]] > i) continue
                from = index_of[target[i]]
                sum = float = 0
                for (k = from; k <= i; k++) {
                    sum += work(text[k])
                    float += float_work(text[k])
                    if (k < i && (target[k] in index_of) && index_of[target[k]] >= from && index_of[target[k]] <= k) sum = float = -1e9
                }
                if (sum == 0) sum = float
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
        /^[0-9a-f]+ <.*>:$/ { finish(); name = $2; gsub(/[<>:]/, "", name); sub(/\.isra\..*/, "", name); count = 0; split("", index_of); split("", target); next }
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

# The cores that run a level, and all.
declare -A cores_of=([neon]="cortex-a53 cortex-a72" [dotprod]="cortex-a55 neoverse-n1" [i8mm]="cortex-a510 neoverse-n2")
all_cores=(cortex-a53 cortex-a72 cortex-a55 neoverse-n1 cortex-a510 neoverse-n2)

# figure OBJECT FUNCTION CORE COLUMN of a report
figure() {
    [ ! -f "$1" ] || report "$1" "$2" "$3" | awk -F'\t' -v c="$4" '{ print (c == 3 ? sprintf("%.3f", $3 / $2) : sprintf("%.4f", $6)) }'
}

# row NAME LEVEL OBJECT FUNCTION CORES [PEER-OBJECT PEER-FUNCTION] : one line of the table
row() {
    local line core ours peer
    line="| $1 | $2 | $(figure "$3" "$4" cortex-a72 3) |"
    for core in "${all_cores[@]}"; do
        ours=
        case " $5 " in *" $core "*)
            ours=$(figure "$3" "$4" "$core" 6)
            peer=$([ $# -lt 7 ] || figure "$6" "$7" "$core" 6)
            ours="$ours${peer:+ / $peer}"
            ;;
        esac
        line="$line $ours |"
    done
    echo "$line"
}

# objects_of BUILD LEVEL : where the compiler put the level's objects
objects_of() {
    dirname "$(find "$1" -path "*gemlet-$2.dir*" -name matrix.c.o | head -n 1)"
}

# all BUILD : the table
all() {
    local level number=0 objects type peers=build/peers name function forms
    echo "| kernel | level | instructions | Cortex-A53 | Cortex-A72 | Cortex-A55 | Neoverse N1 | Cortex-A510 | Neoverse N2 |"
    echo "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for level in neon dotprod i8mm; do
        number=$((number + 1))
        objects=$(objects_of "$1" $level)
        for type in q4_0 q8_0; do
            forms="$peers/quants_1.o ggml_vec_dot_${type}_q8_0 $peers/quants_1.o ggml_vec_dot_${type}_q8_0"
            [ $level != dotprod ] || forms="$peers/repack_2.o ggml_gemm_${type}_4x4_q8_0 $peers/repack_2.o ggml_gemv_${type}_4x4_q8_0"
            [ $level != i8mm ] || forms="$peers/repack_3.o ggml_gemm_${type}_4x8_q8_0 $peers/repack_3.o ggml_gemv_${type}_4x8_q8_0"
            # shellcheck disable=SC2086
            set -- "$1" $forms
            row "$type x many" $level "$objects/matrix.c.o" "${type}_times_many" "${cores_of[$level]}" "$2" "$3"
            row "$type x 4" $level "$objects/matrix.c.o" "${type}_times_4" "${cores_of[$level]}"
            row "$type x 1" $level "$objects/matrix.c.o" "${type}_times_1" "${cores_of[$level]}" "$4" "$5"
        done
        for type in w2 w4 w8; do
            for form in many 4 1; do
                row "$type x $form" $level "$objects/row_scaled.c.o" "${type}_times_$form" "${cores_of[$level]}"
            done
        done
        for type in q4_0 q8_0; do
            row "$type sparse rows" $level "$objects/matrix_sparse.c.o" "${type}_rows" "${cores_of[$level]}"
        done
        row "sparse columns" $level "$objects/matrix_sparse.c.o" "gemlet_multiply_columns_$level" "${cores_of[$level]}"
        row "int8 convolution" $level "$objects/conv.c.o" multiply_range "${cores_of[$level]}"
    done
    objects=$(objects_of "$1" neon)
    for name in dot mix; do
        row "attention, float: $name" all "$objects/real_rows.c.o" gemlet_real_${name}_neon "${all_cores[*]}"
    done
    for function in row_3_1 row_5_1 row_3_2 row_5_2; do
        row "depthwise ${function:4:1}x${function:4:1} stride ${function:6:1}" all "$objects/real_depthwise.c.o" $function "${all_cores[*]}"
    done
}

if [ "${1:-}" = --all ]; then
    cd "$(dirname "$0")/../.."
    all "$2"
elif [ $# -ge 1 ]; then
    object=$1
    function=${2:--}
    shift $(($# < 2 ? $# : 2))
    report "$object" "$function" "${@:-cortex-a72}"
else
    sed -n '2,6p' "$0" >&2
    exit 2
fi
