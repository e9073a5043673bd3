#!/usr/bin/env python3
"""usage: serve_page.py GEMLET CHROMIUM [SCREENSHOT]

The page of `gemlet serve` in headless Chromium, driven over its pipe for developers: a picture is dropped, the answer is read, choices are bars, an answer is
stopped, a key is asked for; a picture is taken with the
browser's camera (Chromium's own made-up one) and with the server's (played); what the keyboard reaches and what a screen reader is told; a phone's width.  SCREENSHOT becomes the picture of README.md.
"""
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "serve"))
from serving import Server, played_camera  # noqa: E402

gemlet, chromium = sys.argv[1:3]
screenshot = sys.argv[3] if len(sys.argv) > 3 else None
demo = "examples/demo/demo.gguf"


class Browser:
    """Messages of the DevTools protocol, each ended by NUL, through the descriptors 3 and 4."""

    def __init__(self, folder):
        reads, self.to = os.pipe()
        self.come, writes = os.pipe()
        # Descriptors 3 and 4 of the browser: a shell renames them.
        command = f'exec 3<&{reads} 4>&{writes}; exec "$@"'
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--remote-debugging-pipe", "--user-data-dir=" + folder,
                     "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "about:blank"]
        self.process = subprocess.Popen(["bash", "-c", command, "-", chromium, *arguments], pass_fds=(reads, writes), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        os.close(reads)
        os.close(writes)
        self.number, self.held, self.events, self.session = 0, b"", [], None
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Accessibility"):
            self.call(domain + ".enable")

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.held:
                piece = os.read(self.come, 1 << 20)
                assert piece, "the browser has ended"
                self.held += piece
            text, self.held = self.held.split(b"\0", 1)
            reply = json.loads(text)
            if reply.get("id") == self.number:
                assert "error" not in reply, (method, reply["error"])
                return reply["result"]
            self.events.append(reply)

    def run(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, script, seconds=60):
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"{script} does not come true: {self.run('document.body.innerText')}"
            time.sleep(0.05)
        return value

    def press(self, key):
        codes = {"Enter": ("Enter", 13, "\r"), "Tab": ("Tab", 9, "")}
        code, number, text = codes[key]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number, **({"text": text} if text and kind == "keyDown" else {}))

    def drop(self, path):
        """As a person does: over the middle of the place for pictures."""
        x, y = self.run("(() => { const box = document.getElementById('drop').getBoundingClientRect(); return [box.x + box.width / 2, box.y + 20]; })()")
        data = {"items": [], "files": [os.path.abspath(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def foreign(self, url):
        """Requests that went elsewhere than to `url`, and errors of the console."""
        requests = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        wrong = [one for one in requests if not one.startswith((url, "data:", "blob:", "about:"))]
        wrong += [str(e["params"]) for e in self.events if e.get("method") in ("Runtime.exceptionThrown",) or (e.get("method") == "Log.entryAdded" and e["params"]["entry"]["source"] in ("security", "javascript"))]
        return wrong

    def close(self):
        try:
            self.call("Browser.close")
        except (AssertionError, OSError):
            pass
        self.process.wait(20)


def status_is(text):
    return f"document.getElementById('status').textContent === {json.dumps(text)}"


answers = "[...document.querySelectorAll('#talk .model')].map(one => one.innerText)"


def ask_by_drop(browser, server):
    browser.call("Page.navigate", url=server.url + "/")
    browser.until("document.readyState === 'complete' && document.getElementById('model').textContent.startsWith('demo: 1024 tokens')")
    browser.drop("examples/demo/one.jpg")
    browser.until("!document.getElementById('shown').hidden && document.getElementById('shown').naturalWidth > 0")
    browser.run("document.getElementById('question').value = ''; document.getElementById('question').focus()")
    browser.call("Input.insertText", text="Where is the star?")
    browser.press("Enter")
    browser.until(status_is("Done."))
    assert browser.run(answers) == ["The star is at the bottom right."], browser.run(answers)
    assert browser.run("document.querySelectorAll('#choices tr').length") == 5 and browser.run("document.querySelector('#choices th').textContent") == '"The"'
    points = browser.run("document.querySelector('#speed polyline').getAttribute('points').split(' ').length")
    assert points >= 5 and "tokens per second" in browser.run("document.getElementById('speed').getAttribute('aria-label')"), points
    plan = browser.run("[...document.querySelectorAll('#plan tr')].map(row => row.innerText)")
    assert any("KV cache" in row and "MB" in row for row in plan) and len(plan) > 8, plan
    if screenshot:
        browser.call("Emulation.setDeviceMetricsOverride", width=1000, height=740, deviceScaleFactor=1, mobile=False)
        Path(screenshot).write_bytes(base64.b64decode(browser.call("Page.captureScreenshot", format="webp", quality=85)["data"]))
    browser.call("Input.insertText", text="What do you see?")  # the focus is back in the question
    browser.press("Enter")
    browser.until(answers + ".length === 2 && " + status_is("Done."))
    assert "were there already" in browser.run("document.getElementById('rate').textContent")


def choose(browser):
    browser.run("document.getElementById('anew').click()")
    browser.drop("examples/demo/one.jpg")
    browser.until("!document.getElementById('shown').hidden")
    browser.run("document.getElementById('among').value = 'The star is at the top left. | The star is at the bottom right.'; document.getElementById('question').value = 'Where is the star?'; document.getElementById('go').click()")
    browser.until(answers + ".length === 1 && " + status_is("Done."))
    assert browser.run(answers) == ["The star is at the bottom right."], browser.run(answers)
    widths = browser.run("[...document.querySelectorAll('#choices .bar span')].map(bar => parseFloat(bar.style.width))")
    assert len(widths) == 2 and widths[0] < widths[1] and widths[1] > 50 and browser.run("document.getElementById('likely').textContent") == "The choices", widths
    browser.run("document.getElementById('among').value = ''")


def look(browser):
    """What assistive technology is told: every control has a name, and the answers stand in a log."""
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    shown = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n.get("ignored")]
    for role, name in shown:
        assert role not in ("button", "textbox", "checkbox", "image", "log", "region") or name, f"a {role} has no name"
    for wanted in (("button", "Ask"), ("button", "Stop"), ("button", "Choose a picture"), ("button", "Take a picture"), ("textbox", "Question"), ("log", "Questions and answers")):
        assert wanted in shown, (wanted, shown)
    # The keyboard comes everywhere.
    browser.run("document.activeElement.blur()")
    reached = []
    for _ in range(12):
        browser.press("Tab")
        reached.append(browser.run("document.activeElement.id"))
    assert {"choose", "take", "question", "go", "anew", "greedy"} <= set(reached), reached
    for width in (320, 390, 1280):
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
        assert browser.run("document.documentElement.scrollWidth") <= width, f"the page is wider than {width} pixels"


def stop(browser, server):
    browser.run("document.getElementById('anew').click(); document.getElementById('greedy').checked = false")
    browser.drop("examples/demo/two.jpg")
    browser.until("!document.getElementById('shown').hidden")
    browser.run("document.getElementById('question').value = 'What do you see?'; document.getElementById('go').click()")
    browser.until("!document.getElementById('stop').disabled")
    browser.run("document.getElementById('stop').click()")
    browser.until(status_is("Stopped."))
    server.wait_for(lambda: server.metric("slots_busy") == 0)
    browser.run("document.getElementById('question').value = 'x '.repeat(3000); document.getElementById('go').click()")
    browser.until("document.getElementById('status').className === 'error' && document.getElementById('status').textContent.includes('the context has 1024')")


def take_picture(browser):
    browser.run("window.opened = 0; window.open_camera = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices)")
    browser.run("navigator.mediaDevices.getUserMedia = how => { window.opened++; return window.open_camera(how); }; null")
    browser.run("document.getElementById('anew').click(); document.getElementById('take').click(); document.getElementById('take').click()")
    browser.until("document.getElementById('live').videoWidth > 0 && document.getElementById('take').textContent === 'Now'")
    browser.run("document.getElementById('take').click()")
    browser.until("document.getElementById('shown').naturalWidth > 0 && document.getElementById('live').hidden")
    assert browser.run("window.opened") == 1, "a second click opens a second camera"


def take_theirs(browser):
    browser.run("document.getElementById('anew').click(); document.getElementById('theirs').click()")
    browser.until("document.getElementById('shown').naturalWidth > 0")
    browser.run("document.getElementById('greedy').checked = true; document.getElementById('question').value = 'Where is the star?'; document.getElementById('go').click()")
    browser.until(answers + ".length === 1 && " + status_is("Done."))
    assert browser.run(answers) == ["The star is at the bottom right."], browser.run(answers)


def give_key(browser, server):
    browser.call("Page.navigate", url=server.url + "/")
    browser.until("document.readyState === 'complete' && !document.getElementById('door').hidden")
    browser.run("document.getElementById('key').value = 'sesame'; document.getElementById('door').requestSubmit()")
    browser.until("document.getElementById('door').hidden && document.getElementById('model').textContent.startsWith('demo')")


with tempfile.TemporaryDirectory() as work:
    Path(work + "/keys").write_text("sesame\n")
    browser = Browser(work + "/profile")
    try:
        with Server(gemlet, demo, "--ctx", "1024", "--camera", "rpicam", environment=played_camera(work, "examples/demo/one.jpg")) as server:
            ask_by_drop(browser, server)
            look(browser)
            choose(browser)
            stop(browser, server)
            take_picture(browser)
            take_theirs(browser)
            assert not browser.foreign(server.url), browser.foreign(server.url)
        with Server(gemlet, demo, "--ctx", "320", "--api-key-file", work + "/keys") as server:
            give_key(browser, server)
    finally:
        browser.close()
