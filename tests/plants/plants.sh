#!/bin/bash
# Does the suite work? Plants one bug at a time and expects a test to find it.
#
#   tests/plants/plants.sh DIRECTORY [PLANT...]
#
# DIRECTORY holds the test programs of the flavour `plant`. Without a plant the programs that
# broker/plants.def names must pass; with each plant at least one of those named for it must fail.
set -u

cd "$(dirname "$0")/../.." || exit 1
programs=$1
shift

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
    CK_FORK=no timeout -k 5 60 "${command[@]}" >"$output" 2>&1
}

# Prints "name|programs" of every plant.
plants() {
    sed -n 's/^PLANT(\([A-Z_]*\), "\([^"]*\)".*/\1|\2/p' broker/plants.def
}

output=$(mktemp)
trap 'rm -f "$output"' EXIT
passed=0
failed=0
unset HERALD_PLANT
for program in $(plants | cut -d'|' -f2 | tr ' ' '\n' | sort -u); do
    if run "$program"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$program fails without a plant:"
        tail -n 5 "$output"
    fi
done
while IFS='|' read -r plant finders; do
    [ $# -eq 0 ] || [[ " $* " == *" $plant "* ]] || continue
    found=
    for program in $finders; do
        if ! HERALD_PLANT=$plant run "$program"; then
            found=$program
            break
        fi
    done
    if [ -n "$found" ]; then
        passed=$((passed + 1))
        printf '%-24s found by %s\n' "$plant" "$found"
    else
        failed=$((failed + 1))
        printf '%-24s NOT FOUND by %s\n' "$plant" "$finders"
    fi
done < <(plants)
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
