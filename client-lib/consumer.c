/* Consumers: serving queues and hearing events, over reconnects. */
#include "client-lib/client.h"

#include "client-lib/headers.h"
#include "client-lib/request.h"

#include <stdlib.h>

/* --- the table ----------------------------------------------------------------------------------
 */

struct herald_consumer *consumer_find(const struct herald_client *client, uint32_t number)
{
    if (number == 0 || number > client->consumer_count)
        return NULL;
    return client->consumers[number - 1];
}

/* The lowest free number, 0 without memory. */
static uint32_t take_number(struct herald_client *client, struct herald_consumer *consumer)
{
    size_t index = 0;
    while (index < client->consumer_count && client->consumers[index] != NULL)
        index++;
    if (index == client->consumer_count) {
        struct herald_consumer **grown =
            realloc(client->consumers, (index + 1) * sizeof(struct herald_consumer *));
        if (grown == NULL)
            return 0;
        client->consumers = grown;
        client->consumer_count++;
    }
    client->consumers[index] = consumer;
    return (uint32_t)index + 1;
}

static void free_consumer(struct herald_consumer *consumer)
{
    free(consumer->source);
    free(consumer->pattern);
    free(consumer->following);
    buffer_deinit(&consumer->filter);
    free(consumer);
}

/* Takes the consumer out of the table. A broker may end it, or answer its end, while requests for
 * it are under way: they lose their consumer. */
static void detach(struct herald_client *client, const struct herald_consumer *consumer)
{
    struct request *request;
    client->consumers[consumer->number - 1] = NULL;
    TAILQ_FOREACH (request, &client->outbox.requests, link) {
        if (request->consumer == consumer)
            request->consumer = NULL;
    }
    for (size_t i = 0; i < client->outbox.inflight.count; i++) {
        const struct entry *entry = ring_at(&client->outbox.inflight, i);
        if (entry->kind != ENTRY_REQUEST || entry->answered)
            continue;
        request = entry->context;
        if (request->consumer == consumer)
            request->consumer = NULL;
    }
}

void consumer_remove(struct herald_client *client, struct herald_consumer *consumer)
{
    detach(client, consumer);
    free_consumer(consumer);
}

static void free_requests(const struct ring *ring)
{
    for (size_t i = 0; i < ring->count; i++) {
        const struct entry *entry = ring_at(ring, i);
        if (entry_has_request(entry) && !entry->answered)
            request_free(entry->context);
    }
}

void consumer_free_all(struct herald_client *client)
{
    struct request *request;
    while ((request = TAILQ_FIRST(&client->outbox.requests)) != NULL) {
        TAILQ_REMOVE(&client->outbox.requests, request, link);
        request_free(request);
    }
    free_requests(&client->outbox.inflight);
    free_requests(&client->outbox.backlog);
    for (size_t i = 0; i < client->consumer_count; i++)
        if (client->consumers[i] != NULL)
            free_consumer(client->consumers[i]);
    free(client->consumers);
    client->consumers = NULL;
    client->consumer_count = 0;
}

void consumer_end(struct herald_client *client, struct herald_consumer *consumer, unsigned code,
                  const char *text)
{
    detach(client, consumer);
    if (consumer->on_gone != NULL) {
        client_enter_callback(client);
        consumer->on_gone(consumer, code, text, consumer->context);
        client_leave_callback(client);
    }
    free_consumer(consumer);
}

void consumer_handle_gone(struct herald_client *client, const struct frame_consumer_gone *frame)
{
    struct herald_consumer *consumer = consumer_find(client, frame->consumer);
    if (consumer == NULL)
        return;
    switch (consumer->state) {
    case CONSUMER_STARTING:
        consumer->gone_code = frame->code; /* told when the start is answered */
        break;
    case CONSUMER_RUNNING:
        consumer_end(client, consumer, frame->code, status_text(frame->code));
        break;
    case CONSUMER_CANCELLED:
        break;
    }
}

/* --- starting -----------------------------------------------------------------------------------
 */

static struct request *new_plain_request(const struct herald_consumer *consumer)
{
    struct frame frame = {.header.type = consumer->is_live ? FRAME_SUBSCRIBE : FRAME_CONSUME};
    if (consumer->is_live)
        frame.as.subscribe = (struct frame_subscribe){
            .consumer = consumer->number,
            .exchange = wire_bytes_of_text(consumer->source),
            .pattern = wire_bytes_of_text(consumer->pattern),
            .filter = headers_in(&consumer->filter),
        };
    else
        frame.as.consume = (struct frame_consume){
            .consumer = consumer->number,
            .queue = wire_bytes_of_text(consumer->source),
            .prefetch_messages = consumer->prefetch_messages,
            .prefetch_bytes = consumer->prefetch_bytes,
        };
    return request_new(&frame);
}

static struct request *new_start_request(struct herald_consumer *consumer)
{
    struct request *request =
        consumer->following != NULL ? follow_request(consumer) : new_plain_request(consumer);
    if (request != NULL)
        request->consumer = consumer;
    return request;
}

void consumer_replay(struct herald_client *client)
{
    for (size_t i = 0; i < client->consumer_count; i++) {
        struct herald_consumer *consumer = client->consumers[i];
        if (consumer == NULL || consumer->state != CONSUMER_RUNNING)
            continue;
        struct request *request = new_start_request(consumer);
        if (request == NULL) {
            consumer_end(client, consumer, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY));
            continue;
        }
        consumer->state = CONSUMER_STARTING;
        consumer->gone_code = 0;
        request->unsent = true;
        TAILQ_INSERT_TAIL(&client->outbox.requests, request, link);
    }
}

static bool copy_filter(struct herald_consumer *consumer, const struct buffer *from)
{
    size_t bytes = buffer_bytes(from);
    buffer_init(&consumer->filter);
    if (bytes == 0)
        return true;
    unsigned char *room = buffer_reserve(&consumer->filter, bytes);
    if (room == NULL)
        return false;
    memcpy(room, from->bytes, bytes);
    buffer_commit(&consumer->filter, bytes);
    return true;
}

/* A copy of the caller's with a number and copied names; NULL without memory. */
static struct herald_consumer *add_consumer(struct herald_client *client,
                                            const struct herald_consumer *from)
{
    struct herald_consumer *consumer = malloc(sizeof *consumer);
    if (consumer == NULL)
        return NULL;
    *consumer = *from;
    consumer->client = client;
    consumer->state = CONSUMER_STARTING;
    consumer->source = strdup(from->source);
    consumer->pattern = strdup(from->pattern);
    bool is_copied = copy_filter(consumer, &from->filter);
    consumer->following = from->following != NULL ? follow_copy(from->following) : NULL;
    if (!is_copied || consumer->source == NULL || consumer->pattern == NULL ||
        (from->following != NULL && consumer->following == NULL))
        goto fail;
    consumer->number = take_number(client, consumer);
    if (consumer->number == 0)
        goto fail;
    return consumer;

fail:
    free_consumer(consumer);
    return NULL;
}

enum herald_status consumer_start(struct herald_client *client, const struct herald_consumer *from,
                                  int timeout_ms, struct herald_consumer **result)
{
    if (client->closing || client->session.state == SESSION_OVER)
        return error_set(client, HERALD_ECLOSED, "the handle is closed");
    if (timeout_ms != 0 && client_is_in_callback(client))
        return error_set(client, HERALD_EWOULDDEADLOCK, "in a callback the timeout must be 0");
    struct herald_consumer *consumer = add_consumer(client, from);
    if (consumer == NULL)
        return error_set(client, HERALD_ENOMEMORY, "no memory for a consumer");
    struct request *request = new_start_request(consumer);
    if (request == NULL) {
        consumer_remove(client, consumer);
        return error_set(client, HERALD_EINVAL, "a name or pattern is longer than 255 bytes");
    }
    request->waited = timeout_ms != 0;
    if (result != NULL)
        *result = consumer;
    uint32_t number = consumer->number;
    request_queue(client, request);
    if (timeout_ms == 0)
        return HERALD_OK;
    enum herald_status status = request_wait(client, request, timeout_ms);
    if (status == HERALD_OK)
        return status;
    if (result != NULL)
        *result = NULL;
    struct herald_error error = client->error;
    if (consumer_find(client, number) == consumer)
        (void)consumer_stop(client, consumer);
    client->error = error;
    return status;
}

static bool is_name(const char *text)
{
    return text != NULL && text[0] != '\0' && strlen(text) <= NAME_BYTES_MAX;
}

enum herald_status herald_serve(struct herald_client *client, const struct herald_service *service,
                                int timeout_ms, struct herald_consumer **consumer)
{
    pthread_mutex_lock(&client->lock);
    enum herald_status status;
    if (consumer != NULL)
        *consumer = NULL;
    if (service->size < sizeof *service || service->on_message == NULL ||
        !is_name(service->queue)) {
        status = error_set(client, HERALD_EINVAL, "a service needs its size, queue and callback");
        goto out;
    }
    char *source = strdup(service->queue);
    char empty[] = "";
    if (source == NULL) {
        status = error_set(client, HERALD_ENOMEMORY, "no memory for a consumer");
        goto out;
    }
    const struct herald_consumer from = {
        .auto_done = service->auto_done != 0,
        .source = source,
        .pattern = empty,
        .prefetch_messages = service->prefetch_messages,
        .prefetch_bytes = service->prefetch_bytes,
        .on_message = service->on_message,
        .on_gone = service->on_gone,
        .context = service->context,
    };
    status = consumer_start(client, &from, timeout_ms, consumer);
    free(source);
out:
    pthread_mutex_unlock(&client->lock);
    return status;
}

/* --- subscribing --------------------------------------------------------------------------------
 */

/* Sends one frame of a durable subscription's preparation. A queue that somebody made with other
 * settings will do; a binding with another filter will not. */
static enum herald_status prepare(struct herald_client *client, struct frame *frame, int timeout_ms)
{
    struct request *request = request_new(frame);
    if (request == NULL)
        return error_set(client, HERALD_EINVAL, "a name or pattern is longer than 255 bytes");
    request->waited = timeout_ms != 0;
    request_queue(client, request);
    if (timeout_ms == 0)
        return HERALD_OK;
    enum herald_status status = request_wait(client, request, timeout_ms);
    bool will_do =
        frame->header.type == FRAME_QUEUE_CREATE && client->error.code == STATUS_MISMATCH;
    return status == HERALD_EREFUSED && will_do ? HERALD_OK : status;
}

/* Creates the queue and binds it. The broker handles frames in order, so nothing need be waited
 * for. */
static enum herald_status prepare_durable(struct herald_client *client, const char *queue,
                                          const struct herald_consumer *from, int timeout_ms)
{
    struct frame create = {
        .header.type = FRAME_QUEUE_CREATE,
        .as.queue_create.queue = wire_bytes_of_text(queue),
    };
    struct frame bind = {
        .header.type = FRAME_BIND,
        .as.bind = {.to = wire_bytes_of_text(queue),
                    .exchange = wire_bytes_of_text(from->source),
                    .pattern = wire_bytes_of_text(from->pattern),
                    .filter = headers_in(&from->filter)},
    };
    enum herald_status status = prepare(client, &create, timeout_ms);
    if (status == HERALD_OK)
        status = prepare(client, &bind, timeout_ms);
    return status;
}

/* Live, it consumes from the exchange, else from the queue that is bound to it. */
static enum herald_status subscribe_from(struct herald_client *client, struct herald_consumer *from,
                                         const char *queue, int timeout_ms,
                                         struct herald_consumer **consumer)
{
    if (queue == NULL)
        return consumer_start(client, from, timeout_ms, consumer);
    enum herald_status status = prepare_durable(client, queue, from, timeout_ms);
    if (status != HERALD_OK)
        return status;
    free(from->source);
    from->source = strdup(queue);
    if (from->source == NULL)
        return error_set(client, HERALD_ENOMEMORY, "no memory for a consumer");
    return consumer_start(client, from, timeout_ms, consumer);
}

static enum herald_status subscribe(struct herald_client *client,
                                    const struct herald_subscription *subscription, int timeout_ms,
                                    struct herald_consumer **consumer)
{
    if (timeout_ms != 0 && client_is_in_callback(client))
        return error_set(client, HERALD_EWOULDDEADLOCK, "in a callback the timeout must be 0");
    struct herald_consumer from = {
        .is_live = subscription->queue == NULL,
        .auto_done = !subscription->manual_settle,
        .source = strdup(subscription->exchange),
        .pattern = strdup(subscription->pattern != NULL ? subscription->pattern : "#"),
        .prefetch_messages = subscription->prefetch_messages,
        .prefetch_bytes = subscription->prefetch_bytes,
        .on_message = subscription->on_message,
        .on_gone = subscription->on_gone,
        .on_gap = subscription->on_gap,
        .context = subscription->context,
    };
    buffer_init(&from.filter);
    enum herald_status status = HERALD_ENOMEMORY;
    if (from.source != NULL && from.pattern != NULL)
        status = headers_append(&from.filter, subscription->filter, subscription->filter_count);
    if (status == HERALD_OK)
        status = subscribe_from(client, &from, subscription->queue, timeout_ms, consumer);
    else
        (void)error_set(client, status,
                        status == HERALD_EINVAL ? "the filter cannot be sent"
                                                : "no memory for a consumer");
    buffer_deinit(&from.filter);
    free(from.source);
    free(from.pattern);
    return status;
}

enum herald_status herald_subscribe(struct herald_client *client,
                                    const struct herald_subscription *subscription, int timeout_ms,
                                    struct herald_consumer **consumer)
{
    pthread_mutex_lock(&client->lock);
    enum herald_status status;
    if (consumer != NULL)
        *consumer = NULL;
    if (subscription->size < sizeof *subscription || subscription->on_message == NULL ||
        !is_name(subscription->exchange) ||
        (subscription->queue != NULL && !is_name(subscription->queue)))
        status = error_set(client, HERALD_EINVAL,
                           "a subscription needs its size, exchange and callback");
    else
        status = subscribe(client, subscription, timeout_ms, consumer);
    pthread_mutex_unlock(&client->lock);
    return status;
}

/* --- stopping -----------------------------------------------------------------------------------
 */

enum herald_status consumer_stop(struct herald_client *client, struct herald_consumer *consumer)
{
    if (consumer->state == CONSUMER_CANCELLED)
        return HERALD_OK;
    struct frame frame = {
        .header.type = FRAME_CANCEL,
        .as.cancel.consumer = consumer->number,
    };
    consumer->state = CONSUMER_CANCELLED;
    struct request *request = request_new(&frame);
    if (request == NULL)
        return error_set(client, HERALD_ENOMEMORY, "no memory to cancel");
    request->consumer = consumer;
    request_queue(client, request);
    return HERALD_OK;
}

enum herald_status herald_cancel(struct herald_consumer *consumer)
{
    struct herald_client *client = consumer->client;
    pthread_mutex_lock(&client->lock);
    enum herald_status status = consumer_stop(client, consumer);
    pthread_mutex_unlock(&client->lock);
    return status;
}

void consumer_cancel_all(struct herald_client *client)
{
    for (size_t i = 0; i < client->consumer_count; i++)
        if (client->consumers[i] != NULL)
            (void)consumer_stop(client, client->consumers[i]);
}

void consumer_handle_active(struct herald_client *client, const struct frame_consumer_active *frame)
{
    struct herald_consumer *consumer = consumer_find(client, frame->consumer);
    if (consumer != NULL)
        consumer->fence = frame->fence;
}
