# What tests of the program herald against the real daemon share; to be sourced by them.
#
# `work` is their directory, `herald` the program, `passed` and `failed` are counted here.
# shellcheck shell=bash

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-build}
[[ $build == /* ]] || build=$here/$build
herald=$build/herald
work=$(mktemp -d "${TMPDIR:-/tmp}/herald-cli.XXXXXX")
export HERALD_URL=unix:$work/data/herald.sock
broker_pid=
passed=0
failed=0

finish() {
    local pid
    for pid in $(jobs -p) $broker_pid; do
        kill -KILL "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT

h() { timeout 30 "$herald" "$@"; }

# bg ARGUMENT...: herald in the background, $! being its own process, and SIGINT not ignored, as bash
# would have it.
bg() { exec env --default-signal=INT "$herald" "$@"; }

result() { # CONDITION NAME
    if (($1)); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n' "$2"
        printf '  said: %s\n' "$(head -c 600 "$work/out" "$work/err" 2>/dev/null)"
    fi
}

# code EXPECTED NAME ARGUMENT...: runs herald and looks at the exit code; leaves out and err behind.
code() {
    local expected=$1 name=$2 got
    shift 2
    h "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    result $((got == expected)) "$name: exit code $got, expected $expected"
}

says() { # NAME FILE REGEX: the output or error of the last command holds it
    grep -qE -- "$3" "$work/$2"
    result $(($? == 0)) "$1: no '$3'"
}

same() { # NAME EXPECTED GOT
    [[ $2 == "$3" ]]
    result $(($? == 0)) "$1: '$3', expected '$2'"
}

is_json() { # NAME < JSON: one value per call of a reader that only takes JSON
    if command -v python3 >/dev/null; then
        python3 -c 'import json, sys; json.load(sys.stdin)' 2>/dev/null
    else
        perl -MJSON::PP -e 'local $/; JSON::PP->new->decode(<STDIN>)' 2>/dev/null
    fi
    result $(($? == 0)) "$1: not JSON"
}

until_true() { # COMMAND...: true within 10 s
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    return 1
}

serves() { h queue show "$1" -o json | grep -q '"consumers":[1-9]'; }

start_broker() {
    mkdir -p "$work/data"
    "$build/heraldd" --dev "$work/data" >"$work/broker.log" 2>&1 &
    broker_pid=$!
    if ! until_true h stats; then
        cat "$work/broker.log"
        echo "0 passed, 1 failed"
        exit 1
    fi
}
