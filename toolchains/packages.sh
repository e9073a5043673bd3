#!/usr/bin/env bash
# Installs the Debian 12 packages that building and testing need, as root or with sudo; does nothing where all are there.
set -euo pipefail
packages=(cmake cppcheck ninja-build gcc g++ clang clang-format-14 clang-tidy-14 libclang-rt-14-dev pkg-config libsimde-dev libcmocka-dev
    libcjson-dev libjpeg-dev gcc-aarch64-linux-gnu g++-aarch64-linux-gnu qemu-user qemu-system-arm
    picolibc-aarch64-linux-gnu llvm-14 python3)
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
