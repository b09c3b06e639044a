/* What actors of a scene say and hear. */
#include "tests/support/lines.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocol/property.h"

static struct frame frame_of(enum frame_type type, uint8_t flags)
{
    return (struct frame){.header.type = (uint8_t)type, .header.flags = flags};
}

static struct wire_bytes text(const char *at)
{
    return wire_bytes_of_text(at);
}

/* See scene.c: the fake peers of other tests must not be drawn in. */
#pragma weak peer_is_closing

/* --- saying -------------------------------------------------------------------------------------
 */

uint64_t say_queue(struct actor *actor, const char *queue)
{
    struct frame frame = frame_of(FRAME_QUEUE_CREATE, 0);
    frame.as.queue_create.queue = text(queue);
    return actor_say(actor, &frame);
}

uint64_t say_queue_with(struct actor *actor, const char *queue, uint8_t flags, uint64_t count_max,
                        uint64_t overflow)
{
    unsigned char settings[64];
    struct wire_writer w = wire_writer_of(settings, sizeof settings);
    property_put_number(&w, PROPERTY_QUEUE_COUNT_MAX, count_max);
    property_put_number(&w, PROPERTY_QUEUE_OVERFLOW, overflow);
    struct frame frame = frame_of(FRAME_QUEUE_CREATE, flags);
    frame.as.queue_create.queue = text(queue);
    frame.as.queue_create.settings = wire_bytes_of(settings, (uint32_t)wire_written(&w));
    return actor_say(actor, &frame);
}

uint64_t say_queue_set(struct actor *actor, const char *queue, uint8_t property, uint64_t value)
{
    unsigned char settings[64];
    struct wire_writer w = wire_writer_of(settings, sizeof settings);
    property_put_number(&w, property, value);
    struct frame frame = frame_of(FRAME_QUEUE_SET, 0);
    frame.as.queue_set.queue = text(queue);
    frame.as.queue_set.settings = wire_bytes_of(settings, (uint32_t)wire_written(&w));
    return actor_say(actor, &frame);
}

uint64_t say_queue_delete(struct actor *actor, const char *queue, uint8_t flags)
{
    struct frame frame = frame_of(FRAME_QUEUE_DELETE, flags);
    frame.as.queue_delete.queue = text(queue);
    return actor_say(actor, &frame);
}

uint64_t say_queue_purge(struct actor *actor, const char *queue)
{
    struct frame frame = frame_of(FRAME_QUEUE_PURGE, 0);
    frame.as.queue_purge.queue = text(queue);
    return actor_say(actor, &frame);
}

uint64_t say_exchange(struct actor *actor, const char *exchange, uint8_t flags)
{
    struct frame frame = frame_of(FRAME_EXCHANGE_CREATE, flags);
    frame.as.exchange_create.exchange = text(exchange);
    return actor_say(actor, &frame);
}

uint64_t say_exchange_delete(struct actor *actor, const char *exchange, uint8_t flags)
{
    struct frame frame = frame_of(FRAME_EXCHANGE_DELETE, flags);
    frame.as.exchange_delete.exchange = text(exchange);
    return actor_say(actor, &frame);
}

uint64_t say_bind(struct actor *actor, const char *queue, const char *exchange, const char *pattern)
{
    struct frame frame = frame_of(FRAME_BIND, 0);
    frame.as.bind = (struct frame_bind){text(queue), text(exchange), text(pattern), {NULL, 0}};
    return actor_say(actor, &frame);
}

uint64_t say_unbind(struct actor *actor, const char *queue, const char *exchange,
                    const char *pattern)
{
    struct frame frame = frame_of(FRAME_UNBIND, 0);
    frame.as.unbind = (struct frame_unbind){text(queue), text(exchange), text(pattern)};
    return actor_say(actor, &frame);
}

uint64_t say_send(struct actor *actor, const char *queue, const char *body)
{
    return say_send_with(actor, queue, body, 0);
}

uint64_t say_send_with(struct actor *actor, const char *queue, const char *body, uint8_t flags)
{
    struct frame frame = frame_of(FRAME_SEND, flags);
    frame.as.send.queue = text(queue);
    frame.as.send.body = text(body);
    frame.as.send.body_bytes = frame.as.send.body.bytes;
    return actor_say(actor, &frame);
}

uint64_t say_send_bytes(struct actor *actor, const char *queue, const void *body, uint32_t bytes)
{
    const uint32_t piece_max = SCENE_FRAME_BYTES_MAX - 512;
    const unsigned char *at = body;
    uint32_t first = bytes < piece_max ? bytes : piece_max;
    struct frame frame = frame_of(FRAME_SEND, 0);
    frame.as.send.queue = text(queue);
    frame.as.send.body = wire_bytes_of(at, first);
    frame.as.send.body_bytes = bytes;
    uint64_t tag = actor_write(actor, &frame);
    for (uint32_t sent = first; sent < bytes;) {
        uint32_t piece = bytes - sent < piece_max ? bytes - sent : piece_max;
        struct frame more = frame_of(FRAME_PIECE, 0);
        more.as.piece.body = wire_bytes_of(at + sent, piece);
        actor_write(actor, &more);
        sent += piece;
    }
    actor_flush(actor);
    scene_settle(actor->scene);
    return tag;
}

uint64_t say_publish(struct actor *actor, const char *exchange, const char *key, const char *body)
{
    return say_publish_with(actor, exchange, key, body, 0);
}

uint64_t say_publish_with(struct actor *actor, const char *exchange, const char *key,
                          const char *body, uint8_t flags)
{
    struct frame frame = frame_of(FRAME_PUBLISH, flags);
    frame.as.publish.exchange = text(exchange);
    frame.as.publish.key = text(key);
    frame.as.publish.body = text(body);
    frame.as.publish.body_bytes = frame.as.publish.body.bytes;
    return actor_say(actor, &frame);
}

uint64_t say_call(struct actor *actor, const char *queue, const char *body, uint32_t timeout_ms)
{
    struct frame frame = frame_of(FRAME_CALL, 0);
    frame.as.call.queue = text(queue);
    frame.as.call.timeout_ms = timeout_ms;
    frame.as.call.body = text(body);
    frame.as.call.body_bytes = frame.as.call.body.bytes;
    return actor_say(actor, &frame);
}

uint64_t say_consume(struct actor *actor, uint32_t consumer, const char *queue, uint32_t prefetch)
{
    struct frame frame = frame_of(FRAME_CONSUME, 0);
    frame.as.consume = (struct frame_consume){
        .consumer = consumer, .queue = text(queue), .prefetch_messages = prefetch};
    return actor_say(actor, &frame);
}

uint64_t say_subscribe(struct actor *actor, uint32_t consumer, const char *exchange,
                       const char *pattern)
{
    struct frame frame = frame_of(FRAME_SUBSCRIBE, 0);
    frame.as.subscribe =
        (struct frame_subscribe){consumer, text(exchange), text(pattern), {NULL, 0}};
    return actor_say(actor, &frame);
}

uint64_t say_cancel(struct actor *actor, uint32_t consumer)
{
    struct frame frame = frame_of(FRAME_CANCEL, 0);
    frame.as.cancel.consumer = consumer;
    return actor_say(actor, &frame);
}

uint64_t say_done(struct actor *actor, uint64_t first, uint64_t last)
{
    struct frame frame = frame_of(FRAME_DONE, 0);
    frame.as.done = (struct frame_done){actor->start, first, last};
    return actor_say(actor, &frame);
}

uint64_t say_result(struct actor *actor, uint64_t delivery, const char *result)
{
    struct frame frame = frame_of(FRAME_RESULT, 0);
    struct wire_bytes body = text(result);
    frame.as.result = (struct frame_result){actor->start, delivery, body.bytes, body};
    return actor_say(actor, &frame);
}

uint64_t say_fail(struct actor *actor, uint64_t delivery, const char *code)
{
    struct frame frame = frame_of(FRAME_FAIL, 0);
    frame.as.fail = (struct frame_fail){.start = actor->start,
                                        .delivery = delivery,
                                        .class = FAIL_PERMANENT,
                                        .code = text(code),
                                        .text = text("because"),
                                        .detail = text("more")};
    return actor_say(actor, &frame);
}

uint64_t say_release(struct actor *actor, uint64_t first, uint64_t last)
{
    struct frame frame = frame_of(FRAME_RELEASE, 0);
    frame.as.release = (struct frame_release){actor->start, first, last};
    return actor_say(actor, &frame);
}

uint64_t say_query(struct actor *actor, uint8_t subject, const char *name, uint64_t after,
                   uint32_t limit)
{
    struct frame frame = frame_of(FRAME_QUERY, 0);
    frame.as.query = (struct frame_query){
        .subject = subject, .name = text(name), .after = after, .limit = limit};
    return actor_say(actor, &frame);
}

void say_piece(struct actor *actor, const void *at, uint32_t bytes)
{
    struct frame frame = frame_of(FRAME_PIECE, 0);
    frame.as.piece.body = wire_bytes_of(at, bytes);
    actor_say(actor, &frame);
}

void say_seen(struct actor *actor, uint64_t through)
{
    struct frame frame = frame_of(FRAME_SEEN, 0);
    frame.as.seen.through = through;
    actor_say(actor, &frame);
}

void say_goodbye(struct actor *actor)
{
    struct frame frame = frame_of(FRAME_CLOSE, 0);
    frame.as.close.code = STATUS_GOODBYE;
    actor_say(actor, &frame);
    actor_cut(actor);
    scene_settle(actor->scene);
}

/* --- hearing ------------------------------------------------------------------------------------
 */

static struct frame hear(struct actor *actor, enum frame_type type)
{
    struct frame frame;
    if (!actor_next(actor, &frame))
        ck_abort_msg("%s expected, nothing came", frame_name(type));
    if (frame.header.type == FRAME_REFUSE && type != FRAME_REFUSE)
        ck_abort_msg("%s expected, REFUSE %s came", frame_name(type),
                     status_name((enum status)frame.as.refuse.code));
    if (frame.header.type == FRAME_CLOSE && type != FRAME_CLOSE)
        ck_abort_msg("%s expected, CLOSE %s came", frame_name(type),
                     status_name((enum status)frame.as.close.code));
    ck_assert_str_eq(frame_name(frame.header.type), frame_name(type));
    return frame;
}

void hear_nothing(struct actor *actor)
{
    struct frame frame;
    if (actor_next(actor, &frame))
        ck_abort_msg("nothing expected, %s came", frame_name(frame.header.type));
}

void hear_confirm(struct actor *actor, uint64_t tag)
{
    struct frame frame;
    do {
        frame = hear(actor, FRAME_CONFIRM);
        ck_assert_uint_le(frame.as.confirm.first, frame.as.confirm.last);
    } while (frame.as.confirm.last < tag);
    ck_assert_uint_eq(frame.as.confirm.last, tag);
}

void hear_refuse(struct actor *actor, uint64_t tag, enum status status)
{
    struct frame frame = hear(actor, FRAME_REFUSE);
    ck_assert_uint_eq(frame.header.tag, tag);
    ck_assert_str_eq(status_name((enum status)frame.as.refuse.code), status_name(status));
}

static void copy_text(char *to, size_t room, struct wire_bytes from)
{
    size_t bytes = from.bytes < room ? from.bytes : room - 1;
    if (bytes > 0)
        memcpy(to, from.at, bytes);
    to[bytes] = '\0';
}

struct heard hear_delivery(struct actor *actor, const char *body)
{
    struct frame frame = hear(actor, FRAME_DELIVER);
    const struct frame_deliver *deliver = &frame.as.deliver;
    struct heard heard = {
        .consumer = deliver->consumer,
        .delivery = deliver->delivery,
        .number = deliver->number,
        .attempt = deliver->attempt,
        .is_redelivered = (frame.header.flags & FLAG_REDELIVERED) != 0,
        .is_call = (frame.header.flags & FLAG_CALL) != 0,
        .body_bytes = deliver->body_bytes,
        .sequence = property_find_number(deliver->properties, PROPERTY_MESSAGE_SEQUENCE, 0),
        .version = property_find_number(deliver->properties, PROPERTY_MESSAGE_VERSION, 0),
    };
    copy_text(heard.key, sizeof heard.key, deliver->key);
    copy_text(heard.body, sizeof heard.body, deliver->body);
    if (body != NULL)
        ck_assert_str_eq(heard.body, body);
    return heard;
}

void hear_gap(struct actor *actor, uint32_t consumer, uint64_t missed)
{
    struct frame frame = hear(actor, FRAME_GAP);
    ck_assert_uint_eq(frame.as.gap.consumer, consumer);
    ck_assert_uint_eq(frame.as.gap.missed, missed);
}

void hear_gone(struct actor *actor, uint32_t consumer, enum status status)
{
    struct frame frame = hear(actor, FRAME_CONSUMER_GONE);
    ck_assert_uint_eq(frame.as.consumer_gone.consumer, consumer);
    ck_assert_uint_eq(frame.as.consumer_gone.code, status);
}

void hear_outcome(struct actor *actor, uint64_t tag, const char *result)
{
    struct frame frame = hear(actor, FRAME_OUTCOME);
    ck_assert_uint_eq(frame.header.tag, tag);
    ck_assert_uint_eq(frame.as.outcome.state, OUTCOME_DONE);
    char body[256];
    copy_text(body, sizeof body, frame.as.outcome.body);
    ck_assert_str_eq(body, result);
}

void hear_failure(struct actor *actor, uint64_t tag, const char *code, enum frame_outcome_ran ran)
{
    struct frame frame = hear(actor, FRAME_OUTCOME);
    ck_assert_uint_eq(frame.header.tag, tag);
    ck_assert_uint_eq(frame.as.outcome.state, OUTCOME_FAILED);
    ck_assert_uint_eq(frame.as.outcome.ran, ran);
    char name[64];
    copy_text(name, sizeof name, frame.as.outcome.code);
    ck_assert_str_eq(name, code);
}

void hear_close(struct actor *actor, enum status status)
{
    struct frame frame = hear(actor, FRAME_CLOSE);
    ck_assert_str_eq(status_name((enum status)frame.as.close.code), status_name(status));
    ck_assert(peer_is_closing(actor->peer));
}

void hear_out(struct actor *actor)
{
    struct frame frame;
    while (actor_next(actor, &frame))
        continue;
}

/* --- asking -------------------------------------------------------------------------------------
 */

/* Takes rows to the flagged one; of the last row with fields, the number called `field`. */
static size_t take_rows(struct actor *actor, uint64_t tag, const char *name, const char *field,
                        uint64_t *value)
{
    size_t count = 0;
    for (;;) {
        struct frame frame = hear(actor, FRAME_ROW);
        ck_assert_uint_eq(frame.header.tag, tag);
        struct wire_reader r = wire_reader_of(frame.as.row.fields.at, frame.as.row.fields.bytes);
        struct row_field seen;
        bool is_wanted = name == NULL;
        count += frame.as.row.fields.bytes > 0;
        while (row_next(&r, &seen)) {
            if (name != NULL && seen.kind == ROW_TEXT && wire_bytes_equal(seen.name, text("name")))
                is_wanted = wire_bytes_equal(seen.text, text(name));
            if (is_wanted && seen.kind != ROW_TEXT && wire_bytes_equal(seen.name, text(field)))
                *value = seen.number;
        }
        ck_assert(!r.failed);
        if ((frame.header.flags & FLAG_LAST) != 0)
            return count;
    }
}

uint64_t ask_queue(struct actor *actor, const char *queue, const char *field)
{
    uint64_t value = UINT64_MAX;
    uint64_t tag = say_query(actor, QUERY_QUEUE, queue, 0, 0);
    take_rows(actor, tag, queue, field, &value);
    ck_assert_uint_ne(value, UINT64_MAX);
    return value;
}

uint64_t ask_stat(struct actor *actor, const char *name)
{
    uint64_t value = UINT64_MAX;
    uint64_t tag = say_query(actor, QUERY_STATS, "", 0, 0);
    take_rows(actor, tag, name, "value", &value);
    ck_assert_uint_ne(value, UINT64_MAX);
    return value;
}

size_t ask_rows(struct actor *actor, uint8_t subject, const char *name, uint64_t after,
                uint32_t limit, uint64_t *last_number)
{
    uint64_t number = 0;
    uint64_t tag = say_query(actor, subject, name, after, limit);
    size_t count = take_rows(actor, tag, NULL, "number", &number);
    if (last_number != NULL)
        *last_number = number;
    return count;
}

/* --- both ---------------------------------------------------------------------------------------
 */

void do_queue(struct actor *actor, const char *queue)
{
    hear_confirm(actor, say_queue(actor, queue));
}

void do_exchange(struct actor *actor, const char *exchange)
{
    hear_confirm(actor, say_exchange(actor, exchange, 0));
}

void do_bind(struct actor *actor, const char *queue, const char *exchange, const char *pattern)
{
    hear_confirm(actor, say_bind(actor, queue, exchange, pattern));
}

void do_send(struct actor *actor, const char *queue, const char *body)
{
    hear_confirm(actor, say_send(actor, queue, body));
}

void do_publish(struct actor *actor, const char *exchange, const char *key, const char *body)
{
    hear_confirm(actor, say_publish(actor, exchange, key, body));
}

void do_consume(struct actor *actor, uint32_t consumer, const char *queue, uint32_t prefetch)
{
    hear_confirm(actor, say_consume(actor, consumer, queue, prefetch));
}

void do_done(struct actor *actor, uint64_t delivery)
{
    hear_confirm(actor, say_done(actor, delivery, delivery));
}

struct actor *enter_as(struct scene *scene, const char *client)
{
    struct actor *actor = scene_actor(scene, client);
    ck_assert(actor_enter(actor));
    return actor;
}
