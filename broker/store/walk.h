/* Walking through a segment, batch by batch. */
#ifndef HERALD_WALK_H
#define HERALD_WALK_H

#include "broker/store/batch.h"
#include "broker/store/window.h"

struct walk {
    struct window *window;
    uint32_t offset;          /* of the next batch, at the end where the walk ended */
    uint32_t last_offset;     /* of the last good batch, 0 if there was none */
    uint64_t sequence;        /* that the next batch must have, 0: any */
    struct batch_header last; /* of the last good batch */
    const unsigned char *at;  /* the last good batch, until the window moves */
};

/* Begins at the start of the segment that the window has open. */
void walk_start(struct walk *walk, struct window *window, uint64_t sequence);

/* Moves past the next batch. False: none verifies here, or the window's status is a failure. */
bool walk_next(struct walk *walk);

/* True when walk_next need not read. */
bool walk_is_near(const struct walk *walk);

/* The first batch header at or behind `from` that verifies; 0 if there is none, or the window's
 * status is a failure. */
uint32_t walk_find_header(struct window *window, uint32_t from, struct batch_header *header);

#endif
