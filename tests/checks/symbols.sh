#!/usr/bin/env bash
# usage: symbols.sh LIBRARY NM OBJDUMP
# libgemlet.a needs nothing but a few functions of C and of libm, defines no name that is not its own, and has no static mutable data.
set -euo pipefail
export LC_ALL=C # sort and comm must agree
library=$1 nm=$2 objdump=$3

# What the board must provide, and no more, is declared there.  The linker itself makes the table of addresses that position-independent
# code looks functions up in.
allowed=$({ sed -nE 's/^[a-z].*[ *]([a-z0-9]+)\(.*\);$/\1/p' toolchains/bare-metal/include/{string,math}.h; echo _GLOBAL_OFFSET_TABLE_; } | sort -u)
failed=0

$nm --defined-only -g "$library" | awk 'NF == 3 { print $3 }' | sort -u >"$library.defined"
$nm -u "$library" | awk 'NF == 2 { print $2 }' | sort -u >"$library.undefined"
[ -s "$library.defined" ] || { echo "$library: no symbols found"; exit 1; }

unexpected=$(comm -23 "$library.undefined" "$library.defined" | comm -23 - <(echo "$allowed"))
if [ -n "$unexpected" ]; then
    printf 'libgemlet.a needs functions outside the allowed list:\n'
    for symbol in $unexpected; do
        printf '  %s, wanted by%s\n' "$symbol" "$($nm -A -u "$library" | awk -v s="$symbol" '$NF == s { sub(/^[^:]*:/, "", $1); sub(/:.*/, "", $1); printf " %s", $1 }')"
    done
    failed=1
fi

foreign=$(grep -v '^gemlet_' "$library.defined" || true)
if [ -n "$foreign" ]; then
    printf 'libgemlet.a defines names that do not start with gemlet_:\n%s\n' "$foreign"
    failed=1
fi

# Objects in .data and .bss; .data.rel.ro is constant: tables of addresses that a position-independent program fills in when it is
# loaded.  (gcc keeps pools of nameless constants in .data.)
mutable=$($objdump -t "$library" | awk '/^[^ ]+: / { file = $1 } / O (\.data|\.bss|\.tdata|\.tbss|\*COM\*)/ && !/\.data\.rel\.ro/ { print "  " file " " $NF }')
if [ -n "$mutable" ]; then
    printf 'libgemlet.a has static mutable data:\n%s\n' "$mutable"
    failed=1
fi
exit $failed
