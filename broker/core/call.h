/* Calls: commands whose outcome goes straight back to the connection that sent them.
 *
 * A call is one transient message and one waiting caller. Whatever happens to the message, the
 * caller is answered exactly once: by the worker, by the timeout, by the loss of the worker, by
 * whatever takes the message out of its queue. When the caller goes away first, a message that
 * still waits is taken out, and a running one ends unheard.
 */
#ifndef HERALD_CALL_H
#define HERALD_CALL_H

#include "broker/core/state.h"

/* Begins to wait as the CALL frame says; the message, of this number, gets its call. STATUS_LIMIT,
 * STATUS_NO_MEMORY: nothing has changed.
 */
enum status call_new(struct peer *peer, struct queue *queue, const struct frame *frame,
                     uint64_t number, struct message *message);

/* Answers the caller and frees the call. The message is the caller's business. */
void call_done(struct call *call, struct wire_bytes result);
void call_fail(struct call *call, enum status status, enum frame_outcome_ran ran);
struct ending;
void call_end(struct call *call, const struct ending *ending);

/* Answers a call that never became a message. */
void call_refuse(struct peer *peer, uint64_t tag, enum status status, const char *text);

/* The timer of a call fired. */
void call_on_timer(struct core *core, struct wheel_timer *timer);

/* The broker stops: the caller is told. */
void call_on_drain(struct core *core, struct call *call);

/* The caller is gone. */
void call_end_peer(struct peer *peer);

/* Answers the calls of a queue, and takes the messages of those that wait out of it. */
enum call_scope {
    CALL_WAITING, /* those that a worker has go on */
    CALL_ALL,
};
void call_end_all(struct core *core, struct queue *queue, enum call_scope scope,
                  enum status status);

#endif
