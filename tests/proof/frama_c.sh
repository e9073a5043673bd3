#!/usr/bin/env bash
# usage: frama_c.sh [NAME...]
# Proofs by Frama-C (Debian: frama-c-base; for the second kind why3 and cvc4, too).
#   tests/proof/eva/NAME.c: no run-time error, by abstract interpretation, within the bounds that the harness states.  Every alarm and every
#   property that is not proven is a failure, but for as many as the harness explains.
#   tests/proof/wp/NAME.c: contracts of functions, for all values, by weakest preconditions; and that no unsigned number wraps.
# Skipped (77) where they are not installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v frama-c >/dev/null && command -v cvc4 >/dev/null || { echo "frama-c, why3 and cvc4 are not all installed"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ulimit -s unlimited 2>/dev/null || true # Eva recurses as deep as the program is long
failed=0

line_of() { # WORD HARNESS: what stands behind "WORD:" in its first comment
    sed -n "s#^\(/\*\| \*\) $1: ##p" "$2"
}

frama_c() { # NAME OPTION...
    local name=$1
    shift
    frama-c -machdep gcc_x86_64 -cpp-extra-args="-I. -Iinclude '-D_Static_assert(...)='" "$@" >"$work/$name" 2>&1 || { tail -n 20 "$work/$name"; exit 1; }
}

eva() { # NAME HARNESS
    local options sources explained alarms valid unknown reached begin=$SECONDS
    read -ra sources <<<"$(line_of sources "$2")"
    read -ra options <<<"$(line_of options "$2")"
    explained=$(sed -n 's#^/\* explained \([0-9]*\):.*#\1#p' "$2")
    frama_c "$1" -eva -eva-msg-key=-final-states,-initial-state "${options[@]}" "$2" "${sources[@]}"
    alarms=$(sed -n 's/^ *\([0-9]*\) alarms\{0,1\} generated.*/\1/p' "$work/$1")
    read -r valid unknown < <(awk '/^ *(Assertions|Preconditions) +[0-9]+ valid/ { valid += $2; unknown += $4 + $6 } END { print valid, unknown }' "$work/$1")
    reached=$(sed -n 's/.* \([0-9]* statements reached (out of [0-9]*)\).*/\1/p' "$work/$1")
    echo "eva $1: ${alarms:-no} alarms, $valid properties proven, $unknown not, ${explained:-0} explained; $reached; $((SECONDS - begin)) s"
    if [ "$alarms" != 0 ] || [ "$unknown" != "${explained:-0}" ] || [ "$valid" = 0 ]; then
        grep -A2 'eva:alarm' "$work/$1" || true
        failed=1
    fi
}

wp() { # NAME HARNESS
    local functions proven all begin=$SECONDS
    functions=$(line_of prove "$2")
    frama_c "$1" -wp -wp-rte -warn-unsigned-overflow -wp-split -wp-prover cvc4 -wp-timeout 60 -wp-fct "${functions// /,}" "$2"
    read -r proven all < <(sed -n 's#^\[wp\] Proved goals: *\([0-9]*\) / \([0-9]*\)$#\1 \2#p' "$work/$1")
    echo "wp $1: $proven of $all goals proven, of $(wc -w <<<"$functions") functions; $((SECONDS - begin)) s"
    if [ "$proven" != "$all" ] || [ "$all" = 0 ]; then
        grep -E 'Goal .*: (Unknown|Timeout|Failed)' "$work/$1" || true
        failed=1
    fi
}

export WHY3CONFIG=$work/why3.conf
[ ! -x "$(command -v why3)" ] || why3 config detect >/dev/null 2>&1
for kind in eva wp; do
    for harness in tests/proof/$kind/*.c; do
        name=$(basename "$harness" .c)
        case " ${*:-$name} " in *" $name "*) "$kind" "$name" "$harness" ;; esac
    done
done
exit $failed
