#!/usr/bin/env python3
"""Makes tests/grammar/schemas.txt: JSON schemas, each with texts that a grammar of it must and must not allow; and seeds for fuzzing.

    python3 tests/grammar/make_schemas.py [SEED]      needs the package jsonschema

Kinds are those of the JSON-Schema-Test-Suite, restated; the rest is drawn at random.  Every text is judged by jsonschema, so that a
mistake here is one there, too.  Lines: "S" and a schema, "+" and a text of it, "-" and one that is not; "R", a schema that must be
refused, a tab and what the message must have.
"""
import json
import random
import re
import sys

import jsonschema

VALUES = [None, True, False, 0, 1, -1, 3, 7, 10, 42, 100, 999, -17, 1.5, -0.25, 2.75, 0.001, 99.999, 1234567, "", "a", "ab", "abc",
          "abcd", "hello", "Hello World", "é", "日本語", "😀", "a\"b", "back\\slash", "tab\there", "line\nend", "x" * 40, "2026-11-27",
          "foo@bar.org", "AB-123", [], [1], [1, 2], [1, 2, 3], ["a"], ["a", "b", "c", "d"], [[1], [2]], [None, True], {}, {"a": 1},
          {"a": "x"}, {"b": 2}, {"a": 1, "b": "two"}, {"a": 1, "b": 2, "c": 3}, {"a": {"a": {"a": 1}}}, {"x y": True}, [{"a": 1}, {"a": 2}]]


def ordered(schema, value, root):
    """The value with members in the schema's order, as far as that can be told; None where it has members that are not declared."""
    if isinstance(schema, dict) and "$ref" in schema:
        at = root
        for part in schema["$ref"].lstrip("#").strip("/").split("/"):
            if part:
                at = at[part.replace("~1", "/").replace("~0", "~")]
        return ordered(at, value, root)
    if isinstance(schema, dict) and ("anyOf" in schema or "allOf" in schema):
        for one in schema.get("anyOf", schema.get("allOf")):
            whole = root if one == {"$ref": "#"} else {"anyOf": [one], "$defs": root.get("$defs", {})}
            if jsonschema.Draft202012Validator(whole).is_valid(value):
                return ordered(one, value, root)
    if not isinstance(schema, dict) or "enum" in schema or "const" in schema:
        return value
    if isinstance(value, dict):
        names = list(schema.get("properties", {})) + [n for n in schema.get("required", []) if n not in schema.get("properties", {})]
        other = schema.get("additionalProperties", True)
        if names and set(value) - set(names):
            raise KeyError
        keys = [n for n in names if n in value] if names else list(value)
        return {k: ordered(schema.get("properties", {}).get(k, other), value[k], root) for k in keys}
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        return [ordered(first[i] if i < len(first) else schema.get("items", True), v, root) for i, v in enumerate(value)]
    return value


def text_of(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


MEANT = {"properties": dict, "required": dict, "items": list, "minItems": list, "minLength": str, "maxLength": str, "pattern": str,
         "minimum": (int, float)}


def is_written(schema, value):
    """Whether the grammar writes such values: numbers without an exponent; where a schema names no type, those that its keywords are
    about; and \\w is ASCII, as ECMA-262 has it and Python's re has not."""
    if isinstance(schema, dict) and "type" not in schema and "anyOf" not in schema:
        meant = [MEANT[k] for k in schema if k in MEANT]
        if meant and (isinstance(value, bool) or not isinstance(value, meant[0])):
            return False
    if isinstance(schema, dict) and "\\w" in schema.get("pattern", "") and not text_of(value).isascii():
        return False
    return not re.search(r"[0-9][eE]", re.sub(r'"(\\.|[^"\\])*"', "", text_of(value)))


HAND = [
    # type
    *[{"type": t} for t in ("string", "number", "integer", "boolean", "null", "array", "object")],
    {"type": ["string", "null"]}, {"type": ["integer", "boolean"]}, {"type": ["array", "object"]}, {"type": ["number", "string", "null"]},
    {}, True, {"title": "t", "description": "d", "default": 1, "examples": [2], "$comment": "c"},
    # enum, const
    {"enum": [1, 2, 3]}, {"enum": ["red", "green", "blue"]}, {"enum": ["a", "ab", "abc"]}, {"enum": [None, True, 0, "", [], {}]},
    {"enum": [[1, 2], {"a": 1, "b": [None]}]}, {"enum": [6, "foo", [], True, {"foo": 12}]}, {"const": 2}, {"const": {"a": 1, "b": "two"}},
    {"const": [{"a": 1}, {"a": 2}]}, {"const": None}, {"const": "a\"b"}, {"const": "é"}, {"type": "string", "enum": ["a", 1, "ab"]},
    {"type": "integer", "enum": [1, 2.5, "1", 10]}, {"const": False}, {"const": ""},
    # strings
    {"type": "string", "minLength": 2}, {"type": "string", "maxLength": 3}, {"type": "string", "minLength": 1, "maxLength": 2},
    {"type": "string", "minLength": 3, "maxLength": 3}, {"type": "string", "maxLength": 0}, {"minLength": 2}, {"maxLength": 2.0},
    *[{"type": "string", "pattern": p} for p in
      ("^a*$", "a+", "^a", "b$", "^[a-c]{2,3}$", "^(foo|bar)$", "^[A-Z]{2}-\\d{3}$", "^\\d{4}-\\d{2}-\\d{2}$", "^[^@]+@[a-z]+\\.(org|com)$",
       "^\\w+$", "^\\S+$", "\\s", "^.$", "^(?:ab)*$", "^(a|b|)c?$", "^[\\w.-]+$", "^a{0}b{2}$", "^é", "日", "^(a(b(c)?)?)?$", "^[^a-z]*$",
       "^x{3,}$", "^(\\d+|[a-f]+)$", "^\\[\\]$", "^a\\\\b$", "^\\u0061b?$", "^\\x61$", "^[\\]\\-a]+$", "^[a-]+$", "^😀+$", "\\.", "^\"$")],
    {"type": "string", "pattern": "^[a-z]{2,4}$", "minLength": 2}, {"type": "string", "pattern": "^\\d{3}$", "minLength": 1, "maxLength": 3},
    # numbers
    {"type": "integer", "minimum": 3}, {"type": "integer", "maximum": -2}, {"type": "integer", "minimum": -17, "maximum": 42},
    {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10}, {"type": "integer", "minimum": 99, "maximum": 1001},
    {"type": "integer", "minimum": 1.5, "maximum": 10.5}, {"type": "integer", "minimum": 42, "maximum": 42}, {"type": "number", "minimum": 0},
    {"type": "number", "maximum": 1.5}, {"type": "number", "minimum": -0.25, "maximum": 2.75}, {"type": "number", "exclusiveMinimum": 0},
    {"type": "number", "exclusiveMaximum": 1.5}, {"type": "number", "minimum": 1e2, "maximum": 1.0e3}, {"type": "number", "minimum": 0.001, "maximum": 0.002},
    {"minimum": 7}, {"type": "integer", "minimum": -1, "exclusiveMinimum": -5}, {"type": "integer", "maximum": 0}, {"type": "number", "exclusiveMinimum": -0.25, "exclusiveMaximum": 0.5},
    # arrays
    {"type": "array", "items": {"type": "integer"}}, {"type": "array", "minItems": 1}, {"type": "array", "maxItems": 2},
    {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3}, {"type": "array", "maxItems": 0}, {"items": {"type": "integer"}},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, {"type": "array", "prefixItems": [{"type": "integer"}], "items": False},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "integer"}], "items": {"type": "boolean"}, "minItems": 2},
    {"type": "array", "items": {"type": "array", "items": {"type": "integer"}, "maxItems": 1}}, {"type": "array", "items": True, "minItems": 2},
    {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}},
    # objects
    {"type": "object", "properties": {"a": {"type": "integer"}}}, {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {}, "b": {"type": ["integer", "string"]}}, "required": ["b"]},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a", "b"], "additionalProperties": False},
    {"type": "object", "properties": {"a": True, "b": False}}, {"type": "object", "additionalProperties": False},
    {"type": "object", "additionalProperties": {"type": "integer"}}, {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
    {"type": "object", "maxProperties": 1}, {"type": "object", "required": ["a"]}, {"type": "object", "required": ["b", "a"], "additionalProperties": {"type": "string"}},
    {"type": "object", "properties": {"x y": {"type": "boolean"}}, "required": ["x y"]}, {"properties": {"a": {"type": "string"}}},
    {"type": "object", "properties": {"é\"": {"type": "null"}}}, {"type": "object", "properties": {"a": {"type": "object", "properties": {"a": {"type": "object"}}}}},
    {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "integer"}, "ab": {"type": "integer"}, "abc": {}}},
    # choices and references
    {"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 2}]}, {"anyOf": [{"type": "integer"}, {"type": "number", "minimum": 2.5}]},
    {"anyOf": [{"const": "a"}, {"const": "ab"}, {"type": "string", "minLength": 4}]}, {"anyOf": [{"anyOf": [{"type": "null"}, {"const": 7}]}, {"type": "boolean"}]},
    {"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}]},
    {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "array", "items": {"type": "string"}}]}, {"anyOf": [False, {"type": "null"}]},
    {"allOf": [{"type": "integer"}]}, {"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer", "minimum": 1}}},
    {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"enum": ["a", "ab"]}}},
    {"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#"}, {"type": "integer"}]}}, "required": ["a"]},
    {"$ref": "#/$defs/list", "$defs": {"list": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/list"}]}}}},
    {"$defs": {"one": {"type": "array", "prefixItems": [{"$ref": "#/$defs/two"}], "items": False}, "two": {"const": 1}}, "$ref": "#/$defs/one"},
]

REFUSED = [
    ({"type": "array", "uniqueItems": True}, "uniqueItems"), ({"not": {}}, "not"), ({"oneOf": [{}]}, "oneOf"), ({"if": {}, "then": {}}, "if"),
    ({"type": "object", "patternProperties": {}}, "patternProperties"), ({"type": "object", "propertyNames": {}}, "propertyNames"),
    ({"type": "number", "multipleOf": 2}, "multipleOf"), ({"type": "array", "contains": {}}, "contains"), ({"allOf": [{}, {}]}, "allOf"),
    ({"type": "text"}, "type"), ({"type": 3}, "type"), ({"type": []}, "type"), (False, "false"), ({"enum": []}, "enum"), ({"enum": 3}, "enum"),
    ({"type": "string", "enum": [1]}, "enum"), ({"type": "string", "minLength": 3, "maxLength": 2}, "minLength"), ({"minLength": -1}, "minLength"),
    ({"type": "string", "maxLength": 1.5}, "maxLength"), ({"type": "integer", "minimum": 3, "maximum": 2}, "minimum"), ({"minimum": "3"}, "minimum"),
    ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, "exclusiveMinimum"), ({"$ref": "http://example.org/x"}, "$ref"), ({"$ref": "#/nothing"}, "$ref"),
    ({"$ref": "#", "type": "integer"}, "type"), ({"$ref": "#"}, "no value"), ({"anyOf": []}, "anyOf"), ({"anyOf": [{"$ref": "#"}, {"const": 1}]}, "anyOf"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "no value"), ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "no value"),
    ({"type": "string", "pattern": "("}, "pattern"), ({"type": "string", "pattern": "a)"}, "pattern"), ({"type": "string", "pattern": "[a"}, "pattern"),
    ({"type": "string", "pattern": "a**"}, "pattern"), ({"type": "string", "pattern": "(?=a)"}, "pattern"), ({"type": "string", "pattern": "\\bword"}, "pattern"),
    ({"type": "string", "pattern": "(a)\\1"}, "pattern"), ({"type": "string", "pattern": "^a|b$"}, "pattern"), ({"type": "string", "pattern": "a^b"}, "pattern"),
    ({"type": "string", "pattern": "[z-a]"}, "pattern"), ({"type": "string", "pattern": "a{3,2}"}, "pattern"), ({"type": "string", "pattern": "a{999}"}, "pattern"),
    ({"type": "string", "pattern": "a*", "maxLength": 3}, "pattern"), ({"type": "object", "properties": {"a": {"foo": 1}}}, "foo"), ({"type": "array", "items": 3}, "schema"),
    ({"type": "object", "properties": {}, "minProperties": 2, "required": ["a"]}, "minProperties"), ({"type": "array", "minItems": 2, "maxItems": 1}, "minItems"),
    ({"required": [3]}, "required"), ({"properties": []}, "properties"), ({"type": "object", "additionalProperties": False, "required": ["a"]}, "no value"),
]


def draw(r, depth):
    """A random schema, with values that are likely to suit it."""
    kind = r.choice(["string", "integer", "number", "boolean", "enum", "null"] if depth == 0 else
                    ["string", "integer", "number", "enum", "array", "array", "object", "object", "object", "any"])
    if kind == "string":
        low, high = r.randint(0, 3), r.randint(3, 8)
        return {"type": "string", "minLength": low, "maxLength": high}, lambda: "".join(r.choice("abcdé \"\\日x") for _ in range(r.randint(low, high)))
    if kind in ("integer", "number"):
        low = r.randint(-200, 100)
        high = low + r.randint(0, 300)
        one = (lambda: r.randint(low, high)) if kind == "integer" else (lambda: min(max(round(r.uniform(low, high), 3), low), high))
        return {"type": kind, "minimum": low, "maximum": high}, one
    if kind == "boolean":
        return {"type": "boolean"}, lambda: r.random() < 0.5
    if kind == "null":
        return {"type": "null"}, lambda: None
    if kind == "enum":
        values = r.sample(["on", "off", "unknown", "a", "ab", 1, 10, 100, None, True], r.randint(1, 5))
        return {"enum": values}, lambda: r.choice(values)
    if kind == "array":
        schema, one = draw(r, depth - 1)
        low, high = r.randint(0, 1), r.randint(1, 4)
        return {"type": "array", "items": schema, "minItems": low, "maxItems": high}, lambda: [one() for _ in range(r.randint(low, high))]
    if kind == "any":
        parts = [draw(r, depth - 1) for _ in range(r.randint(2, 3))]
        return {"anyOf": [p[0] for p in parts]}, lambda: r.choice(parts)[1]()
    parts = {name: draw(r, depth - 1) for name in r.sample(["id", "name", "note", "n", "size", "at", "état", "x y"], r.randint(1, 5))}
    needed = [n for n in parts if r.random() < 0.6]
    schema = {"type": "object", "properties": {n: p[0] for n, p in parts.items()}, "required": needed}
    if r.random() < 0.5:
        schema["additionalProperties"] = False
    return schema, lambda: {n: p[1]() for n, p in parts.items() if n in needed or r.random() < 0.5}


def damage(r, text):
    """Another text that is near."""
    at = r.randrange(len(text))
    how = r.randrange(4)
    return text[:at] + ("" if how == 0 else r.choice('0123456789abct"{}[],:-. ') if how == 1 else text[at] * 2 if how == 2 else "") + text[at + 1:] if how < 3 else text[:at]


def judge(validator, text):
    try:
        return validator.is_valid(json.loads(text))
    except ValueError:
        return False


def main():
    r = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
    texts = schemas = 0
    with open("tests/grammar/schemas.txt", "w", encoding="utf-8") as out:
        for number, schema in enumerate(HAND + [None] * 240):
            values = list(VALUES)
            if schema is None:
                schema, one = draw(r, number % 3 + 1)
                values = [one() for _ in range(8)] + r.sample(VALUES, 6)
            validator = jsonschema.Draft202012Validator(schema)
            good, bad = [], []
            for value in values:
                if not is_written(schema, value):
                    continue
                try:
                    text = text_of(ordered(schema, value, schema))
                except KeyError: # members that are not declared are never written
                    continue
                (good if validator.is_valid(value) else bad).append(text)
            for text in good[:10]:
                bad += [d for d in (damage(r, text) for _ in range(3)) if d and "\n" not in d and not judge(validator, d)]
            out.write("S" + json.dumps(schema, ensure_ascii=False) + "\n")
            for mark, several in (("+", good), ("-", bad)):
                for text in dict.fromkeys(several):
                    out.write(mark + text + "\n")
                    texts += 1
            schemas += 1
            if number % 6 == 0 and good:
                with open(f"tests/fuzz/corpus/grammar/{number:03}", "wb") as seed:
                    seed.write(b"\0" + json.dumps(schema, ensure_ascii=False).encode() + b"\0" + good[0].encode())
        for schema, message in REFUSED:
            out.write("R" + json.dumps(schema, ensure_ascii=False) + "\t" + message + "\n")
    print(f"{schemas} schemas, {texts} texts, {len(REFUSED)} that are refused")


main()
