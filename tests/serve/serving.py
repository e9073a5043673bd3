"""A server that is started, asked and ended: what the tests of `gemlet serve` share.  Python's own library alone."""
import base64
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import wave


class Server:
    """with Server(gemlet, model, "--slots", "2") as server: ...  Ends with an error where the program does not end well."""

    def __init__(self, gemlet, model, *options, ended=0, environment=None):
        self.environment = environment
        self.command = [gemlet, "serve", "-m", model, "--port", "0", *options]
        self.ended = ended

    def __enter__(self):
        self.messages = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=self.messages, text=True, env=self.environment)
        line = self.process.stdout.readline()
        found = re.match(r"listening on (http://\[?(.*?)\]?:(\d+))$", line)
        if not found:
            self.process.kill()
            raise AssertionError(f"{self.command} says {line!r}, {self.said()!r}")
        self.url, self.host, self.port = found[1], found[2].replace("0.0.0.0", "127.0.0.1"), int(found[3])
        return self

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the server does not end")
        if kind is None and code != self.ended:
            raise AssertionError(f"the server ends with {code}: {self.said()}")
        if kind is not None:
            print(self.said())

    def said(self):
        self.messages.seek(0)
        return self.messages.read().decode(errors="replace")

    def ask(self, method, path, body=None, headers=(), timeout=120):
        """(status, headers, body)"""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        connection.request(method, path, body, dict(headers))
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return reply.status, reply.headers, text

    def chat(self, headers=(), **members):
        """(status, parsed body)"""
        status, _, text = self.ask("POST", "/v1/chat/completions", json.dumps(members), {"Content-Type": "application/json", **dict(headers)})
        return status, json.loads(text)

    def answer(self, **members):
        status, reply = self.chat(**members)
        assert status == 200, (status, reply)
        return reply["choices"][0]["message"]["content"]

    def events(self, **members):
        """The parsed events of a stream; the last must be [DONE]."""
        status, headers, text = self.ask("POST", "/v1/chat/completions", json.dumps({"stream": True, **members}), {"Content-Type": "application/json"})
        assert status == 200 and headers["Content-Type"] == "text/event-stream", (status, text)
        parts = text.decode().split("\n\n")
        assert parts[-1] == "" and parts[-2] == "data: [DONE]", parts[-2:]
        assert all(part.startswith("data: ") for part in parts[:-1])
        return [json.loads(part[6:]) for part in parts[:-2]]

    def open(self, data, timeout=60, buffer=None):
        """A socket that has sent `data`."""
        made = socket.socket()
        if buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        made.settimeout(timeout)
        made.connect(("127.0.0.1", self.port))
        made.sendall(data)
        return made

    def metric(self, name):
        text = self.ask("GET", "/metrics")[2].decode()
        return float(re.search(rf"^gemlet_{re.escape(name)} (\S+)$", text, re.M)[1])

    def wait_for(self, what, seconds=20):
        """Until what() is true; a server that is full may refuse to tell."""
        end = time.monotonic() + seconds
        while True:
            try:
                if what():
                    return
            except (OSError, http.client.HTTPException):
                pass
            assert time.monotonic() < end, "this does not come"
            time.sleep(0.05)

    def resident(self, peak=False):
        """Bytes, now or at most so far."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", file.read())[1]) << 10


def played_camera(folder, picture, before="", script="while cat '{}'; do sleep 0.1; done"):
    """The environment in which rpicam-vid is a program that shows a picture again and again, after what stands in `before`."""
    program = folder + "/rpicam-vid"
    with open(program, "w") as file:
        file.write("#!/bin/sh\n" + before + script.format(os.path.abspath(picture)) + "\n")
    os.chmod(program, 0o755)
    return {**os.environ, "PATH": folder + ":" + os.environ["PATH"]}


def request(members, path="/v1/chat/completions", more=""):
    """The bytes of a request."""
    body = members if isinstance(members, bytes) else json.dumps(members).encode()
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def picture(path, kind="jpeg"):
    """A part of a message."""
    with open(path, "rb") as file:
        return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64," + base64.b64encode(file.read()).decode()}}


def recording(samples, rate=16000, width=2):
    """A part of a message: a WAV file of one channel."""
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples)
    return {"type": "input_audio", "input_audio": {"data": base64.b64encode(made.getvalue()).decode(), "format": "wav"}}


def says(*content, role="user"):
    """A message; each of `content` is a text or a part."""
    return {"role": role, "content": [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]}
