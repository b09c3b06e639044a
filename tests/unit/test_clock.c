/* Broker time starts at the later of two times and never goes back. */
#include <stdlib.h>
#include <time.h>

#include "broker/clock.h"
#include "tests/support/check_main.h"

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

START_TEST(test_starts_at_the_wall_clock)
{
    struct clock clock;
    clock_start(&clock, 0);
    uint64_t now_ms = clock_now_ms(&clock);
    uint64_t wall = wall_ms();
    ck_assert_uint_le(now_ms, wall + 5);
    ck_assert_uint_ge(now_ms + 1000, wall);
    ck_assert_uint_le(clock_ahead_ms(&clock), 5);
}
END_TEST

START_TEST(test_starts_at_a_newer_journal)
{
    struct clock clock;
    uint64_t newest_ms = wall_ms() + 3600000;
    clock_start(&clock, newest_ms);
    ck_assert_uint_ge(clock_now_ms(&clock), newest_ms);
    ck_assert_uint_ge(clock_ahead_ms(&clock), 3599000);
}
END_TEST

START_TEST(test_wall_clock_of_1970)
{
    struct clock clock;
    struct clock later;
    clock_start_at(&clock, 0, 5, 1000000);
    clock_start_at(&later, 7, 5, 1000000);
    ck_assert_uint_eq(later.base_ms - clock.base_ms, 2);
    ck_assert_uint_eq(clock.base_ms + 1000000, 5);
}
END_TEST

START_TEST(test_never_goes_back)
{
    struct clock clock;
    clock_start(&clock, 0);
    uint64_t before_ms = clock_now_ms(&clock);
    for (int i = 0; i < 100000; i++) {
        uint64_t now_ms = clock_now_ms(&clock);
        ck_assert_uint_ge(now_ms, before_ms);
        before_ms = now_ms;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_starts_at_the_wall_clock);
    tcase_add_test(tcase, test_starts_at_a_newer_journal);
    tcase_add_test(tcase, test_wall_clock_of_1970);
    tcase_add_test(tcase, test_never_goes_back);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
