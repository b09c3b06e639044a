/* Errands run on two threads, in order on each, and come back to the one that posted them. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/crew.h"
#include "tests/support/check_main.h"

enum { ERRANDS = 10000 };

struct counted {
    struct errand errand; /* must be first */
    int number;
    int *next; /* what the number must be when it runs */
    bool ran_in_order;
    pthread_t thread;
};

static void run_counted(struct errand *errand)
{
    struct counted *counted = (struct counted *)errand;
    counted->ran_in_order = counted->number == (*counted->next)++;
    counted->thread = pthread_self();
}

static int collect(struct crew *crew, enum errand_worker worker, int expected)
{
    for (struct errand *errand = crew_collect(crew, worker); errand != NULL;
         errand = errand->next) {
        const struct counted *counted = (const struct counted *)errand;
        ck_assert_int_eq(counted->number, expected++);
        ck_assert(counted->ran_in_order);
        ck_assert(!pthread_equal(counted->thread, pthread_self()));
    }
    return expected;
}

START_TEST(test_order_is_kept_on_both)
{
    struct crew *crew = crew_new();
    struct counted *all = calloc(2 * ERRANDS, sizeof(*all));
    int next[2] = {0, 0};
    int back[2] = {0, 0};
    for (int i = 0; i < 2 * ERRANDS; i++) {
        enum errand_worker worker = i % 2 == 0 ? ERRAND_COMMIT : ERRAND_BACKGROUND;
        all[i] = (struct counted){{worker, run_counted, NULL}, i / 2, &next[i % 2], false, 0};
        crew_post(crew, &all[i].errand);
        if (i % 64 == 0)
            back[0] = collect(crew, ERRAND_COMMIT, back[0]);
    }
    while (crew_outstanding_count(crew) > 0) {
        crew_wait(crew);
        back[0] = collect(crew, ERRAND_COMMIT, back[0]);
        back[1] = collect(crew, ERRAND_BACKGROUND, back[1]);
    }
    ck_assert_int_eq(back[0], ERRANDS);
    ck_assert_int_eq(back[1], ERRANDS);
    free(all);
    crew_free(crew);
}
END_TEST

START_TEST(test_file_is_readable_only_while_something_is_done)
{
    struct crew *crew = crew_new();
    int next = 0;
    struct counted one = {{ERRAND_COMMIT, run_counted, NULL}, 0, &next, false, 0};
    struct pollfd file = {crew_file(crew, ERRAND_COMMIT), POLLIN, 0};
    ck_assert_int_eq(poll(&file, 1, 0), 0);
    ck_assert_ptr_null(crew_collect(crew, ERRAND_COMMIT));
    crew_post(crew, &one.errand);
    ck_assert_int_eq(poll(&file, 1, 5000), 1);
    ck_assert_uint_eq(crew_outstanding_count(crew), 1);
    ck_assert_ptr_eq(crew_collect(crew, ERRAND_COMMIT), &one.errand);
    ck_assert_uint_eq(crew_outstanding_count(crew), 0);
    ck_assert_int_eq(poll(&file, 1, 0), 0);
    crew_free(crew);
}
END_TEST

static void run_slowly(struct errand *errand)
{
    (void)errand;
    usleep(50000);
}

/* A slow commit must not hold up the background thread, nor the other way round. */
START_TEST(test_workers_do_not_wait_for_each_other)
{
    struct crew *crew = crew_new();
    int next = 0;
    struct errand slow = {ERRAND_BACKGROUND, run_slowly, NULL};
    struct counted quick = {{ERRAND_COMMIT, run_counted, NULL}, 0, &next, false, 0};
    crew_post(crew, &slow);
    crew_post(crew, &quick.errand);
    crew_wait(crew);
    ck_assert_ptr_eq(crew_collect(crew, ERRAND_COMMIT), &quick.errand);
    ck_assert_ptr_null(crew_collect(crew, ERRAND_BACKGROUND));
    crew_wait(crew);
    ck_assert_ptr_eq(crew_collect(crew, ERRAND_BACKGROUND), &slow);
    crew_free(crew);
}
END_TEST

static void run_look_at_mask(struct errand *errand)
{
    struct counted *counted = (struct counted *)errand;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    counted->ran_in_order = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGHUP) == 1;
}

START_TEST(test_no_signal_reaches_the_threads)
{
    struct crew *crew = crew_new();
    struct counted one = {{ERRAND_COMMIT, run_look_at_mask, NULL}, 0, NULL, false, 0};
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    ck_assert_int_eq(sigismember(&mask, SIGTERM), 0);
    crew_post(crew, &one.errand);
    crew_wait(crew);
    crew_collect(crew, ERRAND_COMMIT);
    ck_assert(one.ran_in_order);
    crew_free(crew);
}
END_TEST

/* How willingly a thread gives way; see setpriority(2). */
static void run_nice(struct errand *errand)
{
    ((struct counted *)errand)->number = getpriority(PRIO_PROCESS, 0);
}

START_TEST(test_the_background_gives_way)
{
    struct crew *crew = crew_new();
    struct counted one = {{(enum errand_worker)_i, run_nice, NULL}, 0, NULL, false, 0};
    int here = getpriority(PRIO_PROCESS, 0);
    crew_post(crew, &one.errand);
    crew_wait(crew);
    ck_assert_ptr_eq(crew_collect(crew, (enum errand_worker)_i), &one.errand);
    if (_i == ERRAND_BACKGROUND && here < 10)
        ck_assert_int_eq(one.number, 10);
    else
        ck_assert_int_eq(one.number, here);
    crew_free(crew);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crew");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_order_is_kept_on_both);
    tcase_add_loop_test(tcase, test_the_background_gives_way, 0, 2);
    tcase_add_test(tcase, test_file_is_readable_only_while_something_is_done);
    tcase_add_test(tcase, test_workers_do_not_wait_for_each_other);
    tcase_add_test(tcase, test_no_signal_reaches_the_threads);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
