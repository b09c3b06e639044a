/* APPEND: several events of one entity, all of them or none. */
#include <stdlib.h>

#include "broker/core/accept.h"
#include "broker/core/dispatch.h"
#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/line.h"
#include "broker/core/mover.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/relay.h"
#include "broker/core/spill.h"
#include "protocol/append.h"
#include "protocol/property.h"
#include "protocol/topic.h"

/* What a record holds of an event besides what its sender gave, but for its receivers. */
enum { EVENT_BYTES = 192 };

/* All events of the frame. */
struct batch {
    struct core *core;
    struct peer *peer;
    struct exchange *exchange;
    struct wire_bytes list;
    struct append_terms terms;
    uint32_t count;
    size_t bytes; /* of all records, at most */
};

static struct accept accept_of(struct batch *batch, const struct append_event *event)
{
    return (struct accept){.core = batch->core,
                           .peer = batch->peer,
                           .is_event = true,
                           .append = &batch->terms,
                           .history = batch->exchange->history,
                           .message.exchange = wire_bytes_of_text(batch->exchange->name),
                           .message.key = event->key,
                           .message.properties = event->properties,
                           .message.headers = event->headers,
                           .message.body = event->body};
}

static enum status check_event(struct core *core, const struct append_event *event)
{
    enum status status = accept_check(core, NULL, event->properties, event->headers);
    if (status == STATUS_OK)
        status = topic_check_key(event->key);
    if (status == STATUS_OK)
        status = event_check_appended(core, event->properties);
    if (status != STATUS_OK)
        return status;
    struct operation_message message = {.properties = event->properties};
    struct message_terms terms;
    message_terms(&message, &terms);
    if (!terms.is_plain)
        return STATUS_BAD_PROPERTY;
    return STATUS_OK;
}

/* Whichever of the events go to it, the queue must have room for all. */
static enum status check_queue(struct batch *batch, const struct accept *accept,
                               struct queue *queue)
{
    bool has_room =
        (queue->count_max == 0 || queue_count(queue) + batch->count <= queue->count_max) &&
        (queue->bytes_max == 0 || queue->bytes + batch->list.bytes <= queue->bytes_max);
    if (!has_room && accept_is_refused_by(accept, queue)) {
        dispatch_explain(batch->core, "queue %s has no room for all events", queue->name);
        return STATUS_OVERFLOW;
    }
    return index_reserve_many(&queue->index, batch->core->next_message, batch->count);
}

static enum status route(struct batch *batch, struct accept *accept)
{
    struct relay_event event = {accept->message.key, accept->message.headers};
    return relay_route(batch->core, batch->exchange, &event, &accept->queues, &accept->queue_count);
}

/* Everything that may go wrong does so here, before anything is recorded. */
static enum status check(struct batch *batch)
{
    struct wire_reader r = wire_reader_of(batch->list.at, batch->list.bytes);
    struct append_event event;
    enum status status = append_check(batch->list, &batch->count);
    batch->bytes = 0;
    while (status == STATUS_OK && append_next(&r, &event)) {
        status = check_event(batch->core, &event);
        struct accept accept = accept_of(batch, &event);
        if (status == STATUS_OK)
            status = route(batch, &accept);
        if (status == STATUS_OK)
            status = accept_reserve_numbers(batch->core, accept.queue_count + 1);
        for (size_t i = 0; status == STATUS_OK && i < accept.queue_count; i++)
            status = check_queue(batch, &accept, accept.queues[i]);
        batch->bytes += append_bytes(&event) + EVENT_BYTES + (accept.queue_count + 1) * 4 +
                        batch->terms.entity.bytes + accept.message.exchange.bytes;
    }
    return status;
}

static enum status reserve(struct batch *batch)
{
    struct core *core = batch->core;
    if (core->is_draining)
        return STATUS_DRAINING;
    if (spill_is_full(core->spill) || mover_is_full(core))
        return STATUS_DISK_FULL;
    enum status status = history_reserve(batch->exchange->history, batch->count);
    return status == STATUS_OK ? recorder_keep_together(core, batch->bytes, batch->count) : status;
}

/* What is expected of the entity is looked at with the first event; each further one follows the
 * one before, and cannot fail. */
static enum status take_in(struct batch *batch, struct event_terms *last)
{
    struct wire_reader r = wire_reader_of(batch->list.at, batch->list.bytes);
    struct append_event event;
    while (append_next(&r, &event)) {
        struct accept accept = accept_of(batch, &event);
        enum status status = route(batch, &accept);
        if (status == STATUS_OK)
            status = accept_message(&accept);
        if (status != STATUS_OK)
            return status;
        relay_count(batch->exchange);
        *last = accept.event;
        batch->terms.expect = last->version;
    }
    return STATUS_OK;
}

/* Now that all are recorded, queues may drop what is too much for them. */
static void drop_excess(struct batch *batch)
{
    struct wire_reader r = wire_reader_of(batch->list.at, batch->list.bytes);
    struct append_event event;
    while (append_next(&r, &event)) {
        struct accept accept = accept_of(batch, &event);
        if (route(batch, &accept) != STATUS_OK)
            return;
        for (size_t i = 0; i < accept.queue_count; i++)
            queue_drop_excess(batch->core, accept.queues[i]);
    }
}

enum status handle_append(struct peer *peer, const struct frame *frame)
{
    const struct frame_append *append = &frame->as.append;
    struct core *core = peer->core;
    struct batch batch = {.core = core,
                          .peer = peer,
                          .list = append->body,
                          .terms = {append->entity, append->expect}};
    struct event_terms last = {0};
    batch.exchange = dispatch_find_exchange(core, append->exchange);
    if (batch.exchange == NULL)
        return STATUS_NO_EXCHANGE;
    if (batch.exchange->history == NULL) {
        dispatch_explain(core, "exchange %s keeps no history", batch.exchange->name);
        return STATUS_NO_HISTORY;
    }
    if (!event_entity_is_good(append->entity))
        return STATUS_BAD_NAME;
    enum status status = check(&batch);
    if (status == STATUS_MALFORMED) {
        dispatch_explain(core, "the body is no list of events");
        return STATUS_BAD_VALUE;
    }
    if (status == STATUS_OK)
        status = reserve(&batch);
    if (status != STATUS_OK)
        return status;
    core->counters.events_received += batch.count;
    status = take_in(&batch, &last);
    if (status != STATUS_OK)
        return status;
    drop_excess(&batch);
    line_appended(peer, frame->header.tag, last.sequence, last.version);
    return STATUS_OK;
}
