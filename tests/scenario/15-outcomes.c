/* Outcomes, ids and keys: known as long as promised, and no more of them than allowed. */
#include <stdio.h>

#include "tests/support/check_main.h"
#include "tests/support/tracking.h"

START_TEST(test_the_same_id_is_the_same_command)
{
    for (unsigned i = 0; i < 3; i++) {
        track(1);
        do_tracked("job");
    }
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 1);
    track(1);
    hear_refuse(alice, say_tracked("work", "other", 0), STATUS_DUPLICATE_MISMATCH);
    do_done(bob, run("job").delivery);
    crash_and_enter();
    track(1);
    do_tracked("job");
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 0);
    track(1);
    hear_refuse(alice, say_tracked("work", "other", 0), STATUS_DUPLICATE_MISMATCH);
}
END_TEST

static void hear_duplicate(uint64_t tag, const char *id)
{
    struct frame frame;
    ck_assert(actor_next(alice, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_REFUSE);
    ck_assert_uint_eq(frame.header.tag, tag);
    ck_assert_uint_eq(frame.as.refuse.code, STATUS_DUPLICATE);
    ck_assert(wire_bytes_equal(frame.as.refuse.text, wire_bytes_of_text(id)));
}

static uint64_t say_keyed(unsigned n, const char *queue, const char *key, const char *body)
{
    track(n);
    with_text(PROPERTY_MESSAGE_KEY, key);
    return say_tracked(queue, body, 0);
}

START_TEST(test_the_same_key_names_the_first_command)
{
    do_queue(alice, "other");
    hear_confirm(alice, say_keyed(1, "work", "order-7", "job"));
    hear_duplicate(say_keyed(2, "work", "order-7", "job"), "0192f000-0000-0000-0000-000000000001");
    hear_refuse(alice, say_keyed(3, "work", "order-7", "another job"), STATUS_DUPLICATE_MISMATCH);
    hear_confirm(alice, say_keyed(4, "other", "order-7", "job"));
    do_done(bob, run("job").delivery);
    crash_and_enter();
    hear_duplicate(say_keyed(5, "work", "order-7", "job"), "0192f000-0000-0000-0000-000000000001");
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 0);
    scene_advance_ms(scene, scene->limits.result_ttl_ms + 1);
    scene_settle(scene);
    hear_refuse(alice, say_status(alice, 1, COMMAND_NOW, 0), STATUS_UNKNOWN_COMMAND);
    hear_confirm(alice, say_keyed(6, "work", "order-7", "job"));
}
END_TEST

START_TEST(test_keys_are_never_forgotten_before_their_time)
{
    for (unsigned n = 0; n < scene->limits.keys_max; n++) {
        char key[16];
        (void)snprintf(key, sizeof key, "key-%u", n);
        hear_confirm(alice, say_keyed(n, "work", key, "job"));
    }
    hear_refuse(alice, say_keyed(5000, "work", "one more", "job"), STATUS_LIMIT);
    do_consume(bob, 1, "work", 200);
    uint64_t last = 0;
    for (unsigned n = 0; n < scene->limits.keys_max; n++)
        last = hear_delivery(bob, "job").delivery;
    hear_confirm(bob, say_done(bob, 1, last));
    scene->limits.results_max = 1;
    core_set_limits(scene->core, &scene->limits);
    scene_settle(scene);
    hear_duplicate(say_keyed(5000, "work", "key-0", "job"), "0192f000-0000-0000-0000-000000000000");
    hear_refuse(alice, say_keyed(5000, "work", "one more", "job"), STATUS_LIMIT);
}
END_TEST

START_TEST(test_outcomes_are_forgotten_oldest_first)
{
    scene->limits.results_max = 3;
    core_set_limits(scene->core, &scene->limits);
    do_consume(bob, 1, "work", 1);
    for (unsigned n = 1; n <= 5; n++) {
        track(n);
        do_tracked("job");
        do_done(bob, hear_delivery(bob, "job").delivery);
    }
    for (unsigned round = 0; round < 2; round++) {
        hear_refuse(alice, say_status(alice, 2, COMMAND_NOW, 0), STATUS_UNKNOWN_COMMAND);
        ask(3, COMMAND_DONE);
        ask(5, COMMAND_DONE);
        ck_assert_uint_eq(ask_stat(alice, "outcomes"), 3);
        crash_and_enter();
        scene_settle(scene);
    }
}
END_TEST

START_TEST(test_outcomes_are_forgotten_by_their_bytes)
{
    static char large[4031];
    memset(large, 'x', sizeof large - 1);
    scene->limits.results_bytes_max = 10000;
    core_set_limits(scene->core, &scene->limits);
    do_consume(bob, 1, "work", 1);
    for (unsigned n = 1; n <= 4; n++) {
        track(n);
        do_tracked("job");
        hear_confirm(bob, say_result(bob, hear_delivery(bob, "job").delivery, large));
    }
    hear_refuse(alice, say_status(alice, 2, COMMAND_NOW, 0), STATUS_UNKNOWN_COMMAND);
    struct frame_command_state state = ask(4, COMMAND_DONE);
    ck_assert_uint_eq(state.body.bytes, sizeof large - 1); /* in pieces */
    ck_assert_uint_le(ask_stat(alice, "outcome_bytes"), 10000);
}
END_TEST

START_TEST(test_a_result_beyond_the_limit_is_refused_and_the_delivery_stands)
{
    static char large[2002];
    memset(large, 'x', sizeof large - 1);
    scene->limits.result_bytes_max = sizeof large - 2;
    core_set_limits(scene->core, &scene->limits);
    track(1);
    do_tracked("job");
    struct heard heard = run("job");
    hear_refuse(bob, say_result(bob, heard.delivery, large), STATUS_TOO_LARGE);
    ask(1, COMMAND_RUNNING);
    hear_confirm(bob, say_result(bob, heard.delivery, large + 1));
    ask(1, COMMAND_DONE);
}
END_TEST

START_TEST(test_what_cannot_be_tracked_is_refused)
{
    track(1);
    hear_refuse(alice, say_tracked("work", "job", FLAG_TRANSIENT | FLAG_CONFIRM),
                STATUS_BAD_PROPERTY);
    hear_confirm(alice, say_queue_with(alice, "fast", FLAG_QUEUE_TRANSIENT, 0, 0));
    track(1);
    hear_refuse(alice, say_tracked("fast", "job", 0), STATUS_BAD_PROPERTY);
    w = wire_writer_of(properties, sizeof properties);
    with(PROPERTY_MESSAGE_TRACK, 1);
    hear_refuse(alice, say_tracked("work", "job", 0), STATUS_BAD_PROPERTY); /* no id */
    w = wire_writer_of(properties, sizeof properties);
    with_text(PROPERTY_MESSAGE_KEY, "key");
    hear_refuse(alice, say_tracked("work", "job", 0), STATUS_BAD_PROPERTY); /* not tracked */
    do_exchange(alice, "shop");
    do_bind(alice, "work", "shop", "#");
    track(1);
    struct frame frame = {.header.type = FRAME_PUBLISH};
    frame.as.publish =
        (struct frame_publish){.exchange = wire_bytes_of_text("shop"),
                               .key = wire_bytes_of_text("a"),
                               .properties = wire_bytes_of(properties, (uint32_t)wire_written(&w))};
    hear_refuse(alice, actor_say(alice, &frame), STATUS_BAD_PROPERTY);
    hear_refuse(alice, say_status(alice, 1, COMMAND_NOW, 0), STATUS_UNKNOWN_COMMAND);
    hear_refuse(alice, say_status(alice, 1, 3, 0), STATUS_BAD_VALUE);
    hear_refuse(alice, say_take_back(alice, 1), STATUS_UNKNOWN_COMMAND);
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 0);
    ck_assert_uint_eq(ask_stat(alice, "tracked"), 0);
}
END_TEST

START_TEST(test_open_commands_have_a_limit)
{
    scene->limits.tracked_max = 2;
    core_set_limits(scene->core, &scene->limits);
    for (unsigned n = 1; n <= 2; n++) {
        track(n);
        do_tracked("job");
    }
    track(3);
    hear_refuse(alice, say_tracked("work", "job", 0), STATUS_LIMIT);
    struct heard heard = run("job");
    (void)say_done(bob, heard.delivery, heard.delivery);
    track(3);
    do_tracked("job");
}
END_TEST

/* Times that no clock reaches are no times. */
START_TEST(test_times_may_be_as_large_as_they_like)
{
    static const uint8_t kinds[] = {PROPERTY_MESSAGE_DEADLINE, PROPERTY_MESSAGE_TIMEOUT,
                                    PROPERTY_MESSAGE_TTL, PROPERTY_MESSAGE_RETRY_FOR,
                                    PROPERTY_MESSAGE_BACKOFF};
    for (unsigned i = 0; i < sizeof kinds; i++) {
        track(i);
        with(kinds[i], UINT64_MAX);
        do_tracked("job");
    }
    scene_advance_ms(scene, UINT32_MAX);
    scene_settle(scene);
    crash_and_enter();
    ck_assert_uint_eq(ask_queue(alice, "work", "ready"), sizeof kinds);
    track(100);
    with(PROPERTY_MESSAGE_DEADLINE, 1); /* long ago */
    do_tracked("late");
    scene_advance_ms(scene, 20);
    scene_settle(scene);
    struct frame_command_state state = ask(100, COMMAND_FAILED);
    is_failed(&state, "EXPIRED", OUTCOME_NOT_RUN);
}
END_TEST

/* A worker hands its own deadline on, whatever else its sender wants. */
START_TEST(test_the_earlier_of_two_deadlines_holds)
{
    track(1);
    with(PROPERTY_MESSAGE_DEADLINE, scene->now_ms + (_i == 0 ? 1000 : 60000));
    with(PROPERTY_MESSAGE_TIMEOUT, _i == 0 ? 60000 : 1000);
    do_tracked("job");
    scene_advance_ms(scene, 1010);
    scene_settle(scene);
    struct frame_command_state state = ask(1, COMMAND_FAILED);
    is_failed(&state, "EXPIRED", OUTCOME_NOT_RUN);
}
END_TEST

START_TEST(test_the_later_of_two_times_to_begin_holds)
{
    track(1);
    with(PROPERTY_MESSAGE_DUE, scene->now_ms + (_i == 0 ? 1000 : 500));
    with(PROPERTY_MESSAGE_DELAY, _i == 0 ? 500 : 1000);
    do_tracked("job");
    scene_advance_ms(scene, 900);
    scene_settle(scene);
    ask(1, COMMAND_SCHEDULED);
    scene_advance_ms(scene, 110);
    scene_settle(scene);
    ask(1, COMMAND_READY);
}
END_TEST

/* Its segment goes, and what is known of it stays. */
START_TEST(test_outcomes_outlive_their_segments)
{
    static char large[4000];
    memset(large, 'x', sizeof large - 1);
    scene->limits.result_ttl_ms = 3600000;
    core_set_limits(scene->core, &scene->limits);
    track(1);
    with_text(PROPERTY_MESSAGE_KEY, "key");
    do_tracked("job");
    do_consume(bob, 1, "work", 1);
    hear_confirm(bob, say_result(bob, hear_delivery(bob, "job").delivery, "kept"));
    track(2);
    with(PROPERTY_MESSAGE_DELAY, UINT32_MAX);
    with(PROPERTY_MESSAGE_ATTEMPTS, 1);
    do_tracked("later");
    uint64_t first = journal_space(scene->journal).oldest_end_position;
    for (unsigned i = 0; i < 600; i++) {
        do_send(alice, "work", large);
        do_done(bob, hear_delivery(bob, NULL).delivery);
        scene_advance_ms(scene, 100);
        scene_settle(scene);
    }
    ck_assert_uint_gt(journal_space(scene->journal).oldest_end_position, first);
    crash_and_enter();
    struct frame_command_state state = ask(1, COMMAND_DONE);
    ck_assert(wire_bytes_equal(state.body, wire_bytes_of_text("kept")));
    ask(2, COMMAND_SCHEDULED);
    hear_duplicate(say_keyed(9, "work", "key", "job"), "0192f000-0000-0000-0000-000000000001");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outcomes");
    TCase *tcase = tcase_create("outcomes");
    tcase_add_checked_fixture(tcase, tracking_set_up, tracking_tear_down);
    tcase_add_test(tcase, test_the_same_id_is_the_same_command);
    tcase_add_test(tcase, test_the_same_key_names_the_first_command);
    tcase_add_test(tcase, test_keys_are_never_forgotten_before_their_time);
    tcase_add_test(tcase, test_outcomes_are_forgotten_oldest_first);
    tcase_add_test(tcase, test_outcomes_are_forgotten_by_their_bytes);
    tcase_add_test(tcase, test_a_result_beyond_the_limit_is_refused_and_the_delivery_stands);
    tcase_add_test(tcase, test_what_cannot_be_tracked_is_refused);
    tcase_add_test(tcase, test_open_commands_have_a_limit);
    tcase_add_test(tcase, test_times_may_be_as_large_as_they_like);
    tcase_add_loop_test(tcase, test_the_earlier_of_two_deadlines_holds, 0, 2);
    tcase_add_loop_test(tcase, test_the_later_of_two_times_to_begin_holds, 0, 2);
    tcase_add_test(tcase, test_outcomes_outlive_their_segments);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
