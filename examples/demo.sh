#!/usr/bin/env bash
# What gemlet does, on this machine: installs what is missing, builds for aarch64, and shows what each kernel costs, counted under qemu.
# There is no model to ship yet.
set -euo pipefail
cd "$(dirname "$0")/.."
bash toolchains/packages.sh
exec bash tests/bench/kernels.sh "$@"
