#!/usr/bin/env python3
"""usage: hard_stops.py GEMLET_PACK GEMLET [TIMES]

What a power cut leaves: programs are killed (SIGKILL) at random moments, 200 times each.  A file that they write is then the one before or
the one after, whole, and never a part; what was not finished is gone when the next run has ended.  A server that is killed while it answers
starts again at the same port at once, and answers.
"""
import fcntl
import hashlib
import http.client
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

pack, gemlet, times = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 200
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


def stop_conversation(model, folder):
    """`gemlet run --session` goes on with a conversation."""
    talk, first, second = folder / "talk", folder.parent / "first", folder.parent / "second"
    command = [gemlet, "run", "-m", str(model), "--ctx", "512", "--no-images", "-n", "4", "--temp", "0", "--session", str(talk), "-p"]
    run(command + ["The cat sat"])
    shutil.copy(talk, first)
    begin = time.monotonic()
    run(command + ["and then"])
    longest = time.monotonic() - begin
    shutil.copy(talk, second)
    wanted, chance = {digest(first), digest(second)}, random.Random(2)
    killed = kept = left = 0
    for i in range(times):
        shutil.copy(first, talk)
        killed_now = run_until(command + ["and then"], chance.uniform(0.2, 1.1) * longest)
        killed += killed_now
        kept += killed_now and digest(talk) == digest(first)
        others = [path.name for path in folder.iterdir() if path != talk]
        left += bool(others)
        if digest(talk) not in wanted or len(others) > 1:
            failures.append(f"a conversation: stop {i}: neither the old file nor the new one, or more left: {others}")
    (folder / "talk.unfinished").write_bytes(b"half" * 1000)
    shutil.copy(first, talk)
    run(command + ["and then"])
    others = [path.name for path in folder.iterdir() if path != talk]
    if others or digest(talk) != digest(second):
        failures.append(f"a conversation: after a whole run: {others}, or another file")
    if killed < times // 4:
        failures.append(f"a conversation: only {killed} of {times} runs were killed before they ended")
    print(f"gemlet run --session: {times} runs, {killed} killed, {kept} with the old file in place, {left} that left an unfinished one for the next run to remove")


def ask(port, tokens):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"messages": [{"role": "user", "content": "The cat sat"}], "max_tokens": tokens, "temperature": 0, "stream": True})
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    return connection, connection.getresponse()


def stop_server(model, folder, starts):
    """The server is killed while it makes an answer, and begins anew."""
    port, expected, chance = 0, None, random.Random(3)
    for i in range(starts):
        server = subprocess.Popen([str(Path(gemlet).resolve()), "serve", "-m", str(model), "--ctx", "320", "--no-images", "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True, cwd=folder)
        try:
            found = re.search(r":(\d+)$", server.stdout.readline().strip())
            if found is None:
                failures.append(f"gemlet serve: start {i}: {server.stderr.read()}")
                return
            port = int(found[1])
            connection, reply = ask(port, 8)
            events = [json.loads(line[6:]) for line in reply.read().decode().splitlines() if line.startswith("data: {")]
            said = "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])
            expected = said if expected is None else expected
            if said != expected or not said:
                failures.append(f"gemlet serve: start {i}: {said!r} instead of {expected!r}")
            connection, reply = ask(port, 200)
            reply.read(chance.randrange(1, 2000))
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
            server.stderr.close()
        connection.close()
    left = [path.name for path in folder.iterdir()]
    if left:
        failures.append(f"gemlet serve leaves {left}")
    print(f"gemlet serve: killed {starts} times in an answer; each time it started again at its port and gave the same answer; no file was written")


with tempfile.TemporaryDirectory() as work:
    folders = {name: Path(work) / name for name in ("pack", "talk", "serve")}
    for folder in folders.values():
        folder.mkdir()
    packed, tiny = folders["pack"] / "model.gguf", Path(work) / "tiny.gguf"
    stop("gemlet-pack", [[pack, "--text", source, "-o", str(packed)] for source in ("tests/data/tiny/text-q4_0.gguf", "tests/data/gemma4-tiny/text-q4_0.gguf")], packed)
    run([pack, "--text", "tests/data/tiny/text-q4_0.gguf", "-o", str(tiny), "--quiet"])
    stop_conversation(tiny, folders["talk"])
    if subprocess.run([gemlet, "serve", "--help"], capture_output=True).returncode == 0:
        stop_server(tiny, folders["serve"], times)
    else:
        print("gemlet serve: not in this build")
print("\n".join(failures), end="\n" if failures else "")
sys.exit(1 if failures else 0)
