#!/usr/bin/env bash
# Run by ClusterFuzzLite: targets, seeds and dictionaries to $OUT.
set -euo pipefail
ENGINE=$LIB_FUZZING_ENGINE bash tests/fuzz/build.sh build/clusterfuzz
for target in tests/*/fuzz_*.c; do
    name=$(basename "$target" .c)
    name=${name#fuzz_}
    cp "build/clusterfuzz/fuzz_$name" "$OUT/"
    corpus=$(dirname "$target")/corpus/$name
    [ ! -d "$corpus" ] || zip -jqr "$OUT/fuzz_${name}_seed_corpus.zip" "$corpus"
    [ ! -e "tests/fuzz/dictionaries/$name.dict" ] || cp "tests/fuzz/dictionaries/$name.dict" "$OUT/fuzz_$name.dict"
done
mkdir -p "$OUT/tests"
cp -r tests/data "$OUT/tests/" # of the models that targets pack
