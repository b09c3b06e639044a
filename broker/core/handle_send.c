/* SEND, CALL, PUBLISH: messages come in. */
#include "broker/core/accept.h"
#include "broker/core/call.h"
#include "broker/core/dispatch.h"
#include "broker/core/exchange.h"
#include "broker/core/queue.h"
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
    if (queue != NULL)
        core->last_queue = queue;
    return queue;
}

enum status handle_send(struct peer *peer, const struct frame *frame)
{
    const struct frame_send *send = &frame->as.send;
    struct core *core = peer->core;
    core->counters.commands_received++;
    enum status status = accept_check(core, send->properties, send->headers);
    if (status != STATUS_OK)
        return status;
    struct queue *queue = find_queue(peer, send->queue);
    if (queue == NULL)
        return STATUS_NO_QUEUE;
    struct accept accept = {.peer = peer,
                            .queues = &queue,
                            .queue_count = 1,
                            .is_transient = (frame->header.flags & FLAG_TRANSIENT) != 0,
                            .message.properties = send->properties,
                            .message.headers = send->headers,
                            .message.body = send->body};
    return accept_message(&accept);
}

enum status handle_call(struct peer *peer, const struct frame *frame)
{
    const struct frame_call *call = &frame->as.call;
    struct core *core = peer->core;
    core->counters.commands_received++;
    enum status status = accept_check(core, call->properties, call->headers);
    if (status != STATUS_OK)
        return status;
    struct queue *queue = find_queue(peer, call->queue);
    if (queue == NULL)
        return STATUS_NO_QUEUE;
    if (queue->consumer_count == 0)
        return STATUS_NO_HANDLER;
    if (core->call_count >= core->limits.calls_max)
        return STATUS_LIMIT;
    struct accept accept = {.peer = peer,
                            .queues = &queue,
                            .queue_count = 1,
                            .is_transient = true,
                            .message.properties = call->properties,
                            .message.headers = call->headers,
                            .message.body = call->body};
    status = accept_message(&accept);
    if (status != STATUS_OK)
        return status;
    status = call_new(peer, queue, frame, accept.message.number, accept.made);
    if (status != STATUS_OK)
        queue_settle(core, peer, queue, accept.message.number, accept.message.number);
    return status;
}

enum status handle_publish(struct peer *peer, const struct frame *frame)
{
    const struct frame_publish *publish = &frame->as.publish;
    struct core *core = peer->core;
    core->counters.events_received++;
    enum status status = accept_check(core, publish->properties, publish->headers);
    if (status == STATUS_OK)
        status = topic_check_key(publish->key);
    if (status != STATUS_OK)
        return status;
    struct exchange *exchange = dispatch_find_exchange(core, publish->exchange);
    if (exchange == NULL)
        return STATUS_NO_EXCHANGE;
    struct accept accept = {.peer = peer,
                            .is_transient = (frame->header.flags & FLAG_TRANSIENT) != 0,
                            .is_event = true,
                            .message.exchange = publish->exchange,
                            .message.key = publish->key,
                            .message.properties = publish->properties,
                            .message.headers = publish->headers,
                            .message.body = publish->body};
    status = exchange_route(core, exchange, publish->key, &accept.queues, &accept.queue_count);
    if (status != STATUS_OK)
        return status;
    exchange->published_total++;
    if (accept.queue_count == 0) {
        core->counters.events_unrouted++;
        return core->is_draining ? STATUS_DRAINING : STATUS_OK;
    }
    return accept_message(&accept);
}
