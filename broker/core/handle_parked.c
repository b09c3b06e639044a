/* PARKED_RETRY, PARKED_DROP, PARKED_REPLACE: repairing what is parked. */
#include "broker/core/accept.h"
#include "broker/core/apply.h"
#include "broker/core/dispatch.h"
#include "broker/core/kept.h"
#include "broker/core/line.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/retry.h"

enum {
    /* What a record holds of a message besides its lists and its body, and of a settlement. */
    RECORD_BYTES = 128,
};

enum status handle_parked_retry(struct peer *peer, const struct frame *frame)
{
    const struct frame_parked_retry *retry = &frame->as.parked_retry;
    struct queue *queue;
    enum status status = queue_find_own(peer, retry->queue, &queue);
    if (status != STATUS_OK)
        return status;
    uint64_t count = HASH_COUNT(queue->parked);
    status = retry_parked(peer->core, peer, queue, retry->first, retry->last);
    if (status == STATUS_OK)
        line_count(peer, frame->header.tag, count - HASH_COUNT(queue->parked));
    return status;
}

enum status handle_parked_drop(struct peer *peer, const struct frame *frame)
{
    const struct frame_parked_drop *drop = &frame->as.parked_drop;
    struct queue *queue;
    enum status status = queue_find_own(peer, drop->queue, &queue);
    if (status != STATUS_OK)
        return status;
    status = STATUS_NOT_PARKED;
    uint64_t count = HASH_COUNT(queue->parked);
    struct parked *parked;
    struct parked *next;
    HASH_ITER (hh, queue->parked, parked, next) {
        if (parked->number < drop->first || parked->number > drop->last)
            continue;
        status = queue_settle(peer->core, peer, queue, parked->number, parked->number);
        if (status != STATUS_OK)
            break;
    }
    if (status == STATUS_OK)
        line_count(peer, frame->header.tag, count - HASH_COUNT(queue->parked));
    return status;
}

/* It stays where it is, with other content: the message is stated anew under its number. */
static enum status edit(struct peer *peer, struct queue *queue,
                        const struct frame_parked_replace *replace)
{
    struct core *core = peer->core;
    unsigned char queues[4];
    wire_store_u32(queues, queue->number);
    struct operation_message message = {.number = replace->number,
                                        .time_ms = core->now_ms,
                                        .queues = wire_bytes_of(queues, sizeof queues),
                                        .properties = replace->properties,
                                        .headers = replace->headers,
                                        .body = replace->body};
    struct wire_writer w;
    enum status status =
        recorder_begin(core, peer, record_size_message(&message), JOURNAL_FRESH, &w);
    if (status != STATUS_OK)
        return status;
    uint64_t word = place_word_durable(recorder_position(core, &w), recorder_back(core, &w));
    record_put_message(&w, &message);
    recorder_end(core, &w);
    return apply_message(core, &message, word);
}

/* The new command and the end of the parked one are one record. */
static enum status move(struct peer *peer, struct queue *queue, struct queue *to,
                        const struct frame_parked_replace *replace)
{
    struct core *core = peer->core;
    struct accept accept = {.core = core,
                            .peer = peer,
                            .queues = &to,
                            .queue_count = 1,
                            .message.properties = replace->properties,
                            .message.headers = replace->headers,
                            .message.body = replace->body};
    if (to->kind != QUEUE_DURABLE) {
        dispatch_explain(core, "queue %s does not survive the broker", to->name);
        return STATUS_MISMATCH;
    }
    if (to->cursor != NULL) {
        dispatch_explain(core, "%s is a cursor, which takes no commands", to->name);
        return STATUS_MISMATCH;
    }
    size_t bytes = RECORD_BYTES + replace->properties.bytes + replace->headers.bytes +
                   (size_t)replace->body.bytes;
    enum status status = recorder_hold(core, peer, bytes, JOURNAL_FRESH);
    if (status != STATUS_OK)
        return status;
    status = accept_message(&accept);
    if (status == STATUS_OK)
        status = queue_settle(core, peer, queue, replace->number, replace->number);
    recorder_let_go(core);
    return status;
}

enum status handle_parked_replace(struct peer *peer, const struct frame *frame)
{
    const struct frame_parked_replace *replace = &frame->as.parked_replace;
    struct core *core = peer->core;
    struct queue *queue;
    struct queue *to = NULL;
    enum status status = accept_check(core, replace->properties, replace->headers);
    if (status == STATUS_OK)
        status = queue_find_own(peer, replace->queue, &queue);
    if (status == STATUS_OK && replace->to.bytes > 0)
        status = queue_find_own(peer, replace->to, &to);
    if (status != STATUS_OK)
        return status;
    if (kept_find_parked(queue, replace->number) == NULL)
        return STATUS_NOT_PARKED;
    return to != NULL ? move(peer, queue, to, replace) : edit(peer, queue, replace);
}
