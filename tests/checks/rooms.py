#!/usr/bin/env python3
"""usage: rooms.py BUILD_DIRECTORY NM

Who may know whom.  One table says which room may use which; checked are the #includes of the sources and, in the build's objects, which
file calls what another one defines.  No arrow may lead to a room that the table does not allow, and no files may form a circle.
"""
import re
import subprocess
import sys
from pathlib import Path

C = r"(float|limits|math|stdbool|stddef|stdint|string)\.h"  # what the library may use of C
ANY = r".*"

# A room is a folder (and what lies below it that is no room of its own).  It may use itself, the rooms named, and <system headers>.
ROOMS = {
    "include/gemlet": ("", C),
    "core": ("include/gemlet", C),
    "core/quant": ("core include/gemlet", C),
    "core/neon": ("core core/quant include/gemlet", C + r"|arm_neon\.h|simde/arm/neon\.h"),
    "model/container": ("core core/quant include/gemlet", C),
    "model/tokenizer": ("core include/gemlet", C),
    "model/json": ("core include/gemlet", C),
    "model/grammar": ("model/chat model/json model/tokenizer core include/gemlet", C),
    "model/chat": ("model/json model/tokenizer core include/gemlet", C),
    "model/text": ("model/container core core/quant include/gemlet", C),
    "model/vision": ("model/container core core/quant include/gemlet", C),
    "model/vision/mobilenetv5": ("model/vision model/container core core/quant include/gemlet", C),
    "model/vision/vit": ("model/vision model/container core core/quant include/gemlet", C),
    "model/audio": ("model/container core core/quant include/gemlet", C),
    "model/family": ("model/text model/chat model/audio model/vision model/vision/mobilenetv5 model/vision/vit model/container core core/quant include/gemlet", C),
    "model/session": ("model/family model/text model/chat model/audio model/vision model/tokenizer model/container core core/quant include/gemlet", C),
    "model/pack": ("model/session model/family model/audio model/vision model/vision/vit model/text model/tokenizer model/container core core/quant port/posix include/gemlet", ANY),
    "port/posix": ("include/gemlet", ANY),
    "port/semihosting": ("include/gemlet", C),
    "port/template": ("include/gemlet", C + r"|stdio\.h|stdlib\.h"),
}
# Arrows both ways: core's table of kernels (core/kernels.c) names those of the folders below it.
EXCEPTIONS = {("core", "core/quant"), ("core", "core/neon")}


def room_of(path):
    return max((room for room in ROOMS if path.startswith(room + "/")), key=len, default=None)


def allowed(source, target):
    a, b = room_of(source), room_of(target)
    return a is None or a == b or (b is not None and b in ROOMS[a][0].split()) or (a, b) in EXCEPTIONS


def check_includes(files, faults):
    edges = {}
    for path in files:
        room = room_of(path)
        for number, line in enumerate(Path(path).read_text().splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not found or room is None:
                continue
            name = found[2]
            target = "include/" + name if name.startswith("gemlet/") else name
            if Path(target).exists():
                edges.setdefault(path, set()).add(target)
                if not allowed(path, target):
                    faults.append(f"{path}:{number}: {room} must not include {target}")
            elif found[1] == '"' or not re.fullmatch(ROOMS[room][1], name):
                faults.append(f"{path}:{number}: {room} must not include {name}")
            elif "neon.h" in name and room != "core/neon":
                faults.append(f"{path}:{number}: only core/neon includes {name}")
    return edges


def check_calls(build, nm, faults):
    """The same for symbols: which object defines what another one wants."""
    defined, wanted = {}, {}
    objects = [item for below in ("", "cmake/levels/") for item in Path(build).glob(below + "CMakeFiles/*.dir/**/*.o")]
    for item in sorted(objects):
        parts = [part for part in item.relative_to(build).parts if part != "__"] # how CMake writes ".."
        source = "/".join(parts[parts.index("CMakeFiles") + 2:]).removesuffix(".o")
        if room_of(source) is None:
            continue
        for line in subprocess.run([nm, "-g", str(item)], capture_output=True, text=True, check=True).stdout.splitlines():
            kind, name = line.split()[-2:]
            if kind == "U":
                wanted.setdefault(source, set()).add(name)
            else:
                defined[name] = source
    if not defined:
        sys.exit(f"{build}: no objects found")
    edges = {}
    for source, names in wanted.items():
        for name in names & defined.keys():
            target = defined[name]
            if target != source:
                edges.setdefault(source, set()).add(target)
                if not allowed(source, target):
                    faults.append(f"{source}: {room_of(source)} must not use {name} of {target}")
    return edges


def circles(edges):
    """Groups of files each of which can be reached from the others (Tarjan)."""
    index, low, stack, found, on = {}, {}, [], [], set()

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on.add(node)
        for other in sorted(edges.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = []
            while not group or group[-1] != node:
                group.append(stack.pop())
                on.discard(group[-1])
            if len(group) > 1:
                found.append(sorted(group))

    sys.setrecursionlimit(10000)
    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def main():
    build, nm = sys.argv[1:]
    faults = []
    files = [str(path) for top in ("include", "core", "model", "port") for path in sorted(Path(top).rglob("*.[ch]"))]
    unknown = [path for path in files if room_of(path) is None and Path(path).suffix in (".c", ".h")]
    faults += [f"{path}: is in no room of the table" for path in unknown]
    included, called = check_includes(files, faults), check_calls(build, nm, faults)
    for what, edges in (("include", included), ("call", called)):
        faults += [f"these files {what} each other in a circle: {', '.join(group)}" for group in circles(edges)]
    print("\n".join(faults) if faults else f"{len(files)} files in {len(ROOMS)} rooms, "
          f"{sum(map(len, included.values()))} includes, {sum(map(len, called.values()))} pairs that call: no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
