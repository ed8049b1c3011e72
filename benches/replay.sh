#!/usr/bin/env bash
# Prepares, builds, replays, parses and scores 18,000 items under two arms, from nothing, and prints CPU seconds and peak memory.
# Usage: benches/replay.sh [ITEMS]    (EXP=path uses another binary)
set -euo pipefail
cd "$(dirname "$0")/.."
items=${1:-18000}
exp=${EXP:-target/release/exp}
[ -x "$exp" ] || cargo build --release --locked
exp=$(realpath "$exp")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/config"
awk -v n="$items" -v dir="$work/config" 'BEGIN {
    split("river stone mill harbour north captain bridge winter letter garden copper engine valley market tower", word, " ")
    for (i = 0; i < n; i++) {
        passage = ""
        for (w = 0; w < 110; w++) passage = passage word[(i * 31 + w * w * 7) % 15 + 1] " "
        printf "{\"id\":\"q%d\",\"question\":\"Who built mill number %d in the valley of the north?\",\"context\":\"%sbuilt by Person%d in %d.\",\"answers\":[\"Person%d\"]}\n", i, i, passage, i, 1800 + i % 200, i > (dir "/items.jsonl")
        printf "{\"id\":\"q%d\",\"text\":\"Person%d of the mill\"}\n", i, i % 3 ? i : 7 > (dir "/control.jsonl")
        printf "{\"id\":\"q%d\",\"text\":\"Person%d\"}\n", i, i % 4 ? i : 7 > (dir "/treatment.jsonl")
    }
}'
printf 'Answer.' > "$work/config/control.txt"
printf 'Answer in few words.' > "$work/config/treatment.txt"
cat > "$work/config/eval_config.yaml" <<'YAML'
version: 1
models:
  - name: recorded
    provider: replay
    model: recorded
    recordings:
      mills:
        control: {path: config/control.jsonl, fields: {key: id, text: text}, join: id}
        treatment: {path: config/treatment.jsonl, fields: {key: id, text: text}, join: id}
datasets:
  mills: {path: config/items.jsonl, fields: {id: id, question: question, context: context, answers: answers}}
control: config/control.txt
prompt_sets: {short: config/treatment.txt}
YAML
cd "$work"
TIMEFORMAT='%U s user, %S s system, %R s wall'
for run in 1 2 3; do
    # A store of its own each: what was deleted a moment ago keeps the file system looking for it.
    build=("$exp" build -q --to-step score --store "store-$run" --experiments-dir "experiments-$run")
    printf 'run %s: ' "$run"
    if [ -x /usr/bin/time ]; then
        /usr/bin/time -f '%U s user, %S s system, %e s wall, %M KiB at the peak' "${build[@]}" 2>&1 >/dev/null | tail -1
    else
        time "${build[@]}" > /dev/null 2>&1
    fi
done
