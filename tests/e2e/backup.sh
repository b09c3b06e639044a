#!/bin/bash
# herald backup: a copy of a daemon that is at work, and a daemon that starts from the copy.
set -u

here=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
[[ $build == /* ]] || build=$here/$build
herald=$build/herald
work=$(mktemp -d "${TMPDIR:-/tmp}/herald-backup.XXXXXX")
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

h() { timeout 60 "$herald" "$@"; }

result() { # CONDITION NAME
    if (($1)); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n' "$2"
        printf '  said: %s\n' "$(tail -c 600 "$work/err" "$work/log" 2>/dev/null)"
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

start_broker() { # DIRECTORY
    "$build/heraldd" --dev "$work/$1" >"$work/log" 2>&1 &
    broker_pid=$!
    export HERALD_URL=unix:$work/$1/herald.sock
    local i
    for ((i = 0; i < 200; i++)); do
        "$herald" stats >"$work/out" 2>/dev/null && return
        sleep 0.05
    done
    printf 'FAIL the broker does not start from %s\n%s\n' "$1" "$(tail -5 "$work/log")"
    exit 1
}

# Bodies of a queue that are not settled, each once.
drain() { # QUEUE FILE
    h work "$1" --prefetch 1000 --idle 1s >"$work/$2.all" 2>"$work/err"
    sort -u "$work/$2.all" >"$work/$2"
}

# until_begun NAME PID: its files appear, or it was faster.
until_begun() {
    local i
    for ((i = 0; i < 5000; i++)); do
        [[ -n $(ls "$work/$1.partial" 2>/dev/null) ]] && return
        kill -0 "$2" 2>/dev/null || return
        sleep 0.002
    done
}

start_broker data
h queue create kept
h queue create busy
h exchange create events
h bind kept events '#'
h exchange create book --history
seq 1 20000 | h publish book n --lines
for ((i = 1; i <= 5; i++)); do
    h append book account k "step $i" >/dev/null
done
h subscribe book --from first --name ledger -n 100 >/dev/null

# Confirmed and never settled, large enough for more than one segment.
head -c 98304 /dev/zero | tr '\0' x >"$work/large"
for ((i = 0; i < 1000; i++)); do
    printf '%06d' "$i"
    cat "$work/large"
    printf '\n'
done | h send kept --lines
seq 100001 120000 | h send kept --lines
result $(($? == 0)) 'messages to be kept'

# Somebody sends and somebody works while the copy is made.
(i=0; while :; do seq $i $((i + 999)); i=$((i + 1000)); done) |
    "$herald" send busy --lines >/dev/null 2>&1 &
"$herald" work busy --prefetch 1000 >"$work/worked" 2>/dev/null &
for ((i = 0; i < 200; i++)); do
    [[ -n $(ls "$work"/data/history-* 2>/dev/null) ]] && break
    sleep 0.1
done
result $((i < 200)) 'events were moved to a file'
h publish book late 'in the journal'

code 0 'backup' backup "$work/copy"
grep -qE "^$work/copy: [0-9.]+MiB, .*/s\$" "$work/out"
result $(($? == 0)) 'size and speed are said'
[[ ! -e $work/copy.partial && $(ls "$work/copy" | grep -Ecv '^(segment|history-[0-9a-f]{8})-[0-9a-f]{16}$') == 0 ]]
result $(($? == 0)) 'nothing but segments and files of histories'
(($(ls "$work"/copy/segment-* | wc -l) >= 2))
result $(($? == 0)) 'more than one segment'
(($(ls "$work"/copy/history-* | wc -l) >= 1))
result $(($? == 0)) 'a file of a history'
[[ -z $(find "$work/copy" -name 'segment-*' ! -size "$(stat -c %s "$work"/copy/segment-* | head -1)c") ]]
result $(($? == 0)) 'segments are of one size'
timeout 60 "$build/heraldd" --verify "$work/copy" >"$work/out" 2>"$work/err"
result $(($? == 0)) 'the copy is whole'
worked_before=$(wc -l <"$work/worked")
code 1 'the name is taken' backup "$work/copy"
code 2 'a directory is needed' backup
code 0 'backup as json' -o json backup "$work/second"
[[ ! -s $work/out ]]
result $(($? == 0)) 'quiet with -o json'

# Ctrl-C leaves nothing behind.
env --default-signal=INT "$herald" backup "$work/stopped" 2>"$work/err" >"$work/out" &
stopped=$!
until_begun stopped $stopped
kill -INT $stopped
wait $stopped
got=$?
if ((got == 0)); then
    [[ -d $work/stopped && ! -e $work/stopped.partial ]] # it was faster
else
    [[ $got == 1 && ! -e $work/stopped && ! -e $work/stopped.partial ]]
fi
result $(($? == 0)) "stopped: exit code $got"

# The broker may take a moment to see that whoever asked for the stopped one has gone.
for ((i = 0; i < 100; i++)); do
    h backup "$work/next" >/dev/null 2>"$work/err" && break
    grep -q LIMIT "$work/err" || break
    sleep 0.05
done
result $((i < 100 && $(ls "$work/next" | wc -l) > 0)) 'a backup behind one that was stopped'
rm -rf "$work/next"

# A broker that dies under the copy: an error, and no directory.
"$herald" backup "$work/broken" 2>"$work/err" >"$work/out" &
broken=$!
until_begun broken $broken
kill -KILL $broker_pid
wait $broker_pid 2>/dev/null
wait $broken
got=$?
if ((got == 0)); then
    [[ -d $work/broken && ! -e $work/broken.partial ]]
else
    [[ $got == 3 && ! -e $work/broken && ! -e $work/broken.partial ]]
fi
result $(($? == 0)) "a lost broker: exit code $got"
kill %1 %2 2>/dev/null

result $((worked_before > 0)) 'work went on during the copy'
rm -rf "$work/data" "$work/second" "$work/stopped" "$work/broken"
start_broker copy
drain kept found
{
    for ((i = 0; i < 1000; i++)); do
        printf '%06d' "$i"
        cat "$work/large"
        printf '\n'
    done
    seq 100001 120000
} | sort >"$work/expected"
cmp -s "$work/found" "$work/expected"
result $(($? == 0)) 'everything that was confirmed and not settled is in the copy'
[[ $(wc -l <"$work/found.all") == 21000 ]]
result $(($? == 0)) 'nothing of it is there twice'
h publish events a.b hello && drain kept again && [[ $(cat "$work/again") == hello ]]
result $(($? == 0)) 'exchanges and bindings are in the copy'
h subscribe book --from first --idle 1s >"$work/events" 2>"$work/err"
{ seq 1 20000; for ((i = 1; i <= 5; i++)); do echo "step $i"; done; echo 'in the journal'; } >"$work/expected"
cmp -s "$work/events" "$work/expected"
result $(($? == 0)) 'all events are in the copy, in order'
code 0 'an entity of the copy' read book --entity account
[[ $(wc -l <"$work/out") == 5 ]]
result $(($? == 0)) 'with all its events'
[[ $(h append book account k more --expect 5) == 6 ]]
result $(($? == 0)) 'and its version'
h subscribe book --from next --name ledger -n 1 >"$work/out"
[[ $(cat "$work/out") == 101 ]]
result $(($? == 0)) 'a cursor goes on where it was'
drain busy rest
sort -c -u "$work/rest" && [[ $(wc -l <"$work/rest") == $(wc -l <"$work/rest.all") ]]
result $(($? == 0)) 'the busy queue is whole'
kill -TERM $broker_pid
wait $broker_pid
result $(($? == 0)) 'the broker of the copy stops in good order'
broker_pid=

printf '%d passed, %d failed\n' "$passed" "$failed"
exit $((failed > 0))
