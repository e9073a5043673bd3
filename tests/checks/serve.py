#!/usr/bin/env python3
"""usage: serve.py GEMLET GEMLET_PACK [sanitized]

`gemlet serve`, asked with nothing but Python's own library: its answers are those of `gemlet run`, whole and as a stream; slots, reuse of
prompts, limits, time-outs, keys, who may ask, and what happens to clients that go away.  Behind that, some
of tests/serve/damage.py.
"""
import base64
import json
import math
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "serve"))
import rote_model  # noqa: E402
from serving import Server, picture, played_camera, recording, request, says  # noqa: E402

gemlet, packer = sys.argv[1:3]
sanitized = sys.argv[3:] == ["sanitized"]
work = tempfile.TemporaryDirectory()
demo = "examples/demo/demo.gguf"
tiny = work.name + "/tiny.gguf"  # without training: says anything, for as long as there is room
level = ["--level", "scalar"] if sanitized else []
greedy = {"temperature": 0}
failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print("serve.py:", what)


def run(*arguments):
    return subprocess.run([gemlet, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def text_of(events):
    return "".join(event["choices"][0]["delta"].get("content", "") for event in events if event["choices"])


def test_answers():
    """The same as `gemlet run`, in either form, however often."""
    with Server(gemlet, demo, "--ctx", "512", *level) as server:
        for line in Path("examples/demo/questions.tsv").read_text().splitlines()[: 1 if sanitized else 3]:
            name, question, right = line.split("\t")
            messages = [says(picture("examples/demo/" + name), question)]
            check(server.answer(messages=messages, **greedy) == right, f"{name}: another answer than {right!r}")
            events = server.events(messages=messages, **greedy)
            check(text_of(events) == right, f"{name}: another answer in a stream")
            roles = [event["choices"][0]["delta"].get("role") for event in events]
            check(roles == ["assistant"] + [None] * (len(events) - 1), f"{name}: the role stands in other events than the first: {roles}")
        status, reply = server.chat(messages=messages, **greedy)
        usage = reply["usage"]
        check(usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"] == 1, f"the same prompt is computed again: {usage}")
        check(usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"], f"usage does not add up: {usage}")
        check(reply["choices"][0]["finish_reason"] == "stop" and reply["model"] == "demo" and reply["object"] == "chat.completion", f"{reply}")
        # A conversation that goes on keeps its beginning, the picture included; another picture of the same file name does not.
        messages += [says(right, role="assistant"), {"role": "user", "content": "What do you see?"}]
        kept = server.chat(messages=messages, **greedy)[1]["usage"]["prompt_tokens_details"]["cached_tokens"]
        check(kept > usage["prompt_tokens"], f"a conversation that goes on keeps {kept} of {usage}")
        other = [says(picture("examples/demo/one.jpg"), question)]
        kept = server.chat(messages=other, **greedy)[1]["usage"]["prompt_tokens_details"]["cached_tokens"]
        check(kept < 20 or sanitized, f"another picture is taken for the same: {kept} positions kept")
        check(server.said() == "", f"something is logged: {server.said()!r}")
        models = json.loads(server.ask("GET", "/v1/models")[2])["data"]
        plan = {held["of"]: held["bytes"] for held in models[0]["gemlet"]["plan"]}
        check(plan["forms of answers"] == server.metric('memory_bytes{of="forms"}'), f"/metrics tells another plan: {models}")
        planned = sum(n for name, n in plan.items() if name not in ("weights, mapped", "other slots", "samplers", "forms of answers"))
        check(models[0]["id"] == "demo" and planned == server.metric('memory_bytes{of="first_slot"}'), f"/v1/models tells another plan: {models}")
        page = server.ask("GET", "/")
        check(page[0] == 200 and "default-src 'none'" in page[1]["Content-Security-Policy"], f"/: {page[:2]}")
        check(len(page[2]) <= 40 << 10 and b"://" not in page[2].replace(b"http://localhost", b""), "the page is too large, or names another site")
        check(server.ask("HEAD", "/")[0] == 200 and server.ask("GET", "/health")[2] == b'{"status":"ok"}', "/health or HEAD fails")


def test_settings():
    question = [{"role": "user", "content": "The cat sat"}]
    with Server(gemlet, tiny, "--ctx", "320", "--no-images", *level) as server:
        whole = server.answer(messages=question, max_tokens=24, **greedy)
        told = run("run", "-m", tiny, "-p", "The cat sat", "-n", "24", "--temp", "0", "--ctx", "320", *level)
        check(whole == told.stdout[:-1], f"another answer than run's: {whole!r}, {told}")
        # Stop texts, of one character and more, split over tokens: what stands before them, in either form.
        for start in (1, 5, len(whole) // 2):
            for length in (1, 2, 7):
                stop = whole[start : start + length]
                expected = whole[: whole.index(stop)]
                members = {"messages": question, "max_tokens": 24, "stop": [stop, "never said"], **greedy}
                found = server.answer(**members)
                check(found == expected, f"stop {stop!r}: {found!r} instead of {expected!r}")
                check(text_of(server.events(**members)) == expected, f"stop {stop!r} in a stream")
        limited = server.chat(messages=question, max_completion_tokens=5, **greedy)[1]
        check(limited["choices"][0]["finish_reason"] == "length" and limited["usage"]["completion_tokens"] == 5, f"max_completion_tokens: {limited}")
        # Seeds.
        drawn = [server.answer(messages=question, max_tokens=12, seed=seed, temperature=1.5, top_p=1, top_k=0) for seed in (1, 1, 2, -3)]
        check(drawn[0] == drawn[1] and len(set(drawn)) == 3, f"seeds: {drawn}")
        check(len({server.answer(messages=question, max_tokens=12, temperature=1.5) for _ in range(4)}) > 1, "without a seed it is always the same")
        check(server.answer(messages=question, max_tokens=8, temperature=2, top_p=0) == server.answer(messages=question, max_tokens=8, **greedy), "top_p 0 is not greedy")
        # Log probabilities, and their exact sums.
        choice = server.chat(messages=question, max_tokens=6, logprobs=True, top_logprobs=20, **greedy)[1]["choices"][0]
        words = choice["logprobs"]["content"]
        check(b"".join(bytes(word["bytes"]) for word in words).decode(errors="replace") == choice["message"]["content"], f"logprobs tell another text: {choice}")
        for word in words:
            others = word["top_logprobs"]
            check(len(others) == 20 and others[0]["logprob"] == word["logprob"] and sorted(others, key=lambda other: -other["logprob"]) == others, f"top_logprobs: {word}")
            check(sum(math.exp(other["logprob"]) for other in others) <= 1.0001, f"probabilities beyond 1: {others}")
        streamed = [word for event in server.events(messages=question, max_tokens=6, logprobs=True, top_logprobs=20, **greedy) if event["choices"] and event["choices"][0]["logprobs"] for word in event["choices"][0]["logprobs"]["content"]]
        check(streamed == words, "a stream has other logprobs")
        last = server.events(messages=question, max_tokens=6, stream_options={"include_usage": True}, **greedy)[-1]
        check(last["choices"] == [] and last["usage"]["completion_tokens"] == 6, f"include_usage: {last}")
        # The context: an answer ends where it is full.
        full = server.chat(messages=question, seed=1, temperature=2, top_k=0, top_p=1)[1]
        check(full["usage"]["total_tokens"] <= 321, f"more than the context holds: {full['usage']}")


def test_choices():
    """Each choice has the probability that the model gives its tokens when it says them itself, alone or among others, in any order."""
    messages = [says(picture("examples/demo/one.jpg"), "Where is the star?")]

    def choose(*texts, **members):
        status, reply = server.chat(messages=messages, choices=list(texts), **members)
        assert status == 200, reply
        told = {one["text"]: one["logprob"] for one in reply["gemlet"]["choices"]}
        assert list(told) == list(texts)
        best = max(texts, key=lambda text: told[text])
        check(reply["choices"][0]["message"]["content"] == best, f"the answer is not the likeliest choice: {reply}")
        return told, reply["usage"]["completion_tokens"]

    with Server(gemlet, demo, "--ctx", "512", *level) as server:
        said = {}
        for seed in range(8 if sanitized else 30):
            choice = server.chat(messages=messages, seed=seed, temperature=2, top_k=0, top_p=1, max_tokens=7, logprobs=True)[1]["choices"][0]
            words = choice["logprobs"]["content"]
            if all(len(word["bytes"]) > 1 for word in words):  # a byte may be a token of its own and a piece, too
                said[choice["message"]["content"]] = (len(words), sum(word["logprob"] for word in words))
        compared = 0
        for text, (count, logprob) in said.items():
            told, tokens = choose(text, "xyzxyzxyz")
            if tokens == count:  # the text has the tokens that were said
                compared += 1
                check(abs(told[text] - logprob) < 1e-4, f"{text!r}: {told[text]} instead of {logprob}")
        check(compared >= 2 or sanitized, f"too few answers were compared: {compared} of {said}")
        texts = [*list(said)[:20], "The", "The star", "The star is", "There", "Th", "The star is at the bottom right.", "no", "nothing"]
        together = choose(*texts)[0]
        check(choose(*reversed(texts))[0] == dict(reversed(together.items())), "the order matters")
        for text in texts[::2]:
            check(choose("zz", text)[0][text] == together[text], f"{text!r} is less or more likely among others")
        check(together["The"] >= together["The star"] >= together["The star is"], f"a beginning is less likely: {together}")
        # The prompt is as it was: nothing of the choices is left in what is kept, or in what is said next.
        usage = server.chat(messages=messages, **greedy)[1]
        check(usage["usage"]["prompt_tokens_details"]["cached_tokens"] == usage["usage"]["prompt_tokens"] - 1, f"the prompt is computed again: {usage}")
        check(usage["choices"][0]["message"]["content"] == "The star is at the bottom right.", f"after choices another answer: {usage}")
        events = server.events(messages=messages, choices=["no", "The star"])
        check(text_of(events) == "The star" and len(events[-1]["gemlet"]["choices"]) == 2, f"choices in a stream: {events}")
        for wrong in (["a"], ["a", ""], ["a", 1], "ab", ["a"] * 33, ["a", "b " * 200]):
            refused(server, 400, "choices: expected", messages=messages, choices=wrong)
        refused(server, 400, "choices: expected neither", messages=messages, choices=["a", "b"], logprobs=True)


def post(server, body):
    status, _, text = server.ask("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    return status, json.loads(text)


def test_forms():
    """A schema, and what functions take, are as the request writes them, wherever they stand: numbers beyond a double's, too."""
    question = '"messages":[{"role":"user","content":"a"}],"temperature":0,"max_tokens":60'
    rote = work.name + "/rote.gguf"
    rote_model.write(work.name + "/rote")
    subprocess.run([packer, "--hf", work.name + "/rote", "-o", rote, "--quiet"], check=True, capture_output=True)
    with Server(gemlet, rote, "--ctx", "512", *level) as server:
        for value in ("9007199254740993", "-12345678901234567890", '"a]}\\"\\\\"', "0.1", "null", "[ 1, {} ]"):
            for form in ('{"type":"json_schema","json_schema":{"name":"}","schema":{"const":VALUE}}}', ' { "json_schema" : { "schema" :\t{ "const" : VALUE } , "name" : "x" } ,\n "a" : [ "\\"" , [ ] ] , "type" : "json_schema" } '):
                status, reply = post(server, ("\ufeff {" + question + ',"response_format":' + form.replace("VALUE", value) + "}").encode())
                said = reply["choices"][0]["message"]["content"] if status == 200 else reply
                check(status == 200 and "".join(said.split()) == "".join(value.split()), f"const {value}: {said}")
        for choice in ('"required"', '{"type":"function","function":{"name":"f"}}'):
            tools = '[{"type":"function","function":{"name":"g"}},{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"n":{"const":9007199254740993}},"required":["n"]}}}]'
            status, reply = post(server, ("{" + question + ',"tools":' + (tools if choice != '"required"' else "[" + tools[tools.index(",{") + 1 :]) + ',"tool_choice":' + choice + "}").encode())
            check(status == 200 and reply["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"n":9007199254740993}', f"a call with a large number: {reply}")


def test_messages():
    """What is wrong about messages is told by the request's own count, and by what is wrong."""
    call = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    user, calls, answered = {"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "text", "text": "t"}], "tool_calls": [call]}, {"role": "tool", "tool_call_id": "x", "content": "1"}
    with Server(gemlet, work.name + "/rote.gguf", "--ctx", "512", *level) as server:
        merged = [user, calls, answered, {"role": "assistant", "content": "ok"}, user]
        check(server.chat(messages=merged, max_tokens=1)[0] == 200, "calls and what they answer are refused")
        refused(server, 400, "messages[5]: is out of turn", messages=merged + [user], max_tokens=1)
        refused(server, 400, "messages[5]: a system prompt must be", messages=merged + [{"role": "system", "content": "a"}], max_tokens=1)
        # Behind a user's message without parts the model begins anew.
        refused(server, 400, "messages[4]: is out of turn", messages=[user, calls, answered, {"role": "user", "content": []}, user], max_tokens=1)
        check(server.chat(messages=[user, calls, answered, {"role": "user", "content": []}, {"role": "assistant", "content": "b"}, user], max_tokens=1)[0] == 200, "a user's message without parts")
        for arguments in ("{", '{"n":1},"x":2', "{}}", "1", "[]", '"x"', "{} {}"):
            bad = {**calls, "tool_calls": [call, {**call, "function": {"name": "f", "arguments": arguments}}]}
            refused(server, 400, "messages[1].tool_calls[1].function.arguments: ", messages=[user, bad, answered], max_tokens=1)
        for arguments in ("", ' {"n": [1, "]"]} '):
            good = {**calls, "tool_calls": [{**call, "function": {"name": "f", "arguments": arguments}}]}
            check(server.chat(messages=[user, good, answered], max_tokens=1)[0] == 200, f"arguments {arguments!r} are refused")
        refused(server, 400, "messages[1].tool_calls[0]: expected a function", messages=[user, {**calls, "tool_calls": [{}]}], max_tokens=1)
        for content in ([5], [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}], [{"text": "a"}]):
            refused(server, 400, f"messages[2].content[{len(content) - 1}]: expected a part of type text, found", messages=[user, calls, {**answered, "content": content}], max_tokens=1)
        for content in ([], [{"type": "text", "text": "a"}] * 2):
            check(server.chat(messages=[user, calls, {**answered, "content": content}], max_tokens=1)[0] == 200, f"a tool's content {content} is refused")
        refused(server, 400, "stop: expected at most 8 texts, found 9", messages=[user], stop=["a"] * 9)
        refused(server, 400, "stop: expected texts of 1 to 256 bytes, found one of 257", messages=[user], stop=["a" * 257])
        refused(server, 400, "choices: expected 2 to 32 texts, found 33", messages=[user], choices=["a"] * 33)
        refused(server, 400, "choices: expected texts that are not empty", messages=[user], choices=["a", ""])
        refused(server, 400, "choices: expected texts of at most 32 tokens", messages=[user], choices=["a", "ab" * 100000])
        # Choices take as much room as they have tokens.
        fits, too_much = 0, 2000
        while too_much - fits > 1:
            middle = (fits + too_much) // 2
            fits, too_much = (middle, too_much) if server.chat(messages=[{"role": "user", "content": "a" * middle}], max_tokens=1)[0] == 200 else (fits, middle)
        check(server.chat(messages=[{"role": "user", "content": "a" * fits}], choices=["a", "b"])[0] == 200, "two short choices do not fit where a token does")
        refused(server, 400, "positions, and the context has 512", messages=[{"role": "user", "content": "a" * fits}], choices=["a", "a b c d"])
        for name, idle, other in (("function_call", ["none"], ["x", {"name": "f"}, 1]), ("modalities", [["text"], []], ["audio", ["audio"], ["text", 1], "text"]), ("logit_bias", [{}], [5, {"5": 1}, [], "a"]),
                                  ("functions", [[]], [[{"name": "f"}], 1, {}]), ("audio", [None], [{"voice": "a"}, 1]), ("web_search_options", [None], [{}]), ("verbosity", ["medium"], ["low", 1])):
            for value in idle:
                check(server.chat(messages=[user], max_tokens=1, **{name: value})[0] == 200, f"{name} {value} is refused")
            for value in other:
                refused(server, 400, name + ": ", messages=[user], max_tokens=1, **{name: value})


def test_own_errors():
    """What the request is not to blame for is 500: a model whose logits are no numbers."""
    broken = work.name + "/broken.gguf"
    halves = [half for (half,) in struct.iter_unpack("<H", Path(work.name + "/rote.gguf").read_bytes())]
    for i, half in enumerate(halves):  # scales of the head's blocks, 1/32 with either sign, become NaN
        halves[i] = 0x7E00 if half & 0x7FFF == 0x2800 else half
    Path(broken).write_bytes(struct.pack(f"<{len(halves)}H", *halves))
    with Server(gemlet, broken, "--ctx", "64", *level) as server:
        refused(server, 500, "logit of token ", messages=[{"role": "user", "content": "a"}])


def test_large_prompts():
    """What will not fit is not taken apart to its end."""
    with Server(gemlet, tiny, "--ctx", "320", "--no-images", *level) as server:
        server.chat(messages=[{"role": "user", "content": "a"}], max_tokens=1)
        before = server.resident(peak=True)
        refused(server, 400, "at least 321 positions, and the context has 320", messages=[{"role": "user", "content": "qzxj" * (3 << 20)}], max_tokens=1)
        grown = server.resident(peak=True) - before
        check(grown < 70 << 20 or sanitized, f"a text of 12 MiB takes {grown} bytes")


def test_thoughts():
    thinking = work.name + "/gemma4.gguf"
    subprocess.run([packer, "--text", "tests/data/gemma4-tiny/text-q4_0.gguf", "-o", thinking, "--quiet"], check=True, capture_output=True)
    with Server(gemlet, thinking, "--ctx", "256", *level) as server:
        question = [{"role": "user", "content": "Think."}]
        for seed in range(400):
            message = server.chat(messages=question, seed=seed, temperature=2, top_k=0, top_p=1, max_tokens=40, reasoning_effort="low")[1]["choices"][0]["message"]
            if message.get("reasoning_content"):
                break
        check(message.get("reasoning_content") and "<|channel>" not in json.dumps(message), f"thoughts do not come apart: {message}")
        events = server.events(messages=question, seed=seed, temperature=2, top_k=0, top_p=1, max_tokens=40, reasoning_effort="low")
        check("".join(event["choices"][0]["delta"].get("reasoning_content", "") for event in events if event["choices"]) == message["reasoning_content"], "a stream has other thoughts")
        check(text_of(events) == message["content"], "a stream has another answer behind the thoughts")
        check(server.chat(messages=question, max_tokens=2, chat_template_kwargs={"enable_thinking": True})[0] == 200, "enable_thinking")


def refused(server, status, pattern, **members):
    found, reply = server.chat(**members)
    message = reply.get("error", {}).get("message", "")
    check(found == status and pattern in message, f"expected {status} with {pattern!r}, found {found}: {str(reply)[:300]}")


def test_refusals():
    question = [{"role": "user", "content": "a"}]
    data = picture("examples/demo/one.jpg")
    broken = {"type": "image_url", "image_url": {"url": data["image_url"]["url"][: 23 + 400]}}
    no_sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    with Server(gemlet, demo, "--ctx", "320", "--no-sounds", *level) as server:
        refused(server, 400, "no sound encoder", messages=[says(no_sound)])
    with Server(gemlet, demo, "--ctx", "512", *level) as server:
        refused(server, 400, "messages: expected a list")
        refused(server, 400, "messages: expected a list", messages=[])
        refused(server, 400, "messages[0]: expected the role", messages=[{"content": "a"}])
        refused(server, 400, "messages[0]: expected content", messages=[{"role": "user"}])
        refused(server, 400, "out of turn", messages=question * 2)
        called = {"role": "assistant", "content": None, "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
        refused(server, 400, "not made to call functions", messages=question + [called] + [{"role": "tool", "tool_call_id": "x", "content": []}] * 200)
        refused(server, 400, "messages[0].content[0]: expected a part of type", messages=[says({"type": "video"})])
        refused(server, 400, "fetches nothing", messages=[says({"type": "image_url", "image_url": {"url": "http://localhost/a.jpg"}})])
        refused(server, 400, "fetches nothing", messages=[says({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}})])
        refused(server, 400, "expected base64", messages=[says({"type": "image_url", "image_url": {"url": "data:image/png;base64,!!!!"}})])
        refused(server, 400, "messages[0].content[0].image_url: expected a picture", messages=[says({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})])
        refused(server, 400, "image_url", messages=[says(broken)])
        refused(server, 400, "at most 16", messages=[says(*[data] * 17)])
        refused(server, 400, "user's message", messages=question + [says(data, role="assistant")] + question)
        refused(server, 400, "messages[0].content[0]: ", messages=[says(no_sound)])
        refused(server, 400, "positions, and the context has 512", messages=[{"role": "user", "content": "a b " * 4000}])
        refused(server, 400, "can't be asked to think", messages=question, reasoning_effort="high")
        for name, value in {"temperature": 3, "top_p": -1, "max_tokens": 0, "seed": 0.5, "stop": [""], "stop ": None, "n": 2, "logprobs": "yes", "stream": 1, "presence_penalty": 1}.items():
            if value is not None:
                refused(server, 400, name + ": expected", messages=question, **{name: value})
        refused(server, 400, "expected logprobs", messages=question, top_logprobs=3)
        refused(server, 400, "logit_bias", messages=question, logit_bias={"5": 1})
        plain = json.dumps({"messages": question, "max_tokens": 1}).encode()
        full = b'{"a":[' + b",".join([b"1"] * 80000) + b'],"b":"' + b"x" * 500000 + b'",' + plain[1:]
        check(post(server, plain + b" \t\r\n")[0] == 200, "white space behind a request is refused")
        for body, pattern in {plain + b"xyz": f"an error at byte {len(plain)}", plain + b"}": "expected JSON", plain + b"\x0b": "expected JSON", plain * 2: "expected JSON", full: "too many values", b"": "expected JSON", b"{": "expected JSON", b"[1]": "expected an object", b'{"a":"\\u0000"}': "U+0000", b"[" * 5000: "expected JSON", b"[" + b"1," * 3000000 + b"1]": "too many values"}.items():
            status, _, text = server.ask("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            check(status == 400 and pattern in json.loads(text)["error"]["message"], f"{body[:20]}: {status} {text[:200]}")
        check(server.ask("POST", "/v1/chat/completions", "{}", {"Content-Type": "text/plain"})[0] == 415, "text/plain is taken")
        status, headers, _ = server.ask("GET", "/v1/chat/completions")
        check(status == 405 and headers["Allow"] == "POST", "GET of completions")
        check(server.ask("POST", "/v1/models", "{}")[1]["Allow"] == "GET, HEAD", "a path that has HEAD does not say so")
        check(server.ask("POST", "/health", "{}")[0] == 405 and server.ask("GET", "/nothing")[0] == 404, "404 or 405")
        check(server.ask("GET", "/health", headers={"Host": "evil.example"})[0] == 403, "another name for this machine is answered")
        check(server.ask("GET", "/v1/models", headers={"Origin": "http://evil.example"})[0] == 403, "another site is answered")
        check(server.ask("GET", "/v1/models", headers={"Host": "localhost:1", "Origin": "http://localhost:1"})[0] == 200, "its own page is refused")
        check(server.ask("GET", "/health", headers={"X-Long": "a" * 40000})[0] in (400, 413, 431), "a header of 40,000 bytes is taken")
        check(server.metric("slots_busy") == 0, "a refusal keeps a slot")


def test_keys():
    path = work.name + "/keys"
    Path(path).write_text("first key\r\n\nsecond\n")
    with Server(gemlet, tiny, "--ctx", "64", "--no-images", "--api-key-file", path, *level) as server:
        for header, status in (("Bearer second", 200), ("bearer first key", 200), ("Bearer ", 401), ("Bearer secon", 401), ("Bearer secondd", 401), ("Basic second", 401), ("second", 401)):
            found = server.ask("GET", "/v1/models", headers={"Authorization": header})[0]
            check(found == status, f"key {header!r}: {found} instead of {status}")
        check([server.ask("GET", path)[0] for path in ("/v1/models", "/metrics", "/health", "/")] == [401, 401, 200, 200], "without a key")
    Path(path).write_text("\n\n")
    ended = run("serve", "-m", tiny, "--port", "0", "--api-key-file", path)
    check(ended.returncode == 1 and "expected a key on each line" in ended.stderr, f"an empty file of keys: {ended}")


long = {"messages": [{"role": "user", "content": "on and on"}], "stream": True, "temperature": 2, "top_k": 0, "top_p": 1, "logprobs": True, "top_logprobs": 20}


def begin_long(server):
    """A stream that does not end soon, and of which the first byte has come: with the untrained model, of a seed that goes on."""
    for seed in (27, 29, 22, *range(100)):  # these say nearly 1,000 tokens
        stream = server.open(request({**long, "seed": seed}), buffer=4096)
        stream.recv(100)
        time.sleep(0.3)
        if server.metric("slots_busy") > 0:
            return stream
        stream.close()
    raise AssertionError("no answer is long enough")


def test_slots():
    with Server(gemlet, tiny, "--ctx", "2048", "--no-images", "--answer-seconds", "3600", *level) as server:
        stream = begin_long(server)
        status, headers, text = server.ask("POST", "/v1/chat/completions", json.dumps({"messages": long["messages"]}), {"Content-Type": "application/json"})
        check(status == 503 and int(headers["Retry-After"]) >= 1 and b"busy" in text, f"a full server answers {status} {text}")
        check(server.metric("slots_busy") == 1 and server.metric("busy_total") == 1, "busy is not counted")
        stream.close()  # goes away: its answer is cancelled
        server.wait_for(lambda: server.metric("slots_busy") == 0)
        check(server.metric("cancelled_total") >= 1, "a client that goes away is not counted")
        check(server.chat(messages=long["messages"], max_tokens=2)[0] == 200, "a slot is lost")
        stream = begin_long(server)
        started = time.monotonic()  # an end while a stream goes on: it is not waited for
    check(time.monotonic() - started < 10, "a stream keeps the server from ending")
    # Who goes away while the server waits for him to read has an answer that was cancelled, too.
    with Server(gemlet, work.name + "/rote.gguf", *level) as server:
        endless = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array", "minItems": 30000, "items": {"type": "boolean"}}}}
        stream = server.open(request({**long, "response_format": endless}), buffer=4096)
        time.sleep(3)
        stream.close()
        server.wait_for(lambda: server.metric("slots_busy") == 0)
        check(server.metric("cancelled_total") == 1 and server.metric("answers_total") == 1, "a client that does not read and goes away is not counted")
    # Two at once say what each says alone.
    with Server(gemlet, tiny, "--ctx", "320", "--no-images", "--slots", "2", *level) as server:
        members = [{"messages": [{"role": "user", "content": text}], "max_tokens": 40, **greedy} for text in ("The cat sat", "A dog")]
        alone = [server.answer(**one) for one in members]
        found = [None, None]

        def ask(i):
            found[i] = [server.answer(**members[i]) for _ in range(5)]

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(found == [[alone[0]] * 5, [alone[1]] * 5], "two at once disturb each other")
        kept = [server.chat(**one)[1]["usage"]["prompt_tokens_details"]["cached_tokens"] for one in members]
        check(min(kept) > 5, f"slots do not keep what was asked before: {kept}")


def closed_after(stream):
    """Seconds until the other side ends the connection, and what it said last."""
    started, tail = time.monotonic(), b""
    try:
        while piece := stream.recv(1 << 16):
            tail = (tail + piece)[-100:]
    except ConnectionResetError:
        pass
    stream.close()
    return time.monotonic() - started, tail


def test_limits():
    with Server(gemlet, tiny, "--ctx", "2048", "--no-images", "--request-seconds", "1", "--answer-seconds", "1", "--request-memory", "1", "--connections", "4", *level) as server:
        for data in (b"", b"GET /health HTTP/1.1\r\nHost: ", request({**long})[:-5], request({**long}).split(b"\r\n\r\n")[0] + b"\r\n\r\n"):
            seconds = closed_after(server.open(data))[0]
            check(0.5 < seconds < 10, f"a client that sends {data[:30]} and waits is left alone for {seconds} s")
        for seed in (27, *range(60)):  # answers whose time is over, among those that end before
            stream = server.open(request({**long, "seed": seed}))
            seconds, tail = closed_after(stream)
            if b"[DONE]" not in tail:
                break
        check(b"[DONE]" not in tail and 0.9 < seconds < 20, f"an answer may take {seconds} s")
        server.wait_for(lambda: server.metric("slots_busy") == 0)
        status, _, text = server.ask("POST", "/v1/chat/completions", b" " * ((1 << 20) + 1), {"Content-Type": "application/json"})
        check(status == 413, f"a request that is too large: {status} {text}")
        crowd = [server.open(b"GET /health HTTP/1.1\r\n") for _ in range(12)]
        for one in crowd:
            one.close()
        server.wait_for(lambda: server.metric("connections") == 1)
        check(server.ask("GET", "/health")[0] == 200, "a crowd shuts others out for good")


def test_log():
    with Server(gemlet, tiny, "--ctx", "64", "--no-images", "--log-requests", *level) as server:
        server.chat(messages=[{"role": "user", "content": "SECRET"}], max_tokens=2)
        server.ask("GET", "/SECRET?SECRET")
        # Each line is written when its connection is done with the request, which may be after the client has read the answer.
        server.wait_for(lambda: all(line in server.said() for line in ("?: status 404", "completions: status 200, prompt ")))
        check("SECRET" not in server.said(), f"the log: {server.said()}")


def test_camera():
    """rpicam-vid is played; V4L2 is tests/camera's."""
    folder = work.name + "/camera"
    os.mkdir(folder)
    environment = played_camera(folder, "examples/demo/one.jpg")
    with Server(gemlet, tiny, "--ctx", "64", "--no-images", "--camera", "rpicam", *level, environment=environment) as server:
        for _ in range(2):
            status, headers, data = server.ask("GET", "/camera")
            check(status == 200 and headers["X-Picture-Size"] == "256x256" and data[:2] == b"BM" and len(data) == 54 + 512 * 512 * 3, f"/camera: {status} {headers} {data[:100]}")
        bottom, top = [data[54 + (y * 512 + 400) * 3 : 54 + (y * 512 + 400) * 3 + 3] for y in (90, 420)]
        check(bottom[0] > 120 and bottom[1] < 100, f"the star of the picture is not where it is, or has other colours: {bottom.hex()} {top.hex()}")
        os.rename(folder + "/rpicam-vid", folder + "/away")
        child = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()[0]
        os.kill(int(child), signal.SIGKILL)
        # A picture that was on its way may come first.
        server.wait_for(lambda: server.ask("GET", "/camera")[0] == 500)
        os.rename(folder + "/away", folder + "/rpicam-vid")
        check(server.ask("GET", "/camera")[0] == 200, "a camera that is back is not opened")
        check(server.ask("GET", "/camera", headers={"Sec-Fetch-Site": "cross-site"})[0] == 403, "another site may show the camera's picture")
    # What came before anybody asked is old, however long the camera is silent then.
    environment = played_camera(folder, "examples/demo/one.jpg", before=f"cat '{os.path.abspath('examples/demo/two.jpg')}'; sleep 3; ")
    with Server(gemlet, tiny, "--ctx", "64", "--no-images", "--camera", "rpicam", *level, environment=environment) as server:
        time.sleep(0.5)
        first, second = (server.ask("GET", "/camera")[2] for _ in range(2))
        check(first == second, "the first picture is older than who asked for it")
    # A camera without a frame, whose program does not end by itself: neither keeps the server.
    environment = played_camera(folder, "examples/demo/one.jpg", before="trap '' TERM; ", script="exec sleep 100")
    with Server(gemlet, tiny, "--ctx", "64", "--no-images", "--camera", "rpicam", *level, environment=environment) as server:
        streams = [server.open(b"GET /camera HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(5)]
        time.sleep(0.5)
        for stream in streams[2:]:
            stream.close()
        server.wait_for(lambda: server.metric("connections") == 3, 9)  # who went away does not wait for the 10 s of who holds the camera
        started = time.monotonic()
    check(time.monotonic() - started < 30, f"a camera without frames keeps the server for {time.monotonic() - started} s")
    for stream in streams[:2]:
        stream.close()
    with Server(gemlet, tiny, "--ctx", "64", "--no-images", *level) as server:
        check(server.ask("GET", "/camera")[0] == 404, "a server without a camera")
    ended = run("serve", "-m", tiny, "--ctx", "64", "--port", "0", "--camera", work.name + "/none")
    check(ended.returncode == 1 and "none" in ended.stderr, f"a camera that is not there: {ended}")


def test_command():
    for code, pattern, *arguments in ((2, "option --port: expected a whole number", "--port", "65536"), (1, "expected an IPv4 or IPv6 address", "--host", "nowhere"),
                                      (1, "none: ", "--api-key-file", work.name + "/none"), (2, "option --slots: expected", "--slots", "0")):
        ended = run("serve", "-m", tiny, "--ctx", "64", *arguments)
        check(ended.returncode == code and pattern in ended.stderr, f"serve {arguments}: {ended}")
    ended = run("serve", "-m", work.name + "/none.gguf")
    check(ended.returncode == 1 and "none.gguf" in ended.stderr, f"a model that is not there: {ended}")
    with Server(gemlet, tiny, "--ctx", "64", "--no-images", "--host", "::1", *level) as server:
        check("[::1]" in server.url and server.said() == "", f"IPv6: {server.url} {server.said()}")
        check(server.ask("GET", "/health")[0] == 200 and server.ask("GET", "/health", headers={"Host": "evil.example"})[0] == 403, "IPv6: /health")
        again = run("serve", "-m", tiny, "--ctx", "64", "--host", "::1", "--port", str(server.port))
        check(again.returncode == 1 and "can't listen on port" in again.stderr, f"a port that is taken: {again}")
    with Server(gemlet, tiny, "--ctx", "64", "--no-images", "--host", "127.0.0.2", *level) as server:  # this machine, too
        check(server.said() == "", f"127.0.0.2 is taken for an open address: {server.said()}")
        for host, status in ((None, 200), ("localhost", 200), ("127.0.0.3", 403), ("127.0.0.22", 403)):
            found = server.ask("GET", "/health", headers={"Host": host} if host else {})[0]
            check(found == status, f"127.0.0.2, asked as {host}: {found}")
    with Server(gemlet, demo, *level) as server:  # which was not made for 4,096 positions
        context = json.loads(server.ask("GET", "/v1/models")[2])["data"][0]["max_model_len"]
        told = re.search(r"context at most +(\d+)", run("info", "-m", demo).stdout)
        check(context < 4096 and context == int(told[1]), f"without --ctx: {context}, {told}")
    with Server(gemlet, tiny, "--ctx", "64", "--no-images", "--host", "0.0.0.0", *level) as server:
        check("--api-key-file" in server.said(), "an open server says nothing about keys")
        check(server.ask("GET", "/health", headers={"Host": "camera.local"})[0] == 200, "an open server refuses its name")


def test_sound():
    whole = work.name + "/whole.gguf"
    subprocess.run([packer, "--text", "tests/data/tiny/text-q4_0.gguf", "--mmproj", "tests/data/tiny/mm-f16.gguf", "-o", whole, "--quiet"], check=True, capture_output=True)
    sound = recording(Path("tests/data/sound/gemma3n/short.pcm.s16").read_bytes())
    file = base64.b64decode(sound["input_audio"]["data"])
    cut = {"type": "input_audio", "input_audio": {"data": base64.b64encode(file[:60]).decode(), "format": "wav"}}
    endless = recording(bytes(8000 * 31), rate=8000, width=1)
    Path(work.name + "/clip.wav").write_bytes(file)
    with Server(gemlet, whole, "--ctx", "320", "--no-images", *level) as server:
        found = server.answer(messages=[says("before ", sound, " behind")], max_tokens=6, **greedy)
        told = run("run", "-m", whole, "--ctx", "320", "-p", "before <sound> behind", "--sound", work.name + "/clip.wav", "-n", "6", "--temp", "0", *level)
        check(found == told.stdout[:-1], f"a sound has another answer than run's: {found!r}, {told}")
        kept = server.chat(messages=[says("before ", sound, " then")], max_tokens=1)[1]["usage"]["prompt_tokens_details"]["cached_tokens"]
        check(kept > 188, f"a sound is computed again: {kept}")
        refused(server, 400, "messages[0].content[0]", messages=[says(cut)])
        refused(server, 400, "messages[0].content[0]: is longer than the model hears at once, seconds: 30", messages=[says(endless)])
        refused(server, 400, "positions, and the context has 320", messages=[says(*[sound] * 16)])
        refused(server, 400, "positions, and the context has 320", messages=[says("before ", sound, " then", sound)])  # the first is kept
        check(server.metric("slots_busy") == 0, "a sound that is refused keeps a slot")
    with Server(gemlet, whole, "--ctx", "2048", "--no-images", "--answer-seconds", "3600", *level) as server:
        stream = begin_long(server)
        refused(server, 503, "busy", messages=[says(cut)])  # sounds are decoded when they have a slot
        stream.close()


subprocess.run([packer, "--text", "tests/data/tiny/text-q4_0.gguf", "-o", tiny, "--quiet"], check=True, capture_output=True)
for test in (test_answers, test_settings, test_choices, test_forms, test_messages, test_own_errors, test_large_prompts, test_thoughts, test_refusals, test_keys, test_slots, test_limits, test_log, test_camera, test_command, test_sound):
    began = time.monotonic()
    test()
    if os.environ.get("VERBOSE"):
        print(f"{test.__name__}: {time.monotonic() - began:.1f} s", flush=True)
damage = [sys.executable, "tests/serve/damage.py", gemlet, packer, "200" if sanitized else "1000", "1"] + sys.argv[3:]
check(subprocess.run(damage).returncode == 0, "damage.py fails")
sys.exit(1 if failures else 0)
