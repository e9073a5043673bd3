#!/usr/bin/env bash
# What gemlet does, on this machine.  There is no model to run yet: the cost of its kernels, counted.
set -euo pipefail
cd "$(dirname "$0")/.."
exec bash tests/bench/kernels.sh "$@"
