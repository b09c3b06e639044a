#!/bin/sh
# Has system calls of the real daemon fail, one after the other; see fault.c.
exec env HERALDD="${BUILD:-build}/heraldd" "${OBJ:-build/release}/tests/e2e/fault" "$@"
