/* PEEK: looking at messages of a queue, which changes nothing.
 *
 * A question waits in a list until the page of the index and the bytes of the message are in
 * memory, and is then answered with one message.
 */
#ifndef HERALD_PEEK_H
#define HERALD_PEEK_H

#include "broker/core/state.h"

/* STATUS_OK: it will be answered. STATUS_LIMIT, STATUS_NO_MEMORY. */
enum status peek_new(struct peer *peer, struct queue *queue, uint64_t tag,
                     const struct frame_peek *frame);

/* Answers what can be answered now. */
void peek_run(struct core *core);

/* The peer is gone; the core ends. */
void peek_end_peer(struct peer *peer);
void peek_end_all(struct core *core);

#endif
