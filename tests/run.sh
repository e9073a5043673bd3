#!/usr/bin/env bash
# Everything that is checked, from a fresh clone: builds for this machine, for it under sanitizers, and for aarch64, and runs all tests
# and checks in one ctest run, whose summary is the last thing printed.  Arguments go to ctest: tests/run.sh -R arena
set -euo pipefail
cd "$(dirname "$0")/.."

# --- Packages (Debian 12) ----------------------------------------------------------------------------------------------------------
packages=(cmake ninja-build gcc g++ clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev pkg-config libsimde-dev libcmocka-dev
    libcjson-dev libjpeg-dev gcc-aarch64-linux-gnu g++-aarch64-linux-gnu qemu-user llvm-14 python3)
if [ "$(dpkg --print-architecture)" != arm64 ]; then
    packages+=(libc6-dev:arm64 libcmocka-dev:arm64 libcjson-dev:arm64 libjpeg-dev:arm64)
fi
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing ${missing[*]}"
    root=()
    [ "$(id -u)" = 0 ] || root=(sudo)
    [ "$(dpkg --print-architecture)" = arm64 ] || "${root[@]}" dpkg --add-architecture arm64
    "${root[@]}" apt-get update -q
    DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}" </dev/null
fi

# --- Build -------------------------------------------------------------------------------------------------------------------------
mkdir -p build
log=build/build.log
: >$log
for preset in host asan aarch64; do
    echo "building $preset"
    { cmake --preset "$preset" && cmake --build --preset "$preset" -j 2; } >>$log 2>&1 || {
        tail -n 60 $log
        echo "building $preset failed; the whole log is $log"
        exit 1
    }
done

# --- Tests: one ctest run over the three builds; each has put its tests and checks into its own directory --------------------------
printf 'subdirs(%s)\n' host asan aarch64 >build/CTestTestfile.cmake
exec ctest --test-dir build -j 2 --output-on-failure "$@"
