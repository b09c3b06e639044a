/* EXCHANGE_SET, FOLLOW, CURSOR_SEEK, READ: exchanges that keep their events. */
#include "broker/core/apply.h"
#include "broker/core/consumer.h"
#include "broker/core/cursor.h"
#include "broker/core/dispatch.h"
#include "broker/core/entity_read.h"
#include "broker/core/event.h"
#include "broker/core/exchange.h"
#include "broker/core/filter.h"
#include "broker/core/history.h"
#include "broker/core/line.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "protocol/property.h"
#include "protocol/topic.h"

enum { SETTINGS_BYTES = 256 };

/* The history of an exchange that a frame names. */
static enum status find_history(struct core *core, struct wire_bytes exchange,
                                struct history **history)
{
    struct exchange *found = dispatch_find_exchange(core, exchange);
    if (found == NULL)
        return STATUS_NO_EXCHANGE;
    *history = found->history;
    if (*history == NULL)
        dispatch_explain(core, "exchange %s keeps no history", found->name);
    return *history != NULL ? STATUS_OK : STATUS_NO_HISTORY;
}

enum status handle_exchange_set(struct peer *peer, const struct frame *frame)
{
    const struct frame_exchange_set *set = &frame->as.exchange_set;
    struct core *core = peer->core;
    struct history *history;
    enum status status = property_check(set->settings, PROPERTY_SCOPE_EXCHANGE);
    if (status == STATUS_OK)
        status = find_history(core, set->exchange, &history);
    if (status != STATUS_OK)
        return status;
    if (property_find_number(set->settings, PROPERTY_EXCHANGE_HISTORY, 1) == 0) {
        dispatch_explain(core, "a history ends with its exchange only");
        return STATUS_MISMATCH;
    }
    struct history as = *history;
    history_set(&as, set->settings);
    unsigned char settings[SETTINGS_BYTES];
    struct wire_writer w = wire_writer_of(settings, sizeof settings);
    history_put_settings(&as, &w);
    struct operation_exchange operation = {history->number, set->exchange,
                                           wire_bytes_of(settings, (uint32_t)wire_written(&w))};
    uint64_t position;
    status = recorder_append_exchange(core, peer, &operation, &position);
    return status == STATUS_OK ? apply_exchange(core, &operation, position) : status;
}

/* --- reading ------------------------------------------------------------------------------------
 */

static enum status check_place(struct core *core, const struct history *history, uint8_t from,
                               uint64_t at)
{
    if (from > FOLLOW_LAST) {
        dispatch_explain(core, "a reader begins at 0 (next) to 4 (the last of each key)");
        return STATUS_BAD_VALUE;
    }
    if (from == FOLLOW_SEQUENCE && (at == 0 || at > history->last + 1)) {
        dispatch_explain(core, "the events are 1 to %llu", (unsigned long long)history->last);
        return STATUS_BAD_VALUE;
    }
    return STATUS_OK;
}

/* All events up to this one are not wanted. */
static uint64_t low_of(const struct history *history, uint8_t from, uint64_t at)
{
    if (from == FOLLOW_NEXT)
        return history->last;
    return from == FOLLOW_SEQUENCE ? at - 1 : history_first(history) - 1;
}

/* A queue and its cursor, in one record. */
static enum status create_cursor(struct peer *peer, const struct frame_follow *follow,
                                 struct history *history, struct queue **made)
{
    struct core *core = peer->core;
    bool is_by_time = follow->from == FOLLOW_TIME;
    struct feed_terms terms = {follow->pattern, follow->filter, is_by_time ? follow->at : 0};
    uint64_t low = low_of(history, follow->from, follow->at);
    struct queue *queue = queue_new(core, QUEUE_DURABLE, core->next_queue, follow->cursor);
    if (queue == NULL)
        return STATUS_NO_MEMORY;
    unsigned char settings[SETTINGS_BYTES];
    struct wire_writer s = wire_writer_of(settings, sizeof settings);
    queue_put_settings(queue, &s);
    struct operation_queue definition = {queue->number, follow->cursor, 0,
                                         wire_bytes_of(settings, (uint32_t)wire_written(&s))};
    unsigned char range[16];
    wire_store_u64(range, 1);
    wire_store_u64(range + 8, low);
    struct operation_cursor operation = {.queue = queue->number,
                                         .exchange = history->number,
                                         .pattern = terms.pattern,
                                         .filter = terms.filter,
                                         .from_ms = terms.from_ms,
                                         .done = wire_bytes_of(range, low > 0 ? sizeof range : 0)};
    enum status status = cursor_new(queue, history, &terms);
    if (status == STATUS_OK)
        status = cursor_reserve(queue->cursor);
    if (status == STATUS_OK)
        status = recorder_hold(core, peer,
                               record_size_queue(&definition) + record_size_cursor(&operation),
                               JOURNAL_FRESH);
    if (status != STATUS_OK) {
        queue_end(core, queue, status);
        return status;
    }
    uint64_t position;
    (void)recorder_append_queue(core, peer, &definition, &position);
    status = apply_queue(core, &definition, position);
    (void)recorder_append_cursor(core, peer, &operation, &position);
    recorder_let_go(core);
    if (status == STATUS_OK)
        status = cursor_apply(core, queue, &operation, position);
    if (status == STATUS_OK)
        sys_tell(core,
                 &(struct sys_event){SYS_QUEUE_CREATED, .as.queue_created.queue = follow->cursor});
    *made = queue;
    return status;
}

/* The cursor of this name, made if it is not there. */
static enum status open_cursor(struct peer *peer, const struct frame_follow *follow,
                               struct history *history, struct queue **queue)
{
    struct core *core = peer->core;
    if (topic_check_name(follow->cursor) != STATUS_OK || topic_name_is_reserved(follow->cursor))
        return STATUS_BAD_NAME;
    *queue = queue_find(core, follow->cursor);
    if (*queue == NULL && follow->from == FOLLOW_LAST) {
        dispatch_explain(core, "a stored cursor has no way back to the last of each key");
        return STATUS_BAD_VALUE;
    }
    if (*queue == NULL && (HASH_CNT(by_name, core->queues_by_name) >= core->limits.queues_max ||
                           core->next_queue >= NUMBERS_END))
        return STATUS_LIMIT;
    if (*queue == NULL)
        return create_cursor(peer, follow, history, queue);
    const struct cursor *cursor = (*queue)->cursor;
    if (cursor == NULL || feed_history(cursor->feed) != history) {
        dispatch_explain(core, "%s is no cursor of this exchange", (*queue)->name);
        return STATUS_MISMATCH;
    }
    const struct feed_terms *terms = feed_get_terms(cursor->feed);
    if (!wire_bytes_equal(terms->pattern, follow->pattern) ||
        !filter_is_same(terms->filter, follow->filter)) {
        dispatch_explain(core, "cursor %s has pattern %.*s, and its own filter", (*queue)->name,
                         (int)terms->pattern.bytes, (const char *)terms->pattern.at);
        return STATUS_MISMATCH;
    }
    return STATUS_OK;
}

enum status handle_follow(struct peer *peer, const struct frame *frame)
{
    const struct frame_follow *follow = &frame->as.follow;
    struct core *core = peer->core;
    struct history *history;
    enum status status = topic_check_pattern(follow->pattern);
    if (status == STATUS_OK)
        status = filter_check(follow->filter);
    if (status == STATUS_OK)
        status = find_history(core, follow->exchange, &history);
    if (status == STATUS_OK)
        status = check_place(core, history, follow->from, follow->at);
    if (status != STATUS_OK)
        return status;
    if (core->is_draining)
        return STATUS_DRAINING;
    if (follow->cursor.bytes == 0) {
        status = consumer_follow(peer, history->exchange, follow);
        /* Without this, who comes back before the first event would not know where to go on. */
        if (status == STATUS_OK && follow->from == FOLLOW_NEXT)
            line_count(peer, frame->header.tag, history->last);
        return status;
    }
    struct queue *queue;
    status = consumer_may_open(peer, follow->consumer);
    if (status == STATUS_OK)
        status = open_cursor(peer, follow, history, &queue);
    if (status != STATUS_OK)
        return status;
    struct frame_consume consume = {follow->consumer, follow->cursor, follow->prefetch_messages,
                                    follow->prefetch_bytes};
    return consumer_open(peer, queue, &consume);
}

enum status handle_cursor_seek(struct peer *peer, const struct frame *frame)
{
    const struct frame_cursor_seek *seek = &frame->as.cursor_seek;
    struct core *core = peer->core;
    struct queue *queue = dispatch_find_queue(core, seek->cursor);
    if (queue == NULL)
        return STATUS_NO_QUEUE;
    if (queue->cursor == NULL) {
        dispatch_explain(core, "%s is no cursor", queue->name);
        return STATUS_MISMATCH;
    }
    const struct history *history = feed_history(queue->cursor->feed);
    enum status status = check_place(core, history, seek->from, seek->at);
    if (status == STATUS_OK && seek->from == FOLLOW_LAST)
        status = STATUS_BAD_VALUE;
    if (status != STATUS_OK)
        return status;
    return cursor_seek(core, peer, queue->cursor, low_of(history, seek->from, seek->at),
                       seek->from == FOLLOW_TIME ? seek->at : 0);
}

enum status handle_read(struct peer *peer, const struct frame *frame)
{
    const struct frame_read *read = &frame->as.read;
    struct core *core = peer->core;
    struct history *history;
    enum status status = find_history(core, read->exchange, &history);
    if (status != STATUS_OK)
        return status;
    if (!event_entity_is_good(read->entity))
        return STATUS_BAD_NAME;
    return entity_read_new(peer, history, frame);
}
