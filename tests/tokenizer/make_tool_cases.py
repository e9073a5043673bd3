"""Writes the cases of tests/tokenizer/test_tools.c: random functions, calls and responses, with what the published templates make of them.

    make_tool_cases.py --gemma4 google-gemma-4-31B-it.jinja > data/tool_cases_gemma4.txt
    make_tool_cases.py --functiongemma > data/tool_cases_functiongemma.txt

Needs jinja2, and for Gemma 4 the published template (llama.cpp's models/templates has it; it is not ours to keep here). FunctionGemma's is
restated below, after what is published of it (chat_template of functiongemma-270m-it, whose declarations Gemma 4's template goes on with;
LiteRT-LM, runtime/util/prompt_template_utils.cc, for the turns).

The file: lines of a word and a percent-encoded field, or none. "case", then "bos", "think", "generation", "tools JSON", "message ROLE",
"text T", "call JSON", "response JSON", then "expect STRING", which ends the case.
"""

import json
import random
import string
import sys
from urllib.parse import quote as percent

import jinja2.sandbox

FUNCTIONGEMMA = """{%- macro argument(value, escape_keys=True) -%}
{%- if value is string -%}{{ '<escape>' + value + '<escape>' }}
{%- elif value is boolean -%}{{ 'true' if value else 'false' }}
{%- elif value is mapping -%}{
{%- for key, inner in value | dictsort -%}{{ ',' if not loop.first }}{{ '<escape>' + key + '<escape>' if escape_keys else key }}:{{ argument(inner, escape_keys) }}{%- endfor -%}}
{%- elif value is sequence -%}[{%- for inner in value -%}{{ ',' if not loop.first }}{{ argument(inner, escape_keys) }}{%- endfor -%}]
{%- else -%}{{ value }}{%- endif -%}
{%- endmacro -%}
{%- macro names(list) -%}[{%- for name in list -%}{{ ',' if not loop.first }}<escape>{{ name }}<escape>{%- endfor -%}]{%- endmacro -%}
{%- macro parameters(properties) -%}
{%- set ns = namespace(comma=false) -%}
{%- for key, value in properties | dictsort -%}
{%- if key not in ['description', 'type', 'properties', 'required', 'nullable'] -%}
{{ ',' if ns.comma }}{%- set ns.comma = true -%}
{{ key }}:{description:<escape>{{ value['description'] }}<escape>
{%- if value['type'] | upper == 'STRING' and value['enum'] -%},enum:{{ argument(value['enum']) }}
{%- elif value['type'] | upper == 'OBJECT' -%}
,properties:{ {{- parameters(value['properties'] if value['properties'] is mapping else value) -}} }
{%- if value['required'] -%},required:{{ names(value['required']) }}{%- endif -%}
{%- elif value['type'] | upper == 'ARRAY' and value['items'] is mapping and value['items'] -%}
,items:{
{%- set items = namespace(comma=false) -%}
{%- for name, item in value['items'] | dictsort if item is not none -%}
{{ ',' if items.comma }}{%- set items.comma = true -%}{{ name }}:
{%- if name == 'properties' -%}{{ '{' }}{{ parameters(item) if item is mapping }}{{ '}' }}
{%- elif name == 'required' -%}{{ names(item) }}
{%- elif name == 'type' -%}{{ argument(item | upper if item is string else item | map('upper') | list) }}
{%- else -%}{{ argument(item) }}{%- endif -%}
{%- endfor -%}}
{%- endif -%}
,type:<escape>{{ value['type'] | upper }}<escape>}
{%- endif -%}
{%- endfor -%}
{%- endmacro -%}
{%- macro declaration(function) -%}
declaration:{{ function['name'] }}{description:<escape>{{ function['description'] }}<escape>
{%- set given = function['parameters'] -%}
{%- if given -%}
,parameters:{
{%- if given['properties'] -%}properties:{ {{- parameters(given['properties']) -}} },{%- endif -%}
{%- if given['required'] -%}required:{{ names(given['required']) }},{%- endif -%}
{%- if given['type'] -%}type:<escape>{{ given['type'] | upper }}<escape>}{%- endif -%}
{%- endif -%}}
{%- endmacro -%}
{{ bos_token }}
{%- set rest = messages -%}
{%- if tools or messages[0].role == 'system' -%}
{{ '<start_of_turn>developer\n' }}
{%- if messages[0].role == 'system' -%}{{ messages[0].content | trim }}{%- set rest = messages[1:] -%}{%- endif -%}
{%- for tool in tools -%}<start_function_declaration>{{ declaration(tool['function']) | trim }}<end_function_declaration>{%- endfor -%}
{{ '<end_of_turn>\n' }}
{%- endif -%}
{%- set ns = namespace(before=none) -%}
{%- for m in rest -%}
{%- if ns.before != 'response' -%}{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}{%- endif -%}
{%- set ns.before = none -%}
{%- for call in m.tool_calls -%}
<start_function_call>call:{{ call['function']['name'] }}{
{%- for key, value in call['function']['arguments'] | dictsort -%}{{ ',' if not loop.first }}{{ key }}:{{ argument(value, False) }}{%- endfor -%}
}<end_function_call>{%- set ns.before = 'call' -%}
{%- endfor -%}
{%- for answer in m.tool_responses -%}
<start_function_response>response:{{ answer['name'] }}{
{%- if answer['response'] is mapping -%}
{%- for key, value in answer['response'] | dictsort -%}{{ ',' if not loop.first }}{{ key }}:{{ argument(value, False) }}{%- endfor -%}
{%- else -%}value:{{ argument(answer['response'], False) }}{%- endif -%}
}<end_function_response>{%- set ns.before = 'response' -%}
{%- endfor -%}
{%- if m.content -%}{{ m.content | trim }}{%- set ns.before = none -%}{%- endif -%}
{{ '<start_function_response>' if ns.before == 'call' else '<end_of_turn>\n' if ns.before is none }}
{%- endfor -%}
{%- if add_generation_prompt and ns.before is none -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"""

WORDS = ["the", "door", "Is it open?", "a \"quote\"", "back\\slash", "line\nend", "tab\t", "größer", "丸", "😀", "{brace}", "[x]", "a,b:c", "<escape", "\x01", "%", " "]
PLAIN = "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) != "%")
LETTERS = string.ascii_letters + string.digits


def quote(text):
    return percent(text, safe=PLAIN)


def text(r, most=4):
    return " ".join(r.choice(WORDS) for _ in range(r.randint(1, most)))


def name(r):
    return r.choice(["get", "Set", "zoom", "a", "A", "ab", "aB"]) + "".join(r.choice(LETTERS + "_") for _ in range(r.randint(0, 6)))


def scalar(r):
    return r.choice([lambda: text(r), lambda: r.randint(-10**12, 10**12), lambda: r.uniform(-9, 9), lambda: 10.0 ** r.randint(-20, 25), lambda: True, lambda: False, lambda: None, lambda: ""])()


def value(r, depth=0):
    kind = r.random()
    if depth < 3 and kind < 0.2:
        return {name(r): value(r, depth + 1) for _ in range(r.randint(0, 4))}
    if depth < 3 and kind < 0.4:
        return [value(r, depth + 1) for _ in range(r.randint(0, 4))]
    return scalar(r)


def kind(r, name):
    return r.choice([name, name, name, name.upper(), name.capitalize()])


def schema(r, depth=0):
    made = {}
    if r.random() < 0.8:
        made["description"] = r.choice([text(r), text(r), ""])
    chosen = r.choice(["string", "string", "number", "integer", "boolean", "array", "object", "null", None])
    if depth > 3 and chosen in ("array", "object"):
        chosen = "string"
    if chosen is not None:
        made["type"] = r.choice([kind(r, chosen)] * 6 + [[chosen, "null"]])
    if chosen == "string" and r.random() < 0.5 or r.random() < 0.1:
        made["enum"] = [r.choice([text(r, 1), text(r, 1), scalar(r)]) for _ in range(r.randint(0, 4))]
    if r.random() < 0.2:
        made["nullable"] = r.choice([True, False])
    if chosen == "array" and r.random() < 0.9:
        made["items"] = items(r, depth + 1)
    if chosen == "object":
        if r.random() < 0.8:
            made["properties"] = {name(r): schema(r, depth + 1) for _ in range(r.randint(0, 4))}
        if r.random() < 0.6:
            made["required"] = [name(r) for _ in range(r.randint(0, 3))]
        if r.random() < 0.3:
            made["additionalProperties"] = r.choice([False, True, {"type": "string"}])
    if r.random() < 0.2:
        made["minimum"] = r.randint(0, 5)
    shuffled = list(made.items())
    r.shuffle(shuffled)
    return dict(shuffled)


def items(r, depth):
    made = schema(r, depth)
    if "properties" in made and r.random() < 0.1:
        made["properties"] = None
    if r.random() < 0.3:
        made["default"] = value(r)
    return made


def tool(r):
    function = {"name": name(r), "description": text(r, 8)}
    if r.random() < 0.9:
        parameters = {"type": "object", "properties": {r.choice([name(r)] * 9 + ["type", "description"]): schema(r) for _ in range(r.randint(0, 5))}}
        if r.random() < 0.6:
            parameters["required"] = [key for key in parameters["properties"] if r.random() < 0.6]
        if r.random() < 0.1:
            parameters = {}
        elif r.random() < 0.1:
            del parameters["type"]
        function["parameters"] = parameters
    if r.random() < 0.1:
        function["response"] = {"type": r.choice(["object", "string"]), "description": r.choice(["", text(r)])}
    if r.random() < 0.05:
        del function["description"]
    return {"type": "function", "function": function}


def arguments(r):
    return {name(r): value(r) for _ in range(r.randint(0, 4))}


def turn(r):
    """A turn of the model: calls, what they answered, and often a text."""
    calls = [{"name": name(r), "arguments": arguments(r)} for _ in range(r.randint(0, 3))]
    responses = [{"name": call["name"], "response": r.choice([arguments(r), value(r)])} for call in calls] if r.random() < 0.8 else []
    content = "" if calls and (not responses or r.random() < 0.5) else text(r)
    return calls, responses, content


def conversation(r):
    """Messages for the template, and lines for the test."""
    messages, lines = [], []
    if r.random() < 0.5:
        prompt = text(r)
        messages.append({"role": "system", "content": prompt})
        lines += ["message system", "text " + quote(prompt)]
    for _ in range(r.randint(1, 3)):
        asked = text(r)
        messages.append({"role": "user", "content": asked})
        lines += ["message user", "text " + quote(asked)]
        if r.random() < 0.3:
            break
        calls, responses, content = turn(r)
        messages.append({"role": "assistant", "content": content, "tool_calls": [{"function": call} for call in calls], "tool_responses": responses})
        lines.append("message model")
        lines += ["call " + quote(dump(r, call)) for call in calls] + ["response " + quote(dump(r, answer)) for answer in responses]
        lines += ["text " + quote(content)] if content else []
        if calls and not (responses and content):
            break  # what may follow is not what a user does
    return messages, lines


def dump(r, made):
    return json.dumps(made, ensure_ascii=r.random() < 0.5, separators=r.choice([None, (",", ":"), (" ,\n", " :\t")]))


def main():
    gemma4 = sys.argv[1] == "--gemma4"
    source = open(sys.argv[2]).read() if gemma4 else FUNCTIONGEMMA
    template = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(source)
    r = random.Random(20)
    for _ in range(120 if gemma4 else 60):
        messages, lines = conversation(r)
        tools = [tool(r) for _ in range(r.randint(0, 3))]
        flags = {flag for flag in ("bos", "generation", "think") if r.random() < 0.5 and (gemma4 or flag != "think")}
        if messages[-1]["role"] == "assistant" and messages[-1]["content"]:
            flags.discard("generation")  # nobody asks behind an answer
        made = template.render(messages=messages, tools=tools, bos_token="<bos>" if "bos" in flags else "", add_generation_prompt="generation" in flags, enable_thinking="think" in flags)
        if "think" not in flags:  # E2B and E4B have no empty channel
            made = made.removesuffix("<|channel>thought\n<channel|>")
        print("\n".join(["case", *sorted(flags)] + (["tools " + quote(dump(r, tools))] if tools else []) + lines + ["expect " + quote(made)]))


if __name__ == "__main__":
    main()
