#!/usr/bin/env bash
# Compares warm builds with nothing to do: `exp` over a plan of about 10,000 actions, `ninja` over as many edges.
# Prints medians in milliseconds and ratios; below 1 is faster than ninja. Then the same without the checks of sizes (their
# time, measured by itself, taken off), and for plans of a quarter, half and twice as many actions.
# Usage: benches/ninja.sh [RUNS] (default 15).
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${1:-15}
items=3000 parts=505
exp=${EXP:-$PWD/target/release/exp}
[ -n "${EXP:-}" ] || cargo build --release --locked
if ! command -v ninja >/dev/null; then
    as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
    as_root apt-get update -q
    as_root apt-get install -qy ninja-build
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# A project: one dataset in many parts, one control, four treatments, the embedded reader.
make_project() {
    local project=$1 n set
    mkdir -p "$project/config/prompts"
    for ((n = 0; n < items; n++)); do
        printf '{"id":"q%d","question":"What number has lamp %d?","context":"Lamp %d has number %d. Lamp %d has number %d.","answers":["%d"]}\n' \
            $n $n $n $((n * 7)) $((n + 1)) $((n * 7 + 1)) $((n * 7))
    done >"$project/config/lamps.jsonl"
    echo 'Answer the question.' >"$project/config/prompts/control.txt"
    for set in brief careful plain strict; do
        echo "Answer the question. Be $set." >"$project/config/prompts/$set.txt"
    done
    cat >"$project/config/eval_config.yaml" <<'YAML'
version: 1
models:
  - {name: lexical-baseline, provider: lexical}
datasets:
  lamps:
    path: config/lamps.jsonl
    fields: {id: id, question: question, context: context, answers: answers}
control: config/prompts/control.txt
prompt_sets:
  brief: config/prompts/brief.txt
  careful: config/prompts/careful.txt
  plain: config/prompts/plain.txt
  strict: config/prompts/strict.txt
decoding: {temperature: 0, max_output_tokens: 32}
YAML
}

project=$dir/project
make_project "$project"
build=("$exp" -C "$project" build --json --parts-per-dataset "$parts")
field() { grep -o "\"$1\": *[0-9a-z]*" | head -n 1 | grep -o '[0-9a-z]*$'; }
echo "building once: $items items in $parts parts under 5 arms" >&2
"${build[@]}" -q >/dev/null
second=$("${build[@]}" -q)
[ "$(field up_to_date <<<"$second")" = true ] || { echo "the second build is not up to date" >&2; exit 1; }
actions=$(field total <<<"$second")

# As many edges for ninja, each with an output of its own in one of 256 directories.
make_graph() {
    local graph=$1 edges=$2 n
    mkdir -p "$graph"
    touch "$graph/in"
    {
        printf 'rule make\n  command = : > $out\n'
        for ((n = 0; n < edges; n++)); do printf 'build out/%02x/%05d: make in\n' $((n % 256)) "$n"; done
    } >"$graph/build.ninja"
    ninja -C "$graph" --quiet >/dev/null
    ninja -C "$graph" | grep -q 'no work to do'
}
graph=$dir/graph
make_graph "$graph" "$actions"

# Runs each command once in every round, so that what else the machine does hits all alike.
names=() commands=() times=()
measure() { names+=("$1"); commands+=("$2"); times+=(""); }
null_ninja() { ninja -C "$graph"; }
null_exp() { "${build[@]}" -q; }
null_exp_hashing() { "${build[@]}" -q --no-stat-cache; }
version() { "$exp" --version; }
measure "ninja, nothing to do" null_ninja
measure "exp, nothing to do" null_exp
measure "exp, nothing to do, --no-stat-cache" null_exp_hashing
measure "exp --version" version

time_of() {
    local from=$EPOCHREALTIME to
    "$@" >/dev/null 2>&1 || { echo "failed: $*" >&2; exit 1; }
    to=$EPOCHREALTIME
    taken=$((${to/./} - ${from/./}))
}
median() { printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
rounds() {
    local round at
    for ((round = -2; round < runs; round++)); do
        for at in "${!commands[@]}"; do
            time_of "${commands[at]}"
            # The first two rounds warm things up.
            if [ "$round" -ge 0 ]; then times[at]+="$taken "; fi
        done
    done
}
rounds
checks=$(cargo bench --quiet --locked --bench size_checks -- "$project/store" "$runs" | tail -n 1)

# One prompt edited: what follows from it runs, the rest is reused. Each edit is new, so that each does the same work.
edited=()
edit() { "${build[@]}" -q --offline >"$dir/edited.json"; }
for ((round = 0; round < 5; round++)); do
    echo "Answer the question. Be plain. Edit $round." >"$project/config/prompts/plain.txt"
    time_of edit
    edited+=("$taken")
done
ran=$(field executed <"$dir/edited.json")

ninja_median=$(median ${times[0]})
row() { awk -v name="$1" -v us="$2" -v base="$ninja_median" 'BEGIN { printf "%-42s %9.1f ms   %6.2f x ninja\n", name, us / 1000, us / base }'; }
echo "$actions actions, $actions edges; median of $runs runs, $(nproc) cores, $(ninja --version | sed 's/^/ninja /'), $("$exp" --version)"
for at in "${!commands[@]}"; do row "${names[at]}" "$(median ${times[at]})"; done
row "exp, one prompt edited ($ran actions ran)" "$(median "${edited[@]}")"
without=$(($(median ${times[1]} | cut -d. -f1) - checks))
row "checks of sizes by themselves" "$checks"
row "exp, nothing to do, less these" "$without"

# Plans of other sizes, each in turn with as many edges.
printf '%10s %12s %12s %10s %22s\n' actions exp ninja ratio 'exp per 1,000 actions'
for parts in 125 252 505 1010; do
    project=$dir/project-$parts graph=$dir/graph-$parts
    make_project "$project"
    build=("$exp" -C "$project" build --json --parts-per-dataset "$parts")
    "${build[@]}" -q >/dev/null
    actions=$(field total <<<"$("${build[@]}" -q)")
    make_graph "$graph" "$actions"
    names=() commands=() times=()
    measure "ninja, nothing to do" null_ninja
    measure "exp, nothing to do" null_exp
    rounds
    awk -v n="$actions" -v base="$(median ${times[0]})" -v us="$(median ${times[1]})" 'BEGIN {
        printf "%10d %9.1f ms %9.1f ms %8.2f x %19.2f ms\n", n, us / 1000, base / 1000, us / base, us / n
    }'
    rm -rf "$project" "$graph"
done
