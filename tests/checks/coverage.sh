#!/usr/bin/env bash
# How many lines the tests run (but for the longest), by folder, counted in a build of their own; fails where it is less than 90 % of
# the library's.
set -euo pipefail
build=build/coverage
cmake --preset coverage >/dev/null
cmake --build --preset coverage -j 2 >$build/build.log || { tail -n 60 $build/build.log; exit 1; }
find $build -name '*.gcda' -delete
ctest --test-dir $build -j 2 --output-on-failure -E '/check/|/robust/(arena|faults|limits|long)' >$build/tests.log || { tail -n 60 $build/tests.log; exit 1; }
# Threads that run the same lines at once may leave a count below zero, which gcovr would stop at.
gcovr --gcov-ignore-parse-errors -r . $build --filter core/ --filter model/ --filter port/ --txt $build/lines.txt --json-summary $build/summary.json
python3 - $build/summary.json <<'PYTHON'
import json, os, sys
from collections import Counter

REQUIRED = 90.0
covered, lines = Counter(), Counter()
for file in json.load(open(sys.argv[1]))["files"]:
    folder = os.path.dirname(file["filename"])
    for name in [folder] + ["library"] * (folder.startswith(("core", "model")) and folder != "model/pack"):
        covered[name] += file["line_covered"]
        lines[name] += file["line_total"]
for name in sorted(lines):
    print("%-16s %5d of %5d lines, %5.1f %%" % (name, covered[name], lines[name], 100.0 * covered[name] / lines[name]))
if lines["library"] < 1000 or 100.0 * covered["library"] < REQUIRED * lines["library"]:
    sys.exit("the library must reach %.0f %%; build/coverage/lines.txt names the lines that no test runs" % REQUIRED)
PYTHON
