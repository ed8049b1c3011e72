#!/usr/bin/env bash
# Puts the tools that read exports (tests/exports.rs) into a venv below the target directory: inspect_ai, lm-eval, lxml, pyarrow, pylatexenc. Ends with 0
# in any case: the tests skip what is not there.
set -uo pipefail
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
venv=$target/venv-exports
wanted="inspect_ai==0.3.285 lxml==6.1.3 pyarrow==26.0.1 pylatexenc==2.11"
# Of lm-eval only what reads its files, without the frameworks that it evaluates with.
alone="lm_eval==0.4.13"
needed="jinja2 numpy pytablewriter pyyaml requests"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
say() { printf '%s\n' "exports: $*"; }
if [ "$(cat "$venv/finished" 2>/dev/null)" = "$wanted $alone" ]; then say "the tools are there"; exit 0; fi
command -v python3 >/dev/null || { say "skipped: there is no python3"; exit 0; }
begun=$SECONDS
log=$target/venv-exports.log
mkdir -p "$target"
rm -rf "$venv"
# shellcheck disable=SC2086 # A list of words.
if python3 -m venv "$venv" >"$log" 2>&1 && timeout "${EXP_SETUP_SECONDS:-300}" "$venv/bin/pip" install -q $wanted $needed >>"$log" 2>&1 &&
    "$venv/bin/pip" install -q --no-deps $alone >>"$log" 2>&1
then printf '%s' "$wanted $alone" >"$venv/finished"; say "set up in $((SECONDS - begun)) s"
else say "skipped: they could not be installed; the end of $log:"; tail -n 5 "$log"; rm -rf "$venv"
fi
