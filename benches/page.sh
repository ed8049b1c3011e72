#!/usr/bin/env bash
# How long a browser takes to open and paint the page of a run of 100,000 items: headless Chromium on `report.html`, less the same on
# an empty page, the median of RUNS of each. Needs chromium and python3; makes its run below a temporary directory.
#
#   benches/page.sh [ITEMS]
set -euo pipefail
cd "$(dirname "$0")/.."
items=${1:-100000} runs=${RUNS:-5}
command -v chromium >/dev/null || { echo "chromium is not here" >&2; exit 1; }
exp=${EXP:-}
if [ -z "$exp" ]; then
    cargo build -q --release
    exp=$(realpath "${CARGO_TARGET_DIR:-target}/release/exp")
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/config"
cat >"$work/config/eval_config.yaml" <<'YAML'
version: 1
providers: {recorded: {kind: replay}}
models:
  - name: recorded
    provider: recorded
    recordings:
      ledger: {control: {path: c.jsonl, fields: {key: id, text: text}}, brief: {path: t.jsonl, fields: {key: id, text: text}}}
datasets:
  ledger: {path: q.jsonl, fields: {id: id, question: question, answers: answers}, scorers: [qa, includes]}
control: null
prompt_sets: {brief: {treatment: {system: null, draw_salt: b}}}
analysis: {bootstrap_samples: 200, permutation_samples: 200, subgroups: [topic]}
YAML
python3 - "$work" "$items" <<'PY'
import json, random, sys
work, items = sys.argv[1], int(sys.argv[2])
random.seed(1)
places = ["north", "south", "east", "west"]
with open(f"{work}/q.jsonl", "w") as q, open(f"{work}/c.jsonl", "w") as c, open(f"{work}/t.jsonl", "w") as t:
    for i in range(items):
        gold, place = f"name {i % 977}", places[i % 4]
        q.write(json.dumps({"id": f"q{i}", "question": f"Who keeps ledger {i} of the {place} archive?", "answers": [gold], "topic": place}) + "\n")
        for file, right in [(c, 0.62), (t, 0.66)]:
            text = gold if random.random() < right else f"name {random.randrange(977)} of the house"
            file.write(json.dumps({"id": f"q{i}", "text": text}) + "\n")
PY
(cd "$work" && "$exp" build -q >/dev/null)
page=$(readlink -f "$work/experiments/latest")/report.html
printf '<!doctype html><title>empty</title>' >"$work/empty.html"
median() {
    for _ in $(seq "$runs"); do
        local start end
        start=$(date +%s%N)
        chromium --headless --no-sandbox --disable-gpu --window-size=1280,1600 --screenshot="$work/shot.png" "file://$1" >/dev/null 2>&1
        end=$(date +%s%N)
        echo $(((end - start) / 1000000))
    done | sort -n | sed -n "$(((runs + 1) / 2))p"
}
median "$work/empty.html" >/dev/null # The first start reads the browser from disk.
empty=$(median "$work/empty.html") full=$(median "$page")
echo "$items items: report.html has $(stat -c %s "$page") bytes; opened and painted in $((full - empty)) ms ($full ms, less $empty ms for an empty page; medians of $runs)"
