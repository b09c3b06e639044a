/* A program that runs for a message: feeding, reading, bounds, signals, what cannot be started. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client-lib/cli/child.h"
#include "client-lib/cli/environment.h"
#include "tests/support/check_main.h"

enum { LOOK_MS = 20 };

static void start(struct child *child, const char *command, const void *input, size_t count)
{
    char text[256];
    snprintf(text, sizeof text, "%s", command);
    char shell[] = "sh";
    char option[] = "-c";
    char *argv[] = {shell, option, text, NULL};
    struct child_input fed = {input, count};
    ck_assert_int_eq(child_start(child, argv, environ, fed), 0);
}

static void run(struct child *child)
{
    struct pollfd fds[CHILD_FDS];
    while (!child->has_ended) {
        child_watch(child, fds);
        ck_assert_int_ge(poll(fds, CHILD_FDS, LOOK_MS), 0);
        child_move_data(child, fds);
        child_reap(child);
    }
}

START_TEST(test_feeds_and_reads)
{
    size_t count = 1000000;
    char *input = malloc(count);
    struct child child;
    memset(input, 'a', count);
    start(&child, "tr a b; echo text >&2; exit 3", input, count);
    run(&child);
    ck_assert(WIFEXITED(child.wait_status));
    ck_assert_int_eq(WEXITSTATUS(child.wait_status), 3);
    ck_assert_uint_eq(child.result_count, count);
    ck_assert_int_eq(child.result[count - 1], 'b');
    ck_assert_str_eq(child_error(&child), "text");
    child_deinit(&child);
    free(input);
}
END_TEST

START_TEST(test_input_unread)
{
    size_t count = 1000000;
    char *input = calloc(1, count);
    struct child child;
    start(&child, "exec 0<&-; echo ok", input, count);
    run(&child);
    ck_assert_int_eq(child.wait_status, 0);
    ck_assert_uint_eq(child.result_count, 3);
    child_deinit(&child);
    free(input);
}
END_TEST

START_TEST(test_bounds)
{
    struct child child;
    start(&child, "head -c 17000000 /dev/zero", "", 0);
    run(&child);
    ck_assert(child.is_result_too_large);
    ck_assert_uint_le(child.result_count, CHILD_RESULT_BYTES_MAX);
    child_deinit(&child);
    start(&child, "head -c 10000 /dev/zero >&2; printf end >&2", "", 0);
    run(&child);
    ck_assert_uint_eq(child.error_count, CHILD_ERROR_BYTES_MAX);
    ck_assert_uint_eq(strlen(child_error(&child)), CHILD_ERROR_BYTES_MAX);
    ck_assert_str_eq(child_error(&child) + CHILD_ERROR_BYTES_MAX - 3, "end");
    child_deinit(&child);
}
END_TEST

START_TEST(test_background_is_not_waited_for)
{
    struct child child;
    start(&child, "sleep 30 & echo out; kill -9 $$", "", 0);
    run(&child);
    ck_assert(WIFSIGNALED(child.wait_status));
    ck_assert_uint_eq(child.result_count, 4);
    pid_t group = child.pid;
    child_deinit(&child);
    kill(-group, SIGKILL);
}
END_TEST

START_TEST(test_signal)
{
    struct child child;
    start(&child, "sleep 30", "", 0);
    child_signal(&child, SIGTERM);
    run(&child);
    ck_assert(WIFSIGNALED(child.wait_status));
    ck_assert_int_eq(WTERMSIG(child.wait_status), SIGTERM);
    child_deinit(&child);
}
END_TEST

START_TEST(test_not_there)
{
    struct child child;
    char name[] = "/nonexistent/program";
    char *argv[] = {name, NULL};
    struct child_input none = {"", 0};
    ck_assert_int_eq(child_start(&child, argv, environ, none), ENOENT);
    ck_assert_int_eq(child.pid, 0);
}
END_TEST

START_TEST(test_header_names)
{
    struct herald_header header = {"X-kind.9", 8, "a\0b", 3};
    char *entry = environment_make_header(&header);
    ck_assert_str_eq(entry, "HERALD_HEADER_X_KIND_9=a");
    free(entry);
    header = (struct herald_header){"n", 1, NULL, 0};
    entry = environment_make_header(&header);
    ck_assert_str_eq(entry, "HERALD_HEADER_N=");
    free(entry);
}
END_TEST

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    /* What the programs write to standard error is shown there as it comes. */
    if (freopen("/dev/null", "w", stderr) == NULL)
        return 1;
    Suite *suite = suite_create("cli child");
    TCase *child = tcase_create("child");
    tcase_add_test(child, test_feeds_and_reads);
    tcase_add_test(child, test_input_unread);
    tcase_add_test(child, test_bounds);
    tcase_add_test(child, test_background_is_not_waited_for);
    tcase_add_test(child, test_signal);
    tcase_add_test(child, test_not_there);
    tcase_add_test(child, test_header_names);
    suite_add_tcase(suite, child);
    return check_main(suite);
}
