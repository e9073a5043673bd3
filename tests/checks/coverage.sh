#!/usr/bin/env bash
# How many lines the tests run (but for the longest), by folder, and how many branches of what reads strangers' bytes they take both ways,
# counted in a build of their own; fails where it is less than 90 % of the library's lines or 95 % of those branches.
set -euo pipefail
build=build/coverage
cmake --preset coverage >/dev/null
cmake --build --preset coverage -j 2 >$build/build.log || { tail -n 60 $build/build.log; exit 1; }
find $build -name '*.gcda' -delete
ctest --test-dir $build -j 2 --output-on-failure -E '/check/|/robust/(arena|faults|limits|long)' >$build/tests.log || { tail -n 60 $build/tests.log; exit 1; }
# Threads that run the same lines at once may leave a count below zero, which gcovr would stop at.
gcovr --gcov-ignore-parse-errors -r . $build --filter core/ --filter model/ --filter port/ --exclude-unreachable-branches --txt $build/lines.txt \
    --json-summary $build/summary.json --json $build/branches.json
python3 - $build/summary.json $build/branches.json <<'PYTHON'
import json, os, re, sys
from collections import Counter

LINES, BRANCHES = 90.0, 95.0
PARSERS = r"model/(container|tokenizer|session|chat)/|core/(arena|status|text|utf8|crc32|carver)\.c|model/audio/mel\.c|model/vision/resize\.c"
covered, lines = Counter(), Counter()
for file in json.load(open(sys.argv[1]))["files"]:
    folder = os.path.dirname(file["filename"])
    for name in [folder] + ["library"] * (folder.startswith(("core", "model")) and folder != "model/pack"):
        covered[name] += file["line_covered"]
        lines[name] += file["line_total"]
for name in sorted(lines):
    print("%-24s %5d of %5d lines, %5.1f %%" % (name, covered[name], lines[name], 100.0 * covered[name] / lines[name]))
taken, branches, missing = Counter(), Counter(), []
for file in json.load(open(sys.argv[2]))["files"]:
    if re.match(PARSERS, file["file"]):
        for line in file["lines"]:
            counts = [branch["count"] for branch in line["branches"]]
            for name in (file["file"], "all of these"):
                taken[name] += sum(count > 0 for count in counts)
                branches[name] += len(counts)
            missing += [f"{file['file']}:{line['line_number']}"] if 0 in counts else []
for name in sorted(branches, key=lambda name: (name == "all of these", name)):
    if branches[name] > 0:
        print("%-30s %5d of %5d branches, %5.1f %%" % (name, taken[name], branches[name], 100.0 * taken[name] / branches[name]))
if lines["library"] < 1000 or 100.0 * covered["library"] < LINES * lines["library"]:
    sys.exit("the library must reach %.0f %%; build/coverage/lines.txt names the lines that no test runs" % LINES)
if branches["all of these"] < 1000 or 100.0 * taken["all of these"] < BRANCHES * branches["all of these"]:
    sys.exit("these must reach %.0f %% of branches; lines with branches that are never taken: %s" % (BRANCHES, " ".join(missing)))
PYTHON
