#!/usr/bin/env bash
# Every C file is as clang-format (version 14, .clang-format) writes it.
set -euo pipefail
source tests/checks/sources.sh
c_files | xargs clang-format-14 --dry-run -Werror
