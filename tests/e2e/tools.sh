#!/bin/bash
# heraldd --verify, --dump and --repair on the data of a real daemon, whole and damaged.
set -u

here=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
[[ $build == /* ]] || build=$here/$build
herald=$build/herald
heraldd=$build/heraldd
work=$(mktemp -d "${TMPDIR:-/tmp}/herald-tools.XXXXXX")
data=$work/data
first=$data/segment-0000000000000001
export HERALD_URL=unix:$data/herald.sock
broker_pid=
passed=0
failed=0

finish() {
    [ -z "$broker_pid" ] || kill -KILL "$broker_pid" 2>/dev/null
    wait 2>/dev/null
    chmod -R u+w "$work" 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT

result() { # CONDITION NAME
    if (($1)); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n' "$2"
        printf '  said: %s\n' "$(head -c 800 "$work/out" "$work/err" 2>/dev/null)"
    fi
}

# code EXPECTED NAME COMMAND...: runs it and looks at the exit code; leaves out and err behind.
code() {
    local expected=$1 name=$2 got
    shift 2
    timeout 60 "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    result $((got == expected)) "$name: exit code $got, expected $expected"
}

says() { # NAME FILE REGEX
    grep -qE -- "$3" "$work/$2"
    result $(($? == 0)) "$1: no '$3'"
}

same() { # NAME EXPECTED GOT
    [[ $2 == "$3" ]]
    result $(($? == 0)) "$1: '$3', expected '$2'"
}

start() { # OPTION...
    "$heraldd" --dev "$data" "$@" >"$work/broker.log" 2>&1 &
    broker_pid=$!
    for _ in $(seq 200); do
        "$herald" queue list >/dev/null 2>&1 && return
        sleep 0.05
    done
    result 0 "the daemon does not serve: $(tail -n 3 "$work/broker.log")"
}

stop() { # SIGNAL
    kill "-$1" "$broker_pid"
    wait "$broker_pid" 2>/dev/null
    broker_pid=
}

sums() { # of everything in a directory, with names, modes and times
    (cd "$1" && find . -type f -printf '%p %m %s %T@\n' | sort && find . -type f -exec cksum {} + |
        sort)
}

# position PATTERN: of the first record in the dump that holds it, as an offset in its segment
record_offset() {
    "$heraldd" --dump "$data" | grep -m1 -- "$1" | sed 's/.*"record":\([0-9]*\).*/\1/' |
        awk '{ print $1 % (64 * 1024 * 1024) }'
}

spoil() { # FILE OFFSET
    printf '\377' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# --- what is refused -----------------------------------------------------------------------------

code 2 "verify without a directory" "$heraldd" --verify
code 2 "two tools" "$heraldd" --verify "$data" --dump "$data"
code 2 "verify with a configuration" "$heraldd" -c /x --verify "$data"
code 2 "verify with --dev" "$heraldd" --verify "$data" --dev "$data"
code 2 "yes without repair" "$heraldd" --verify "$data" --yes
for tool in --verify --dump --repair; do
    code 74 "$tool of nothing" "$heraldd" $tool "$work/nowhere"
    says "$tool of nothing" err 'nowhere: .*No such file'
    mkdir "$work/empty"
    code 74 "$tool of an empty directory" "$heraldd" $tool "$work/empty"
    says "$tool of an empty directory" err 'no journal here'
    same "$tool leaves an empty directory empty" "" "$(ls -A "$work/empty")"
    rmdir "$work/empty"
done

# --- a whole journal -----------------------------------------------------------------------------

start
"$herald" queue create work
"$herald" queue create other
"$herald" exchange create events
"$herald" bind other events '#'
seq 1 500 | "$herald" send work --lines -
printf 'caf\303\251 \377' | "$herald" send work -
"$herald" send work 'with a header' --header shape=round
"$herald" publish events order.placed 'an event'
"$herald" work work --count 10 >/dev/null
for tool in --verify --dump --repair; do
    code 74 "$tool while a daemon serves" "$heraldd" $tool "$data"
    says "$tool while a daemon serves" err 'uses the data directory'
done
stop TERM
before=$(sums "$data")
code 0 "verify" "$heraldd" --verify "$data"
says verify out 'the journal is whole'
says verify out 'stopped +cleanly'
says verify out 'queues +2$'
says verify out 'waiting +493 messages'
same "verify keeps to 80 columns" "" "$(grep -E '^.{81}' "$work/out" | grep -v "$data")"
code 0 "repair of a whole journal" "$heraldd" --repair "$data" --yes
says "repair of a whole journal" out 'nothing to repair'
code 0 "dump" "$heraldd" --dump "$data"
same "dump: messages" 503 "$(grep -c '"operation":"MESSAGE"' "$work/out")"
same "dump: one object a line" "" "$(grep -vE '^\{"position":[0-9]+,"record":[0-9]+,"segment":"segment-[0-9a-f]{16}",.*\}$' "$work/out")"
says "dump: a name" out '"operation":"QUEUE","queue":1,"name":"work"'
says "dump: a body that is no text" out '"body_base64":"Y2Fmw6kg/w=="'
says "dump: headers" out '"headers":\{"shape":"round"\},"body":"with a header"'
says "dump: an event" out '"exchange":"events","key":"order.placed"'
says "dump: a settlement" out '"operation":"SETTLE","queue":1,"first":1'
"$heraldd" --dump "$data" 2>"$work/err" | head -n 1 >/dev/null
same "dump | head" "0 0" "${PIPESTATUS[*]}"
same "dump | head says nothing" "" "$(cat "$work/err")"
code 74 "dump to a full disk" bash -c '"$0" --dump "$1" >/dev/full' "$heraldd" "$data"
ln -s "$data" "$work/link"
code 0 "verify by a symbolic link" "$heraldd" --verify "$work/link"
chmod a-w "$data" "$data"/*
code 0 "verify of a read-only directory" "$heraldd" --verify "$data"
chmod u+w "$data" "$data"/*
same "nothing was changed" "$before" "$(sums "$data")"

# --- damage --------------------------------------------------------------------------------------

settled=$(record_offset '"operation":"SETTLE"')
defined=$(record_offset '"name":"other"')
spoil "$first" $((settled + 9))
before=$(sums "$data")
code 65 "a start" "$heraldd" --dev "$data"
code 65 "verify of a damaged journal" "$heraldd" --verify "$data"
says "verify of a damaged journal" out 'the journal is damaged'
says "verify of a damaged journal" out "segment-0000000000000001 at offset $((settled - 8))$"
says "verify of a damaged journal" out 'behind it [1-9][0-9]* records verify'
code 65 "dump of a damaged journal" "$heraldd" --dump "$data"
says "dump of a damaged journal" err "segment-0000000000000001: at offset $((settled - 8)): "
says "dump of a damaged journal" out '"operation":"MESSAGE"'
code 65 "repair without consent" "$heraldd" --repair "$data"
says "repair without consent" out 'Nothing was changed'
says "repair without consent" out "kept whole as"
same "nothing was changed by all that" "$before" "$(sums "$data")"
spoil "$first" $((defined + 9))
before=$(sums "$data")
code 0 "repair" "$heraldd" --repair "$work/link" --yes
says "repair" out 'queues \(1\) and exchanges \(0\) whose definition is lost'
damaged=$(echo "$data".damaged-*)
same "the original is kept" "$before" "$(sums "$damaged")"
result $(($(find "$work" -name '*.repaired-*' | wc -l) == 0)) "something is left over"
code 0 "verify of what was repaired" "$heraldd" --verify "$data"
start
code 0 "the queue without a name" "$herald" work recovered-2 --count 1
says "the queue without a name" out '^an event$'
code 0 "the other messages" "$herald" -o jsonl work work --count 502
# The settlement of some of the first is lost: they come back, and are said to.
same "they are all there" 502 "$(grep -c '"redelivered":true' "$work/out")"
says "the last one" out '"body":"with a header"'
stop KILL
code 0 "verify after a kill" "$heraldd" --verify "$data"
says "verify after a kill" out 'not cleanly'

# --- a missing segment, and no room --------------------------------------------------------------

mkdir "$work/lost"
cp "$data"/lock "$work/lost/"
cp "$data"/segment-0000000000000002 "$work/lost/"
code 65 "verify without the first segment" "$heraldd" --verify "$work/lost"
says "verify without the first segment" out 'the segment is missing'
mkdir "$work/cut"
cp "$first" "$work/cut/"
truncate -s 8192 "$work/cut/segment-0000000000000001"
code 65 "verify of a cut segment" "$heraldd" --verify "$work/cut"
code 65 "a pipe for a segment" bash -c 'rm "$1"/segment-*; mkfifo "$1/segment-0000000000000001"
    "$0" --verify "$1"' "$heraldd" "$work/cut"

# --- histories -----------------------------------------------------------------------------------

data=$work/history
export HERALD_URL=unix:$data/herald.sock
printf '[history]\nfile_bytes = 64KiB\nsave_bytes = 64KiB\n' >"$work/conf"
start -c "$work/conf"
"$herald" exchange create book --history
for i in 1 2 3 4 5; do
    "$herald" append book account k "step $i" >/dev/null
done
seq 6 4000 | "$herald" publish book n --lines
"$herald" subscribe book --from first --name ledger -n 100 >/dev/null
for _ in $(seq 200); do
    [[ $(ls "$data" | grep -c '^history-') -ge 3 && -n $(ls "$data" | grep '^entities-') ]] && break
    sleep 0.1
done
stop TERM
code 0 "verify of a history" "$heraldd" --verify "$data"
says "verify of a history" out '^  history     book$'
says "verify of a history" out 'events      1 to 4000$'
says "verify of a history" out 'in files    [0-9]+, [3-9] files, '
says "verify of a history" out 'entities    1, saved up to event [0-9]+$'
says "verify of a history" out 'cursors     1$'
cp "$data/$(ls "$data" | grep -m1 '^history-')" "$data/history-000000ff-0000000000000001"
code 0 "verify with a file that is left over" "$heraldd" --verify "$data"
says "a file that is left over" out 'left over   history-000000ff-0000000000000001'
says "a file that is left over" out 'harmless: a start removes it'
rm "$data/history-000000ff-0000000000000001"
code 0 "dump of a history" "$heraldd" --dump "$data"
same "dump: the first line" '{"file":"history-00000001-0000000000000001","exchange_number":1,"block":512,"sequence":1,"operation":"MESSAGE"' \
    "$(head -n 1 "$work/out" | sed 's/,"number".*//')"
same "dump: sequences in order" "" "$(grep '^{"file":"history' "$work/out" |
    sed 's/.*"sequence":\([0-9]*\),"operation".*/\1/' | awk '$1 != NR')"
says "dump: entities" out '^\{"file":"entities-00000001-[0-9a-f]{16}","exchange_number":1,"entity_hash":"[0-9a-f]{24}","version":5,"sequence":5\}$'
says "dump: where it goes" out '"queues":\[\],"histories":\[1\],"exchange":"book"'
says "dump: how far files are" out '"operation":"HISTORY","exchange":1,"moved":'

# The journal would help: so it is that of a broker that was filled and emptied meanwhile.
start -c "$work/conf"
"$herald" queue create filler
head -c 98304 /dev/zero | tr '\0' x >"$work/large"
for _ in $(seq 2200); do cat "$work/large"; echo; done | "$herald" send filler --lines >/dev/null
"$herald" queue delete filler -y >/dev/null
"$herald" publish book last 'the last one'
for _ in $(seq 200); do
    [[ ! -e $data/segment-0000000000000001 ]] && break
    sleep 0.1
done
result $((! $(ls "$data" | grep -c '^segment-0000000000000001$'))) "the first segment is freed"
stop TERM
mapfile -t files < <(ls "$data" | grep '^history-')
spoil "$data/${files[1]}" 700
before=$(sums "$data")
code 65 "verify of a damaged history" "$heraldd" --verify "$data"
says "verify of a damaged history" out "^      ${files[1]} at offset 512$"
says "verify of a damaged history" out 'a block does not verify'
says "verify of a damaged history" out 'events [0-9]+ to [0-9]+ cannot be read'
code 65 "dump of a damaged history" "$heraldd" --dump "$data"
says "dump of a damaged history" err "${files[1]}: at offset 512: a block does not verify; it is left out"
says "dump goes on behind damage" out '"body":"the last one"'
code 65 "repair of a history without consent" "$heraldd" --repair "$data"
says "repair of a history without consent" out 'events [0-9]+ to [0-9]+ that are damaged or missing'
says "repair of a history without consent" out 'events 1 to [0-9]+ that are whole, but have a hole'
says "repair of a history without consent" out 'Nothing was changed'
first=$(grep -oE 'Kept of it would be events [0-9]+ to 4001' "$work/out" | grep -oE '[0-9]+' | head -n 1)
same "nothing was changed by all that" "$before" "$(sums "$data")"
# A daemon starts on it, and tells whoever comes to the damage.
cp -a "$data" "$work/damaged-copy"
data=$work/damaged-copy
export HERALD_URL=unix:$data/herald.sock
start -c "$work/conf"
code 4 "a reader of damaged events" "$herald" subscribe book --from first --idle 2s
same "it has what stands before" "step 1" "$(head -n 1 "$work/out")"
says "a reader of damaged events" err 'the broker cannot read its own disk'
code 0 "a reader of the others" "$herald" subscribe book --from "${first:-1}" --idle 1s
same "it has all behind the damage" "the last one" "$(tail -n 1 "$work/out")"
stop TERM
grep -q "${files[1]}.*a block does not verify" "$work/broker.log"
result $(($? == 0)) "the damage is logged"
data=$work/history
export HERALD_URL=unix:$data/herald.sock
code 0 "repair of a history" "$heraldd" --repair "$data" --yes
damaged=$(echo "$data".damaged-*)
same "the original of the history is kept" "$before" "$(sums "$damaged")"
code 0 "verify of what was repaired" "$heraldd" --verify "$data"
says "verify of what was repaired" out "events      ${first:-none} to 4001$"
start -c "$work/conf"
code 0 "a reader of what was repaired" "$herald" subscribe book --from first --idle 1s
same "it has what is kept" "$((4001 - ${first:-0} + 1))" "$(wc -l <"$work/out")"
same "an entity goes on" 6 "$("$herald" append book account k 'step 6' --expect 5)"
code 0 "the cursor goes on" "$herald" subscribe book --from next --name ledger -n 1
stop TERM

echo "$passed passed, $failed failed"
((failed == 0))
