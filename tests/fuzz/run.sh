#!/bin/sh
# Fuzzes each target (tests/*/fuzz_NAME.c) under address and undefined sanitizers: tests/fuzz/run.sh [SECONDS [NAME...]]
# Seeds are in corpus/NAME beside the target; what is found goes to OUT (default: build/fuzz).  Needs clang with libFuzzer.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
out=${OUT:-build/fuzz}
clang=${CLANG:-$(command -v clang || command -v clang-14)}
mkdir -p "$out"
flags="-std=c11 -g -O1 -Iinclude -I. -DGEMLET_LEVEL_LIMIT=0 -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L -D_FILE_OFFSET_BITS=64 -ffp-contract=off
       -fsanitize=address,undefined -fno-sanitize-recover=all -fsanitize-coverage-ignorelist=tests/fuzz/uncovered.txt"
sources="$(find core model -name '*.c' ! -path 'core/neon/*') port/posix/*.c
         tests/container/memory_port.c tests/container/forge.c tests/fuzz/sections.c"
for source in tests/*/fuzz_*.c; do
    name=$(basename "$source" .c); name=${name#fuzz_}
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    seeds=$(dirname "$source")/corpus/$name
    objects=$(ls $sources | grep -v /main.c) more=
    if [ "$name" = picture ]; then
        objects="$objects $(ls examples/gemlet/picture*.c) examples/gemlet/image.c examples/camera/motion_jpeg.c"
        more='-DGEMLET_HAVE_JPEG -DGEMLET_HAVE_PNG -DGEMLET_HAVE_WEBP -ljpeg -lpng -lwebp'
    fi
    "$clang" $flags -fsanitize=fuzzer "$source" $objects $more -lcjson -lm -lpthread -o "$out/fuzz_$name"
    mkdir -p "$out/$name" "$out/found"
    echo "== $name: $seconds s"
    "$out/fuzz_$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=200000 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$out/found/$name-" "$out/$name" "$seeds" 2>&1 | grep -E "ERROR|SUMMARY|stat::number_of_executed_units|runtime error|abort|#[0-9]+ 0x" || true
    if ls "$out/found/$name-"* > /dev/null 2>&1; then
        echo "$name: found inputs that fail: $(ls "$out/found/$name-"*)"
        exit 1
    fi
    rm -rf /dev/shm/gemlet-fuzz-* /tmp/gemlet-fuzz-*
done
