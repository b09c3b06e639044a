#!/bin/sh
# Starts the real daemon where it cannot work: each start ends with 74 and a line that says why. Then lets
# no file of a running one grow, which is a short write and an error like any other.
set -u
heraldd="${BUILD:-build}/heraldd"
place=$(mktemp -d)
first=
passed=0
failed=0
clean() {
    [ -z "$first" ] || kill -9 "$first" 2>/dev/null
    umount "$place/disk" 2>/dev/null
    rm -rf "$place"
}
trap clean EXIT
trap 'exit 1' INT TERM

check() {
    if [ "$1" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAIL $2" && cat "$place/log"; fi
}

printf '[listen]\ntcp =\n[journal]\nsegment_bytes = 1MiB\nspare_count = 2\n[limits]\nmessage_bytes_max = 64KiB\n' \
    >"$place/conf"
chmod 755 "$place"
chmod 644 "$place/conf"

# ends_with WHAT TEXT COMMAND...: exit code 74 and a line with the text and the directory
ends_with() {
    what=$1 text=$2
    shift 2
    timeout 10 "$@" >"$place/log" 2>&1
    code=$?
    [ "$code" -eq 74 ]
    check $? "$what: exit code $code"
    grep -F "$place/" "$place/log" | grep -qi "$text"
    check $? "$what: no line says why"
}

mkdir "$place/disk"
if mount -t tmpfs -o size=20m tmpfs "$place/disk" 2>/dev/null; then
    "$heraldd" --dev "$place/disk/data" -c "$place/conf" >"$place/log" 2>&1 &
    first=$!
    for _ in $(seq 100); do grep -q "broker: ready" "$place/log" && break || sleep 0.05; done
    kill "$first" && wait "$first"
    check $? "a start on a file system of its own"
    first=
    mount -o remount,ro "$place/disk"
    ends_with "read-only" "read-only" "$heraldd" --dev "$place/disk/data" -c "$place/conf"
else
    echo "SKIPPED: read-only: mounting is not permitted"
fi

if [ "$(id -u)" -eq 0 ] && setpriv --reuid=65534 --clear-groups true 2>/dev/null; then
    mkdir -m 700 "$place/shut"
    cp "$heraldd" "$place/heraldd" # the way to the first one may be shut, too
    ends_with "no permission" "permission denied" setpriv --reuid=65534 --clear-groups \
        "$place/heraldd" --dev "$place/shut" -c "$place/conf"
else
    echo "SKIPPED: no permission: cannot run as nobody"
fi

"$heraldd" --dev "$place/data" -c "$place/conf" >"$place/first" 2>&1 &
first=$!
for _ in $(seq 100); do grep -q "broker: ready" "$place/first" && break || sleep 0.05; done
ends_with "a second daemon" "in use\|another\|lock" "$heraldd" --dev "$place/data" -c "$place/conf"
kill "$first" && wait "$first"
check $? "the first daemon is not disturbed"
first=

(ulimit -f 200; trap '' XFSZ; exec timeout 10 "$heraldd" --dev "$place/small" -c "$place/conf") >"$place/log" 2>&1
code=$?
[ "$code" -eq 74 ]
check $? "files of 100 KiB at most: exit code $code"
grep -qi "file too large" "$place/log"
check $? "files of 100 KiB at most: no line says why"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
