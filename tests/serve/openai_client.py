#!/usr/bin/env python3
"""usage: openai_client.py GEMLET GEMLET_PACK

The official client (package openai) drives `gemlet serve`: what a program that was written for OpenAI's service sees.
"""
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import openai

sys.path.insert(0, str(Path(__file__).resolve().parent))
import rote_model  # noqa: E402
from serving import Server, picture, recording, says  # noqa: E402

gemlet, packer = sys.argv[1:3]
demo = "examples/demo/demo.gguf"
star = [says(picture("examples/demo/one.jpg"), "Where is the star?")]
answer = "The star is at the bottom right."


def client_of(server, key="none"):
    return openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0, timeout=60)


def whole_and_stream(client):
    reply = client.chat.completions.create(model="demo", messages=star, temperature=0, logprobs=True, top_logprobs=3)
    assert reply.choices[0].message.content == answer and reply.choices[0].finish_reason == "stop", reply
    assert reply.choices[0].message.role == "assistant" and reply.id.startswith("chatcmpl-") and reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens, reply
    words = reply.choices[0].logprobs.content
    assert "".join(word.token for word in words) == answer and all(len(word.top_logprobs) == 3 and word.logprob <= 0 for word in words), words
    again = client.chat.completions.create(model="demo", messages=star, temperature=0)
    assert again.usage.prompt_tokens_details.cached_tokens == reply.usage.prompt_tokens - 1, again.usage
    parts, usage = [], None
    for event in client.chat.completions.create(model="demo", messages=star, temperature=0, stream=True, stream_options={"include_usage": True}):
        parts += [choice.delta.content or "" for choice in event.choices]
        usage = event.usage or usage
    assert "".join(parts) == answer and len(parts) > 5 and usage.completion_tokens == reply.usage.completion_tokens, (parts, usage)
    with client.chat.completions.stream(model="demo", messages=star, temperature=0) as stream:
        message = stream.get_final_completion().choices[0].message
        assert message.content == answer and message.role == "assistant", message


def settings(client):
    def ask(**members):
        return client.chat.completions.create(model="demo", messages=star, **members).choices[0]

    assert ask(temperature=0, max_tokens=3).finish_reason == "length"
    assert ask(temperature=0, max_completion_tokens=3).message.content == "The star is"
    assert ask(temperature=0, stop=["at the"]).message.content == "The star is "
    assert ask(temperature=2, top_p=1, seed=5).message.content == ask(temperature=2, top_p=1, seed=5).message.content
    instructed = client.chat.completions.create(model="demo", messages=[{"role": "developer", "content": "Answer."}] + star, temperature=0, max_tokens=4)
    assert instructed.usage.completion_tokens <= 4, instructed


def mistakes(client):
    for status, members in ((400, {"messages": []}), (400, {"temperature": 5}), (400, {"n": 2}), (400, {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.invalid/a.png"}}]}]})):
        try:
            client.chat.completions.create(**{"model": "demo", "messages": star, **members})
            raise AssertionError(f"{members} is answered")
        except openai.BadRequestError as problem:
            assert problem.status_code == status and problem.body["type"] == "invalid_request_error", problem
    try:
        client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "a b " * 4000}])
        raise AssertionError("a prompt beyond the context is answered")
    except openai.BadRequestError as problem:
        assert problem.code == "context_length_exceeded", problem
    assert [model.id for model in client.models.list()] == ["demo"]


def cancel_and_overload(client, server):
    """The only slot is taken by a stream that is left alone, then is free again."""
    stream = client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "on"}], stream=True, temperature=2, seed=21, extra_body={"top_k": 0})
    next(iter(stream))
    refused = None
    try:
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "on"}], max_tokens=1)
    except openai.InternalServerError as problem:
        refused = problem
    assert refused is not None and refused.status_code == 503 and int(refused.response.headers["retry-after"]) >= 1, refused
    stream.close()
    server.wait_for(lambda: server.metric("slots_busy") == 0)
    assert server.metric("cancelled_total") == 1
    client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "on"}], max_tokens=1)
    # Who may wait is answered: the client tries again by itself, as Retry-After says.
    stream = client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "on"}], stream=True, temperature=2, seed=21, extra_body={"top_k": 0})
    threading.Timer(0.5, stream.close).start()
    began = time.monotonic()
    client.with_options(max_retries=5).chat.completions.create(model="tiny", messages=[{"role": "user", "content": "on"}], max_tokens=1)
    assert time.monotonic() - began > 0.4


def two_at_once(client):
    found = []

    def ask(name):
        messages = [says(picture("examples/demo/" + name), "What do you see?")]
        found.append((name, client.chat.completions.create(model="demo", messages=messages, temperature=0).choices[0].message.content))

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("one.jpg", "two.jpg") * 2]
    for thread in threads[:2], threads[2:]:
        for one in thread:
            one.start()
        for one in thread:
            one.join()
    assert len(set(found)) == 2 and len(found) == 4, found


def sound(client):
    part = recording(Path("tests/data/sound/gemma3n/short.pcm.s16").read_bytes())
    reply = client.chat.completions.create(model="tiny", messages=[says(part, "What was said?")], temperature=0, max_tokens=3)
    assert reply.usage.prompt_tokens > 188 and reply.usage.completion_tokens == 3, reply


WEATHER = {"type": "function", "function": {"name": "g", "description": "Not this one.", "parameters": {"type": "object", "properties": {}}}}
COUNT = {"type": "function", "function": {"name": "f", "description": "Counts.", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}}


def tools(client):
    """A model that calls f by rote, and says "ok" behind what f answers."""
    def ask(messages, **members):
        return client.chat.completions.create(model="rote", messages=messages, temperature=0, max_tokens=40, **members).choices[0]

    hello = [{"role": "user", "content": "hello"}]
    choice = ask(hello, tools=[WEATHER, COUNT])
    call = choice.message.tool_calls[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None and len(choice.message.tool_calls) == 1, choice
    assert call.type == "function" and call.function.name == "f" and json.loads(call.function.arguments) == {"n": 4} and call.id, call
    answered = hello + [choice.message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "five"}]
    choice = ask(answered, tools=[WEATHER, COUNT])
    assert choice.finish_reason == "stop" and choice.message.content == "ok" and choice.message.tool_calls is None, choice
    again = ask(answered + [{"role": "assistant", "content": "ok"}, {"role": "user", "content": "again"}], tools=[COUNT])
    assert again.message.tool_calls[0].function.name == "f" and again.message.tool_calls[0].id != call.id, again
    # A call that must come; of the function that is named; none.
    for wanted in ("required", {"type": "function", "function": {"name": "f"}}):
        choice = ask(hello, tools=[COUNT], tool_choice=wanted, parallel_tool_calls=False)
        assert [(one.function.name, one.function.arguments) for one in choice.message.tool_calls] == [("f", '{"n":4}')] and choice.finish_reason == "tool_calls", choice
    choice = ask(hello, tools=[COUNT], tool_choice="none")
    assert choice.message.tool_calls is None and choice.message.content == "call:f{n:4}" and choice.finish_reason == "stop", choice
    assert ask(hello, tools=[COUNT], tool_choice="required", extra_body={"max_tokens": 2}).finish_reason == "length"
    # Whatever it would say, it calls what is declared as it is declared: another value, what lacks, another function.
    for properties, required, arguments in (({"n": {"enum": [7, 35]}}, [], (7, 35)), ({"n": {"type": ["null", "number"]}}, [], (4,)), ({"n": {"enum": [3, 4]}}, ["n"], (4,))):
        other = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": properties, "required": required}}}
        choice = ask(hello, tools=[WEATHER, other])
        assert choice.finish_reason == "tool_calls" and json.loads(choice.message.tool_calls[0].function.arguments)["n"] in arguments, (other, choice)
    lacking = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}, "z": {"const": True}}, "required": ["n", "z"]}}}
    made = json.loads(ask(hello, tools=[lacking]).message.tool_calls[0].function.arguments)
    assert list(made) == ["n", "z"] and isinstance(made["n"], int) and made["z"] is True, made
    assert ask(hello, tools=[WEATHER]).message.tool_calls[0].function.name == "g"
    named = ask(hello, tools=[COUNT, WEATHER], tool_choice={"type": "function", "function": {"name": "g"}}).message.tool_calls
    assert [(one.function.name, one.function.arguments) for one in named] == [("g", "{}")], named
    # Beside a form: the model calls, or answers in it.
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "boolean"}}}
    assert ask(hello, tools=[COUNT], response_format=form).finish_reason == "tool_calls"
    assert ask(hello, tools=[COUNT], tool_choice="none", response_format=form).message.content in ("true", "false")
    # As a stream.
    name, arguments, ends = "", "", []
    for event in client.chat.completions.create(model="rote", messages=hello, temperature=0, max_tokens=40, tools=[COUNT], stream=True):
        for choice in event.choices:
            ends += [choice.finish_reason] if choice.finish_reason else []
            for part in choice.delta.tool_calls or []:
                assert part.index == 0
                name += part.function.name or ""
                arguments += part.function.arguments or ""
    assert (name, arguments, ends) == ("f", '{"n":4}', ["tool_calls"]), (name, arguments, ends)
    with client.chat.completions.stream(model="rote", messages=hello, temperature=0, max_tokens=40, tools=[COUNT]) as stream:
        assert stream.get_final_completion().choices[0].message.tool_calls[0].function.name == "f"
    wrong = [{"tools": [{"type": "function", "function": {"name": "a b"}}]},
             {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"n": {"not": {}}}}}}]}, {"tools": [COUNT], "tool_choice": {"type": "function", "function": {"name": "h"}}},
             {"tool_choice": "required"}, {"tools": [COUNT], "tool_choice": "perhaps"}, {"extra_body": {"functions": [COUNT["function"]]}}, {"logit_bias": {"5": 1}}, {"modalities": ["audio"]},
             {"messages": [{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "call_1", "content": "y"}]},
             {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}}]}]}]
    for members in wrong:
        try:
            client.chat.completions.create(**{"model": "rote", "messages": hello, **members})
            raise AssertionError(f"{members} is answered")
        except openai.BadRequestError as problem:
            assert problem.body["type"] == "invalid_request_error", problem


def keys(path):
    Path(path).write_text("right\n")
    with Server(gemlet, demo, "--ctx", "320", "--api-key-file", path) as server:
        assert client_of(server, "right").models.list().data[0].id == "demo"
        try:
            client_of(server, "wrong").models.list()
            raise AssertionError("a wrong key is taken")
        except openai.AuthenticationError as problem:
            assert problem.code == "invalid_api_key"


with Server(gemlet, demo, "--ctx", "512", "--slots", "2") as served:
    whole_and_stream(client_of(served))
    settings(client_of(served))
    mistakes(client_of(served))
    two_at_once(client_of(served))
with tempfile.TemporaryDirectory() as work:
    subprocess.run([packer, "--text", "tests/data/tiny/text-q4_0.gguf", "--mmproj", "tests/data/tiny/mm-f16.gguf", "-o", work + "/tiny.gguf", "--quiet"], check=True, capture_output=True)
    with Server(gemlet, work + "/tiny.gguf", "--ctx", "2048", "--no-images") as served:
        sound(client_of(served))
        cancel_and_overload(client_of(served), served)
    rote_model.write(work + "/rote")
    subprocess.run([packer, "--hf", work + "/rote", "-o", work + "/rote.gguf", "--quiet"], check=True, capture_output=True)
    with Server(gemlet, work + "/rote.gguf", "--ctx", "512") as served:
        tools(client_of(served))
    keys(work + "/keys")
