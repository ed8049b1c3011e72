#!/usr/bin/env bash
# Puts the tools that read exports (tests/exports.rs) into a venv below the target directory: inspect_ai, lxml, pylatexenc. Ends with 0
# in any case: the tests skip what is not there.
set -uo pipefail
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
venv=$target/venv-exports
wanted="inspect_ai==0.3.285 lxml==6.1.3 pylatexenc==2.11"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
say() { printf '%s\n' "exports: $*"; }
if [ "$(cat "$venv/finished" 2>/dev/null)" = "$wanted" ]; then say "the tools are there"; exit 0; fi
command -v python3 >/dev/null || { say "skipped: there is no python3"; exit 0; }
begun=$SECONDS
log=$target/venv-exports.log
mkdir -p "$target"
rm -rf "$venv"
# shellcheck disable=SC2086 # A list of words.
if python3 -m venv "$venv" >"$log" 2>&1 && timeout "${EXP_SETUP_SECONDS:-180}" "$venv/bin/pip" install -q $wanted >>"$log" 2>&1
then printf '%s' "$wanted" >"$venv/finished"; say "set up in $((SECONDS - begun)) s"
else say "skipped: they could not be installed; the end of $log:"; tail -n 5 "$log"; rm -rf "$venv"
fi
