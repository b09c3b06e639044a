/* The loop waits for files, signals and time, and for nothing longer than it was told. */
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "broker/net/loop.h"
#include "tests/support/check_main.h"

static void count(void *argument)
{
    (*(int *)argument)++;
}

static uint64_t machine_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

START_TEST(test_waits_until_due)
{
    struct loop *loop = loop_new();
    uint64_t before_ms = machine_ms();
    ck_assert_int_eq(loop_round(loop, 1000, 1050), STATUS_OK);
    uint64_t took_ms = machine_ms() - before_ms;
    ck_assert_uint_ge(took_ms, 49);
    ck_assert_uint_le(took_ms, 1000);
    before_ms = machine_ms();
    ck_assert_int_eq(loop_round(loop, 1050, 1050), STATUS_OK);
    ck_assert_int_eq(loop_round(loop, 1050, 0), STATUS_OK);
    ck_assert_uint_le(machine_ms() - before_ms, 40);
    loop_free(loop);
}
END_TEST

/* A timer left over from an earlier round may end a wait early, never late. */
START_TEST(test_an_earlier_due_time_wins)
{
    struct loop *loop = loop_new();
    int file[2];
    int called = 0;
    ck_assert_int_eq(pipe(file), 0);
    struct loop_watch *watch = loop_watch_file(loop, file[0], count, &called);
    ck_assert_int_eq(write(file[1], "x", 1), 1);
    ck_assert_int_eq(loop_round(loop, 1000, UINT64_MAX), STATUS_OK);
    ck_assert_int_eq(called, 1);
    char byte;
    ck_assert_int_eq(read(file[0], &byte, 1), 1);
    uint64_t before_ms = machine_ms();
    ck_assert_int_eq(loop_round(loop, 1000, 1030), STATUS_OK);
    ck_assert_uint_le(machine_ms() - before_ms, 1000);
    ck_assert_int_eq(called, 1);
    loop_watch_free(watch);
    loop_free(loop);
    close(file[0]);
    close(file[1]);
}
END_TEST

struct cutting {
    struct loop *loop;
    int called;
};

static void cut(void *argument)
{
    struct cutting *cutting = argument;
    cutting->called++;
    loop_cut_round(cutting->loop);
}

START_TEST(test_what_was_cut_off_comes_next)
{
    struct loop *loop = loop_new();
    struct cutting first = {loop, 0};
    struct cutting second = {loop, 0};
    int a[2];
    int b[2];
    ck_assert_int_eq(pipe(a) + pipe(b), 0);
    struct loop_watch *watches[2] = {loop_watch_file(loop, a[0], cut, &first),
                                     loop_watch_file(loop, b[0], cut, &second)};
    ck_assert_int_eq(write(a[1], "x", 1) + write(b[1], "x", 1), 2);
    ck_assert_int_eq(loop_round(loop, 0, 0), STATUS_OK);
    ck_assert_int_eq(first.called + second.called, 1);
    ck_assert_int_eq(loop_round(loop, 0, 0), STATUS_OK);
    ck_assert_int_eq(first.called, 1);
    ck_assert_int_eq(second.called, 1);
    loop_watch_free(watches[0]);
    loop_watch_free(watches[1]);
    loop_free(loop);
}
END_TEST

START_TEST(test_signals)
{
    struct loop *loop = loop_new();
    int called = 0;
    struct loop_watch *watch = loop_watch_signal(loop, SIGUSR1, count, &called);
    ck_assert_ptr_nonnull(watch);
    raise(SIGUSR1);
    ck_assert_int_eq(called, 0);
    ck_assert_int_eq(loop_round(loop, 0, 1000), STATUS_OK);
    ck_assert_int_eq(called, 1);
    loop_watch_free(watch);
    loop_free(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_waits_until_due);
    tcase_add_test(tcase, test_an_earlier_due_time_wins);
    tcase_add_test(tcase, test_what_was_cut_off_comes_next);
    tcase_add_test(tcase, test_signals);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
