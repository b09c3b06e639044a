/* How many durable objects are at home in each segment, and how much of it lives: segments without
 * a home go, oldest first.
 *
 * The bytes of a segment that live are estimated: whoever states an object gives it a weight, and
 * says how many bytes of the record stated it. What weight is left says how many bytes are left.
 */
#ifndef HERALD_HOMES_H
#define HERALD_HOMES_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/status.h"

/* Of one segment. */
struct homes_segment {
    uint64_t count;
    uint64_t weight;        /* of the homes that are left */
    uint64_t stated_weight; /* of all that ever were */
    uint64_t stated_bytes;
    uint64_t live_bytes; /* as far as it is part of the sum */
    bool is_changed;     /* live_bytes is of an earlier weight */
};

struct homes {
    struct homes_segment *segments; /* segment n at n & (capacity - 1) */
    uint64_t *changed;              /* numbers of segments that changed since the last sum */
    uint64_t changed_count;
    uint64_t capacity;
    uint64_t first; /* oldest segment that is kept */
    uint64_t end;   /* segments below it can be counted */
    uint64_t live_bytes;
    uint32_t segment_bytes;
    unsigned segment_shift; /* of a power of two, else 0 */
};

void homes_init(struct homes *homes, uint32_t segment_bytes, uint64_t first);
void homes_deinit(struct homes *homes);

/* Makes room for counting segments up to and including `last`. STATUS_NO_MEMORY: nothing changed.
 */
enum status homes_reserve(struct homes *homes, uint64_t last);

/* `bytes` of the record at `position` state `count` homes of together `weight`. */
void homes_state(struct homes *homes, uint64_t position, uint32_t count, uint64_t weight,
                 uint64_t bytes);
void homes_remove(struct homes *homes, uint64_t position, uint32_t count, uint64_t weight);

/* Keeps the segment of a position without stating anything there; it must be kept now. */
bool homes_may_pin(const struct homes *homes, uint64_t position);
void homes_pin(struct homes *homes, uint64_t position);
void homes_unpin(struct homes *homes, uint64_t position);

/* Lets go of the oldest segments without homes below `last` and returns the oldest that is kept. */
uint64_t homes_trim(struct homes *homes, uint64_t last);

/* Bytes that live, of all segments and of the oldest one. */
uint64_t homes_live_bytes(struct homes *homes);
uint64_t homes_oldest_live_bytes(struct homes *homes);

#endif
