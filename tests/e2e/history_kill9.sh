#!/bin/sh
# Kills the real daemon again and again while a history is written and read; see history_kill9.c.
exec env HERALDD="${BUILD:-build}/heraldd" "${OBJ:-build/release}/tests/e2e/history_kill9" "$@"
