"""Agreement of scorers with the human raters of EVOUNA-NQ, computed apart from `exp`.

    agreement.py prepare NQ.json DIR         writes questions, recordings and verdicts
    agreement.py reference NQ.json ARM=CSV…  prints the agreement of each arm, given its `per_item_scores.csv`

Only Python's standard library is used. The normal form is that of the official SQuAD 2.0 evaluator.
"""

import collections
import csv
import json
import re
import string
import sys

ARMS = {"control": "fid", "gpt35": "gpt35", "chatgpt": "chatgpt", "gpt4": "gpt4", "newbing": "newbing"}


def rows(path):
    with open(path, encoding="utf-8") as file:
        return [row for row in json.load(file) if not row["improper"]]


def golds(row):
    return [gold.strip() for gold in row["golden_answer"].split("/") if gold.strip()]


def answer_of(row, system):
    """One answer of the kept rows is null: it is taken as an empty one."""
    return row[f"answer_{system}"] or ""


def script(row, system):
    """A scripted judge: a gold answer stands in the answer, case aside."""
    answer = answer_of(row, system).lower()
    return any(gold.lower() in answer for gold in golds(row))


def verdict(row, system):
    said = row[f"judge_{system}"]
    return said if isinstance(said, bool) else None


def prepare(path, directory):
    with open(f"{directory}/data/nq.jsonl", "w", encoding="utf-8") as out:
        for at, row in enumerate(rows(path)):
            item = {"id": f"q{at}", "question": row["question"], "answers": golds(row)}
            out.write(json.dumps(item) + "\n")
    for arm, system in ARMS.items():
        with open(f"{directory}/data/{arm}.jsonl", "w", encoding="utf-8") as out:
            for at, row in enumerate(rows(path)):
                out.write(json.dumps({"id": f"q{at}", "text": answer_of(row, system)}) + "\n")
    for name, say in [("people", verdict), ("script", script)]:
        with open(f"{directory}/data/{name}.csv", "w", encoding="utf-8", newline="") as out:
            table = csv.writer(out)
            table.writerow(["item", "arm", "rater", "verdict"])
            words = {True: "correct", False: "incorrect", None: ""}
            for arm, system in ARMS.items():
                for at, row in enumerate(rows(path)):
                    table.writerow([f"q{at}", arm, name, words[say(row, system)]])


def normal(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text, flags=re.UNICODE).split())


def exact(row, system):
    answer = normal(answer_of(row, system))
    known = [normal(gold) for gold in golds(row) if normal(gold)] or [""]
    return answer in known


def kappa(pairs):
    n = len(pairs)
    observed = sum(a == b for a, b in pairs) / n
    left = collections.Counter(a for a, _ in pairs)
    right = collections.Counter(b for _, b in pairs)
    expected = sum(left[value] * right[value] for value in left) / (n * n)
    return {"draws": n, "agreement": observed, "kappa": (observed - expected) / (1 - expected),
            "metric_mean": sum(a for a, _ in pairs) / n, "rater_mean": sum(b for _, b in pairs) / n}


def reference(path, tables):
    found = {}
    for argument in tables:
        arm, table = argument.split("=", 1)
        condition = "control" if arm == "control" else "treatment"
        with open(table, encoding="utf-8", newline="") as file:
            scores = {row["item_key"].split("|", 1)[1]: row for row in csv.DictReader(file)
                      if row["condition"] == condition}
        system = ARMS[arm]
        pairs = {"squad_em": [], "includes": [], "script": []}
        for at, row in enumerate(rows(path)):
            said = verdict(row, system)
            if said is None:
                continue
            pairs["squad_em"].append((exact(row, system), said))
            pairs["includes"].append((float(scores[f"q{at}"]["includes"]) >= 0.5, said))
            pairs["script"].append((script(row, system), said))
        found[arm] = {metric: kappa(of) for metric, of in pairs.items()}
    print(json.dumps(found))


if sys.argv[1] == "prepare":
    prepare(sys.argv[2], sys.argv[3])
else:
    reference(sys.argv[2], sys.argv[3:])
