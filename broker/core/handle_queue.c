/* QUEUE_CREATE, QUEUE_SET, QUEUE_DELETE, QUEUE_PURGE, PEEK. */
#include <assert.h>

#include "broker/core/apply.h"
#include "broker/core/consumer.h"
#include "broker/core/cursor.h"
#include "broker/core/dispatch.h"
#include "broker/core/expiry.h"
#include "broker/core/history.h"
#include "broker/core/line.h"
#include "broker/core/peek.h"
#include "broker/core/purge.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "protocol/property.h"
#include "protocol/topic.h"

/* Room for a queue's settings written whole. */
enum { SETTINGS_BYTES = 256 };

static enum status check_settings(struct core *core, struct wire_bytes settings)
{
    enum status status = property_check(settings, PROPERTY_SCOPE_QUEUE);
    if (status != STATUS_OK)
        return status;
    if (property_find_number(settings, PROPERTY_QUEUE_OVERFLOW, QUEUE_REFUSE) > QUEUE_DROP_OLDEST) {
        dispatch_explain(core, "overflow is 0 (refuse) or 1 (drop the oldest)");
        return STATUS_BAD_VALUE;
    }
    if (property_find_number(settings, PROPERTY_QUEUE_LANE_PARKED, 0) > LANE_PARKED_GO_ON) {
        dispatch_explain(core, "lane_parked is 0 (block), 1 (park) or 2 (go on)");
        return STATUS_BAD_VALUE;
    }
    return STATUS_OK;
}

/* Writes the definition whole and applies it. */
static enum status record_queue(struct peer *peer, uint32_t number, struct wire_bytes name,
                                uint8_t flags, const struct queue *as)
{
    struct core *core = peer->core;
    unsigned char settings[SETTINGS_BYTES];
    struct wire_writer s = wire_writer_of(settings, sizeof settings);
    queue_put_settings(as, &s);
    assert(!s.failed);
    struct operation_queue operation = {number, name, flags & FLAG_QUEUE_AUTO_DELETE,
                                        wire_bytes_of(settings, (uint32_t)wire_written(&s))};
    struct queue *made = NULL;
    if (queue_find_number(core, number) == NULL) {
        made = queue_new(core, QUEUE_DURABLE, number, name);
        if (made == NULL)
            return STATUS_NO_MEMORY;
    }
    uint64_t position;
    enum status status = recorder_append_queue(core, peer, &operation, &position);
    if (status == STATUS_OK)
        return apply_queue(core, &operation, position);
    if (made != NULL)
        queue_end(core, made, status);
    return status;
}

/* The same again is fine; something else under the name is not. */
static enum status compare(struct peer *peer, const struct queue *queue, uint8_t flags,
                           struct wire_bytes settings)
{
    bool is_transient = (flags & (FLAG_QUEUE_TRANSIENT | FLAG_QUEUE_EXCLUSIVE)) != 0;
    bool is_exclusive = (flags & FLAG_QUEUE_EXCLUSIVE) != 0;
    bool is_auto_delete = (flags & FLAG_QUEUE_AUTO_DELETE) != 0;
    if (queue->owner != NULL && queue->owner != peer)
        return STATUS_EXCLUSIVE;
    struct queue wanted = {0};
    queue_set_default(&wanted, &peer->core->limits);
    queue_set(&wanted, settings);
    bool is_same = (queue->kind == QUEUE_TRANSIENT) == is_transient &&
                   (queue->owner != NULL) == is_exclusive &&
                   queue->is_auto_delete == is_auto_delete &&
                   queue->count_max == wanted.count_max && queue->bytes_max == wanted.bytes_max &&
                   queue->overflow == wanted.overflow &&
                   memcmp(&queue->retry, &wanted.retry, sizeof wanted.retry) == 0 &&
                   queue->lease_ms == wanted.lease_ms && queue->ttl_ms == wanted.ttl_ms &&
                   queue->lane_parked == wanted.lane_parked &&
                   queue->is_single_active == wanted.is_single_active &&
                   queue->breaker.limit == wanted.breaker.limit;
    return is_same ? STATUS_OK : STATUS_MISMATCH;
}

static enum status create_transient(struct peer *peer, struct wire_bytes name, uint8_t flags,
                                    struct wire_bytes settings)
{
    struct core *core = peer->core;
    struct queue *queue = queue_new(core, QUEUE_TRANSIENT, core->next_queue, name);
    if (queue == NULL)
        return STATUS_NO_MEMORY;
    core->next_queue++;
    queue->is_auto_delete = (flags & FLAG_QUEUE_AUTO_DELETE) != 0;
    if ((flags & FLAG_QUEUE_EXCLUSIVE) != 0) {
        queue->owner = peer;
        peer->exclusive_count++;
    }
    queue_set(queue, settings);
    return STATUS_OK;
}

static enum status create_durable(struct peer *peer, struct wire_bytes name, uint8_t flags,
                                  struct wire_bytes settings)
{
    struct core *core = peer->core;
    struct queue as = {0};
    queue_set_default(&as, &core->limits);
    queue_set(&as, settings);
    return record_queue(peer, core->next_queue, name, flags, &as);
}

enum status handle_queue_create(struct peer *peer, const struct frame *frame)
{
    const struct frame_queue_create *create = &frame->as.queue_create;
    struct core *core = peer->core;
    uint8_t flags = frame->header.flags;
    if (topic_check_name(create->queue) != STATUS_OK || topic_name_is_reserved(create->queue))
        return STATUS_BAD_NAME;
    enum status status = check_settings(core, create->settings);
    if (status != STATUS_OK)
        return status;
    const struct queue *queue = queue_find(core, create->queue);
    if (queue != NULL)
        return compare(peer, queue, flags, create->settings);
    if (HASH_CNT(by_name, core->queues_by_name) >= core->limits.queues_max ||
        core->next_queue >= NUMBERS_END)
        return STATUS_LIMIT;
    /* What belongs to one connection cannot outlive it, let alone the broker. */
    if ((flags & (FLAG_QUEUE_TRANSIENT | FLAG_QUEUE_EXCLUSIVE)) != 0)
        status = create_transient(peer, create->queue, flags, create->settings);
    else
        status = create_durable(peer, create->queue, flags, create->settings);
    if (status == STATUS_OK)
        sys_tell(core,
                 &(struct sys_event){SYS_QUEUE_CREATED, .as.queue_created.queue = create->queue});
    return status;
}

enum status queue_find_own(struct peer *peer, struct wire_bytes name, struct queue **queue)
{
    *queue = dispatch_find_queue(peer->core, name);
    if (*queue == NULL)
        return STATUS_NO_QUEUE;
    return (*queue)->owner == NULL || (*queue)->owner == peer ? STATUS_OK : STATUS_EXCLUSIVE;
}

/* What follows from changed settings at once. */
static void on_settings(struct core *core, struct queue *queue)
{
    consumer_elect(core, queue);
    breaker_on_settings(core, queue);
    expiry_watch(core, queue, core->now_ms);
    for (struct lane *lane = lane_next(queue, NULL); lane != NULL; lane = lane_next(queue, lane))
        lane_update(core, lane);
    queue_wake(core, queue);
}

enum status handle_queue_set(struct peer *peer, const struct frame *frame)
{
    const struct frame_queue_set *set = &frame->as.queue_set;
    struct queue *queue;
    enum status status = check_settings(peer->core, set->settings);
    if (status == STATUS_OK)
        status = queue_find_own(peer, set->queue, &queue);
    if (status != STATUS_OK)
        return status;
    if (queue->kind != QUEUE_DURABLE) {
        queue_set(queue, set->settings);
        on_settings(peer->core, queue);
        return STATUS_OK;
    }
    struct queue as = {.count_max = queue->count_max,
                       .bytes_max = queue->bytes_max,
                       .overflow = queue->overflow,
                       .retry = queue->retry,
                       .lease_ms = queue->lease_ms,
                       .ttl_ms = queue->ttl_ms,
                       .lane_parked = queue->lane_parked,
                       .is_single_active = queue->is_single_active,
                       .is_paused = queue->is_paused,
                       .breaker.limit = queue->breaker.limit};
    queue_set(&as, set->settings);
    status = record_queue(peer, queue->number, set->queue,
                          queue->is_auto_delete ? FLAG_QUEUE_AUTO_DELETE : 0, &as);
    if (status == STATUS_OK)
        on_settings(peer->core, queue);
    return status;
}

enum status handle_queue_delete(struct peer *peer, const struct frame *frame)
{
    const struct frame_queue_delete *delete = &frame->as.queue_delete;
    struct core *core = peer->core;
    struct queue *queue;
    enum status status = queue_find_own(peer, delete->queue, &queue);
    if (status != STATUS_OK)
        return status;
    if ((frame->header.flags & FLAG_IF_EMPTY) != 0 && queue_count(queue) > 0)
        return STATUS_NOT_EMPTY;
    if ((frame->header.flags & FLAG_IF_UNUSED) != 0 && queue->consumer_count > 0)
        return STATUS_IN_USE;
    if (queue->kind != QUEUE_DURABLE) {
        queue_end(core, queue, STATUS_NO_QUEUE);
        return STATUS_OK;
    }
    struct operation_queue_gone operation = {queue->number};
    status = recorder_append_queue_gone(core, peer, &operation, NULL);
    if (status != STATUS_OK)
        return status;
    apply_queue_gone(core, &operation);
    return STATUS_OK;
}

enum status handle_queue_purge(struct peer *peer, const struct frame *frame)
{
    struct queue *queue;
    enum status status = queue_find_own(peer, frame->as.queue_purge.queue, &queue);
    if (status != STATUS_OK)
        return status;
    uint64_t passed = 0;
    if (queue->cursor != NULL) {
        passed = cursor_lag(queue->cursor);
        status = cursor_seek(peer->core, peer, queue->cursor,
                             feed_history(queue->cursor->feed)->last, 0);
    }
    uint64_t count = queue_count(queue);
    if (status == STATUS_OK)
        status = queue_purge(peer->core, peer, queue);
    if (status == STATUS_OK)
        line_count(peer, frame->header.tag, passed + count - queue_count(queue));
    return status;
}

enum status handle_peek(struct peer *peer, const struct frame *frame)
{
    const struct frame_peek *peek = &frame->as.peek;
    struct queue *queue;
    if (peek->what > PEEK_PARKED)
        return STATUS_BAD_VALUE;
    enum status status = queue_find_own(peer, peek->queue, &queue);
    return status == STATUS_OK ? peek_new(peer, queue, frame->header.tag, peek) : status;
}
