#!/usr/bin/env bash
# Modified condition / decision coverage of the arena and the container, by clang 19: which conditions have been shown to decide by themselves.
# Reported, with nothing asked of it.
set -euo pipefail
build=build/mcdc
clang=clang-19
for tool in $clang llvm-cov-19 llvm-profdata-19; do
    command -v $tool >/dev/null || { echo "MC/DC: $tool is not installed"; exit 77; }
done
tests="unit/test_arena container/test_container container/test_broken proof/test_bounds proof/test_session proof/test_session_state proof/test_session_images proof/test_session_choices proof/test_session_sounds proof/test_ports robust/test_refusals"
flags=(-std=c11 -O1 -g -Iinclude -I. -DGEMLET_LEVEL_LIMIT=0 -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L -D_FILE_OFFSET_BITS=64 -ffp-contract=off)
mkdir -p $build
mapfile -t sources < <(find core model port/posix -name '*.c' ! -path 'core/neon/*' ! -path '*/main.c'; find tests/container tests/robust tests/support tests/kernels tests/proof -maxdepth 1 -name '*.c' ! -name 'test_*')
counted=(core/arena.c model/container/*.c)
compile() { # SOURCE BUILD FLAGS...: the named files with their counters
    local source=$1 object=$2/${1//\//_}.o instrument=()
    shift 2
    case $source in core/arena.c | model/container/*) instrument=(-fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc) ;; esac
    [ "$object" -nt "$source" ] && [ "$object" -nt "$newest_header" ] || clang-19 "$@" "${instrument[@]}" -c "$source" -o "$object" || exit 1
}
newest_header=$(find include core model port tests -name '*.h' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2)
export newest_header
export -f compile
printf '%s\n' "${sources[@]}" $(printf 'tests/%s.c\n' $tests) | xargs -P 2 -I{} bash -c 'compile "$@"' compile {} $build "${flags[@]}"
rm -f $build/all.a $build/*.profraw
(cd $build && ar rc all.a $(printf '%s.o ' "${sources[@]//\//_}"))
for test in $tests; do
    program=$build/$(basename "$test")
    $clang -fprofile-instr-generate "$build/tests_${test//\//_}.c.o" $build/all.a -lcmocka -lcjson -lm -lpthread -o "$program"
    LLVM_PROFILE_FILE=$program.profraw "$program" >$build/test.log 2>&1 || { tail -n 20 $build/test.log; exit 1; }
    programs+=(-object "$program")
done
llvm-profdata-19 merge -o $build/all.profdata $build/*.profraw
llvm-cov-19 report "${programs[@]:1}" -instr-profile=$build/all.profdata -show-mcdc-summary -show-region-summary=0 -show-functions=0 "${counted[@]}" >$build/report.txt 2>$build/errors.txt ||
    { cat $build/errors.txt; exit 1; }
awk 'NR == 1 || /\.c / || /^TOTAL/' $build/report.txt | sed 's/  */ /g' | python3 -c '
import sys
for line in sys.stdin:
    parts = line.split()
    if parts and (parts[0].endswith(".c") or parts[0] == "TOTAL") and len(parts) > 3:
        print("%-32s %5d conditions, %5d shown to decide by themselves, %s" % (parts[0], int(parts[-3]), int(parts[-3]) - int(parts[-2]), parts[-1]))'
