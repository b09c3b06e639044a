/* Readers that go on in order are recognised, and only they are read ahead for. */
#include <check.h>
#include <stdlib.h>

#include "broker/store/ahead.h"

#define SEGMENT_BYTES (64u << 20)
#define START ((uint64_t)SEGMENT_BYTES + 8192)
#define DURABLE ((uint64_t)3 * SEGMENT_BYTES)

static struct ahead ahead;
static struct cache cache;

static void setup(void)
{
    ahead_init(&ahead, SEGMENT_BYTES);
    cache_init(&cache, 16 << 20);
}

static void teardown(void)
{
    cache_deinit(&cache);
}

static void window(uint64_t start, uint32_t bytes)
{
    cache_add_window_take(&cache, start, malloc(bytes), bytes);
}

static void read_window(uint64_t start, uint32_t bytes)
{
    window(start, bytes);
    ahead_note(&ahead, &cache, start, start + bytes);
}

START_TEST(test_one_request_is_no_order)
{
    ck_assert_uint_eq(ahead_bytes(&ahead, START), AHEAD_BYTES_MIN);
    read_window(START, AHEAD_BYTES_MIN);
    ck_assert_ptr_null(ahead_choose(&ahead, &cache, DURABLE));
    read_window(START + (8 << 20), AHEAD_BYTES_MIN);
    ck_assert_ptr_null(ahead_choose(&ahead, &cache, DURABLE));
}
END_TEST

START_TEST(test_in_order_windows_grow_and_are_read_ahead)
{
    read_window(START, AHEAD_BYTES_MIN);
    uint64_t next = START + AHEAD_BYTES_MIN + 100;
    ck_assert_uint_eq(ahead_bytes(&ahead, next), 2 * AHEAD_BYTES_MIN);
    read_window(next, 2 * AHEAD_BYTES_MIN);
    struct ahead_stream *stream = ahead_choose(&ahead, &cache, DURABLE);
    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(stream->next, next + 2 * AHEAD_BYTES_MIN);
    window(stream->next, AHEAD_BYTES_MAX);
    cache_mark_fresh(&cache, stream->next);
    ahead_go_on(&ahead, stream, &cache, AHEAD_BYTES_MAX);
    /* Not before the reader has come into it. */
    ck_assert_ptr_null(ahead_choose(&ahead, &cache, DURABLE));
    ck_assert_ptr_nonnull(cache_find(&cache, stream->start + 5));
    ck_assert_ptr_eq(ahead_choose(&ahead, &cache, DURABLE), stream);
    ck_assert_uint_eq(stream->bytes, AHEAD_BYTES_MAX);
    ck_assert_ptr_null(ahead_choose(&ahead, &cache, stream->next));
}
END_TEST

/* Where nothing stands the segment has ended; at the beginning of the next one it is given up. */
START_TEST(test_goes_on_in_the_next_segment)
{
    read_window(START, 1000);
    read_window(START + 1000, 1000);
    struct ahead_stream *stream = ahead_choose(&ahead, &cache, DURABLE);
    ck_assert_ptr_nonnull(stream);
    ahead_go_on(&ahead, stream, &cache, 0);
    ck_assert_uint_eq(stream->next, (uint64_t)2 * SEGMENT_BYTES + 4096);
    ck_assert_ptr_eq(ahead_choose(&ahead, &cache, DURABLE), stream);
    ahead_go_on(&ahead, stream, &cache, 0);
    ck_assert_ptr_null(ahead_choose(&ahead, &cache, DURABLE));
}
END_TEST

/* Windows nobody has looked at take a quarter of the cache at most. */
START_TEST(test_budget)
{
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t at = START + 100000 + (i << 20);
        window(at, 1000000);
        cache_mark_fresh(&cache, at);
    }
    read_window(START, 1000);
    read_window(START + 1000, 1000);
    ck_assert_ptr_null(ahead_choose(&ahead, &cache, DURABLE));
    ck_assert_ptr_nonnull(cache_find(&cache, START + 100000));
    ck_assert_ptr_nonnull(ahead_choose(&ahead, &cache, DURABLE));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ahead");
    TCase *tcase = tcase_create("ahead");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_one_request_is_no_order);
    tcase_add_test(tcase, test_in_order_windows_grow_and_are_read_ahead);
    tcase_add_test(tcase, test_goes_on_in_the_next_segment);
    tcase_add_test(tcase, test_budget);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
