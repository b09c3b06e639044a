/* Listeners: who is let in, and what happens when files run out. */
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/net/loop.h"
#include "broker/net/net.h"
#include "tests/support/check_main.h"
#include "tests/support/fake_peer.h"

struct world {
    struct core *core;
    struct fake_figures *seen;
    struct loop *loop;
    struct net *net;
    uint64_t now_ms;
    uint32_t note_count;
    char directory[64];
    char path[100];
    char error[NET_ERROR_BYTES];
};

static uint64_t begin(void *context)
{
    return ((struct world *)context)->now_ms;
}

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)level;
    (void)area;
    (void)text;
    ((struct world *)context)->note_count++;
}

static void world_start(struct world *w)
{
    const struct fake_settings settings = {65536, 1000, true, 0, 0};
    memset(w, 0, sizeof(*w));
    snprintf(w->directory, sizeof(w->directory), "/tmp/herald-listener-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(w->directory));
    snprintf(w->path, sizeof(w->path), "%s/s", w->directory);
    w->now_ms = 1000000;
    w->core = fake_core_new(&settings);
    w->seen = fake_core_figures(w->core);
    w->loop = loop_new();
    struct net_options options = {
        .core = w->core,
        .loop = w->loop,
        .limits = {1000, 1000, 65536, 1024 * 1024, 500, 300},
        .begin = begin,
        .note = note,
        .context = w,
    };
    w->net = net_new(&options);
}

static void world_stop(struct world *w)
{
    net_free(w->net);
    fake_core_free(w->core);
    loop_free(w->loop);
    unlink(w->path);
    ck_assert_int_eq(rmdir(w->directory), 0);
}

static void turn(struct world *w)
{
    ck_assert_int_eq(loop_round(w->loop, 0, 0), STATUS_OK);
    net_run_timers(w->net, w->now_ms);
    net_end_of_round(w->net);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (file >= 0 && connect(file, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(file);
        return -1;
    }
    return file;
}

static uint16_t port_of(const char *address_text)
{
    return (uint16_t)strtoul(strrchr(address_text, ':') + 1, NULL, 10);
}

static int connect_tcp(const char *address_text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons(port_of(address_text));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int file = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(file, (struct sockaddr *)&address, sizeof(address)), 0);
    return file;
}

START_TEST(test_unix_mode_group_and_origin)
{
    struct world w;
    struct stat found;
    world_start(&w);
    ck_assert_int_eq(net_listen_unix(w.net, w.path, 0660, w.error), STATUS_OK);
    ck_assert_str_eq(w.error, w.path);
    ck_assert_int_eq(stat(w.path, &found), 0);
    ck_assert_uint_eq(found.st_mode & 07777, 0660);
    const struct group *group = getgrnam("herald");
    if (group != NULL && geteuid() == 0)
        ck_assert_uint_eq(found.st_gid, group->gr_gid);
    int file = connect_unix(w.path);
    turn(&w);
    ck_assert_uint_eq(w.seen->peer_count, 1);
    ck_assert(w.seen->origin.is_unix);
    ck_assert(w.seen->origin.is_administrator);
    ck_assert(!w.seen->origin.is_loopback);
    ck_assert_uint_eq(w.seen->origin.uid, geteuid());
    close(file);
    net_stop_listening(w.net);
    ck_assert_int_ne(access(w.path, F_OK), 0);
    world_stop(&w);
}
END_TEST

START_TEST(test_another_user_is_no_administrator)
{
    struct world w;
    if (geteuid() != 0)
        return;
    world_start(&w);
    ck_assert_int_eq(net_listen_unix(w.net, w.path, 0666, w.error), STATUS_OK);
    ck_assert_int_eq(chmod(w.directory, 0755), 0);
    ck_assert_int_eq(seteuid(65534), 0);
    int file = connect_unix(w.path);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_ge(file, 0);
    turn(&w);
    ck_assert(!w.seen->origin.is_administrator);
    ck_assert_uint_eq(w.seen->origin.uid, 65534);
    close(file);
    world_stop(&w);
}
END_TEST

START_TEST(test_tcp_origin)
{
    struct world w;
    world_start(&w);
    ck_assert_int_eq(net_listen_tcp(w.net, "127.0.0.1", 0, w.error), STATUS_OK);
    ck_assert_int_eq(strncmp(w.error, "127.0.0.1:", 10), 0);
    int file = connect_tcp(w.error);
    turn(&w);
    ck_assert_uint_eq(w.seen->peer_count, 1);
    ck_assert(w.seen->origin.is_loopback);
    ck_assert(!w.seen->origin.is_unix);
    ck_assert(!w.seen->origin.is_administrator);
    ck_assert_int_eq(strncmp(w.seen->origin.text, "127.0.0.1:", 10), 0);
    /* A second listener at the same port is told so. */
    char again[NET_ERROR_BYTES];
    uint16_t port = port_of(w.error);
    ck_assert_int_eq(net_listen_tcp(w.net, "127.0.0.1", port, again), STATUS_IN_USE);
    ck_assert_int_eq(net_listen_tcp(w.net, "localhost", port, again), STATUS_BAD_VALUE);
    close(file);
    world_stop(&w);
}
END_TEST

START_TEST(test_more_than_a_round_accepts)
{
    struct world w;
    int files[150];
    world_start(&w);
    ck_assert_int_eq(net_listen_unix(w.net, w.path, 0660, w.error), STATUS_OK);
    for (int i = 0; i < 150; i++)
        files[i] = connect_unix(w.path);
    turn(&w);
    ck_assert_uint_eq(w.seen->peer_count, 64);
    turn(&w);
    turn(&w);
    ck_assert_uint_eq(w.seen->peer_count, 150);
    for (int i = 0; i < 150; i++)
        close(files[i]);
    world_stop(&w);
}
END_TEST

/* O5: no spinning, few lines, and accepting again soon after a file is free. */
START_TEST(test_running_out_of_files)
{
    struct world w;
    world_start(&w);
    ck_assert_int_eq(net_listen_unix(w.net, w.path, 0660, w.error), STATUS_OK);
    int files[8];
    for (int i = 0; i < 8; i++)
        files[i] = connect_unix(w.path);
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    int highest = dup(0);
    close(highest);
    struct rlimit low = {(rlim_t)highest + 2, before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (int i = 0; i < 100; i++)
        turn(&w);
    ck_assert_uint_eq(w.seen->peer_count, 2);
    ck_assert_uint_eq(net_figures(w.net).refused_count, 1);
    ck_assert_uint_le(w.note_count, 1);
    ck_assert_uint_le(net_next_due(w.net), w.now_ms + 100);
    w.now_ms += 100;
    for (int i = 0; i < 100; i++)
        turn(&w);
    ck_assert_uint_eq(net_figures(w.net).refused_count, 2);
    ck_assert_uint_le(w.note_count, 1);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    w.now_ms += 100;
    turn(&w);
    turn(&w);
    ck_assert_uint_eq(w.seen->peer_count, 6);
    for (int i = 0; i < 8; i++)
        close(files[i]);
    world_stop(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listener");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_unix_mode_group_and_origin);
    tcase_add_test(tcase, test_another_user_is_no_administrator);
    tcase_add_test(tcase, test_tcp_origin);
    tcase_add_test(tcase, test_more_than_a_round_accepts);
    tcase_add_test(tcase, test_running_out_of_files);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
