#!/bin/sh
# Bad input, limits and idle connections against the real daemon; see net.c.
exec env HERALDD="${BUILD:-build}/heraldd" "${OBJ:-build/release}/tests/e2e/net"
