#!/usr/bin/env python3
"""usage: mutate.py [--sample N] [--most SECONDS] [--only PATTERN] [--list] [--limit PERCENT] [--jobs N] [--sanitize] [--longest SECONDS]

Mutation testing of what parses strangers' bytes.  A mutant is a source with one thing changed: an operator, a bound, a constant, a
condition that never holds, a statement left out.  It is compiled, laid over the library (LD_PRELOAD), and the tests that run the changed
line are run on it, the fastest and those that killed most first.  A mutant that no test fails on shows what no test checks.
--sanitize compiles those again with the address and undefined-behaviour sanitizers and with variables that begin as a pattern, and runs
the tests on that: what reads one element further than it should changes no result.  --longest leaves out tests that take longer.

Mutants are tried in an order that looks random but is the same everywhere, so that those tried so far are a fair sample; --sample N stops
at N of each file, the same ones each time, --most SECONDS when so many have passed.  What is known is kept in build/mutation/state.tsv: a
killed mutant stays killed while its line stays as it is; those that live are tried again on tests that have changed, in their own file or
in what they share.  --sample believes nothing that is kept, so that a test that has become weaker shows.

equivalent.tsv lists mutants that mean the same as the original, with the reason; mutants whose optimised code is the original's need no line
there.  Ends with an error where less than --limit percent (95) of the others are killed, or a line of equivalent.tsv has no mutant.
"""
import argparse
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TARGETS = ["model/container/*.c", "model/tokenizer/*.c", "model/session/*.c", "model/chat/*.c", "model/json/*.c", "model/grammar/*.c", "model/audio/mel.c", "model/vision/resize.c",
           "core/arena.c", "core/status.c", "core/text.c", "core/text_real.c", "core/utf8.c", "core/crc32.c", "core/carver.c"]
TESTS = ["unit/test_arena", "unit/test_status", "unit/test_sampler", "container/test_container", "container/test_broken",
         "tokenizer/test_tokenizer", "tokenizer/test_reference", "tokenizer/test_chat", "tokenizer/test_tools", "tokenizer/test_json", "proof/test_json", "grammar/test_pattern", "grammar/test_table", "grammar/test_schema", "grammar/test_grammar", "grammar/test_vocabulary", "grammar/test_constraint", "grammar/test_calls", "vision/test_resize", "robust/test_refusals",
         "proof/test_bounds", "proof/test_texts", "proof/test_signals", "proof/test_session",
         "proof/test_session_state", "proof/test_session_images", "proof/test_session_sounds", "proof/test_session_choices", "proof/test_ports"]
BUILD = Path("build/mutation")
STATE = BUILD / "state.tsv"
EQUIVALENT = Path("tests/proof/equivalent.tsv")
FLAGS = ("-std=c11 -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L -D_FILE_OFFSET_BITS=64 -DGEMLET_LEVEL_LIMIT=0 -ffp-contract=off -fPIC -w -Iinclude "
         "-I.").split()

# ---- Mutants ----

BINARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "+": "-", "-": "+", "*": "/", "/": "*", "%": "/", "<<": ">>",
          ">>": "<<", "&": "|", "|": "&", "^": "&", "&&": "||", "||": "&&", "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "|=": "&=",
          "&=": "|=", "^=": "|=", "<<=": ">>=", ">>=": "<<="}
WORDS = {"true": "false", "false": "true", "break": "", "continue": ""}
TOKEN = re.compile(r"""(?P<blank>\s+|//[^\n]*|/\*.*?\*/)|(?P<directive>^[ \t]*\#(?:\\\n|[^\n])*)|(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<number>0[xX][0-9a-fA-F.]+(?:[pP][+-]?\d+)?\w*|\d[\w.]*(?:(?<=[eE])[+-]\d+\w*)?)|(?P<word>[A-Za-z_]\w*)
    |(?P<operator><<=|>>=|->|\+\+|--|[-+*/%&|^=!<>]=|<<|>>|&&|\|\||\.\.\.|.)""", re.X | re.S | re.M)
NOT_STATEMENTS = {"return", "goto", "if", "for", "while", "do", "switch", "case", "default", "else", "static", "const", "typedef", "struct",
                  "enum", "_Static_assert", "_Alignas", "extern", "union", "break", "continue", "unsigned"}


class Mutant:
    def __init__(self, path, source, start, end, new, kind):
        self.path, self.start, self.end, self.new, self.kind = path, start, end, new, kind
        first = source.rfind("\n", 0, start) + 1
        last = source.find("\n", end)
        self.line = source.count("\n", 0, start) + 1
        self.old_text = re.sub(r"\s+", " ", source[first:last]).strip()
        self.new_text = re.sub(r"\s+", " ", source[first:start] + new + source[end:last]).strip()
        self.key = self.number = None

    def apply(self, source):
        return source[:self.start] + self.new + source[self.end:]


def other_constant(text):
    """The same literal, one greater; for a real number another one."""
    if re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)[uUlL]*", text):
        digits, suffix = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)", text).groups()
        return f"{int(digits, 0) + 1}{suffix}"
    return "1.0f" if re.fullmatch(r"0(\.0*)?f?", text) else f"(2 * {text})"


def tokens_of(source):
    return [(m.lastgroup, m[0], m.start(), m.end()) for m in TOKEN.finditer(source) if m.lastgroup not in ("blank", "directive")]


def close_of(tokens, i):
    """The index of the bracket that closes the one at `i`."""
    depth = 0
    for j in range(i, len(tokens)):
        depth += tokens[j][1] in "([{" and tokens[j][0] == "operator"
        depth -= tokens[j][1] in ")]}" and tokens[j][0] == "operator"
        if depth == 0:
            return j
    return len(tokens) - 1


def is_size(tokens, i):
    """Whether the number at `i` is the size of an array that is declared: more of it does no harm."""
    if tokens[i - 1][1] != "[" or tokens[i + 1][1] != "]":
        return False
    name = i - 2
    while tokens[name][1] == "]": # of an array of arrays
        name = next(j for j in range(name, -1, -1) if tokens[j][1] == "[") - 1
    return tokens[name][0] == "word" and (tokens[name - 1][0] == "word" or tokens[name - 1][1] == "*")


def statement_mutants(tokens, depth_of):
    """Expression statements: (start, end) of each, without its semicolon."""
    for i, (group, text, start, _) in enumerate(tokens):
        begins = i > 0 and depth_of[i] > 0 and tokens[i - 1][1] in (";", "{", "}", ":") and tokens[i - 1][0] == "operator"
        begins = begins or (i > 0 and (tokens[i - 1][1] == "else"))
        if not begins or text in NOT_STATEMENTS or not (group == "word" or text in ("*", "(", "++", "--")):
            continue
        if group == "word" and (tokens[i + 1][0] == "word" or (tokens[i + 1][1] == "*" and tokens[i + 2][0] == "word" and
                                                               tokens[i + 1][3] == tokens[i + 2][2])):
            continue # a declaration
        if group == "word" and tokens[i + 1][1] == ":":
            continue
        j = i
        while tokens[j][1] != ";" and j < len(tokens) - 1:
            j = close_of(tokens, j) if tokens[j][1] in ("(", "[", "{") else j
            j += 1
            if tokens[j][1] in ("}", ")"):
                break
        if tokens[j][1] == ";" and not source_is_initializer(tokens, i, j):
            yield start, tokens[j][2]


def source_is_initializer(tokens, i, j):
    return all(t[1] not in ("=", "(", "++", "--", "+=", "-=", "|=", "^=", "*=", "&=", ">>=", "<<=") for t in tokens[i:j])


def mutants_of(path):
    source = Path(path).read_text()
    tokens = tokens_of(source)
    found, depth, depth_of = [], 0, []
    for group, text, _, _ in tokens:
        depth_of.append(depth)
        if group == "operator":
            depth += (text == "{") - (text == "}")

    def add(start, end, new, kind):
        found.append(Mutant(path, source, start, end, new, kind))

    for i, (group, text, start, end) in enumerate(tokens):
        spaced = start > 0 and source[start - 1] in " \n" and source[end:end + 1] in (" ", "\n")
        if group == "operator" and text in BINARY and spaced:
            add(start, end, BINARY[text], "operator")
        elif group == "operator" and text == "!" and tokens[i + 1][1] != "=":
            add(start, end, "", "operator")
        elif group == "number" and not is_size(tokens, i):
            add(start, end, other_constant(text), "constant")
        elif group == "word" and text in WORDS and depth_of[i] > 0:
            add(start, end, WORDS[text], "constant" if WORDS[text] else "statement")
        elif group == "text" and text[0] == "'":
            add(start, end, f"({text} + 1)", "constant")
        elif group == "word" and text == "if" and tokens[i + 1][1] == "(":
            close = close_of(tokens, i + 1)
            inside = source[tokens[i + 1][3]:tokens[close][2]]
            add(tokens[i + 1][3], tokens[close][2], f"0 && ({inside})", "condition")
    for start, end in statement_mutants(tokens, depth_of):
        add(start, end, "", "statement")
    seen = Counter()
    for mutant in found:
        text = "\t".join((mutant.path, mutant.old_text, mutant.new_text, str(mutant.start - source.rfind("\n", 0, mutant.start))))
        seen[text] += 1
        mutant.key = hashlib.sha256(f"{text}\t{seen[text]}".encode()).hexdigest()[:16]
    return sorted(found, key=lambda m: m.key)


# ---- Building ----


def run(command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"mutate.py: {' '.join(str(part) for part in command)[:300]}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def newest(paths):
    return max(os.path.getmtime(path) for path in paths)


def compile_all(sources, flags, folder, pool, headers):
    """Objects of `sources`, made where they are older than what they are made of."""
    folder.mkdir(parents=True, exist_ok=True)
    objects, jobs = [], []
    for source in sources:
        made = folder / (str(source).replace("/", "_") + ".o")
        objects.append(made)
        if not made.exists() or os.path.getmtime(made) < max(os.path.getmtime(source), headers):
            jobs.append(pool.submit(run, ["gcc", *FLAGS, *flags, "-c", source, "-o", made]))
    for job in jobs:
        job.result()
    return objects


def build(targets, tests, pool, way):
    """The library as it is, the tests on it, and a layer of the targets that counts the lines that run."""
    headers = newest([path for below in ("core", "model", "include", "tests", "port") for path in Path(below).rglob("*.h")])
    library = sorted(path for below in ("core", "model") for path in Path(below).rglob("*.c")
                     if not str(path).startswith(("core/neon", "model/pack")))
    objects = compile_all(library, ["-O1"], BUILD / "library", pool, headers)
    run(["gcc", "-shared", "-o", BUILD / "libgemlet.so", *objects, "-lm"])
    build_tests(tests, pool, headers, Way(False))
    if way.before:
        build_tests(tests, pool, headers, way)
    counted = compile_all(targets, ["-O0", "--coverage"], BUILD / "counted", pool, headers)
    run(["gcc", "-shared", "--coverage", "-o", BUILD / "counted.so", *counted])


def build_tests(tests, pool, headers, way):
    """Under the address sanitizer the tests' guards can't be read."""
    flags = ["-O1", *(["-fsanitize=address"] if way.before else [])]
    support = [path for path in sorted(Path("tests").glob("*/*.c")) if not re.search(r"/bench/|/(test|fuzz|bench)_[^/]*\.c$", str(path))]
    others = [*(path for path in sorted(Path("model/pack").glob("*.c")) if path.name != "main.c"), *sorted(Path("port/posix").glob("*.c")), *support]
    archive = BUILD / f"support_{way.name}.a"
    archive.unlink(missing_ok=True)
    run(["ar", "rc", archive, *compile_all(others, flags, BUILD / f"support_{way.name}", pool, headers)])
    mains = compile_all([f"tests/{test}.c" for test in tests], flags, BUILD / f"tests_{way.name}", pool, headers)
    for test, main in zip(tests, mains):
        run(["gcc", *flags, "-o", program(test, way), main, archive, f"-L{BUILD}", "-lgemlet", f"-Wl,-rpath,{BUILD.resolve()}", "-lcmocka", "-lcjson", "-lm",
             "-lpthread"])


def program(test, way):
    return BUILD / f"{test.replace('/', '_')}_{way.name}"


# ---- Running ----


def run_test(test, layer, seconds, way, more=None):
    """Whether the test passes on the layer; a test that takes longer fails."""
    scratch = tempfile.mkdtemp(prefix="gemlet-mutant-") # no longer for one layer than for another, wherever the build is

    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        if not way.before: # the address sanitizer reserves terabytes
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 20, 256 << 20))

    environment = {**os.environ, "LD_PRELOAD": ":".join([*way.before, str(Path(layer).resolve())]), "TMPDIR": scratch,
                   "CMOCKA_TEST_ABORT": "1", **way.more, **(more or {})} # the first that fails is enough
    with open(os.devnull, "w") as nothing:
        child = subprocess.Popen([str(program(test, way))], stdout=nothing, stderr=nothing, env=environment, preexec_fn=limit, start_new_session=True)
        try:
            passed = child.wait(timeout=20 * seconds + 20) == 0
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            passed = False
    shutil.rmtree(scratch, ignore_errors=True)
    return passed


def count_lines(targets, tests):
    """For each target: which lines are counted, and which of them each test runs; and what time each test takes."""
    lines, seconds = {path: {"all": set(), "within": set()} for path in targets}, {}
    for test in tests:
        counts = (BUILD / "counts").resolve()
        shutil.rmtree(counts, ignore_errors=True)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
        if not run_test(test, BUILD / "counted.so", 600, Way(False), {"GCOV_PREFIX": str(counts)}):
            sys.exit(f"mutate.py: {test} fails on the library as it is")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds[test] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        for data in counts.rglob("*.gcda"):
            shutil.copy((BUILD / "counted" / data.name).with_suffix(".gcno"), data.with_suffix(".gcno"))
            for file in json.loads(run(["gcov", "--json-format", "--stdout", data]))["files"]:
                if file["file"] in lines:
                    lines[file["file"]]["all"] |= {line["line_number"] for line in file["lines"]}
                    for function in file["functions"]:
                        lines[file["file"]]["within"] |= set(range(function["start_line"], function["end_line"] + 1))
                    lines[file["file"]].setdefault(test, set()).update(line["line_number"] for line in file["lines"] if line["count"] > 0)
        print(f"{test}: {seconds[test]:.2f} s of processor, {time.time() - start:.1f} s", flush=True)
    return lines, seconds


def tests_for(mutant, lines, seconds, kills):
    """The tests that run the mutant's line, or, where a line has no code of its own, any of the file, or, where it is of no function and
    others may read it, all; those first that killed most of the file in the least time."""
    known = lines[mutant.path]

    def cost(test):
        return seconds[test] / (1 + kills[mutant.path, test])

    if mutant.line not in known["all"] | known["within"]:
        return sorted(seconds, key=cost)
    tests = [test for test in seconds if mutant.line in known.get(test, ()) or (mutant.line not in known["all"] and known.get(test))]
    return sorted(tests, key=cost)


def code_of(source):
    return subprocess.run(["gcc", *FLAGS, "-O2", "-fno-ident", "-S", "-o", "-", source], capture_output=True).stdout


class Way:
    """How a mutant is compiled and run: as it is, or under sanitizers."""

    def __init__(self, sanitize):
        self.name = "sanitized" if sanitize else "plain"
        self.flags = ["-O0"] + (["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-ftrivial-auto-var-init=pattern"] if sanitize else [])
        self.before = [run(["gcc", f"-print-file-name={library}.so"]).strip() for library in ("libasan", "libubsan")] if sanitize else []
        # What the tests and the rest of the library leave behind is not this mutant's.
        self.more = {"ASAN_OPTIONS": "detect_leaks=0:max_malloc_fill_size=1048576:malloc_fill_byte=190"} if sanitize else {}
        self.slower = 3 if sanitize else 1


def try_mutant(mutant, tests, seconds, way):
    """killed BY, alive, same (the compiler makes the original's code of it), or invalid (it makes none)."""
    folder = BUILD / "mutants" / mutant.key
    folder.mkdir(parents=True, exist_ok=True)
    source, layer = folder / Path(mutant.path).name, folder.with_suffix(".so")
    original = Path(mutant.path).read_text()
    source.write_text(mutant.apply(original))
    try:
        if subprocess.run(["gcc", *FLAGS, *way.flags, "-shared", "-o", layer, source], capture_output=True).returncode != 0:
            return "invalid"
        for test in tests:
            if not run_test(test, layer, way.slower * (int(3 * seconds[test]) + 2), way):
                return f"killed {test}"
        changed = code_of(source)
        source.write_text(original)
        return "same" if changed == code_of(source) else "alive"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        layer.unlink(missing_ok=True)


# ---- The whole ----


def read_equivalents():
    """(file, line, mutated line) -> reason."""
    found = {}
    if EQUIVALENT.exists():
        for number, line in enumerate(EQUIVALENT.read_text().splitlines(), 1):
            parts = line.split("\t")
            if line.startswith("#") or not line:
                continue
            if len(parts) != 4 or not parts[3]:
                sys.exit(f"{EQUIVALENT}:{number}: expected FILE, LINE, MUTATED LINE and REASON with tabs between, found {len(parts)} parts")
            found[tuple(parts[:3])] = parts[3]
    return found


def hash_of(test):
    """Of the test's source and, as deep as they go, of what it includes of the tests."""
    left, seen = [Path(f"tests/{test}.c")], set()
    while left:
        path = left.pop()
        if path not in seen and path.exists():
            seen.add(path)
            left += [Path(name) for name in re.findall(r'#include "(tests/[^"]+)"', path.read_text())] + [path.with_suffix(".c")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(seen))).hexdigest()[:8]


def read_state():
    """key -> result, and key -> what it has survived: ways, tests and their hashes."""
    state, survived = {}, {}
    for line in STATE.read_text().splitlines() if STATE.exists() else []:
        key, tried, result = line.split("\t")
        state[key] = result
        survived.setdefault(key, set()).update(tried.split(","))
    return state, survived


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--most", type=float, default=float("inf"))
    parser.add_argument("--only", default="")
    parser.add_argument("--limit", type=float, default=95.0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--sanitize", action="store_true")
    parser.add_argument("--longest", type=float, default=float("inf"))
    parser.add_argument("--list", action="store_true", help="print those that live, and try none")
    options = parser.parse_args()
    os.chdir(Path(__file__).resolve().parents[2])
    targets = sorted(str(path) for pattern in TARGETS for path in Path().glob(pattern))
    tests = [test for test in TESTS if Path(f"tests/{test}.c").exists()]
    mutants = {path: mutants_of(path) for path in targets}
    equivalents = read_equivalents()
    known = {(m.path, m.old_text, m.new_text) for path in targets for m in mutants[path]}
    stale = [line for line in equivalents if line not in known]
    for line in stale:
        print(f"{EQUIVALENT}: no mutant of {line[0]} makes \"{line[2]}\" of \"{line[1]}\"")
    hashes = {test: hash_of(test) for test in tests}
    way = Way(options.sanitize)
    (BUILD / "mutants").mkdir(parents=True, exist_ok=True)
    state, survived = ({}, {}) if options.sample and not (options.list or options.sanitize) else read_state()
    # In turns: the first of each file, then the second, ...
    wanted = [m for path in targets for m in (mutants[path][:options.sample] if options.sample else mutants[path]) if re.search(options.only, path)]
    wanted.sort(key=lambda m: m.key)
    queue = [m for m in wanted if state.get(m.key, "alive" if not options.sanitize else "") == "alive" and
             (m.path, m.old_text, m.new_text) not in equivalents]
    print(f"{sum(map(len, mutants.values()))} mutants of {len(targets)} files, {len(wanted)} wanted, {len(queue)} to try", flush=True)
    begin = time.time()
    if queue and not options.list:
        with ThreadPoolExecutor(options.jobs) as pool:
            build(targets, tests, pool, way)
            lines, seconds = count_lines(targets, tests)
            kills = Counter((m.path, state[m.key].removeprefix("killed ")) for path in targets for m in mutants[path]
                            if state.get(m.key, "").startswith("killed "))

            def step(mutant):
                names = {test: f"{way.name} {test} {hashes[test]}" for test in tests_for(mutant, lines, seconds, kills)}
                left = [test for test in names if names[test] not in survived.get(mutant.key, ()) and seconds[test] <= options.longest]
                if time.time() - begin >= options.most or (mutant.key in state and not left):
                    return
                result = state[mutant.key] = try_mutant(mutant, left, seconds, way)
                if result.startswith("killed "):
                    kills[mutant.path, result.removeprefix("killed ")] += 1
                with open(STATE, "a") as file:
                    file.write(f"{mutant.key}\t{','.join(names[test] for test in left) if result == 'alive' else ''}\t{result}\n")
                if result == "alive":
                    print(f"{mutant.path}:{mutant.line}: lives: {mutant.old_text}  ->  {mutant.new_text}", flush=True)

            list(pool.map(step, queue))
    return report(wanted, state, equivalents, options, stale)


def report(wanted, state, equivalents, options, stale):
    counts = {}
    for mutant in wanted:
        result = state.get(mutant.key, "").split(" ")[0]
        if (mutant.path, mutant.old_text, mutant.new_text) in equivalents:
            result = "same"
        counts.setdefault(mutant.path, Counter())[result or "not tried"] += 1
        if options.list and result == "alive":
            print(f"{mutant.path}:{mutant.line}\t{mutant.old_text}\t{mutant.new_text}")
    total = Counter()
    print(f"{'file':36} killed  alive   same  not tried")
    for path, count in [*sorted(counts.items()), ("all", total)]:
        total += count if path != "all" else Counter()
        alive = count["killed"] + count["alive"]
        share = f"{100.0 * count['killed'] / alive:6.1f} %" if alive else ""
        print(f"{path:36} {count['killed']:6} {count['alive']:6} {count['same']:6} {count['not tried']:10}   {share}")
    tried = total["killed"] + total["alive"]
    if stale or (tried and 100.0 * total["killed"] < options.limit * tried):
        print(f"at least {options.limit} % of the mutants must be killed by a test, or be listed in {EQUIVALENT} with the reason why they mean the same")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
