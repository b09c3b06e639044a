/* The timer wheel against a list: every timer fires once, never early and at most a tick late. */
#include "broker/core/wheel.h"

#include <string.h>

#include "tests/support/chance.h"
#include "tests/support/check_main.h"

enum { TIMER_COUNT = 4000 };

struct alarm {
    struct wheel_timer timer;
    uint64_t due_ms;
    uint64_t fired_ms;
    uint32_t fire_count;
};

struct clocks {
    struct wheel wheel;
    uint64_t now_ms;
    struct alarm alarms[TIMER_COUNT];
    uint32_t fire_count;
};

static struct clocks clocks;

static void on_fire(void *argument, struct wheel_timer *timer)
{
    struct clocks *all = argument;
    struct alarm *alarm = (struct alarm *)timer; /* its first field */
    alarm->fire_count++;
    alarm->fired_ms = all->now_ms;
    all->fire_count++;
}

static void start(uint64_t now_ms)
{
    memset(&clocks, 0, sizeof clocks);
    clocks.now_ms = now_ms;
    wheel_init(&clocks.wheel, now_ms);
}

static void run_to(uint64_t now_ms)
{
    clocks.now_ms = now_ms;
    ck_assert(!wheel_run(&clocks.wheel, now_ms, SIZE_MAX, on_fire, &clocks));
}

static void arm(size_t i, uint64_t due_ms)
{
    clocks.alarms[i].due_ms = due_ms;
    wheel_arm(&clocks.wheel, &clocks.alarms[i].timer, due_ms);
}

START_TEST(test_a_timer_fires_once_and_in_time)
{
    start(1000);
    arm(0, 1500);
    run_to(1499);
    ck_assert_uint_eq(clocks.fire_count, 0);
    run_to(1510);
    ck_assert_uint_eq(clocks.fire_count, 1);
    run_to(1000000);
    ck_assert_uint_eq(clocks.fire_count, 1);
}
END_TEST

START_TEST(test_disarmed_timers_do_not_fire)
{
    start(0);
    arm(0, 100);
    arm(1, 100);
    arm(2, 100);
    wheel_disarm(&clocks.wheel, &clocks.alarms[1].timer);
    wheel_disarm(&clocks.wheel, &clocks.alarms[1].timer);
    run_to(200);
    ck_assert_uint_eq(clocks.fire_count, 2);
    ck_assert_uint_eq(clocks.alarms[1].fire_count, 0);
}
END_TEST

START_TEST(test_arming_again_moves_a_timer)
{
    start(0);
    arm(0, 100);
    arm(0, 5000);
    run_to(4990);
    ck_assert_uint_eq(clocks.fire_count, 0);
    run_to(5010);
    ck_assert_uint_eq(clocks.fire_count, 1);
}
END_TEST

/* The last ticks of a coarse slot are the ones that go astray. */
START_TEST(test_every_tick_of_the_second_ring_is_met)
{
    start(0);
    for (size_t i = 0; i < 1200; i++)
        arm(i, (i + 1) * WHEEL_TICK_MS);
    for (uint64_t now_ms = 0; now_ms <= 1300 * WHEEL_TICK_MS; now_ms += WHEEL_TICK_MS)
        run_to(now_ms);
    for (size_t i = 0; i < 1200; i++) {
        ck_assert_uint_eq(clocks.alarms[i].fire_count, 1);
        ck_assert_uint_eq(clocks.alarms[i].fired_ms, clocks.alarms[i].due_ms);
    }
}
END_TEST

START_TEST(test_many_timers_over_all_rings)
{
    struct chance chance = {7};
    start(123456);
    for (size_t i = 0; i < TIMER_COUNT; i++) {
        uint64_t span = (uint64_t)1 << (4 + chance_below(&chance, 28));
        arm(i, clocks.now_ms + chance_below(&chance, span));
    }
    while (clocks.wheel.armed_count > 0) {
        uint64_t next_ms = wheel_next_ms(&clocks.wheel);
        ck_assert_uint_gt(next_ms, clocks.now_ms - WHEEL_TICK_MS);
        run_to(next_ms);
    }
    for (size_t i = 0; i < TIMER_COUNT; i++) {
        ck_assert_uint_eq(clocks.alarms[i].fire_count, 1);
        ck_assert_uint_ge(clocks.alarms[i].fired_ms + WHEEL_TICK_MS, clocks.alarms[i].due_ms);
        ck_assert_uint_ge(clocks.alarms[i].fired_ms, clocks.alarms[i].due_ms);
        ck_assert_uint_le(clocks.alarms[i].fired_ms, clocks.alarms[i].due_ms + 2 * WHEEL_TICK_MS);
    }
    ck_assert_uint_eq(wheel_next_ms(&clocks.wheel), UINT64_MAX);
}
END_TEST

static void on_fire_again(void *argument, struct wheel_timer *timer)
{
    struct clocks *all = argument;
    on_fire(argument, timer);
    if (all->fire_count < 10)
        wheel_arm(&all->wheel, timer, all->now_ms);
}

START_TEST(test_a_timer_may_be_armed_as_it_fires)
{
    start(0);
    arm(0, 10);
    arm(1, 10);
    for (uint64_t now_ms = 10; now_ms < 2000; now_ms += 10) {
        clocks.now_ms = now_ms;
        (void)wheel_run(&clocks.wheel, now_ms, SIZE_MAX, on_fire_again, &clocks);
    }
    ck_assert_uint_ge(clocks.fire_count, 10);
    ck_assert_uint_eq(clocks.wheel.armed_count, 0);
}
END_TEST

/* So many at once, and none is forgotten, whatever is armed and disarmed in between. */
START_TEST(test_what_comes_due_together_fires_in_turns)
{
    start(1000);
    for (size_t i = 0; i < 1000; i++)
        arm(i, 2000 + i / 500 * 3000);
    clocks.now_ms = 6000;
    unsigned turns = 0;
    while (wheel_run(&clocks.wheel, 6000, 100, on_fire, &clocks)) {
        ck_assert_uint_eq(clocks.fire_count, ++turns * 100);
        if (turns == 2) {
            wheel_disarm(&clocks.wheel, &clocks.alarms[499].timer);
            wheel_disarm(&clocks.wheel, &clocks.alarms[0].timer);
            arm(1000, 1500);                       /* due long ago */
            arm(1001, 2000 + 256 * WHEEL_TICK_MS); /* in the same slot, a turn later */
        }
    }
    size_t fired = 0;
    for (size_t i = 0; i < 1002; i++) {
        ck_assert_uint_le(clocks.alarms[i].fire_count, 1);
        fired += clocks.alarms[i].fire_count;
    }
    ck_assert_uint_ge(fired, 1000); /* but for one or two that were disarmed in time */
    ck_assert_uint_eq(fired, clocks.fire_count);
    ck_assert_uint_eq(clocks.wheel.armed_count, 0);
    ck_assert_uint_eq(clocks.alarms[1000].fire_count + clocks.alarms[1001].fire_count, 2);
}
END_TEST

START_TEST(test_time_may_jump_far)
{
    start(0);
    arm(0, (uint64_t)6 * 24 * 3600 * 1000);
    run_to((uint64_t)5 * 24 * 3600 * 1000);
    ck_assert_uint_eq(clocks.fire_count, 0);
    run_to((uint64_t)6 * 24 * 3600 * 1000 + WHEEL_TICK_MS);
    ck_assert_uint_eq(clocks.fire_count, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wheel");
    TCase *tcase = tcase_create("wheel");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_a_timer_fires_once_and_in_time);
    tcase_add_test(tcase, test_disarmed_timers_do_not_fire);
    tcase_add_test(tcase, test_arming_again_moves_a_timer);
    tcase_add_test(tcase, test_every_tick_of_the_second_ring_is_met);
    tcase_add_test(tcase, test_many_timers_over_all_rings);
    tcase_add_test(tcase, test_a_timer_may_be_armed_as_it_fires);
    tcase_add_test(tcase, test_what_comes_due_together_fires_in_turns);
    tcase_add_test(tcase, test_time_may_jump_far);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
