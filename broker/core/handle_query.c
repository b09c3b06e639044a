/* QUERY: rows about queues, exchanges, bindings, connections and counters.
 *
 * Lists come a page at a time, in the order of numbers, so that no answer holds the loop or memory
 * for long; the page after is asked for with the last row's number.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/cursor.h"
#include "broker/core/dispatch.h"
#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/kept.h"
#include "broker/core/page.h"
#include "broker/core/query_route.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/spill.h"
#include "protocol/property.h"
#include "protocol/topic.h"

/* Empty when there is none. */
static void put_id(struct wire_writer *w, const char *name, const struct wire_id *id)
{
    char text[37];
    const unsigned char *at = id->byte;
    (void)snprintf(text, sizeof text,
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", at[0],
                   at[1], at[2], at[3], at[4], at[5], at[6], at[7], at[8], at[9], at[10], at[11],
                   at[12], at[13], at[14], at[15]);
    page_put_text(w, name, wire_id_is_zero(id) ? "" : text);
}

static const char *const lane_parked_names[] = {"block", "park", "go-on"};

static void put_cursor(struct wire_writer *w, const struct cursor *cursor)
{
    page_put_text(w, "exchange", feed_history(cursor->feed)->exchange->name);
    row_put_text(w, "pattern", feed_get_terms(cursor->feed)->pattern);
    row_put_number(w, "at", ROW_NUMBER, cursor_low(cursor));
    row_put_number(w, "lag", ROW_NUMBER, cursor_lag(cursor));
}

static void row_queue(struct page *page, const struct queue *queue)
{
    struct wire_writer *w = page_begin_row(page);
    row_put_number(w, "number", ROW_NUMBER, queue->number);
    page_put_text(w, "name", queue->name);
    row_put_number(w, "durable", ROW_FLAG, queue->kind == QUEUE_DURABLE);
    row_put_number(w, "exclusive", ROW_FLAG, queue->owner != NULL);
    row_put_number(w, "auto_delete", ROW_FLAG, queue->is_auto_delete);
    row_put_number(w, "messages", ROW_NUMBER, queue_count(queue));
    row_put_number(w, "ready", ROW_NUMBER, queue_ready_count(queue));
    row_put_number(w, "running", ROW_NUMBER, queue->out_count);
    row_put_number(w, "waiting", ROW_NUMBER, queue->asides.waiting_count);
    row_put_number(w, "parked", ROW_NUMBER, HASH_CNT(hh, queue->parked));
    row_put_number(w, "consumers", ROW_NUMBER, queue->consumer_count);
    row_put_number(w, "bindings", ROW_NUMBER, queue->binding_count);
    row_put_number(w, "bytes", ROW_BYTES, queue->bytes);
    row_put_number(w, "max_count", ROW_NUMBER, queue->count_max);
    row_put_number(w, "max_bytes", ROW_BYTES, queue->bytes_max);
    page_put_text(w, "overflow", queue->overflow == QUEUE_REFUSE ? "refuse" : "drop-oldest");
    row_put_number(w, "attempts", ROW_NUMBER, queue->retry.attempts_max);
    row_put_number(w, "backoff", ROW_MILLISECONDS, queue->retry.backoff_ms);
    row_put_number(w, "backoff_max", ROW_MILLISECONDS, queue->retry.backoff_max_ms);
    row_put_number(w, "retry_for", ROW_MILLISECONDS, queue->retry.retry_for_ms);
    row_put_number(w, "lease", ROW_MILLISECONDS, queue->lease_ms);
    row_put_number(w, "ttl", ROW_MILLISECONDS, queue->ttl_ms);
    row_put_number(w, "breaker", ROW_NUMBER, queue->breaker.limit);
    row_put_number(w, "tripped", ROW_FLAG, queue->breaker.is_tripped);
    row_put_number(w, "single_active", ROW_FLAG, queue->is_single_active);
    row_put_number(w, "paused", ROW_FLAG, queue->is_paused);
    page_put_text(w, "lane_parked", lane_parked_names[queue->lane_parked]);
    row_put_number(w, "lanes", ROW_NUMBER, queue->lanes.count);
    row_put_number(w, "blocked", ROW_NUMBER, queue->asides.blocked_count);
    row_put_number(w, "accepted", ROW_NUMBER, queue->accepted_total);
    row_put_number(w, "delivered", ROW_NUMBER, queue->delivered_total);
    row_put_number(w, "settled", ROW_NUMBER, queue->settled_total);
    row_put_number(w, "failed", ROW_NUMBER, queue->failed_total);
    if (queue->cursor != NULL)
        put_cursor(w, queue->cursor);
    page_end_row(page);
}

static void put_history(struct wire_writer *w, const struct history *history)
{
    row_put_number(w, "history", ROW_FLAG, history != NULL);
    if (history == NULL)
        return;
    row_put_number(w, "first", ROW_NUMBER, history_first(history));
    row_put_number(w, "last", ROW_NUMBER, history->last);
    row_put_number(w, "history_bytes", ROW_BYTES, history_bytes(history) + history->tail_bytes);
    row_put_number(w, "entities", ROW_NUMBER, history->entities.count);
    row_put_number(w, "max_age", ROW_MILLISECONDS, history->age_max_ms);
    row_put_number(w, "max_bytes", ROW_BYTES, history->bytes_max);
    row_put_number(w, "max_count", ROW_NUMBER, history->count_max);
}

static void row_exchange(struct page *page, const struct exchange *exchange)
{
    struct wire_writer *w = page_begin_row(page);
    row_put_number(w, "number", ROW_NUMBER, exchange->number);
    page_put_text(w, "name", exchange->name);
    row_put_number(w, "durable", ROW_FLAG, exchange->kind == EXCHANGE_DURABLE);
    row_put_number(w, "bindings", ROW_NUMBER, exchange->binding_count);
    row_put_number(w, "inbound", ROW_NUMBER, exchange->inbound_count);
    row_put_number(w, "subscribers", ROW_NUMBER, exchange->live_count);
    row_put_number(w, "published", ROW_NUMBER, exchange->published_total);
    put_history(w, exchange->history);
    page_end_row(page);
}

static enum status query_queues(struct page *page, const struct frame_query *query)
{
    struct queue *queue;
    struct queue *next;
    HASH_ITER (by_number, page->peer->core->queues_by_number, queue, next)
        if (queue->number > query->after && !page_is_full(page))
            row_queue(page, queue);
    return STATUS_OK;
}

static enum status query_queue(struct page *page, const struct frame_query *query)
{
    const struct queue *queue = queue_find(page->peer->core, query->name);
    if (queue == NULL)
        return STATUS_NO_QUEUE;
    row_queue(page, queue);
    return STATUS_OK;
}

static enum status query_exchanges(struct page *page, const struct frame_query *query)
{
    struct exchange *exchange;
    struct exchange *next;
    HASH_ITER (by_number, page->peer->core->exchanges_by_number, exchange, next)
        if (exchange->number > query->after && !page_is_full(page))
            row_exchange(page, exchange);
    return STATUS_OK;
}

static enum status query_exchange(struct page *page, const struct frame_query *query)
{
    const struct exchange *exchange = exchange_find(page->peer->core, query->name);
    if (exchange == NULL)
        return STATUS_NO_EXCHANGE;
    row_exchange(page, exchange);
    return STATUS_OK;
}

/* Where to go on behind the last page: mostly right behind what it showed last. */
static struct binding *bindings_after(const struct exchange *exchange, uint64_t after)
{
    struct binding *binding = exchange->listed;
    if (binding == NULL || binding->number > after)
        binding = TAILQ_FIRST(&exchange->all);
    while (binding != NULL && binding->number <= after)
        binding = TAILQ_NEXT(binding, exchange_link);
    return binding;
}

static enum status query_bindings(struct page *page, const struct frame_query *query)
{
    struct exchange *exchange = exchange_find(page->peer->core, query->name);
    if (exchange == NULL)
        return STATUS_NO_EXCHANGE;
    struct binding *binding = bindings_after(exchange, query->after);
    for (; binding != NULL && !page_is_full(page); binding = TAILQ_NEXT(binding, exchange_link)) {
        exchange->listed = binding;
        if (binding->is_live)
            continue;
        struct wire_writer *w = page_begin_row(page);
        row_put_number(w, "number", ROW_NUMBER, binding->number);
        query_put_binding(w, binding);
        page_end_row(page);
    }
    return STATUS_OK;
}

static void row_figure(struct page *page, const char *name, uint64_t value, const char *text)
{
    struct wire_writer *w = page_begin_row(page);
    page_put_text(w, "name", name);
    row_put_number(w, "value", ROW_NUMBER, value);
    page_put_text(w, "text", text);
    page_end_row(page);
}

static enum status query_stats(struct page *page, const struct frame_query *query)
{
    const struct core *core = page->peer->core;
    struct journal_figures figures = journal_figures(core->journal);
    (void)query;
#define COUNTER(name, text) row_figure(page, #name, core->counters.name, text);
#include "broker/core/counters.def"
    row_figure(page, "connections", core->peer_count, "connections now");
    row_figure(page, "queues", HASH_CNT(by_name, core->queues_by_name), "queues now");
    row_figure(page, "exchanges", HASH_CNT(by_name, core->exchanges_by_name), "exchanges now");
    row_figure(page, "bindings", core->binding_count, "bindings now");
    row_figure(page, "consumers", core->consumer_count, "consumers now");
    row_figure(page, "calls_waiting", core->call_count, "calls that wait for their outcome now");
    row_figure(page, "tracked", core->tracked.open_count,
               "tracked commands without an outcome now");
    row_figure(page, "outcomes", core->tracked.finished_count, "outcomes that are kept");
    row_figure(page, "keys", HASH_COUNT(core->tracked.keys), "idempotency keys that are known");
    row_figure(page, "outcome_bytes", core->tracked.finished_bytes, "memory of these outcomes");
    row_figure(page, "clients", core->client_count, "clients whose answers are remembered");
    row_figure(page, "transient_bytes", core->transient_bytes, "memory of transient messages");
    row_figure(page, "rounds", core->round_count, "rounds of the loop since the start");
    row_figure(page, "round_us_max",
               core->longest_us[0] > core->longest_us[1] ? core->longest_us[0]
                                                         : core->longest_us[1],
               "microseconds of the longest round in the last 10 to 20 seconds");
    row_figure(page, "start", core->start_number, "number of this start");
    row_figure(page, "journal_segments", figures.segment_count, "segments in use");
    row_figure(page, "journal_spares", figures.spare_count, "segments ready for use");
    row_figure(page, "journal_bytes", figures.used_bytes, "bytes of segments in use");
    row_figure(page, "journal_live", journal_space(core->journal).live_bytes,
               "bytes of what lives in them");
    row_figure(page, "journal_batches", figures.batch_count, "batches written since the start");
    row_figure(page, "journal_written", figures.byte_count, "bytes written since the start");
    row_figure(page, "journal_cached", figures.cached_bytes, "bytes of the journal in memory");
    row_figure(page, "index_bytes", spill_figures(core->spill).bytes,
               "index of waiting messages in memory");
    row_figure(page, "journal_pending", journal_pending_bytes(core->journal),
               "bytes not on disk yet");
    return STATUS_OK;
}

static enum status query_connections(struct page *page, const struct frame_query *query)
{
    const struct peer *peer;
    TAILQ_FOREACH (peer, &page->peer->core->peers, link) {
        if (peer->number <= query->after || page_is_full(page))
            continue;
        struct wire_writer *w = page_begin_row(page);
        row_put_number(w, "number", ROW_NUMBER, peer->number);
        page_put_text(w, "from", peer->origin->text);
        page_put_text(w, "client", peer->client_name != NULL ? peer->client_name : "");
        row_put_number(w, "open", ROW_FLAG, peer->state == PEER_OPEN);
        row_put_number(w, "consumers", ROW_NUMBER, HASH_COUNT(peer->consumers));
        row_put_number(w, "unsettled", ROW_NUMBER, peer->deliveries.live_count);
        row_put_number(w, "unsent", ROW_BYTES, buffer_bytes(&peer->output));
        page_end_row(page);
    }
    return STATUS_OK;
}

static int compare_parked(const struct parked *a, const struct parked *b)
{
    return a->number < b->number ? -1 : 1;
}

static enum status query_parked(struct page *page, const struct frame_query *query)
{
    struct queue *queue = queue_find(page->peer->core, query->name);
    if (queue == NULL)
        return STATUS_NO_QUEUE;
    HASH_SRT(hh, queue->parked, compare_parked);
    struct parked *parked;
    struct parked *next;
    HASH_ITER (hh, queue->parked, parked, next) {
        if (parked->number <= query->after || page_is_full(page))
            continue;
        struct kept_attempt last = kept_history_last(kept_bytes(parked->history));
        struct wire_writer *w = page_begin_row(page);
        row_put_number(w, "number", ROW_NUMBER, parked->number);
        row_put_number(w, "time_ms", ROW_NUMBER, parked->time_ms);
        row_put_number(w, "attempts", ROW_NUMBER, parked->attempts);
        row_put_text(w, "code", last.code);
        row_put_text(w, "text", last.text);
        row_put_text(w, "lane",
                     parked->lane != NULL ? lane_key(parked->lane) : wire_bytes_of(NULL, 0));
        put_id(w, "id", &parked->id);
        page_end_row(page);
    }
    return STATUS_OK;
}

/* The number is the key, as text. */
static bool read_number(struct wire_bytes key, uint64_t *number)
{
    *number = 0;
    for (uint32_t i = 0; i < key.bytes; i++) {
        if (key.at[i] < '0' || key.at[i] > '9' || *number > (UINT64_MAX - 9) / 10)
            return false;
        *number = *number * 10 + (key.at[i] - '0');
    }
    return key.bytes > 0;
}

static enum status query_attempts(struct page *page, const struct frame_query *query)
{
    const struct queue *queue = queue_find(page->peer->core, query->name);
    uint64_t number;
    if (queue == NULL)
        return STATUS_NO_QUEUE;
    if (!read_number(query->key, &number))
        return STATUS_BAD_VALUE;
    const struct parked *parked = kept_find_parked(queue, number);
    const struct attempted *attempted = kept_find_attempted(queue, number);
    struct wire_bytes history = kept_bytes(parked != NULL      ? parked->history
                                           : attempted != NULL ? attempted->history
                                                               : NULL);
    struct wire_reader r = wire_reader_of(history.at, history.bytes);
    struct kept_attempt attempt;
    while (kept_history_next(&r, &attempt)) {
        struct wire_writer *w = page_begin_row(page);
        row_put_number(w, "number", ROW_NUMBER, attempt.attempt);
        row_put_number(w, "time_ms", ROW_NUMBER, attempt.time_ms);
        row_put_text(w, "code", attempt.code);
        row_put_text(w, "text", attempt.text);
        page_end_row(page);
    }
    return STATUS_OK;
}

static enum status run_query(struct page *page, const struct frame_query *query)
{
    switch ((enum frame_query_subject)query->subject) {
    case QUERY_QUEUES:
        return query_queues(page, query);
    case QUERY_QUEUE:
        return query_queue(page, query);
    case QUERY_EXCHANGES:
        return query_exchanges(page, query);
    case QUERY_EXCHANGE:
        return query_exchange(page, query);
    case QUERY_BINDINGS:
        return query_bindings(page, query);
    case QUERY_ROUTE:
        return query_route(page, query);
    case QUERY_EXPLAIN:
        return query_explain(page, query);
    case QUERY_STATS:
        return query_stats(page, query);
    case QUERY_CONNECTIONS:
        return query_connections(page, query);
    case QUERY_PARKED:
        return query_parked(page, query);
    case QUERY_ATTEMPTS:
        return query_attempts(page, query);
    }
    return STATUS_UNKNOWN_QUERY;
}

enum status handle_query(struct peer *peer, const struct frame *frame)
{
    const struct frame_query *query = &frame->as.query;
    struct page page;
    page_init(&page, peer, frame->header.tag, query->limit);
    enum status status = run_query(&page, query);
    /* Figures rest on nothing; names of things that are not on disk yet must wait. */
    bool is_figures = query->subject == QUERY_STATS || query->subject == QUERY_CONNECTIONS;
    if (status == STATUS_OK)
        status = page_answer(&page, is_figures ? 0 : recorder_needs(peer->core));
    page_deinit(&page);
    return status;
}
