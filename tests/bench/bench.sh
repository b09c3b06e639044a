#!/bin/bash
# The figures of Herald on this machine: a daemon of its own with its data in a temporary folder, and
# `herald bench` against it. Each figure stands beside what the machine does without a broker, taken in
# the same run; trust the ratios and the processor time more than the rates.
#
#   tests/bench/bench.sh [BUILD]
set -u
build=${1:-build}
folder=$(mktemp -d)
daemon=
failed=0

stop() {
    [ -z "$daemon" ] || { kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null; }
    daemon=
}
trap 'stop; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

# start: a fresh broker, so that one measurement's memory is not the next one's.
start() {
    stop
    rm -rf "$folder/data"
    "$build/heraldd" --dev "$folder/data" >"$folder/url" 2>"$folder/log" &
    daemon=$!
    for _ in $(seq 100); do
        grep -q HERALD_URL "$folder/url" && break
        sleep 0.1
    done
    # shellcheck disable=SC1091
    . "$folder/url"
    [ -n "${HERALD_URL:-}" ] || { cat "$folder/log" >&2; exit 1; }
}

run() {
    printf '\n$ herald %s\n' "$*"
    "$build/herald" "$@" || failed=1
}

start
run bench idle --connections 9900
start
run bench send --count 2000000 --size 128 --in-flight 10000
run bench send --count 1000000 --size 128 --in-flight 1024
run bench send --count 200000 --size 1024 --in-flight 10000
run bench send --count 1000000 --workers 64
run bench send --count 1000000 --workers 64 --lanes 100000
run bench send --count 1000000 --track
run bench call --count 20000
if grep -q 'tcp:127.0.0.1:7440' "$folder/log"; then
    run -s herald://127.0.0.1:7440 bench call --count 20000
fi
run bench publish --count 300000 --subscribers 8
start
run bench publish --history --count 2000000 --in-flight 1024
start
run bench replay --count 10000000
exit $failed
