/* What becomes of a message whose attempt has failed: another one later, or it is parked. */
#ifndef HERALD_RETRY_H
#define HERALD_RETRY_H

#include "broker/core/queue.h"

/* Why an attempt failed. */
struct failure {
    unsigned class;          /* FAIL_RETRYABLE, FAIL_PERMANENT or FAIL_BUSY */
    uint64_t retry_after_ms; /* not before; 0: as the queue has it */
    bool is_lost;            /* the worker went away: another may try at once */
    uint8_t ran;             /* OUTCOME_RAN, or OUTCOME_MAYBE_RUN of a worker that is lost */
    struct wire_bytes code;
    struct wire_bytes text;
    struct wire_bytes detail;
};

/* Ends an attempt. The message waits for its next one; or, when that was the last or the failure is
 * permanent, it is parked, and one that is not durable is gone. `peer` may be NULL: whose record
 * it is. STATUS_OK, STATUS_NO_MEMORY, or the status of the journal: then nothing has changed. */
enum status retry_fail(struct core *core, struct peer *peer, struct queue *queue, uint64_t number,
                       const struct failure *failure);

/* Has the parked commands from first to last back at their places as new commands, with all
 * attempts anew. Where one of them fails, those before are back. STATUS_NOT_PARKED: there was none.
 */
enum status retry_parked(struct core *core, struct peer *peer, struct queue *queue, uint64_t first,
                         uint64_t last);

#endif
