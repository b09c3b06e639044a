#!/bin/sh
# How the real daemon starts, stops, reloads and comes back; see life.c.
exec env HERALDD="${BUILD:-build}/heraldd" "${OBJ:-build/release}/tests/e2e/life"
