/* The bodies of events on the exchange `$sys`: JSON objects (RFC 8259) of numbers and texts. */
#ifndef HERALD_SYS_BODY_H
#define HERALD_SYS_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "broker/core/sys.h"

/* Room for the largest body: texts are cut so that it never lacks. */
#define SYS_BODY_BYTES_MAX 16384

/* Writes the body into SYS_BODY_BYTES_MAX bytes at `at`; returns its size. */
uint32_t sys_body_put(unsigned char *at, const struct sys_event *event, uint64_t time_ms);

#endif
