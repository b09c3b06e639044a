#!/bin/sh
# Kills the real daemon again and again under load, and judges what its clients saw; see kill9.c.
exec env HERALDD="${BUILD:-build}/heraldd" "${OBJ:-build/release}/tests/e2e/kill9" "$@"
