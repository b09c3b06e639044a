/* APPEND: what it refuses, and that of events that are refused together none is there. */
#include <string.h>

#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/queue.h"
#include "protocol/append.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

static unsigned char list[64 << 10];

static struct append_event event_of(const char *key)
{
    return (struct append_event){.key = wire_bytes_of_text(key),
                                 .body = wire_bytes_of_text("body")};
}

static uint64_t say_list(const char *exchange, const char *entity, uint64_t expect, uint32_t bytes)
{
    const uint32_t piece_max = SCENE_FRAME_BYTES_MAX - 600;
    uint32_t sent = bytes < piece_max ? bytes : piece_max;
    struct frame frame = {.header.type = FRAME_APPEND};
    frame.as.append = (struct frame_append){.exchange = wire_bytes_of_text(exchange),
                                            .entity = wire_bytes_of_text(entity),
                                            .expect = expect,
                                            .body_bytes = bytes,
                                            .body = wire_bytes_of(list, sent)};
    uint64_t tag = actor_write(alice, &frame);
    while (sent < bytes) {
        uint32_t piece = bytes - sent < piece_max ? bytes - sent : piece_max;
        frame = (struct frame){.header.type = FRAME_PIECE};
        frame.as.piece.body = wire_bytes_of(list + sent, piece);
        (void)actor_write(alice, &frame);
        sent += piece;
    }
    actor_flush(alice);
    scene_settle(scene);
    return tag;
}

/* So many events of which the last is this one. */
static uint32_t put_behind(unsigned count, const struct append_event *last)
{
    struct wire_writer w = wire_writer_of(list, sizeof list);
    struct append_event good = event_of("k");
    for (unsigned i = 1; i < count; i++)
        append_put(&w, &good);
    append_put(&w, last);
    ck_assert(!w.failed);
    return (uint32_t)wire_written(&w);
}

static void expect_none(void)
{
    ck_assert_uint_eq(history_of("book")->last, 0);
    ck_assert_uint_eq(history_of("book")->entities.count, 0);
    ck_assert_uint_eq(scene->core->entity_count, 0);
}

static void expect_refused(const struct append_event *last, enum status status)
{
    for (unsigned count = 1; count < 40; count += 19) {
        uint32_t bytes = put_behind(count, last);
        hear_refuse(alice, say_list("book", "e", EXPECT_ANY, bytes), status);
        expect_none();
    }
}

/* --- one of them is wrong -----------------------------------------------------------------------
 */

START_TEST(test_keys)
{
    static const char *const keys[] = {"", "a..b", "*", "#", "a b", ".a"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct append_event event = event_of(keys[i]);
        expect_refused(&event, STATUS_BAD_KEY);
    }
}
END_TEST

START_TEST(test_properties)
{
    static const uint8_t numbers[] = {
        PROPERTY_MESSAGE_EXPECT,   PROPERTY_MESSAGE_SEQUENCE, PROPERTY_MESSAGE_VERSION,
        PROPERTY_MESSAGE_PREVIOUS, PROPERTY_MESSAGE_DELAY,    PROPERTY_MESSAGE_DUE,
        PROPERTY_MESSAGE_PRIORITY, PROPERTY_MESSAGE_TRACK,    PROPERTY_MESSAGE_DEADLINE,
        PROPERTY_MESSAGE_TIMEOUT,  PROPERTY_MESSAGE_TTL,      PROPERTY_MESSAGE_ATTEMPTS,
    };
    static const uint8_t texts[] = {PROPERTY_MESSAGE_ENTITY, PROPERTY_MESSAGE_KEY,
                                    PROPERTY_MESSAGE_REPLY_TO, PROPERTY_MESSAGE_LANE};
    unsigned char room[64];
    struct append_event event = event_of("k");
    for (size_t i = 0; i < sizeof numbers; i++) {
        struct wire_writer w = wire_writer_of(room, sizeof room);
        property_put_number(&w, numbers[i], 1);
        event.properties = wire_bytes_of(room, (uint32_t)wire_written(&w));
        expect_refused(&event, STATUS_BAD_PROPERTY);
    }
    for (size_t i = 0; i < sizeof texts; i++) {
        struct wire_writer w = wire_writer_of(room, sizeof room);
        property_put(&w, texts[i], wire_bytes_of_text("x"));
        event.properties = wire_bytes_of(room, (uint32_t)wire_written(&w));
        expect_refused(&event, STATUS_BAD_PROPERTY);
    }
    event.properties = wire_bytes_of_text("\1");
    expect_refused(&event, STATUS_BAD_PROPERTY);
    event.properties = wire_bytes_of(NULL, 0);
    event.headers = wire_bytes_of_text("\1");
    expect_refused(&event, STATUS_BAD_HEADER);
    struct wire_writer w = wire_writer_of(room, sizeof room);
    property_put_number(&w, PROPERTY_MESSAGE_SNAPSHOT, 1);
    property_put(&w, PROPERTY_MESSAGE_CONTENT_TYPE, wire_bytes_of_text("a/b"));
    event.headers = wire_bytes_of(NULL, 0);
    event.properties = wire_bytes_of(room, (uint32_t)wire_written(&w));
    hear_confirm(alice, say_list("book", "e", EXPECT_NONE, put_behind(3, &event)));
    ck_assert_uint_eq(alice->appended.version, 3);
}
END_TEST

/* Cut at each byte. */
START_TEST(test_half_a_list)
{
    struct append_event event = event_of("key");
    uint32_t bytes = put_behind(3, &event);
    uint32_t one = (uint32_t)append_bytes(&event);
    for (uint32_t i = 0; i < bytes; i++) {
        put_behind(3, &event);
        bool is_list = i == bytes - one || i == bytes - one - (one - 2);
        if (!is_list)
            hear_refuse(alice, say_list("book", "e", EXPECT_ANY, i), STATUS_BAD_VALUE);
    }
    expect_none();
}
END_TEST

START_TEST(test_how_many)
{
    struct append_event event = {.key = wire_bytes_of_text("k")};
    struct wire_writer w = wire_writer_of(list, sizeof list);
    struct core_limits limits = scene_limits();
    histories_tear_down();
    scene = scene_new_sized(19, &limits, 1 << 20); /* all must fit a batch */
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    hear_confirm(alice, say_create(alice, "book", PROPERTY_EXCHANGE_HISTORY, 1));
    for (unsigned i = 0; i < APPEND_EVENTS_MAX; i++)
        append_put(&w, &event);
    uint32_t most = (uint32_t)wire_written(&w);
    append_put(&w, &event);
    ck_assert(!w.failed);
    hear_refuse(alice, say_list("book", "e", EXPECT_ANY, (uint32_t)wire_written(&w)), STATUS_LIMIT);
    expect_none();
    hear_confirm(alice, say_list("book", "e", EXPECT_NONE, most));
    ck_assert_uint_eq(alice->appended.version, APPEND_EVENTS_MAX);
    ck_assert_uint_eq(alice->appended.sequence, APPEND_EVENTS_MAX);
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(history_of("book")->last, APPEND_EVENTS_MAX);
}
END_TEST

/* --- all of them --------------------------------------------------------------------------------
 */

START_TEST(test_where_to)
{
    struct append_event event = event_of("k");
    uint32_t bytes = put_behind(2, &event);
    hear_refuse(alice, say_list("none", "e", EXPECT_ANY, bytes), STATUS_NO_EXCHANGE);
    do_exchange(alice, "plain");
    hear_refuse(alice, say_list("plain", "e", EXPECT_ANY, bytes), STATUS_NO_HISTORY);
    hear_refuse(alice, say_list("book", "", EXPECT_ANY, bytes), STATUS_BAD_NAME);
    hear_refuse(alice, say_list("book", "a\nb", EXPECT_ANY, bytes), STATUS_BAD_NAME);
    hear_refuse(alice, say_list("book", "e", 1, bytes), STATUS_VERSION_CONFLICT);
    hear_refuse(alice, say_list("book", "e", EXPECT_EXISTS, bytes), STATUS_VERSION_CONFLICT);
    scene->core->limits.entities_max = 0;
    hear_refuse(alice, say_list("book", "e", EXPECT_ANY, bytes), STATUS_LIMIT);
    scene->core->limits.entities_max = 1;
    core_drain(scene->core, 0);
    scene_settle(scene);
    hear_out(alice);
    hear_refuse(alice, say_list("book", "e", EXPECT_ANY, bytes), STATUS_DRAINING);
    expect_none();
}
END_TEST

/* A queue that refuses one refuses all; what the others may lose is not lost for that. */
START_TEST(test_queues_without_room)
{
    struct append_event event = event_of("k");
    hear_confirm(alice, say_queue_with(alice, "dropping", 0, 5, 1));
    do_bind(alice, "dropping", "book", "#");
    for (int i = 0; i < 5; i++)
        do_send(alice, "dropping", "kept");
    hear_confirm(alice, say_queue_with(alice, "small", 0, 3, 0));
    do_bind(alice, "small", "book", "k");
    hear_refuse(alice, say_list("book", "e", EXPECT_ANY, put_behind(4, &event)), STATUS_OVERFLOW);
    expect_none();
    do_consume(bob, 1, "dropping", 5);
    for (int i = 0; i < 5; i++)
        hear_delivery(bob, "kept");
    hear_confirm(bob, say_cancel(bob, 1));
    hear_confirm(bob, say_release(bob, 1, 5));
    hear_confirm(alice, say_list("book", "e", EXPECT_NONE, put_behind(3, &event)));
    ck_assert_uint_eq(ask_queue(alice, "small", "messages"), 3);
    ck_assert_uint_eq(ask_queue(alice, "dropping", "messages"), 5);
}
END_TEST

/* Queues of every kind behind the exchange, and the same again after a crash. */
START_TEST(test_who_gets_them)
{
    struct append_event event = event_of("k");
    do_queue(alice, "durable");
    hear_confirm(alice, say_queue_with(alice, "transient", FLAG_QUEUE_TRANSIENT, 0, 0));
    do_bind(alice, "durable", "book", "#");
    do_bind(alice, "transient", "book", "#");
    hear_confirm(bob, say_subscribe(bob, 1, "book", "#"));
    hear_confirm(bob, say_follow(2, FOLLOW_FIRST, 0));
    hear_confirm(alice, say_list("book", "e", EXPECT_NONE, put_behind(3, &event)));
    unsigned heard[3] = {0};
    for (unsigned i = 0; i < 6; i++) {
        struct heard delivery = hear_delivery(bob, "body");
        ck_assert_uint_eq(delivery.version, ++heard[delivery.consumer]);
        ck_assert_uint_eq(delivery.sequence, delivery.version);
    }
    ck_assert_uint_eq(ask_queue(alice, "transient", "messages"), 3);
    ck_assert_uint_eq(ask_queue(alice, "durable", "messages"), 3);
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(ask_queue(alice, "durable", "messages"), 3);
    do_consume(bob, 1, "durable", 3);
    for (unsigned i = 1; i <= 3; i++)
        ck_assert_uint_eq(hear_delivery(bob, "body").version, i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handle_append");
    TCase *tcase = tcase_create("handle_append");
    tcase_add_checked_fixture(tcase, histories_set_up, histories_tear_down);
    tcase_add_test(tcase, test_keys);
    tcase_add_test(tcase, test_properties);
    tcase_add_test(tcase, test_half_a_list);
    tcase_add_test(tcase, test_how_many);
    tcase_add_test(tcase, test_where_to);
    tcase_add_test(tcase, test_queues_without_room);
    tcase_add_test(tcase, test_who_gets_them);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
