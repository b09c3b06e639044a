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
#include "broker/core/line.h"
#include "broker/core/output.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/spill.h"
#include "protocol/property.h"
#include "protocol/topic.h"

enum {
    PAGE_ROWS = 256,
    ROW_BYTES_MAX = 2048, /* of one row with two names and a pattern of 255 bytes each */
};

/* The answer as it grows: encoded ROW frames. The last one is flagged when it is known to be. */
struct page {
    struct peer *peer;
    uint64_t tag;
    struct buffer frames;
    size_t last_at; /* where the last frame begins */
    uint32_t row_count;
    uint32_t row_count_max;
    unsigned char row[ROW_BYTES_MAX];
    struct wire_writer w; /* over row */
    bool is_broken;
};

static struct wire_writer *row_begin(struct page *page)
{
    page->w = wire_writer_of(page->row, sizeof page->row);
    return &page->w;
}

static void row_end(struct page *page)
{
    struct wire_bytes fields = wire_bytes_of(page->row, (uint32_t)wire_written(&page->w));
    size_t bytes = FRAME_HEADER_BYTES + fields.bytes;
    unsigned char *at = page->w.failed ? NULL : buffer_reserve(&page->frames, bytes);
    if (at == NULL) {
        page->is_broken = true;
        return;
    }
    struct wire_writer w = wire_writer_of(at, bytes);
    frame_put_row(&w, 0, page->tag, &(struct frame_row){fields});
    page->last_at = page->frames.end;
    buffer_commit(&page->frames, bytes);
    page->row_count++;
}

static bool page_is_full(const struct page *page)
{
    return page->is_broken || page->row_count >= page->row_count_max;
}

static void put_text(struct wire_writer *w, const char *name, const char *text)
{
    row_put_text(w, name, wire_bytes_of_text(text));
}

/* Empty when there is none. */
static void put_id(struct wire_writer *w, const char *name, const struct wire_id *id)
{
    char text[37];
    const unsigned char *at = id->byte;
    (void)snprintf(text, sizeof text,
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", at[0],
                   at[1], at[2], at[3], at[4], at[5], at[6], at[7], at[8], at[9], at[10], at[11],
                   at[12], at[13], at[14], at[15]);
    put_text(w, name, wire_id_is_zero(id) ? "" : text);
}

static const char *const lane_parked_names[] = {"block", "park", "go-on"};

static void put_cursor(struct wire_writer *w, const struct cursor *cursor)
{
    put_text(w, "exchange", feed_history(cursor->feed)->exchange->name);
    row_put_text(w, "pattern", feed_get_terms(cursor->feed)->pattern);
    row_put_number(w, "at", ROW_NUMBER, cursor_low(cursor));
    row_put_number(w, "lag", ROW_NUMBER, cursor_lag(cursor));
}

static void row_queue(struct page *page, const struct queue *queue)
{
    struct wire_writer *w = row_begin(page);
    row_put_number(w, "number", ROW_NUMBER, queue->number);
    put_text(w, "name", queue->name);
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
    put_text(w, "overflow", queue->overflow == QUEUE_REFUSE ? "refuse" : "drop-oldest");
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
    put_text(w, "lane_parked", lane_parked_names[queue->lane_parked]);
    row_put_number(w, "lanes", ROW_NUMBER, HASH_CNT(hh, queue->lanes));
    row_put_number(w, "blocked", ROW_NUMBER, queue->asides.blocked_count);
    row_put_number(w, "accepted", ROW_NUMBER, queue->accepted_total);
    row_put_number(w, "delivered", ROW_NUMBER, queue->delivered_total);
    row_put_number(w, "settled", ROW_NUMBER, queue->settled_total);
    row_put_number(w, "failed", ROW_NUMBER, queue->failed_total);
    if (queue->cursor != NULL)
        put_cursor(w, queue->cursor);
    row_end(page);
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
    struct wire_writer *w = row_begin(page);
    row_put_number(w, "number", ROW_NUMBER, exchange->number);
    put_text(w, "name", exchange->name);
    row_put_number(w, "durable", ROW_FLAG, exchange->kind == EXCHANGE_DURABLE);
    row_put_number(w, "bindings", ROW_NUMBER, exchange->binding_count);
    row_put_number(w, "subscribers", ROW_NUMBER, exchange->live_count);
    row_put_number(w, "published", ROW_NUMBER, exchange->published_total);
    put_history(w, exchange->history);
    row_end(page);
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

static enum status query_bindings(struct page *page, const struct frame_query *query)
{
    const struct exchange *exchange = exchange_find(page->peer->core, query->name);
    if (exchange == NULL)
        return STATUS_NO_EXCHANGE;
    struct binding *binding;
    struct binding *next;
    uint64_t number = 0;
    HASH_ITER (hh, exchange->bindings, binding, next) {
        if (++number <= query->after || page_is_full(page))
            continue;
        struct wire_writer *w = row_begin(page);
        row_put_number(w, "number", ROW_NUMBER, number);
        put_text(w, "exchange", exchange->name);
        put_text(w, "queue", binding->queue->name);
        row_put_text(w, "pattern", wire_bytes_of(binding->key + 4, binding->key_bytes - 4));
        row_end(page);
    }
    return STATUS_OK;
}

static enum status query_route(struct page *page, const struct frame_query *query)
{
    struct core *core = page->peer->core;
    enum status status = topic_check_key(query->key);
    if (status != STATUS_OK)
        return status;
    struct exchange *exchange = exchange_find(core, query->name);
    if (exchange == NULL)
        return STATUS_NO_EXCHANGE;
    struct queue *const *queues;
    size_t count;
    status = exchange_route(core, exchange, query->key, &queues, &count);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        if (i < query->after || page_is_full(page))
            continue;
        struct wire_writer *w = row_begin(page);
        row_put_number(w, "number", ROW_NUMBER, i + 1);
        put_text(w, "queue", queues[i]->name);
        row_put_number(w, "live", ROW_FLAG, queues[i]->kind == QUEUE_LIVE);
        row_end(page);
    }
    return status;
}

static void row_figure(struct page *page, const char *name, uint64_t value, const char *text)
{
    struct wire_writer *w = row_begin(page);
    put_text(w, "name", name);
    row_put_number(w, "value", ROW_NUMBER, value);
    put_text(w, "text", text);
    row_end(page);
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
        struct wire_writer *w = row_begin(page);
        row_put_number(w, "number", ROW_NUMBER, peer->number);
        put_text(w, "from", peer->origin->text);
        put_text(w, "client", peer->client_name != NULL ? peer->client_name : "");
        row_put_number(w, "open", ROW_FLAG, peer->state == PEER_OPEN);
        row_put_number(w, "consumers", ROW_NUMBER, HASH_COUNT(peer->consumers));
        row_put_number(w, "unsettled", ROW_NUMBER, peer->deliveries.live_count);
        row_put_number(w, "unsent", ROW_BYTES, buffer_bytes(&peer->output));
        row_end(page);
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
        struct wire_writer *w = row_begin(page);
        row_put_number(w, "number", ROW_NUMBER, parked->number);
        row_put_number(w, "time_ms", ROW_NUMBER, parked->time_ms);
        row_put_number(w, "attempts", ROW_NUMBER, parked->attempts);
        row_put_text(w, "code", last.code);
        row_put_text(w, "text", last.text);
        row_put_text(w, "lane",
                     parked->lane != NULL ? lane_key(parked->lane) : wire_bytes_of(NULL, 0));
        put_id(w, "id", &parked->id);
        row_end(page);
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
        struct wire_writer *w = row_begin(page);
        row_put_number(w, "number", ROW_NUMBER, attempt.attempt);
        row_put_number(w, "time_ms", ROW_NUMBER, attempt.time_ms);
        row_put_text(w, "code", attempt.code);
        row_put_text(w, "text", attempt.text);
        row_end(page);
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
    struct page page = {.peer = peer, .tag = frame->header.tag, .row_count_max = PAGE_ROWS};
    if (query->limit > 0 && query->limit < PAGE_ROWS)
        page.row_count_max = query->limit;
    buffer_init(&page.frames);
    enum status status = run_query(&page, query);
    if (status == STATUS_OK && page.row_count == 0) {
        row_begin(&page);
        row_end(&page);
    }
    if (page.is_broken)
        status = STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        page.frames.memory[page.last_at + 5] = FLAG_LAST; /* the flags of a header, see frame.h */
        /* Figures rest on nothing; names of things that are not on disk yet must wait. */
        bool is_figures = query->subject == QUERY_STATS || query->subject == QUERY_CONNECTIONS;
        line_answer(peer, frame->header.tag, buffer_at(&page.frames), buffer_bytes(&page.frames),
                    is_figures ? 0 : recorder_needs(peer->core));
    }
    buffer_deinit(&page.frames);
    return status;
}
