/* EXCHANGE_CREATE, EXCHANGE_DELETE, BIND, UNBIND. */
#include "broker/core/apply.h"
#include "broker/core/cursor.h"
#include "broker/core/dispatch.h"
#include "broker/core/exchange.h"
#include "broker/core/filter.h"
#include "broker/core/history.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/relay.h"
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
        (exchange->binding_count > 0 || exchange->inbound_count > 0 || exchange->live_count > 0))
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

/* Both ends of a binding, as BIND and UNBIND name them. */
struct ends {
    uint8_t flags;
    struct wire_bytes to_name;
    struct wire_bytes exchange_name;
    struct wire_bytes pattern;
    struct exchange *exchange; /* out */
    struct destination to;     /* out */
};

static enum status find_queue(struct peer *peer, struct ends *ends)
{
    enum status status = queue_find_own(peer, ends->to_name, &ends->to.queue);
    if (status == STATUS_OK && ends->to.queue->cursor != NULL) {
        dispatch_explain(peer->core, "%s is a cursor, which has one history", ends->to.queue->name);
        return STATUS_MISMATCH;
    }
    return status;
}

/* Where to. Nothing goes to the broker's own exchanges but what the broker publishes. */
static enum status find_destination(struct peer *peer, struct ends *ends)
{
    struct core *core = peer->core;
    if ((ends->flags & FLAG_TO_EXCHANGE) == 0)
        return find_queue(peer, ends);
    if (topic_name_is_reserved(ends->to_name)) {
        dispatch_explain(core, "only the broker publishes here");
        return STATUS_DENIED;
    }
    ends->to.exchange = dispatch_find_exchange(core, ends->to_name);
    if (ends->to.exchange == NULL)
        return STATUS_NO_EXCHANGE;
    if (ends->to.exchange->history != NULL) {
        dispatch_explain(core, "%s keeps what is published to it, and nothing else",
                         ends->to.exchange->name);
        return STATUS_MISMATCH;
    }
    return STATUS_OK;
}

static enum status find_ends(struct peer *peer, struct ends *ends)
{
    enum status status = topic_check_pattern(ends->pattern);
    if (status != STATUS_OK)
        return status;
    status = sys_open(peer->core, ends->exchange_name);
    if (status != STATUS_OK)
        return status;
    ends->exchange = dispatch_find_exchange(peer->core, ends->exchange_name);
    return ends->exchange != NULL ? find_destination(peer, ends) : STATUS_NO_EXCHANGE;
}

/* A binding lasts when both its ends do. */
static bool is_durable(const struct ends *ends)
{
    if (ends->exchange->kind != EXCHANGE_DURABLE)
        return false;
    return ends->to.queue != NULL ? ends->to.queue->kind == QUEUE_DURABLE
                                  : ends->to.exchange->kind == EXCHANGE_DURABLE;
}

static uint8_t kind_of(const struct ends *ends)
{
    return ends->to.exchange != NULL ? BINDING_TO_EXCHANGE : BINDING_TO_QUEUE;
}

static uint32_t number_of(const struct ends *ends)
{
    return ends->to.exchange != NULL ? ends->to.exchange->number : ends->to.queue->number;
}

/* Whether something new may be bound like that. */
static enum status check_new(struct core *core, const struct ends *ends)
{
    if (core->binding_count >= core->limits.bindings_max)
        return STATUS_LIMIT;
    if (ends->to.exchange == NULL)
        return STATUS_OK;
    enum status status = relay_check(core, ends->exchange, ends->to.exchange);
    if (status == STATUS_LIMIT)
        dispatch_explain(core, "an event would go through more than %d exchanges behind the first",
                         RELAY_HOPS_MAX);
    return status;
}

static enum status record_binding(struct peer *peer, const struct ends *ends,
                                  const struct binding_terms *terms)
{
    struct core *core = peer->core;
    struct operation_binding operation = {ends->exchange->number, kind_of(ends), number_of(ends),
                                          terms->pattern, terms->filter};
    uint64_t position;
    enum status status = recorder_append_binding(core, peer, &operation, &position);
    if (status == STATUS_OK)
        return apply_binding(core, &operation, position);
    exchange_unbind(core, ends->exchange, ends->to, ends->pattern);
    return status;
}

enum status handle_bind(struct peer *peer, const struct frame *frame)
{
    const struct frame_bind *bind = &frame->as.bind;
    struct core *core = peer->core;
    struct ends ends = {.flags = frame->header.flags,
                        .to_name = bind->to,
                        .exchange_name = bind->exchange,
                        .pattern = bind->pattern};
    enum status status = filter_check(bind->filter);
    if (status == STATUS_OK)
        status = find_ends(peer, &ends);
    if (status != STATUS_OK)
        return status;
    const struct binding *known = exchange_find_binding(ends.exchange, ends.to, bind->pattern);
    if (known != NULL && filter_is_same(binding_filter(known), bind->filter))
        return STATUS_OK;
    if (known != NULL) {
        dispatch_explain(core, "it is bound by this pattern with another filter");
        return STATUS_MISMATCH;
    }
    status = check_new(core, &ends);
    if (status != STATUS_OK)
        return status;
    struct binding_terms terms = {ends.to, bind->pattern, bind->filter};
    status = exchange_bind(core, ends.exchange, &terms, 0);
    return status == STATUS_OK && is_durable(&ends) ? record_binding(peer, &ends, &terms) : status;
}

enum status handle_unbind(struct peer *peer, const struct frame *frame)
{
    const struct frame_unbind *unbind = &frame->as.unbind;
    struct core *core = peer->core;
    struct ends ends = {.flags = frame->header.flags,
                        .to_name = unbind->to,
                        .exchange_name = unbind->exchange,
                        .pattern = unbind->pattern};
    enum status status = find_ends(peer, &ends);
    if (status != STATUS_OK)
        return status;
    if (exchange_find_binding(ends.exchange, ends.to, unbind->pattern) == NULL)
        return STATUS_NO_BINDING;
    if (!is_durable(&ends)) {
        exchange_unbind(core, ends.exchange, ends.to, unbind->pattern);
        return STATUS_OK;
    }
    struct operation_unbinding operation = {ends.exchange->number, kind_of(&ends), number_of(&ends),
                                            unbind->pattern};
    status = recorder_append_unbinding(core, peer, &operation, NULL);
    if (status != STATUS_OK)
        return status;
    apply_unbinding(core, &operation);
    return STATUS_OK;
}
