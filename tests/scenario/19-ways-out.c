/* Every way on which a command ends, and what all who wait for it are told: RELIABILITY (b2) Q6 for
 * outcomes, one row for each code and for each way out.
 *
 * The sender of a tracked command waits in every way at once: for the outcome, for every change, as
 * a durable call, and with a reply queue. Each hears of it once, and the same; so does whoever asks
 * later, after a crash.
 */
#include "tests/support/check_main.h"
#include "tests/support/tracking.h"

enum { LEASE_MS = 1000, TTL_MS = 500 };

static void pass(uint64_t ms)
{
    scene_advance_ms(scene, ms);
    scene_settle(scene);
}

/* --- what happens -------------------------------------------------------------------------------
 */

static void is_done(void)
{
    do_done(bob, run("job").delivery);
}

static void fails_for_good(void)
{
    hear_confirm(bob, say_fail_as(run("job").delivery, FAIL_PERMANENT));
}

/* It waits for its next attempt, 100 ms from now. */
static void fails_once(void)
{
    hear_confirm(bob, say_fail_as(run("job").delivery, FAIL_RETRYABLE));
}

/* The worker has looked at it, and says that it has done nothing: who knows? */
static void is_released(void)
{
    struct heard heard = run("job");
    hear_confirm(bob, say_cancel(bob, 1));
    hear_confirm(bob, say_release(bob, heard.delivery, heard.delivery));
}

static void fails_twice(void)
{
    fails_once();
    pass(110);
    hear_confirm(bob, say_fail_as(hear_delivery(bob, "job").delivery, FAIL_RETRYABLE));
}

static void worker_is_lost(void)
{
    (void)run("job");
    actor_cut(bob);
    scene_settle(scene);
    ck_assert(actor_enter(bob));
}

static void lease_ends(void)
{
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_LEASE, LEASE_MS));
    struct heard heard = run("job");
    pass(LEASE_MS + 100);
    hear_unwanted(heard.delivery, STATUS_LEASE_EXPIRED);
}

static void is_purged(void)
{
    hear_confirm(bob, say_queue_purge(bob, "work"));
}

static void is_purged_after_a_failure(void)
{
    fails_once();
    is_purged();
}

static void is_purged_after_a_release(void)
{
    is_released();
    is_purged();
}

static void queue_is_deleted(void)
{
    hear_confirm(bob, say_queue_delete(bob, "work", 0));
    scene_settle(scene);
}

static void queue_is_deleted_under_it(void)
{
    (void)run("job");
    (void)say_queue_delete(bob, "work", 0);
    scene_settle(scene);
}

static void queue_is_deleted_after_a_failure(void)
{
    fails_once();
    (void)say_queue_delete(bob, "work", 0);
    scene_settle(scene);
}

/* Somebody else's message comes into a queue for one. */
static void is_dropped(void)
{
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_OVERFLOW, 1));
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_COUNT_MAX, 1));
    do_send(bob, "work", "newer");
}

static void is_dropped_after_a_release(void)
{
    is_released();
    is_dropped();
}

static void time_passes(void)
{
    pass(TTL_MS + 10);
}

static void time_passes_while_it_runs(void)
{
    struct heard heard = run("job");
    time_passes();
    hear_unwanted(heard.delivery, STATUS_EXPIRED);
    do_done(bob, heard.delivery); /* too late, and harmless */
}

static void time_passes_after_a_failure(void)
{
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_BACKOFF, 0));
    struct heard heard = run("job");
    hear_confirm(bob, say_cancel(bob, 1));
    hear_confirm(bob, say_fail_as(heard.delivery, FAIL_RETRYABLE));
    time_passes();
}

static void time_passes_after_a_release(void)
{
    is_released();
    time_passes();
}

static void queue_lets_nothing_wait(void)
{
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_TTL, TTL_MS));
    time_passes();
    do_consume(bob, 1, "work", 1); /* who would get it */
    scene_settle(scene);
}

static void queue_lets_nothing_wait_after_a_release(void)
{
    is_released();
    queue_lets_nothing_wait();
}

static void is_taken_back(void)
{
    hear_confirm(bob, say_take_back(bob, 1));
}

static void is_taken_back_after_a_failure(void)
{
    fails_once();
    is_taken_back();
}

static struct heard is_taken_back_while_it_runs(void)
{
    struct heard heard = run("job");
    uint64_t tag = say_take_back(bob, 1);
    hear_unwanted(heard.delivery, STATUS_CANCELLED);
    hear_confirm(bob, tag);
    hear_confirm(bob, say_take_back(bob, 1)); /* once more changes nothing */
    return heard;
}

static void is_taken_back_and_fails(void)
{
    hear_confirm(bob, say_fail_as(is_taken_back_while_it_runs().delivery, FAIL_RETRYABLE));
}

static void is_taken_back_and_released(void)
{
    uint64_t delivery = is_taken_back_while_it_runs().delivery;
    hear_confirm(bob, say_release(bob, delivery, delivery));
}

static void is_taken_back_and_lost(void)
{
    (void)is_taken_back_while_it_runs();
    actor_cut(bob);
    scene_settle(scene);
    ck_assert(actor_enter(bob));
}

static void is_taken_back_and_done(void)
{
    do_done(bob, is_taken_back_while_it_runs().delivery);
}

/* The one before it in its lane is parked, and the queue has those behind it parked, too. */
static void lane_is_parked(void)
{
    hear_confirm(bob, say_queue_set(bob, "work", PROPERTY_QUEUE_LANE_PARKED, 1));
    hear_confirm(bob, say_fail_as(run("first").delivery, FAIL_PERMANENT));
}

/* --- and what is told ---------------------------------------------------------------------------
 */

static const struct {
    void (*happens)(void);
    uint8_t property;
    uint64_t value;
    const char *code; /* NULL: done */
    enum frame_outcome_ran ran;
    unsigned parked_count;
} ways[] = {
    {is_done, 0, 0, NULL, OUTCOME_RAN, 0},
    {is_taken_back_and_done, 0, 0, NULL, OUTCOME_RAN, 0},
    {fails_for_good, 0, 0, "BROKEN", OUTCOME_RAN, 1},
    {fails_once, PROPERTY_MESSAGE_ATTEMPTS, 1, "ATTEMPTS_EXHAUSTED", OUTCOME_RAN, 1},
    {fails_twice, PROPERTY_MESSAGE_RETRY_FOR, 50, "ATTEMPTS_EXHAUSTED", OUTCOME_RAN, 1},
    {worker_is_lost, PROPERTY_MESSAGE_ATTEMPTS, 1, "ATTEMPTS_EXHAUSTED", OUTCOME_MAYBE_RUN, 1},
    {lease_ends, PROPERTY_MESSAGE_ATTEMPTS, 1, "ATTEMPTS_EXHAUSTED", OUTCOME_MAYBE_RUN, 1},
    {is_purged, 0, 0, "CANCELLED", OUTCOME_NOT_RUN, 0},
    {is_purged, PROPERTY_MESSAGE_DELAY, 60000, "CANCELLED", OUTCOME_NOT_RUN, 0},
    {is_purged_after_a_failure, 0, 0, "CANCELLED", OUTCOME_MAYBE_RUN, 0},
    {is_purged_after_a_release, 0, 0, "CANCELLED", OUTCOME_MAYBE_RUN, 0},
    {queue_is_deleted, 0, 0, "NO_QUEUE", OUTCOME_NOT_RUN, 0},
    {queue_is_deleted_under_it, 0, 0, "NO_QUEUE", OUTCOME_MAYBE_RUN, 0},
    {queue_is_deleted_after_a_failure, 0, 0, "NO_QUEUE", OUTCOME_MAYBE_RUN, 0},
    {is_dropped, 0, 0, "OVERFLOW", OUTCOME_NOT_RUN, 0},
    {is_dropped_after_a_release, 0, 0, "OVERFLOW", OUTCOME_MAYBE_RUN, 0},
    {time_passes, PROPERTY_MESSAGE_TIMEOUT, TTL_MS, "EXPIRED", OUTCOME_NOT_RUN, 0},
    {time_passes, PROPERTY_MESSAGE_TTL, TTL_MS, "EXPIRED", OUTCOME_NOT_RUN, 0},
    {time_passes_while_it_runs, PROPERTY_MESSAGE_TIMEOUT, TTL_MS, "EXPIRED", OUTCOME_MAYBE_RUN, 0},
    {time_passes_after_a_failure, PROPERTY_MESSAGE_TIMEOUT, TTL_MS, "EXPIRED", OUTCOME_MAYBE_RUN,
     0},
    {time_passes_after_a_release, PROPERTY_MESSAGE_TTL, TTL_MS, "EXPIRED", OUTCOME_MAYBE_RUN, 0},
    {queue_lets_nothing_wait, 0, 0, "EXPIRED", OUTCOME_NOT_RUN, 0},
    {queue_lets_nothing_wait_after_a_release, 0, 0, "EXPIRED", OUTCOME_MAYBE_RUN, 0},
    {is_taken_back, 0, 0, "CANCELLED", OUTCOME_NOT_RUN, 0},
    {is_taken_back, PROPERTY_MESSAGE_DELAY, 60000, "CANCELLED", OUTCOME_NOT_RUN, 0},
    {is_taken_back_after_a_failure, 0, 0, "CANCELLED", OUTCOME_MAYBE_RUN, 0},
    {is_taken_back_and_fails, 0, 0, "CANCELLED", OUTCOME_RAN, 0},
    {is_taken_back_and_released, 0, 0, "CANCELLED", OUTCOME_MAYBE_RUN, 0},
    {is_taken_back_and_lost, 0, 0, "CANCELLED", OUTCOME_MAYBE_RUN, 0},
    {lane_is_parked, 0, 0, "LANE_PARKED", OUTCOME_NOT_RUN, 2},
};

static void send_job(unsigned way)
{
    bool is_in_lane = ways[way].happens == lane_is_parked;
    if (is_in_lane) {
        track(2);
        with_text(PROPERTY_MESSAGE_LANE, "1");
        do_tracked("first");
    }
    track(1);
    if (ways[way].property != 0)
        with(ways[way].property, ways[way].value);
    if (is_in_lane)
        with_text(PROPERTY_MESSAGE_LANE, "1");
    with_text(PROPERTY_MESSAGE_REPLY_TO, "answers");
    do_tracked("job");
}

static bool is_as_told(unsigned way, bool is_failed, struct wire_bytes code, unsigned ran)
{
    if (ways[way].code == NULL)
        return !is_failed && ran == OUTCOME_RAN;
    return is_failed && wire_bytes_equal(code, wire_bytes_of_text(ways[way].code)) &&
           ran == (unsigned)ways[way].ran;
}

/* The last words to those who wait, who each hear one. */
static void hear_last(unsigned way, uint64_t wait, uint64_t watch, uint64_t call)
{
    struct frame frame;
    unsigned wait_count = 0;
    unsigned watch_count = 0;
    unsigned call_count = 0;
    while (actor_next(alice, &frame)) {
        uint64_t tag = frame.header.tag;
        if (frame.header.type == FRAME_OUTCOME) {
            const struct frame_outcome *outcome = &frame.as.outcome;
            ck_assert_uint_eq(tag, call);
            ck_assert(
                is_as_told(way, outcome->state == OUTCOME_FAILED, outcome->code, outcome->ran));
            call_count++;
        } else if (frame.header.type == FRAME_COMMAND_STATE &&
                   (frame.header.flags & FLAG_LAST) != 0) {
            const struct frame_command_state *state = &frame.as.command_state;
            unsigned ran = state->state == COMMAND_DONE ? OUTCOME_RAN : state->ran;
            ck_assert(tag == wait || tag == watch);
            ck_assert(is_as_told(way, state->state == COMMAND_FAILED, state->code, ran));
            wait_count += tag == wait;
            watch_count += tag == watch;
        } else {
            ck_assert_uint_eq(frame.header.type, FRAME_COMMAND_STATE);
            ck_assert_uint_eq(tag, watch);
            ck_assert_uint_lt(frame.as.command_state.state, COMMAND_DONE);
        }
    }
    ck_assert_uint_eq(wait_count, 1);
    ck_assert_uint_eq(watch_count, 1);
    ck_assert_uint_eq(call_count, 1);
}

START_TEST(test_every_way_out_tells_all_who_wait)
{
    unsigned way = (unsigned)_i;
    do_queue(alice, "answers");
    send_job(way);
    uint64_t wait = say_status(alice, 1, COMMAND_OUTCOME, 0);
    uint64_t watch = say_status(alice, 1, COMMAND_CHANGES, 0);
    track(1);
    uint64_t call = say_durable_call("job", 60000);
    ways[way].happens();
    hear_last(way, wait, watch, call);
    crash_and_enter();
    struct frame_command_state state =
        ask(1, ways[way].code == NULL ? COMMAND_DONE : COMMAND_FAILED);
    if (ways[way].code != NULL)
        is_failed(&state, ways[way].code, ways[way].ran);
    hear_refuse(alice, say_take_back(alice, 1), STATUS_FINISHED);
    ck_assert_uint_eq(ask_queue(alice, "answers", "messages"), 1);
    if (ways[way].code == NULL || strcmp(ways[way].code, "NO_QUEUE") != 0) {
        ck_assert_uint_eq(ask_queue(alice, "work", "parked"), ways[way].parked_count);
        ck_assert_uint_eq(ask_queue(alice, "work", "messages"),
                          ways[way].code != NULL && strcmp(ways[way].code, "OVERFLOW") == 0);
    }
    ck_assert_uint_eq(ask_stat(alice, "tracked"), 0);
    ck_assert_uint_eq(ask_stat(alice, "calls_waiting"), 0);
}
END_TEST

/* Whoever waits hears that the broker stops, and the command waits for the next start. */
START_TEST(test_a_stopping_broker_tells_all_who_wait)
{
    track(1);
    do_tracked("job");
    uint64_t wait = say_status(alice, 1, COMMAND_OUTCOME, 0);
    uint64_t watch = say_status(alice, 1, COMMAND_CHANGES, 0);
    hear_state(alice, watch, false, COMMAND_READY);
    track(1);
    uint64_t call = say_durable_call("job", 60000);
    core_drain(scene->core, 1000);
    scene_settle(scene);
    struct frame frame;
    unsigned refused_count = 0;
    unsigned called_count = 0;
    while (actor_next(alice, &frame)) {
        if (frame.header.type == FRAME_REFUSE) {
            ck_assert(frame.header.tag == wait || frame.header.tag == watch);
            ck_assert_uint_eq(frame.as.refuse.code, STATUS_DRAINING);
            refused_count++;
        } else if (frame.header.type == FRAME_OUTCOME) {
            ck_assert_uint_eq(frame.header.tag, call);
            ck_assert(wire_bytes_equal(frame.as.outcome.code, wire_bytes_of_text("DRAINING")));
            ck_assert_uint_eq(frame.as.outcome.ran, OUTCOME_MAYBE_RUN); /* it is kept, and will */
            called_count++;
        }
    }
    ck_assert_uint_eq(refused_count, 2);
    ck_assert_uint_eq(called_count, 1);
    scene_restart(scene);
    ck_assert(actor_enter(alice));
    ask(1, COMMAND_READY);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ways out");
    TCase *tcase = tcase_create("ways out");
    tcase_add_checked_fixture(tcase, tracking_set_up, tracking_tear_down);
    tcase_add_loop_test(tcase, test_every_way_out_tells_all_who_wait, 0,
                        (int)(sizeof ways / sizeof ways[0]));
    tcase_add_test(tcase, test_a_stopping_broker_tells_all_who_wait);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
