/* What a queue keeps of single messages: failed attempts and parked ones. */
#include "broker/core/kept.h"

#include "broker/core/queue.h"
#include "tests/support/check_main.h"
#include "tests/support/scene.h"

static struct core *core;
static struct queue *queue;

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

static void set_up(void)
{
    struct core_limits limits = scene_limits();
    core = core_new(&limits, note, NULL);
    queue = queue_new(core, QUEUE_DURABLE, 1, wire_bytes_of_text("work"));
    ck_assert_ptr_nonnull(queue);
}

static void tear_down(void)
{
    core_free(core);
}

START_TEST(test_attempts_are_kept_by_number)
{
    ck_assert_ptr_null(kept_find_attempted(queue, 7));
    ck_assert_uint_eq(kept_failed_attempts(queue, 7), 0);
    struct attempted *attempted = kept_add_attempted(queue, 7);
    ck_assert_uint_eq(attempted->failed, 0);
    attempted->failed = 3;
    ck_assert_ptr_eq(kept_add_attempted(queue, 7), attempted);
    ck_assert_ptr_eq(kept_find_attempted(queue, 7), attempted);
    ck_assert_uint_eq(kept_failed_attempts(queue, 7), 3);
    ck_assert_uint_eq(kept_failed_attempts(queue, 8), 0);
    kept_end_attempted(core, queue, attempted);
    ck_assert_uint_eq(kept_failed_attempts(queue, 7), 0);
}
END_TEST

START_TEST(test_parked_are_kept_by_number)
{
    ck_assert_ptr_null(kept_find_parked(queue, 5));
    struct parked *parked = kept_add_parked(queue, 5);
    ck_assert_uint_eq(parked->word, 0);
    ck_assert_ptr_eq(kept_add_parked(queue, 5), parked);
    ck_assert_ptr_eq(kept_find_parked(queue, 5), parked);
    kept_end_parked(core, queue, parked);
    ck_assert_ptr_null(kept_find_parked(queue, 5));
}
END_TEST

START_TEST(test_all_ends)
{
    for (uint64_t number = 1; number <= 50; number++) {
        ck_assert_ptr_nonnull(kept_add_attempted(queue, number));
        ck_assert_ptr_nonnull(kept_add_parked(queue, number * 2));
    }
    kept_end_all(core, queue);
    ck_assert_uint_eq(HASH_COUNT(queue->attempted), 0);
    ck_assert_uint_eq(HASH_COUNT(queue->parked), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kept");
    TCase *tcase = tcase_create("kept");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_attempts_are_kept_by_number);
    tcase_add_test(tcase, test_parked_are_kept_by_number);
    tcase_add_test(tcase, test_all_ends);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
