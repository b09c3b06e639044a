/* From a decoded frame to its handler, and from the handler's word to the answer. */
#include "broker/core/dispatch.h"

#include <stdarg.h>
#include <stdio.h>

#include "broker/core/assembly.h"
#include "broker/core/call.h"
#include "broker/core/client.h"
#include "broker/core/exchange.h"
#include "broker/core/line.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"

typedef enum status (*handler_fn)(struct peer *peer, const struct frame *frame);

static const handler_fn handlers[FRAME_TYPE_COUNT] = {
#define HANDLER_OF_CLIENT(name) handle_##name
#define HANDLER_OF_BOTH(name) handle_##name
#define HANDLER_OF_BROKER(name) NULL
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    [type] = HANDLER_OF_##sender(name),
#include "protocol/frames.def"
};

void dispatch_explain(struct core *core, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(core->explanation, sizeof core->explanation, format, arguments);
    va_end(arguments);
}

struct queue *dispatch_find_queue(struct core *core, struct wire_bytes name)
{
    struct queue *queue = queue_find(core, name);
    if (queue == NULL)
        dispatch_explain(core, "there is no queue %.*s", (int)name.bytes, (const char *)name.at);
    return queue;
}

struct exchange *dispatch_find_exchange(struct core *core, struct wire_bytes name)
{
    struct exchange *exchange = exchange_find(core, name);
    if (exchange == NULL)
        dispatch_explain(core, "there is no exchange %.*s", (int)name.bytes, (const char *)name.at);
    return exchange;
}

/* From here on a status closes the connection instead of refusing one frame. */
static bool closes(enum status status)
{
    return status >= STATUS_BAD_MAGIC;
}

static const char *explanation(const struct core *core)
{
    return core->explanation[0] != '\0' ? core->explanation : NULL;
}

static void refuse(struct peer *peer, const struct frame *frame, enum status status)
{
    struct core *core = peer->core;
    if (frame_line(frame->header.type) == FRAME_LINE_CALL) {
        core->counters.messages_refused++;
        call_refuse(peer, frame->header.tag, status, explanation(core));
        return;
    }
    if (frame->header.type == FRAME_SEND || frame->header.type == FRAME_PUBLISH)
        core->counters.messages_refused++;
    bool is_in_line = frame_line(frame->header.type) == FRAME_LINE_LINE;
    enum status kept =
        is_in_line ? client_refused(peer, frame->header.tag, status, explanation(core)) : STATUS_OK;
    if (kept != STATUS_OK) {
        peer_close(peer, kept, "the refusals that the client has not seen are too many to keep");
        return;
    }
    line_refuse(peer, frame->header.tag, status, explanation(core), recorder_needs(core));
}

/* Transient messages are confirmed only where it was asked for. */
static bool wants_confirm(const struct frame *frame)
{
    bool is_message = frame->header.type == FRAME_SEND || frame->header.type == FRAME_PUBLISH;
    return !is_message || (frame->header.flags & FLAG_TRANSIENT) == 0 ||
           (frame->header.flags & FLAG_CONFIRM) != 0;
}

/* While a message is in pieces its tag is not answered, so nothing behind it may be confirmed
 * either: what is settled in between is confirmed together with it. */
static void answer(struct peer *peer, const struct frame *frame, enum status status)
{
    if (status != STATUS_OK)
        refuse(peer, frame, status);
    else if (peer->assembly.is_open)
        peer->assembly.last_between = frame->header.tag;
    else if (wants_confirm(frame))
        line_confirm(peer, frame->header.tag, recorder_needs(peer->core));
    /* Only now: a record that was closed on the way, to begin the frame's own, must not say that
     * the frame is answered. */
    if (!peer->assembly.is_open)
        peer->answered_tag = frame->header.tag;
}

static bool may_come_between(unsigned type)
{
    return type == FRAME_DONE || type == FRAME_FAIL || type == FRAME_RELEASE ||
           type == FRAME_HEARTBEAT || type == FRAME_SEEN || type == FRAME_PIECE ||
           type == FRAME_CLOSE;
}

/* Tags grow; a gap is nothing bad. */
static enum status take_tag(struct peer *peer, const struct frame *frame)
{
    if (frame->header.tag <= peer->last_tag)
        return STATUS_TAG_ORDER;
    peer->last_tag = frame->header.tag;
    return STATUS_OK;
}

static void finish(struct peer *peer, const struct frame *frame, enum status status)
{
    if (peer->state == PEER_CLOSING)
        return;
    if (closes(status)) {
        peer->core->counters.connections_refused++;
        peer_close(peer, status, explanation(peer->core));
        return;
    }
    switch (frame_line(frame->header.type)) {
    case FRAME_LINE_LINE:
        answer(peer, frame, status);
        break;
    case FRAME_LINE_CALL:
    case FRAME_LINE_QUERY:
        if (status != STATUS_OK)
            refuse(peer, frame, status);
        break;
    case FRAME_LINE_NONE:
    case FRAME_LINE_ANSWER:
        if (status != STATUS_OK)
            peer_close(peer, status, explanation(peer->core));
        break;
    }
}

/* The message is answered: so is now what was settled between its pieces. */
static void answer_between(struct peer *peer)
{
    uint64_t last = peer->assembly.last_between;
    if (last == 0)
        return;
    peer->assembly.last_between = 0;
    peer->answered_tag = last;
    line_confirm(peer, last, recorder_needs(peer->core));
}

enum status handle_piece(struct peer *peer, const struct frame *frame)
{
    struct frame whole;
    enum status status = assembly_add(peer, frame->as.piece.body, &whole);
    if (status == STATUS_MORE)
        return STATUS_OK;
    if (status == STATUS_OK)
        status = handlers[whole.header.type](peer, &whole);
    if (closes(status))
        return status;
    finish(peer, &whole, status);
    assembly_free(peer);
    answer_between(peer);
    return STATUS_OK;
}

void dispatch_frame(struct peer *peer, const struct frame *frame)
{
    enum frame_line line = frame_line(frame->header.type);
    enum status status = STATUS_OK;
    peer->core->explanation[0] = '\0';
    if (peer->assembly.is_open && !may_come_between(frame->header.type))
        status = STATUS_UNEXPECTED_FRAME;
    if (status == STATUS_OK && line != FRAME_LINE_NONE)
        status = take_tag(peer, frame);
    if (status != STATUS_OK) {
        finish(peer, frame, status);
        return;
    }
    status = assembly_begin(peer, frame);
    if (status == STATUS_MORE)
        return;
    if (status == STATUS_OK)
        status = handlers[frame->header.type](peer, frame);
    finish(peer, frame, status);
}
