#!/usr/bin/env python3
"""usage: sizes.py BUILD_DIRECTORY CC OBJDUMP

What the library takes beside the arena: code and constants by room and by level, the structures that a program declares, and the stack of
each public call on its worst path, for each level: at most 8 KiB.  BUILD_DIRECTORY is a build for AArch64 by gcc with -fcallgraph-info=su.

The stack is added up along the compiler's own call graph.  It has no recursion, which is checked here, so that a path is finite.  Calls
through pointers:
- through a member of a structure: any function that some source puts into a member of that name (.multiply = multiply), at the level and
  below; of a table by its name (gemlet_real_kernels_scalar.multiply), at its level;
- a function that stands in a table without members: below any call through a pointer in its file;
- through a parameter (a sink, a visitor): a function whose address is taken in the code of another one is taken to run below it, at the
  end of the deepest path from there to a call through a parameter; a task, (void *, size_t), of a path to the port's threads, and what
  answers a status, of one to a sink;
- every other name is a fault, so that none is forgotten.
Not counted, as the library can't know it: the port's functions, callbacks of the program, and the C library's (memcpy, sqrtf, ...).
"""
import functools
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/checks"))
import rooms

MOST_STACK = 8192
STRUCTURES = ["gemlet_arena", "gemlet_error", "gemlet_options", "gemlet_memory_plan", "gemlet_sampler", "gemlet_encoder", "gemlet_decoder", "gemlet_reply",
              "gemlet_tokenizer", "gemlet_image", "gemlet_sound"]
INSIDE = ["struct gemlet_model", "struct gemlet_session", "gemlet_container"]


def output_of(*command, **more):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, **more).stdout


def source_of(item, build):
    parts = [part for part in item.relative_to(build).parts if part != "__"]
    return "/".join(parts[parts.index("CMakeFiles") + 2:]).removesuffix(".o").removesuffix(".obj")


LEVELS = ["scalar", "neon", "dotprod", "i8mm"]


def level_of(item):
    found = re.search(r"gemlet-(neon|dotprod|i8mm)\.dir", str(item))
    return found[1] if found else "scalar"


# Names of pointers that are called.  The port's and the program's functions are not counted; what parameters point to is, where its
# address is taken.
NOT_COUNTED = {"run_tasks", "read_at", "open", "close", "size", "map", "reason", "thread_count", "cpu_features", "progress", "watch", "tap",
               "allowed", "listed", "line"}
SINKS = {"sink"} # what answers a gemlet_status
PARAMETERS = {"task", "visit", "row", "go_on", "step", "frame", "line", "panel_function_for", "dot", "mix"}


SCALAR = " of the scalar table"


@functools.cache
def text_of(source):
    return (ROOT / source).read_text()


class Function:
    def __init__(self, name, source, level, own):
        self.name, self.source, self.level, self.own = name, source, LEVELS.index(level), own
        defined = re.search(rf"(\w+) \*?{name.split('.')[0]}(\(void \*\w+, size_t \w+\))? ?[({{]", text_of(source))
        self.kind = "task" if defined and defined[2] else "sink" if defined and defined[1] == "gemlet_status" else "other"
        self.calls, self.taken, self.pointers = set(), set(), set()


def statement_at(place):
    path, line, column = place.rsplit(":", 2)
    text = "\n".join(Path(path).read_text().splitlines()[int(line) - 1:int(line) + 7])[int(column) - 1:]
    return re.split(r"[;{]", text)[0]


def names_called(place):
    """What may be called through a pointer in the statement there: members, and the name that it begins with."""
    text = statement_at(place)
    if text.startswith("(") or text.startswith("?") or text.startswith(":"):
        return set() # one of two functions that the statement names, whose addresses are taken
    first = re.match(r"[\w.\->\[\]\s&*]*?(\w+)\s*\(", text)
    first = None if first and first[1] in ("sqrtf", ) else first
    names = set(re.findall(r"(?:->|\.)(\w+)\s*\(", text)) | ({first[1]} if first else set())
    scalar = set(re.findall(r"_kernels_scalar\.(\w+)\s*\(", text))
    return {name + SCALAR if name in scalar else name for name in names}


def read_graph(item, source, functions):
    """Adds the functions of an object; static ones are told apart by it.  Returns the key of each by its name there."""
    text, key_of = item.with_suffix(".ci").read_text(), {}
    for title, name, kind in re.findall(r'node: \{ title: "([^"]*)" label: "([^\\"]*)\\n[^"]*?\\n(\d+ bytes \(\w+\))', text):
        size, how = kind.split(" bytes ")
        if how != "(static)":
            sys.exit(f"{title}: the stack of this function is not known when it is compiled")
        name = title.rsplit(":", 1)[-1]
        key_of[name] = (str(item), title) if ":" in title else title
        functions[key_of[name]] = Function(name, source, level_of(item), int(size))
    for begin, end, place in re.findall(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"(?: label: "([^"]*)")?', text):
        function = functions[(str(item), begin) if ":" in begin else begin]
        if end == "__indirect_call":
            function.pointers |= {(place, name) for name in names_called(place)}
        else:
            function.calls.add((str(item), end) if ":" in end else end)
    return key_of


def read_addresses(item, objdump, functions, key_of):
    """Whose address is taken where: by code, or in a table of data.  Answers the latter."""
    in_tables, begins = set(), {}
    for line in output_of(objdump, "-t", item).splitlines():
        found = re.match(r"([0-9a-f]+) .{6}F (\.text\S*)\s+([0-9a-f]+)\s+(?:\.hidden )?(\S+)$", line)
        if found:
            begins[(found[2], int(found[1], 16))] = (int(found[3], 16), key_of[found[4]])
    section = ""
    for line in output_of(objdump, "-r", item).splitlines():
        found = re.match(r"RELOCATION RECORDS FOR \[(\S+)\]", line)
        section = found[1] if found else section
        found = re.match(r"([0-9a-f]+) (R_\S+)\s+(\S+?)(?:\+0x([0-9a-f]+))?$", line)
        if not found or re.search("CALL26|JUMP26", found[2]) or not re.match(r"\.(text|data|rodata)", section):
            continue
        at, name, offset = int(found[1], 16), found[3], int(found[4] or "0", 16)
        target = begins.get((name, offset), (0, None))[1] if name.startswith(".text") else key_of.get(name, name)
        if section.startswith(".text"):
            for (there, begin), (size, key) in begins.items():
                if there == section and begin <= at < begin + size and target != key:
                    functions[key].taken.add(target)
        else:
            in_tables.add(target)
    return in_tables


def read_members(functions):
    """Member -> functions that a source puts into one of that name."""
    by_name = defaultdict(set)
    for key, function in functions.items():
        by_name[function.name.split(".")[0]].add(key)
    members = defaultdict(set)
    for path in [*sorted((ROOT / "core").rglob("*.[ch]")), *sorted((ROOT / "model").rglob("*.[ch]"))]:
        for member, level_name, name in re.findall(r"\.(\w+)\s*=\s*&?(GEMLET_LEVEL_NAME\()?(\w+)", path.read_text()):
            for full in [f"{name}_{level}" for level in LEVELS] if level_name else [name]:
                members[member] |= {key for key in by_name[full] if not isinstance(key, tuple) or functions[key].source == str(path.relative_to(ROOT))}
    for member, keys in list(members.items()):
        members[member + SCALAR] = {key for key in keys if functions[key].level == 0}
    return {member: keys for member, keys in members.items() if keys}


def join_tables(functions, members, in_tables):
    """Functions in tables without members: taken by all of their file that call through a pointer."""
    unnamed = (in_tables & functions.keys()) - {key for keys in members.values() for key in keys}
    for key in unnamed:
        for caller in functions.values():
            if caller.source == functions[key].source and caller.level == functions[key].level and caller.pointers:
                caller.taken.add(key)


def worst_paths(functions, members, level):
    """function -> (stack, path), on a core of the level."""
    known, running = {}, []
    sites = {"task": {"run_tasks"}, "sink": SINKS, "other": PARAMETERS} # where functions of each kind are called
    reaching = {kind: {} for kind in sites} # kind -> function -> path
    nothing = (0, [])

    def deepest(targets, paths):
        return max((paths[target] for target in sorted(targets, key=str) if target in functions and paths[target]), key=lambda path: path[0],
                   default=None)

    def joined(*paths):
        return (sum(path[0] for path in paths), [step for path in paths for step in path[1]])

    def visit(name):
        if name in known:
            return
        if name in running:
            sys.exit("the library calls itself: " + " -> ".join(str(n) for n in running[running.index(name):] + [name]))
        running.append(name)
        function = functions[name]
        through = {key for _, member in function.pointers for key in members.get(member, ()) if functions[key].level <= level}
        calls = (function.calls | through) & functions.keys()
        taken = (function.taken - {name}) & functions.keys()
        for target in sorted(calls | taken, key=str):
            visit(target)
        running.pop()
        own = (function.own, [(function.name, function.own)])
        known[name] = joined(own, deepest(calls, known) or nothing)
        for kind, names in sites.items():
            there = {key for key in taken if functions[key].kind == kind}
            on_the_way = deepest(calls, reaching[kind])
            if on_the_way is None and any(member in names for _, member in function.pointers):
                on_the_way = nothing
            known[name] = max(known[name], joined(own, on_the_way or nothing, deepest(there, known) or nothing), key=lambda path: path[0])
            through_others = deepest(there, reaching[kind]) if kind != "task" else None
            reaching[kind][name] = joined(own, on_the_way, through_others or nothing) if on_the_way is not None else None

    sys.setrecursionlimit(10000)
    for name in functions:
        visit(name)
    return known


def check_pointers(functions, members):
    return sorted({f"{place}: a call through a pointer that this script does not know: {name}" for function in functions.values()
              for place, name in function.pointers if name not in members and name not in NOT_COUNTED | SINKS | PARAMETERS and name not in functions})


def public_names():
    text = "".join(re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S) for path in sorted((ROOT / "include/gemlet").glob("*.h")))
    return sorted(set(re.findall(r"\b(gemlet_\w+)\(", text)))


def print_code(objects, build, size):
    rows = defaultdict(lambda: [0, 0, 0])
    for item in objects:
        text, data, bss = (int(number) for number in output_of(size, item).splitlines()[1].split()[:3])
        constants = sum(int(line.split()[1]) for line in output_of(size, "-A", item).splitlines()
                        if re.match(r"\.(rodata|data\.rel\.ro)", line))
        room = rooms.room_of(source_of(item, build))
        row = rows[(room, level_of(item))]
        row[0] += sum(int(line.split()[1]) for line in output_of(size, "-A", item).splitlines() if line.startswith(".text"))
        row[1] += constants
        row[2] += data + bss - sum(int(line.split()[1]) for line in output_of(size, "-A", item).splitlines() if line.startswith(".data.rel.ro"))
    print(f"{'room':28}{'level':>14}{'code':>10}{'constants':>11}{'variables':>11}")
    total = [0, 0, 0]
    for (room, level), row in sorted(rows.items()):
        print(f"{room:28}{level:>14}{row[0]:10}{row[1]:11}{row[2]:11}")
        total = [a + b for a, b in zip(total, row)]
    print(f"{'all':28}{'':14}{total[0]:10}{total[1]:11}{total[2]:11}\n")


def print_structures(cc, nm, build):
    source = '#include <gemlet/chat.h>\n#include <gemlet/image.h>\n#include <gemlet/sampler.h>\n#include <gemlet/sound.h>\n#include "model/session/session.h"\n'
    source += "".join(f"const char s{i}[sizeof({name})] = {{0}};\n" for i, name in enumerate(STRUCTURES + INSIDE))
    made = Path(build) / "structures.o"
    subprocess.run([cc, "-std=c11", "-I", ROOT / "include", "-I", ROOT, "-x", "c", "-c", "-", "-o", str(made)], input=source, text=True, check=True)
    sizes = {line.split()[3]: int(line.split()[1], 16) for line in output_of(nm, "-S", made).splitlines()}
    print(f"{'structure':28}{'bytes':>10}")
    for i, name in enumerate(STRUCTURES + INSIDE):
        print(f"{name:28}{sizes[f's{i}']:10}{'   (in the arena)' if name in INSIDE[:2] else ''}")
    print()


def main():
    build, cc, objdump = Path(sys.argv[1]).resolve(), *sys.argv[2:4]
    size, nm = (re.sub("objdump$", name, objdump) for name in ("size", "nm"))
    objects = [item for below in ("CMakeFiles/gemlet.dir", "cmake/levels/CMakeFiles") for item in sorted((build / below).glob("**/*.c.o*"))]
    functions, in_tables = {}, set()
    for item in objects:
        key_of = read_graph(item, source_of(item, build), functions)
        in_tables |= read_addresses(item, objdump, functions, key_of)
    members = read_members(functions)
    join_tables(functions, members, in_tables)
    print_code(objects, build, size)
    print_structures(cc, nm, build)
    levels = [level for level in range(len(LEVELS)) if any(function.level == level for function in functions.values())]
    paths = [worst_paths(functions, members, level) for level in levels]
    faults = check_pointers(functions, members)
    print(f"{'stack of a public call':36}" + "".join(f"{LEVELS[level]:>8}" for level in levels) + "  most of it")
    for name in public_names():
        if name in functions:
            stack, path = paths[-1][name]
            largest = sorted(path, key=lambda step: -step[1])[:3]
            print(f"{name:36}" + "".join(f"{path_of_level[name][0]:8}" for path_of_level in paths) + "  " +
                  ", ".join(f"{step} {own}" for step, own in largest))
            if stack > MOST_STACK:
                faults.append(f"{name} may take {stack} bytes of stack, expected at most {MOST_STACK}: " +
                              " > ".join(f"{step} {own}" for step, own in path))
    print(f"\n{len(functions)} functions, {len(in_tables & functions.keys())} in tables, no recursion")
    print("\n".join(faults))
    return 1 if faults or len(functions) < 500 else 0


if __name__ == "__main__":
    sys.exit(main())
