/* The life of a command, arrow by arrow: each state it can be in, each way from there, and where
 * that leads, as the broker says at once, as it tells who watches, and as it says after a crash.
 */
#include "tests/support/check_main.h"
#include "tests/support/tracking.h"

enum { LEASE_MS = 1000, DEADLINE_MS = 2000, DELAY_MS = 500, RETRY_MS = 100 };

static struct heard job; /* while it runs */

static void pass(uint64_t ms)
{
    scene_advance_ms(scene, ms);
    scene_settle(scene);
}

static void set(uint8_t property, uint64_t value)
{
    hear_confirm(bob, say_queue_set(bob, "work", property, value));
}

/* --- where it begins ----------------------------------------------------------------------------
 */

static void nowhere(void)
{
}

static void send_with(uint8_t kind, uint64_t value)
{
    track(1);
    with(PROPERTY_MESSAGE_TIMEOUT, DEADLINE_MS);
    if (kind != 0)
        with(kind, value);
    do_tracked("job");
}

static void ready(void)
{
    send_with(0, 0);
}

static void scheduled(void)
{
    send_with(PROPERTY_MESSAGE_DELAY, DELAY_MS);
}

/* Nothing else is handed out from here on, so that what comes back is seen to be there. */
static void running(void)
{
    ready();
    job = run("job");
    set(PROPERTY_QUEUE_PAUSED, 1);
}

static void retrying(void)
{
    running();
    hear_confirm(bob, say_fail_as(job.delivery, FAIL_RETRYABLE));
}

static void parked(void)
{
    running();
    hear_confirm(bob, say_fail_as(job.delivery, FAIL_PERMANENT));
}

/* --- what happens -------------------------------------------------------------------------------
 */

static void is_due(void)
{
    pass(DELAY_MS + 10);
}

static void is_due_again(void)
{
    pass(RETRY_MS + 10);
}

static void deadline_passes(void)
{
    pass(DEADLINE_MS + 10);
}

static void is_taken_back(void)
{
    (void)say_take_back(bob, 1);
}

static void is_purged(void)
{
    hear_confirm(bob, say_queue_purge(bob, "work"));
}

static void is_handed_out(void)
{
    job = run("job");
}

static void is_done(void)
{
    hear_confirm(bob, say_result(bob, job.delivery, "the result"));
}

static void is_released(void)
{
    hear_confirm(bob, say_release(bob, job.delivery, job.delivery));
}

static void worker_leaves(void)
{
    say_goodbye(bob);
    scene_settle(scene);
}

static void worker_is_lost(void)
{
    actor_cut(bob);
    scene_settle(scene);
}

static void fails(void)
{
    hear_confirm(bob, say_fail_as(job.delivery, FAIL_RETRYABLE));
}

static void is_busy(void)
{
    hear_confirm(bob, say_fail_as(job.delivery, FAIL_BUSY));
}

static void fails_for_good(void)
{
    hear_confirm(bob, say_fail_as(job.delivery, FAIL_PERMANENT));
}

static void fails_the_last_time(void)
{
    set(PROPERTY_QUEUE_ATTEMPTS, 1);
    fails();
}

static void lease_ends(void)
{
    set(PROPERTY_QUEUE_LEASE, LEASE_MS);
    struct frame frame = {.header.type = FRAME_RENEW};
    frame.as.renew = (struct frame_renew){0, UINT64_MAX};
    (void)actor_say(bob, &frame); /* from now on */
    pass(LEASE_MS + 100);
}

static void say_parked(enum frame_type type)
{
    struct frame frame = {.header.type = type};
    frame.as.parked_retry =
        (struct frame_parked_retry){wire_bytes_of_text("work"), job.number, job.number};
    hear_confirm(bob, actor_say(bob, &frame));
}

/* As a new command at its old place; what became of this one stays as it is. */
static void is_repaired(void)
{
    say_parked(FRAME_PARKED_RETRY);
}

static void is_thrown_away(void)
{
    say_parked(FRAME_PARKED_DROP);
}

static void is_moved(void)
{
    do_queue(bob, "other");
    struct frame frame = {.header.type = FRAME_PARKED_REPLACE};
    frame.as.parked_replace = (struct frame_parked_replace){.queue = wire_bytes_of_text("work"),
                                                            .number = job.number,
                                                            .to = wire_bytes_of_text("other")};
    hear_confirm(bob, actor_say(bob, &frame));
}

/* --- and where it leads -------------------------------------------------------------------------
 */

static const struct {
    void (*from)(void);
    void (*happens)(void);
    enum frame_command_phase to;
    enum frame_command_phase after_a_crash;
    const char *code; /* of one that failed */
    unsigned attempts;
    unsigned parked_count;
} arrows[] = {
    {nowhere, scheduled, COMMAND_SCHEDULED, COMMAND_SCHEDULED, "", 0, 0},
    {nowhere, ready, COMMAND_READY, COMMAND_READY, "", 0, 0},
    {scheduled, is_due, COMMAND_READY, COMMAND_READY, "", 0, 0},
    {scheduled, deadline_passes, COMMAND_FAILED, COMMAND_FAILED, "EXPIRED", 0, 0},
    {scheduled, is_taken_back, COMMAND_FAILED, COMMAND_FAILED, "CANCELLED", 0, 0},
    {scheduled, is_purged, COMMAND_FAILED, COMMAND_FAILED, "CANCELLED", 0, 0},
    {ready, is_handed_out, COMMAND_RUNNING, COMMAND_READY, "", 0, 0},
    {ready, deadline_passes, COMMAND_FAILED, COMMAND_FAILED, "EXPIRED", 0, 0},
    {ready, is_taken_back, COMMAND_FAILED, COMMAND_FAILED, "CANCELLED", 0, 0},
    {ready, is_purged, COMMAND_FAILED, COMMAND_FAILED, "CANCELLED", 0, 0},
    {running, is_done, COMMAND_DONE, COMMAND_DONE, "", 0, 0},
    {running, is_released, COMMAND_READY, COMMAND_READY, "", 0, 0},
    {running, worker_leaves, COMMAND_READY, COMMAND_READY, "", 0, 0},
    {running, worker_is_lost, COMMAND_READY, COMMAND_READY, "", 1, 0},
    {running, lease_ends, COMMAND_READY, COMMAND_READY, "", 1, 0},
    {running, fails, COMMAND_RETRYING, COMMAND_RETRYING, "", 1, 0},
    {running, is_busy, COMMAND_RETRYING, COMMAND_RETRYING, "", 0, 0},
    {running, fails_for_good, COMMAND_FAILED, COMMAND_FAILED, "BROKEN", 1, 1},
    {running, fails_the_last_time, COMMAND_FAILED, COMMAND_FAILED, "ATTEMPTS_EXHAUSTED", 1, 1},
    {running, deadline_passes, COMMAND_FAILED, COMMAND_FAILED, "EXPIRED", 0, 0},
    {running, is_taken_back, COMMAND_RUNNING, COMMAND_FAILED, "CANCELLED", 0, 0},
    {retrying, is_due_again, COMMAND_READY, COMMAND_READY, "", 1, 0},
    {retrying, deadline_passes, COMMAND_FAILED, COMMAND_FAILED, "EXPIRED", 1, 0},
    {retrying, is_taken_back, COMMAND_FAILED, COMMAND_FAILED, "CANCELLED", 1, 0},
    {retrying, is_purged, COMMAND_FAILED, COMMAND_FAILED, "CANCELLED", 1, 0},
    {parked, deadline_passes, COMMAND_FAILED, COMMAND_FAILED, "BROKEN", 1, 1},
    {parked, is_purged, COMMAND_FAILED, COMMAND_FAILED, "BROKEN", 1, 1},
    {parked, is_repaired, COMMAND_FAILED, COMMAND_FAILED, "BROKEN", 1, 0},
    {parked, is_thrown_away, COMMAND_FAILED, COMMAND_FAILED, "BROKEN", 1, 0},
    {parked, is_moved, COMMAND_FAILED, COMMAND_FAILED, "BROKEN", 1, 0},
};

static void is_there(struct frame_command_state state, unsigned arrow)
{
    ck_assert_uint_eq(state.attempts, arrows[arrow].attempts);
    if (state.state == COMMAND_FAILED)
        ck_assert(wire_bytes_equal(state.code, wire_bytes_of_text(arrows[arrow].code)));
    if (state.state == COMMAND_DONE)
        ck_assert(wire_bytes_equal(state.body, wire_bytes_of_text("the result")));
}

/* Who watches hears where it is now, and in the end nothing more. */
static void watcher_hears(uint64_t watching, unsigned arrow)
{
    struct frame frame;
    unsigned last = COMMAND_FAILED + 1;
    unsigned flags = 0;
    while (actor_next(alice, &frame)) {
        ck_assert_uint_eq(frame.header.type, FRAME_COMMAND_STATE);
        ck_assert_uint_eq(frame.header.tag, watching);
        last = frame.as.command_state.state;
        flags = frame.header.flags;
    }
    ck_assert_uint_eq(last, arrows[arrow].to);
    ck_assert_uint_eq(flags, arrows[arrow].to >= COMMAND_DONE ? FLAG_LAST : 0);
}

START_TEST(test_every_arrow_leads_where_it_should)
{
    unsigned arrow = (unsigned)_i;
    uint64_t watching = 0;
    arrows[arrow].from();
    if (arrows[arrow].from != nowhere && arrows[arrow].from != parked) {
        watching = say_status(alice, 1, COMMAND_CHANGES, 0);
        hear_out(alice);
    }
    arrows[arrow].happens();
    if (watching != 0)
        watcher_hears(watching, arrow);
    is_there(ask(1, arrows[arrow].to), arrow);
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), arrows[arrow].parked_count);
    crash_and_enter();
    is_there(ask(1, arrows[arrow].after_a_crash), arrow);
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), arrows[arrow].parked_count);
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"),
                      arrows[arrow].after_a_crash < COMMAND_DONE ||
                          arrows[arrow].happens == is_repaired);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("life cycle");
    TCase *tcase = tcase_create("life cycle");
    tcase_add_checked_fixture(tcase, tracking_set_up, tracking_tear_down);
    tcase_add_loop_test(tcase, test_every_arrow_leads_where_it_should, 0,
                        (int)(sizeof arrows / sizeof arrows[0]));
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
