/* Endings: the one way on which a message that somebody wants to hear of leaves its queue.
 *
 * Its outcome, the message to its reply queue, and its leaving or its being parked are one record;
 * then everybody who waits for it is told.
 */
#ifndef HERALD_ENDING_H
#define HERALD_ENDING_H

#include "broker/core/state.h"
#include "broker/store/record.h"

struct ending {
    uint8_t state; /* OUTCOME_DONE or OUTCOME_FAILED */
    uint8_t ran;
    struct wire_bytes code;
    struct wire_bytes text;
    struct wire_bytes body;
    const struct operation_park *park; /* it is parked; NULL: it leaves */
};

/* One that the broker decides: failed, with the status' name and text. */
struct ending ending_of(enum status status, enum frame_outcome_ran ran);

/* Likewise, of a message that may have been with a worker. */
struct ending ending_of_aside(enum status status, const struct aside *aside);

/* Ends a message of the queue, wherever it stands; nothing when it is not there. `peer` may be
 * NULL: whose record it is. STATUS_OK; STATUS_NO_MEMORY or the status of the journal: then nothing
 * has changed. */
enum status ending_carry_out(struct core *core, struct peer *peer, struct queue *queue,
                             uint64_t number, const struct ending *ending);

/* Tells the outcome of a message whose queue is gone; it still stands. */
enum status ending_tell(struct core *core, struct aside *aside, const struct ending *ending);

/* The broker has started: what was taken back while it ran is not handed out again, and what is too
 * late now neither. */
void ending_start(struct core *core);

/* Whether somebody wants to hear what becomes of it. */
bool ending_is_wanted(struct aside *aside);

#endif
