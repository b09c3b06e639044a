/* Tracked commands: what became of them, asked for in every way and on every way out. */
#include "tests/support/check_main.h"
#include "tests/support/tracking.h"

START_TEST(test_a_command_is_followed_from_its_acceptance_to_its_result)
{
    track(1);
    with(PROPERTY_MESSAGE_DELAY, 1000);
    do_tracked("job");
    struct frame_command_state state = ask(1, COMMAND_SCHEDULED);
    ck_assert_uint_ge(state.time_ms, scene->now_ms + 990);
    uint64_t watching = say_status(alice, 1, COMMAND_CHANGES, 0);
    hear_state(alice, watching, false, COMMAND_SCHEDULED);
    uint64_t waiting = say_status(bob, 1, COMMAND_OUTCOME, 0);
    hear_nothing(bob);
    scene_advance_ms(scene, 1010);
    scene_settle(scene);
    hear_state(alice, watching, false, COMMAND_READY);
    struct heard heard = run("job");
    hear_state(alice, watching, false, COMMAND_RUNNING);
    uint64_t tag = say_fail_as(heard.delivery, FAIL_RETRYABLE);
    hear_confirm(bob, tag);
    state = hear_state(alice, watching, false, COMMAND_RETRYING);
    ck_assert_uint_eq(state.attempts, 1);
    scene_advance_ms(scene, 110);
    scene_settle(scene);
    heard = hear_delivery(bob, "job");
    hear_state(alice, watching, false, COMMAND_READY);
    hear_state(alice, watching, false, COMMAND_RUNNING);
    tag = say_result(bob, heard.delivery, "the result");
    state = hear_state(bob, waiting, true, COMMAND_DONE);
    hear_confirm(bob, tag);
    ck_assert(wire_bytes_equal(state.body, wire_bytes_of_text("the result")));
    ck_assert_uint_eq(state.attempts, 1);
    hear_state(alice, watching, true, COMMAND_DONE);
    crash_and_enter();
    state = ask(1, COMMAND_DONE);
    ck_assert(wire_bytes_equal(state.body, wire_bytes_of_text("the result")));
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 0);
}
END_TEST

START_TEST(test_nothing_is_said_before_it_is_on_disk)
{
    track(1);
    do_tracked("job");
    struct heard heard = run("job");
    uint64_t waiting = say_status(alice, 1, COMMAND_OUTCOME, 0);
    scene_hold_syncs(scene);
    (void)say_result(bob, heard.delivery, "yes");
    uint64_t asking = say_status(alice, 1, COMMAND_NOW, 0);
    hear_nothing(alice);
    scene_release_syncs(scene);
    scene_settle(scene);
    hear_state(alice, waiting, true, COMMAND_DONE);
    hear_state(alice, asking, true, COMMAND_DONE);
}
END_TEST

START_TEST(test_the_reply_names_the_command_and_says_how_it_went)
{
    track(1);
    with_text(PROPERTY_MESSAGE_REPLY_TO, "answers");
    with_text(PROPERTY_MESSAGE_CORRELATION, "mine");
    hear_refuse(alice, say_tracked("work", "job", 0), STATUS_NO_QUEUE);
    do_queue(alice, "answers");
    do_tracked("job");
    hear_confirm(bob, say_fail_as(run("job").delivery, FAIL_PERMANENT));
    do_consume(alice, 1, "answers", 1);
    struct frame frame;
    ck_assert(actor_next(alice, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_DELIVER);
    const struct frame_deliver *deliver = &frame.as.deliver;
    struct wire_id id = id_of(1);
    ck_assert(wire_bytes_equal(property_find(deliver->properties, PROPERTY_MESSAGE_OUTCOME_OF),
                               wire_bytes_of(id.byte, 16)));
    ck_assert(wire_bytes_equal(property_find(deliver->properties, PROPERTY_MESSAGE_CORRELATION),
                               wire_bytes_of_text("mine")));
    ck_assert(wire_bytes_equal(deliver->body, wire_bytes_of_text("more")));
    static const char *const expected[][2] = {
        {"outcome", "failed"}, {"ran", "ran"}, {"code", "BROKEN"}, {"text", "because"}};
    struct wire_reader r = wire_reader_of(deliver->headers.at, deliver->headers.bytes);
    struct header header;
    for (unsigned i = 0; i < 4; i++) {
        ck_assert(header_next(&r, &header));
        ck_assert(wire_bytes_equal(header.name, wire_bytes_of_text(expected[i][0])));
        ck_assert(wire_bytes_equal(header.value, wire_bytes_of_text(expected[i][1])));
    }
}
END_TEST

START_TEST(test_a_reply_queue_that_is_gone_loses_the_reply_only)
{
    do_queue(alice, "answers");
    track(1);
    with_text(PROPERTY_MESSAGE_REPLY_TO, "answers");
    do_tracked("job");
    hear_confirm(alice, say_queue_delete(alice, "answers", 0));
    do_done(bob, run("job").delivery);
    ask(1, COMMAND_DONE);
    ck_assert_uint_eq(ask_stat(alice, "replies_lost"), 1);
}
END_TEST

START_TEST(test_a_full_reply_queue_takes_a_reply_all_the_same)
{
    hear_confirm(alice, say_queue_with(alice, "answers", 0, 1, 0));
    do_send(alice, "answers", "first");
    track(1);
    with_text(PROPERTY_MESSAGE_REPLY_TO, "answers");
    do_tracked("job");
    do_done(bob, run("job").delivery);
    ck_assert_uint_eq(ask_queue(alice, "answers", "messages"), 2);
}
END_TEST

static uint64_t number_of_next(void)
{
    struct frame frame;
    ck_assert(actor_next(alice, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_DELIVER);
    return frame.as.deliver.number;
}

/* The event that drives the command out goes where the reply goes, and they are two. */
START_TEST(test_a_reply_to_what_is_dropped_has_a_number_of_its_own)
{
    do_queue(alice, "answers");
    do_exchange(alice, "news");
    do_bind(alice, "work", "news", "#");
    do_bind(alice, "answers", "news", "#");
    hear_confirm(alice, say_queue_set(alice, "work", PROPERTY_QUEUE_OVERFLOW, 1));
    hear_confirm(alice, say_queue_set(alice, "work", PROPERTY_QUEUE_COUNT_MAX, 1));
    track(1);
    with_text(PROPERTY_MESSAGE_REPLY_TO, "answers");
    do_tracked("job");
    do_publish(alice, "news", "weather", "rain");
    ask(1, COMMAND_FAILED);
    do_consume(alice, 1, "answers", 2);
    uint64_t first = number_of_next();
    ck_assert_uint_lt(first, number_of_next());
}
END_TEST

START_TEST(test_a_timeout_of_a_wait_says_how_things_are)
{
    track(1);
    do_tracked("job");
    uint64_t tag = say_status(alice, 1, COMMAND_OUTCOME, 200);
    scene_advance_ms(scene, 210);
    scene_settle(scene);
    hear_state(alice, tag, true, COMMAND_READY);
    struct heard heard = run("job");
    tag = say_status(alice, 1, COMMAND_OUTCOME, 200);
    scene_advance_ms(scene, 210);
    scene_settle(scene);
    hear_state(alice, tag, true, COMMAND_RUNNING);
    do_done(bob, heard.delivery);
    hear_nothing(alice);
}
END_TEST

START_TEST(test_an_expired_command_is_not_begun)
{
    w = wire_writer_of(properties, sizeof properties);
    with(PROPERTY_MESSAGE_TIMEOUT, 501);
    do_tracked("late");
    do_send(alice, "work", "plain");
    scene->now_ms += 505; /* between two ticks: no timer has fired yet */
    core_set_time(scene->core, scene->now_ms);
    (void)run("plain");
    ck_assert_uint_eq(ask_stat(alice, "messages_expired"), 1);
}
END_TEST

START_TEST(test_a_cancel_while_it_ran_lasts_over_a_crash)
{
    track(1);
    do_tracked("job");
    (void)run("job");
    hear_confirm(alice, say_take_back(alice, 1));
    struct frame_command_state state = ask(1, COMMAND_RUNNING);
    ck_assert_uint_eq(state.cancel, 1);
    crash_and_enter();
    state = ask(1, COMMAND_FAILED);
    is_failed(&state, "CANCELLED", OUTCOME_MAYBE_RUN);
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 0);
    crash_and_enter();
    ask(1, COMMAND_FAILED);
}
END_TEST

START_TEST(test_what_was_sent_for_a_command_is_cancelled_with_it)
{
    for (unsigned n = 1; n <= 4; n++) {
        track(n);
        struct wire_id parent = id_of(n - 1);
        if (n > 1 && n < 4)
            property_put(&w, PROPERTY_MESSAGE_PARENT, wire_bytes_of(parent.byte, 16));
        do_tracked("job");
    }
    (void)run("job"); /* the first one runs, its child and grandchild wait */
    crash_and_enter();
    struct heard heard = run("job");
    hear_confirm(alice, say_take_back(alice, 1));
    hear_unwanted(heard.delivery, STATUS_CANCELLED);
    ask(1, COMMAND_RUNNING);
    ask(2, COMMAND_FAILED);
    ask(3, COMMAND_FAILED);
    ask(4, COMMAND_READY);
}
END_TEST

START_TEST(test_a_worker_that_finishes_all_the_same_has_done_it)
{
    track(1);
    do_tracked("job");
    struct heard heard = run("job");
    hear_confirm(alice, say_take_back(alice, 1));
    hear_unwanted(heard.delivery, STATUS_CANCELLED);
    hear_confirm(bob, say_result(bob, heard.delivery, "done all the same"));
    ask(1, COMMAND_DONE);
}
END_TEST

START_TEST(test_a_durable_call_is_a_tracked_command_with_a_caller)
{
    track(1);
    uint64_t tag = say_durable_call("job", 1000);
    struct heard heard = run("job");
    hear_confirm(bob, say_result(bob, heard.delivery, "yes"));
    hear_outcome(alice, tag, "yes");
    track(1);
    hear_outcome(alice, say_durable_call("job", 1000), "yes"); /* again: it is the same */
    track(2);
    tag = say_durable_call("slow", 1000);
    heard = hear_delivery(bob, "slow");
    crash_and_enter();
    hear_nothing(alice);
    ask(2, COMMAND_READY);
    track(2);
    tag = say_durable_call("slow", 1000);
    scene_advance_ms(scene, 1010);
    scene_settle(scene);
    hear_failure(alice, tag, "EXPIRED", OUTCOME_MAYBE_RUN);
    w = wire_writer_of(properties, sizeof properties);
    hear_failure(alice, say_durable_call("job", 1), "BAD_PROPERTY", OUTCOME_NOT_RUN);
}
END_TEST

START_TEST(test_a_watcher_that_goes_is_not_told)
{
    track(1);
    do_tracked("job");
    (void)say_status(alice, 1, COMMAND_OUTCOME, 1000);
    (void)say_status(alice, 1, COMMAND_CHANGES, 0);
    actor_cut(alice);
    scene_settle(scene);
    do_done(bob, run("job").delivery);
    scene_advance_ms(scene, 1010);
    scene_settle(scene);
    ck_assert(actor_enter(alice));
    ask(1, COMMAND_DONE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tracked");
    TCase *tcase = tcase_create("tracked");
    tcase_add_checked_fixture(tcase, tracking_set_up, tracking_tear_down);
    tcase_add_test(tcase, test_a_command_is_followed_from_its_acceptance_to_its_result);
    tcase_add_test(tcase, test_nothing_is_said_before_it_is_on_disk);
    tcase_add_test(tcase, test_the_reply_names_the_command_and_says_how_it_went);
    tcase_add_test(tcase, test_a_reply_queue_that_is_gone_loses_the_reply_only);
    tcase_add_test(tcase, test_a_full_reply_queue_takes_a_reply_all_the_same);
    tcase_add_test(tcase, test_a_reply_to_what_is_dropped_has_a_number_of_its_own);
    tcase_add_test(tcase, test_a_timeout_of_a_wait_says_how_things_are);
    tcase_add_test(tcase, test_an_expired_command_is_not_begun);
    tcase_add_test(tcase, test_a_cancel_while_it_ran_lasts_over_a_crash);
    tcase_add_test(tcase, test_what_was_sent_for_a_command_is_cancelled_with_it);
    tcase_add_test(tcase, test_a_worker_that_finishes_all_the_same_has_done_it);
    tcase_add_test(tcase, test_a_durable_call_is_a_tracked_command_with_a_caller);
    tcase_add_test(tcase, test_a_watcher_that_goes_is_not_told);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
