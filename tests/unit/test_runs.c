/* Sets of sequences, against a plain array. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "broker/runs.h"
#include "tests/support/chance.h"
#include "tests/support/check_main.h"

enum { SEQUENCES = 100 };

static struct runs runs;
static bool has[SEQUENCES + 1];
static char text[4096];
static size_t told;

static void on_gap(void *argument, uint64_t first, uint64_t last)
{
    (void)argument;
    told += (size_t)snprintf(text + told, sizeof text - told, "%u-%u ", (unsigned)first,
                             (unsigned)last);
}

static void expect_gaps(uint64_t first, uint64_t last)
{
    char expected[4096] = "";
    size_t bytes = 0;
    for (uint64_t i = first; i <= last; i++) {
        uint64_t end = i;
        while (end <= last && !has[end])
            end++;
        if (end > i)
            bytes += (size_t)snprintf(expected + bytes, sizeof expected - bytes, "%u-%u ",
                                      (unsigned)i, (unsigned)end - 1);
        i = end > i ? end - 1 : i;
    }
    told = 0;
    text[0] = '\0';
    runs_each_gap(&runs, (struct run){first, last}, on_gap, NULL);
    ck_assert_str_eq(text, expected);
}

static void expect_same(void)
{
    for (size_t i = 0; i < runs.count; i++) {
        ck_assert_uint_le(runs.run[i].first, runs.run[i].last);
        ck_assert(i == 0 || runs.run[i - 1].last + 1 < runs.run[i].first);
    }
    for (uint64_t i = 1; i <= SEQUENCES; i++)
        ck_assert_int_eq(runs_find(&runs, i) != NULL, has[i]);
}

START_TEST(test_by_chance)
{
    struct chance chance = {(uint64_t)_i + 1};
    memset(has, 0, sizeof has);
    for (int round = 0; round < 40; round++) {
        uint64_t first = 1 + chance_below(&chance, SEQUENCES);
        uint64_t last = first + chance_below(&chance, 6);
        last = last < SEQUENCES ? last : SEQUENCES;
        ck_assert_int_eq(runs_add(&runs, first, last), STATUS_OK);
        for (uint64_t i = first; i <= last; i++)
            has[i] = true;
        expect_same();
        uint64_t from = 1 + chance_below(&chance, SEQUENCES);
        uint64_t to = from + chance_below(&chance, SEQUENCES + 1 - from);
        uint64_t count = 0;
        for (uint64_t i = from; i <= to; i++)
            count += has[i];
        ck_assert_uint_eq(runs_count(&runs, from, to), count);
        expect_gaps(from, to);
    }
    runs_deinit(&runs);
}
END_TEST

START_TEST(test_the_ends)
{
    ck_assert_ptr_null(runs_find_from(&runs, 0));
    ck_assert_int_eq(runs_add(&runs, 5, UINT64_MAX), STATUS_OK);
    ck_assert_int_eq(runs_add(&runs, 0, 0), STATUS_OK);
    ck_assert_uint_eq(runs.count, 2);
    ck_assert_uint_eq(runs_find_from(&runs, 1)->first, 5);
    ck_assert_int_eq(runs_add(&runs, 1, 4), STATUS_OK);
    ck_assert_uint_eq(runs.count, 1);
    ck_assert_uint_eq(runs_find(&runs, UINT64_MAX)->first, 0);
    runs_deinit(&runs);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runs");
    TCase *tcase = tcase_create("runs");
    tcase_add_loop_test(tcase, test_by_chance, 0, 50);
    tcase_add_test(tcase, test_the_ends);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
