/* EXCHANGE_SET, FOLLOW, CURSOR_SEEK, READ: what their handlers refuse, and that a refusal leaves
 * nothing behind. */
#include <string.h>

#include "broker/core/cursor.h"
#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/queue.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

static struct frame_follow follow_of(const char *cursor, uint8_t from, uint64_t at)
{
    return (struct frame_follow){
        .consumer = 1, .cursor = wire_bytes_of_text(cursor), .from = from, .at = at};
}

static void expect_refused(const struct frame_follow *follow, enum status status)
{
    uint64_t end = journal_end_position(scene->journal);
    hear_refuse(bob, say_follow_with(bob, follow), status);
    ck_assert_uint_eq(journal_end_position(scene->journal), end);
    ck_assert_ptr_null(scene->core->queues_by_name);
    ck_assert_uint_eq(scene->core->consumer_count, 0);
}

/* --- FOLLOW -------------------------------------------------------------------------------------
 */

START_TEST(test_where_a_reader_begins)
{
    static const char *const cursors[] = {"", "c"};
    publish_events(1, 5);
    for (size_t i = 0; i < 2; i++) {
        struct frame_follow follow = follow_of(cursors[i], FOLLOW_SEQUENCE, 0);
        expect_refused(&follow, STATUS_BAD_VALUE);
        follow.at = 7;
        expect_refused(&follow, STATUS_BAD_VALUE);
        follow.at = UINT64_MAX;
        expect_refused(&follow, STATUS_BAD_VALUE);
        for (unsigned from = FOLLOW_LAST + 1; from < 256; from += 50) {
            follow.from = (uint8_t)from;
            expect_refused(&follow, STATUS_BAD_VALUE);
        }
    }
    struct frame_follow follow = follow_of("c", FOLLOW_LAST, 0);
    expect_refused(&follow, STATUS_BAD_VALUE);
    follow = follow_of("", FOLLOW_SEQUENCE, 6); /* one behind the last */
    hear_confirm(bob, say_follow_with(bob, &follow));
    publish_events(6, 6);
    hear_events(1, 6, 6);
}
END_TEST

START_TEST(test_times_at_their_ends)
{
    publish_events(1, 3);
    struct frame_follow follow = follow_of("", FOLLOW_TIME, 0);
    hear_confirm(bob, say_follow_with(bob, &follow));
    hear_events(1, 1, 3);
    follow = follow_of("", FOLLOW_TIME, UINT64_MAX);
    follow.consumer = 2;
    hear_confirm(bob, say_follow_with(bob, &follow));
    follow = follow_of("c", FOLLOW_TIME, UINT64_MAX);
    follow.consumer = 3;
    hear_confirm(bob, say_follow_with(bob, &follow));
    publish_events(4, 4);
    hear_events(1, 4, 4);
    hear_nothing(bob);
}
END_TEST

START_TEST(test_patterns_filters_and_names)
{
    static const char *const patterns[] = {"a..b", ".", "#.#.#", "a b", "a.*b"};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        struct frame_follow follow = follow_of("c", FOLLOW_FIRST, 0);
        follow.pattern = wire_bytes_of_text(patterns[i]);
        expect_refused(&follow, STATUS_BAD_PATTERN);
    }
    struct frame_follow follow = follow_of("c", FOLLOW_FIRST, 0);
    follow.filter = wire_bytes_of_text("\1");
    expect_refused(&follow, STATUS_BAD_HEADER);
    follow = follow_of("$c", FOLLOW_FIRST, 0);
    expect_refused(&follow, STATUS_BAD_NAME);
    follow = follow_of("a b", FOLLOW_FIRST, 0);
    expect_refused(&follow, STATUS_BAD_NAME);
    follow = follow_of("c", FOLLOW_FIRST, 0);
    follow.exchange = wire_bytes_of_text("none");
    expect_refused(&follow, STATUS_NO_EXCHANGE);
}
END_TEST

START_TEST(test_limits)
{
    struct frame_follow follow = follow_of("c", FOLLOW_FIRST, 0);
    scene->core->limits.queues_max = 0;
    expect_refused(&follow, STATUS_LIMIT);
    scene->core->limits.queues_max = 1;
    scene->core->limits.consumers_max = 0;
    expect_refused(&follow, STATUS_LIMIT);
    follow = follow_of("", FOLLOW_FIRST, 0);
    expect_refused(&follow, STATUS_LIMIT);
    scene->core->limits.consumers_max = 1;
    scene->core->next_queue = NUMBERS_END;
    follow = follow_of("c", FOLLOW_FIRST, 0);
    expect_refused(&follow, STATUS_LIMIT);
    scene->core->next_queue = 1;
    hear_confirm(bob, say_follow_with(bob, &follow));
}
END_TEST

START_TEST(test_while_the_broker_drains)
{
    struct frame_follow follow = follow_of("", FOLLOW_FIRST, 0);
    publish_events(1, 1);
    core_drain(scene->core, 0);
    scene_settle(scene);
    hear_out(bob);
    expect_refused(&follow, STATUS_DRAINING);
    follow = follow_of("c", FOLLOW_FIRST, 0);
    expect_refused(&follow, STATUS_DRAINING);
}
END_TEST

/* The same cursor under another pattern or filter is another one; the order of headers is none. */
START_TEST(test_the_same_cursor)
{
    unsigned char one[64];
    unsigned char other[64];
    struct wire_writer w = wire_writer_of(one, sizeof one);
    header_put(&w, wire_bytes_of_text("a"), wire_bytes_of_text("1"));
    header_put(&w, wire_bytes_of_text("b"), wire_bytes_of_text("2"));
    uint32_t bytes = (uint32_t)wire_written(&w);
    w = wire_writer_of(other, sizeof other);
    header_put(&w, wire_bytes_of_text("b"), wire_bytes_of_text("2"));
    header_put(&w, wire_bytes_of_text("a"), wire_bytes_of_text("1"));
    struct frame_follow follow = follow_of("c", FOLLOW_FIRST, 0);
    follow.filter = wire_bytes_of(one, bytes);
    hear_confirm(bob, say_follow_with(bob, &follow));
    follow.consumer = 2;
    follow.filter = wire_bytes_of(other, bytes);
    hear_confirm(bob, say_follow_with(bob, &follow));
    follow.consumer = 3;
    follow.filter = wire_bytes_of(other, 0);
    hear_refuse(bob, say_follow_with(bob, &follow), STATUS_MISMATCH);
    follow.filter = wire_bytes_of(other, bytes);
    follow.from = FOLLOW_LAST; /* where it begins is not looked at */
    hear_confirm(bob, say_follow_with(bob, &follow));
    crash_with(DISK_SIM_NONE);
    hear_confirm(bob, say_follow_with(bob, &follow));
}
END_TEST

/* --- CURSOR_SEEK --------------------------------------------------------------------------------
 */

START_TEST(test_where_a_cursor_may_go)
{
    publish_events(1, 5);
    struct frame_follow follow = follow_of("c", FOLLOW_FIRST, 0);
    follow.prefetch_messages = 2;
    hear_confirm(bob, say_follow_with(bob, &follow));
    hear_events(1, 1, 2);
    hear_refuse(bob, say_seek("c", FOLLOW_SEQUENCE, 0), STATUS_BAD_VALUE);
    hear_refuse(bob, say_seek("c", FOLLOW_SEQUENCE, 7), STATUS_BAD_VALUE);
    hear_refuse(bob, say_seek("c", FOLLOW_LAST, 0), STATUS_BAD_VALUE);
    hear_refuse(bob, say_seek("c", 99, 0), STATUS_BAD_VALUE);
    hear_refuse(bob, say_seek("", FOLLOW_FIRST, 0), STATUS_NO_QUEUE);
    do_queue(alice, "queue");
    hear_refuse(bob, say_seek("queue", FOLLOW_FIRST, 0), STATUS_MISMATCH);
    hear_confirm(bob, say_cancel(bob, 1));
    hear_confirm(bob, say_seek("c", FOLLOW_SEQUENCE, 6));
    ck_assert_uint_eq(ask_queue(alice, "c", "at"), 5);
    hear_confirm(bob, say_seek("c", FOLLOW_NEXT, 99));
    ck_assert_uint_eq(ask_queue(alice, "c", "at"), 5);
    hear_confirm(bob, say_seek("c", FOLLOW_FIRST, 99));
    ck_assert_uint_eq(ask_queue(alice, "c", "lag"), 5);
    hear_confirm(bob, say_seek("c", FOLLOW_TIME, scene->now_ms + 1));
    scene_advance_ms(scene, 1);
    publish_events(6, 6);
    hear_confirm(bob, say_follow_with(bob, &follow));
    hear_events(1, 6, 6);
}
END_TEST

/* --- EXCHANGE_SET -------------------------------------------------------------------------------
 */

static uint64_t say_set_list(const char *exchange, struct wire_bytes settings)
{
    struct frame frame = {.header.type = FRAME_EXCHANGE_SET};
    frame.as.exchange_set = (struct frame_exchange_set){wire_bytes_of_text(exchange), settings};
    return actor_say(alice, &frame);
}

START_TEST(test_settings)
{
    unsigned char list[64];
    struct wire_writer w = wire_writer_of(list, sizeof list);
    struct history *history = history_of("book");
    hear_refuse(alice, say_set_list("book", wire_bytes_of_text("\1")), STATUS_BAD_PROPERTY);
    hear_refuse(alice, say_set_list("none", wire_bytes_of(NULL, 0)), STATUS_NO_EXCHANGE);
    hear_refuse(alice, say_exchange_set("book", PROPERTY_EXCHANGE_HISTORY, 0), STATUS_MISMATCH);
    hear_confirm(alice, say_set_list("book", wire_bytes_of(NULL, 0))); /* nothing changes */
    property_put_number(&w, PROPERTY_EXCHANGE_AGE_MAX, 1);
    property_put_number(&w, PROPERTY_EXCHANGE_BYTES_MAX, 2);
    property_put_number(&w, PROPERTY_EXCHANGE_COUNT_MAX, 3);
    hear_confirm(alice, say_set_list("book", wire_bytes_of(list, (uint32_t)wire_written(&w))));
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_BYTES_MAX, UINT64_MAX));
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_HISTORY, 1));
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(history->age_max_ms, 1);
        ck_assert_uint_eq(history->bytes_max, UINT64_MAX);
        ck_assert_uint_eq(history->count_max, 3);
        crash_with(DISK_SIM_NONE);
        history = history_of("book");
    }
    static const uint8_t kinds[] = {PROPERTY_EXCHANGE_AGE_MAX, PROPERTY_EXCHANGE_BYTES_MAX,
                                    PROPERTY_EXCHANGE_COUNT_MAX};
    for (size_t i = 0; i < sizeof kinds; i++)
        hear_confirm(alice, say_exchange_set("book", kinds[i], 0)); /* no limit */
    publish_events(1, 50);
    let_move();
    ck_assert_uint_eq(ask_exchange("book", "first"), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handle_history");
    TCase *tcase = tcase_create("handle_history");
    tcase_add_checked_fixture(tcase, histories_set_up, histories_tear_down);
    tcase_add_test(tcase, test_where_a_reader_begins);
    tcase_add_test(tcase, test_times_at_their_ends);
    tcase_add_test(tcase, test_patterns_filters_and_names);
    tcase_add_test(tcase, test_limits);
    tcase_add_test(tcase, test_while_the_broker_drains);
    tcase_add_test(tcase, test_the_same_cursor);
    tcase_add_test(tcase, test_where_a_cursor_may_go);
    tcase_add_test(tcase, test_settings);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
