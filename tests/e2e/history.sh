#!/bin/bash
# Histories with the program herald against the real daemon: keeping events, reading them from
# anywhere, cursors, entities, two writers of one entity, and all that over kill -9.
set -u

# shellcheck source=tests/support/program.sh
. "$(dirname "$0")/../support/program.sh"

restart() {
    kill -KILL "$broker_pid"
    wait "$broker_pid" 2>/dev/null
    start_broker
}

# field NAME < ROW OF JSON
field() { sed -E "s/.*\"$1\":\"?([^,}\"]*).*/\1/"; }

of_exchange() { h exchange show "$1" -o json | field "$2"; }

of_cursor() { h cursor show "$1" -o json | field "$2"; }

publish() { # FROM TO: events "event N" with the keys odd.N and even.N
    seq "$1" "$2" | awk '{print ($1 % 2 ? "odd" : "even") "." $1 " event " $1}' |
        h publish book --lines --keyed
}

events() { seq "$1" "$2" | sed 's/^/event /'; }

# --- usage ------------------------------------------------------------------------------------------

usage() {
    code 2 "limits without a history" exchange create e --max-age 5m
    code 2 "a transient history" exchange create e --transient --history
    code 2 "bad age" exchange create e --history --max-age soon
    code 2 "set nothing" exchange set e
    code 2 "from nowhere" subscribe e --from yesterday
    code 2 "a cursor from the last" subscribe e --from last --name c
    code 2 "--prefetch of a reader" subscribe e --from first --prefetch 3
    code 2 "--expect without --entity" publish e k x --expect 3
    code 2 "--snapshot without --entity" publish e k x --snapshot
    code 2 "bad --expect" publish e k x --entity a --expect some
    code 2 "--expect of lines" publish e k --lines --entity a --expect 3
    code 2 "append nothing" append e a
    code 2 "append a key alone" append e a k
    code 2 "append words and lines" append e a k x --lines
    code 2 "append without lines" append e a --lines
    code 2 "read without --entity" read e
    code 2 "read from a word" read e --entity a --from first
    code 2 "seek nowhere" cursor seek c yesterday
    code 2 "seek the last" cursor seek c last
    code 2 "delete needs --yes" cursor delete c
}

# --- exchanges that keep their events ---------------------------------------------------------------

exchanges() {
    code 0 "a plain exchange" exchange create plain
    code 0 "an exchange with a history" exchange create book --history --max-age 30d --max-count 1000000
    code 0 "the same again" exchange create book --history --max-age 30d --max-count 1000000
    code 1 "another history" exchange create book --history
    code 1 "none at all" exchange create book
    code 0 "list" exchange list
    says "columns that only some rows have" out '^NAME.*HISTORY +FIRST +LAST'
    same "list fits 80 columns" "" "$(awk 'length > 80' "$work/out")"
    same "empty" "1 0" "$(of_exchange book first) $(of_exchange book last)"
    same "its age" 2592000000 "$(of_exchange book max_age)"
    code 0 "set" exchange set book --max-age none --max-bytes 1GiB
    same "set" "0 1073741824 1000000" \
        "$(of_exchange book max_age) $(of_exchange book max_bytes) $(of_exchange book max_count)"
    code 1 "set without a history" exchange set plain --max-count 3
    says "set without a history" err NO_HISTORY
    code 4 "set none" exchange set none --max-count 3
    code 1 "follow without a history" subscribe plain --from first
    code 4 "follow none" subscribe none --from first
}

readers() {
    publish 1 10
    same "kept" "1 10" "$(of_exchange book first) $(of_exchange book last)"
    same "from the first" "$(events 1 10)" "$(h subscribe book --from first --count 10)"
    same "from a sequence" "$(events 8 10)" "$(h subscribe book --from 8 --idle 0.3)"
    same "a pattern" "even.8 event 8" "$(h subscribe book 'even.*' --from 7 --count 1 -v)"
    same "from a time" "$(events 1 10)" "$(h subscribe book --from @1000000000 --count 10)"
    same "from a time to come" "" "$(h subscribe book --from 2100-01-01T00:00:00Z --idle 0.3)"
    code 1 "from beyond the end" subscribe book --from 12 --idle 0.3
    says "where they are" err 'the events are 1 to 10'
    h publish book even.2 'two again'
    same "the last of each key" $'event 10\ntwo again' "$(h subscribe book --from last --idle 0.3 | tail -2)"
    same "of each key once" 10 "$(h subscribe book --from last --idle 0.3 | wc -l)"
    h subscribe book --from 11 --count 1 -o jsonl >"$work/out"
    is_json "jsonl" <"$work/out"
    says "its sequence" out '"key":"even.2".*"sequence":11'
    bg subscribe book --from next --count 1 >"$work/next" 2>&1 &
    local reader=$!
    until_true eval 'h exchange show book | grep -qE "^subscribers +1"'
    h publish book odd.x live
    wait "$reader"
    same "from the next" live "$(<"$work/next")"
    h queue create bound && h bind bound book '#'
    h publish book odd.y bound
    same "a bound queue knows the sequence" 13 "$(h work bound --count 1 -o jsonl | field sequence)"
    h publish book odd.z passing --transient
    same "transient events are not kept" 13 "$(of_exchange book last)"
}

# A reader goes on where it was when the broker is killed: nothing twice, nothing left out.
killed_readers() {
    local reader next
    h exchange create long --history
    bg subscribe long --from first --count 400 >"$work/read" 2>/dev/null &
    reader=$!
    bg subscribe long --from next --count 400 >"$work/read_next" 2>/dev/null &
    next=$!
    until_true eval 'h exchange show long | grep -qE "^subscribers +2"'
    restart
    seq 200 | h publish long k --lines
    until_true eval '(($(wc -l <"$work/read") == 200))'
    restart
    seq 201 400 | h publish long k --lines
    wait "$reader"
    same "the reader ends with 0" 0 $?
    same "each event once, in order" "$(seq 400)" "$(<"$work/read")"
    wait "$next"
    same "the reader of the next, too" "$(seq 400)" "$(<"$work/read_next")"
}

# What retention has taken is told.
gaps() {
    h exchange create short --history --max-count 100
    h publish short k one
    h subscribe short --name behind --from first --count 1 >/dev/null
    head -c 300000 /dev/zero | tr '\0' x | fold -w 100 | h publish short k --lines
    until_true eval '(($(of_exchange short first) > 1))'
    if (($(of_exchange short first) > 1)); then
        code 0 "a reader of what is gone" subscribe short --from 1 --idle 0.3
        says "it is told" err 'events are missing here'
        code 0 "a cursor that is behind" subscribe short --name behind --idle 0.5
        says "it is told, too" err 'events are missing here'
    fi
}

# --- cursors ----------------------------------------------------------------------------------------

cursors() {
    same "a cursor" $'event 1\nevent 3' "$(h subscribe book 'odd.*' --name mine --from first --count 2)"
    same "goes on" "event 5" "$(h subscribe book --name mine --count 1)"
    same "where it is" "book odd.*" "$(of_cursor mine exchange) $(of_cursor mine pattern)"
    at=$(of_cursor mine at) # what does not match is passed by as it is read
    same "how far it is" 5 "${at/6/5}"
    restart
    same "also after a restart" "event 7" "$(h subscribe book --name mine --count 1)"
    same "--from is for new ones" "event 9" "$(h subscribe book --name mine --from first --count 1)"
    code 1 "another pattern" subscribe book 'even.*' --name mine --count 1
    says "another pattern" err MISMATCH
    code 1 "another exchange" subscribe long --name mine --count 1
    code 0 "list" cursor list
    says "list" out '^mine +book +odd\.\*'
    same "list has cursors only" "" "$(grep bound "$work/out")"
    code 0 "list json" cursor list -o json
    is_json "list json" <"$work/out"
    code 0 "show" cursor show mine
    says "show" out '^lag +[0-9]'
    code 4 "show a queue" cursor show bound
    code 4 "show none" cursor show none
    code 0 "seek" cursor seek mine 3
    same "sought" "event 3" "$(h subscribe book --name mine --count 1)"
    code 0 "seek back" cursor seek mine first
    same "from the beginning" "event 1" "$(h subscribe book --name mine --count 1)"
    code 0 "seek the end" cursor seek mine next
    same "nothing yet" "" "$(h subscribe book --name mine --idle 0.3)"
    code 1 "seek beyond" cursor seek mine 1000
    code 4 "seek none" cursor seek none first
    code 0 "its settings are a queue's" queue set mine --attempts 3 --lease 1m
    code 4 "nothing can be sent to it" send mine x
    code 1 "nothing can be bound to it" bind mine book '#'
    same "a queue by this name stays one" stays "$(h subscribe book 'keep.*' --name kept --idle 0.1
        h publish book keep.it stays
        h subscribe book 'keep.*' --name kept --count 1)"
    code 1 "a queue is no cursor" subscribe book --name kept --from first --count 1
    code 4 "delete what is a queue" cursor delete kept --yes
    code 0 "delete" cursor delete mine --yes
    code 4 "it is gone" cursor show mine
}

# Two share a cursor; one of them is killed. Every event is printed, by one of them or twice.
shared() {
    local one two
    h exchange create work --history
    seq 500 | h publish work k --lines
    bg subscribe work --name team --from first --idle 1 >"$work/one" 2>/dev/null &
    one=$!
    bg subscribe work --name team --from first --idle 1 --prefetch 10 >"$work/two" 2>/dev/null &
    two=$!
    until_true test -s "$work/two"
    kill -KILL "$two" 2>/dev/null
    wait "$one" "$two" 2>/dev/null
    same "every event" "$(seq 500)" "$(cat "$work/one" "$work/two" | sort -nu)"
    same "all is done" "500 0" "$(of_cursor team at) $(of_cursor team lag)"
}

# A worker that fails an event: it is tried again and parked like a command.
failing() {
    h exchange create sour --history
    h publish sour k bad
    h publish sour k good
    h subscribe sour --name picky --from next --idle 0.1
    h queue set picky --attempts 1
    h cursor seek picky first
    code 0 "work takes from a cursor" work picky --count 2 -- sh -c 'read -r x; test "$x" = good'
    until_true eval '(($(h queue show picky -o json | field parked) == 1))'
    same "one is parked" 1 "$(h queue show picky -o json | field parked)"
    h parked drop picky all --yes >/dev/null
}

# --- entities ---------------------------------------------------------------------------------------

entities() {
    same "append prints the version" 2 "$(h append book acc-1 account.opened ann account.paid 50 --expect none)"
    code 1 "a conflict" append book acc-1 account.paid 20 --expect 1
    same "the version that it has" 2 "$(<"$work/out")"
    says "why" err 'VERSION_CONFLICT: the entity is at version 2'
    code 1 "a conflict json" append book acc-1 account.paid 20 --expect none -o json
    same "the version json" '{"version":2}' "$(<"$work/out")"
    code 0 "append json" append book acc-1 account.paid 20 --expect 2 -o json
    says "append json" out '^\{"version":3,"sequence":[0-9]+\}$'
    code 0 "publish an event" publish book account.paid 7 --entity acc-1 --expect 3
    same "silence" "" "$(<"$work/out")"
    code 1 "publish with a conflict" publish book account.paid 7 --entity acc-1 --expect 3
    same "it prints the version" 4 "$(<"$work/out")"
    code 0 "publish, whatever there is" publish book account.paid 8 --entity acc-1 --expect any
    code 1 "publish to what must exist" publish book account.paid 8 --entity acc-2 --expect exists
    same "it has no event" 0 "$(<"$work/out")"
    same "append lines" 7 "$(printf 'account.paid 9\naccount.state total 94\n' | h append book acc-1 --lines --snapshot)"
    same "append from standard input" 8 "$(printf 'two\nlines\n' | h append book acc-1 account.note -)"
    same "read" $'ann\n50\n20\n7\n8\n9\ntotal 94\ntwo\nlines' "$(h read book --entity acc-1)"
    same "read -v" "1 account.opened ann" "$(h read book --entity acc-1 -v | head -1)"
    same "read from" $'6 account.paid 9\n7 account.state total 94' "$(h read book --entity acc-1 --from 6 --count 2 -v)"
    same "read backward" $'7 account.state total 94\n6 account.paid 9' \
        "$(h read book --entity acc-1 --backward --from 7 --count 2 -v)"
    same "read from the snapshot" "7 8" "$(h read book --entity acc-1 --snapshot -o jsonl | field version | xargs)"
    same "read beyond the end" "" "$(h read book --entity acc-1 --from 99)"
    code 0 "read json" read book --entity acc-1 -o json
    is_json "read json" <"$work/out"
    says "what events say" out '"entity":"acc-1","version":7,"snapshot":true'
    code 4 "read an unknown entity" read book --entity none
    says "read an unknown entity" err NO_ENTITY
    code 4 "read of no exchange" read none --entity a
    code 1 "read without a history" read plain --entity a
    code 1 "append without a history" append plain a k x
    code 1 "expect without a history" publish plain k x --entity a --expect 3
    says "expect without a history" err NO_HISTORY
    code 1 "a bad name of an entity" append book $'a\tb' k x
    code 0 "the longest name of an entity" append book "$(printf 'e%.0s' $(seq 255))" k x
    code 2 "a longer one" append book "$(printf 'e%.0s' $(seq 256))" k x
    restart
    same "versions after a restart" 9 "$(h append book acc-1 account.paid 1 --expect 8)"
    same "all events after a restart" 10 "$(h read book --entity acc-1 | wc -l)"
}

# Two scripts append to one entity, each at the version it knows; the broker is killed meanwhile.
write_one() { # NAME COUNT
    local version=0 made=0 said got
    while ((made < $2)); do
        said=$(h append book race "race.$1" "$1 $made" --expect "$version" 2>/dev/null)
        got=$?
        [[ $said =~ ^[0-9]+$ ]] && version=$said
        ((got == 0)) && made=$((made + 1))
        ((got <= 1 || got == 3)) || return 1
    done
}

race() {
    write_one a 60 &
    local one=$!
    write_one b 60 &
    local two=$!
    sleep 0.5
    restart
    wait "$one" && wait "$two"
    same "both writers end well" 0 $?
    h read book --entity race -o jsonl >"$work/out"
    same "every version once" "$(seq "$(wc -l <"$work/out")")" "$(field version <"$work/out")"
    same "every event of a" "$(seq 0 59 | sed 's/^/a /')" "$(grep '"key":"race.a"' "$work/out" | field body)"
    same "every event of b" "$(seq 0 59 | sed 's/^/b /')" "$(grep '"key":"race.b"' "$work/out" | field body)"
}

# --- the rest ---------------------------------------------------------------------------------------

completes() {
    h subscribe book --name finished --from first --count 1 >/dev/null
    same "names of cursors" finished "$(h __complete cursor show fi)"
    same "places" first "$(h __complete cursor seek finished f)"
    same "no placeholders" "" "$(h __complete subscribe book --from S)"
}

examples() {
    local example
    for example in projection account additional_data; do
        timeout 60 "$build/examples/$example" >"$work/out" 2>"$work/err"
        same "example $example" 0 $?
    done
    same "examples clean up" "" "$(h exchange list -o jsonl | grep example)"
}

benches() {
    local bench
    for bench in "publish --history --count 5000" "publish --history --count 2000 --subscribers 2" "replay --count 20000"; do
        # shellcheck disable=SC2086
        code 0 "bench $bench" bench $bench
        # shellcheck disable=SC2086
        code 0 "bench $bench json" bench $bench -o json
        is_json "bench $bench" <"$work/out"
    done
    same "benches clean up" "" "$(h exchange list -o jsonl | grep bench-)"
}

usage
start_broker
exchanges
readers
killed_readers
gaps
cursors
shared
failing
entities
race
completes
examples
benches
echo "$passed passed, $failed failed"
((failed == 0))
