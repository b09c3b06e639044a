/* A queue's own time to live: how long a message may wait in it for its first attempt.
 *
 * Messages stand in the order in which they came, so that only the first ones need be looked at:
 * one timer for the queue, set to when the first that waits is too old. Whoever comes back late is
 * seen by the pump.
 */
#ifndef HERALD_EXPIRY_H
#define HERALD_EXPIRY_H

#include "broker/core/state.h"

/* The queue's first message may have changed, or its settings: looks at it in time. */
void expiry_watch(struct core *core, struct queue *queue, uint64_t due_ms);

/* When a message that was accepted then is too old. */
uint64_t expiry_due(const struct queue *queue, uint64_t accepted_ms);

/* Whether a message that was accepted then is too old. */
static inline bool expiry_is_over(const struct queue *queue, uint64_t accepted_ms, uint64_t now_ms)
{
    return queue->ttl_ms != 0 && now_ms > accepted_ms && now_ms - accepted_ms >= queue->ttl_ms;
}

/* Ends a message that is. STATUS_OK, or the status of the journal. */
enum status expiry_end(struct core *core, struct queue *queue, uint64_t number);

void expiry_on_timer(struct core *core, struct wheel_timer *timer);

#endif
