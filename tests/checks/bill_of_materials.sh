#!/usr/bin/env bash
# usage: bill_of_materials.sh BUILD_DIRECTORY READELF NM
# The build's bill of materials says that the library depends on nothing, and names every shared library of the programs with version
# and licence.
set -euo pipefail
build=$1 readelf=$2 nm=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
needed=$("$readelf" -d "$build/gemlet" "$build/gemlet-pack" | grep -c NEEDED)
python3 - "$build/gemlet.cdx.json" "$needed" <<'PYTHON'
import json, sys

bill = json.load(open(sys.argv[1]))
components = {c["bom-ref"]: c for c in bill["components"]}
depends = {d["ref"]: d["dependsOn"] for d in bill["dependencies"]}
problems = []
if depends["libgemlet.a"]:
    problems.append("libgemlet.a depends on %s" % depends["libgemlet.a"])
for name in ("libgemlet.a", "gemlet", "gemlet-pack"):
    if len(components[name]["hashes"][0]["content"]) != 64:
        problems.append("%s has no SHA-256" % name)
others = [c for c in components.values() if "hashes" not in c]
for c in others:
    if "licenses" not in c or "version" not in c:
        problems.append("%s has no licence or version: describe it in cmake/bill_of_materials.py" % c["name"])
if not 1 <= len(others) <= int(sys.argv[2]):
    problems.append("%d shared libraries, but the programs name %s" % (len(others), sys.argv[2]))
print("gemlet.cdx.json:", ", ".join("%s %s" % (c["name"], c.get("version")) for c in others))
sys.exit("\n".join(problems) or 0)
PYTHON

# A readelf that speaks the user's language names the same.
cat >"$work/readelf" <<'READELF'
#!/bin/sh
[ "${LC_ALL:-}" = C ] && exec "$THE_READELF" "$@"
"$THE_READELF" "$@" | sed 's/Machine:/Maskin:/; s/Shared library/Delat bibliotek/'
READELF
chmod +x "$work/readelf"
version=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["metadata"]["component"]["version"])' "$build/gemlet.cdx.json")
THE_READELF=$readelf LC_ALL=C.UTF-8 python3 cmake/bill_of_materials.py "$work/bill" "$version" "$nm" "$work/readelf" "$build/libgemlet.a" "$build/gemlet" "$build/gemlet-pack"
cmp "$work/bill" "$build/gemlet.cdx.json"
