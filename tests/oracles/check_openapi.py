"""Holds calls that were really made, and their answers, against a description of the API. Standard input has one JSON object a line:
{"path": …, "request": …, "answer": …}. A request that was refused for its form need not fit; every answer must.

    python3 check_openapi.py docs/openapi.json
"""

import json
import sys

import jsonschema_rs

description = json.load(open(sys.argv[1], encoding="utf-8"))


def validator(schema):
    return jsonschema_rs.Draft202012Validator({**schema, "components": description["components"]})


def of(content):
    return validator(content["content"]["application/json"]["schema"])


asked, answered, accepted = {}, {}, set()
for path, item in description["paths"].items():
    call = item["post"]
    asked[path] = of(call["requestBody"])
    answered[path] = of(call["responses"]["200"])
    for part in (call["requestBody"], call["responses"]["200"]):
        example = part["content"]["application/json"]["example"]
        of(part).validate(example)

for line in sys.stdin:
    told = json.loads(line)
    path, answer = told["path"], told["answer"]
    for error in answered[path].iter_errors(answer):
        sys.exit(f"{path}: an answer that is not described: {answer}\n{error}")
    # What is described as wrong must not be taken.
    if answer["ErrorCode"] == 0:
        for error in asked[path].iter_errors(told["request"]):
            sys.exit(f"{path}: a request that is described as wrong was taken: {told['request']}\n{error}")
        accepted.add(path)

missing = sorted(set(description["paths"]) - accepted)
if missing:
    sys.exit(f"never called with success: {missing}")
