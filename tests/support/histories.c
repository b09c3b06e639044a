/* Histories in a scene. */
#include "tests/support/histories.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/exchange.h"
#include "protocol/append.h"
#include "protocol/property.h"

void histories_set_up_with(const struct core_limits *limits)
{
    scene = scene_new_with(19, limits);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    hear_confirm(alice, say_create(alice, "book", PROPERTY_EXCHANGE_HISTORY, 1));
}

void histories_set_up(void)
{
    struct core_limits limits = scene_limits();
    histories_set_up_with(&limits);
}

void histories_tear_down(void)
{
    scene_free(scene);
}

void crash_with(enum disk_sim_policy policy)
{
    scene_crash(scene, policy);
    ck_assert(actor_enter(alice));
    ck_assert(actor_enter(bob));
}

void let_move(void)
{
    for (int i = 0; i < 10; i++) {
        scene_advance_ms(scene, 1000);
        scene_settle(scene);
    }
}

static uint64_t say_settings(struct actor *actor, enum frame_type type, const char *exchange,
                             uint8_t property, uint64_t value)
{
    unsigned char settings[64];
    struct wire_writer s = wire_writer_of(settings, sizeof settings);
    if (property != PROPERTY_EXCHANGE_HISTORY && type == FRAME_EXCHANGE_CREATE)
        property_put_number(&s, PROPERTY_EXCHANGE_HISTORY, 1);
    property_put_number(&s, property, value);
    struct frame frame = {.header.type = (uint8_t)type};
    frame.as.exchange_create.exchange = wire_bytes_of_text(exchange);
    frame.as.exchange_create.settings = wire_bytes_of(settings, (uint32_t)wire_written(&s));
    return actor_say(actor, &frame);
}

uint64_t say_create(struct actor *actor, const char *exchange, uint8_t property, uint64_t value)
{
    return say_settings(actor, FRAME_EXCHANGE_CREATE, exchange, property, value);
}

uint64_t say_exchange_set(const char *exchange, uint8_t property, uint64_t value)
{
    return say_settings(alice, FRAME_EXCHANGE_SET, exchange, property, value);
}

void publish_events(unsigned from, unsigned to)
{
    uint64_t tag = 0;
    for (unsigned i = from; i <= to; i++) {
        char body[32];
        char key[32];
        snprintf(body, sizeof body, "event %u", i);
        snprintf(key, sizeof key, "%s.%u", i % 2 == 0 ? "even" : "odd", i);
        tag = say_publish(alice, "book", key, body);
        if (i % 100 == 0)
            hear_confirm(alice, tag);
    }
    if (to % 100 != 0)
        hear_confirm(alice, tag);
}

void publish_sized(unsigned count, uint32_t bytes)
{
    static const unsigned char body[SCENE_FRAME_BYTES_MAX];
    ck_assert_uint_lt(bytes, sizeof body);
    for (unsigned i = 0; i < count; i++) {
        struct frame frame = {.header.type = FRAME_PUBLISH};
        frame.as.publish = (struct frame_publish){.exchange = wire_bytes_of_text("book"),
                                                  .key = wire_bytes_of_text("sized"),
                                                  .body_bytes = bytes,
                                                  .body = wire_bytes_of(body, bytes)};
        hear_confirm(alice, actor_say(alice, &frame));
    }
}

void hear_events(uint32_t consumer, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        char body[32];
        snprintf(body, sizeof body, "event %u", i);
        struct heard heard = hear_delivery(bob, body);
        ck_assert_uint_eq(heard.consumer, consumer);
        ck_assert_uint_eq(heard.sequence, i);
    }
}

uint64_t say_follow_with(struct actor *actor, const struct frame_follow *follow)
{
    struct frame frame = {.header.type = FRAME_FOLLOW};
    frame.as.follow = *follow;
    if (follow->exchange.bytes == 0)
        frame.as.follow.exchange = wire_bytes_of_text("book");
    if (follow->pattern.bytes == 0)
        frame.as.follow.pattern = wire_bytes_of_text("#");
    return actor_say(actor, &frame);
}

uint64_t say_follow(uint32_t consumer, uint8_t from, uint64_t at)
{
    return say_follow_with(bob,
                           &(struct frame_follow){.consumer = consumer, .from = from, .at = at});
}

uint64_t say_seek(const char *cursor, uint8_t from, uint64_t at)
{
    struct frame frame = {.header.type = FRAME_CURSOR_SEEK};
    frame.as.cursor_seek = (struct frame_cursor_seek){wire_bytes_of_text(cursor), from, at};
    return actor_say(bob, &frame);
}

/* --- entities -----------------------------------------------------------------------------------
 */

static uint64_t say_of_entity(struct actor *actor, const char *entity, uint64_t expect,
                              const char *body, bool is_snapshot)
{
    unsigned char list[512];
    struct wire_writer p = wire_writer_of(list, sizeof list);
    property_put(&p, PROPERTY_MESSAGE_ENTITY, wire_bytes_of_text(entity));
    if (expect != EXPECT_ANY)
        property_put_number(&p, PROPERTY_MESSAGE_EXPECT, expect);
    if (is_snapshot)
        property_put_number(&p, PROPERTY_MESSAGE_SNAPSHOT, 1);
    struct frame frame = {.header.type = FRAME_PUBLISH};
    frame.as.publish =
        (struct frame_publish){.exchange = wire_bytes_of_text("book"),
                               .key = wire_bytes_of_text("entity"),
                               .properties = wire_bytes_of(list, (uint32_t)wire_written(&p)),
                               .body_bytes = (uint32_t)strlen(body),
                               .body = wire_bytes_of_text(body)};
    return actor_say(actor, &frame);
}

uint64_t say_entity(struct actor *actor, const char *entity, uint64_t expect, const char *body)
{
    return say_of_entity(actor, entity, expect, body, false);
}

uint64_t say_snapshot(struct actor *actor, const char *entity, const char *body)
{
    return say_of_entity(actor, entity, EXPECT_ANY, body, true);
}

uint64_t say_append(struct actor *actor, const char *entity, uint64_t expect, unsigned from,
                    unsigned count)
{
    static unsigned char list[SCENE_FRAME_BYTES_MAX];
    struct wire_writer l = wire_writer_of(list, sizeof list);
    for (unsigned i = 0; i < count; i++) {
        char body[32];
        snprintf(body, sizeof body, "append %u", from + i);
        append_put(&l, &(struct append_event){.key = wire_bytes_of_text("entity"),
                                              .body = wire_bytes_of_text(body)});
    }
    ck_assert(!l.failed);
    struct frame frame = {.header.type = FRAME_APPEND};
    frame.as.append =
        (struct frame_append){.exchange = wire_bytes_of_text("book"),
                              .entity = wire_bytes_of_text(entity),
                              .expect = expect,
                              .body_bytes = (uint32_t)wire_written(&l),
                              .body = wire_bytes_of(list, (uint32_t)wire_written(&l))};
    return actor_say(actor, &frame);
}

uint64_t say_read(struct actor *actor, const char *entity, uint8_t flags, uint64_t from,
                  uint32_t limit)
{
    struct frame frame = {.header = {.type = FRAME_READ, .flags = flags}};
    frame.as.read =
        (struct frame_read){wire_bytes_of_text("book"), wire_bytes_of_text(entity), from, limit};
    return actor_say(actor, &frame);
}

void hear_event(struct actor *actor, uint64_t tag, uint64_t version, const char *body, bool is_last)
{
    struct frame frame;
    ck_assert(actor_next(actor, &frame));
    ck_assert_str_eq(frame_name(frame.header.type), "EVENT");
    ck_assert_uint_eq(frame.header.tag, tag);
    ck_assert_uint_eq(frame.as.event.version, version);
    if (body != NULL)
        ck_assert(wire_bytes_equal(frame.as.event.body, wire_bytes_of_text(body)));
    ck_assert_int_eq((frame.header.flags & FLAG_LAST) != 0, is_last);
}

struct history *history_of(const char *exchange)
{
    struct exchange *found = exchange_find(scene->core, wire_bytes_of_text(exchange));
    ck_assert_ptr_nonnull(found);
    ck_assert_ptr_nonnull(found->history);
    return found->history;
}

uint64_t ask_exchange(const char *exchange, const char *field)
{
    struct frame frame = {.header.type = FRAME_QUERY};
    frame.as.query =
        (struct frame_query){.subject = QUERY_EXCHANGE, .name = wire_bytes_of_text(exchange)};
    actor_say(alice, &frame);
    ck_assert(actor_next(alice, &frame));
    ck_assert_str_eq(frame_name(frame.header.type), "ROW");
    struct wire_reader r = wire_reader_of(frame.as.row.fields.at, frame.as.row.fields.bytes);
    struct row_field row;
    while (row_next(&r, &row))
        if (wire_bytes_equal(row.name, wire_bytes_of_text(field)))
            return row.number;
    ck_abort_msg("no field %s", field);
}
