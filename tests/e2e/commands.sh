#!/bin/bash
# A command's whole life with the program herald: tracked, waited for, watched, taken back.
set -u

# shellcheck source=tests/support/program.sh
. "$(dirname "$0")/../support/program.sh"

# Tracked commands: asked for by their ids, waited for, watched, taken back, and known by their keys.
tracked() {
    local id other
    code 0 "queue for tracked ones" queue create jobs
    code 0 "send --track" send jobs one --track --deadline 1h
    id=$(<"$work/out")
    says "it prints the id" out '^[0-9a-f-]{36}$'
    code 0 "status" status "$id"
    says "status" out '^state +ready'
    bg watch "$id" >"$work/watched" 2>&1 &
    local watcher=$!
    until_true grep -q ready "$work/watched"
    code 0 "work" work jobs --count 1 -- sh -c 'echo the result'
    wait "$watcher"
    same "watch ends with 0" 0 $?
    same "watch shows every change" "ready running done" "$(tr '\n' ' ' <"$work/watched" | sed 's/ $//')"
    code 0 "wait" wait "$id"
    same "wait prints the result" "the result" "$(<"$work/out")"
    code 0 "status json" -o json status "$id"
    says "status json" out '"state":"done".*"body":"the result'
    code 1 "cancel of what is done" cancel "$id"
    says "it says so" err FINISHED
    code 5 "send --wait=D" send jobs late --wait=0.2s
    says "the id is told" err 'its id is [0-9a-f-]{36}'
    id=$(sed -n 's/.*its id is //p' "$work/err")
    code 5 "wait --timeout" wait "$id" --timeout 0.2s
    code 0 "cancel" cancel "$id"
    code 1 "wait for what was cancelled" wait "$id"
    says "its code" err CANCELLED
    code 0 "a key" send jobs keyed --idempotency-key order-7
    id=$(<"$work/out")
    code 0 "the same key" send jobs keyed --idempotency-key order-7
    same "is the same command" "$id" "$(<"$work/out")"
    code 1 "the same key, another body" send jobs other --idempotency-key order-7
    says "is told" err DUPLICATE_MISMATCH
    kill -KILL "$broker_pid"
    wait "$broker_pid" 2>/dev/null
    start_broker
    code 0 "a status after a restart" status "$id"
    code 0 "the key after a restart" send jobs keyed --idempotency-key order-7
    same "is still the same command" "$id" "$(<"$work/out")"
    bg work jobs --count 2 -- sh -c 'echo broken >&2; exit 1' >/dev/null 2>&1 &
    local worker=$!
    code 1 "call --durable" call jobs again --durable
    wait "$worker"
    bg call jobs more --durable --idempotency-key more >"$work/called" 2>&1 &
    local caller=$!
    until_true eval 'h queue show jobs | grep -qE "^ready +[1-9]"'
    kill -KILL "$broker_pid"
    wait "$broker_pid" 2>/dev/null
    start_broker
    code 0 "work" work jobs --count 1 -- sh -c 'cat; echo " and more"'
    wait "$caller"
    same "call --durable ends with 0" 0 $?
    same "over a restart" "more and more" "$(grep -v '^herald: conn' "$work/called")"
    code 0 "call --durable with the same key" call jobs more --durable --idempotency-key more
    same "has the same outcome" "more and more" "$(<"$work/out")"
    code 1 "wait for what failed" -o json wait "$id"
    says "how it failed" out '"ran":"ran".*"code":"EXIT_1"'
    code 0 "queue for replies" queue create replies
    code 0 "send --reply-to" send jobs ask --reply-to replies
    code 0 "work" work jobs --count 1 -- echo an answer
    same "the reply" "an answer" "$(h work replies --count 1)"
    code 4 "send --reply-to nowhere" send jobs ask --reply-to nowhere
    says "what is missing" err "^herald: there is no queue 'nowhere'"
    code 4 "an unknown id" status 01234567-89ab-cdef-0123-456789abcdef
    code 2 "no id" status nonsense
    code 2 "--track with --lines" send jobs --lines --track
    code 4 "reply to nowhere" send jobs ask --reply-to nowhere
}

# Leases, and what the next attempt hears of the last one.
bad_wishes() {
    local wish
    code 0 "queue" queue create picky
    while read -r wish; do
        # Options and their values are words of one line.
        # shellcheck disable=SC2086
        code 2 "send $wish" send picky x $wish
        says "$wish: said so" err "^herald: ${wish%%[ =]*} takes "
    done <<'END'
--delay -1s
--delay 0
--delay 36526d
--delay 99999999999999999999
--due yesterday
--due @-5
--due @99999999999999999999
--deadline 1e300d
--deadline none
--ttl -5m
--ttl infinity
--priority -1
--priority 10
--priority 4294967296
--attempts -1
--attempts 0
--attempts 99999999999999999999
--backoff -1ms
--backoff-max 99999999999999999999
--retry-for soon
--wait=-1s
--wait=0
--id 1
END
    code 2 "a lane too long" send picky x --lane "$(printf '%0300d' 0)"
    code 2 "a key too long" send picky x --idempotency-key "$(printf '%0300d' 0)"
    code 2 "queue set" queue set picky --lease -1s
    code 2 "queue set" queue set picky --breaker 99999999999999999999
    code 2 "queue set" queue set picky --lane-parked drop
    code 0 "nothing came of it" queue show picky
    says "nothing came of it" out '^messages +0$'
}

leases() {
    code 0 "queue with a lease" queue create slow --lease 0.3s --attempts 2 --backoff 50ms
    code 0 "queue show" queue show slow
    says "queue show" out '^lease +300ms'
    code 0 "send" send slow job
    h work slow --count 1 --renew 0.1s -- sh -c 'sleep 1; echo done' >"$work/out" 2>"$work/err"
    same "renewed, it is done at the first attempt" "" "$(<"$work/err")"
    code 0 "send" send slow job
    h work slow --count 1 -- sh -c 'echo it is broken >&2; exit 75' >/dev/null 2>&1
    until_true eval 'h queue show slow | grep -qE "^ready +1"'
    same "the next attempt hears of it" "EXIT_75 it is broken" \
        "$(h work slow --count 1 -- sh -c 'echo "$HERALD_LAST_CODE $HERALD_LAST_TEXT" >&2; exit 1' 2>&1 |
            sed -n 's/.*\(EXIT_75 .*\)/\1/p' | head -1)"
    code 0 "parked show" parked show slow "$(h parked list slow -o json | sed 's/.*"number":\([0-9]*\).*/\1/')"
    says "the first attempt" out '^ *1 .*EXIT_75 +it is broken'
    says "the second attempt" out '^ *2 .*EXIT_1 '
}

# What a program says of its progress, and that it is told to stop.
progress() {
    local id child
    code 0 "queue" queue create reports --backoff 50ms
    id=$(h send reports year --track)
    bg watch "$id" >"$work/watched" 2>&1 &
    local watcher=$!
    until_true grep -q ready "$work/watched"
    h work reports --count 1 -- sh -c 'echo "1/3 pages" >&3; echo "checkpoint page 1" >&3; sleep 0.5
        echo nonsense >&3; exit 75' >/dev/null 2>"$work/err" &
    until_true grep -q 'running 1/3 pages' "$work/watched"
    result $(($? == 0)) "watch shows the progress"
    code 0 "status" -o json status "$id"
    says "status has it, too" out '"done":1,"total":3,"note":"pages"'
    wait $!
    says "what makes no sense is said" err 'says no progress'
    h work reports --count 1 -- sh -c 'echo "went on at $HERALD_CHECKPOINT"' >/dev/null 2>&1
    wait "$watcher"
    code 0 "wait" wait "$id"
    same "the next attempt went on there" "went on at page 1" "$(<"$work/out")"

    id=$(h send reports long --track --deadline 1h)
    # shellcheck disable=SC2016
    h work reports --count 1 -- sh -c 'trap "exit 3" TERM
        herald=$0; $herald queue create parts; $herald send parts one --track --within --deadline 2h >&2
        for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; done; echo not stopped' "$herald" >"$work/run" 2>&1 &
    local worker=$!
    until_true grep -qE '^[0-9a-f-]{36}$' "$work/run"
    child=$(grep -E '^[0-9a-f-]{36}$' "$work/run")
    code 0 "queue peek" queue peek parts -o json
    code 0 "cancel" cancel "$id"
    wait "$worker"
    cp "$work/run" "$work/err"
    says "its program is told to stop" err 'told to stop'
    code 1 "it is cancelled" wait "$id"
    says "it is cancelled" err CANCELLED
    code 1 "and what it has sent" wait "$child"
    says "and what it has sent" err CANCELLED
    code 2 "--within nothing" send parts one --within
    says "--within nothing" err HERALD_ID

    id=$(h send reports late --track --deadline 1s)
    # shellcheck disable=SC2016
    h work reports --count 1 -- sh -c '"$0" send parts two --track --within --deadline 2h >&2; sleep 5' \
        "$herald" >"$work/run" 2>&1
    child=$(grep -E '^[0-9a-f-]{36}$' "$work/run")
    code 5 "it was too late" wait "$id"
    says "it was too late" err EXPIRED
    code 5 "and for what it has sent" wait "$child" --timeout 5s
    says "and for what it has sent" err EXPIRED
}

# What is parked is looked at, changed, moved, tried again; queues are paused, looked into, emptied.
repairs() {
    local number
    code 0 "queue" queue create shop --attempts 1
    code 0 "queue for people" queue create manual
    code 0 "send a" send shop a --header kind=order --priority 7
    code 0 "send b" send shop b
    code 0 "send c" send shop c
    h work shop --count 2 -- sh -c 'echo no >&2; exit 1' >/dev/null 2>&1
    h work shop --count 1 -- sh -c 'echo no >&2; exit 2' >/dev/null 2>&1
    code 0 "parked list --group" parked list shop --group
    says "heads" out '^COUNT  CODE$'
    says "two of one kind" out '^ +2  EXIT_1$'
    says "one of the other" out '^ +1  EXIT_2$'
    code 0 "group json" parked list shop --group -o jsonl
    says "group json" out '^\{"code":"EXIT_1","count":2\}$'
    number=$(h parked list shop -o jsonl | sed -n 's/.*"number":\([0-9]*\).*EXIT_2.*/\1/p')
    code 0 "parked show" parked show shop "$number"
    says "with the body" out '^c$'
    code 0 "parked show json" parked show shop "$number" -o json
    says "with all" out '"body":"c","attempts":\[\{"number":1,.*"code":"EXIT_2"'
    code 4 "show what is not there" parked show shop 99999999
    code 4 "nor there" parked show nowhere 1
    code 2 "show no number" parked show shop all
    code 4 "move one to what is not there" parked move shop "$number" nowhere
    says "what is missing" err "^herald: there is no queue 'nowhere'"
    code 4 "move all to what is not there" parked move shop all nowhere
    says "what is missing" err "^herald: there is no queue 'nowhere'"
    code 4 "move what is not there" parked move shop 99999999 manual
    says "what is missing" err 'no command of number 99999999 is parked'
    code 4 "retry what is not there" parked retry shop 99999999
    says "what is missing" err 'no command of number 99999999 is parked'
    code 0 "parked edit" parked edit shop "$number" better
    code 0 "parked retry" parked retry shop "$number"
    says "how many" out '^retried 1$'
    same "the new body" better "$(h work shop --count 1)"
    number=$(h parked list shop -o jsonl | sed -n '1s/.*"number":\([0-9]*\).*/\1/p')
    code 0 "parked move" parked move shop "$number" manual
    says "how many" out '^moved 1$'
    code 0 "peek" queue peek manual -o json
    says "with its headers" out '"headers":\{"kind":"order"\}.*"body":"a"'
    same "peek changes nothing" 1 "$(h queue show manual -o json | sed 's/.*"ready":\([0-9]*\).*/\1/')"
    code 4 "move what is gone" parked move shop "$number" manual
    code 4 "edit what is gone" parked edit shop "$number" x
    code 4 "retry by a code that none has" parked retry shop all --code EXIT_9
    code 0 "retry by a code" parked retry shop all --code EXIT_1 --rate 100
    same "and it is there" b "$(h work shop --count 1)"
    code 0 "pause" queue pause manual
    code 5 "nothing is handed out" work manual --count 1 --idle 0.3s
    code 0 "resume" queue resume manual
    code 0 "send" send manual second
    code 0 "purge" queue purge manual --yes
    says "with a count" out '^purged 2$'
    code 0 "send in lanes" send manual one --lane k
    code 0 "settings" queue set manual --lane-parked go-on --single-active --breaker 5
    code 0 "queue show" queue show manual
    says "lane-parked" out '^lane_parked +go-on'
    says "single-active" out '^single_active +yes|^single_active +true'
    same "the fence" yes "$(h work manual --count 1 -- sh -c '[ "$HERALD_FENCE" -gt 0 ] && echo yes >&2' 2>&1)"
    bg subscribe '$sys' 'command.parked' --count 1 >"$work/sys" &
    local listener=$!
    sleep 0.3
    code 0 "send" send shop d
    h work shop --count 1 -- false >/dev/null 2>&1
    wait "$listener"
    same "\$sys tells of it" shop "$(sed 's/.*"queue":"\([^"]*\)".*/\1/' "$work/sys")"
}

# A repair is a new command, which names what it repairs.
named_repairs() {
    local id other
    code 0 "queue" queue create naming --attempts 1
    id=$(h send naming job --track --lane k)
    h work naming --count 1 -- sh -c 'exit 75' >/dev/null 2>&1
    code 4 "retry of another lane" parked retry naming all --lane other
    code 0 "retry of its lane" parked retry naming all --lane k
    other=$(h status "$id" -o json | sed 's/.*"repaired_by":"\([^"]*\)".*/\1/')
    code 0 "work" work naming --count 1 -- sh -c 'echo "repaired as $HERALD_ID"'
    code 0 "wait for the repair" wait "$other"
    same "its id" "repaired as $other" "$(<"$work/out")"
    code 1 "the old one has failed" wait "$id"
    code 0 "status" status "$other"
    says "what it repairs" out "^repairs +$id"
    code 0 "no time to live any more" queue set naming --ttl 60d
    code 0 "no time to live any more" queue set naming --ttl none --lease none
    code 0 "queue show" queue show naming
    says "no time to live" out '^ttl +0ms'
}

start_broker
tracked
bad_wishes
leases
progress
repairs
named_repairs
echo "$passed passed, $failed failed"
((failed == 0))
