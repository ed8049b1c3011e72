#!/usr/bin/env bash
# Measures `exp audit` of a run with 1 GiB of blobs against `b3sum` of the same blobs, both with a cold page cache, in turn.
# Usage: benches/audit_figure.sh [EXP] [MIB] (target/release/exp and 1024 unless given). Needs python3 and b3sum.
# Prints the medians of five and fails where the audit takes more than 1.2 times as long.
set -euo pipefail
cd "$(dirname "$0")/.."
exp=$(realpath "${1:-target/release/exp}") mib=${2:-1024}
dir=$(mktemp -d -p "${EXP_FIGURES_DIR:-${TMPDIR:-/tmp}}")
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/config" "$dir/data" "$dir/prompts"
cd "$dir"
printf 'Answer.\n' > prompts/control.txt
printf 'Answer briefly.\n' > prompts/brief.txt
# Rows of 1 MiB: the file is what is large, not what is made of it.
python3 - "$mib" <<'PY'
import json, sys
with open("data/large.jsonl", "w") as out:
    for n in range(int(sys.argv[1])):
        row = {"id": str(n), "question": "q", "answer": "a", "filler": f"{n:08d}" * (1 << 17)}
        out.write(json.dumps(row) + "\n")
PY
cat > config/eval_config.yaml <<'YAML'
version: 1
models: [{name: reader, provider: lexical}]
datasets: {large: {path: data/large.jsonl, fields: {id: id, question: question, answers: answer}, max_items: 1}}
control: prompts/control.txt
prompt_sets: {brief: prompts/brief.txt}
decoding: {max_output_tokens: 16}
analysis: {bootstrap_samples: 50, permutation_samples: 50}
YAML
"$exp" build -q
# Nobody else's pages go.
cold() {
    python3 - <<'PY'
import os
os.sync()
for top, _, names in os.walk("store"):
    for name in names:
        fd = os.open(os.path.join(top, name), os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)
PY
}
seconds() { local start=$EPOCHREALTIME; "$@" > /dev/null; local end=$EPOCHREALTIME; echo "$(( ${end/./} - ${start/./} ))"; }
blobs() { find store/blobs -type f -print0 | xargs -0 b3sum; }
audits=() sums=()
for _ in 1 2 3 4 5; do
    cold; audits+=("$(seconds "$exp" audit)")
    cold; sums+=("$(seconds blobs)")
done
median() { printf '%s\n' "$@" | sort -n | sed -n 3p; }
audit=$(median "${audits[@]}") sum=$(median "${sums[@]}")
awk -v a="$audit" -v s="$sum" -v n="$(du -sm store/blobs | cut -f1)" 'BEGIN {
    printf "audit of %d MiB in %.2f s, b3sum in %.2f s, ratio %.2f (target: 1.2; medians of 5): %s\n", n, a / 1e6, s / 1e6, a / s, a <= 1.2 * s ? "met" : "MISSED"
    exit a <= 1.2 * s ? 0 : 1 }'
