#!/bin/bash
# Does the suite work? Plants one bug at a time and expects a test to find it.
#
#   tests/plants/plants.sh DIRECTORY [PLANT...]
#
# DIRECTORY holds the test programs of the flavour `plant`. Without a plant the programs that
# broker/plants.def names must pass; with each plant at least one of those named for it must fail. Two
# are tried at a time.
set -u

cd "$(dirname "$0")/../.." || exit 1

# run PROGRAM: with a budget that is enough for what it has to find.
run() {
    local -a command
    case $1 in
    crash_journal) command=("$programs/crash/$1" --cases 600000 --violations 1) ;;
    crash_broker) command=("$programs/crash/$1" --cases 800 --violations 1) ;;
    crash_history) command=("$programs/crash/$1" --cases 400 --violations 1) ;;
    model_queue) command=("$programs/crash/$1" --cases 5000 --violations 1) ;;
    crash_flip) command=("$programs/crash/$1" --violations 1) ;;
    [0-9]*) command=("$programs/scenario/$1") ;;
    *) command=("$programs/unit/$1") ;;
    esac
    CK_FORK=no timeout -k 5 60 "${command[@]}" 2>&1
}

# Whether the program passes without a plant.
pass_one() {
    local output
    if output=$(run "$1"); then
        echo "$1 passes without a plant"
    else
        printf '%s FAILS without a plant:\n%s\n' "$1" "$(tail -n 5 <<<"$output")"
    fi
}

# find_one PLANT PROGRAM...: whether one of them finds it.
find_one() {
    local plant=$1 program
    shift
    for program; do
        if ! HERALD_PLANT=$plant run "$program" >/dev/null; then
            printf '%-24s found by %s\n' "$plant" "$program"
            return
        fi
    done
    printf '%-24s NOT FOUND by %s\n' "$plant" "$*"
}

case $1 in
--pass)
    programs=$2
    pass_one "$3"
    exit
    ;;
--find)
    programs=$2
    # The plant and its finders are words of one line.
    # shellcheck disable=SC2086
    find_one $3
    exit
    ;;
esac
programs=$1
shift

# Prints "PLANT program..." of every plant, or of those that are asked for.
plants() {
    sed -n 's/^PLANT(\([A-Z_]*\), "\([^"]*\)".*/\1 \2/p' broker/plants.def |
        if [ $# -eq 0 ]; then cat; else grep -E "^($(tr ' ' '|' <<<"$*")) "; fi
}

unset HERALD_PLANT
output=$(mktemp)
trap 'rm -f "$output"' EXIT
{
    plants "$@" | cut -d' ' -f2- | tr ' ' '\n' | sort -u | tr '\n' '\0' |
        xargs -0 -n 1 -P 2 tests/plants/plants.sh --pass "$programs"
    plants "$@" | tr '\n' '\0' | xargs -0 -n 1 -P 2 tests/plants/plants.sh --find "$programs"
} | tee "$output"
passed=$(grep -cE ' passes without a plant$| found by ' "$output")
failed=$(grep -cE ' FAILS without a plant:$| NOT FOUND by ' "$output")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
