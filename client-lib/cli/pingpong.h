/* The yardstick of synchronous calls: bytes sent over TCP on loopback to another process and back.
 */
#ifndef HERALD_CLI_PINGPONG_H
#define HERALD_CLI_PINGPONG_H

#include <stddef.h>
#include <stdint.h>

#include "client-lib/cli/histogram.h"

/* A call makes two round trips: from the caller to the broker and from there to the worker. So each
 * sample is one round trip to each of two echoing processes. Must be called before there are
 * threads. Returns 0, or -1 after it has said why it could not. */
int pingpong_measure(struct histogram *histogram_ns, size_t bytes, int64_t count);

#endif
