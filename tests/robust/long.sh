#!/usr/bin/env bash
# 200 images and 10,000 tokens in one process under emulation, which takes some minutes: too long for CI, which runs a few rounds of the
# same.  Needs the build of preset aarch64; arguments: ROUNDS TOKENS of each.
set -euo pipefail
cd "$(dirname "$0")/../.."
. toolchains/emulator.sh
exec "${emulator[@]}" -cpu max build/aarch64/tests/robust-long "${1:-200}" "${2:-50}"
