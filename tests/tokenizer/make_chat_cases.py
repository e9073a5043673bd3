"""Writes the conversations of tests/tokenizer/test_chat.c with what the Hugging Face template makes of them.

    make_chat_cases.py tokenizer.model ADDED.txt > data/chat_cases.txt
    make_chat_cases.py --functiongemma tokenizer.model ADDED.txt > data/chat_cases_functiongemma.txt
    make_chat_cases.py --gemma4 tokenizer.json google-gemma-4-31B-it.jinja > data/chat_cases_gemma4.txt

Needs jinja2, and sentencepiece and protobuf or, for Gemma 4, tokenizers and the published template (llama.cpp's models/templates has it;
it is not ours to keep here). The templates below do what Gemma 3's and Gemma 3n's published ones do (tokenizer_config.json or
chat_template.jinja of the instruction-tuned models); both are run and must agree. expand() is what Gemma3nProcessor and Gemma3Processor of
transformers do next, with three soft tokens instead of 256 and 188.

Of Gemma 4's template E2B and E4B lack the empty channel that larger models get where they are not to think; it is taken away again here.

The file: lines of a word and percent-encoded fields. "case NAME BOS GENERATION THINK", "message ROLE", "text T", "image", "audio", then
"expect STRING" and "ids I I I" (of the tiny vocabulary), or "refused".
"""

import sys
from urllib.parse import quote

import jinja2.sandbox

import make_reference  # needs sentencepiece for Gemma 3's cases

HEAD = """{{ bos_token }}{%- if messages[0].role == 'system' -%}
{%- set prefix = (messages[0].content if messages[0].content is string else messages[0].content[0].text) + '\n\n' -%}{%- set turns = messages[1:] -%}
{%- else -%}{%- set prefix = '' -%}{%- set turns = messages -%}{%- endif -%}
{%- for m in turns -%}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception('roles must alternate') }}{%- endif -%}
{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + (prefix if loop.first else '') }}
{%- if m.content is string -%}{{ m.content | trim }}{%- elif m.content is iterable -%}
{%- for part in m.content -%}"""
TAIL = """{%- elif part.type == 'text' -%}{{ part.text | trim }}{%- endif -%}
{%- endfor -%}{%- else -%}{{ raise_exception('invalid content') }}{%- endif -%}
{{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"""
GEMMA3 = HEAD + "{%- if part.type == 'image' -%}{{ '<start_of_image>' }}" + TAIL
GEMMA3N = HEAD + "{%- if part.type == 'audio' -%}{{ '<audio_soft_token>' }}{%- elif part.type == 'image' -%}{{ '<image_soft_token>' }}" + TAIL
# FunctionGemma's, as far as turns of text go: LiteRT-LM, runtime/util/prompt_template_utils.cc, has it whole.
FUNCTIONGEMMA = """{{ bos_token }}{%- if messages[0].role == 'system' -%}
{{ '<start_of_turn>developer\n' + (messages[0].content[0].text | trim) + '<end_of_turn>\n' }}{%- set turns = messages[1:] -%}
{%- else -%}{%- set turns = messages -%}{%- endif -%}
{%- for m in turns -%}{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}
{%- for part in m.content -%}{%- if part.type == 'text' -%}{{ part.text | trim }}{%- endif -%}{%- endfor -%}
{{ '<end_of_turn>\n' }}{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"""
SOFT = 3


class Refused(Exception):
    pass


def render(template, messages, bos, generation):
    def refuse(text):
        raise Refused(text)

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    return environment.from_string(template).render(messages=messages, bos_token="<bos>" if bos else "", add_generation_prompt=generation)


def expand(text, image):
    for token, kind in ((image, "image"), ("<audio_soft_token>", "audio")):
        text = text.replace(token, f"\n\n<start_of_{kind}>\0{kind}\0<end_of_{kind}>\n\n")
    for kind in ("image", "audio"):
        text = text.replace(f"\0{kind}\0", f"<{kind}_soft_token>" * SOFT)
    return text


I, A = {"type": "image"}, {"type": "audio"}


def t(text):
    return {"type": "text", "text": text}


def u(*content):
    return {"role": "user", "content": list(content)}


def m(text):
    return {"role": "assistant", "content": [t(text)]}


def s(text):
    return {"role": "system", "content": [t(text)]}


CASES = {
    "hello": [u(t("hello"))],
    "trim": [u(t(" \t\r\n  hello  world \u3000\u00a0\u2003\x1f\x85\n"))],
    "not-trimmed": [u(t("\u200bhello\ufeff\u2060\x00"))],
    "only-white-space": [u(t(" \n "))],
    "empty": [u(t(""))],
    "no-parts": [u()],
    "two-texts": [u(t(" one "), t(" two "))],
    "turns": [u(t("hello")), m("How many?"), u(t("two of the red"))],
    "long-talk": [u(t("a")), m(" b "), u(t("c")), m("d\n\ne"), u(t("f\n")), m("\ng"), u(t("h"))],
    "ends-with-model": [u(t("hello")), m("the fox")],
    "system": [s("You are the model."), u(t("hello"))],
    "system-not-trimmed": [s("\n\n Be brief. \n"), u(t(" hello "))],
    "system-empty": [s(""), u(t("hello"))],
    "system-turns": [s("Count."), u(t("hello")), m("1"), u(t("2"))],
    "system-image": [s("Look."), u(I, t("How many red circles?"))],
    "image": [u(I)],
    "image-first": [u(I, t("How many red circles are above the blue triangle?"))],
    "image-last": [u(t("How many red circles are above the blue triangle?"), I)],
    "image-middle": [u(t("In "), I, t(" there are "))],
    "images": [u(I, I, t("compare"), I)],
    "images-in-turns": [u(I, t("one")), m("1"), u(t("two"), I), m("2"), u(t("three"))],
    "audio": [u(A, t("What is said?"))],
    "audio-and-image": [u(t("Here "), A, I, t(" and "), I, A)],
    "model-with-newlines": [u(t("x")), m("\n\n"), u(t("\n"))],
    "multilingual": [u(t("Съешь же ещё 丸はいくつありますか 😀👩‍👩‍👧‍👦")), m("größer"), u(t("مكتوب"))],
    "quotes": [u(t("{{ 1 + 1 }} {% raw %} \"'\\ & <b>"))],
    "model-first": [m("hello")],
    "user-twice": [u(t("a")), u(t("b"))],
    "model-twice": [u(t("a")), m("b"), m("c")],
    "system-model": [s("a"), m("b")],
}


def talk(*texts):
    return [(m if i % 2 else u)(t(text) if i % 2 == 0 else text) for i, text in enumerate(texts)]


GEMMA4_CASES = {name: messages for name, messages in CASES.items() if name not in ("user-twice", "model-first", "model-twice", "system-model")}
GEMMA4_CASES.update({
    "thoughts": talk("hello", "<|channel>thought\nhm, hm\n<channel|>the fox", "and?"),
    "thoughts-between": talk("hello", " one <|channel>thought\n a <channel|> two <|channel>thought\nb<channel|> ", "and?"),
    "thoughts-not-closed": talk("hello", "the fox <|channel>thought\nand then", "and?"),
    "thoughts-not-opened": talk("hello", "the fox <channel|> jumps ", "and?"),
    "thoughts-alone": talk("hello", " <|channel>thought\nhm<channel|> ", "and?"),
    "thoughts-nested": talk("hello", "a<|channel>x<|channel>y<channel|>z<channel|>b", "and?"),
    "marks-of-users-stay": talk("what is <|channel>thought\nx<channel|>?", "a mark", "and?"),
    "cut-marks": talk("hello", "<|channel <channel|", "and?"),
})


def gemma4(tokenizer_json, template_file):
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(tokenizer_json)
    with open(template_file) as f:
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        template = environment.from_string(f.read())
    for name, messages in GEMMA4_CASES.items():
        for bos, generation, think in ((1, 1, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1)):
            # The template takes a system prompt as one text.
            plain = [{**message, "content": message["content"][0]["text"]} if message["role"] == "system" else message for message in messages]
            text = template.render(messages=plain, bos_token="<bos>" if bos else "", add_generation_prompt=bool(generation), enable_thinking=bool(think))
            text = text.removesuffix("<|channel>thought\n<channel|>") if generation and not think else text
            for kind in ("image", "audio"):
                text = text.replace(f"<|{kind}|>", f"<|{kind}>" + f"<|{kind}|>" * SOFT + f"<{kind}|>")
            print("case", name, bos, generation, think)
            print("\n".join(line for message in messages for line in fields(message)))
            print("expect", quote(text))
            if name == "marks-of-users-stay":  # what users write is no mark
                print("other-ids")
            else:
                print("ids", *tokenizer.encode(text, add_special_tokens=False).ids)


def functiongemma(model, added_file):
    with open(added_file) as f:
        added = {int(id): text for id, text in (line.split() for line in f)}
    processor = make_reference.processor(make_reference.load(model, added), make_reference.USER_DEFINED)
    refused = ("user-twice", "model-first", "model-twice", "system-model")  # by us; the template takes any order
    for name, messages in CASES.items():
        if name in refused or any(part != t("") and part["type"] != "text" for message in messages for part in message["content"]):
            continue
        for bos, generation in ((1, 1), (0, 1), (1, 0)):
            text = render(FUNCTIONGEMMA, messages, bos, generation)
            print("case", name, bos, generation, 0)
            print("\n".join(line for message in messages for line in fields(message)))
            print("expect", quote(text))
            print("ids", *processor.encode(text))


def fields(message):
    lines = ["message " + message["role"]]
    for part in message["content"]:
        lines.append(part["type"] + (" " + quote(part["text"]) if part["type"] == "text" else ""))
    return lines


def main():
    if sys.argv[1] in ("--gemma4", "--functiongemma"):
        (gemma4 if sys.argv[1] == "--gemma4" else functiongemma)(*sys.argv[2:])
        return
    with open(sys.argv[2]) as f:
        added = {int(id): text for id, text in (line.split() for line in f)}
    processor = make_reference.processor(make_reference.load(sys.argv[1], added), make_reference.USER_DEFINED)
    for name, messages in CASES.items():
        for bos, generation in ((1, 1), (0, 1), (1, 0)):
            print("case", name, bos, generation, 0)
            print("\n".join(line for message in messages for line in fields(message)))
            try:
                text = expand(render(GEMMA3N, messages, bos, generation), "<image_soft_token>")
                if A not in [part for message in messages for part in message["content"]]:
                    assert text == expand(render(GEMMA3, messages, bos, generation), "<start_of_image>"), name
                print("expect", quote(text))
                print("ids", *processor.encode(text))
            except Refused:
                print("refused")


if __name__ == "__main__":
    main()
