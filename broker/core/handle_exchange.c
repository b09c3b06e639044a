/* EXCHANGE_CREATE, EXCHANGE_DELETE, BIND, UNBIND. */
#include "broker/core/apply.h"
#include "broker/core/cursor.h"
#include "broker/core/dispatch.h"
#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/sys.h"
#include "protocol/property.h"
#include "protocol/topic.h"

static bool is_kept(struct wire_bytes settings)
{
    return property_find_number(settings, PROPERTY_EXCHANGE_HISTORY, 0) != 0;
}

static enum status check_settings(struct core *core, enum exchange_kind kind,
                                  struct wire_bytes settings)
{
    enum status status = property_check(settings, PROPERTY_SCOPE_EXCHANGE);
    if (status != STATUS_OK)
        return status;
    if (property_find_number(settings, PROPERTY_EXCHANGE_HISTORY, 0) > 1) {
        dispatch_explain(core, "history is 0 (none) or 1 (kept)");
        return STATUS_BAD_VALUE;
    }
    if (is_kept(settings) && kind == EXCHANGE_TRANSIENT) {
        dispatch_explain(core, "a transient exchange keeps no history");
        return STATUS_BAD_VALUE;
    }
    if (is_kept(settings) && core->archive == NULL)
        return STATUS_NO_HISTORY;
    bool has_limits = property_find_number(settings, PROPERTY_EXCHANGE_AGE_MAX, 0) != 0 ||
                      property_find_number(settings, PROPERTY_EXCHANGE_BYTES_MAX, 0) != 0 ||
                      property_find_number(settings, PROPERTY_EXCHANGE_COUNT_MAX, 0) != 0;
    if (has_limits && !is_kept(settings)) {
        dispatch_explain(core, "limits are of a history: ask for one");
        return STATUS_BAD_VALUE;
    }
    return STATUS_OK;
}

/* The same again is fine; something else under the name is not. */
static enum status compare(const struct exchange *exchange, enum exchange_kind kind,
                           struct wire_bytes settings)
{
    const struct history *history = exchange->history;
    if (exchange->kind != kind || (history != NULL) != is_kept(settings))
        return STATUS_MISMATCH;
    struct history wanted = {0};
    history_set(&wanted, settings);
    return history == NULL || (history->age_max_ms == wanted.age_max_ms &&
                               history->bytes_max == wanted.bytes_max &&
                               history->count_max == wanted.count_max)
               ? STATUS_OK
               : STATUS_MISMATCH;
}

static enum status record_exchange(struct peer *peer, const struct frame_exchange_create *create)
{
    struct core *core = peer->core;
    struct operation_exchange operation = {core->next_exchange, create->exchange, create->settings};
    uint64_t position;
    struct exchange *exchange =
        exchange_new(core, EXCHANGE_DURABLE, operation.exchange, operation.name);
    if (exchange == NULL)
        return STATUS_NO_MEMORY;
    enum status status = STATUS_OK;
    if (is_kept(create->settings) && history_new(core, exchange) == NULL)
        status = STATUS_NO_MEMORY;
    if (status == STATUS_OK)
        status = recorder_append_exchange(core, peer, &operation, &position);
    if (status == STATUS_OK)
        return apply_exchange(core, &operation, position);
    exchange_end(core, exchange);
    return status;
}

enum status handle_exchange_create(struct peer *peer, const struct frame *frame)
{
    const struct frame_exchange_create *create = &frame->as.exchange_create;
    struct core *core = peer->core;
    if (topic_check_name(create->exchange) != STATUS_OK || topic_name_is_reserved(create->exchange))
        return STATUS_BAD_NAME;
    enum exchange_kind kind =
        (frame->header.flags & FLAG_TRANSIENT) != 0 ? EXCHANGE_TRANSIENT : EXCHANGE_DURABLE;
    enum status status = check_settings(core, kind, create->settings);
    if (status != STATUS_OK)
        return status;
    const struct exchange *exchange = exchange_find(core, create->exchange);
    if (exchange != NULL)
        return compare(exchange, kind, create->settings);
    if (HASH_CNT(by_name, core->exchanges_by_name) >= core->limits.exchanges_max ||
        core->next_exchange >= NUMBERS_END)
        return STATUS_LIMIT;
    if (kind == EXCHANGE_DURABLE)
        status = record_exchange(peer, create);
    else if (exchange_new(core, kind, core->next_exchange, create->exchange) == NULL)
        status = STATUS_NO_MEMORY;
    else
        core->next_exchange++;
    if (status == STATUS_OK)
        sys_tell(core, &(struct sys_event){SYS_EXCHANGE_CREATED,
                                           .as.exchange_created.exchange = create->exchange});
    return status;
}

/* The cursors of its history go with it. The record names each of them: whoever replays only the
 * end of the journal may find what else is said of one, and nothing of the history that it was of.
 */
static enum status record_gone(struct peer *peer, const struct exchange *exchange)
{
    struct core *core = peer->core;
    struct operation_exchange_gone operation = {exchange->number};
    struct operation_queue_gone cursor_gone = {0};
    size_t bytes = record_size_exchange_gone(&operation);
    const struct cursor *cursor;
    if (exchange->history != NULL)
        LIST_FOREACH (cursor, &exchange->history->cursors, link)
            bytes += record_size_queue_gone(&cursor_gone);
    enum status status = recorder_hold(core, peer, bytes, JOURNAL_URGENT);
    if (status != STATUS_OK)
        return status;
    if (exchange->history != NULL)
        LIST_FOREACH (cursor, &exchange->history->cursors, link) {
            cursor_gone.queue = cursor->queue->number;
            (void)recorder_append_queue_gone(core, peer, &cursor_gone, NULL);
        }
    (void)recorder_append_exchange_gone(core, peer, &operation, NULL);
    recorder_let_go(core);
    return STATUS_OK;
}

enum status handle_exchange_delete(struct peer *peer, const struct frame *frame)
{
    const struct frame_exchange_delete *delete = &frame->as.exchange_delete;
    struct core *core = peer->core;
    if (topic_name_is_reserved(delete->exchange))
        return STATUS_BAD_NAME;
    struct exchange *exchange = dispatch_find_exchange(core, delete->exchange);
    if (exchange == NULL)
        return STATUS_NO_EXCHANGE;
    if ((frame->header.flags & FLAG_IF_UNUSED) != 0 &&
        (exchange->binding_count > 0 || exchange->live_count > 0))
        return STATUS_IN_USE;
    struct operation_exchange_gone operation = {exchange->number};
    if (exchange->kind == EXCHANGE_TRANSIENT) {
        exchange_end(core, exchange);
    } else {
        enum status status = record_gone(peer, exchange);
        if (status != STATUS_OK)
            return status;
        apply_exchange_gone(core, &operation);
    }
    sys_tell(core, &(struct sys_event){SYS_EXCHANGE_DELETED,
                                       .as.exchange_deleted.exchange = delete->exchange});
    return STATUS_OK;
}

/* Both ends of a binding. */
static enum status find_ends(struct peer *peer, const struct frame_bind *bind,
                             struct exchange **exchange, struct queue **queue)
{
    enum status status = topic_check_pattern(bind->pattern);
    if (status != STATUS_OK)
        return status;
    status = sys_open(peer->core, bind->exchange);
    if (status != STATUS_OK)
        return status;
    *exchange = dispatch_find_exchange(peer->core, bind->exchange);
    if (*exchange == NULL)
        return STATUS_NO_EXCHANGE;
    *queue = dispatch_find_queue(peer->core, bind->queue);
    if (*queue == NULL)
        return STATUS_NO_QUEUE;
    if ((*queue)->cursor != NULL) {
        dispatch_explain(peer->core, "%s is a cursor, which has one history", (*queue)->name);
        return STATUS_MISMATCH;
    }
    return (*queue)->owner == NULL || (*queue)->owner == peer ? STATUS_OK : STATUS_EXCLUSIVE;
}

/* A binding lasts when both its ends do. */
static bool is_durable(const struct exchange *exchange, const struct queue *queue)
{
    return exchange->kind == EXCHANGE_DURABLE && queue->kind == QUEUE_DURABLE;
}

enum status handle_bind(struct peer *peer, const struct frame *frame)
{
    const struct frame_bind *bind = &frame->as.bind;
    struct core *core = peer->core;
    struct exchange *exchange;
    struct queue *queue;
    enum status status = find_ends(peer, bind, &exchange, &queue);
    if (status != STATUS_OK)
        return status;
    if (exchange_find_binding(exchange, queue, bind->pattern) != NULL)
        return STATUS_OK;
    if (core->binding_count >= core->limits.bindings_max)
        return STATUS_LIMIT;
    if (!is_durable(exchange, queue))
        return exchange_bind(core, exchange, queue, bind->pattern, 0);
    struct operation_binding operation = {exchange->number, queue->number, bind->pattern};
    status = exchange_bind(core, exchange, queue, bind->pattern, 0);
    if (status != STATUS_OK)
        return status;
    uint64_t position;
    status = recorder_append_binding(core, peer, &operation, &position);
    if (status == STATUS_OK)
        return apply_binding(core, &operation, position);
    exchange_unbind(core, exchange, queue, bind->pattern);
    return status;
}

enum status handle_unbind(struct peer *peer, const struct frame *frame)
{
    const struct frame_unbind *unbind = &frame->as.unbind;
    struct core *core = peer->core;
    struct frame_bind ends = {unbind->queue, unbind->exchange, unbind->pattern};
    struct exchange *exchange;
    struct queue *queue;
    enum status status = find_ends(peer, &ends, &exchange, &queue);
    if (status != STATUS_OK)
        return status;
    if (exchange_find_binding(exchange, queue, unbind->pattern) == NULL)
        return STATUS_NO_BINDING;
    if (!is_durable(exchange, queue)) {
        exchange_unbind(core, exchange, queue, unbind->pattern);
        return STATUS_OK;
    }
    struct operation_unbinding operation = {exchange->number, queue->number, unbind->pattern};
    status = recorder_append_unbinding(core, peer, &operation, NULL);
    if (status != STATUS_OK)
        return status;
    apply_unbinding(core, &operation);
    return STATUS_OK;
}
