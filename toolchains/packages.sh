#!/usr/bin/env bash
# usage: packages.sh [all|demo]
# Installs the Debian 12 packages that are missing, as root or with sudo: all that building and testing need, or what examples/demo.sh
# needs. Does nothing where all are there.
set -euo pipefail
machine=$(dpkg --print-architecture)
case ${1:-all} in
all)
    packages=(cmake cppcheck gcovr ninja-build gcc g++ clang clang-format-14 clang-tidy-14 libclang-rt-14-dev pkg-config libsimde-dev
        libcmocka-dev libcjson-dev libjpeg-dev libpng-dev libwebp-dev libsndfile1-dev libsamplerate0-dev libmicrohttpd-dev libjpeg-turbo-progs gcc-aarch64-linux-gnu g++-aarch64-linux-gnu qemu-user
        qemu-system-arm picolibc-aarch64-linux-gnu llvm-19 clang-19 libclang-rt-19-dev musl-tools frama-c-base why3 cvc4 dpkg-dev groff-base python3 python3-venv chromium
        espeak-ng)
    [ "$machine" = arm64 ] || packages+=(libc6-dev:arm64 libcmocka-dev:arm64 libcjson-dev:arm64 libjpeg-dev:arm64 libpng-dev:arm64
        libwebp-dev:arm64 libsndfile1-dev:arm64 libsamplerate0-dev:arm64 libmicrohttpd-dev:arm64)
    ;;
demo)
    packages=(cmake ninja-build)
    if [ "$machine" = arm64 ]; then
        packages+=(gcc libc6-dev libjpeg-dev libsndfile1-dev)
    else
        packages+=(gcc-aarch64-linux-gnu qemu-user libc6-dev:arm64 libjpeg-dev:arm64 libsndfile1-dev:arm64)
    fi
    ;;
*)
    echo "packages.sh: expected all or demo, found \"$1\"" >&2
    exit 2
    ;;
esac
# A name alone means this machine's package, and not another architecture's that happens to be there.
is_installed() { # NAME[:ARCHITECTURE]
    local architecture=$machine
    [ "$1" = "${1%:*}" ] || architecture=${1##*:}
    dpkg-query -W -f '${Architecture} ${db:Status-Status}\n' "${1%:*}" 2>/dev/null | grep -qxE "($architecture|all) installed"
}

missing=()
for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing ${missing[*]}"
    root=()
    [ "$(id -u)" = 0 ] || root=(sudo)
    [ "$machine" = arm64 ] || "${root[@]}" dpkg --add-architecture arm64
    "${root[@]}" apt-get update -q
    DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}" </dev/null
fi
