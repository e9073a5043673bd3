#!/usr/bin/env python3
"""usage: damage.py GEMLET GEMLET_PACK [REQUESTS [SEED [sanitized]]]

Requests with random damage, and clients that are slow, that stop in the middle or that go away, against `gemlet serve` on loopback; 1,000
unless told, and a fifth as many to a model that calls functions.  The server must go on, answer what is well-formed to its end, lose no slot,
no connection and no file, and not grow.
"""
import copy
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import rote_model  # noqa: E402
from serving import Server, picture, recording, request, says  # noqa: E402

gemlet, packer = sys.argv[1:3]
requests = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
sanitized = sys.argv[5:] == ["sanitized"]  # which keeps what was freed
SLOTS, CLIENTS, CONNECTIONS = 3, 8, 24
counts = {}
lock = threading.Lock()


def with_calls(rng, members):
    """Functions, and often what one of them has answered."""
    tools = [{"type": "function", "function": {"name": name, "description": "What it does", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}} for name in ("f", "g")]
    members |= {"tools": tools[: rng.randrange(1, 3)], "tool_choice": rng.choice([None, "auto", "none", "required", {"type": "function", "function": {"name": "f"}}]), "parallel_tool_calls": rng.random() < 0.5}
    if rng.random() < 0.7:
        calls = [{"id": str(i), "type": "function", "function": {"name": "f", "arguments": rng.choice(["", "{}", '{"n":[1,"]"]}'])}} for i in range(rng.randrange(1, 3))]
        answers = [{"role": "tool", "tool_call_id": call["id"], "content": rng.choice(["five", "", [], [{"type": "text", "text": "fi"}, {"type": "text", "text": "ve"}]])} for call in calls]
        members["messages"] = members["messages"][-1:] + [{"role": "assistant", "content": rng.choice([None, "", [], "so"]), "tool_calls": calls}, *answers]
        if rng.random() < 0.5:
            members["messages"] += [{"role": "assistant", "content": "ok"}, {"role": "user", "content": "again"}]


def well_formed(rng, calls):
    members = {"messages": [{"role": "user", "content": rng.choice(["The cat sat", "on", "日本 😀 \x7f", ""])}], "max_tokens": rng.randrange(1, 6), "seed": rng.randrange(1 << 50), "temperature": rng.random() * 2,
               "stream": rng.random() < 0.5, "top_k": rng.choice([0, 1, 64]), "top_p": rng.random(), "stop": rng.choice([None, "a", ["b", "cd"]])}
    if rng.random() < 0.3:
        members |= {"logprobs": True, "top_logprobs": rng.randrange(21)}
    if rng.random() < 0.15:
        members["response_format"] = rng.choice([{"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array", "items": {"enum": ["a", 1, None]}}}}])
    if rng.random() < 0.1:
        members |= {"choices": rng.choice([["yes", "no"], ["a", "a b", "b", "日本"]]), "stop": None, "logprobs": False, "top_logprobs": 0, "response_format": None}
    elif calls and rng.random() < 0.8:
        with_calls(rng, members)
        return members
    if not calls and rng.random() < 0.05:
        members["messages"] = [says(shown, "what?")]
    if not calls and not sanitized and rng.random() < 0.05:  # a sound takes long there
        members["messages"] = [says("what?", heard)]
    if rng.random() < 0.2:
        members["messages"] = [{"role": "system", "content": "Be brief."}, members["messages"][0], {"role": "assistant", "content": "a"}, members["messages"][0]]
    return members


def odd_value(rng):
    return rng.choice([None, True, -1, 0, 1e308, 1e-300, "", "x" * 3000, [], {}, [[]] * 20, {"type": "text"}, [1] * 2000, "\ud83d\ude00", {"a": {"b": [{}]}}])


def change_member(rng, value):
    """Somewhere in a tree of lists and objects, another value."""
    while isinstance(value, (list, dict)) and value:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        if not isinstance(value[key], (list, dict)) or not value[key] or rng.random() < 0.3:
            value[key] = odd_value(rng)
            return
        value = value[key]


def damaged(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 40])):
        at = rng.randrange(len(data)) if data else 0
        end = min(len(data), at + rng.choice([1, 2, 8, 100]))
        kind = rng.randrange(4)
        if kind == 0 and data:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at:end]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.choice([1, 3, 50]))
        else:
            data[at:at] = data[at:end] * rng.choice([1, 2, 30])
    return bytes(data)


def plan(rng, calls):
    """(bytes to send, whether a good answer is due)"""
    members = copy.deepcopy(well_formed(rng, calls))  # several have the same picture, and change_member changes one of them
    kind = rng.randrange(6)
    if kind == 0:
        return request(members), True
    if kind == 1:
        change_member(rng, members)
        return request(members), False
    if kind == 2:
        return request(damaged(rng, json.dumps(members).encode())), False
    if kind == 3:
        return damaged(rng, request(members)), False
    if kind == 4:
        return damaged(rng, b"GET " + rng.choice([b"/", b"/metrics", b"/v1/models", b"/health", b"/../../etc/passwd"]) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"), False
    return rng.randbytes(rng.choice([1, 20, 3000, 50000])), False


def converse(server, rng, calls):
    """Sends one, again where the server is full, and answers what became of it."""
    data, good = plan(rng, calls)
    manner = rng.choices(["whole", "drops", "part", "slow", "leaves", "resets"], [70, 4, 8, 2, 10, 6])[0]
    for _ in range(2000):
        became = send(server, rng, data, good, manner)
        if not good or became != "answered 503":
            break
        time.sleep(0.01)  # as a client does that is told to come again
    return became


def check_end(reply):
    """A good answer is there to its end."""
    head, body = reply.split(b"\r\n\r\n", 1)
    if b"text/event-stream" in head:
        assert body.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") and b'data: {"error"' not in body, f"a stream ends with {body[-300:]!r}"
    else:
        assert json.loads(body)["choices"][0]["finish_reason"] in ("stop", "length", "tool_calls"), f"a good request is answered {body[:300]!r}"


def send(server, rng, data, good, manner):
    """Sends bytes at once or slowly, and reads the reply, at once, slowly, in part or not at all."""
    stream = server.open(b"", buffer=rng.choice([None, 4096]))
    try:
        if manner == "drops":  # of bytes, while it is sent
            for at in range(0, len(data), max(1, len(data) // 5)):
                stream.sendall(data[at : at + max(1, len(data) // 5)])
                time.sleep(0.01)
        elif manner == "part":
            stream.sendall(data[: rng.randrange(max(len(data), 1))])
            return manner
        else:
            stream.sendall(data)
        if manner == "leaves":
            time.sleep(rng.random() * 0.05)
            return manner
        if manner == "resets":
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return manner
        if not good:
            stream.shutdown(socket.SHUT_WR)  # what waits for more gets no more
        reply = b""
        stream.settimeout(60)
        while piece := stream.recv(50 if manner == "slow" else 1 << 16):
            reply += piece
            if good and (reply.endswith(b"[DONE]\n\n\r\n0\r\n\r\n") or (b"Content-Length" in reply and len(reply.split(b"\r\n\r\n", 1)[-1]) == int(reply.split(b"Content-Length: ")[1].split(b"\r\n")[0]))):
                break
            if manner == "slow":
                time.sleep(0.005)
        status = reply[9:12].decode(errors="replace")
        if good and status not in ("200", "503"):
            raise AssertionError(f"a good request is answered {reply[:700]!r}")
        if good and status == "200":
            check_end(reply)
        return "answered " + status if reply else "closed"
    except OSError:  # reset, or not there any more
        return "closed" if not good else "closed though good"
    finally:
        stream.close()


def client(server, numbers, calls, wrong):
    for i in numbers:
        try:
            became = converse(server, random.Random(seed * 1000003 + i), calls)
        except Exception as problem:  # the thread must tell what it met, whatever that is
            wrong.append(f"request {i}: {problem!r}")
            return
        with lock:
            counts[became] = counts.get(became, 0) + 1


def run_all(server, first, end, calls=False):
    wrong = []
    threads = [threading.Thread(target=client, args=(server, range(first + i, end, CLIENTS), calls, wrong)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
    server.wait_for(lambda: server.metric("slots_busy") == 0)
    server.wait_for(lambda: server.metric("connections") == 1)


def use_all_rooms(server):
    """What a slot holds for the whole context, pictures, sounds and a form is planned at the start and touched when it is first used: in all
    slots at once, so that none is left for later."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array", "items": {"enum": ["a", 1, None]}}}}
    members = {"messages": [says(shown, "what?"), {"role": "assistant", "content": "a"}, says(shown, "and now?")], "logprobs": True, "top_logprobs": 20, "response_format": form}
    for messages in (members["messages"], [says("what?", heard)]):
        with ThreadPoolExecutor(SLOTS) as pool:
            answers = [pool.submit(server.events, **{**members, "messages": messages}) for _ in range(SLOTS)]
            server.wait_for(lambda: server.metric("slots_busy") == SLOTS)
            for answer in answers:
                answer.result()


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


with tempfile.TemporaryDirectory() as work:
    model = work + "/tiny.gguf"
    subprocess.run([packer, "--text", "tests/data/tiny/text-q4_0.gguf", "--mmproj", "tests/data/tiny/mm-f16.gguf", "-o", model, "--quiet"], check=True, capture_output=True)
    Path(work + "/picture.ppm").write_bytes(b"P6 8 6 255\n" + bytes(range(144)))
    shown = picture(work + "/picture.ppm", "x-portable-pixmap")
    heard = recording(bytes(16000))
    options = ["--ctx", "576", "--image-size", "64", "--slots", str(SLOTS), "-n", "4", "--connections", str(CONNECTIONS), "--request-seconds", "5", "--answer-seconds", "120"] + (["--level", "scalar"] if sanitized else [])
    # One pool of glibc's, which has one for each thread else, and fills one after another; and what is large is beside it, as a sound's samples.
    one_pool = {**os.environ, "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072"}
    with Server(gemlet, model, *options, environment=one_pool) as server:
        if not sanitized:  # as its memory is not measured, and it is slow
            use_all_rooms(server)
        run_all(server, 0, requests // 2)  # what is taken once: threads' stacks, the allocator's pool
        before, files = server.resident(), descriptors(server)
        run_all(server, requests // 2, requests)
        grown = server.resident() - before
        slots = server.metric("slots")
        replies = [server.chat(messages=[{"role": "user", "content": "a"}], max_tokens=2)[0] for _ in range(3)]
        assert replies == [200] * 3, replies
        server.wait_for(lambda: descriptors(server) <= files)
        said = server.said()
    assert slots == SLOTS and said == "", (slots, said)
    rote_model.write(work + "/rote")
    subprocess.run([packer, "--hf", work + "/rote", "-o", work + "/rote.gguf", "--quiet"], check=True, capture_output=True)
    with Server(gemlet, work + "/rote.gguf", *options) as server:
        run_all(server, requests, requests + requests // 5, calls=True)
        assert server.metric("slots") == SLOTS and server.said() == "", server.said()
    closed = counts.pop("closed though good", 0)
    answered = sum(n for name, n in counts.items() if name.startswith("answered"))
    print(f"{requests + requests // 5} requests: {counts}; memory grew by {grown} bytes in the second half, {files} files")
    assert answered > requests // 4 and counts.get("answered 200", 0) > requests // 20 and counts.get("answered 400", 0) > requests // 20, counts
    assert closed == 0, f"{closed} good requests were not answered"
    assert grown < requests // 2 * 512 or sanitized, f"memory grew by {grown} bytes"
