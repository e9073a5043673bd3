#!/usr/bin/env bash
# Everything that is checked, from a fresh clone: builds for this machine, for it under sanitizers (of threads: what has some), and for
# aarch64, and runs all tests and checks in one ctest run, whose summary is the last thing printed.  Arguments go to ctest:
# tests/run.sh -R arena
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C.UTF-8 # what tools say is read

bash toolchains/packages.sh

# --- Build -------------------------------------------------------------------------------------------------------------------------
mkdir -p build
log=build/build.log
: >$log
for preset in host asan tsan aarch64; do
    echo "building $preset"
    { cmake --preset "$preset" && cmake --build --preset "$preset" -j 2; } >>$log 2>&1 || {
        tail -n 60 $log
        echo "building $preset failed; the whole log is $log"
        exit 1
    }
done

# --- Tests: one ctest run over the builds; each has put its tests and checks into its own directory --------------------------------
printf 'subdirs(%s)\n' host asan tsan aarch64 >build/CTestTestfile.cmake
exec ctest --test-dir build -j 2 --output-on-failure "$@"
