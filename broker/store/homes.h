/* How many durable objects are at home in each segment: segments without any go, oldest first. */
#ifndef HERALD_HOMES_H
#define HERALD_HOMES_H

#include <stdint.h>

#include "protocol/status.h"

struct homes {
    uint64_t *counts; /* of segment n at n & (capacity - 1) */
    uint64_t capacity;
    uint64_t first; /* oldest segment that is kept */
    uint64_t end;   /* segments below it can be counted */
    uint32_t segment_bytes;
    unsigned segment_shift; /* of a power of two, else 0 */
};

void homes_init(struct homes *homes, uint32_t segment_bytes, uint64_t first);
void homes_deinit(struct homes *homes);

/* Makes room for counting segments up to and including `last`. STATUS_NO_MEMORY: nothing changed.
 */
enum status homes_reserve(struct homes *homes, uint64_t last);

void homes_add(struct homes *homes, uint64_t position, uint32_t count);
void homes_remove(struct homes *homes, uint64_t position, uint32_t count);

/* Lets go of the oldest segments without homes below `last` and returns the oldest that is kept. */
uint64_t homes_trim(struct homes *homes, uint64_t last);

#endif
