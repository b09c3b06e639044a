/* Queues, exchanges, bindings, and asking the broker. */
#include "client-lib/client.h"

#include "client-lib/headers.h"
#include "client-lib/request.h"

enum { SETTINGS_BYTES_MAX = 256 };

/* NULL becomes a name that no frame can hold, so that request_new refuses it. */
static struct wire_bytes name_of(const char *text)
{
    if (text == NULL)
        return wire_bytes_of(NULL, NAME_BYTES_MAX + 1);
    return wire_bytes_of_text(text);
}

/* --- queues -------------------------------------------------------------------------------------
 */

static void put_limit(struct wire_writer *w, uint8_t kind, int64_t limit)
{
    if (limit != 0)
        property_put_number(w, kind, limit < 0 ? 0 : (uint64_t)limit);
}

static struct wire_bytes encode_settings(unsigned char room[SETTINGS_BYTES_MAX],
                                         const struct herald_queue_options *options)
{
    struct wire_writer w = wire_writer_of(room, SETTINGS_BYTES_MAX);
    put_limit(&w, PROPERTY_QUEUE_COUNT_MAX, options->count_max);
    put_limit(&w, PROPERTY_QUEUE_BYTES_MAX, options->bytes_max);
    if (options->overflow != HERALD_OVERFLOW_DEFAULT)
        property_put_number(&w, PROPERTY_QUEUE_OVERFLOW,
                            options->overflow == HERALD_OVERFLOW_DROP_OLDEST ? 1 : 0);
    put_limit(&w, PROPERTY_QUEUE_ATTEMPTS, options->attempts);
    put_limit(&w, PROPERTY_QUEUE_BACKOFF, options->backoff_ms);
    put_limit(&w, PROPERTY_QUEUE_BACKOFF_MAX, options->backoff_max_ms);
    put_limit(&w, PROPERTY_QUEUE_RETRY_FOR, options->retry_for_ms);
    put_limit(&w, PROPERTY_QUEUE_TTL, options->ttl_ms);
    put_limit(&w, PROPERTY_QUEUE_LEASE, options->lease_ms);
    put_limit(&w, PROPERTY_QUEUE_SINGLE_ACTIVE, options->single_active);
    put_limit(&w, PROPERTY_QUEUE_PAUSED, options->paused);
    put_limit(&w, PROPERTY_QUEUE_BREAKER, options->breaker);
    if (options->lane_parked != HERALD_LANE_DEFAULT)
        property_put_number(&w, PROPERTY_QUEUE_LANE_PARKED, (uint64_t)options->lane_parked - 1);
    return wire_bytes_of(room, (uint32_t)wire_written(&w));
}

enum herald_status herald_queue_create(struct herald_client *client, const char *queue,
                                       const struct herald_queue_options *options, int timeout_ms)
{
    struct herald_queue_options defaults = herald_queue_options_default();
    unsigned char settings[SETTINGS_BYTES_MAX];
    if (options == NULL)
        options = &defaults;
    struct frame frame = {
        .header.type = FRAME_QUEUE_CREATE,
        .header.flags = (uint8_t)((options->transient ? FLAG_QUEUE_TRANSIENT : 0) |
                                  (options->exclusive ? FLAG_QUEUE_EXCLUSIVE : 0) |
                                  (options->auto_delete ? FLAG_QUEUE_AUTO_DELETE : 0)),
        .as.queue_create = {name_of(queue), encode_settings(settings, options)},
    };
    return request_run(client, request_new(&frame), timeout_ms);
}

enum herald_status herald_queue_set(struct herald_client *client, const char *queue,
                                    const struct herald_queue_options *options, int timeout_ms)
{
    unsigned char settings[SETTINGS_BYTES_MAX];
    struct frame frame = {
        .header.type = FRAME_QUEUE_SET,
        .as.queue_set = {name_of(queue), encode_settings(settings, options)},
    };
    return request_run(client, request_new(&frame), timeout_ms);
}

enum herald_status herald_queue_delete(struct herald_client *client, const char *queue,
                                       enum herald_delete condition, int timeout_ms)
{
    struct frame frame = {
        .header.type = FRAME_QUEUE_DELETE,
        .header.flags = (uint8_t)((condition & HERALD_DELETE_IF_EMPTY ? FLAG_IF_EMPTY : 0) |
                                  (condition & HERALD_DELETE_IF_UNUSED ? FLAG_IF_UNUSED : 0)),
        .as.queue_delete = {name_of(queue)},
    };
    return request_run(client, request_new(&frame), timeout_ms);
}

/* With *count, which may be NULL: how many messages it concerned. */
static enum herald_status run_counted(struct herald_client *client, struct frame *frame,
                                      uint64_t *count, int timeout_ms)
{
    uint64_t unused;
    struct request *request = request_new(frame);
    if (count == NULL)
        count = &unused;
    *count = 0;
    if (request != NULL)
        request->row_number = count;
    return request_run(client, request, timeout_ms);
}

enum herald_status herald_queue_purge(struct herald_client *client, const char *queue,
                                      uint64_t *count, int timeout_ms)
{
    struct frame frame = {
        .header.type = FRAME_QUEUE_PURGE,
        .as.queue_purge = {name_of(queue)},
    };
    return run_counted(client, &frame, count, timeout_ms);
}

static enum herald_status run_parked(struct herald_client *client, enum frame_type type,
                                     struct herald_parked *parked, int timeout_ms)
{
    /* Both frames have the same fields. */
    struct frame frame = {
        .header.type = (uint8_t)type,
        .as.parked_retry = {name_of(parked->queue), parked->first, parked->last},
    };
    return run_counted(client, &frame, &parked->count, timeout_ms);
}

enum herald_status herald_parked_retry(struct herald_client *client, struct herald_parked *parked,
                                       int timeout_ms)
{
    return run_parked(client, FRAME_PARKED_RETRY, parked, timeout_ms);
}

enum herald_status herald_parked_drop(struct herald_client *client, struct herald_parked *parked,
                                      int timeout_ms)
{
    return run_parked(client, FRAME_PARKED_DROP, parked, timeout_ms);
}

static enum herald_status peek(struct herald_client *client, const struct frame_peek *fields,
                               struct herald_message **message, int timeout_ms)
{
    struct frame frame = {.header.type = FRAME_PEEK, .as.peek = *fields};
    struct request *request = request_new(&frame);
    *message = NULL;
    if (request != NULL)
        request->peeked = message;
    return request_run(client, request, timeout_ms);
}

enum herald_status herald_peek(struct herald_client *client, const char *queue, uint64_t after,
                               struct herald_message **message, int timeout_ms)
{
    struct frame_peek fields = {name_of(queue), PEEK_WAITING, after};
    return peek(client, &fields, message, timeout_ms);
}

enum herald_status herald_peek_parked(struct herald_client *client, const char *queue,
                                      uint64_t after, struct herald_message **message,
                                      int timeout_ms)
{
    struct frame_peek fields = {name_of(queue), PEEK_PARKED, after};
    return peek(client, &fields, message, timeout_ms);
}

/* --- exchanges and bindings ---------------------------------------------------------------------
 */

static struct wire_bytes encode_retention(struct wire_writer *w,
                                          const struct herald_exchange_options *options)
{
    put_limit(w, PROPERTY_EXCHANGE_AGE_MAX, options->age_max_ms);
    put_limit(w, PROPERTY_EXCHANGE_BYTES_MAX, options->bytes_max);
    put_limit(w, PROPERTY_EXCHANGE_COUNT_MAX, options->count_max);
    return wire_bytes_of(w->start, (uint32_t)wire_written(w));
}

enum herald_status herald_exchange_create(struct herald_client *client, const char *exchange,
                                          const struct herald_exchange_options *options,
                                          int timeout_ms)
{
    struct herald_exchange_options defaults = herald_exchange_options_default();
    unsigned char settings[SETTINGS_BYTES_MAX];
    struct wire_writer w = wire_writer_of(settings, sizeof settings);
    if (options == NULL)
        options = &defaults;
    if (options->history)
        property_put_number(&w, PROPERTY_EXCHANGE_HISTORY, 1);
    struct frame frame = {
        .header.type = FRAME_EXCHANGE_CREATE,
        .header.flags = options->transient ? FLAG_TRANSIENT : 0,
        .as.exchange_create = {name_of(exchange), encode_retention(&w, options)},
    };
    return request_run(client, request_new(&frame), timeout_ms);
}

enum herald_status herald_exchange_set(struct herald_client *client, const char *exchange,
                                       const struct herald_exchange_options *options,
                                       int timeout_ms)
{
    unsigned char settings[SETTINGS_BYTES_MAX];
    struct wire_writer w = wire_writer_of(settings, sizeof settings);
    struct frame frame = {
        .header.type = FRAME_EXCHANGE_SET,
        .as.exchange_set = {name_of(exchange), encode_retention(&w, options)},
    };
    return request_run(client, request_new(&frame), timeout_ms);
}

enum herald_status herald_exchange_delete(struct herald_client *client, const char *exchange,
                                          enum herald_delete condition, int timeout_ms)
{
    struct frame frame = {
        .header.type = FRAME_EXCHANGE_DELETE,
        .header.flags = condition & HERALD_DELETE_IF_UNUSED ? FLAG_IF_UNUSED : 0,
        .as.exchange_delete = {name_of(exchange)},
    };
    return request_run(client, request_new(&frame), timeout_ms);
}

/* What is wrong with the arguments themselves. */
static enum herald_status refuse(struct herald_client *client, enum herald_status status,
                                 const char *text)
{
    pthread_mutex_lock(&client->lock);
    (void)error_set(client, status, text);
    pthread_mutex_unlock(&client->lock);
    return status;
}

enum herald_status herald_bind_with(struct herald_client *client,
                                    const struct herald_binding *binding, int timeout_ms)
{
    if (binding->size < sizeof *binding)
        return refuse(client, HERALD_EINVAL, "a binding needs its size");
    struct buffer filter;
    buffer_init(&filter);
    enum herald_status status = headers_append(&filter, binding->filter, binding->filter_count);
    if (status == HERALD_OK) {
        struct frame frame = {
            .header.type = FRAME_BIND,
            .header.flags = binding->to_exchange ? FLAG_TO_EXCHANGE : 0,
            .as.bind = {name_of(binding->to), name_of(binding->exchange), name_of(binding->pattern),
                        headers_in(&filter)},
        };
        status = request_run(client, request_new(&frame), timeout_ms);
    } else {
        status = refuse(client, status, "the filter cannot be sent");
    }
    buffer_deinit(&filter);
    return status;
}

enum herald_status herald_unbind_with(struct herald_client *client,
                                      const struct herald_binding *binding, int timeout_ms)
{
    if (binding->size < sizeof *binding)
        return refuse(client, HERALD_EINVAL, "a binding needs its size");
    struct frame frame = {
        .header.type = FRAME_UNBIND,
        .header.flags = binding->to_exchange ? FLAG_TO_EXCHANGE : 0,
        .as.unbind = {name_of(binding->to), name_of(binding->exchange), name_of(binding->pattern)},
    };
    return request_run(client, request_new(&frame), timeout_ms);
}

enum herald_status herald_bind(struct herald_client *client, const char *queue,
                               const char *exchange, const char *pattern, int timeout_ms)
{
    struct herald_binding binding = herald_binding(queue, exchange, pattern);
    return herald_bind_with(client, &binding, timeout_ms);
}

enum herald_status herald_unbind(struct herald_client *client, const char *queue,
                                 const char *exchange, const char *pattern, int timeout_ms)
{
    struct herald_binding binding = herald_binding(queue, exchange, pattern);
    return herald_unbind_with(client, &binding, timeout_ms);
}

/* --- queries ------------------------------------------------------------------------------------
 */

static bool has_pages(enum herald_subject subject)
{
    return subject == HERALD_QUEUES || subject == HERALD_EXCHANGES || subject == HERALD_BINDINGS ||
           subject == HERALD_CONNECTIONS || subject == HERALD_PARKED || subject == HERALD_ROUTE ||
           subject == HERALD_EXPLAIN;
}

/* One page; *after is moved on to the number of its last row. */
static enum herald_status query_page(struct herald_client *client, const struct herald_query *query,
                                     const struct buffer *headers, uint64_t *after, int timeout_ms)
{
    struct frame frame = {
        .header.type = FRAME_QUERY,
        .as.query = {.subject = (uint8_t)query->subject,
                     .name = wire_bytes_of_text(query->name != NULL ? query->name : ""),
                     .key = wire_bytes_of_text(query->key != NULL ? query->key : ""),
                     .after = *after,
                     .headers = headers_in(headers)},
    };
    struct request *request = request_new(&frame);
    if (request == NULL)
        return error_set(client, HERALD_EINVAL, "a name is longer than 255 bytes");
    request->waited = true;
    request->query = query;
    request->row_number = after;
    request_queue(client, request);
    return request_wait(client, request, timeout_ms);
}

enum herald_status herald_query(struct herald_client *client, const struct herald_query *query,
                                int timeout_ms)
{
    pthread_mutex_lock(&client->lock);
    enum herald_status status;
    uint64_t after = 0;
    struct buffer headers;
    buffer_init(&headers);
    if (query->size < sizeof *query || query->on_row == NULL || timeout_ms == 0) {
        status =
            error_set(client, HERALD_EINVAL, "a query needs its size, a callback and a timeout");
        goto out;
    }
    if (client_is_in_callback(client)) {
        status = error_set(client, HERALD_EWOULDDEADLOCK, "herald_query in a callback");
        goto out;
    }
    status = headers_append(&headers, query->headers, query->header_count);
    if (status != HERALD_OK) {
        (void)error_set(client, status, "the headers cannot be sent");
        goto out;
    }
    uint64_t before;
    do {
        before = after;
        status = query_page(client, query, &headers, &after, timeout_ms);
    } while (status == HERALD_OK && has_pages(query->subject) && after > before);
out:
    buffer_deinit(&headers);
    pthread_mutex_unlock(&client->lock);
    return status;
}
