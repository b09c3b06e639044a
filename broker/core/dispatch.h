/* From a decoded frame to its handler, and from the handler's word to the answer.
 *
 * A handler decides, records, applies. It returns STATUS_OK, a refusal (the frame is answered with
 * it by its tag), or a status that closes the connection.
 */
#ifndef HERALD_DISPATCH_H
#define HERALD_DISPATCH_H

#include "protocol/frame.h"

struct core;
struct exchange;
struct peer;
struct queue;

/* Carries out one frame of an admitted peer, in its own phase. */
void dispatch_frame(struct peer *peer, const struct frame *frame);

/* What a refusal says beyond its status; printf-like, for the handler that is about to refuse. */
void dispatch_explain(struct core *core, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What a frame names, found for its handler. NULL: there is no such thing, and the refusal says
 * which. */
struct queue *dispatch_find_queue(struct core *core, struct wire_bytes name);
struct exchange *dispatch_find_exchange(struct core *core, struct wire_bytes name);

/* One handler for each frame that clients send; a missing one does not link. */
#define HANDLER_OF_CLIENT(name)                                                                    \
    enum status handle_##name(struct peer *peer, const struct frame *frame);
#define HANDLER_OF_BOTH(name) HANDLER_OF_CLIENT(name)
#define HANDLER_OF_BROKER(name)
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text) HANDLER_OF_##sender(name)
#include "protocol/frames.def"
#undef HANDLER_OF_CLIENT
#undef HANDLER_OF_BOTH
#undef HANDLER_OF_BROKER

#endif
