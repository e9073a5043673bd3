#!/usr/bin/env bash
# usage: eva.sh [NAME...]
# No run-time error, proven by abstract interpretation: Frama-C's Eva (Debian: frama-c-base, 860 MB with what it needs, which is why it is
# not installed by packages.sh) on the harnesses of tests/proof/eva, each of which says its bounds.  Every alarm and every property
# that is not proven is a failure, but for as many as the harness explains.  Skipped (77) where there is no Frama-C.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v frama-c >/dev/null || { echo "frama-c is not installed"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
for harness in tests/proof/eva/*.c; do
    name=$(basename "$harness" .c)
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    read -ra sources <<<"$(sed -n 's#^/\* sources: ##p' "$harness")"
    read -ra options <<<"$(sed -n 's#^ \* options: ##p' "$harness")"
    explained=$(sed -n 's#^/\* explained \([0-9]*\):.*#\1#p' "$harness")
    begin=$SECONDS
    frama-c -machdep gcc_x86_64 -cpp-extra-args="-I. -Iinclude '-D_Static_assert(...)='" -eva -eva-msg-key=-final-states,-initial-state \
        "${options[@]}" "$harness" "${sources[@]}" >"$work/$name" 2>&1 || { tail -n 20 "$work/$name"; exit 1; }
    alarms=$(sed -n 's/^ *\([0-9]*\) alarms\{0,1\} generated.*/\1/p' "$work/$name")
    read -r valid unknown < <(awk '/^ *(Assertions|Preconditions) +[0-9]+ valid/ { valid += $2; unknown += $4 + $6 } END { print valid, unknown }' "$work/$name")
    reached=$(sed -n 's/.* \([0-9]* statements reached (out of [0-9]*)\).*/\1/p' "$work/$name")
    echo "$name: ${alarms:-no} alarms, $valid properties proven, $unknown not, ${explained:-0} explained; $reached; $((SECONDS - begin)) s"
    if [ "$alarms" != 0 ] || [ "$unknown" != "${explained:-0}" ] || [ "$valid" = 0 ]; then
        grep -A2 'eva:alarm' "$work/$name" || true
        failed=1
    fi
done
exit $failed
