#!/usr/bin/env bash
# usage: build.sh OUT [NAME...]
# Builds the fuzz targets (tests/*/fuzz_NAME.c) as OUT/fuzz_NAME, the library at its scalar level: with CC and CFLAGS, linked with ENGINE,
# as OSS-Fuzz and ClusterFuzzLite set them; without them with clang, its libFuzzer and the address and undefined-behaviour sanitizers.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$1
shift
for name in "$@"; do
    compgen -G "tests/*/fuzz_$name.c" >/dev/null || { echo "build.sh: expected the name of a target (tests/*/fuzz_NAME.c), found $name"; exit 1; }
done
cc=${CC:-$(command -v clang || command -v clang-14)}
read -ra flags <<<"${CFLAGS:--g -O1 -fsanitize=address,undefined,float-cast-overflow,fuzzer-no-link -fno-sanitize-recover=all}"
read -ra engine <<<"${ENGINE:--fsanitize=fuzzer}"
flags+=(-std=c11 -Iinclude -I. -DGEMLET_LEVEL_LIMIT=0 -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L -D_FILE_OFFSET_BITS=64 -ffp-contract=off
    -DGEMLET_HAVE_JPEG -DGEMLET_HAVE_PNG -DGEMLET_HAVE_WEBP -DGEMLET_HAVE_SNDFILE -DGEMLET_HAVE_SAMPLERATE
    -fsanitize-coverage-ignorelist=tests/fuzz/uncovered.txt)
libraries=(-ljpeg -lpng -lwebp -lsndfile -lsamplerate -lcjson -lcmocka -lm -lpthread)
mkdir -p "$out/objects"
# What no target needs: the programs' main files, and what waits for connections and devices.
mapfile -t sources < <(find core model port/posix examples/gemlet examples/camera tests/container tests/fuzz tests/robust tests/support -name '*.c' |
    grep -vE '/neon/|/main\.c$|/(test|fuzz)_[^/]*$|/v4l2|examples/camera/(camera|stream|folder)|serve/(http|serve|slots|exchange|completion|connections|metrics|viewfinder|choose|reply|logits|keys)\.c|gemlet/(run|chat|answer|perplexity|info|dump|interrupt|choices)\.c' | sort)
compile() { # SOURCE OBJECT COMPILER...
    local source=$1 object=$2
    shift 2
    [ "$object" -nt "$source" ] && [ "$object" -nt "$newest_header" ] || "$@" -c "$source" -o "$object"
}
newest_header=$(find include core model port examples tests -name '*.h' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2)
export newest_header
export -f compile
printf '%s\n' "${sources[@]}" | xargs -P 2 -I{} bash -c 'source=$1; object=$2/objects/${source//\//_}.o; shift 2; compile "$source" "$object" "$@"' \
    compile {} "$out" "$cc" "${flags[@]}"
rm -f "$out/objects/all.a"
ar rc "$out/objects/all.a" "$out"/objects/*.o
for target in tests/*/fuzz_*.c; do
    name=$(basename "$target" .c)
    name=${name#fuzz_}
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    "$cc" "${flags[@]}" "${engine[@]}" "$target" "$out/objects/all.a" "${libraries[@]}" -o "$out/fuzz_$name"
done
