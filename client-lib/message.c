/* Received messages: handing them to callbacks, what they hold, settling them. */
#include "client-lib/client.h"

#include <assert.h>
#include <stdlib.h>

enum {
    SETTLE_FIELDS_BYTES = 64, /* a settlement frame without its texts and body */
    FAIL_TEXT_BYTES_MAX = 4096,
};

/* --- settling -----------------------------------------------------------------------------------
 */

/* Why the message cannot be settled, NULL when it can. With the lock held. */
static const char *find_obstacle(const struct herald_client *client,
                                 const struct herald_message *message)
{
    if (client->closed)
        return "the handle is closed";
    if (message->settled || message->handed_over)
        return "the message was settled before";
    if (message->fields.delivery == 0)
        return "an event that is only read is not settled";
    if (message->generation != client->generation)
        return "the connection was lost and the broker took the message back";
    return NULL;
}

enum herald_status message_check_settle(struct herald_client *client,
                                        const struct herald_message *message)
{
    const char *obstacle = find_obstacle(client, message);
    if (obstacle == NULL)
        return HERALD_OK;
    return error_set(client, client->closed ? HERALD_ECLOSED : HERALD_ESTALE, obstacle);
}

static void mark_settled(struct herald_client *client, struct herald_message *message)
{
    message->settled = true;
    client->unsettled--;
    if (!client_is_in_callback(client))
        client_wake(client);
}

static enum herald_status settle_done(struct herald_client *client, struct herald_message *message)
{
    if (!outbox_add_done(&client->outbox, message->sequence, message->fields.delivery))
        return error_set(client, HERALD_ENOMEMORY, "no memory to settle");
    mark_settled(client, message);
    return HERALD_OK;
}

enum herald_status message_add_frame(struct herald_client *client, struct frame *frame)
{
    size_t bytes = frame_encoded_bytes(frame);
    unsigned char *room = outbox_reserve_settlement(&client->outbox, bytes);
    if (room == NULL)
        return error_set(client, HERALD_ENOMEMORY, "no memory to settle");
    struct wire_writer w = wire_writer_of(room, bytes);
    if (!frame_encode(&w, frame))
        return error_set(client, HERALD_EINVAL, "the settlement cannot be encoded");
    buffer_commit(&client->outbox.settlements, bytes);
    return HERALD_OK;
}

static enum herald_status settle_frame(struct herald_client *client, struct herald_message *message,
                                       struct frame *frame)
{
    enum herald_status status = message_add_frame(client, frame);
    if (status == HERALD_OK)
        mark_settled(client, message);
    return status;
}

enum herald_status herald_done(struct herald_message *message)
{
    struct herald_client *client = message->client;
    pthread_mutex_lock(&client->lock);
    enum herald_status status = message_check_settle(client, message);
    if (status == HERALD_OK)
        status = settle_done(client, message);
    pthread_mutex_unlock(&client->lock);
    return status;
}

enum herald_status herald_result(struct herald_message *message, const void *body,
                                 size_t body_bytes)
{
    struct herald_client *client = message->client;
    pthread_mutex_lock(&client->lock);
    enum herald_status status = message_check_settle(client, message);
    if (status == HERALD_OK && body_bytes > client->session.message_bytes_max)
        status = error_set(client, HERALD_ETOOLARGE, "the result is larger than the broker takes");
    if (status == HERALD_OK) {
        struct frame frame = {
            .header.type = FRAME_RESULT,
            .as.result = {.start = client->outbox.start,
                          .delivery = message->fields.delivery,
                          .body_bytes = (uint32_t)body_bytes,
                          .body = wire_bytes_of(body, (uint32_t)body_bytes)},
        };
        status = settle_frame(client, message, &frame);
    }
    pthread_mutex_unlock(&client->lock);
    return status;
}

static struct wire_bytes clip(const char *text, size_t bytes_max)
{
    size_t bytes = text != NULL ? strlen(text) : 0;
    return wire_bytes_of(text, (uint32_t)(bytes < bytes_max ? bytes : bytes_max));
}

static enum herald_status settle_fail(struct herald_client *client, struct herald_message *message,
                                      const struct herald_failure *failure)
{
    if (failure->code == NULL || failure->code[0] == '\0' ||
        strlen(failure->code) > NAME_BYTES_MAX || failure->detail_bytes > UINT16_MAX)
        return error_set(client, HERALD_EINVAL, "a failure needs a code of 1 to 255 bytes");
    if ((unsigned)failure->fail_class > HERALD_FAIL_BUSY)
        return error_set(client, HERALD_EINVAL, "there is no such class of failures");
    struct frame frame = {
        .header.type = FRAME_FAIL,
        .as.fail = {.start = client->outbox.start,
                    .delivery = message->fields.delivery,
                    .class = (uint8_t)failure->fail_class,
                    .retry_after_ms = failure->retry_after_ms,
                    .code = wire_bytes_of_text(failure->code),
                    .text = clip(failure->text, FAIL_TEXT_BYTES_MAX),
                    .detail = wire_bytes_of(failure->detail, (uint32_t)failure->detail_bytes)},
    };
    if (frame_encoded_bytes(&frame) > client->outbox.frame_bytes_max)
        return error_set(client, HERALD_ETOOLARGE, "the detail does not fit in a frame");
    return settle_frame(client, message, &frame);
}

enum herald_status herald_fail_with(struct herald_message *message,
                                    const struct herald_failure *failure)
{
    struct herald_client *client = message->client;
    pthread_mutex_lock(&client->lock);
    enum herald_status status = message_check_settle(client, message);
    if (status == HERALD_OK && failure->size < sizeof *failure)
        status = error_set(client, HERALD_EINVAL, "a failure needs its size");
    if (status == HERALD_OK)
        status = settle_fail(client, message, failure);
    pthread_mutex_unlock(&client->lock);
    return status;
}

enum herald_status herald_fail(struct herald_message *message, enum herald_fail_class fail_class,
                               const char *code, const char *text)
{
    const struct herald_failure failure = {
        .size = sizeof failure, .fail_class = fail_class, .code = code, .text = text};
    return herald_fail_with(message, &failure);
}

static enum herald_status settle_release(struct herald_client *client,
                                         struct herald_message *message)
{
    struct frame frame = {
        .header.type = FRAME_RELEASE,
        .as.release = {.start = client->outbox.start,
                       .first = message->fields.delivery,
                       .last = message->fields.delivery},
    };
    return settle_frame(client, message, &frame);
}

enum herald_status herald_release(struct herald_message *message)
{
    struct herald_client *client = message->client;
    pthread_mutex_lock(&client->lock);
    enum herald_status status = message_check_settle(client, message);
    if (status == HERALD_OK)
        status = settle_release(client, message);
    pthread_mutex_unlock(&client->lock);
    return status;
}

void message_release_all(struct herald_client *client)
{
    if (client->session.state != SESSION_OPEN || client->unsettled == 0)
        return;
    const struct frame_release fields = {
        .start = client->outbox.start,
        .first = client->delivery_first,
        .last = client->delivery_last,
    };
    unsigned char *room = outbox_reserve_settlement(&client->outbox, SETTLE_FIELDS_BYTES);
    if (room == NULL)
        return;
    struct wire_writer w = wire_writer_of(room, SETTLE_FIELDS_BYTES);
    bool ok = frame_put_release(&w, 0, 0, &fields);
    assert(ok);
    buffer_commit(&client->outbox.settlements, wire_written(&w));
    client->unsettled = 0;
    client->generation++; /* what is still held is stale from here on */
}

/* --- delivering ---------------------------------------------------------------------------------
 */

/* What the callback left undone. */
static void finish_callback(struct herald_client *client, struct herald_message *message,
                            bool auto_done)
{
    if (find_obstacle(client, message) != NULL)
        return;
    static const struct herald_failure forgotten = {
        .size = sizeof forgotten,
        .fail_class = HERALD_FAIL_RETRYABLE,
        .code = "NOT_SETTLED",
        .text = "the worker returned without settling the message",
    };
    if (auto_done)
        (void)settle_done(client, message);
    else
        (void)settle_fail(client, message, &forgotten);
}

void message_handle_deliver(struct herald_client *client, const struct frame *frame,
                            struct wire_bytes body)
{
    struct herald_message message;
    message.client = client;
    message.fields = frame->as.deliver;
    message.fields.body = body;
    message.flags = frame->header.flags;
    message.settled = false;
    message.is_copy = false;
    message.handed_over = false;
    message.generation = client->generation;
    message.sequence = 0;
    message.key[0] = '\0';
    message.exchange[0] = '\0';
    message.earlier = (struct frame_earlier){0};
    message.fence = 0;
    if (client->earlier_bytes != NULL && client->earlier.number == message.fields.number &&
        client->earlier.consumer == message.fields.consumer)
        message.earlier = client->earlier;
    if (message.fields.delivery != 0) {
        message.sequence = ++client->delivery_sequence;
        client->unsettled++;
        client->delivery_last = message.fields.delivery;
        if (client->delivery_first == 0)
            client->delivery_first = message.fields.delivery;
    }
    struct herald_consumer *consumer = consumer_find(client, message.fields.consumer);
    if (consumer == NULL || consumer->state == CONSUMER_CANCELLED || client->closing) {
        if (message.fields.delivery != 0)
            (void)settle_release(client, &message);
        return;
    }
    message.fence = consumer->fence;
    if (consumer->following != NULL)
        follow_on_event(consumer, herald_message_sequence(&message));
    herald_message_fn *on_message = consumer->on_message;
    void *context = consumer->context;
    bool auto_done = consumer->auto_done;
    client_enter_callback(client);
    on_message(&message, context);
    client_leave_callback(client);
    finish_callback(client, &message, auto_done);
}

/* --- keeping ------------------------------------------------------------------------------------
 */

struct wire_bytes message_keep(unsigned char **at, struct wire_bytes bytes)
{
    struct wire_bytes kept = wire_bytes_of(*at, bytes.bytes);
    if (bytes.bytes > 0)
        memcpy(*at, bytes.at, bytes.bytes);
    *at += bytes.bytes;
    return kept;
}

/* Without the duties that go with it. */
static struct herald_message *copy_message(const struct herald_message *message)
{
    const struct frame_deliver *fields = &message->fields;
    size_t bytes = (size_t)fields->exchange.bytes + fields->key.bytes + fields->properties.bytes +
                   fields->headers.bytes + fields->body.bytes + message->earlier.checkpoint.bytes +
                   message->earlier.code.bytes + message->earlier.text.bytes;
    struct herald_message *copy = malloc(sizeof *copy + bytes);
    if (copy == NULL)
        return NULL;
    memcpy(copy, message, sizeof *copy);
    unsigned char *at = copy->bytes;
    copy->is_copy = true;
    copy->fields.exchange = message_keep(&at, fields->exchange);
    copy->fields.key = message_keep(&at, fields->key);
    copy->fields.properties = message_keep(&at, fields->properties);
    copy->fields.headers = message_keep(&at, fields->headers);
    copy->fields.body = message_keep(&at, fields->body);
    copy->earlier.checkpoint = message_keep(&at, message->earlier.checkpoint);
    copy->earlier.code = message_keep(&at, message->earlier.code);
    copy->earlier.text = message_keep(&at, message->earlier.text);
    return copy;
}

struct herald_message *herald_message_retain(struct herald_message *message)
{
    struct herald_message *copy = copy_message(message);
    if (copy == NULL)
        return NULL;
    pthread_mutex_lock(&message->client->lock);
    message->handed_over = true;
    message->client->references++;
    pthread_mutex_unlock(&message->client->lock);
    return copy;
}

struct herald_message *message_of_peeked(struct herald_client *client,
                                         const struct frame_peeked *peeked, struct wire_bytes body)
{
    struct herald_message message = {.client = client, .generation = client->generation};
    message.fields = (struct frame_deliver){.number = peeked->number,
                                            .attempt = peeked->attempts,
                                            .time_ms = peeked->time_ms,
                                            .exchange = peeked->exchange,
                                            .key = peeked->key,
                                            .properties = peeked->properties,
                                            .headers = peeked->headers,
                                            .body_bytes = body.bytes,
                                            .body = body};
    struct herald_message *copy = copy_message(&message);
    if (copy != NULL)
        client->references++;
    return copy;
}

void herald_message_free(struct herald_message *message)
{
    if (message == NULL)
        return;
    assert(message->is_copy);
    struct herald_client *client = message->client;
    pthread_mutex_lock(&client->lock);
    if (find_obstacle(client, message) == NULL)
        (void)settle_release(client, message);
    pthread_mutex_unlock(&client->lock);
    free(message);
    client_unref(client);
}

/* --- what a message holds -----------------------------------------------------------------------
 */

const void *herald_message_body(const struct herald_message *message)
{
    return message->fields.body.at;
}

size_t herald_message_body_bytes(const struct herald_message *message)
{
    return message->fields.body.bytes;
}

/* A str8 fits in 256 bytes with its NUL. */
static const char *text_of(char text[256], struct wire_bytes bytes)
{
    if (text[0] == '\0' && bytes.bytes > 0) {
        memcpy(text, bytes.at, bytes.bytes);
        text[bytes.bytes] = '\0';
    }
    return text;
}

const char *herald_message_key(struct herald_message *message)
{
    return text_of(message->key, message->fields.key);
}

const char *herald_message_exchange(struct herald_message *message)
{
    return text_of(message->exchange, message->fields.exchange);
}

uint64_t herald_message_number(const struct herald_message *message)
{
    return message->fields.number;
}

unsigned herald_message_attempt(const struct herald_message *message)
{
    return message->fields.attempt;
}

int herald_message_is_redelivered(const struct herald_message *message)
{
    return (message->flags & FLAG_REDELIVERED) != 0;
}

int herald_message_is_call(const struct herald_message *message)
{
    return (message->flags & FLAG_CALL) != 0;
}

uint64_t herald_message_time_ms(const struct herald_message *message)
{
    return message->fields.time_ms;
}

const unsigned char *herald_message_id(const struct herald_message *message)
{
    struct wire_bytes id = property_find(message->fields.properties, PROPERTY_MESSAGE_ID);
    return id.bytes == 16 ? id.at : NULL;
}

const unsigned char *herald_message_repairs(const struct herald_message *message)
{
    struct wire_bytes id = property_find(message->fields.properties, PROPERTY_MESSAGE_REPAIRS);
    return id.bytes == 16 ? id.at : NULL;
}

uint64_t herald_message_deadline_ms(const struct herald_message *message)
{
    struct wire_bytes properties = message->fields.properties;
    uint64_t deadline_ms = property_find_number(properties, PROPERTY_MESSAGE_DEADLINE, UINT64_MAX);
    uint64_t timeout_ms = property_find_number(properties, PROPERTY_MESSAGE_TIMEOUT, UINT64_MAX);
    if (timeout_ms < UINT64_MAX - message->fields.time_ms &&
        message->fields.time_ms + timeout_ms < deadline_ms)
        deadline_ms = message->fields.time_ms + timeout_ms;
    return deadline_ms != UINT64_MAX ? deadline_ms : 0;
}

const unsigned char *herald_message_outcome_of(const struct herald_message *message)
{
    struct wire_bytes id = property_find(message->fields.properties, PROPERTY_MESSAGE_OUTCOME_OF);
    return id.bytes == 16 ? id.at : NULL;
}

const char *herald_message_content_type(const struct herald_message *message, size_t *bytes)
{
    struct wire_bytes value =
        property_find(message->fields.properties, PROPERTY_MESSAGE_CONTENT_TYPE);
    *bytes = value.bytes;
    return (const char *)value.at;
}

const char *herald_message_correlation(const struct herald_message *message, size_t *bytes)
{
    struct wire_bytes value =
        property_find(message->fields.properties, PROPERTY_MESSAGE_CORRELATION);
    *bytes = value.bytes;
    return (const char *)value.at;
}

const void *herald_message_header(const struct herald_message *message, const char *name,
                                  size_t *value_bytes)
{
    struct wire_bytes wanted = wire_bytes_of_text(name);
    struct wire_reader r =
        wire_reader_of(message->fields.headers.at, message->fields.headers.bytes);
    struct header header;
    while (header_next(&r, &header)) {
        if (!wire_bytes_equal(header.name, wanted))
            continue;
        *value_bytes = header.value.bytes;
        return header.value.at;
    }
    *value_bytes = 0;
    return NULL;
}

int herald_message_header_at(const struct herald_message *message, size_t index,
                             struct herald_header *header)
{
    struct wire_reader r =
        wire_reader_of(message->fields.headers.at, message->fields.headers.bytes);
    struct header found;
    while (header_next(&r, &found)) {
        if (index-- > 0)
            continue;
        header->name = (const char *)found.name.at;
        header->name_bytes = found.name.bytes;
        header->value = found.value.at;
        header->value_bytes = found.value.bytes;
        return 1;
    }
    return 0;
}

struct herald_client *herald_message_client(const struct herald_message *message)
{
    struct herald_client *client = message->client;
    pthread_mutex_lock(&client->lock);
    bool closed = client->closed;
    pthread_mutex_unlock(&client->lock);
    return closed ? NULL : client;
}
