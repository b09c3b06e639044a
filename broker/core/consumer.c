/* Consumers and live subscriptions of peers.
 *
 * A consumer with room stands in its queue's list of the willing; handing out takes the first and
 * puts it at the end, which is what makes the dispatch fair. Without room (its prefetch is used up,
 * or its peer's output is full) it leaves the list until consumer_update finds room again.
 */
#include "broker/core/consumer.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/core/apply.h"
#include "broker/core/call.h"
#include "broker/core/delivery.h"
#include "broker/core/exchange.h"
#include "broker/core/feed.h"
#include "broker/core/history.h"
#include "broker/core/output.h"
#include "broker/core/queue.h"
#include "broker/plant.h"
#include "broker/core/recorder.h"
#include "broker/core/retry.h"

/* What an event without a body takes all the same, when a live subscriber is slow. */
enum { LIVE_EVENT_BYTES_MIN = 64 };

/* --- willing and not ----------------------------------------------------------------------------
 */

static bool consumer_has_room(const struct consumer *consumer)
{
    const struct peer *peer = consumer->peer;
    if (consumer->queue->is_single_active && consumer->queue->active != consumer)
        return false;
    return !consumer->is_cancelled && peer->state == PEER_OPEN && !peer->is_leaving &&
           !peer->is_full &&
           (consumer->queue->kind == QUEUE_LIVE ||
            (consumer->unsettled_count <
                 consumer->prefetch_messages + planted(PLANT_PREFETCH_OFF_BY_ONE) &&
             (consumer->prefetch_bytes == 0 ||
              consumer->unsettled_bytes < consumer->prefetch_bytes)));
}

void consumer_update(struct consumer *consumer)
{
    bool has_room = consumer_has_room(consumer);
    if (has_room == consumer->is_willing)
        return;
    consumer->is_willing = has_room;
    if (has_room) {
        TAILQ_INSERT_TAIL(&consumer->queue->willing, consumer, queue_link);
        queue_wake(consumer->peer->core, consumer->queue);
    } else {
        TAILQ_REMOVE(&consumer->queue->willing, consumer, queue_link);
    }
}

/* Numbers of a later start are larger. */
static void activate(struct core *core, struct consumer *consumer)
{
    uint64_t fence = (uint64_t)core->start_number << 32 | ++core->fence_count;
    consumer->queue->active = consumer;
    struct frame frame = {.header.type = FRAME_CONSUMER_ACTIVE};
    frame.as.consumer_active = (struct frame_consumer_active){consumer->number, fence};
    output_frame(consumer->peer, &frame);
}

void consumer_elect(struct core *core, struct queue *queue)
{
    struct consumer *consumer;
    if (!queue->is_single_active)
        queue->active = NULL;
    TAILQ_FOREACH (consumer, &queue->all, all_link) {
        bool may_lead = queue->is_single_active && queue->active == NULL;
        if (may_lead && !consumer->is_cancelled && consumer->peer->state == PEER_OPEN)
            activate(core, consumer);
        consumer_update(consumer);
    }
}

void consumer_update_all(struct peer *peer)
{
    struct consumer *consumer;
    struct consumer *next;
    HASH_ITER (hh, peer->consumers, consumer, next)
        consumer_update(consumer);
}

/* --- opening ------------------------------------------------------------------------------------
 */

static struct consumer *consumer_new(struct peer *peer, struct queue *queue, uint32_t number)
{
    struct consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL)
        return NULL;
    consumer->peer = peer;
    consumer->queue = queue;
    consumer->number = number;
    HASH_ADD(hh, peer->consumers, number, sizeof consumer->number, consumer);
    if (!table_has(&consumer->hh)) {
        free(consumer);
        return NULL;
    }
    queue_ref(queue);
    TAILQ_INSERT_TAIL(&queue->all, consumer, all_link);
    queue->consumer_count++;
    queue->had_consumer = true;
    peer->core->consumer_count++;
    return consumer;
}

enum status consumer_may_open(const struct peer *peer, uint32_t number)
{
    struct consumer *consumer;
    HASH_FIND(hh, peer->consumers, &number, sizeof number, consumer);
    if (consumer != NULL)
        return STATUS_CONSUMER_EXISTS;
    return peer->core->consumer_count < peer->core->limits.consumers_max ? STATUS_OK : STATUS_LIMIT;
}

enum { PREFETCH_MESSAGES_MAX = 1 << 20 };

/* One at a time is fair for commands; events that a bound queue gathers are better had in numbers.
 */
static uint32_t default_prefetch(const struct queue *queue, const struct core_limits *limits)
{
    return queue->binding_count > 0 || queue->cursor != NULL ? limits->event_prefetch_messages
                                                             : limits->queue_prefetch_messages;
}

enum status consumer_open(struct peer *peer, struct queue *queue,
                          const struct frame_consume *consume)
{
    enum status status = consumer_may_open(peer, consume->consumer);
    if (status != STATUS_OK)
        return status;
    if (queue->owner != NULL && queue->owner != peer)
        return STATUS_EXCLUSIVE;
    struct consumer *consumer = consumer_new(peer, queue, consume->consumer);
    if (consumer == NULL)
        return STATUS_NO_MEMORY;
    consumer->prefetch_messages = consume->prefetch_messages != 0
                                      ? consume->prefetch_messages
                                      : default_prefetch(queue, &peer->core->limits);
    if (consumer->prefetch_messages > PREFETCH_MESSAGES_MAX)
        consumer->prefetch_messages = PREFETCH_MESSAGES_MAX;
    consumer->prefetch_bytes = consume->prefetch_bytes;
    consumer_elect(peer->core, queue);
    consumer_update(consumer);
    return STATUS_OK;
}

static void on_more(void *argument)
{
    struct queue *queue = argument;
    queue_wake(queue->core, queue);
}

/* Where the reader begins; the handler has looked at it. */
static enum status seat(struct feed *feed, const struct frame_follow *follow)
{
    const struct history *history = feed_history(feed);
    if (follow->from == FOLLOW_LAST)
        return feed_seek_last(feed);
    if (follow->from == FOLLOW_NEXT)
        feed_seek(feed, history->last + 1);
    else if (follow->from == FOLLOW_SEQUENCE)
        feed_seek(feed, follow->at);
    else
        feed_seek(feed, history_first(history));
    return STATUS_OK;
}

enum status consumer_follow(struct peer *peer, struct exchange *exchange,
                            const struct frame_follow *follow)
{
    struct core *core = peer->core;
    bool is_by_time = follow->from == FOLLOW_TIME;
    struct feed_terms terms = {follow->pattern, follow->filter, is_by_time ? follow->at : 0};
    enum status status = consumer_may_open(peer, follow->consumer);
    if (status != STATUS_OK)
        return status;
    struct queue *queue = queue_new(core, QUEUE_LIVE, 0, (struct wire_bytes){NULL, 0});
    if (queue == NULL)
        return STATUS_NO_MEMORY;
    queue->feed = feed_new(exchange->history, &terms, on_more, queue);
    struct consumer *consumer = NULL;
    if (queue->feed != NULL && seat(queue->feed, follow) == STATUS_OK)
        consumer = consumer_new(peer, queue, follow->consumer);
    if (consumer == NULL) {
        queue_end(core, queue, STATUS_OK);
        return STATUS_NO_MEMORY;
    }
    queue->live = consumer;
    consumer->exchange = exchange;
    exchange->live_count++;
    consumer_update(consumer);
    return STATUS_OK;
}

enum status consumer_subscribe(struct peer *peer, struct exchange *exchange,
                               const struct frame_subscribe *subscribe)
{
    struct core *core = peer->core;
    enum status status = consumer_may_open(peer, subscribe->consumer);
    if (status != STATUS_OK)
        return status;
    struct queue *queue = queue_new(core, QUEUE_LIVE, 0, (struct wire_bytes){NULL, 0});
    if (queue == NULL)
        return STATUS_NO_MEMORY;
    queue->bytes_max = core->limits.live_unsent_bytes_max;
    queue->count_max = queue->bytes_max / LIVE_EVENT_BYTES_MIN;
    queue->overflow = QUEUE_DROP_OLDEST;
    struct consumer *consumer = consumer_new(peer, queue, subscribe->consumer);
    if (consumer == NULL) {
        queue_end(core, queue, STATUS_OK);
        return STATUS_NO_MEMORY;
    }
    queue->live = consumer;
    consumer->exchange = exchange;
    struct binding_terms terms = {{.queue = queue}, subscribe->pattern, subscribe->filter};
    status = exchange_bind_live(core, exchange, &terms);
    if (status != STATUS_OK) {
        consumer_cancel(consumer);
        return status;
    }
    consumer_update(consumer);
    return STATUS_OK;
}

struct consumer *consumer_find(const struct peer *peer, uint32_t number)
{
    struct consumer *consumer;
    HASH_FIND(hh, peer->consumers, &number, sizeof number, consumer);
    return consumer != NULL && !consumer->is_cancelled ? consumer : NULL;
}

/* --- ending -------------------------------------------------------------------------------------
 */

static void consumer_free(struct consumer *consumer)
{
    struct core *core = consumer->peer->core;
    struct queue *queue = consumer->queue;
    HASH_DEL(consumer->peer->consumers, consumer);
    TAILQ_REMOVE(&queue->all, consumer, all_link);
    if (queue->active == consumer) {
        /* Only now: what it held is settled or has gone back. */
        queue->active = NULL;
        consumer_elect(core, queue);
    }
    queue_unref(core, queue);
    free(consumer);
}

/* Ends what is volatile about a queue once its last consumer has gone. */
static void queue_after_consumer(struct core *core, struct queue *queue)
{
    if (queue->kind == QUEUE_LIVE || queue->is_gone || queue->consumer_count > 0 ||
        !queue->is_auto_delete)
        return;
    /* The broker leaves, not the consumers: what is durable is there again, as after a crash. */
    if (queue->kind == QUEUE_DURABLE && core->is_draining)
        return;
    if (queue->kind == QUEUE_DURABLE) {
        struct operation_queue_gone operation = {queue->number};
        /* Without room in the journal it stays; the next consumer's leaving tries again. */
        if (recorder_append_queue_gone(core, NULL, &operation, NULL) != STATUS_OK)
            return;
    }
    queue_end(core, queue, STATUS_NO_QUEUE);
}

void consumer_cancel(struct consumer *consumer)
{
    struct core *core = consumer->peer->core;
    struct queue *queue = consumer->queue;
    consumer->is_cancelled = true;
    consumer_update(consumer);
    queue->consumer_count--;
    core->consumer_count--;
    queue_ref(queue);
    if (queue->kind == QUEUE_LIVE) {
        if (queue->feed != NULL)
            consumer->exchange->live_count--;
        else
            exchange_unbind_queue(core, queue);
        queue->live = NULL;
        queue_end(core, queue, STATUS_OK);
    }
    if (consumer->unsettled_count == 0)
        consumer_free(consumer);
    queue_after_consumer(core, queue);
    queue_unref(core, queue);
}

static void tell_gone(struct consumer *consumer, enum status status)
{
    struct frame frame = {.header.type = FRAME_CONSUMER_GONE};
    frame.as.consumer_gone = (struct frame_consumer_gone){consumer->number, (uint16_t)status};
    output_frame(consumer->peer, &frame);
}

void consumer_end_broken(struct consumer *consumer)
{
    tell_gone(consumer, STATUS_UNREADABLE);
    consumer_cancel(consumer);
}

void consumer_end_live(struct core *core, const struct exchange *exchange)
{
    if (exchange->live_count == 0)
        return;
    struct peer *peer;
    TAILQ_FOREACH (peer, &core->peers, link) {
        struct consumer *consumer;
        struct consumer *next;
        HASH_ITER (hh, peer->consumers, consumer, next)
            if (consumer->exchange == exchange && !consumer->is_cancelled) {
                tell_gone(consumer, STATUS_NO_EXCHANGE);
                consumer_cancel(consumer);
            }
    }
}

void consumer_on_settled(struct peer *peer, struct delivery *delivery)
{
    struct consumer *consumer = delivery->consumer;
    consumer->unsettled_count--;
    consumer->unsettled_bytes -= delivery->bytes;
    delivery_remove(peer, delivery);
    if (consumer->is_cancelled && consumer->unsettled_count == 0)
        consumer_free(consumer);
    else
        consumer_update(consumer);
}

/* The deliveries of a queue that is gone mean nothing any more. */
static void peer_drop_deliveries(struct peer *peer, const struct queue *queue)
{
    struct delivery *delivery = delivery_find_from(peer, 0);
    while (delivery != NULL) {
        struct delivery *next = delivery_next(peer, delivery);
        if (delivery->consumer->queue == queue)
            consumer_on_settled(peer, delivery);
        delivery = next;
    }
}

void consumer_end_all(struct core *core, struct queue *queue, enum status status)
{
    if (queue->consumer_count == 0 && queue->out_count == 0)
        return;
    struct peer *peer;
    TAILQ_FOREACH (peer, &core->peers, link) {
        peer_drop_deliveries(peer, queue);
        struct consumer *consumer;
        struct consumer *next;
        HASH_ITER (hh, peer->consumers, consumer, next)
            if (consumer->queue == queue && !consumer->is_cancelled) {
                tell_gone(consumer, status);
                consumer_cancel(consumer);
            }
    }
}

void consumer_drop_stale(struct core *core, struct queue *queue)
{
    struct peer *peer;
    TAILQ_FOREACH (peer, &core->peers, link) {
        struct delivery *delivery = delivery_find_from(peer, 0);
        while (delivery != NULL) {
            struct delivery *next = delivery_next(peer, delivery);
            if (delivery->consumer->queue == queue &&
                !standing_is_found(queue_locate(queue, delivery->number)))
                consumer_on_settled(peer, delivery);
            delivery = next;
        }
    }
}

/* Rare, so that all deliveries are looked at. */
void consumer_tell_unwanted(struct core *core, struct queue *queue, uint64_t number,
                            enum status status)
{
    struct peer *peer;
    TAILQ_FOREACH (peer, &core->peers, link) {
        struct delivery *delivery = delivery_find_from(peer, 0);
        while (delivery != NULL &&
               (delivery->number != number || delivery->consumer->queue != queue))
            delivery = delivery_next(peer, delivery);
        if (delivery == NULL)
            continue;
        struct frame frame = {.header.type = FRAME_UNWANTED};
        frame.as.unwanted = (struct frame_unwanted){delivery->name, (uint16_t)status};
        output_frame(peer, &frame);
        return;
    }
}

/* A lost worker counts as a failed attempt for the oldest delivery of a consumer: that is the one
 * it was most likely busy with. */
static void delivery_lost(struct core *core, struct delivery *delivery)
{
    struct queue *queue = delivery->consumer->queue;
    struct standing where = queue_locate(queue, delivery->number);
    if (!standing_is_found(where))
        return;
    core->counters.workers_lost++;
    struct failure failure = {.class = FAIL_RETRYABLE,
                              .ran = OUTCOME_MAYBE_RUN,
                              .is_lost = true,
                              .code = wire_bytes_of_text(status_name(STATUS_WORKER_LOST)),
                              .text = wire_bytes_of_text(status_text(STATUS_WORKER_LOST))};
    /* Where the journal takes nothing, or there is no memory, it does not count. */
    if (retry_fail(core, NULL, queue, delivery->number, &failure) != STATUS_OK)
        queue_return(core, queue, delivery->number);
}

void consumer_end_peer(struct peer *peer, enum peer_leaving leaving)
{
    struct core *core = peer->core;
    struct delivery *delivery = delivery_find_from(peer, 0);
    while (delivery != NULL) {
        struct delivery *next = delivery_next(peer, delivery);
        struct queue *queue = delivery->consumer->queue;
        queue_ref(queue);
        if (leaving == PEER_LOST && !delivery->consumer->is_lost) {
            delivery->consumer->is_lost = true;
            delivery_lost(core, delivery);
        } else {
            queue_return(core, queue, delivery->number);
        }
        consumer_on_settled(peer, delivery);
        queue_unref(core, queue);
        delivery = next;
    }
    /* Consumers that were cancelled went with their last delivery: cancelling the others, which may
     * end a queue, frees nothing but themselves. */
    struct consumer *consumer;
    struct consumer *next_consumer;
    HASH_ITER (hh, peer->consumers, consumer, next_consumer)
        if (!consumer->is_cancelled)
            consumer_cancel(consumer);
    assert(peer->consumers == NULL);
    delivery_deinit(peer);
}
