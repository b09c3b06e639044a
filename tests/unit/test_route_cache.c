/* What recent keys led to: found again, told apart, and replaced. */
#include "broker/core/route_cache.h"

#include <stdio.h>

#include "tests/support/check_main.h"

static struct route_cache *cache;
static int things[ROUTE_CACHE_TARGETS_MAX + 1];
static void *targets[ROUTE_CACHE_TARGETS_MAX + 1];

static void set_up(void)
{
    cache = route_cache_new();
    for (size_t i = 0; i <= ROUTE_CACHE_TARGETS_MAX; i++)
        targets[i] = &things[i];
}

static void tear_down(void)
{
    route_cache_free(cache);
}

static void put(uint64_t generation, const char *key, size_t count)
{
    route_cache_put(cache, generation, wire_bytes_of_text(key), targets, count);
}

static const struct route_cached *find(uint64_t generation, const char *key)
{
    return route_cache_find(cache, generation, wire_bytes_of_text(key));
}

START_TEST(test_what_was_put_is_found)
{
    uint64_t generation = route_cache_draw(cache);
    ck_assert_ptr_null(find(generation, "a.b"));
    put(generation, "a.b", 3);
    put(generation, "nothing", 0);
    const struct route_cached *found = find(generation, "a.b");
    ck_assert_ptr_nonnull(found);
    ck_assert_uint_eq(found->count, 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_ptr_eq(found->targets[i], targets[i]);
    ck_assert_uint_eq(find(generation, "nothing")->count, 0);
    ck_assert_ptr_null(find(generation, "a.c"));
    ck_assert_ptr_null(find(generation, "a.b.c"));
}
END_TEST

START_TEST(test_a_generation_is_another_world)
{
    uint64_t first = route_cache_draw(cache);
    uint64_t second = route_cache_draw(cache);
    ck_assert_uint_ne(first, second);
    put(first, "a.b", 1);
    ck_assert_ptr_null(find(second, "a.b"));
    put(second, "a.b", 2);
    ck_assert_uint_eq(find(first, "a.b")->count, 1);
    ck_assert_uint_eq(find(second, "a.b")->count, 2);
}
END_TEST

START_TEST(test_too_long_results_are_not_kept)
{
    put(1, "most", ROUTE_CACHE_TARGETS_MAX);
    put(1, "more", ROUTE_CACHE_TARGETS_MAX + 1);
    ck_assert_uint_eq(find(1, "most")->count, ROUTE_CACHE_TARGETS_MAX);
    ck_assert_ptr_null(find(1, "more"));
}
END_TEST

/* Half of what there is room for finds room, but for bad luck; much more than that replaces. */
START_TEST(test_the_newest_are_kept)
{
    enum { ROOM = ROUTE_CACHE_SETS * ROUTE_CACHE_WAYS };
    char key[32];
    size_t found = 0;
    for (unsigned i = 0; i < 10 * ROOM; i++) {
        (void)snprintf(key, sizeof key, "key.%u", i);
        put(1, key, i % 4);
    }
    for (unsigned i = 10 * ROOM - ROOM / 2; i < 10 * ROOM; i++) {
        (void)snprintf(key, sizeof key, "key.%u", i);
        const struct route_cached *cached = find(1, key);
        found += cached != NULL;
        ck_assert(cached == NULL || cached->count == i % 4);
    }
    ck_assert_uint_gt(found, ROOM / 2 * 85 / 100);
    for (unsigned i = 0; i < ROOM; i++) {
        (void)snprintf(key, sizeof key, "key.%u", i);
        ck_assert_ptr_null(find(1, key));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route_cache");
    TCase *tcase = tcase_create("route_cache");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_what_was_put_is_found);
    tcase_add_test(tcase, test_a_generation_is_another_world);
    tcase_add_test(tcase, test_too_long_results_are_not_kept);
    tcase_add_test(tcase, test_the_newest_are_kept);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
