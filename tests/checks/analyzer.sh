#!/usr/bin/env bash
# usage: analyzer.sh BUILD_DIRECTORY
# gcc's static analyzer over the library, the ports and the programs, with the build's own flags but less optimisation: inlining makes
# paths that no one wrote.  (On NEON gcc 12 analyses with -O2, and fails with an internal error with -O1; and it does not see that an
# assembler statement writes its outputs, so that uninitialised values are clang-tidy's there.)
set -euo pipefail
build=$1

analyze() {
    local directory=$1 command=$2 output
    output=$(cd "$directory" && bash -c "$command -Werror -fanalyzer -o /dev/null" 2>&1) || {
        printf '%s\n' "$output" | grep -E '(warning|error):' | sort -u
        return 1
    }
}
export -f analyze
python3 - "$build" <<'PYTHON' | xargs -0 -n 2 -P 2 bash -c 'analyze "$@"' analyze
import json, re, sys

for entry in json.load(open(sys.argv[1] + "/compile_commands.json")):
    if "/tests/" not in entry["file"]:
        level = " -O2 -Wno-analyzer-use-of-uninitialized-value" if "/core/neon/" in entry["file"] else " -O1"
        command = re.sub(r" -o \S+", "", re.sub(r"^\S*ccache ", "", entry["command"])) + level
        print(entry["directory"], command, sep="\0", end="\0")
PYTHON
