/* SEND, CALL, PUBLISH: messages come in. */
#include "broker/core/accept.h"
#include "broker/core/call.h"
#include "broker/core/dispatch.h"
#include "broker/core/exchange.h"
#include "broker/core/queue.h"
#include "broker/core/relay.h"
#include "broker/core/watch.h"
#include "protocol/property.h"
#include "protocol/topic.h"

/* Senders name the same queue again and again: the last one found is tried first. */
static struct queue *find_queue(struct peer *peer, struct wire_bytes name)
{
    struct core *core = peer->core;
    struct queue *last = core->last_queue;
    if (last != NULL && last->name_bytes == name.bytes &&
        memcmp(last->name, name.at, name.bytes) == 0)
        return last;
    struct queue *queue = dispatch_find_queue(core, name);
    if (queue != NULL && queue->cursor != NULL) {
        dispatch_explain(core, "%s is a cursor, which takes no commands", queue->name);
        return NULL;
    }
    if (queue != NULL)
        core->last_queue = queue;
    return queue;
}

/* The id of the first one is the text of the refusal, for programs to read. */
static void explain_known(struct core *core, const struct tracked *known)
{
    const unsigned char *at = known->id.byte;
    dispatch_explain(core, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                     at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7], at[8], at[9], at[10],
                     at[11], at[12], at[13], at[14], at[15]);
}

enum status handle_send(struct peer *peer, const struct frame *frame)
{
    const struct frame_send *send = &frame->as.send;
    struct core *core = peer->core;
    core->counters.commands_received++;
    struct queue *queue = find_queue(peer, send->queue);
    if (queue == NULL)
        return STATUS_NO_QUEUE;
    enum status status = accept_check(core, queue, send->properties, send->headers);
    if (status != STATUS_OK)
        return status;
    struct accept accept = {.core = core,
                            .peer = peer,
                            .queues = &queue,
                            .queue_count = 1,
                            .is_transient = (frame->header.flags & FLAG_TRANSIENT) != 0,
                            .message.properties = send->properties,
                            .message.headers = send->headers,
                            .message.body = send->body};
    status = accept_message(&accept);
    if (status == STATUS_DUPLICATE)
        explain_known(core, accept.known);
    return status;
}

/* A call that is kept: whatever happens to the caller, its outcome may be asked for by its id. */
static enum status call_durable(struct peer *peer, const struct frame *frame, struct accept *accept)
{
    if (property_find_number(accept->message.properties, PROPERTY_MESSAGE_TRACK, 0) == 0) {
        dispatch_explain(peer->core, "a durable call is tracked");
        return STATUS_BAD_PROPERTY;
    }
    accept->is_transient = false;
    enum status status = accept_message(accept);
    struct tracked *tracked = accept->known;
    if (status == STATUS_OK && tracked == NULL)
        tracked = tracked_find(peer->core, accept->terms.id);
    if (status != STATUS_OK && status != STATUS_DUPLICATE)
        return status;
    return watch_new(peer, tracked, frame->header.tag, WATCH_CALL, frame->as.call.timeout_ms);
}

enum status handle_call(struct peer *peer, const struct frame *frame)
{
    const struct frame_call *call = &frame->as.call;
    struct core *core = peer->core;
    core->counters.commands_received++;
    enum status status = accept_check(core, NULL, call->properties, call->headers);
    if (status != STATUS_OK)
        return status;
    struct queue *queue = find_queue(peer, call->queue);
    if (queue == NULL)
        return STATUS_NO_QUEUE;
    if (queue->consumer_count == 0 && (frame->header.flags & FLAG_DURABLE) == 0)
        return STATUS_NO_HANDLER;
    if (core->call_count >= core->limits.calls_max)
        return STATUS_LIMIT;
    struct accept accept = {.core = core,
                            .peer = peer,
                            .queues = &queue,
                            .queue_count = 1,
                            .is_transient = true,
                            .message.properties = call->properties,
                            .message.headers = call->headers,
                            .message.body = call->body};
    if ((frame->header.flags & FLAG_DURABLE) != 0)
        return call_durable(peer, frame, &accept);
    status = accept_message(&accept);
    if (status != STATUS_OK)
        return status;
    status = call_new(peer, queue, frame, accept.message.number, accept.made);
    if (status != STATUS_OK)
        queue_settle(core, peer, queue, accept.message.number, accept.message.number);
    return status;
}

/* Likewise for publishers. */
static struct exchange *find_exchange(struct core *core, struct wire_bytes name)
{
    struct exchange *last = core->last_exchange;
    if (last != NULL && last->name_bytes == name.bytes &&
        memcmp(last->name, name.at, name.bytes) == 0)
        return last;
    struct exchange *exchange = dispatch_find_exchange(core, name);
    if (exchange != NULL)
        core->last_exchange = exchange;
    return exchange;
}

enum status handle_publish(struct peer *peer, const struct frame *frame)
{
    const struct frame_publish *publish = &frame->as.publish;
    struct core *core = peer->core;
    core->counters.events_received++;
    enum status status = accept_check(core, NULL, publish->properties, publish->headers);
    if (status == STATUS_OK)
        status = topic_check_key(publish->key);
    if (status != STATUS_OK)
        return status;
    if (topic_name_is_reserved(publish->exchange)) {
        dispatch_explain(core, "only the broker publishes here");
        return STATUS_DENIED;
    }
    struct exchange *exchange = find_exchange(core, publish->exchange);
    if (exchange == NULL)
        return STATUS_NO_EXCHANGE;
    struct accept accept = {.core = core,
                            .peer = peer,
                            .is_transient = (frame->header.flags & FLAG_TRANSIENT) != 0,
                            .is_event = true,
                            .message.exchange = publish->exchange,
                            .message.key = publish->key,
                            .message.properties = publish->properties,
                            .message.headers = publish->headers,
                            .message.body = publish->body};
    struct relay_event event = {publish->key, publish->headers};
    status = relay_route(core, exchange, &event, &accept.queues, &accept.queue_count);
    if (status != STATUS_OK)
        return status;
    accept.history = exchange->history;
    status = accept_message(&accept);
    if (status != STATUS_OK)
        return status;
    relay_count(exchange);
    core->counters.events_unrouted += accept.queue_count == 0;
    return STATUS_OK;
}
