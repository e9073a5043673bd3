#!/usr/bin/env bash
# Run by ClusterFuzzLite: targets, seeds and dictionaries to $OUT.
set -euo pipefail
# Where targets run, there is what stands in $OUT and no package of this image: the libraries go along, with those that they need (hence an
# RPATH, which counts for these too).
ENGINE="$LIB_FUZZING_ENGINE -Wl,--disable-new-dtags,-rpath,\$ORIGIN/lib" bash tests/fuzz/build.sh build/clusterfuzz
mkdir -p "$OUT/lib"
for target in tests/*/fuzz_*.c; do
    name=$(basename "$target" .c)
    name=${name#fuzz_}
    cp "build/clusterfuzz/fuzz_$name" "$OUT/"
    ldd "$OUT/fuzz_$name" | awk '$2 == "=>" && $3 ~ /^\// && $1 !~ /^(libc|libm|libpthread|libdl|librt|libresolv)\.so/ { print $3 }' | xargs -r cp -Lut "$OUT/lib"
    corpus=$(dirname "$target")/corpus/$name
    [ ! -d "$corpus" ] || zip -jqr "$OUT/fuzz_${name}_seed_corpus.zip" "$corpus"
    [ ! -e "tests/fuzz/dictionaries/$name.dict" ] || cp "tests/fuzz/dictionaries/$name.dict" "$OUT/fuzz_$name.dict"
done
mkdir -p "$OUT/tests"
cp -r tests/data "$OUT/tests/" # of the models that targets pack
