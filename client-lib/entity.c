/* Entities: appending to them, reading them, what their events say of themselves. */
#include "client-lib/client.h"

#include "client-lib/request.h"
#include "client-lib/send.h"
#include "protocol/append.h"

static bool is_name(const char *text)
{
    return text != NULL && text[0] != '\0' && strlen(text) <= NAME_BYTES_MAX;
}

/* --- appending ----------------------------------------------------------------------------------
 */

void entity_handle_appended(struct herald_client *client, uint64_t tag,
                            const struct frame_appended *frame)
{
    const struct request *request = answer_find_request(client, tag);
    if (request != NULL && request->appended != NULL)
        *request->appended = (struct herald_appended){frame->version, frame->sequence};
}

static enum herald_status put_events(struct herald_client *client,
                                     const struct herald_append *append, struct buffer *list)
{
    enum herald_status status = HERALD_OK;
    for (size_t i = 0; i < append->event_count && status == HERALD_OK; i++) {
        status = send_put_event(client, &append->events[i], list);
        if (status == HERALD_OK && buffer_bytes(list) > MESSAGE_BYTES_LIMIT)
            status = error_set(client, HERALD_ETOOLARGE, "the events are larger than a message");
    }
    return status;
}

/* What the broker has not told, because the connection was lost between its answer and us. */
static void complete(const struct herald_append *append, struct herald_appended *appended)
{
    if (appended->version != 0)
        return;
    if (append->expect == HERALD_EXPECT_NONE)
        appended->version = append->event_count;
    else if (append->expect == HERALD_EXPECT_VERSION)
        appended->version = append->expect_version + append->event_count;
}

static enum herald_status append_events(struct herald_client *client,
                                        const struct herald_append *append, int timeout_ms,
                                        struct herald_appended *appended)
{
    struct buffer list;
    buffer_init(&list);
    enum herald_status status = put_events(client, append, &list);
    if (status == HERALD_OK) {
        const struct frame_append fields = {
            .exchange = wire_bytes_of_text(append->exchange),
            .entity = wire_bytes_of_text(append->entity),
            .expect = send_expect(append->expect, append->expect_version),
            .body = wire_bytes_of(list.bytes + list.at, (uint32_t)buffer_bytes(&list)),
        };
        status = send_append(client, &fields, timeout_ms, appended);
    }
    buffer_deinit(&list);
    if (status == HERALD_OK)
        complete(append, appended);
    else if (status == HERALD_ECONFLICT)
        appended->version = client->error.version;
    return status;
}

static enum herald_status check_append(struct herald_client *client,
                                       const struct herald_append *append, int timeout_ms)
{
    if (client_is_in_callback(client))
        return error_set(client, HERALD_EWOULDDEADLOCK, "herald_append in a callback");
    if (append->size < sizeof *append || !is_name(append->exchange) || !is_name(append->entity) ||
        timeout_ms == 0)
        return error_set(client, HERALD_EINVAL,
                         "an append needs its size, exchange, entity and a timeout");
    if (append->event_count < 1 || append->event_count > APPEND_EVENTS_MAX)
        return error_set(client, HERALD_EINVAL, "an append has 1 to 1,024 events");
    if (append->expect > HERALD_EXPECT_VERSION || append->expect_version >= EXPECT_EXISTS)
        return error_set(client, HERALD_EINVAL, "no entity can be as this append expects");
    return HERALD_OK;
}

enum herald_status herald_append(struct herald_client *client, const struct herald_append *append,
                                 int timeout_ms, struct herald_appended *appended)
{
    struct herald_appended own = {0};
    pthread_mutex_lock(&client->lock);
    enum herald_status status = check_append(client, append, timeout_ms);
    if (status == HERALD_OK)
        status = append_events(client, append, timeout_ms, &own);
    pthread_mutex_unlock(&client->lock);
    if (appended != NULL)
        *appended = own;
    return status;
}

/* --- reading ------------------------------------------------------------------------------------
 */

struct entity_reading {
    const struct herald_read *wanted;
    bool is_stopped;
};

/* Lets the program have an event. */
static void tell(struct herald_client *client, struct request *request,
                 const struct frame_event *event, struct wire_bytes body)
{
    struct entity_reading *reading = request->reading;
    if (reading == NULL || reading->is_stopped || event->sequence == 0)
        return;
    struct herald_message message = {.client = client, .generation = client->generation};
    message.fields =
        (struct frame_deliver){.number = event->number,
                               .attempt = 1,
                               .time_ms = event->time_ms,
                               .exchange = wire_bytes_of_text(reading->wanted->exchange),
                               .key = event->key,
                               .properties = event->properties,
                               .headers = event->headers,
                               .body_bytes = body.bytes,
                               .body = body};
    request->busy = true;
    client_enter_callback(client);
    int stop = reading->wanted->on_event(&message, reading->wanted->context);
    client_leave_callback(client);
    request->busy = false;
    reading->is_stopped = stop != 0;
}

/* The question of this tag, or NULL. */
static struct entry *find_question(struct herald_client *client, uint64_t tag)
{
    struct entry *entry = ring_find(&client->outbox.calls, tag);
    if (entry == NULL || entry->kind != ENTRY_REQUEST)
        return NULL;
    const struct request *request = entry->context;
    return request->type == FRAME_READ ? entry : NULL;
}

void entity_handle_event(struct herald_client *client, const struct frame *frame,
                         struct wire_bytes body)
{
    uint64_t tag = frame->header.tag;
    struct entry *entry = find_question(client, tag);
    if (entry == NULL) {
        session_lose(client, "the broker sent an event that nobody asked for", 0);
        return;
    }
    struct request *request = entry->context;
    tell(client, request, &frame->as.event, body);
    client_notify(client);
    if ((frame->header.flags & FLAG_LAST) == 0)
        return;
    entry = find_question(client, tag);
    if (entry == NULL)
        return; /* the callback had the connection given up */
    entry->answered = true;
    ring_pop_answered(&client->outbox.calls);
    request_answer(client, request, STATUS_OK, (struct wire_bytes){0});
    client_notify(client);
}

static enum herald_status read_entity(struct herald_client *client,
                                      const struct herald_read *wanted, int timeout_ms)
{
    struct entity_reading reading = {.wanted = wanted};
    struct frame frame = {
        .header.type = FRAME_READ,
        .header.flags = (uint8_t)((wanted->backward ? FLAG_BACKWARD : 0) |
                                  (wanted->from_snapshot ? FLAG_FROM_SNAPSHOT : 0)),
        .as.read = {.exchange = wire_bytes_of_text(wanted->exchange),
                    .entity = wire_bytes_of_text(wanted->entity),
                    .from = wanted->from,
                    .limit = wanted->limit},
    };
    struct request *request = request_new(&frame);
    if (request == NULL)
        return error_set(client, HERALD_ENOMEMORY, "no memory for a request");
    request->waited = true;
    request->reading = &reading;
    request_queue(client, request);
    enum herald_status status = request_wait(client, request, timeout_ms);
    if (status == HERALD_OK && reading.is_stopped)
        return error_set(client, HERALD_ESTOPPED, "the program has read enough");
    return status;
}

enum herald_status herald_read(struct herald_client *client, const struct herald_read *read,
                               int timeout_ms)
{
    pthread_mutex_lock(&client->lock);
    enum herald_status status;
    if (client_is_in_callback(client))
        status = error_set(client, HERALD_EWOULDDEADLOCK, "herald_read in a callback");
    else if (read->size < sizeof *read || read->on_event == NULL || !is_name(read->exchange) ||
             !is_name(read->entity) || timeout_ms == 0)
        status = error_set(client, HERALD_EINVAL,
                           "a read needs its size, exchange, entity, a callback and a timeout");
    else
        status = read_entity(client, read, timeout_ms);
    pthread_mutex_unlock(&client->lock);
    return status;
}

/* --- what events say ----------------------------------------------------------------------------
 */

uint64_t herald_message_sequence(const struct herald_message *message)
{
    return property_find_number(message->fields.properties, PROPERTY_MESSAGE_SEQUENCE, 0);
}

const char *herald_message_entity(const struct herald_message *message, size_t *bytes)
{
    struct wire_bytes value = property_find(message->fields.properties, PROPERTY_MESSAGE_ENTITY);
    *bytes = value.bytes;
    return (const char *)value.at;
}

uint64_t herald_message_version(const struct herald_message *message)
{
    return property_find_number(message->fields.properties, PROPERTY_MESSAGE_VERSION, 0);
}

int herald_message_is_snapshot(const struct herald_message *message)
{
    return property_find_number(message->fields.properties, PROPERTY_MESSAGE_SNAPSHOT, 0) == 1;
}
