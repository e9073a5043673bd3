#!/usr/bin/env bash
# usage: readme.sh CC
# The program in README.md compiles against the headers as they are.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >"$work/readme.c"
grep -q 'int main' "$work/readme.c"
"$1" -std=c11 -Wall -Wextra -Werror -I. -fsyntax-only "$work/readme.c"
