#!/usr/bin/env bash
# usage: readme.sh CC BUILD
# The program in README.md compiles against the headers as they are, and answers with the demo model.
set -euo pipefail
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >"$work/readme.c"
grep -q 'int main' "$work/readme.c"
"$1" -std=c11 -O2 -Wall -Wextra -Werror -Iinclude "$work/readme.c" "$2/libgemlet-posix.a" "$2/libgemlet.a" -lm -pthread -o "$work/readme"
cp examples/demo/demo.gguf "$work/model.gguf"
cd "$work"
answer=$(./readme)
[[ $answer == [A-Z]*. ]] || { echo "$root/README.md: its program answers \"$answer\", expected a sentence"; exit 1; }
