#!/usr/bin/env bash
# usage: symbols.sh LIBRARY NM OBJDUMP
# libgemlet.a needs nothing but the functions below, defines no name that is not its own, and has no static mutable data.
set -euo pipefail
library=$1 nm=$2 objdump=$3

memory='memcmp memcpy memmove memset strlen'
mathematics='ceil ceilf cosf cos exp exp2f expf floor floorf fma fmaf fmaxf fminf ldexpf log log2f logf lrintf nearbyint nearbyintf pow powf
    rint rintf round roundf sin sinf sqrt sqrtf tanh tanhf trunc truncf'
failed=0

$nm --defined-only -g "$library" | awk 'NF == 3 { print $3 }' | sort -u >"$library.defined"
$nm -u "$library" | awk 'NF == 2 { print $2 }' | sort -u >"$library.undefined"
[ -s "$library.defined" ] || { echo "$library: no symbols found"; exit 1; }

unexpected=$(comm -23 "$library.undefined" "$library.defined" | comm -23 - <(printf '%s\n' $memory $mathematics | sort -u))
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
