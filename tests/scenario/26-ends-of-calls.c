/* Every end of a call that nobody keeps, and what its caller is told: one row for each code and for
 * each way on which it comes.
 */
#include "tests/support/check_main.h"
#include "tests/support/tracking.h"

enum { LEASE_MS = 1000, TTL_MS = 500 };

static void pass(uint64_t ms)
{
    scene_advance_ms(scene, ms);
    scene_settle(scene);
}

static uint64_t call_tag;

static uint64_t say_call_with(uint8_t kind, uint64_t value)
{
    w = wire_writer_of(properties, sizeof properties);
    with(kind, value);
    struct frame frame = {.header.type = FRAME_CALL};
    frame.as.call =
        (struct frame_call){.queue = wire_bytes_of_text("work"),
                            .timeout_ms = 5000,
                            .properties = wire_bytes_of(properties, (uint32_t)wire_written(&w)),
                            .body_bytes = 3,
                            .body = wire_bytes_of_text("job")};
    return actor_say(alice, &frame);
}

static void call(void)
{
    call_tag = say_call(alice, "work", "job", 5000);
}

static struct heard call_runs(void)
{
    do_consume(bob, 1, "work", 1);
    call();
    return hear_delivery(bob, "job");
}

static void call_waits(void)
{
    do_consume(bob, 1, "work", 1);
    do_send(bob, "work", "other");
    (void)hear_delivery(bob, "other");
    call();
}

static void call_was_released(void)
{
    struct heard heard = call_runs();
    do_send(bob, "work", "other");
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_PAUSED, 1));
    hear_confirm(bob, say_release(bob, heard.delivery, heard.delivery));
}

static void call_nowhere(void)
{
    call_tag = say_call(alice, "nowhere", "job", 5000);
}

static void call_into_a_full_queue(void)
{
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_COUNT_MAX, 1));
    call_waits();
}

static void call_beyond_the_limit(void)
{
    do_consume(bob, 1, "work", 1);
    scene->limits.calls_max = 0;
    core_set_limits(scene->core, &scene->limits);
    call();
}

static void call_a_stopping_broker(void)
{
    do_consume(bob, 1, "work", 1);
    core_drain(scene->core, 1000);
    hear_out(alice);
    call();
}

static void call_stops_with_the_broker(void)
{
    call_waits();
    core_drain(scene->core, 1000);
    scene_settle(scene);
}

static void call_is_done(void)
{
    do_done(bob, call_runs().delivery);
}

static void call_fails(void)
{
    (void)say_fail_as(call_runs().delivery, FAIL_RETRYABLE);
}

static void call_expires(void)
{
    call_waits();
    pass(5010);
}

static void call_expires_while_it_runs(void)
{
    (void)call_runs();
    pass(5010);
}

static void call_expires_after_a_release(void)
{
    call_was_released();
    pass(5010);
}

static void call_is_purged(void)
{
    call_waits();
    (void)say_queue_purge(bob, "work");
}

static void call_is_purged_after_a_release(void)
{
    call_was_released();
    (void)say_queue_purge(bob, "work");
}

static void call_loses_its_queue(void)
{
    call_waits();
    (void)say_queue_delete(bob, "work", 0);
}

static void call_loses_its_queue_while_it_runs(void)
{
    (void)call_runs();
    (void)say_queue_delete(bob, "work", 0);
}

static void call_is_dropped(void)
{
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_COUNT_MAX, 2));
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_OVERFLOW, 1));
    call_waits();
    do_send(bob, "work", "newer");
}

static void call_is_dropped_after_a_release(void)
{
    call_was_released();
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_COUNT_MAX, 2));
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_OVERFLOW, 1));
    do_send(bob, "work", "newer");
}

static void call_loses_its_worker(void)
{
    (void)call_runs();
    actor_cut(bob);
    scene_settle(scene);
}

static void call_takes_too_long(void)
{
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_LEASE, LEASE_MS));
    (void)call_runs();
    pass(LEASE_MS + 100);
}

/* Sooner than its caller has patience. */
static void call_is_too_old_for_itself(void)
{
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_PAUSED, 1));
    do_consume(bob, 1, "work", 1);
    call_tag = say_call_with(PROPERTY_MESSAGE_TTL, TTL_MS);
    pass(TTL_MS + 10);
}

static void call_is_too_old_for_its_queue(void)
{
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_TTL, TTL_MS));
    call_waits();
    pass(TTL_MS + 10);
}

/* The same id with another body; a durable call, because only those are known by their ids. */
static void call_under_another_body(void)
{
    track(1);
    do_tracked("job");
    track(1);
    call_tag = say_durable_call("another job", 1000);
}

static const struct {
    void (*happens)(void);
    const char *code; /* NULL: done */
    enum frame_outcome_ran ran;
} calls[] = {
    {call_is_done, NULL, OUTCOME_RAN},
    {call_fails, "BROKEN", OUTCOME_RAN},
    {call_nowhere, "NO_QUEUE", OUTCOME_NOT_RUN},
    {call, "NO_HANDLER", OUTCOME_NOT_RUN},
    {call_into_a_full_queue, "OVERFLOW", OUTCOME_NOT_RUN},
    {call_beyond_the_limit, "LIMIT", OUTCOME_NOT_RUN},
    {call_a_stopping_broker, "DRAINING", OUTCOME_NOT_RUN},
    {call_under_another_body, "DUPLICATE_MISMATCH", OUTCOME_NOT_RUN},
    {call_stops_with_the_broker, "DRAINING", OUTCOME_NOT_RUN},
    {call_expires, "EXPIRED", OUTCOME_NOT_RUN},
    {call_expires_while_it_runs, "EXPIRED", OUTCOME_MAYBE_RUN},
    {call_expires_after_a_release, "EXPIRED", OUTCOME_MAYBE_RUN},
    {call_is_too_old_for_itself, "EXPIRED", OUTCOME_NOT_RUN},
    {call_is_too_old_for_its_queue, "EXPIRED", OUTCOME_NOT_RUN},
    {call_is_purged, "CANCELLED", OUTCOME_NOT_RUN},
    {call_is_purged_after_a_release, "CANCELLED", OUTCOME_MAYBE_RUN},
    {call_loses_its_queue, "NO_QUEUE", OUTCOME_NOT_RUN},
    {call_loses_its_queue_while_it_runs, "NO_QUEUE", OUTCOME_MAYBE_RUN},
    {call_is_dropped, "OVERFLOW", OUTCOME_NOT_RUN},
    {call_is_dropped_after_a_release, "OVERFLOW", OUTCOME_MAYBE_RUN},
    {call_loses_its_worker, "WORKER_LOST", OUTCOME_MAYBE_RUN},
    {call_takes_too_long, "LEASE_EXPIRED", OUTCOME_MAYBE_RUN},
};

START_TEST(test_every_end_of_a_call)
{
    calls[_i].happens();
    struct frame frame;
    unsigned count = 0;
    while (actor_next(alice, &frame)) {
        if (frame.header.type != FRAME_OUTCOME)
            continue;
        const struct frame_outcome *outcome = &frame.as.outcome;
        const char *code = calls[_i].code != NULL ? calls[_i].code : "";
        ck_assert_uint_eq(frame.header.tag, call_tag);
        ck_assert_uint_eq(outcome->state, calls[_i].code != NULL ? OUTCOME_FAILED : OUTCOME_DONE);
        ck_assert_msg(wire_bytes_equal(outcome->code, wire_bytes_of_text(code)), "%.*s, not %s",
                      (int)outcome->code.bytes, (const char *)outcome->code.at, code);
        ck_assert_uint_eq(outcome->ran, calls[_i].ran);
        count++;
    }
    ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(test_a_call_has_more_attempts_if_it_wants_them)
{
    do_consume(bob, 1, "work", 1);
    uint64_t tag = say_call_with(PROPERTY_MESSAGE_ATTEMPTS, 3);
    struct heard heard = hear_delivery(bob, "job");
    hear_confirm(bob, say_fail_as(heard.delivery, FAIL_BUSY)); /* not counted */
    pass(110);
    heard = hear_delivery(bob, "job");
    hear_confirm(bob, say_fail_as(heard.delivery, FAIL_RETRYABLE));
    hear_nothing(alice);
    pass(110);
    ck_assert_uint_eq(hear_delivery(bob, "job").attempt, 2);
    actor_cut(bob);
    scene_settle(scene);
    hear_nothing(alice);
    ck_assert(actor_enter(bob));
    do_consume(bob, 1, "work", 1);
    heard = hear_delivery(bob, "job");
    ck_assert_uint_eq(heard.attempt, 3);
    hear_confirm(bob, say_fail_as(heard.delivery, FAIL_RETRYABLE));
    hear_failure(alice, tag, "BROKEN", OUTCOME_RAN);
    tag = say_call_with(PROPERTY_MESSAGE_ATTEMPTS, 2);
    hear_confirm(bob, say_fail_as(hear_delivery(bob, "job").delivery, FAIL_RETRYABLE));
    pass(110);
    do_done(bob, hear_delivery(bob, "job").delivery);
    hear_outcome(alice, tag, "");
    tag = say_call_with(PROPERTY_MESSAGE_ATTEMPTS, 2);
    hear_confirm(bob, say_fail_as(hear_delivery(bob, "job").delivery, FAIL_PERMANENT));
    hear_failure(alice, tag, "BROKEN", OUTCOME_RAN);
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 0);
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 0);
    ck_assert_uint_eq(ask_stat(alice, "transient_bytes"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ends of calls");
    TCase *tcase = tcase_create("ends of calls");
    tcase_add_checked_fixture(tcase, tracking_set_up, tracking_tear_down);
    tcase_add_test(tcase, test_a_call_has_more_attempts_if_it_wants_them);
    tcase_add_loop_test(tcase, test_every_end_of_a_call, 0, (int)(sizeof calls / sizeof calls[0]));
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
