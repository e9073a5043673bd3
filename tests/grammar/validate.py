#!/usr/bin/env python3
"""Holds sampled answers against their schemas:  build/host/tests/grammar-constraint 3000 | tests/grammar/validate.py

Needs the package jsonschema."""
import json
import sys

import jsonschema

count = wrong = 0
for line in sys.stdin.buffer:
    schema, answer = line.decode("utf-8").rstrip("\n").split("\t", 1)
    count += 1
    try:
        jsonschema.validate(json.loads(answer), json.loads(schema), cls=jsonschema.Draft202012Validator)
    except (ValueError, jsonschema.ValidationError) as error:
        wrong += 1
        print(f"{schema}\n    {answer}\n    {str(error).splitlines()[0]}")
print(f"{count} answers, {wrong} not of their schema")
sys.exit(wrong > 0)
