#!/usr/bin/env bash
# Who may include what: core knows no model, the library knows no operating system, only core/neon knows NEON.
set -euo pipefail
source tests/checks/sources.sh
failed=0

# check DESCRIPTION ALLOWED FILE...: each #include of the files must match the regular expression ALLOWED.
check() {
    local description=$1 allowed=$2
    shift 2
    [ $# -gt 0 ] || return 0
    local found
    found=$(grep -nHE '^[[:space:]]*#[[:space:]]*include' "$@" | grep -vE "include[[:space:]]*($allowed)" || true)
    if [ -n "$found" ]; then
        printf '%s:\n%s\n' "$description" "$found"
        failed=1
    fi
}

plain='<(float|limits|math|stdbool|stddef|stdint|string)\.h>'
mapfile -t core < <(c_files core | grep -v '^core/neon/')
mapfile -t neon < <(c_files core/neon)
mapfile -t model < <(c_files model | grep -v '^model/pack/')
mapfile -t pack < <(c_files model/pack)
mapfile -t ports < <(c_files port)
mapfile -t rest < <(c_files examples tests)

check 'core includes plain C headers, core and port.h only' "$plain|\"core/|\"port/port\.h\"" "${core[@]}"
check 'core/neon includes NEON (or what stands in for it), plain C headers and core only' \
    "$plain|<arm_neon\.h>|<simde/arm/neon\.h>|\"core/" "${neon[@]}"
check 'model includes plain C headers, core, model and port.h only' "$plain|\"core/|\"model/|\"port/port\.h\"" "${model[@]}"

# forbid DESCRIPTION PATTERN FILE...
forbid() {
    local description=$1 pattern=$2 found
    shift 2
    found=$(grep -nHE "^[[:space:]]*#[[:space:]]*include[[:space:]]*$pattern" "$@" || true)
    if [ -n "$found" ]; then
        printf '%s:\n%s\n' "$description" "$found"
        failed=1
    fi
}

forbid 'only core/neon includes arm_neon.h' '[<"](arm_neon|simde/.*)\.h[>"]' "${pack[@]}" "${ports[@]}" "${rest[@]}"
forbid 'the library proper does not reach into the packer' '"model/pack/' "${core[@]}" "${neon[@]}" "${model[@]}"
exit $failed
