#!/usr/bin/env python3
"""A stand-in for an engine: answers a file of OpenAI batch lines as vLLM's `run-batch -i IN -o OUT` does, or serves the
same answers over HTTP (`--serve`, prints its port). What it says depends on the body alone.

ENGINE_ERRORS=N     every N-th request gets an error row
ENGINE_REQUEUED=T   task T of an array, at its first attempt, writes half a line and ends with 75, which requeues it
ENGINE_FAILED=T     task T of an array writes a line and a half and ends with 3
"""
import argparse
import hashlib
import http.server
import json
import os
import sys


def answer(body):
    text = body["messages"][-1]["content"]
    pick = hashlib.sha256(json.dumps(body["messages"], sort_keys=True).encode()).digest()[0]
    said = ["Aldermoor", "the mill of Aldermoor", "no idea"][pick % 3]
    return {
        "id": "chatcmpl-" + hashlib.sha256(text.encode()).hexdigest()[:12],
        "object": "chat.completion",
        "model": body["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": len(text.split()), "completion_tokens": len(said.split()), "total_tokens": 0},
    }


def row(custom_id, n, errors, body):
    out = {"id": f"vllm-{n}", "custom_id": custom_id, "response": None, "error": None}
    if errors and n % errors == 0:
        out["response"] = {"status_code": 400, "request_id": f"r{n}", "body": None}
        out["error"] = {"message": "the prompt is too long", "code": 400}
    else:
        out["response"] = {"status_code": 200, "request_id": f"r{n}", "body": answer(body)}
    return json.dumps(out)


def run_batch(source, target):
    errors = int(os.environ.get("ENGINE_ERRORS", 0))
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    is_first = os.environ.get("SLURM_RESTART_COUNT", "0") == "0"
    stop, code = None, 0
    if task == os.environ.get("ENGINE_REQUEUED", "none") and is_first:
        stop, code = 1, 75
    if task == os.environ.get("ENGINE_FAILED", "none"):
        stop, code = 2, 3
    with open(source) as lines, open(target, "w") as out:
        for n, line in enumerate(lines, 1):
            asked = json.loads(line)
            assert asked["method"] == "POST" and asked["url"] == "/v1/chat/completions", asked
            text = row(asked["custom_id"], n, errors, asked["body"])
            if n == stop:
                out.write(text[: len(text) // 2])
                sys.exit(code)
            out.write(text + "\n")
            out.flush()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply({"object": "list", "data": [{"id": "ours", "object": "model"}]})

    def do_POST(self):
        self.reply(answer(json.loads(self.rfile.read(int(self.headers["content-length"])))))

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-i")
    parser.add_argument("-o")
    parser.add_argument("--serve", action="store_true")
    args = parser.parse_args()
    if args.serve:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        print(server.server_port, flush=True)
        server.serve_forever()
    run_batch(args.i, args.o)


main()
