/* When a breaker trips, whom it lets pass then, how long its probes wait, when it closes. */
#include "broker/core/breaker.h"

#include "broker/core/queue.h"
#include "broker/core/state.h"
#include "tests/support/check_main.h"
#include "tests/support/scene.h"

enum { LIMIT = 3, BACKOFF_MS = 2000, BACKOFF_MAX_MS = 9000 };

static struct core *core;
static struct queue *queue;
static unsigned fired;

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

static void set_up(void)
{
    struct core_limits limits = scene_limits();
    core = core_new(&limits, note, NULL);
    core->is_running = true;
    core->now_ms = 100000;
    queue = queue_new(core, QUEUE_TRANSIENT, 1, wire_bytes_of_text("work"));
    queue->retry.backoff_ms = BACKOFF_MS;
    queue->retry.backoff_max_ms = BACKOFF_MAX_MS;
    queue->breaker.limit = LIMIT;
    fired = 0;
}

static void tear_down(void)
{
    core_free(core);
}

static void fail_from(uint64_t first, unsigned count)
{
    for (uint64_t number = first; number < first + count; number++)
        breaker_on_failure(core, queue, number);
}

static void on_timer(void *argument, struct wheel_timer *timer)
{
    ck_assert_uint_eq(timer->kind, TIMER_BREAKER);
    fired++;
    breaker_on_timer(argument, timer);
}

static void advance(uint64_t ms)
{
    core->now_ms += ms;
    (void)wheel_run(&core->wheel, core->now_ms, SIZE_MAX, on_timer, core);
}

START_TEST(test_it_trips_at_so_many_failures_of_different_messages)
{
    fail_from(1, LIMIT - 1);
    for (unsigned i = 0; i < 10; i++)
        breaker_on_failure(core, queue, LIMIT - 1); /* one message's trouble counts once */
    ck_assert(!queue->breaker.is_tripped);
    ck_assert(breaker_lets_pass(core, queue));
    breaker_on_failure(core, queue, LIMIT);
    ck_assert(queue->breaker.is_tripped);
    ck_assert(!breaker_lets_pass(core, queue));
}
END_TEST

START_TEST(test_what_is_done_in_between_begins_the_count_anew)
{
    fail_from(1, LIMIT - 1);
    breaker_on_done(core, queue);
    fail_from(1, LIMIT - 1);
    ck_assert(!queue->breaker.is_tripped);
    breaker_on_failure(core, queue, 1); /* not the one before, so that it counts */
    ck_assert(queue->breaker.is_tripped);
}
END_TEST

START_TEST(test_without_a_limit_nothing_trips)
{
    queue->breaker.limit = 0;
    fail_from(1, 1000);
    ck_assert(breaker_lets_pass(core, queue));
}
END_TEST

START_TEST(test_probes_go_one_at_a_time)
{
    fail_from(1, LIMIT);
    advance(BACKOFF_MS - WHEEL_TICK_MS);
    ck_assert(!breaker_lets_pass(core, queue));
    advance(WHEEL_TICK_MS);
    ck_assert_uint_eq(fired, 1);
    ck_assert(breaker_lets_pass(core, queue));
    queue->out_count = 1;
    ck_assert(!breaker_lets_pass(core, queue));
    queue->out_count = 0;
}
END_TEST

/* Each wait as long as the one before twice, at least a second, at most the longest backoff. */
START_TEST(test_the_wait_between_probes_doubles)
{
    static const struct {
        uint64_t backoff_ms;
        uint64_t backoff_max_ms;
        uint64_t waits_ms[5];
    } rows[] = {
        {2000, 9000, {2000, 4000, 8000, 9000, 9000}},
        {0, 0, {1000, 1000, 1000, 1000, 1000}},
        {10, 3000, {1000, 2000, 3000, 3000, 3000}},
        {5000, 100, {5000, 5000, 5000, 5000, 5000}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        queue->retry.backoff_ms = rows[i].backoff_ms;
        queue->retry.backoff_max_ms = rows[i].backoff_max_ms;
        fail_from(1, LIMIT);
        for (unsigned j = 0; j < 5; j++) {
            ck_assert_uint_eq(queue->breaker.probe_ms - core->now_ms, rows[i].waits_ms[j]);
            breaker_on_failure(core, queue, 1); /* the probe */
        }
        breaker_on_done(core, queue);
    }
}
END_TEST

START_TEST(test_a_probe_that_is_done_closes_it)
{
    fail_from(1, LIMIT + 3);
    breaker_on_done(core, queue);
    ck_assert(!queue->breaker.is_tripped);
    ck_assert(breaker_lets_pass(core, queue));
    advance(100 * BACKOFF_MAX_MS);
    ck_assert_uint_eq(fired, 0);
    fail_from(1, LIMIT);
    ck_assert_uint_eq(queue->breaker.probe_ms - core->now_ms, BACKOFF_MS); /* as the first time */
}
END_TEST

START_TEST(test_taking_the_limit_away_closes_it)
{
    fail_from(1, LIMIT);
    queue->breaker.limit = LIMIT + 1;
    breaker_on_settings(core, queue);
    ck_assert(queue->breaker.is_tripped); /* another limit is for the next time */
    queue->breaker.limit = 0;
    breaker_on_settings(core, queue);
    ck_assert(!queue->breaker.is_tripped);
    ck_assert(breaker_lets_pass(core, queue));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("breaker");
    TCase *tcase = tcase_create("breaker");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_it_trips_at_so_many_failures_of_different_messages);
    tcase_add_test(tcase, test_what_is_done_in_between_begins_the_count_anew);
    tcase_add_test(tcase, test_without_a_limit_nothing_trips);
    tcase_add_test(tcase, test_probes_go_one_at_a_time);
    tcase_add_test(tcase, test_the_wait_between_probes_doubles);
    tcase_add_test(tcase, test_a_probe_that_is_done_closes_it);
    tcase_add_test(tcase, test_taking_the_limit_away_closes_it);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
