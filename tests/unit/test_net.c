/* The net as whoever runs the loop sees it: rounds are bounded, and nobody is left out of them. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/net/connection.h"
#include "broker/net/loop.h"
#include "protocol/wire.h"
#include "tests/support/check_main.h"
#include "tests/support/fake_peer.h"

enum { CROWD = 30 };

static uint64_t begin(void *context)
{
    return *(uint64_t *)context;
}

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context;
    (void)level;
    (void)area;
    (void)text;
}

static struct net *net_with(struct core *core, struct loop *loop, uint64_t *now_ms)
{
    struct net_options options = {
        .core = core,
        .loop = loop,
        .limits = {100, 100, 65536, 1024 * 1024, 500, 300},
        .begin = begin,
        .note = note,
        .context = now_ms,
    };
    return net_new(&options);
}

static int connect_to(struct net *net)
{
    int files[2];
    int room = 1024 * 1024;
    struct peer_origin origin = {.is_unix = true};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, files), 0);
    setsockopt(files[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
    connection_open_take(net, files[0], &origin);
    return files[1];
}

/* Everybody sends without end. A round reads about 4 MiB and no more, and the next goes on with
 * those that were not read. */
START_TEST(test_rounds_are_bounded_and_fair)
{
    const struct fake_settings settings = {65536, 0, true, 0, 0};
    uint64_t now_ms = 1000;
    struct core *core = fake_core_new(&settings);
    struct loop *loop = loop_new();
    struct net *net = net_with(core, loop, &now_ms);
    static unsigned char chunk[65536];
    int files[CROWD];
    uint64_t read_bytes = 0;
    wire_store_u32(chunk, sizeof(chunk));
    for (int i = 0; i < CROWD; i++)
        files[i] = connect_to(net);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < CROWD; i++)
            while (write(files[i], chunk, sizeof(chunk)) == sizeof(chunk))
                ;
        ck_assert_int_eq(loop_round(loop, 0, 0), STATUS_OK);
        uint64_t bytes = net_figures(net).read_bytes - read_bytes;
        read_bytes += bytes;
        ck_assert_uint_le(bytes, (4 + 1) * 1024 * 1024);
        net_end_of_round(net);
    }
    ck_assert_uint_gt(read_bytes, 4 * 1024 * 1024);
    ck_assert_uint_eq(net_figures(net).unauthenticated_count, 0);
    for (int i = 0; i < CROWD; i++)
        close(files[i]);
    net_free(net);
    fake_core_free(core);
    loop_free(loop);
}
END_TEST

START_TEST(test_limits_change_while_running)
{
    const struct fake_settings settings = {65536, 0, true, 0, 0};
    uint64_t now_ms = 1000;
    struct core *core = fake_core_new(&settings);
    struct loop *loop = loop_new();
    struct net *net = net_with(core, loop, &now_ms);
    struct net_limits limits = {1, 1, 4096, 4096, 5000, 300};
    int first = connect_to(net);
    net_set_limits(net, &limits);
    int second = connect_to(net);
    ck_assert_uint_eq(net_figures(net).connection_count, 1);
    ck_assert_uint_eq(net_figures(net).refused_count, 1);
    limits.connections_max = limits.unauthenticated_max = 2;
    net_set_limits(net, &limits);
    int third = connect_to(net);
    ck_assert_uint_eq(net_figures(net).connection_count, 2);
    ck_assert_uint_eq(net_figures(net).accepted_count, 2);
    ck_assert_uint_eq(net_next_due(net) > now_ms, 1);
    close(first);
    close(second);
    close(third);
    net_free(net);
    fake_core_free(core);
    loop_free(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_rounds_are_bounded_and_fair);
    tcase_add_test(tcase, test_limits_change_while_running);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
