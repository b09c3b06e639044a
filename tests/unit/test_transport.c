/* The transport in the clear: counts, ends and errors as its door promises. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/net/transport.h"
#include "tests/support/check_main.h"

START_TEST(test_plain)
{
    int files[2];
    char room[16] = "";
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, files), 0);
    struct transport transport = transport_plain(files[0]);
    ck_assert_int_eq(transport.calls->handshake(&transport), STATUS_OK);
    ck_assert_int_eq(transport.calls->read(&transport, room, sizeof(room)), -EAGAIN);
    ck_assert_int_eq(transport.calls->write(&transport, "hello", 5), 5);
    ck_assert_int_eq(read(files[1], room, sizeof(room)), 5);
    ck_assert_int_eq(memcmp(room, "hello", 5), 0);
    ck_assert_int_eq(write(files[1], "herald", 6), 6);
    ck_assert_int_eq(transport.calls->read(&transport, room, 4), 4);
    ck_assert_int_eq(transport.calls->read(&transport, room, 4), 2);
    close(files[1]);
    ck_assert_int_eq(transport.calls->read(&transport, room, 4), 0);
    /* No SIGPIPE, or this test would end here. */
    ck_assert_int_eq(transport.calls->write(&transport, "x", 1), -EPIPE);
    transport.calls->free(&transport);
    close(files[0]);
}
END_TEST

START_TEST(test_a_full_socket_takes_a_part_and_then_nothing)
{
    int files[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, files), 0);
    struct transport transport = transport_plain(files[0]);
    size_t bytes = 16 * 1024 * 1024;
    char *much = calloc(1, bytes);
    int64_t written = transport.calls->write(&transport, much, bytes);
    ck_assert_int_gt(written, 0);
    ck_assert_int_lt(written, (int64_t)bytes);
    while (written > 0)
        written = transport.calls->write(&transport, much, bytes);
    ck_assert_int_eq(written, -EAGAIN);
    free(much);
    close(files[0]);
    close(files[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transport");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_plain);
    tcase_add_test(tcase, test_a_full_socket_takes_a_part_and_then_nothing);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
