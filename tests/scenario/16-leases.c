/* Leases, progress, checkpoints, and what is told of earlier attempts. */
#include <stdio.h>

#include "tests/support/check_main.h"
#include "tests/support/tracking.h"

enum { LEASE_MS = 1000 };

static struct heard begin(void)
{
    hear_confirm(alice, say_queue_set(alice, "work", PROPERTY_QUEUE_LEASE, LEASE_MS));
    track(1);
    do_tracked("job");
    return run("job");
}

static uint64_t say_progress(uint64_t delivery, uint64_t done, const char *note,
                             const char *checkpoint)
{
    struct frame frame = {.header.type = FRAME_PROGRESS};
    frame.as.progress = (struct frame_progress){
        bob->start, delivery, done, 10, wire_bytes_of_text(note), wire_bytes_of_text(checkpoint)};
    return actor_say(bob, &frame);
}

static void pass(uint64_t ms)
{
    scene_advance_ms(scene, ms);
    scene_settle(scene);
}

START_TEST(test_a_delivery_without_a_word_is_taken_back)
{
    struct heard heard = begin();
    pass(LEASE_MS - 50);
    ask(1, COMMAND_RUNNING);
    pass(150);
    hear_unwanted(heard.delivery, STATUS_LEASE_EXPIRED);
    struct frame_command_state state = ask(1, COMMAND_RUNNING); /* handed out again at once */
    ck_assert_uint_eq(state.attempts, 1);
    struct heard again = hear_delivery(bob, "job");
    ck_assert_uint_eq(again.attempt, 2);
    ck_assert_str_eq(bob->earlier_code, "LEASE_EXPIRED");
    hear_refuse(bob, say_done(bob, heard.delivery, heard.delivery), STATUS_STALE_DELIVERY);
    do_done(bob, again.delivery);
    ask(1, COMMAND_DONE);
    ck_assert_uint_eq(ask_stat(alice, "leases_expired"), 1);
}
END_TEST

START_TEST(test_the_last_lease_ends_the_command)
{
    hear_confirm(alice, say_queue_set(alice, "work", PROPERTY_QUEUE_ATTEMPTS, 1));
    (void)begin();
    pass(LEASE_MS + 100);
    struct frame_command_state state = ask(1, COMMAND_FAILED);
    is_failed(&state, "ATTEMPTS_EXHAUSTED", OUTCOME_MAYBE_RUN);
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 1);
}
END_TEST

START_TEST(test_progress_and_renewal_begin_the_lease_anew)
{
    struct heard heard = begin();
    for (unsigned i = 1; i <= 3; i++) {
        pass(LEASE_MS - 100);
        hear_confirm(bob, say_progress(heard.delivery, i, "pages", ""));
        struct frame_command_state state = ask(1, COMMAND_RUNNING);
        ck_assert_uint_eq(state.done, i);
        ck_assert_uint_eq(state.total, 10);
        ck_assert(wire_bytes_equal(state.note, wire_bytes_of_text("pages")));
    }
    for (unsigned i = 0; i < 3; i++) {
        pass(LEASE_MS - 100);
        struct frame frame = {.header.type = FRAME_RENEW};
        frame.as.renew = (struct frame_renew){0, UINT64_MAX};
        (void)actor_say(bob, &frame);
    }
    do_done(bob, heard.delivery);
    ck_assert_uint_eq(ask_stat(alice, "leases_expired"), 0);
}
END_TEST

START_TEST(test_watchers_hear_of_progress)
{
    struct heard heard = begin();
    uint64_t tag = say_status(alice, 1, COMMAND_CHANGES, 0);
    hear_state(alice, tag, false, COMMAND_RUNNING);
    hear_confirm(bob, say_progress(heard.delivery, 7, "", ""));
    ck_assert_uint_eq(hear_state(alice, tag, false, COMMAND_RUNNING).done, 7);
}
END_TEST

/* A checkpoint goes to the next attempt, whatever ended the one before. */
enum end { END_FAILED, END_LOST, END_RELEASED, END_LEASE, END_CRASH, END_RESTART };

START_TEST(test_a_checkpoint_goes_to_the_next_attempt)
{
    struct heard heard = begin();
    hear_confirm(bob, say_progress(heard.delivery, 1, "", "page 1"));
    hear_confirm(bob, say_progress(heard.delivery, 3, "", "page 3"));
    hear_confirm(bob, say_progress(heard.delivery, 4, "", "")); /* leaves it as it is */
    switch ((enum end)_i) {
    case END_FAILED:
        hear_confirm(bob, say_fail_as(heard.delivery, FAIL_RETRYABLE));
        pass(110);
        break;
    case END_LOST:
        actor_cut(bob);
        scene_settle(scene);
        ck_assert(actor_enter(bob));
        do_consume(bob, 1, "work", 1);
        break;
    case END_RELEASED:
        (void)say_release(bob, heard.delivery, heard.delivery);
        break;
    case END_LEASE:
        pass(LEASE_MS + 100);
        break;
    case END_CRASH:
        crash_and_enter();
        do_consume(bob, 1, "work", 1);
        break;
    case END_RESTART:
        scene_restart(scene);
        ck_assert(actor_enter(alice));
        ck_assert(actor_enter(bob));
        do_consume(bob, 1, "work", 1);
        break;
    }
    struct frame frame;
    do
        ck_assert(actor_next(bob, &frame));
    while (frame.header.type != FRAME_DELIVER);
    ck_assert_str_eq(bob->earlier_checkpoint, "page 3");
    do_done(bob, frame.as.deliver.delivery);
    ask(1, COMMAND_DONE);
    crash_and_enter();
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 0);
}
END_TEST

START_TEST(test_a_plain_message_may_have_a_checkpoint)
{
    for (unsigned i = 0; i < 3; i++)
        do_send(alice, "work", (const char *[]){"0", "1", "2"}[i]);
    struct heard heard = run("0");
    hear_confirm(bob, say_progress(heard.delivery, 1, "", "half"));
    ck_assert_uint_eq(ask_queue(alice, "work", "running"), 1);
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 3);
    crash_and_enter();
    heard = run("0");
    ck_assert_str_eq(bob->earlier_checkpoint, "half");
    (void)say_done(bob, heard.delivery, heard.delivery);
    heard = hear_delivery(bob, "1");
    crash_and_enter();
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 2);
}
END_TEST

START_TEST(test_bad_progress_is_refused)
{
    struct heard heard = begin();
    static char large[102];
    memset(large, 'x', sizeof large - 1);
    hear_refuse(bob, say_progress(heard.delivery, 1, "", large), STATUS_TOO_LARGE);
    hear_confirm(bob, say_progress(heard.delivery, 1, "", large + 1));
    hear_refuse(bob, say_progress(heard.delivery + 1, 1, "", ""), STATUS_UNKNOWN_DELIVERY);
    do_send(alice, "work", "other");
    bob->start++;
    hear_refuse(bob, say_progress(heard.delivery, 1, "", ""), STATUS_STALE_DELIVERY);
    bob->start--;
    struct actor *eve = enter_as(scene, "");
    struct frame frame = {.header.type = FRAME_PROGRESS};
    frame.as.progress = (struct frame_progress){.start = eve->start, .delivery = heard.delivery};
    hear_refuse(eve, actor_say(eve, &frame), STATUS_STALE_DELIVERY); /* another's */
    hear_confirm(bob, say_progress(heard.delivery, UINT64_MAX, "", ""));
}
END_TEST

START_TEST(test_leases_may_be_as_long_as_they_like)
{
    static const uint64_t leases[] = {0, UINT32_MAX, UINT64_MAX};
    for (unsigned i = 0; i < 3; i++) {
        hear_confirm(alice, say_queue_set(alice, "work", PROPERTY_QUEUE_LEASE, leases[i]));
        do_send(alice, "work", "job");
    }
    do_consume(bob, 1, "work", 3);
    for (unsigned i = 0; i < 3; i++)
        (void)hear_delivery(bob, "job");
    pass(UINT32_MAX - 1000);
    ck_assert_uint_eq(ask_queue(alice, "work", "running"), 3);
}
END_TEST

/* Rows of QUERY_ATTEMPTS for the message of this number. */
static size_t count_attempts(const char *number)
{
    struct frame frame = {.header.type = FRAME_QUERY};
    frame.as.query = (struct frame_query){.subject = QUERY_ATTEMPTS,
                                          .name = wire_bytes_of_text("work"),
                                          .key = wire_bytes_of_text(number)};
    uint64_t tag = actor_say(alice, &frame);
    size_t count = 0;
    do {
        ck_assert(actor_next(alice, &frame));
        ck_assert_uint_eq(frame.header.type, FRAME_ROW);
        ck_assert_uint_eq(frame.header.tag, tag);
        count += frame.as.row.fields.bytes > 0;
    } while ((frame.header.flags & FLAG_LAST) == 0);
    return count;
}

START_TEST(test_the_history_of_attempts_is_kept)
{
    hear_confirm(alice, say_queue_set(alice, "work", PROPERTY_QUEUE_ATTEMPTS, 3));
    do_send(alice, "work", "job");
    char number[24];
    for (unsigned i = 1; i <= 3; i++) {
        struct heard heard = i == 1 ? run("job") : hear_delivery(bob, "job");
        snprintf(number, sizeof number, "%llu", (unsigned long long)heard.number);
        hear_confirm(bob, say_fail_as(heard.delivery, FAIL_RETRYABLE));
        ck_assert_uint_eq(count_attempts(number), i);
        pass(110);
    }
    crash_and_enter();
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 1);
    ck_assert_uint_eq(count_attempts(number), 3);
    struct frame frame = {.header.type = FRAME_QUERY};
    frame.as.query = (struct frame_query){.subject = QUERY_ATTEMPTS,
                                          .name = wire_bytes_of_text("work"),
                                          .key = wire_bytes_of_text("x")};
    hear_refuse(alice, actor_say(alice, &frame), STATUS_BAD_VALUE);
    frame = (struct frame){.header.type = FRAME_PARKED_RETRY};
    frame.as.parked_retry = (struct frame_parked_retry){wire_bytes_of_text("work"), 0, UINT64_MAX};
    hear_confirm(alice, actor_say(alice, &frame));
    ck_assert_uint_eq(count_attempts(number), 3); /* it is not forgotten by a repair */
    (void)run("job");
    ck_assert_str_eq(bob->earlier_code, "BROKEN");
}
END_TEST

/* --- time to live of a queue --------------------------------------------------------------------
 */

START_TEST(test_what_waits_too_long_in_a_queue_leaves)
{
    hear_confirm(alice, say_queue_set(alice, "work", PROPERTY_QUEUE_TTL, 1000));
    do_send(alice, "work", "a");
    pass(500);
    do_send(alice, "work", "b");
    pass(510);
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 1); /* with nobody there */
    crash_and_enter();
    struct heard heard = run("b");
    do_send(alice, "work", "c");
    pass(1100);
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 1); /* what runs does not wait */
    (void)say_release(bob, heard.delivery, heard.delivery);
    pass(20);
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 0);
    w = wire_writer_of(properties, sizeof properties);
    with(PROPERTY_MESSAGE_PRIORITY, 9);
    (void)say_cancel(bob, 1);
    do_tracked("urgent");
    pass(1010);
    hear_out(bob);
    do_send(alice, "work", "d");
    (void)run("d"); /* the urgent one was too old */
    ck_assert_uint_eq(ask_stat(alice, "messages_expired"), 3);
}
END_TEST

START_TEST(test_a_time_to_live_may_come_later_and_holds_for_what_is_there)
{
    for (unsigned i = 0; i < 2500; i++)
        do_send(alice, "work", "old");
    pass(2000);
    hear_confirm(alice, say_queue_set(alice, "work", PROPERTY_QUEUE_TTL, 1000));
    for (unsigned i = 0; i < 30; i++)
        pass(100);
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 0);
    hear_confirm(alice, say_queue_set(alice, "work", PROPERTY_QUEUE_TTL, UINT64_MAX));
    do_send(alice, "work", "new");
    pass(UINT32_MAX);
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("leases");
    TCase *tcase = tcase_create("leases");
    tcase_add_checked_fixture(tcase, tracking_set_up, tracking_tear_down);
    tcase_add_test(tcase, test_a_delivery_without_a_word_is_taken_back);
    tcase_add_test(tcase, test_the_last_lease_ends_the_command);
    tcase_add_test(tcase, test_progress_and_renewal_begin_the_lease_anew);
    tcase_add_test(tcase, test_watchers_hear_of_progress);
    tcase_add_loop_test(tcase, test_a_checkpoint_goes_to_the_next_attempt, 0, END_RESTART + 1);
    tcase_add_test(tcase, test_a_plain_message_may_have_a_checkpoint);
    tcase_add_test(tcase, test_bad_progress_is_refused);
    tcase_add_test(tcase, test_leases_may_be_as_long_as_they_like);
    tcase_add_test(tcase, test_the_history_of_attempts_is_kept);
    tcase_add_test(tcase, test_what_waits_too_long_in_a_queue_leaves);
    tcase_add_test(tcase, test_a_time_to_live_may_come_later_and_holds_for_what_is_there);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
