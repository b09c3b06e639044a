#!/bin/bash
# The program herald against the real daemon: every verb, every exit code, the ways in and out.
set -u

# shellcheck source=tests/support/program.sh
. "$(dirname "$0")/../support/program.sh"

# --- without a broker -----------------------------------------------------------------------------

usage() {
    code 0 "version" --version
    says "version" out '^herald [0-9]+\.[0-9]+\.[0-9]+$'
    code 0 "help" --help
    code 0 "help verb" help
    code 0 "help of a verb" help queue create
    says "help of a verb" out 'usage: herald queue create'
    code 0 "--help of a verb" queue create --help
    code 0 "help of a family" help queue
    code 0 "--help of a family" queue --help
    says "--help of a family" out 'queue purge'
    code 2 "no verb"
    code 2 "unknown verb" sned mail x
    says "did you mean" err 'did you mean `herald send`'
    code 2 "a verb of two words mistyped" queue lsit
    says "did you mean two words" err 'herald queue list'
    code 2 "a family alone" queue
    code 2 "verbs of later versions" wait 1
    code 2 "unknown option" send q x --transent
    says "option suggestion" err '--transient'
    code 2 "unknown letter" send q -5
    code 2 "option of another verb" send q x --yes
    code 2 "option without argument" send q x --header
    code 2 "option with a needless argument" send q x --transient=1
    code 2 "bad choice" queue list -o yaml
    code 2 "bad number" work q --count 0
    code 2 "bad duration" call q x --timeout soon
    code 2 "bad size" queue create q --max-bytes 1XB
    code 2 "bad header" send q x --header novalue
    code 2 "bad id" send q x --id 123
    code 2 "too few" send
    code 2 "body missing" send q
    code 2 "too many" queue list x
    code 2 "body and --lines" send q x --lines
    code 2 "key missing" publish e
    code 2 "--keyed without --lines" publish e --keyed
    code 2 "exclusive queue" queue create q --exclusive
    says "exclusive hint" err 'auto-delete'
    code 2 "command without --" work q cat
    code 2 "--parallel without a command" work q --parallel 2
    code 2 "-u without TCP" -u me queue list
    code 2 "bad URL" -s http://x queue list
    code 2 "completion of another shell" completion fish
    code 0 "completion bash" completion bash
    bash -n "$work/out"
    result $(($? == 0)) "completion bash is bash"
    code 0 "completion zsh" completion zsh
}

# The texts of help fit on a screen and name every verb; the manual names every verb and option.
texts() {
    local verb option missing= manual page
    manual=$(cat "$here"/client-lib/cli/herald*.1)
    h help >"$work/out"
    while read -r verb; do
        # shellcheck disable=SC2086
        h help $verb >>"$work/out"
    done < <(sed -n 's/^VERB([a-z_]*, "\([^"]*\)".*/\1/p' "$here/client-lib/cli/verbs.def")
    same "help fits 80 columns" "" "$(awk 'length > 80' "$work/out")"
    while read -r verb; do
        [[ -n $verb ]] || continue
        tr '\n' ' ' <<<"$manual" | grep -qF "Cm $verb" || missing+="$verb; "
    done < <(sed -n 's/^VERB([a-z_]*, "\([^"]*\)".*/\1/p' "$here/client-lib/cli/verbs.def")
    while read -r option; do
        grep -qE "Fl -$option( |$)" <<<"$manual" || missing+="--$option; "
    done < <(sed -n 's/^OPTION([A-Z_]*, "\([^"]*\)".*/\1/p' "$here/client-lib/cli/options.def")
    same "the manual names every verb and option" "" "$missing"
    if command -v mandoc >/dev/null; then
        for page in "$here"/client-lib/cli/herald*.1; do
            same "$page is well-formed" "" "$(mandoc -T lint -W warning "$page" 2>&1)"
        done
    fi
}

unreachable() {
    local from=$EPOCHSECONDS
    code 3 "nobody listens" -s "unix:$work/none.sock" queue list
    result $((EPOCHSECONDS - from >= 4 && EPOCHSECONDS - from <= 7)) "tried for about 5 s"
}

# --- queues and exchanges ---------------------------------------------------------------------------

queues() {
    code 0 "create" queue create mail
    code 0 "create again" queue create mail
    code 1 "create with other properties" queue create mail --max-count 5
    code 1 "bad name" queue create 'a b'
    code 0 "create all options" queue create full --max-count 2 --max-bytes 1MiB --overflow refuse
    code 0 "create transient" queue create passing --transient --auto-delete
    code 0 "options first" -o jsonl queue list
    same "jsonl: a line each" 3 "$(wc -l <"$work/out")"
    code 0 "list json" queue list -o json
    is_json "list json" <"$work/out"
    says "numbers are numbers" out '"max_count":2,'
    says "flags are flags" out '"durable":false'
    code 0 "list" queue list
    says "list" out '^mail +0 +0'
    same "list fits 80 columns" "" "$(awk 'length > 80' "$work/out")"
    code 0 "show" queue show full
    says "show" out '^max_bytes +1\.0MiB$'
    code 0 "show json" queue show full -o json
    is_json "show json" <"$work/out"
    code 4 "show none" queue show none
    says "how to make one" err 'herald queue create none'
    code 0 "set" queue set full --max-count 3 --overflow drop-oldest
    says_after_show full '^overflow +drop-oldest$'
    code 0 "set no limit" queue set full --max-count none
    code 2 "set nothing" queue set full
    code 4 "set none" queue set none --max-count 3
    code 2 "purge needs --yes" queue purge mail
    code 2 "delete needs --yes" queue delete mail
    code 0 "delete" queue delete passing --yes
    code 4 "delete none" queue delete passing --yes
    send_one full x
    code 1 "delete only if empty" queue delete full --if-empty --yes
    code 0 "purge" queue purge full --yes
    code 0 "delete if empty and unused" queue delete full --if-empty --if-unused -y
    asked
}

says_after_show() {
    h queue show "$1" >"$work/out" 2>"$work/err"
    says "show after set" out "$2"
}

send_one() { h send "$1" "$2" || result 0 "send $1 $2"; }

# On a terminal it asks; the terminal is made by script(1).
asked() {
    command -v script >/dev/null || return
    send_one mail x
    echo n | script -qec "$herald queue purge mail" /dev/null >"$work/out" 2>&1
    says "asks on a terminal" out 'y/N'
    same "no means no" 1 "$(h queue show mail -o json | sed 's/.*"messages":\([0-9]*\).*/\1/')"
    echo y | script -qec "$herald queue purge mail" /dev/null >"$work/out" 2>&1
    same "yes means yes" 0 "$(h queue show mail -o json | sed 's/.*"messages":\([0-9]*\).*/\1/')"
}

exchanges() {
    code 0 "exchange create" exchange create orders
    code 0 "exchange create transient" exchange create brief --transient
    code 0 "bind" bind mail orders 'order.*.placed'
    code 4 "bind no queue" bind none orders '#'
    says "bind no queue" err 'herald queue create none'
    code 4 "bind no exchange" bind mail none '#'
    says "bind no exchange" err 'herald exchange create none'
    code 1 "bad pattern" bind mail orders 'a..b'
    code 0 "route" route orders order.eu.placed
    says "route" out '^mail'
    code 0 "route json" route orders order.eu.paid -o json
    same "route to nobody" '[]' "$(cat "$work/out")"
    code 4 "route no exchange" route none a
    code 0 "exchange list" exchange list
    says "exchange list" out '^orders +1'
    code 0 "exchange show" exchange show orders
    says "exchange show" out 'order\.\*\.placed'
    code 0 "exchange show json" exchange show orders -o json
    is_json "exchange show json" <"$work/out"
    says "bindings in json" out '"pattern":"order\.\*\.placed"'
    code 0 "unbind" unbind mail orders 'order.*.placed'
    code 4 "unbind none" unbind mail orders 'order.*.placed'
    code 2 "exchange delete needs --yes" exchange delete brief
    code 0 "exchange delete" exchange delete brief --yes
    code 4 "exchange delete none" exchange delete brief --yes
    code 0 "stats" stats
    code 0 "stats json" stats -o json
    is_json "stats json" <"$work/out"
}

completes() {
    same "completes verbs" "send" "$(h __complete se)"
    same "completes second words" "purge" "$(h __complete queue pu)"
    same "completes options" "--max-count" "$(h __complete queue create --max-c)"
    same "completes choices" "jsonl" "$(h __complete queue list -o jsonl)"
    same "completes live queues" "mail" "$(h __complete send ma)"
    same "completes live exchanges" "orders" "$(h __complete publish or)"
    same "completes without a broker" "" "$(h __complete -s "unix:$work/none" send ma)"
}

# --- messages -----------------------------------------------------------------------------------------

drain() { h work "${1:-mail}" --idle 0.3; }

sending() {
    code 0 "send" send mail hello
    same "send says nothing" "" "$(cat "$work/out" "$work/err")"
    same "work prints it" "hello" "$(drain)"
    code 0 "send json" send mail hello -o json
    same "send json" '{"sent":1,"confirmed":1}' "$(cat "$work/out")"
    code 0 "send after --" send mail -- -5
    same "every body with a line end" $'hello\n-5' "$(drain)"
    printf 'a\nb\0c' | h send mail -
    same "standard input unchanged" '610a620063' "$(drain | head -c 5 | od -An -tx1 | tr -d ' \n')"
    printf 'one\n\nthree' | h send mail --lines
    same "a message per line" $'one\n\nthree' "$(drain)"
    printf 'x\ny\n' | h send mail - --lines -o json >"$work/out"
    same "lines are counted" '{"sent":2,"confirmed":2}' "$(cat "$work/out")"
    drain >/dev/null
    code 0 "transient, id, headers" send mail x --transient --id 0189c0de-0000-7000-8000-000000000001 \
        -H b=2 --header=A-1=x=y
    drain_json >"$work/out"
    is_json "work json" <"$work/out"
    says "id" out '"id":"0189c0de-0000-7000-8000-000000000001"'
    says "headers" out '"A-1":"x=y"'
    printf '\377\376' | h send mail -
    drain_json >"$work/out"
    says "what is no text is base64" out '"body_base64":"//4="'
    code 4 "send to none" send none x
    says "send to none" err 'herald queue create none'
    printf 'a\nb\nc\n' | h send none --lines 2>"$work/err"
    same "lines to none" 4 $?
    says "lines to none" err 'line 1 was refused'
    head -c 20000000 /dev/zero | h send mail - 2>"$work/err"
    same "too large" 1 $?
    h queue create two --max-count 2
    printf '1\n2\n3\n4\n' | h send two --lines 2>"$work/err"
    same "a full queue refuses" 1 $?
    says "a full queue refuses" err 'OVERFLOW'
    same "what fits is there" $'1\n2' "$(drain two)"
    code 4 "work none" work none
}

drain_json() { h work mail --idle 0.3 -o json; }

receiving() {
    seq 1 100 | h send mail --lines
    same "--count" $'1\n2\n3' "$(h work mail --count 3)"
    same "the rest stays" "4" "$(h work mail --count 1)"
    same "| head ends quietly" "5" "$(h work mail --prefetch 1 2>"$work/err" | head -n 1)"
    same "| head ends quietly" "" "$(cat "$work/err")"
    h work mail --count 1 >/dev/full 2>"$work/err"
    same "a full disk is an error" 1 $?
    says "a full disk is an error" err 'standard output'
    h queue list >/dev/full 2>"$work/err"
    same "a table on a full disk" 1 $?
    h help >/dev/full 2>"$work/err"
    same "help on a full disk" 1 $?
    h queue purge mail --yes
    code 5 "--count not reached" work mail --count 1 --idle 0.2
    code 0 "--idle" work mail --idle 0.2
    bg work mail >"$work/out" 2>"$work/err" &
    local pid=$!
    until_true serves mail
    send_one mail last
    until_true grep -q last "$work/out"
    kill -INT "$pid"
    wait "$pid"
    same "Ctrl-C ends well" 0 $?
    bg work mail >"$work/out" 2>"$work/err" &
    pid=$!
    until_true serves mail
    h queue delete mail --yes
    wait "$pid"
    same "a queue that goes" 4 $?
    h queue create mail
}

events() {
    bg subscribe orders 'order.#' --count 2 -v >"$work/sub" 2>&1 &
    local pid=$!
    until_true eval 'h exchange show orders | grep -qE "^subscribers +1"'
    code 0 "publish" publish orders order.eu.placed '{"n":1}'
    printf 'other x\norder.us two words\n' | h publish orders --lines --keyed
    wait "$pid"
    same "subscribe" 0 $?
    same "subscribe -v" $'order.eu.placed {"n":1}\norder.us two words' "$(cat "$work/sub")"
    printf 'a\nb\n' | h publish orders k --lines
    same "publish --lines" 0 $?
    code 4 "publish to none" publish none k x
    says "publish to none" err 'herald exchange create none'
    code 1 "bad key" publish orders 'a..b' x
    code 4 "subscribe to none" subscribe none
    code 0 "durable subscription" subscribe orders 'keep.*' --name kept --idle 0.1
    h publish orders keep.it stays
    same "kept" stays "$(h subscribe orders 'keep.*' --name kept --count 1)"
    h publish orders keep.it again
    h subscribe orders 'keep.*' --name kept --count 1 -o jsonl >"$work/out"
    is_json "subscribe jsonl" <"$work/out"
    says "subscribe jsonl" out '"key":"keep.it"'
    code 2 "--prefetch of a live subscription" subscribe orders --prefetch 3
}

calls() {
    code 1 "call without a worker" call mail x
    says "call without a worker" err 'NO_HANDLER'
    code 4 "call none" call none x
    says "call none" err 'herald queue create none'
    bg work mail -- sh -c 'tr a-z A-Z' >"$work/worker" 2>&1 &
    local pid=$!
    until_true serves mail
    same "call" "HELLO" "$(h call mail hello)"
    same "call -" "FROM INPUT" "$(echo 'from input' | h call mail -)"
    h call mail hello -o json >"$work/out"
    is_json "call json" <"$work/out"
    says "call json" out '"state":"done"'
    kill -TERM "$pid"
    wait "$pid"
    same "SIGTERM ends a worker well" 0 $?
    bg work mail --count 1 -- sh -c 'echo broken >&2; exit 3' 2>"$work/worker" &
    pid=$!
    until_true serves mail
    code 1 "a command that fails" call mail x
    says "its code" err 'EXIT_3'
    says "its text" err 'broken'
    wait "$pid"
    bg work mail --count 1 -- sh -c 'sleep 1' &
    pid=$!
    until_true serves mail
    code 5 "call timeout" call mail x --timeout 0.2
    wait "$pid"
}

# A command for each message: environment, what each exit status does, many at a time, Ctrl-C.
commands() {
    h send mail body -H x-kind=test
    h work mail --count 1 -- sh -c 'cat; echo; env' >"$work/out"
    says "body on standard input" out '^body$'
    says "HERALD_QUEUE" out '^HERALD_QUEUE=mail$'
    says "HERALD_ATTEMPT" out '^HERALD_ATTEMPT=1$'
    says "HERALD_REDELIVERED" out '^HERALD_REDELIVERED=0$'
    says "HERALD_HEADER" out '^HERALD_HEADER_X_KIND=test$'
    says "HERALD_ID" out '^HERALD_ID='
    head -c 900000 /dev/zero | h send mail -
    h work mail --count 1 --idle 5 -- true
    same "a program that does not read" 0 $?
    h queue set mail --backoff 1ms
    for status in 75 69; do
        send_one mail again
        h work mail --count 1 -- sh -c "exit $status" 2>"$work/err"
        same "exit $status asks for another attempt" again "$(drain)"
    done
    send_one mail again
    # shellcheck disable=SC2016
    h work mail --count 1 -- sh -c 'kill -9 $$' 2>"$work/err"
    same "death by signal asks for another attempt" again "$(drain)"
    send_one mail bad
    h work mail --count 1 -- sh -c 'exit 1' 2>"$work/err"
    same "any other parks it" 1 "$(h queue show mail -o json | sed 's/.*"parked":\([0-9]*\).*/\1/')"
    same "and not again" "" "$(drain)"
    repairs
    send_one mail again
    code 2 "a program that is not there" work mail -- /nonexistent
    same "gives it back" again "$(drain)"
    seq 1 8 | h send mail --lines
    local from=$EPOCHREALTIME
    h work mail --count 8 --parallel 4 -- sleep 0.5
    same "parallel" 1 "$(awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { print b - a < 3 }')"
    interrupted
}

# What is parked is looked at, tried again and thrown away; attempts are counted; what waits comes late.
repairs() {
    code 0 "parked list" parked list mail
    says "parked list" out '^ *[0-9]+ +1 +EXIT_1'
    code 0 "parked list json" parked list mail -o json
    is_json "parked list json" <"$work/out"
    local number
    number=$(sed 's/.*"number":\([0-9]*\).*/\1/' "$work/out")
    code 4 "parked list no queue" parked list none
    code 4 "parked retry nothing" parked retry mail 999999
    code 2 "parked retry no number" parked retry mail some
    code 0 "parked retry" parked retry mail "$number"
    same "and it comes again" bad "$(drain)"
    code 4 "parked drop nothing" parked drop mail all --yes
    h queue set mail --attempts 2
    send_one mail bad
    # shellcheck disable=SC2016
    h work mail --count 2 -- sh -c 'echo "attempt $HERALD_ATTEMPT" >&2; exit 75' 2>"$work/err"
    says "second attempt" err 'attempt 2'
    same "the last attempt parks" "" "$(drain)"
    code 2 "parked drop needs --yes" parked drop mail all
    code 0 "parked drop" parked drop mail all --yes
    same "nothing is parked" '[]' "$(h parked list mail -o json)"
    code 0 "send --delay" send mail late --delay 1s
    code 0 "send --priority" send mail low --priority 0
    code 0 "send --due" send mail due --due 2020-01-01T00:00:00Z
    code 2 "queue set --backoff no duration" queue set mail --backoff soon
    code 2 "send --due no time" send mail x --due tomorrow
    code 2 "send --priority no number" send mail x --priority 10
    same "due, then low, the late one not yet" "due low" "$(h work mail --count 2 | paste -sd' ')"
    same "and then the late one" late "$(h work mail --count 1 --idle 5)"
    code 2 "queue set nothing" queue set mail
}

interrupted() {
    seq 1 2 | h send mail --lines
    bg work mail -- sh -c 'cat; sleep 0.5; echo finished' >"$work/out" 2>"$work/err" &
    local pid=$!
    until_true eval 'h queue show mail | grep -qE "^running +1"'
    sleep 0.2
    kill -INT "$pid"
    wait "$pid"
    same "Ctrl-C lets the program finish" 0 $?
    says "Ctrl-C lets the program finish" out finished
    same "and takes no more" 2 "$(drain)"
    send_one mail slow
    bg work mail -- sleep 100 >"$work/out" 2>"$work/err" &
    pid=$!
    until_true eval 'h queue show mail | grep -qE "^running +1"'
    sleep 0.2
    kill -INT "$pid"
    sleep 0.3
    kill -INT "$pid"
    wait "$pid"
    same "a second Ctrl-C kills it" 0 $?
    same "and gives the command back" slow "$(drain)"
}

# Receivers and senders find a broker that was killed and started again.
killed() {
    bg subscribe orders '#' --name all --count 200 >"$work/heard" 2>"$work/err" &
    local pid=$!
    until_true serves all
    { seq 1 100; sleep 1; seq 101 200; } | h publish orders k --lines 2>"$work/lines.err" &
    local sender=$!
    until_true eval '(($(wc -l <"$work/heard") >= 100))'
    kill -KILL "$broker_pid"
    wait "$broker_pid" 2>/dev/null
    start_broker
    wait "$sender"
    same "the sender goes on" 0 $?
    until_true eval '(($(sort -u "$work/heard" | wc -l) == 200))'
    same "nothing is lost" 200 "$(sort -u "$work/heard" | wc -l)"
    kill -TERM "$pid" 2>/dev/null
    wait "$pid"
}

benches() {
    local bench
    for bench in "send --count 5000" "send --count 2000 --lanes 50 --workers 4 --track" "call --count 200" "publish --count 2000 --subscribers 3" \
        "idle --connections 20"; do
        # shellcheck disable=SC2086
        code 0 "bench $bench" bench $bench
        # shellcheck disable=SC2086
        code 0 "bench $bench json" bench $bench -o json
        is_json "bench $bench" <"$work/out"
    done
    same "benches clean up" "" "$(h queue list -o jsonl | grep bench-)"
}

usage
texts
unreachable
start_broker
queues
exchanges
completes
sending
receiving
events
calls
commands
killed
benches
echo "$passed passed, $failed failed"
((failed == 0))
