#!/usr/bin/env python3
"""Exact-match answers on unseen scenes stored as JPEG, by kind of question, one column for each way of running the model.

    python evaluate.py HF --count 500 [--set FOLDER] [--columns float,simulated]
    python evaluate.py HF --columns float,gemlet --program "qemu-aarch64 ./gemlet" --packed demo.gguf [--differences FILE]

HF is the folder that export.py writes; FOLDER keeps the pictures, questions.json (made once, always the same scenes), and the answers of
`float` and `gemlet`, so that a run that was stopped goes on; another model or program is asked anew.
Columns: `float` is transformers; `simulated` is transformers with weights and activations rounded as the packed file and the
kernels round them; `gemlet` is the program on the packed model, with one thread; `lean` and `lean-q4` are the training scripts' own
decoder on the newest checkpoint, without and with rounded matrices: a quick look while training.
"""
import argparse
import hashlib
import json
import os
import random
import shlex
import subprocess

import numpy as np
import torch
from PIL import Image

import cache
import model
import quantise
import scenes
import text

TEST_SEED = 4242          # no training picture comes from this sequence


def make_set(folder, count):
    """[{file, kind, question, answer}], pictures written beside it."""
    path = os.path.join(folder, "questions.json")
    if os.path.exists(path):
        with open(path) as f:
            items = json.load(f)
        if len(items) >= count:
            return items[:count]
    os.makedirs(folder, exist_ok=True)
    rng, items = random.Random(TEST_SEED), []
    for i in range(count):
        scene = scenes.make_scene(rng)
        kind, question, answer = scenes.questions(scene, rng, 1)[0]
        items.append({"file": f"{i:04d}.jpg", "kind": kind, "question": question, "answer": answer, "things": len(scene)})
        with open(os.path.join(folder, items[-1]["file"]), "wb") as f:
            f.write(scenes.jpeg(scenes.render(scene, rng), rng))
    with open(path, "w") as f:
        json.dump(items, f, indent=1)
    return items


class Transformers:
    """The reference; `simulated` rounds what the packed model rounds."""
    def __init__(self, hf, simulated=False):
        from transformers import Gemma3nForConditionalGeneration
        self.m = Gemma3nForConditionalGeneration.from_pretrained(hf).float().eval()
        self.prompt = model.Prompt(os.path.join(hf, "tokenizer.model"))
        if simulated:
            quantise.round_weights(self.m)
            quantise.round_activations(self.m)

    @torch.no_grad()
    def answer(self, path, item):
        pixels = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None].float() / 255
        image = self.m.model.get_image_features(pixels)
        start, wanted = self.prompt.prefix + self.prompt.question(item["question"]), self.prompt.answer(item["answer"])
        if self._agrees(start, wanted, image):
            return item["answer"]
        return self._greedy(start, image)

    def _next(self, ids, image):
        hidden = self.m.model(input_ids=torch.tensor([ids]), mm_encoder_outputs={"image": image}, use_cache=False).last_hidden_state
        return self.m.lm_head(hidden[0]).argmax(-1).tolist()

    def _agrees(self, start, wanted, image):
        """Whether greedy decoding gives exactly `wanted`; one pass, since each token then follows from those before it."""
        return self._next(start + wanted[:-1], image)[len(start) - 1:] == wanted

    def _greedy(self, ids, image, limit=40):
        n = len(ids)
        while len(ids) < n + limit:
            token = self._next(ids, image)[-1]
            if token == model.END_OF_TURN:
                break
            ids = ids + [token]
        return self.prompt.text(ids[n:])


class Lean:
    """The training script's own decoder: fast, and says only whether the answer is right."""
    def __init__(self, work, quantised=False):
        from train_text import Trainer
        self.trainer, self.quantised = Trainer(work), quantised
        self.m, _ = cache.trained_encoder(work)
        self.end = self.m.model.embed_vision(input_ids=torch.tensor([model.END_OF_IMAGE]))[0].detach()

    @torch.no_grad()
    def answer(self, path, item):
        t, pixels = self.trainer, torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None].float() / 255
        prefixes = text.make_prefixes(t.prompt, model.soft_tokens(self.m, pixels), self.end, [range(256)])
        batch = text.assemble(t.prompt, prefixes, [[(item["kind"], item["question"], item["answer"])]], t.length)
        right = text.exact(t.decoder(batch, full=True, quantised=self.quantised), batch)[0][1]
        return item["answer"] if right else "(other)"


class Gemlet:
    def __init__(self, command, packed):
        self.command = shlex.split(command) + ["run", "-m", packed, "--temp", "0", "--ctx", "512", "--threads", "1"]

    def answer(self, path, item):
        run = subprocess.run(self.command + ["--image", path, "-p", item["question"]], capture_output=True, text=True)
        return run.stdout.strip() if run.returncode == 0 else f"(failed: {run.stderr.strip()[-200:]})"


class Kept:
    """Another way's answers, each written to a file as it comes and not asked for again; `key` is what they depend on."""
    def __init__(self, make, path, key):
        self.make, self.path, self.key, self.way, self.known = make, path, key, None, {}
        if os.path.exists(path):
            with open(path) as f:
                entries = [json.loads(line) for line in f]
            self.known = {e["file"]: e["answer"] for e in entries if e["key"] == key}

    def answer(self, path, item):
        if item["file"] not in self.known:
            self.way = self.way or self.make()
            self.known[item["file"]] = self.way.answer(path, item)
            with open(self.path, "a") as f:
                print(json.dumps({"key": self.key, "file": item["file"], "answer": self.known[item["file"]]}), file=f)
        return self.known[item["file"]]


def digest(*files):
    h = hashlib.sha256()
    for path in files:
        with open(path, "rb") as f:
            h.update(f.read())
    return h.hexdigest()


def table(items, answers):
    """Prints exact matches by kind, one column for each of `answers`."""
    print(f"{'kind':10s} {'asked':>6s} " + " ".join(f"{name:>10s}" for name in answers))
    for kind in scenes.KINDS + ["all"]:
        own = [i for i, item in enumerate(items) if kind in (item["kind"], "all")]
        shares = [sum(a[i] == items[i]["answer"] for i in own) / max(1, len(own)) for a in answers.values()]
        print(f"{kind:10s} {len(own):6d} " + " ".join(f"{100 * s:9.1f}%" for s in shares))
    names = list(answers)
    for name in names[1:]:
        same = sum(a == b for a, b in zip(answers[names[0]], answers[name]))
        print(f"{name} answers as {names[0]}: {same} of {len(items)} ({100 * same / len(items):.1f} %)")


def write_list(items, answers, path, chosen):
    """The pictures whose answers `chosen`(right answer, [answers]) picks, with all texts."""
    with open(path, "w") as f:
        for i, item in enumerate(items):
            given = {name: a[i] for name, a in answers.items()}
            if chosen(item["answer"], list(given.values())):
                f.write(f"{item['file']} {item['question']}\n    right: {item['answer']}\n")
                f.writelines(f"    {name}: {text}\n" for name, text in given.items())


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("hf"), ap.add_argument("--count", type=int, default=500), ap.add_argument("--set", default="demo-test-set")
    ap.add_argument("--columns", default="float"), ap.add_argument("--program", default=""), ap.add_argument("--packed", default="")
    ap.add_argument("--work", default="", help="where checkpoints are, for the columns lean and lean-q4")
    ap.add_argument("--errors", help="write every answer that is not right here")
    ap.add_argument("--differences", help="write all answers here where the columns differ")
    ap.add_argument("--threads", type=int, default=1)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    items = make_set(a.set, a.count)
    kept = lambda name, make, *key: Kept(make, os.path.join(a.set, f"answers-{name}.jsonl"), digest(*key))
    kinds = {"float": lambda: kept("float", lambda: Transformers(a.hf), os.path.join(a.hf, "model.safetensors")),
             "simulated": lambda: Transformers(a.hf, simulated=True),
             "gemlet": lambda: kept("gemlet", lambda: Gemlet(a.program, a.packed), shlex.split(a.program)[-1], a.packed),
             "lean": lambda: Lean(a.work), "lean-q4": lambda: Lean(a.work, quantised=True)}
    ways = {name: kinds[name]() for name in a.columns.split(",") if name}
    answers = {name: [way.answer(os.path.join(a.set, item["file"]), item) for item in items] for name, way in ways.items()}
    table(items, answers)
    if a.errors:
        write_list(items, answers, a.errors, lambda right, given: any(g != right for g in given))
    if a.differences:
        write_list(items, answers, a.differences, lambda right, given: len(set(given)) > 1)


if __name__ == "__main__":
    main()
