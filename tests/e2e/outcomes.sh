#!/bin/bash
# Exactly one outcome for each tracked command, while the sender, the workers and the broker are killed at
# random: `outcomes.sh [COMMANDS [KILLS]]`.
#
# Every command has a reply queue, so that an outcome that was told twice, or never, is seen; what the
# broker says of each command at the end must be what was told. Some commands fail for good, some ask for
# another attempt.
set -u

# shellcheck source=tests/support/program.sh
. "$(dirname "$0")/../support/program.sh"

commands=${1:-1000}
kills=${2:-200}
sender_pid=
worker_pids=()

id_of() { printf '01900000-0000-7000-8000-%012d' "$1"; }

# Goes on behind the last command that was confirmed; the one after may have been taken: its id says so.
sender() {
    local n id
    n=$(<"$work/confirmed")
    while ((n < commands)); do
        printf -v id '01900000-0000-7000-8000-%012d' $((n + 1))
        "$herald" send jobs $((n + 1)) --track --id "$id" --reply-to answers >/dev/null 2>&1 || continue
        n=$((n + 1))
        echo $n >"$work/confirmed.new" && mv "$work/confirmed.new" "$work/confirmed"
    done
}

start_sender() {
    sender &
    sender_pid=$!
}

start_worker() { # PLACE
    # shellcheck disable=SC2016
    "$herald" work jobs --parallel 4 -- sh -c 'read -r n
        case $((n % 10)) in
        0) echo no >&2; exit 1;;
        5) [ "$HERALD_ATTEMPT" -gt 1 ] || exit 75; echo "late $n";;
        *) echo "done $n";;
        esac' >/dev/null 2>&1 &
    worker_pids[$1]=$!
}

restart_broker() {
    kill -KILL "$broker_pid"
    wait "$broker_pid" 2>/dev/null
    start_broker
}

kill_one() {
    case $((RANDOM % 3)) in
    0) restart_broker ;;
    1)
        kill -KILL "$sender_pid" 2>/dev/null
        wait "$sender_pid" 2>/dev/null
        start_sender
        ;;
    2)
        local place=$((RANDOM % 3))
        kill -KILL "${worker_pids[place]}" 2>/dev/null
        wait "${worker_pids[place]}" 2>/dev/null
        start_worker $place
        ;;
    esac
}

told() { h queue show answers -o json | sed 's/.*"messages":\([0-9]*\).*/\1/'; }

start_broker
code 0 "queue" queue create jobs --attempts 100 --backoff 20ms --backoff-max 100ms
code 0 "queue for outcomes" queue create answers
echo 0 >"$work/confirmed"
start_sender
for place in 0 1 2; do start_worker $place; done
for ((i = 0; i < kills; i++)); do
    sleep 0.0$((RANDOM % 9 + 1))
    kill_one 2>/dev/null
done
wait "$sender_pid"
for ((i = 0; i < 600; i++)); do
    (($(told) >= commands)) && break
    sleep 0.1
done
restart_broker 2>/dev/null
same "an outcome for each" "$commands" "$(told)"
h work answers --prefetch 1000 --idle 1s -o jsonl >"$work/answers"
for pid in "${worker_pids[@]}"; do kill -KILL "$pid" 2>/dev/null; done
same "of each command one" "$commands" \
    "$(sed 's/.*"outcome_of":"\([^"]*\)".*/\1/' "$work/answers" | sort -u | wc -l)"
same "those that must fail have failed" $((commands / 10)) "$(grep -c '"outcome":"failed"' "$work/answers")"
same "and with their own code" $((commands / 10)) "$(grep -c '"code":"EXIT_1"' "$work/answers")"
differ=0
for ((n = 1; n <= commands; n += 7)); do
    id=$(id_of $n)
    state=$(h status "$id" -o json | sed 's/.*"state":"\([a-z]*\)".*/\1/')
    grep "\"outcome_of\":\"$id\"" "$work/answers" | grep -q "\"outcome\":\"$state\"" || differ=$((differ + 1))
done
same "what is known is what was told" 0 $differ
echo "$passed passed, $failed failed"
((failed == 0))
