#!/bin/bash
# The main job of Herald on real input: every line of this machine's package log becomes an event for
# three listeners and a command for one of two workers, and halfway the broker is killed.
#
# Exit 0: nothing was lost. Works in a temporary folder, which it removes; stops what it started.
set -euo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
[[ $build == /* ]] || build=$here/$build
log=${DEMO_LOG:-/var/log/dpkg.log}
lines_least=2000
lines_most=30000
steps=12 # the input is fed in so many portions; the kill comes while one is being handled

herald=$build/herald
work=$(mktemp -d "${TMPDIR:-/tmp}/herald-demo.XXXXXX")
broker_pid=
pids=()

finish() {
    local pid
    for pid in "${pids[@]}" $broker_pid; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '%s\n' "$*"; }
fail() {
    printf 'demo: %s\n' "$*" >&2
    tail -n 5 "$work"/*.log >&2 || true
    exit 1
}

start_broker() {
    "$build/heraldd" --dev "$work/data" >>"$work/broker.out" 2>>"$work/broker.log" &
    broker_pid=$!
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        "$herald" stats >/dev/null 2>&1 && return
        kill -0 "$broker_pid" 2>/dev/null || fail "the broker does not start"
        sleep 0.05
    done
    fail "the broker does not answer"
}

# --- the input: "KEY NUMBER LINE", the number telling the lines apart -----------------------------

read_packages() {
    if [[ -r $log ]]; then
        tail -n "$lines_most" "$log"
    fi
    if (( $( { cat "$log" 2>/dev/null || true; } | head -n "$lines_least" | wc -l) < lines_least )); then
        : >"$work/padded"
        dpkg-query -W -f '- - installed ${Package}:${Architecture} ${Version}\n'
    fi
}

make_input() {
    read_packages | awk '
        function word(text) {
            sub(/:[a-z0-9-]+$/, "", text)   # the architecture
            gsub(/[.*# ]/, "_", text)
            return text == "" ? "_" : text
        }
        $3 == "startup" { package = $4 }
        $3 == "status" || $3 == "startup" { if ($3 == "status") package = $5 }
        $3 != "status" && $3 != "startup" { package = $4 }
        { printf "dpkg.%s.%s %06d %s\n", word($3), word(package), NR, $0 }' >"$work/input"
    lines=$(wc -l <"$work/input")
    (( lines > 0 )) || fail "this machine has neither a package log nor a package list"
}

# The most frequent second or third word of the keys.
most_frequent() {
    cut -d' ' -f1 "$work/input" | cut -d. -f"$1" | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }'
}

# Feeds the lines in portions and leaves a file behind halfway.
feed() {
    awk -v step=$(((lines + steps - 1) / steps)) -v half=$((lines / 2)) -v mark="$work/half" '
        { print }
        NR % step != 0 { next }
        { fflush() }
        NR >= half && !is_marked { printf "" >mark; close(mark); is_marked = 1 }
        { system("sleep 0.4") }'
}

# --- the run --------------------------------------------------------------------------------------

listen() { # NAME PATTERN
    "$herald" subscribe dpkg "$2" --name "$1" -o jsonl >"$work/$1.out" 2>>"$work/clients.log" &
    pids+=($!)
}

start_clients() {
    "$herald" exchange create dpkg
    "$herald" queue create packages
    listen everything 'dpkg.#'
    listen by-action "dpkg.$action.*"
    listen by-package "dpkg.*.$package"
    "$herald" work packages -o jsonl >"$work/worker-program.out" 2>>"$work/clients.log" &
    pids+=($!)
    # A shell command for each message: the body on standard input, the rest in the environment.
    # shellcheck disable=SC2016
    "$herald" work packages -- sh -c 'read -r number line; echo "$number $HERALD_REDELIVERED"' \
        >"$work/worker-shell.out" 2>>"$work/clients.log" &
    pids+=($!)
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        (( $("$herald" queue list -o jsonl | grep -c '"consumers":[12]') == 4 )) && return
        sleep 0.05
    done
    fail "the listeners and workers do not get going"
}

kill_halfway() {
    while [[ ! -e $work/half ]]; do
        kill -0 "$1" 2>/dev/null || fail "the sender stopped before half of the lines were out"
        sleep 0.01
    done
    kill -KILL "$broker_pid"
    wait "$broker_pid" 2>/dev/null || true
    say "  halfway: the broker is killed (SIGKILL) in full flight ..."
    sleep 0.5
    start_broker
    say "  ... and started again; senders, listeners and workers find it by themselves"
}

wait_until_empty() {
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        if "$herald" queue list -o jsonl >"$work/queues" 2>/dev/null &&
            (( $(grep -c '"messages":0,' "$work/queues") == 4 )); then
            return
        fi
        sleep 0.1
    done
    say "  the queues did not run empty in 60 s:"
    "$herald" queue list
}

stop_clients() {
    local pid
    for pid in "${pids[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || say "  a listener or worker ended with exit code $?"
    done
    pids=()
}

# --- the count ------------------------------------------------------------------------------------

# "NUMBER REDELIVERED" for each time a line was handled.
handled() {
    sed -n -e 's/^\([0-9]\{6,\} [01]\)$/\1/p' \
        -e 's/.*"redelivered":\([a-z]*\),.*"body":"\([0-9]*\) .*/\2 \1/p' "$@" |
        sed -e 's/ true$/ 1/' -e 's/ false$/ 0/'
}

confirmed() { sed -n 's/.*"confirmed":\([0-9]*\).*/\1/p' "$1"; }

failed=0
row() { # TITLE SENT CONFIRMED FILE...
    local title=$1 sent=$2 confirmed=$3 unique again lies
    shift 3
    handled "$@" >"$work/handled"
    unique=$(cut -d' ' -f1 "$work/handled" | sort -u | wc -l)
    again=$(grep -c ' 1$' "$work/handled" || true)
    # What was handled twice must have been marked the second time: at most one unmarked each.
    lies=$(grep ' 0$' "$work/handled" | sort | uniq -d | wc -l)
    printf '%-30s %8d %10d %8d %12d %6d\n' "$title" "$sent" "$confirmed" "$unique" "$again" \
        $((sent - unique))
    (( sent == unique && sent == confirmed )) || failed=1
    if (( lies > 0 )); then
        say "  $lies were handled twice without being marked as redelivered"
        failed=1
    fi
}

count() { grep -c "$1" "$work/input" || true; }

print_table() {
    local events commands seconds=$1
    events=$(confirmed "$work/events.json")
    commands=$(confirmed "$work/commands.json")
    say
    printf '%-30s %8s %10s %8s %12s %6s\n' '' sent confirmed handled redelivered lost
    row "events    dpkg.#" "$lines" "$events" "$work/everything.out"
    row "          dpkg.$action.*" "$(count "^dpkg\.$action\.")" \
        "$(count "^dpkg\.$action\.")" "$work/by-action.out"
    row "          dpkg.*.$package" "$(count "^dpkg\.[^.]*\.$package ")" \
        "$(count "^dpkg\.[^.]*\.$package ")" "$work/by-package.out"
    row "commands  packages" "$lines" "$commands" "$work"/worker-*.out
    say
    say "of the commands $(handled "$work/worker-program.out" | wc -l) were handled by \`herald work\`" \
        "and $(handled "$work/worker-shell.out" | wc -l) by a shell command;"
    say "redelivered: handed out again after the kill, and marked as such. Time: $seconds s"
}

main() {
    export HERALD_URL=unix:$work/data/herald.sock
    make_input
    action=$(most_frequent 2)
    package=$(most_frequent 3)
    local source="the last lines of $log"
    [[ ! -e $work/padded ]] || source="the list of installed packages, behind what $log holds"
    say "Herald at work on $lines lines, $source."
    say "Each becomes an event for three durable listeners and a command for one of two workers."
    say "  e.g. $(head -n 1 "$work/input")"
    mkdir "$work/data"
    start_broker
    say "  the broker runs (heraldd --dev), its data is in $work/data"
    start_clients
    say "  listeners on dpkg.#, dpkg.$action.* and dpkg.*.$package; two workers on queue packages"

    local started=$EPOCHREALTIME
    feed <"$work/input" | "$herald" publish dpkg --lines --keyed -o json \
        >"$work/events.json" 2>>"$work/clients.log" &
    local events_pid=$!
    cut -d' ' -f2- "$work/input" | feed | "$herald" send packages --lines -o json \
        >"$work/commands.json" 2>>"$work/clients.log" &
    local commands_pid=$!
    pids+=("$events_pid" "$commands_pid")
    kill_halfway "$commands_pid"
    wait "$events_pid" || fail "publishing ended with exit code $?"
    wait "$commands_pid" || fail "sending ended with exit code $?"
    say "  all events and commands are confirmed: they are on disk; the queues run empty ..."
    pids=("${pids[@]:0:5}")
    wait_until_empty
    local seconds
    seconds=$(awk -v a="$started" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
    stop_clients
    print_table "$seconds"
    kill -TERM "$broker_pid"
    wait "$broker_pid" || fail "the broker ended with exit code $?"
    broker_pid=
    (( failed == 0 )) || fail "something was lost"
    say "Nothing was lost."
}

main
