/* What becomes of a failed attempt: how long it waits, what counts, when it is the last. */
#include "broker/core/retry.h"

#include "broker/core/kept.h"
#include "tests/support/check_main.h"
#include "tests/support/scene.h"

enum { NUMBER = 5, BACKOFF_MS = 1000, BACKOFF_MAX_MS = 6000 };

static struct core *core;
static struct queue *queue;

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

/* A transient message that a consumer has: nothing is recorded of it. */
static void set_up(void)
{
    struct core_limits limits = scene_limits();
    core = core_new(&limits, note, NULL);
    core->is_running = true;
    queue = queue_new(core, QUEUE_TRANSIENT, 1, wire_bytes_of_text("work"));
    queue->retry.attempts_max = 0;
    queue->retry.backoff_ms = BACKOFF_MS;
    queue->retry.backoff_max_ms = BACKOFF_MAX_MS;
    struct operation_message operation = {.number = NUMBER};
    struct message *message = message_new(core, &operation);
    ck_assert_int_eq(index_reserve(&queue->index, NUMBER), STATUS_OK);
    index_append(&queue->index, NUMBER, place_word_transient(message), 0);
    queue->transient_count++;
    index_set_out(&queue->index, index_find(&queue->index, NUMBER));
    queue->out_count++;
}

static void tear_down(void)
{
    core_free(core);
}

static void fail_as(unsigned class, uint64_t retry_after_ms)
{
    struct failure failure = {.class = class, .retry_after_ms = retry_after_ms};
    ck_assert_int_eq(retry_fail(core, NULL, queue, NUMBER, &failure), STATUS_OK);
}

/* How long it waits now; it is with a consumer again then. */
static uint64_t take(void)
{
    struct aside *aside = asides_find(&queue->asides, NUMBER);
    ck_assert_ptr_nonnull(aside);
    uint64_t wait_ms =
        aside->state == ASIDE_WAITING ? aside->as.timer.due_tick * WHEEL_TICK_MS - core->now_ms : 0;
    aside_set_out(core, aside);
    return wait_ms;
}

START_TEST(test_the_wait_doubles_up_to_its_longest_with_full_jitter)
{
    for (unsigned failed = 1; failed <= 8; failed++) {
        uint64_t bound = (uint64_t)BACKOFF_MS << (failed - 1);
        if (bound > BACKOFF_MAX_MS)
            bound = BACKOFF_MAX_MS;
        unsigned low_count = 0;
        unsigned high_count = 0;
        for (unsigned i = 0; i < 300; i++) {
            struct attempted *attempted = kept_find_attempted(queue, NUMBER);
            if (attempted != NULL)
                attempted->failed = (uint16_t)(failed - 1);
            fail_as(FAIL_RETRYABLE, 0);
            ck_assert_uint_eq(kept_failed_attempts(queue, NUMBER), failed);
            uint64_t wait_ms = take();
            ck_assert_uint_lt(wait_ms, bound + WHEEL_TICK_MS);
            low_count += wait_ms < bound / 4;
            high_count += wait_ms > bound - bound / 4;
        }
        ck_assert_uint_gt(low_count, 30);
        ck_assert_uint_gt(high_count, 30);
    }
}
END_TEST

START_TEST(test_the_worker_may_say_when)
{
    fail_as(FAIL_RETRYABLE, 12340);
    ck_assert_uint_eq(take(), 12340);
    fail_as(FAIL_RETRYABLE, UINT64_MAX);
    struct aside *aside = asides_find(&queue->asides, NUMBER);
    ck_assert_int_eq(aside->state, ASIDE_WAITING);
    ck_assert_uint_gt(aside->as.timer.due_tick, UINT64_MAX / WHEEL_TICK_MS - 2);
}
END_TEST

START_TEST(test_busy_does_not_count)
{
    queue->retry.attempts_max = 1;
    fail_as(FAIL_BUSY, 100);
    ck_assert_uint_eq(take(), 100);
    ck_assert_uint_eq(kept_failed_attempts(queue, NUMBER), 0);
}
END_TEST

START_TEST(test_what_is_not_durable_goes_with_its_last_attempt)
{
    queue->retry.attempts_max = 2;
    fail_as(FAIL_RETRYABLE, 1);
    take();
    fail_as(FAIL_RETRYABLE, 1);
    ck_assert_uint_eq(queue_count(queue), 0);
    ck_assert_uint_eq(queue->out_count, 0);
    ck_assert_ptr_null(kept_find_attempted(queue, NUMBER));
    ck_assert_uint_eq(core->transient_bytes, 0);
}
END_TEST

START_TEST(test_a_permanent_failure_is_the_last)
{
    fail_as(FAIL_PERMANENT, 0);
    ck_assert_uint_eq(queue_count(queue), 0);
    fail_as(FAIL_PERMANENT, 0); /* it is gone: nothing happens */
}
END_TEST

START_TEST(test_nothing_is_parked)
{
    ck_assert_int_eq(retry_parked(core, NULL, queue, 0, UINT64_MAX), STATUS_NOT_PARKED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("retry");
    TCase *tcase = tcase_create("retry");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_the_wait_doubles_up_to_its_longest_with_full_jitter);
    tcase_add_test(tcase, test_the_worker_may_say_when);
    tcase_add_test(tcase, test_busy_does_not_count);
    tcase_add_test(tcase, test_what_is_not_durable_goes_with_its_last_attempt);
    tcase_add_test(tcase, test_a_permanent_failure_is_the_last);
    tcase_add_test(tcase, test_nothing_is_parked);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
