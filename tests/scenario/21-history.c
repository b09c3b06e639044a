/* Exchanges that keep their events: sequences without holes, readers from anywhere, stored cursors,
 * retention; in the journal, in files, and over crashes. */
#include <stdio.h>
#include <string.h>

#include "broker/core/state.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

/* --- sequences and readers ----------------------------------------------------------------------
 */

START_TEST(test_events_are_kept_and_read_again)
{
    publish_events(1, 10);
    uint64_t tag = say_follow(1, FOLLOW_FIRST, 0);
    hear_confirm(bob, tag);
    hear_events(1, 1, 10);
    hear_nothing(bob);
    publish_events(11, 12);
    hear_events(1, 11, 12);
    ck_assert_uint_eq(ask_exchange("book", "last"), 12);
    ck_assert_uint_eq(ask_exchange("book", "first"), 1);
}
END_TEST

START_TEST(test_readers_begin_where_they_want)
{
    publish_events(1, 10);
    hear_confirm(bob, say_follow(1, FOLLOW_NEXT, 0));
    ck_assert_uint_eq(bob->counted, 10); /* so that bob knows where he is */
    hear_nothing(bob);
    hear_confirm(bob, say_follow(2, FOLLOW_SEQUENCE, 8));
    hear_events(2, 8, 10);
    hear_confirm(bob, say_follow(3, FOLLOW_SEQUENCE, 11));
    hear_nothing(bob);
    hear_refuse(bob, say_follow(4, FOLLOW_SEQUENCE, 12), STATUS_BAD_VALUE);
    hear_refuse(bob, say_follow(4, FOLLOW_SEQUENCE, 0), STATUS_BAD_VALUE);
    hear_refuse(bob, say_follow(4, 5, 0), STATUS_BAD_VALUE);
}
END_TEST

START_TEST(test_what_was_moved_to_files_is_read_like_the_rest)
{
    publish_events(1, 3000);
    let_move();
    ck_assert_uint_eq(ask_stat(alice, "events_moved"), 3000);
    publish_events(3001, 3010);
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    scene_settle(scene);
    hear_events(1, 1, 3010);
    hear_nothing(bob);
    hear_confirm(bob, say_follow(2, FOLLOW_SEQUENCE, 2345));
    scene_settle(scene);
    hear_events(2, 2345, 3010);
}
END_TEST

START_TEST(test_readers_may_begin_at_a_time)
{
    publish_events(1, 1000);
    let_move();
    uint64_t then = scene->now_ms;
    scene_advance_ms(scene, 10);
    publish_events(1001, 2000);
    hear_confirm(bob, say_follow(1, FOLLOW_TIME, then));
    scene_settle(scene);
    hear_events(1, 1001, 2000);
    let_move();
    hear_confirm(bob, say_follow(2, FOLLOW_TIME, then));
    scene_settle(scene);
    hear_events(2, 1001, 2000);
    hear_confirm(bob, say_follow(3, FOLLOW_TIME, scene->now_ms + 1000000));
    hear_nothing(bob);
}
END_TEST

START_TEST(test_a_pattern_and_a_filter_choose)
{
    publish_events(1, 6);
    hear_confirm(
        bob, say_follow_with(bob, &(struct frame_follow){.consumer = 1,
                                                         .pattern = wire_bytes_of_text("even.*"),
                                                         .from = FOLLOW_FIRST}));
    for (unsigned i = 2; i <= 6; i += 2)
        ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, i);
    hear_nothing(bob);
}
END_TEST

START_TEST(test_the_last_of_each_key)
{
    static const char *const keys[] = {"a", "b", "a", "c", "b", "a"};
    for (unsigned i = 0; i < 6; i++) {
        char body[8];
        snprintf(body, sizeof body, "%u", i + 1);
        do_publish(alice, "book", keys[i], body);
    }
    hear_confirm(bob, say_follow(1, FOLLOW_LAST, 0));
    scene_settle(scene);
    hear_delivery(bob, "4");
    hear_delivery(bob, "5");
    hear_delivery(bob, "6");
    hear_nothing(bob);
    do_publish(alice, "book", "a", "7");
    hear_delivery(bob, "7");
}
END_TEST

START_TEST(test_sequences_have_no_hole_over_crashes)
{
    unsigned next = 1;
    for (int i = 0; i < DISK_SIM_POLICIES; i++) {
        publish_events(next, next + 499);
        if (i % 3 == 1)
            let_move();
        scene_hold_syncs(scene);
        say_publish(alice, "book", "lost", "lost");
        crash_with((enum disk_sim_policy)i);
        next += 500;
        uint64_t last = ask_exchange("book", "last");
        ck_assert_uint_ge(last, next - 1);
        ck_assert_uint_le(last, next); /* what was not confirmed may be there */
        if (last == next)
            next++;
        scene_release_syncs(scene);
    }
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    scene_settle(scene);
    for (unsigned i = 1; i < next; i++)
        ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, i);
    hear_nothing(bob);
}
END_TEST

/* Nothing in the journal is kept for the sake of what is in files. */
START_TEST(test_the_journal_forgets_what_was_moved)
{
    static unsigned char body[8192];
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 40; i++) {
            struct frame frame = {.header.type = FRAME_PUBLISH};
            frame.as.publish = (struct frame_publish){.exchange = wire_bytes_of_text("book"),
                                                      .key = wire_bytes_of_text("k"),
                                                      .body_bytes = 3000,
                                                      .body = wire_bytes_of(body, 3000)};
            hear_confirm(alice, actor_say(alice, &frame));
        }
        scene_advance_ms(scene, 1000);
    }
    let_move();
    ck_assert_uint_le(journal_figures(scene->journal).segment_count, 8);
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(ask_exchange("book", "last"), 1200);
    hear_confirm(bob, say_follow(1, FOLLOW_SEQUENCE, 1));
    scene_settle(scene);
    for (unsigned i = 1; i <= 1200; i++)
        ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, i);
}
END_TEST

/* --- cursors ------------------------------------------------------------------------------------
 */

static const struct frame_follow cursor_from_first = {
    .consumer = 1, .from = FOLLOW_FIRST, .prefetch_messages = 10};

static uint64_t follow_cursor(struct actor *actor, uint32_t consumer, uint8_t from)
{
    struct frame_follow follow = cursor_from_first;
    follow.consumer = consumer;
    follow.from = from;
    follow.cursor = wire_bytes_of_text("projection");
    return say_follow_with(actor, &follow);
}

START_TEST(test_a_cursor_moves_by_settling)
{
    publish_events(1, 30);
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_FIRST));
    struct heard heard = {0};
    for (unsigned i = 1; i <= 10; i++)
        heard = hear_delivery(bob, NULL);
    ck_assert_uint_eq(heard.number, 10);
    hear_nothing(bob);
    say_done(bob, heard.delivery - 9, heard.delivery - 5);
    hear_out(bob);
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(ask_queue(alice, "projection", "at"), 5);
    ck_assert_uint_eq(ask_queue(alice, "projection", "lag"), 25);
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_NEXT));
    for (unsigned i = 6; i <= 15; i++) {
        heard = hear_delivery(bob, NULL);
        ck_assert_uint_eq(heard.sequence, i);
        if (i <= 10)
            ck_assert(heard.is_redelivered);
    }
}
END_TEST

START_TEST(test_what_is_done_out_of_order_stays_done)
{
    publish_events(1, 20);
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_FIRST));
    uint64_t first = hear_delivery(bob, "event 1").delivery;
    for (unsigned i = 2; i <= 10; i++)
        hear_delivery(bob, NULL);
    say_done(bob, first + 2, first + 3);
    hear_out(bob);
    say_done(bob, first + 6, first + 6);
    hear_out(bob);
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(ask_queue(alice, "projection", "at"), 0);
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_FIRST));
    static const unsigned expected[] = {1, 2, 5, 6, 8, 9, 10, 11, 12, 13};
    for (unsigned i = 0; i < 10; i++)
        ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, expected[i]);
}
END_TEST

START_TEST(test_workers_share_a_cursor)
{
    publish_events(1, 40);
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_FIRST));
    struct heard heard = {0};
    for (unsigned i = 1; i <= 10; i++)
        heard = hear_delivery(bob, NULL);
    struct actor *carol = enter_as(scene, "");
    hear_confirm(carol, follow_cursor(carol, 1, FOLLOW_FIRST));
    for (unsigned i = 11; i <= 20; i++)
        ck_assert_uint_eq(hear_delivery(carol, NULL).sequence, i);
    hear_nothing(carol);
    actor_cut(bob); /* what it had goes to the other, once that has room */
    scene_settle(scene);
    (void)heard;
    say_done(carol, 1, UINT64_MAX >> 1);
    hear_out(carol);
    ck_assert(actor_enter(bob));
    ck_assert_uint_eq(ask_queue(alice, "projection", "parked"), 0);
}
END_TEST

START_TEST(test_a_failed_event_is_tried_again_and_parked)
{
    publish_events(1, 3);
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_FIRST));
    uint64_t first = hear_delivery(bob, "event 1").delivery;
    hear_delivery(bob, "event 2");
    hear_delivery(bob, "event 3");
    hear_confirm(bob, say_fail(bob, first + 1, "BROKEN"));
    hear_confirm(bob, say_done(bob, first, first));
    hear_confirm(bob, say_done(bob, first + 2, first + 2));
    ck_assert_uint_eq(ask_queue(alice, "projection", "parked"), 1);
    ck_assert_uint_eq(ask_queue(alice, "projection", "at"), 3);
    let_move();
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(ask_queue(alice, "projection", "parked"), 1);
    ck_assert_uint_eq(ask_queue(alice, "projection", "at"), 3);
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_FIRST));
    hear_nothing(bob);
    struct frame frame = {.header.type = FRAME_PARKED_RETRY};
    frame.as.parked_retry = (struct frame_parked_retry){wire_bytes_of_text("projection"), 2, 2};
    hear_confirm(alice, actor_say(alice, &frame));
    struct heard heard = hear_delivery(bob, "event 2");
    ck_assert_uint_eq(heard.sequence, 2);
    hear_confirm(bob, say_done(bob, heard.delivery, heard.delivery));
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(ask_queue(alice, "projection", "messages"), 0);
    ck_assert_uint_eq(ask_queue(alice, "projection", "parked"), 0);
}
END_TEST

START_TEST(test_a_cursor_can_be_moved)
{
    publish_events(1, 20);
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_NEXT));
    hear_nothing(bob);
    uint64_t tag = say_seek("projection", FOLLOW_SEQUENCE, 18);
    hear_confirm(bob, tag);
    for (unsigned i = 18; i <= 20; i++)
        ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, i);
    tag = say_seek("projection", FOLLOW_FIRST, 0);
    hear_confirm(bob, tag);
    crash_with(DISK_SIM_NONE);
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_NEXT));
    for (unsigned i = 1; i <= 10; i++)
        ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, i);
    hear_refuse(bob, say_seek("projection", FOLLOW_SEQUENCE, 22), STATUS_BAD_VALUE);
    hear_refuse(bob, say_seek("projection", FOLLOW_LAST, 0), STATUS_BAD_VALUE);
    hear_refuse(bob, say_seek("nobody", FOLLOW_FIRST, 0), STATUS_NO_QUEUE);
}
END_TEST

START_TEST(test_purging_a_cursor_passes_what_it_has_not_seen)
{
    publish_events(1, 50);
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_FIRST));
    uint64_t first = hear_delivery(bob, "event 1").delivery;
    for (unsigned i = 2; i <= 10; i++)
        hear_delivery(bob, NULL);
    uint64_t tag = say_done(bob, first, first);
    hear_events(1, 11, 11);
    hear_confirm(bob, tag);
    hear_confirm(alice, say_queue_purge(alice, "projection"));
    ck_assert_uint_eq(alice->counted, 49);
    publish_events(51, 51);
    say_done(bob, first + 1, first + 10);
    hear_out(bob);
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(ask_queue(alice, "projection", "at"), 50);
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_FIRST));
    hear_events(1, 51, 51);
    hear_nothing(bob);
}
END_TEST

/* The numbers of queues and exchanges share a field of a record. */
START_TEST(test_numbers_of_queues_and_exchanges_end)
{
    scene->core->next_queue = scene->core->next_exchange = NUMBERS_END - 1;
    do_queue(alice, "the-last-queue");
    hear_confirm(alice, say_create(alice, "the-last-exchange", PROPERTY_EXCHANGE_HISTORY, 1));
    hear_refuse(alice, say_queue(alice, "one-more"), STATUS_LIMIT);
    hear_refuse(alice, say_create(alice, "one-more", PROPERTY_EXCHANGE_HISTORY, 1), STATUS_LIMIT);
    hear_refuse(bob, follow_cursor(bob, 1, FOLLOW_FIRST), STATUS_LIMIT);
    crash_with(DISK_SIM_NONE);
    hear_refuse(alice, say_queue(alice, "one-more"), STATUS_LIMIT);
}
END_TEST

START_TEST(test_a_cursor_is_one_of_its_exchange_and_pattern)
{
    hear_confirm(alice, say_create(alice, "other", PROPERTY_EXCHANGE_HISTORY, 1));
    do_queue(alice, "queue");
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_FIRST));
    struct frame_follow follow = cursor_from_first;
    follow.consumer = 2;
    follow.cursor = wire_bytes_of_text("projection");
    follow.pattern = wire_bytes_of_text("even.*");
    hear_refuse(bob, say_follow_with(bob, &follow), STATUS_MISMATCH);
    follow.pattern = wire_bytes_of_text("#");
    follow.exchange = wire_bytes_of_text("other");
    hear_refuse(bob, say_follow_with(bob, &follow), STATUS_MISMATCH);
    follow.exchange = wire_bytes_of_text("book");
    follow.cursor = wire_bytes_of_text("queue");
    hear_refuse(bob, say_follow_with(bob, &follow), STATUS_MISMATCH);
    follow.cursor = wire_bytes_of_text("new");
    follow.from = FOLLOW_LAST;
    hear_refuse(bob, say_follow_with(bob, &follow), STATUS_BAD_VALUE);
    hear_refuse(alice, say_send(alice, "projection", "x"), STATUS_NO_QUEUE);
    hear_refuse(alice, say_bind(alice, "projection", "other", "#"), STATUS_MISMATCH);
}
END_TEST

START_TEST(test_a_cursor_goes_with_its_queue_or_its_exchange)
{
    publish_events(1, 3);
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_FIRST));
    hear_events(1, 1, 3);
    hear_confirm(alice, say_queue_delete(alice, "projection", 0));
    hear_gone(bob, 1, STATUS_NO_QUEUE);
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_FIRST));
    hear_events(1, 1, 3);
    hear_confirm(bob, say_follow(2, FOLLOW_FIRST, 0));
    hear_events(2, 1, 3);
    hear_confirm(alice, say_exchange_delete(alice, "book", 0));
    hear_out(bob);
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(ask_rows(alice, QUERY_QUEUES, "", 0, 0, NULL), 0);
    ck_assert_uint_eq(ask_rows(alice, QUERY_EXCHANGES, "", 0, 0, NULL), 0);
}
END_TEST

/* --- retention ----------------------------------------------------------------------------------
 */

START_TEST(test_retention_by_count)
{
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_COUNT_MAX, 100));
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_FIRST));
    hear_confirm(bob, say_cancel(bob, 1));
    publish_events(1, 5000);
    let_move();
    ck_assert_uint_eq(ask_exchange("book", "first"), 4901);
    hear_confirm(bob, say_follow(2, FOLLOW_SEQUENCE, 4000));
    scene_settle(scene);
    hear_gap(bob, 2, 901);
    hear_events(2, 4901, 5000);
    hear_confirm(bob, follow_cursor(bob, 1, FOLLOW_FIRST));
    scene_settle(scene);
    hear_gap(bob, 1, 4900);
    hear_events(1, 4901, 4910);
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(ask_exchange("book", "first"), 4901);
    ck_assert_uint_eq(ask_exchange("book", "last"), 5000);
}
END_TEST

START_TEST(test_retention_by_bytes)
{
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_BYTES_MAX, 512 << 10));
    for (unsigned i = 0; i < 20; i++) {
        publish_events(1000 * i + 1, 1000 * i + 1000);
        let_move();
    }
    ck_assert_uint_gt(ask_exchange("book", "first"), 1);
    ck_assert_uint_ge(ask_exchange("book", "history_bytes"), 400 << 10);
    ck_assert_uint_le(ask_exchange("book", "history_bytes"), 700 << 10);
    uint64_t first = ask_exchange("book", "first");
    crash_with(DISK_SIM_ALL);
    ck_assert_uint_ge(ask_exchange("book", "first"), first);
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    scene_settle(scene);
    for (uint64_t i = ask_exchange("book", "first"); i <= 20000; i++)
        ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, i);
}
END_TEST

START_TEST(test_retention_by_age_takes_all_and_keeps_the_numbers)
{
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_AGE_MAX, 60000));
    publish_events(1, 1000);
    let_move();
    ck_assert_uint_eq(ask_exchange("book", "first"), 1);
    scene_advance_ms(scene, 70000);
    let_move();
    ck_assert_uint_eq(ask_exchange("book", "first"), 1001);
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(ask_exchange("book", "last"), 1000);
    publish_events(1001, 1003);
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    hear_events(1, 1001, 1003);
}
END_TEST

START_TEST(test_a_reader_loses_nothing_but_by_retention)
{
    publish_events(1, 2000);
    let_move();
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    bob->is_stalled = true;
    publish_events(2001, 4000);
    scene_settle(scene);
    bob->is_stalled = false;
    scene_settle(scene);
    hear_events(1, 1, 4000);
    hear_nothing(bob);
}
END_TEST

/* --- what is refused ----------------------------------------------------------------------------
 */

START_TEST(test_histories_have_to_be_asked_for)
{
    do_exchange(alice, "plain");
    hear_refuse(
        bob,
        say_follow_with(
            bob, &(struct frame_follow){.consumer = 1, .exchange = wire_bytes_of_text("plain")}),
        STATUS_NO_HISTORY);
    hear_refuse(
        bob,
        say_follow_with(
            bob, &(struct frame_follow){.consumer = 1, .exchange = wire_bytes_of_text("none")}),
        STATUS_NO_EXCHANGE);
    hear_refuse(alice, say_exchange_set("plain", PROPERTY_EXCHANGE_COUNT_MAX, 1),
                STATUS_NO_HISTORY);
    hear_refuse(alice, say_exchange_set("book", PROPERTY_EXCHANGE_HISTORY, 0), STATUS_MISMATCH);
    hear_refuse(alice, say_create(alice, "x", PROPERTY_EXCHANGE_HISTORY, 2), STATUS_BAD_VALUE);
    hear_refuse(alice, say_create(alice, "plain", PROPERTY_EXCHANGE_HISTORY, 1), STATUS_MISMATCH);
    hear_confirm(alice, say_create(alice, "book", PROPERTY_EXCHANGE_HISTORY, 1));
    hear_refuse(alice, say_create(alice, "book", PROPERTY_EXCHANGE_COUNT_MAX, 7), STATUS_MISMATCH);
}
END_TEST

START_TEST(test_transient_events_are_not_kept)
{
    say_publish_with(alice, "book", "k", "transient", FLAG_TRANSIENT);
    publish_events(1, 1);
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    hear_events(1, 1, 1);
    hear_nothing(bob);
}
END_TEST

/* A queue that is bound gets what is kept, with its sequence. */
START_TEST(test_bound_queues_and_live_subscribers_see_the_sequence)
{
    do_queue(alice, "audit");
    do_bind(alice, "audit", "book", "#");
    hear_confirm(bob, say_subscribe(bob, 1, "book", "#"));
    publish_events(1, 5);
    hear_events(1, 1, 5);
    let_move();
    do_consume(bob, 2, "audit", 10);
    hear_events(2, 1, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history");
    TCase *tcase = tcase_create("history");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, histories_set_up, histories_tear_down);
    tcase_add_test(tcase, test_events_are_kept_and_read_again);
    tcase_add_test(tcase, test_readers_begin_where_they_want);
    tcase_add_test(tcase, test_what_was_moved_to_files_is_read_like_the_rest);
    tcase_add_test(tcase, test_readers_may_begin_at_a_time);
    tcase_add_test(tcase, test_a_pattern_and_a_filter_choose);
    tcase_add_test(tcase, test_the_last_of_each_key);
    tcase_add_test(tcase, test_sequences_have_no_hole_over_crashes);
    tcase_add_test(tcase, test_the_journal_forgets_what_was_moved);
    tcase_add_test(tcase, test_a_cursor_moves_by_settling);
    tcase_add_test(tcase, test_what_is_done_out_of_order_stays_done);
    tcase_add_test(tcase, test_workers_share_a_cursor);
    tcase_add_test(tcase, test_a_failed_event_is_tried_again_and_parked);
    tcase_add_test(tcase, test_a_cursor_can_be_moved);
    tcase_add_test(tcase, test_purging_a_cursor_passes_what_it_has_not_seen);
    tcase_add_test(tcase, test_numbers_of_queues_and_exchanges_end);
    tcase_add_test(tcase, test_a_cursor_is_one_of_its_exchange_and_pattern);
    tcase_add_test(tcase, test_a_cursor_goes_with_its_queue_or_its_exchange);
    tcase_add_test(tcase, test_retention_by_count);
    tcase_add_test(tcase, test_retention_by_bytes);
    tcase_add_test(tcase, test_retention_by_age_takes_all_and_keeps_the_numbers);
    tcase_add_test(tcase, test_a_reader_loses_nothing_but_by_retention);
    tcase_add_test(tcase, test_histories_have_to_be_asked_for);
    tcase_add_test(tcase, test_transient_events_are_not_kept);
    tcase_add_test(tcase, test_bound_queues_and_live_subscribers_see_the_sequence);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
