/* Sending: one encoding straight into the outbox's log. */
#include "client-lib/headers.h"
#include "client-lib/request.h"
#include "client-lib/send.h"
#include "protocol/append.h"

#include <stdlib.h>

enum {
    PROPERTIES_BYTES_MAX = 2048,
    /* What is gathered before it is written without anybody asking. */
    WRITE_BYTES = 64 * 1024,
    FRAME_FIELDS_BYTES_MAX = 600, /* header, two names and lengths */
    TEXT_BYTES_MAX = 255,
};

/* One content, made ready to be encoded. */
struct parcel {
    enum frame_type type;
    enum entry_kind kind;
    struct wire_bytes target; /* queue or exchange */
    struct wire_bytes key;
    struct wire_bytes properties;
    struct wire_bytes headers;
    struct wire_bytes body;
    uint8_t flags;
    uint32_t timeout_ms;
    uint64_t number; /* of PARKED_REPLACE, like `to`; of APPEND what is expected */
    struct wire_bytes to;
    void *context;
    const struct herald_content *content;
    size_t header_bytes;
    unsigned char property_bytes[PROPERTIES_BYTES_MAX];
};

static bool read_name(const char *text, struct wire_bytes *name)
{
    if (text == NULL)
        return false;
    size_t bytes = strlen(text);
    *name = wire_bytes_of(text, (uint32_t)bytes);
    return bytes >= 1 && bytes <= NAME_BYTES_MAX;
}

/* --- properties and headers ---------------------------------------------------------------------
 */

static void put_text_property(struct wire_writer *w, uint8_t kind, const char *text)
{
    if (text == NULL)
        return;
    size_t bytes = strlen(text);
    if (bytes > TEXT_BYTES_MAX) {
        w->failed = true;
        return;
    }
    property_put(w, kind, wire_bytes_of(text, (uint32_t)bytes));
}

/* 0: not said; below: none. */
static void put_limit_property(struct wire_writer *w, uint8_t kind, int64_t limit)
{
    if (limit != 0)
        property_put_number(w, kind, limit < 0 ? 0 : (uint64_t)limit);
}

static void put_time_property(struct wire_writer *w, uint8_t kind, uint64_t ms)
{
    if (ms > 0)
        property_put_number(w, kind, ms);
}

/* What is sent for a command is of no use after its deadline. All times are the broker's, so that
 * the clocks of workers do not matter; 0: none. */
static uint64_t deadline_of(const struct herald_content *content)
{
    uint64_t within_ms = content->within != NULL ? herald_message_deadline_ms(content->within) : 0;
    if (within_ms == 0 || (content->deadline_ms != 0 && content->deadline_ms < within_ms))
        return content->deadline_ms;
    return within_ms;
}

static void put_parent(struct wire_writer *w, const struct herald_content *content)
{
    const unsigned char *id = content->parent;
    if (id == NULL && content->within != NULL)
        id = herald_message_id(content->within);
    if (id != NULL)
        property_put(w, PROPERTY_MESSAGE_PARENT, wire_bytes_of(id, 16));
}

/* What a command asks for besides its way into the queue. */
static void put_terms(struct wire_writer *w, const struct herald_content *content)
{
    if (content->track)
        property_put_number(w, PROPERTY_MESSAGE_TRACK, 1);
    put_text_property(w, PROPERTY_MESSAGE_KEY, content->key);
    put_text_property(w, PROPERTY_MESSAGE_LANE, content->lane);
    put_text_property(w, PROPERTY_MESSAGE_REPLY_TO, content->reply_to);
    put_parent(w, content);
    put_time_property(w, PROPERTY_MESSAGE_DEADLINE, deadline_of(content));
    put_time_property(w, PROPERTY_MESSAGE_TIMEOUT, content->timeout_ms);
    put_time_property(w, PROPERTY_MESSAGE_TTL, content->ttl_ms);
    put_limit_property(w, PROPERTY_MESSAGE_ATTEMPTS, content->attempts);
    put_limit_property(w, PROPERTY_MESSAGE_BACKOFF, content->backoff_ms);
    put_limit_property(w, PROPERTY_MESSAGE_BACKOFF_MAX, content->backoff_max_ms);
    put_limit_property(w, PROPERTY_MESSAGE_RETRY_FOR, content->retry_for_ms);
}

/* What stays when a message is sent again: not who it is, and no times. One that gets another id is
 * tracked if that one was. */
static bool is_inherited(const struct herald_content *content, uint8_t kind)
{
    if (kind == PROPERTY_MESSAGE_TRACK)
        return content->id != NULL;
    return kind == PROPERTY_MESSAGE_PRIORITY || kind == PROPERTY_MESSAGE_LANE ||
           kind == PROPERTY_MESSAGE_REPLY_TO || kind == PROPERTY_MESSAGE_TTL ||
           (kind >= PROPERTY_MESSAGE_ATTEMPTS && kind <= PROPERTY_MESSAGE_RETRY_FOR) ||
           kind == PROPERTY_MESSAGE_CONTENT_TYPE || kind == PROPERTY_MESSAGE_CORRELATION;
}

static void put_inherited(struct wire_writer *w, const struct herald_content *content)
{
    const struct herald_message *like = content->like;
    struct wire_bytes own = wire_bytes_of(w->start, (uint32_t)wire_written(w));
    struct wire_reader r =
        wire_reader_of(like->fields.properties.at, like->fields.properties.bytes);
    struct property property;
    while (property_next(&r, &property))
        if (is_inherited(content, property.kind) && property_find(own, property.kind).at == NULL)
            property_put(w, property.kind, property.value);
}

uint64_t send_expect(enum herald_expect expect, uint64_t version)
{
    switch (expect) {
    case HERALD_EXPECT_NONE:
        return EXPECT_NONE;
    case HERALD_EXPECT_EXISTS:
        return EXPECT_EXISTS;
    case HERALD_EXPECT_VERSION:
        return version;
    case HERALD_EXPECT_ANY:
        break;
    }
    return EXPECT_ANY;
}

static void put_entity(struct wire_writer *w, const struct herald_content *content)
{
    put_text_property(w, PROPERTY_MESSAGE_ENTITY, content->entity);
    uint64_t expect = send_expect(content->expect, content->expect_version);
    if (expect != EXPECT_ANY)
        property_put_number(w, PROPERTY_MESSAGE_EXPECT, expect);
    if (content->snapshot)
        property_put_number(w, PROPERTY_MESSAGE_SNAPSHOT, 1);
}

static bool encode_properties(struct parcel *parcel, const struct herald_content *content)
{
    parcel->properties = (struct wire_bytes){0};
    struct wire_writer w = wire_writer_of(parcel->property_bytes, sizeof parcel->property_bytes);
    if (content->id != NULL)
        property_put(&w, PROPERTY_MESSAGE_ID, wire_bytes_of(content->id, 16));
    put_time_property(&w, PROPERTY_MESSAGE_DELAY, content->delay_ms);
    put_time_property(&w, PROPERTY_MESSAGE_DUE, content->due_ms);
    put_terms(&w, content);
    put_entity(&w, content);
    if (content->priority != HERALD_PRIORITY_DEFAULT)
        property_put_number(&w, PROPERTY_MESSAGE_PRIORITY, (uint64_t)content->priority);
    put_text_property(&w, PROPERTY_MESSAGE_CONTENT_TYPE, content->content_type);
    put_text_property(&w, PROPERTY_MESSAGE_CORRELATION, content->correlation);
    if (content->like != NULL)
        put_inherited(&w, content);
    parcel->properties = wire_bytes_of(w.start, (uint32_t)wire_written(&w));
    return !w.failed;
}

/* Only once nothing is waited for any more: all threads share the scratch buffer. */
static enum herald_status encode_headers(struct herald_client *client, struct parcel *parcel)
{
    parcel->headers = (struct wire_bytes){0};
    if (parcel->header_bytes == 0)
        return HERALD_OK;
    const struct herald_content *content = parcel->content;
    if (content->header_count == 0) {
        parcel->headers = content->like->fields.headers;
        return HERALD_OK;
    }
    buffer_clear(&client->scratch);
    unsigned char *room = buffer_reserve(&client->scratch, parcel->header_bytes);
    if (room == NULL)
        return error_set(client, HERALD_ENOMEMORY, "no memory for headers");
    struct wire_writer w = wire_writer_of(room, parcel->header_bytes);
    headers_put(&w, content->headers, content->header_count);
    parcel->headers = wire_bytes_of(room, (uint32_t)wire_written(&w));
    return HERALD_OK;
}

/* --- encoding -----------------------------------------------------------------------------------
 */

static bool put_replace(struct wire_writer *w, const struct parcel *parcel)
{
    const struct frame_parked_replace fields = {.queue = parcel->target,
                                                .number = parcel->number,
                                                .to = parcel->to,
                                                .properties = parcel->properties,
                                                .headers = parcel->headers,
                                                .body_bytes = parcel->body.bytes,
                                                .body = parcel->body};
    return frame_put_parked_replace(w, 0, 0, &fields);
}

static bool put_append(struct wire_writer *w, const struct parcel *parcel)
{
    const struct frame_append fields = {parcel->target, parcel->key, parcel->number,
                                        parcel->body.bytes, parcel->body};
    return frame_put_append(w, 0, 0, &fields);
}

static bool put_send(struct wire_writer *w, const struct parcel *parcel)
{
    const struct frame_send fields = {parcel->target, parcel->properties, parcel->headers,
                                      parcel->body.bytes, parcel->body};
    return frame_put_send(w, parcel->flags, 0, &fields);
}

static bool put_publish(struct wire_writer *w, const struct parcel *parcel)
{
    const struct frame_publish fields = {parcel->target,  parcel->key,        parcel->properties,
                                         parcel->headers, parcel->body.bytes, parcel->body};
    return frame_put_publish(w, parcel->flags, 0, &fields);
}

static bool put_call(struct wire_writer *w, const struct parcel *parcel)
{
    const struct frame_call fields = {parcel->target,  parcel->timeout_ms, parcel->properties,
                                      parcel->headers, parcel->body.bytes, parcel->body};
    return frame_put_call(w, parcel->flags, 0, &fields);
}

static bool put_frame(struct wire_writer *w, const struct parcel *parcel)
{
    if (parcel->type == FRAME_PARKED_REPLACE)
        return put_replace(w, parcel);
    if (parcel->type == FRAME_APPEND)
        return put_append(w, parcel);
    if (parcel->type == FRAME_PUBLISH)
        return put_publish(w, parcel);
    return parcel->type == FRAME_SEND ? put_send(w, parcel) : put_call(w, parcel);
}

struct room {
    size_t bytes;
};

static bool has_room(struct herald_client *client, void *argument)
{
    const struct room *room = argument;
    size_t used = outbox_log_bytes(&client->outbox);
    return used == 0 || used + room->bytes <= client->options.buffer_bytes_max;
}

static enum herald_status wait_for_room(struct herald_client *client, size_t bytes)
{
    struct room room = {bytes};
    if (has_room(client, &room))
        return HERALD_OK;
    session_flush(client);
    if (client->options.send_timeout_ms < 0 || client_is_in_callback(client))
        return error_set(client, HERALD_EAGAIN, "the buffer is full");
    enum herald_status status =
        client_wait_until(client, has_room, &room, client->options.send_timeout_ms);
    if (status == HERALD_ETIMEOUT)
        return error_set(client, HERALD_EAGAIN, "the buffer is still full");
    return status;
}

/* Writes now, or sees to it that somebody does soon. */
static void start_writing(struct herald_client *client)
{
    const struct outbox *outbox = &client->outbox;
    bool is_lone = outbox->inflight_messages == 0 && outbox->backlog.count == 1;
    if (is_lone || outbox_unsent_bytes(outbox) >= WRITE_BYTES)
        session_flush(client);
    else
        client_wake(client);
}

static enum herald_status append(struct herald_client *client, struct parcel *parcel)
{
    size_t head = FRAME_FIELDS_BYTES_MAX + parcel->properties.bytes + parcel->header_bytes;
    size_t bytes = head + parcel->body.bytes;
    enum herald_status status = wait_for_room(client, bytes);
    if (status == HERALD_OK)
        status = encode_headers(client, parcel);
    if (status != HERALD_OK)
        return status;
    unsigned char *room = outbox_reserve(&client->outbox, bytes);
    if (room == NULL)
        return error_set(client, HERALD_ENOMEMORY, "no memory for a message");
    struct wire_writer w = wire_writer_of(room, bytes);
    if (!put_frame(&w, parcel))
        return error_set(client, HERALD_EINVAL, "the message cannot be encoded");
    if (!outbox_commit(&client->outbox, wire_written(&w), parcel->kind, parcel->context))
        return error_set(client, HERALD_ENOMEMORY, "no memory for a message");
    return HERALD_OK;
}

static enum herald_status check_sizes(struct herald_client *client, const struct parcel *parcel,
                                      size_t body_bytes)
{
    size_t body_max = MESSAGE_BYTES_LIMIT;
    size_t frame_max = FRAME_BYTES_OFFERED;
    if (client->session.state == SESSION_OPEN) {
        body_max = client->session.message_bytes_max;
        frame_max = client->outbox.frame_bytes_max;
    }
    size_t head = FRAME_FIELDS_BYTES_MAX + parcel->properties.bytes + parcel->header_bytes;
    if (body_bytes > body_max)
        return error_set(client, HERALD_ETOOLARGE, "the body is larger than the broker takes");
    if (parcel->header_bytes > 0 && head > frame_max)
        return error_set(client, HERALD_ETOOLARGE, "the headers are larger than a frame");
    return HERALD_OK;
}

static enum herald_status check_content(struct herald_client *client,
                                        const struct herald_content *content)
{
    if (content == NULL || content->size < sizeof *content ||
        (content->body == NULL && content->body_bytes > 0))
        return error_set(client, HERALD_EINVAL, "the content has no size or no body");
    if (content->priority < 0 || content->priority > HERALD_PRIORITY_MAX)
        return error_set(client, HERALD_EINVAL, "a priority is a number from 0 to 9");
    if (content->track && content->id == NULL)
        return error_set(client, HERALD_EINVAL, "a tracked command needs an id");
    if (content->expect > HERALD_EXPECT_VERSION || content->expect_version >= EXPECT_EXISTS)
        return error_set(client, HERALD_EINVAL, "no entity can be as this content expects");
    if (content->expect != HERALD_EXPECT_ANY && content->entity == NULL)
        return error_set(client, HERALD_EINVAL, "a content that expects something has an entity");
    return HERALD_OK;
}

/* Checks a content and fills the parcel with all but what depends on the kind of frame. */
static enum herald_status pack(struct herald_client *client, struct parcel *parcel,
                               const char *target, const struct herald_content *content)
{
    parcel->properties = parcel->body = (struct wire_bytes){0};
    parcel->header_bytes = 0;
    if (client->closed || client->session.state == SESSION_OVER)
        return error_set(client, HERALD_ECLOSED, "the handle is closed");
    enum herald_status status = check_content(client, content);
    if (status != HERALD_OK)
        return status;
    if (!read_name(target, &parcel->target))
        return error_set(client, HERALD_EINVAL, "a name must have 1 to 255 bytes");
    if (!encode_properties(parcel, content))
        return error_set(client, HERALD_EINVAL, "a property is longer than 255 bytes");
    parcel->content = content;
    parcel->header_bytes = headers_measure(content->headers, content->header_count);
    if (content->header_count == 0 && content->like != NULL)
        parcel->header_bytes = content->like->fields.headers.bytes;
    if (parcel->header_bytes == 0 && content->header_count > 0)
        return error_set(client, HERALD_EINVAL, "a header has no name or is too long");
    status = check_sizes(client, parcel, content->body_bytes);
    if (status != HERALD_OK)
        return status;
    parcel->body = wire_bytes_of(content->body, (uint32_t)content->body_bytes);
    parcel->context = content->context;
    parcel->kind = content->transient && !content->confirm ? ENTRY_TRANSIENT : ENTRY_MESSAGE;
    parcel->flags = (uint8_t)((content->transient ? FLAG_TRANSIENT : 0) |
                              (content->transient && content->confirm ? FLAG_CONFIRM : 0));
    return HERALD_OK;
}

enum herald_status herald_send(struct herald_client *client, const char *queue,
                               const struct herald_content *content)
{
    struct parcel parcel = {0};
    pthread_mutex_lock(&client->lock);
    enum herald_status status = pack(client, &parcel, queue, content);
    if (status == HERALD_OK) {
        parcel.type = FRAME_SEND;
        status = append(client, &parcel);
    }
    if (status == HERALD_OK)
        start_writing(client);
    pthread_mutex_unlock(&client->lock);
    return status;
}

enum herald_status herald_publish(struct herald_client *client, const char *exchange,
                                  const char *key, const struct herald_content *content)
{
    struct parcel parcel = {0};
    pthread_mutex_lock(&client->lock);
    enum herald_status status = pack(client, &parcel, exchange, content);
    if (status == HERALD_OK && !read_name(key, &parcel.key))
        status = error_set(client, HERALD_EINVAL, "a routing key must have 1 to 255 bytes");
    if (status == HERALD_OK) {
        parcel.type = FRAME_PUBLISH;
        status = append(client, &parcel);
    }
    if (status == HERALD_OK)
        start_writing(client);
    pthread_mutex_unlock(&client->lock);
    return status;
}

enum herald_status send_call(struct herald_client *client, const char *queue,
                             const struct herald_content *content, uint32_t timeout_ms,
                             struct call *call)
{
    struct parcel parcel = {0};
    struct herald_content own;
    enum herald_status status = check_content(client, content);
    if (status != HERALD_OK)
        return status;
    if (content->track) {
        own = *content;
        own.transient = 0;
        if (own.timeout_ms == 0 && timeout_ms != UINT32_MAX)
            own.timeout_ms = timeout_ms;
        if (own.attempts == 0)
            own.attempts = 1;
        content = &own;
    }
    status = pack(client, &parcel, queue, content);
    if (status != HERALD_OK)
        return status;
    parcel.type = FRAME_CALL;
    parcel.kind = ENTRY_CALL;
    parcel.flags = content->track ? FLAG_DURABLE : 0;
    parcel.timeout_ms = timeout_ms;
    parcel.context = call;
    status = append(client, &parcel);
    if (status != HERALD_OK)
        return status;
    TAILQ_INSERT_TAIL(&client->calls, call, link);
    if (call->deadline_ms < client->call_deadline_ms)
        client->call_deadline_ms = call->deadline_ms;
    session_flush(client);
    client_wake(client);
    return HERALD_OK;
}

/* Sends a message and waits for its answer, which the request gets. With the lock held. */
static enum herald_status send_and_wait(struct herald_client *client, struct parcel *parcel,
                                        struct request *request, int timeout_ms)
{
    if (request == NULL)
        return error_set(client, HERALD_ENOMEMORY, "no memory for a request");
    request->waited = true;
    parcel->kind = ENTRY_WAITED;
    parcel->context = request;
    enum herald_status status = append(client, parcel);
    if (status != HERALD_OK) {
        request_free(request);
        return status;
    }
    session_flush(client);
    client_wake(client);
    return request_wait(client, request, timeout_ms);
}

static enum herald_status check_waiting(struct herald_client *client, int timeout_ms)
{
    if (client_is_in_callback(client))
        return error_set(client, HERALD_EWOULDDEADLOCK, "this call waits for the broker's answer");
    if (timeout_ms == 0)
        return error_set(client, HERALD_EINVAL, "this call waits for the broker's answer");
    return HERALD_OK;
}

static enum herald_status replace(struct herald_client *client, const struct herald_parked *parked,
                                  const char *to, const struct herald_content *content,
                                  int timeout_ms)
{
    struct parcel parcel = {0};
    pthread_mutex_lock(&client->lock);
    enum herald_status status = check_waiting(client, timeout_ms);
    if (status == HERALD_OK)
        status = pack(client, &parcel, parked->queue, content);
    if (status == HERALD_OK) {
        parcel.type = FRAME_PARKED_REPLACE;
        parcel.number = parked->first;
        parcel.to = wire_bytes_of_text(to);
        parcel.flags = 0;
        status =
            send_and_wait(client, &parcel, request_new_logged(FRAME_PARKED_REPLACE), timeout_ms);
    }
    pthread_mutex_unlock(&client->lock);
    return status;
}

enum herald_status herald_parked_edit(struct herald_client *client,
                                      const struct herald_parked *parked,
                                      const struct herald_content *content, int timeout_ms)
{
    return replace(client, parked, "", content, timeout_ms);
}

enum herald_status herald_parked_move(struct herald_client *client,
                                      const struct herald_parked *parked, const char *to,
                                      const struct herald_content *content, int timeout_ms)
{
    return replace(client, parked, to, content, timeout_ms);
}

/* --- several events at once ---------------------------------------------------------------------
 */

enum herald_status send_put_event(struct herald_client *client, const struct herald_event *event,
                                  struct buffer *list)
{
    struct parcel parcel = {0};
    const struct herald_content *content = &event->content;
    enum herald_status status = pack(client, &parcel, event->key, content);
    if (status == HERALD_OK && (content->entity != NULL || content->transient))
        status = error_set(client, HERALD_EINVAL, "such a content cannot be appended");
    if (status == HERALD_OK)
        status = encode_headers(client, &parcel);
    if (status != HERALD_OK)
        return status;
    const struct append_event fields = {parcel.target, parcel.properties, parcel.headers,
                                        parcel.body};
    size_t bytes = append_bytes(&fields);
    unsigned char *room = buffer_reserve(list, bytes);
    if (room == NULL)
        return error_set(client, HERALD_ENOMEMORY, "no memory for an event");
    struct wire_writer w = wire_writer_of(room, bytes);
    append_put(&w, &fields);
    buffer_commit(list, bytes);
    return HERALD_OK;
}

enum herald_status send_append(struct herald_client *client, const struct frame_append *fields,
                               int timeout_ms, struct herald_appended *appended)
{
    struct parcel parcel = {0};
    parcel.type = FRAME_APPEND;
    parcel.target = fields->exchange;
    parcel.key = fields->entity;
    parcel.number = fields->expect;
    parcel.body = fields->body;
    parcel.properties = parcel.headers = (struct wire_bytes){0};
    parcel.header_bytes = 0;
    enum herald_status status = check_sizes(client, &parcel, fields->body.bytes);
    if (status != HERALD_OK)
        return status;
    struct request *request = request_new_logged(FRAME_APPEND);
    if (request != NULL)
        request->appended = appended;
    return send_and_wait(client, &parcel, request, timeout_ms);
}
