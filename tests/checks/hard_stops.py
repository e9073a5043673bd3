#!/usr/bin/env python3
"""usage: hard_stops.py GEMLET_PACK [TIMES]

What a power cut leaves: programs that write a file are killed (SIGKILL) at random moments, 200 times each.  The file is then the one
before or the one after, whole, and never a part; what was not finished is gone when the next run has ended.
"""
import fcntl
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

pack, times = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200
failures = []


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def run(command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run_until(command, seconds):
    """Whether the program was killed before it ended."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
    return child.wait() == -signal.SIGKILL


def stop(name, commands, output):
    """`commands` write one of two contents to `output`, by turns."""
    folder, wanted, longest = output.parent, [], 0.0
    for command in commands:
        begin = time.monotonic()
        run(command)
        longest = max(longest, time.monotonic() - begin)
        wanted.append(digest(output))
    if wanted[0] == wanted[1]:
        sys.exit(f"{name}: the two contents must differ")
    killed = kept = left = 0
    chance = random.Random(1)
    for i in range(times):
        before = digest(output)
        killed_now = run_until(commands[i % 2], chance.uniform(0.0, 1.1 * longest))
        now = digest(output)
        killed += killed_now
        kept += killed_now and now == before
        if now not in (before, wanted[i % 2]):
            failures.append(f"{name}: stop {i}: neither the old file nor the new one")
        others = [path.name for path in folder.iterdir() if path != output]
        left += bool(others)
        if len(others) > 1:
            failures.append(f"{name}: stop {i}: what was left before is still there: {others}")
    # Somebody else's file, and one that another process still writes, stay.
    mine, written = Path(f"{output}.backup"), Path(f"{output}.unfinished-abcdef")
    mine.write_text("mine")
    with open(written, "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        run(commands[1])
        if not mine.exists() or not written.exists():
            failures.append(f"{name}: a file of another name, or one that is being written, is gone")
    mine.unlink()
    run(commands[0])
    others = [path.name for path in folder.iterdir() if path != output]
    if others or digest(output) != wanted[0]:
        failures.append(f"{name}: after a whole run: {others}, {'the right' if digest(output) == wanted[0] else 'another'} file")
    if killed < times // 4:
        failures.append(f"{name}: only {killed} of {times} runs were killed before they ended")
    print(f"{name}: {times} runs, {killed} killed, {kept} with the old file in place, {left} that left an unfinished one for the next run to remove")


with tempfile.TemporaryDirectory() as work:
    model = Path(work) / "model.gguf"
    stop("gemlet-pack", [[pack, "--text", source, "-o", str(model)] for source in ("tests/data/tiny/text-q4_0.gguf", "tests/data/gemma4-tiny/text-q4_0.gguf")],
         model)
print("\n".join(failures), end="\n" if failures else "")
sys.exit(1 if failures else 0)
