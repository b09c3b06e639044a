/* Calls: each is answered exactly once, on every way out; RELIABILITY (b2) Q6 for outcomes. */
#include <string.h>

#include "tests/support/check_main.h"
#include "tests/support/lines.h"

static struct scene *scene;
static struct actor *caller;
static struct actor *worker;

static void set_up(void)
{
    scene = scene_new(4);
    caller = enter_as(scene, "");
    worker = enter_as(scene, "");
    do_queue(caller, "sums");
}

static void tear_down(void)
{
    scene_free(scene);
}

/* A call that a worker has. */
static struct heard begin(uint64_t *tag)
{
    do_consume(worker, 1, "sums", 1);
    *tag = say_call(caller, "sums", "1+1", 5000);
    struct heard heard = hear_delivery(worker, "1+1");
    ck_assert(heard.is_call);
    return heard;
}

START_TEST(test_a_result_goes_back)
{
    uint64_t tag;
    struct heard heard = begin(&tag);
    uint64_t settled = say_result(worker, heard.delivery, "2");
    hear_outcome(caller, tag, "2");
    hear_confirm(worker, settled);
    hear_nothing(caller);
    ck_assert_uint_eq(ask_queue(caller, "sums", "messages"), 0);
    ck_assert_uint_eq(ask_stat(caller, "calls_waiting"), 0);
    ck_assert_uint_eq(ask_stat(caller, "transient_bytes"), 0);
}
END_TEST

START_TEST(test_done_without_a_result)
{
    uint64_t tag;
    struct heard heard = begin(&tag);
    do_done(worker, heard.delivery);
    hear_outcome(caller, tag, "");
}
END_TEST

START_TEST(test_a_call_waits_for_no_sync)
{
    do_consume(worker, 1, "sums", 1);
    scene_hold_syncs(scene);
    uint64_t tag = say_call(caller, "sums", "1+1", 5000);
    struct heard heard = hear_delivery(worker, "1+1");
    say_result(worker, heard.delivery, "2");
    hear_outcome(caller, tag, "2");
}
END_TEST

START_TEST(test_a_failure_goes_back)
{
    uint64_t tag;
    struct heard heard = begin(&tag);
    hear_confirm(worker, say_fail(worker, heard.delivery, "TOO_HARD"));
    hear_failure(caller, tag, "TOO_HARD", OUTCOME_RAN);
    ck_assert_uint_eq(ask_queue(caller, "sums", "parked"), 0);
    ck_assert_uint_eq(ask_queue(caller, "sums", "failed"), 1);
}
END_TEST

START_TEST(test_a_result_in_pieces_arrives_whole)
{
    static char result[9000];
    memset(result, 'r', sizeof result);
    uint64_t tag;
    struct heard heard = begin(&tag);
    struct frame frame = {.header.type = FRAME_RESULT};
    frame.as.result = (struct frame_result){worker->start, heard.delivery, sizeof result,
                                            wire_bytes_of(result, 1000)};
    actor_say(worker, &frame);
    hear_nothing(caller);
    for (uint32_t sent = 1000; sent < sizeof result; sent += 4000)
        say_piece(worker, result, sizeof result - sent < 4000 ? sizeof result - sent : 4000);
    ck_assert(actor_next(caller, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_OUTCOME);
    ck_assert_uint_eq(frame.header.tag, tag);
    ck_assert_uint_eq(frame.as.outcome.body.bytes, sizeof result);
    ck_assert_mem_eq(frame.as.outcome.body.at, result, sizeof result);
}
END_TEST

START_TEST(test_nobody_is_there)
{
    hear_failure(caller, say_call(caller, "none", "x", 1000), "NO_QUEUE", OUTCOME_NOT_RUN);
    hear_failure(caller, say_call(caller, "sums", "x", 1000), "NO_HANDLER", OUTCOME_NOT_RUN);
}
END_TEST

START_TEST(test_it_expires_while_it_waits)
{
    uint64_t first;
    begin(&first);
    uint64_t tag = say_call(caller, "sums", "2+2", 3000);
    scene_advance_ms(scene, 2990);
    hear_nothing(caller);
    scene_advance_ms(scene, 20);
    hear_failure(caller, tag, "EXPIRED", OUTCOME_NOT_RUN);
    ck_assert_uint_eq(ask_queue(caller, "sums", "messages"), 1);
    hear_nothing(worker);
}
END_TEST

START_TEST(test_it_expires_while_it_runs)
{
    uint64_t tag;
    struct heard heard = begin(&tag);
    scene_advance_ms(scene, 5010);
    hear_failure(caller, tag, "EXPIRED", OUTCOME_MAYBE_RUN);
    hear_confirm(worker, say_result(worker, heard.delivery, "late"));
    hear_nothing(caller);
}
END_TEST

START_TEST(test_an_expired_call_is_not_handed_out_again)
{
    uint64_t tag;
    struct heard heard = begin(&tag);
    scene_advance_ms(scene, 5010);
    hear_failure(caller, tag, "EXPIRED", OUTCOME_MAYBE_RUN);
    hear_confirm(worker, say_release(worker, heard.delivery, heard.delivery));
    hear_nothing(worker);
    ck_assert_uint_eq(ask_queue(caller, "sums", "messages"), 0);
}
END_TEST

START_TEST(test_the_worker_is_lost)
{
    uint64_t tag;
    begin(&tag);
    actor_cut(worker);
    scene_settle(scene);
    hear_failure(caller, tag, "WORKER_LOST", OUTCOME_MAYBE_RUN);
    ck_assert_uint_eq(ask_queue(caller, "sums", "messages"), 0);
}
END_TEST

START_TEST(test_a_released_call_goes_to_another_worker)
{
    uint64_t tag;
    struct heard heard = begin(&tag);
    struct actor *other = enter_as(scene, "");
    do_consume(other, 1, "sums", 1);
    hear_confirm(worker, say_cancel(worker, 1));
    hear_confirm(worker, say_release(worker, heard.delivery, heard.delivery));
    heard = hear_delivery(other, "1+1");
    hear_confirm(other, say_result(other, heard.delivery, "2"));
    hear_outcome(caller, tag, "2");
}
END_TEST

START_TEST(test_the_caller_goes_while_it_waits)
{
    uint64_t tag;
    struct heard heard = begin(&tag);
    say_call(caller, "sums", "2+2", 5000);
    actor_cut(caller);
    scene_settle(scene);
    hear_confirm(worker, say_result(worker, heard.delivery, "2"));
    hear_nothing(worker);
    ck_assert_uint_eq(ask_queue(worker, "sums", "messages"), 0);
    ck_assert_uint_eq(ask_stat(worker, "transient_bytes"), 0);
}
END_TEST

START_TEST(test_the_queue_is_deleted)
{
    uint64_t running;
    struct heard heard = begin(&running);
    uint64_t waiting = say_call(caller, "sums", "2+2", 5000);
    struct actor *other = enter_as(scene, "");
    hear_confirm(other, say_queue_delete(other, "sums", 0));
    hear_failure(caller, running, "NO_QUEUE", OUTCOME_MAYBE_RUN);
    hear_failure(caller, waiting, "NO_QUEUE", OUTCOME_NOT_RUN);
    hear_gone(worker, 1, STATUS_NO_QUEUE);
    hear_refuse(worker, say_result(worker, heard.delivery, "2"), STATUS_STALE_DELIVERY);
    ck_assert_uint_eq(ask_stat(other, "transient_bytes"), 0);
}
END_TEST

/* A purge takes out what waits; what runs goes on. */
START_TEST(test_the_queue_is_purged)
{
    uint64_t running;
    struct heard heard = begin(&running);
    uint64_t waiting = say_call(caller, "sums", "2+2", 5000);
    struct actor *other = enter_as(scene, "");
    hear_confirm(other, say_queue_purge(other, "sums"));
    hear_failure(caller, waiting, "CANCELLED", OUTCOME_NOT_RUN);
    hear_nothing(caller);
    hear_confirm(worker, say_result(worker, heard.delivery, "2"));
    hear_outcome(caller, running, "2");
}
END_TEST

START_TEST(test_a_queue_that_is_full_of_running_messages_has_no_room_for_a_call)
{
    hear_confirm(caller, say_queue_with(caller, "small", 0, 1, 1 /* drop the oldest */));
    do_consume(worker, 1, "small", 1);
    do_send(caller, "small", "first");
    hear_delivery(worker, "first");
    hear_failure(caller, say_call(caller, "small", "x", 5000), "OVERFLOW", OUTCOME_NOT_RUN);
    scene_advance_ms(scene, 6000);
    hear_nothing(caller);
}
END_TEST

START_TEST(test_a_waiting_call_may_be_dropped_as_the_oldest)
{
    hear_confirm(caller, say_queue_with(caller, "small", 0, 2, 1));
    do_consume(worker, 1, "small", 1);
    do_send(caller, "small", "first");
    hear_delivery(worker, "first");
    uint64_t tag = say_call(caller, "small", "x", 5000);
    hear_nothing(caller);
    uint64_t sent = say_send(caller, "small", "y");
    hear_failure(caller, tag, "OVERFLOW", OUTCOME_NOT_RUN);
    hear_confirm(caller, sent);
}
END_TEST

START_TEST(test_the_broker_stops)
{
    uint64_t running;
    begin(&running);
    uint64_t waiting = say_call(caller, "sums", "2+2", 60000);
    scene_stop(scene);
    int count = 0;
    struct frame frame;
    while (actor_next(caller, &frame))
        if (frame.header.type == FRAME_OUTCOME) {
            ck_assert(frame.header.tag == running || frame.header.tag == waiting);
            ck_assert(wire_bytes_equal(frame.as.outcome.code, wire_bytes_of_text("DRAINING")));
            ck_assert_uint_eq(frame.as.outcome.ran,
                              frame.header.tag == running ? OUTCOME_MAYBE_RUN : OUTCOME_NOT_RUN);
            count++;
        }
    ck_assert_int_eq(count, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("call");
    TCase *tcase = tcase_create("call");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_a_result_goes_back);
    tcase_add_test(tcase, test_done_without_a_result);
    tcase_add_test(tcase, test_a_call_waits_for_no_sync);
    tcase_add_test(tcase, test_a_failure_goes_back);
    tcase_add_test(tcase, test_a_result_in_pieces_arrives_whole);
    tcase_add_test(tcase, test_nobody_is_there);
    tcase_add_test(tcase, test_it_expires_while_it_waits);
    tcase_add_test(tcase, test_it_expires_while_it_runs);
    tcase_add_test(tcase, test_an_expired_call_is_not_handed_out_again);
    tcase_add_test(tcase, test_the_worker_is_lost);
    tcase_add_test(tcase, test_a_released_call_goes_to_another_worker);
    tcase_add_test(tcase, test_the_caller_goes_while_it_waits);
    tcase_add_test(tcase, test_the_queue_is_deleted);
    tcase_add_test(tcase, test_the_queue_is_purged);
    tcase_add_test(tcase, test_a_queue_that_is_full_of_running_messages_has_no_room_for_a_call);
    tcase_add_test(tcase, test_a_waiting_call_may_be_dropped_as_the_oldest);
    tcase_add_test(tcase, test_the_broker_stops);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
