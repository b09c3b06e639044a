/* What the service manager is told, over a socket with a path and one without. */
#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/notify.h"
#include "tests/support/check_main.h"

struct fixture {
    int fd;
    char path[96];
};

/* Listens as a service manager does; "@..." is a name without a path. */
static void setup(struct fixture *f, const char *prefix)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(f->path, sizeof(f->path), "%sherald-notify-%ld", prefix, (long)getpid());
    memcpy(address.sun_path, f->path, strlen(f->path));
    if (f->path[0] == '@')
        address.sun_path[0] = '\0';
    f->fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    ck_assert_int_ge(f->fd, 0);
    ck_assert_int_eq(bind(f->fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(f->path))),
                     0);
    setenv("NOTIFY_SOCKET", f->path, 1);
}

static void teardown(struct fixture *f)
{
    close(f->fd);
    unlink(f->path);
    unsetenv("NOTIFY_SOCKET");
}

static void expect(const struct fixture *f, const char *text)
{
    char got[1024];
    ssize_t bytes = recv(f->fd, got, sizeof(got) - 1, MSG_DONTWAIT);
    ck_assert_int_ge(bytes, 0);
    got[bytes] = '\0';
    ck_assert_str_eq(got, text);
}

static const char *const prefixes[] = {"/tmp/", "@"};

START_TEST(test_messages)
{
    struct fixture f;
    setup(&f, prefixes[_i]);
    ck_assert(notify_ready("serving"));
    expect(&f, "READY=1\nSTATUS=serving");
    ck_assert(notify_stopping("draining"));
    expect(&f, "STOPPING=1\nSTATUS=draining");
    ck_assert(notify_status("replaying 41%\nREADY=1"));
    expect(&f, "STATUS=replaying 41%");
    ck_assert(notify_extend_timeout(1500));
    expect(&f, "EXTEND_TIMEOUT_USEC=1500000");
    ck_assert(notify_watchdog());
    expect(&f, "WATCHDOG=1");
    teardown(&f);
}
END_TEST

START_TEST(test_reloading)
{
    struct fixture f;
    char got[128] = "";
    unsigned long usec = 0;
    setup(&f, "/tmp/");
    ck_assert(notify_reloading());
    ck_assert_int_gt(recv(f.fd, got, sizeof(got) - 1, MSG_DONTWAIT), 0);
    ck_assert_int_eq(sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%lu", &usec), 1);
    ck_assert_uint_gt(usec, 0);
    teardown(&f);
}
END_TEST

START_TEST(test_nobody_listens)
{
    char path[300];
    unsetenv("NOTIFY_SOCKET");
    ck_assert(!notify_ready("x"));
    static const char *const wrong[] = {"",         "/",         "@",
                                        "relative", "vsock:2:1", "/tmp/there/is/none"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        setenv("NOTIFY_SOCKET", wrong[i], 1);
        ck_assert(!notify_watchdog());
    }
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    setenv("NOTIFY_SOCKET", path, 1);
    ck_assert(!notify_watchdog());
    unsetenv("NOTIFY_SOCKET");
}
END_TEST

/* A manager that does not read must not hold up the loop. */
START_TEST(test_full_socket)
{
    struct fixture f;
    bool sent = true;
    setup(&f, "/tmp/");
    for (int i = 0; i < 100000 && sent; i++)
        sent = notify_watchdog();
    ck_assert(!sent);
    teardown(&f);
}
END_TEST

static uint64_t interval(const char *usec, const char *pid)
{
    uint64_t ms;
    if (usec != NULL)
        setenv("WATCHDOG_USEC", usec, 1);
    if (pid != NULL)
        setenv("WATCHDOG_PID", pid, 1);
    ms = notify_watchdog_interval_ms();
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return ms;
}

START_TEST(test_watchdog_interval)
{
    char own[32];
    snprintf(own, sizeof(own), "%ld", (long)getpid());
    ck_assert_uint_eq(interval(NULL, NULL), 0);
    ck_assert_uint_eq(interval("30000000", NULL), 15000);
    ck_assert_uint_eq(interval("30000000", own), 15000);
    ck_assert_uint_eq(interval("30000000", "1"), 0);
    ck_assert_uint_eq(interval("30000000", "x"), 0);
    ck_assert_uint_eq(interval("1", NULL), 1);
    ck_assert_uint_eq(interval("0", NULL), 0);
    ck_assert_uint_eq(interval("-5", NULL), 0);
    ck_assert_uint_eq(interval("5s", NULL), 0);
    ck_assert_uint_eq(interval("99999999999999999999999", NULL), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notify");
    TCase *tcase = tcase_create("notify");
    tcase_add_loop_test(tcase, test_messages, 0, 2);
    tcase_add_test(tcase, test_reloading);
    tcase_add_test(tcase, test_nobody_listens);
    tcase_add_test(tcase, test_full_socket);
    tcase_add_test(tcase, test_watchdog_interval);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
