/* What actors say about bindings with filters and between exchanges. */
#include "tests/support/lines_route.h"

#include <string.h>

#include "protocol/property.h"
#include "tests/support/check_main.h"

static struct wire_bytes text(const char *text)
{
    return wire_bytes_of_text(text);
}

struct wire_bytes headers_of(const char *spec)
{
    static unsigned char room[2048];
    struct wire_writer w = wire_writer_of(room, sizeof room);
    while (spec != NULL && *spec != '\0') {
        size_t name = strcspn(spec, "=");
        size_t value = strcspn(spec + name + 1, " ");
        header_put(&w, wire_bytes_of(spec, (uint32_t)name),
                   wire_bytes_of(spec + name + 1, (uint32_t)value));
        spec += name + 1 + value;
        spec += *spec == ' ';
    }
    ck_assert(!w.failed);
    return wire_bytes_of(room, (uint32_t)wire_written(&w));
}

uint64_t say_tie(struct actor *actor, struct tie tie)
{
    struct frame frame = {.header = {.type = FRAME_BIND, .flags = tie.flags}};
    frame.as.bind = (struct frame_bind){text(tie.to), text(tie.exchange), text(tie.pattern),
                                        headers_of(tie.filter)};
    return actor_say(actor, &frame);
}

uint64_t say_untie(struct actor *actor, struct tie tie)
{
    struct frame frame = {.header = {.type = FRAME_UNBIND, .flags = tie.flags}};
    frame.as.unbind = (struct frame_unbind){text(tie.to), text(tie.exchange), text(tie.pattern)};
    return actor_say(actor, &frame);
}

void do_tie(struct actor *actor, struct tie tie)
{
    hear_confirm(actor, say_tie(actor, tie));
}

uint64_t say_relay(struct actor *actor, const char *to, const char *exchange, const char *pattern)
{
    return say_tie(actor, (struct tie){to, exchange, pattern, NULL, FLAG_TO_EXCHANGE});
}

uint64_t say_unrelay(struct actor *actor, const char *to, const char *exchange, const char *pattern)
{
    return say_untie(actor, (struct tie){to, exchange, pattern, NULL, FLAG_TO_EXCHANGE});
}

void do_relay(struct actor *actor, const char *to, const char *exchange, const char *pattern)
{
    hear_confirm(actor, say_relay(actor, to, exchange, pattern));
}

uint64_t say_publish_headers(struct actor *actor, const char *exchange, const char *key,
                             const char *headers)
{
    struct frame frame = {.header.type = FRAME_PUBLISH};
    frame.as.publish.exchange = text(exchange);
    frame.as.publish.key = text(key);
    frame.as.publish.headers = headers_of(headers);
    frame.as.publish.body = text(headers != NULL ? headers : "");
    frame.as.publish.body_bytes = frame.as.publish.body.bytes;
    return actor_say(actor, &frame);
}

uint64_t say_subscribe_where(struct actor *actor, uint32_t consumer, const char *exchange,
                             const char *pattern, const char *filter)
{
    struct frame frame = {.header.type = FRAME_SUBSCRIBE};
    frame.as.subscribe =
        (struct frame_subscribe){consumer, text(exchange), text(pattern), headers_of(filter)};
    return actor_say(actor, &frame);
}

uint64_t say_route(struct actor *actor, struct route_question question)
{
    struct frame frame = {.header.type = FRAME_QUERY};
    frame.as.query = (struct frame_query){.subject = question.subject,
                                          .name = text(question.exchange),
                                          .key = text(question.key),
                                          .after = question.after,
                                          .limit = question.limit,
                                          .headers = headers_of(question.headers)};
    return actor_say(actor, &frame);
}

static void take_text(const struct row_field *field, const char *name, char *to, size_t room)
{
    if (!wire_bytes_equal(field->name, text(name)))
        return;
    size_t bytes = field->text.bytes < room ? field->text.bytes : room - 1;
    if (bytes > 0)
        memcpy(to, field->text.at, bytes);
    to[bytes] = '\0';
}

static struct route_row read_row(struct wire_bytes fields)
{
    struct route_row row = {.passes = true};
    struct wire_reader r = wire_reader_of(fields.at, fields.bytes);
    struct row_field field;
    while (row_next(&r, &field)) {
        take_text(&field, "exchange", row.exchange, sizeof row.exchange);
        take_text(&field, "queue", row.queue, sizeof row.queue);
        take_text(&field, "onward", row.onward, sizeof row.onward);
        take_text(&field, "pattern", row.pattern, sizeof row.pattern);
        take_text(&field, "filter", row.filter, sizeof row.filter);
        take_text(&field, "why", row.why, sizeof row.why);
        if (wire_bytes_equal(field.name, text("number")))
            row.number = field.number;
        if (wire_bytes_equal(field.name, text("live")))
            row.is_live = field.number != 0;
        if (wire_bytes_equal(field.name, text("passes")))
            row.passes = field.number != 0;
    }
    ck_assert(wire_reader_is_done(&r));
    return row;
}

size_t ask_route(struct actor *actor, struct route_question question, struct route_row *rows,
                 size_t most)
{
    struct frame frame;
    size_t count = 0;
    uint64_t tag = say_route(actor, question);
    do {
        ck_assert(actor_next(actor, &frame));
        ck_assert_uint_eq(frame.header.type, FRAME_ROW);
        ck_assert_uint_eq(frame.header.tag, tag);
        if (frame.as.row.fields.bytes == 0)
            break;
        if (count < most)
            rows[count] = read_row(frame.as.row.fields);
        count++;
    } while ((frame.header.flags & FLAG_LAST) == 0);
    return count;
}
