/* PARKED_RETRY, PARKED_DROP, PARKED_REPLACE: repairing what is parked. */
#include "broker/core/accept.h"
#include "broker/core/apply.h"
#include "broker/core/dispatch.h"
#include "broker/core/kept.h"
#include "broker/core/line.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/retry.h"
#include "protocol/property.h"

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

static enum status drop_one(struct peer *peer, struct queue *queue, uint64_t number)
{
    if (kept_find_parked(queue, number) == NULL)
        return STATUS_NOT_PARKED;
    return queue_settle(peer->core, peer, queue, number, number);
}

static enum status drop_all(struct peer *peer, struct queue *queue, uint64_t first, uint64_t last)
{
    enum status status = STATUS_NOT_PARKED;
    struct parked *parked;
    struct parked *next;
    HASH_ITER (hh, queue->parked, parked, next) {
        if (parked->number < first || parked->number > last)
            continue;
        status = queue_settle(peer->core, peer, queue, parked->number, parked->number);
        if (status != STATUS_OK)
            break;
    }
    return status;
}

enum status handle_parked_drop(struct peer *peer, const struct frame *frame)
{
    const struct frame_parked_drop *drop = &frame->as.parked_drop;
    struct queue *queue;
    enum status status = queue_find_own(peer, drop->queue, &queue);
    if (status != STATUS_OK)
        return status;
    uint64_t count = HASH_COUNT(queue->parked);
    if (drop->first == drop->last)
        status = drop_one(peer, queue, drop->first);
    else
        status = drop_all(peer, queue, drop->first, drop->last);
    if (status == STATUS_OK)
        line_count(peer, frame->header.tag, count - HASH_COUNT(queue->parked));
    return status;
}

/* Room for a sender's properties and what the broker adds. */
enum { PROPERTIES_BYTES = MESSAGE_REPAIR_BYTES_MAX + 2 + 8 };

static void put_id(struct wire_writer *w, uint8_t kind, const struct wire_id *id)
{
    if (!wire_id_is_zero(id))
        property_put(w, kind, wire_bytes_of(id->byte, sizeof id->byte));
}

/* Who a tracked command is does not change with its content. */
static struct wire_bytes edited_properties(unsigned char room[PROPERTIES_BYTES],
                                           const struct parked *parked,
                                           struct wire_bytes properties)
{
    struct wire_writer w = wire_writer_of(room, PROPERTIES_BYTES);
    struct wire_reader r = wire_reader_of(properties.at, properties.bytes);
    struct property property;
    while (properties.bytes > 0 && property_next(&r, &property))
        if (property.kind != PROPERTY_MESSAGE_TRACK && property.kind != PROPERTY_MESSAGE_KEY &&
            (property.kind != PROPERTY_MESSAGE_ID || !parked->is_tracked))
            property_put(&w, property.kind, property.value);
    if (parked->is_tracked) {
        put_id(&w, PROPERTY_MESSAGE_ID, &parked->id);
        property_put_number(&w, PROPERTY_MESSAGE_TRACK, 1);
    }
    return wire_bytes_of(room, (uint32_t)wire_written(&w));
}

/* It stays where it is, with other content: the message is stated anew under its number. */
static enum status edit(struct peer *peer, struct queue *queue, const struct parked *parked,
                        const struct frame_parked_replace *replace)
{
    struct core *core = peer->core;
    unsigned char queues[4];
    unsigned char room[PROPERTIES_BYTES];
    wire_store_u32(queues, queue->number);
    struct operation_message message = {.number = replace->number,
                                        .time_ms = core->now_ms,
                                        .queues = wire_bytes_of(queues, sizeof queues),
                                        .properties =
                                            edited_properties(room, parked, replace->properties),
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

/* Names the command that it repairs, as far as that has an id by which it may be asked for. */
static struct wire_bytes moved_properties(unsigned char room[PROPERTIES_BYTES],
                                          const struct parked *parked, struct wire_bytes properties)
{
    struct wire_writer w = wire_writer_of(room, PROPERTIES_BYTES);
    wire_put_rest(&w, properties);
    put_id(&w, PROPERTY_MESSAGE_REPAIRS, &parked->id);
    return wire_bytes_of(room, (uint32_t)wire_written(&w));
}

/* The new command and the end of the parked one are one record. */
static enum status move(struct peer *peer, struct queue *queue, struct queue *to,
                        const struct parked *parked, const struct frame_parked_replace *replace)
{
    struct core *core = peer->core;
    unsigned char room[PROPERTIES_BYTES];
    struct accept accept = {.core = core,
                            .peer = peer,
                            .queues = &to,
                            .queue_count = 1,
                            .message.properties =
                                moved_properties(room, parked, replace->properties),
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
    size_t bytes = RECORD_BYTES + accept.message.properties.bytes + replace->headers.bytes +
                   (size_t)replace->body.bytes;
    enum status status = recorder_hold(core, peer, bytes, JOURNAL_FRESH);
    if (status != STATUS_OK)
        return status;
    status = accept_message(&accept);
    if (status == STATUS_OK && accept.known != NULL) {
        dispatch_explain(core, "a command of this id is known, and was not taken again");
        status = STATUS_DUPLICATE;
    }
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
    enum status status = accept_check(core, NULL, replace->properties, replace->headers);
    if (status == STATUS_OK)
        status = queue_find_own(peer, replace->queue, &queue);
    if (status != STATUS_OK)
        return status;
    if (replace->to.bytes > 0)
        status = queue_find_own(peer, replace->to, &to);
    if (status == STATUS_NO_QUEUE)
        dispatch_explain(core, "there is no queue %.*s to move to", (int)replace->to.bytes,
                         (const char *)replace->to.at);
    if (status != STATUS_OK)
        return status;
    const struct parked *parked = kept_find_parked(queue, replace->number);
    if (parked == NULL)
        return STATUS_NOT_PARKED;
    return to != NULL ? move(peer, queue, to, parked, replace) : edit(peer, queue, parked, replace);
}
