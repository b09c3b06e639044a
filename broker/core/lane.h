/* Lanes: messages of one queue with the same ordering key, one in flight at a time.
 *
 *   waiting (not due) --> in the lane, by number --> ready, the first one --> out --> gone
 *                                ^                                             |
 *                                +---- back at its number, or once its next ---+
 *                                      attempt is due; until then it holds the lane
 *
 * A lane has at most one holder: the message that is out, or that waits for its next attempt. While
 * it has one none of it is ready; and unless the queue goes on then, none that stands behind a
 * parked one, so that what is repaired one by one is still replayed in order. Lanes follow from the
 * messages, and so are there again after a start. What comes to an empty lane may stand in the
 * plain order of its queue, see lane_plain.h: then this is of what comes behind it.
 */
#ifndef HERALD_LANE_H
#define HERALD_LANE_H

#include <stdint.h>
#include <sys/queue.h>

#include "broker/core/chains.h"
#include "protocol/wire.h"

struct aside;
struct core;
struct parked;
struct queue;

/* What a queue does with a lane of which a command is parked. */
enum lane_parked {
    LANE_PARKED_BLOCK = 0, /* the lane waits for its repair */
    LANE_PARKED_PARK = 1,  /* those behind it are parked, too */
    LANE_PARKED_GO_ON = 2,
};

struct lane {
    struct chain_link link;       /* in the table of its queue, by key */
    struct chain_link plain_link; /* in that of plain messages, by number */
    uint64_t hash;                /* of its key */
    uint64_t plain; /* the number of its plain message, see lane_plain.h; 0: it has none */
    struct queue *queue;
    uint32_t ref_count; /* messages of it, parked ones included */
    uint8_t key_bytes;
    bool is_parking;      /* in the list of those whose messages are to be parked */
    struct aside *holder; /* out, or waiting for its next attempt */
    struct aside *first;  /* of those aside in the lane, ascending numbers */
    struct aside *last;
    struct aside *ready;                    /* the one that may be handed out */
    TAILQ_HEAD(parked_list, parked) parked; /* ascending numbers */
    TAILQ_ENTRY(lane) park_link;
    unsigned char key[];
};

TAILQ_HEAD(lane_list, lane);

/* Of the core: lanes that are not in use, for the next ones. Lanes come and go with messages. */
struct lane_pool {
    struct chain_link *first;
    uint32_t count;
};

void lane_pool_deinit(struct lane_pool *pool);

/* The lane of this key with one reference more; NULL when memory ran out. */
struct lane *lane_get(struct queue *queue, struct wire_bytes key);
/* Asks for the memory that lane_get will look at first. */
void lane_prefetch(const struct queue *queue, struct wire_bytes key);
void lane_unref(struct core *core, struct lane *lane);

/* The lanes of a queue in no order, as chains_next has it. */
struct lane *lane_next(const struct queue *queue, const struct lane *before);

struct wire_bytes lane_key(const struct lane *lane);

/* The message is due: it stands in its lane, and may be the next. */
void lane_enter(struct core *core, struct aside *aside);

/* It is handed out, or gone; its place in the heap is the caller's business. */
void lane_leave(struct aside *aside);

/* It holds the lane from now on; or nobody does. Behind the latter lane_update. */
void lane_hold(struct aside *aside);
void lane_let_go(struct aside *aside);

/* Makes the first of the lane ready, if it may be. */
void lane_update(struct core *core, struct lane *lane);

/* One of its messages is parked; it has the caller's reference to the lane. Or it is not any
 * longer, and the reference is given up. */
void lane_add_parked(struct core *core, struct lane *lane, struct parked *parked);
void lane_remove_parked(struct core *core, struct parked *parked);

/* Parks what stands behind parked ones where the queue wants that; a slice at a time. */
void lane_work_off(struct core *core);

#endif
