/* CONSUME, SUBSCRIBE, CANCEL: who wants messages. */
#include "broker/core/consumer.h"
#include "broker/core/dispatch.h"
#include "broker/core/exchange.h"
#include "broker/core/filter.h"
#include "broker/core/queue.h"
#include "broker/core/sys.h"
#include "protocol/topic.h"

enum status handle_consume(struct peer *peer, const struct frame *frame)
{
    const struct frame_consume *consume = &frame->as.consume;
    struct core *core = peer->core;
    struct queue *queue = dispatch_find_queue(core, consume->queue);
    if (queue == NULL)
        return STATUS_NO_QUEUE;
    return core->is_draining ? STATUS_DRAINING : consumer_open(peer, queue, consume);
}

enum status handle_subscribe(struct peer *peer, const struct frame *frame)
{
    const struct frame_subscribe *subscribe = &frame->as.subscribe;
    struct core *core = peer->core;
    enum status status = topic_check_pattern(subscribe->pattern);
    if (status == STATUS_OK)
        status = filter_check(subscribe->filter);
    if (status == STATUS_OK)
        status = sys_open(core, subscribe->exchange);
    if (status != STATUS_OK)
        return status;
    struct exchange *exchange = dispatch_find_exchange(core, subscribe->exchange);
    if (exchange == NULL)
        return STATUS_NO_EXCHANGE;
    return core->is_draining ? STATUS_DRAINING : consumer_subscribe(peer, exchange, subscribe);
}

enum status handle_cancel(struct peer *peer, const struct frame *frame)
{
    struct consumer *consumer = consumer_find(peer, frame->as.cancel.consumer);
    if (consumer == NULL)
        return STATUS_UNKNOWN_CONSUMER;
    consumer_cancel(consumer);
    return STATUS_OK;
}
