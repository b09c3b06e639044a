/* The socket: connecting over TCP, being refused, wake-ups, a full socket, the end. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-lib/transport.h"
#include "tests/support/check_main.h"

static int listen_somewhere(struct url *url)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t bytes = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 4), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    *url = (struct url){.kind = URL_TCP, .host = "127.0.0.1"};
    snprintf(url->port, sizeof url->port, "%u", ntohs(address.sin_port));
    return fd;
}

static enum transport_result connect_to(struct transport *transport, const struct url *url)
{
    const char *reason;
    enum transport_result result = transport_connect(transport, url, &reason);
    while (result == TRANSPORT_PENDING) {
        struct transport_events events = transport_wait(transport, 2000);
        ck_assert(events.writable || events.readable);
        result = transport_finish(transport);
    }
    return result;
}

START_TEST(test_bytes_both_ways)
{
    struct transport transport;
    struct url url;
    int listener = listen_somewhere(&url);
    ck_assert(transport_init(&transport));
    ck_assert_int_eq(connect_to(&transport, &url), TRANSPORT_READY);
    ck_assert(!transport.is_unix);
    int peer = accept(listener, NULL, NULL);
    char left[] = "he";
    char right[] = "llo";
    struct iovec parts[2] = {{left, 2}, {right, 3}};
    ck_assert_int_eq(transport_write(&transport, parts, 2), 5);
    char got[16];
    ck_assert_int_eq(recv(peer, got, sizeof got, 0), 5);
    ck_assert_mem_eq(got, "hello", 5);
    ck_assert_int_eq(transport_read(&transport, got, sizeof got), 0); /* not now */
    ck_assert(!transport_wait(&transport, 0).readable);
    ck_assert_int_eq(send(peer, "yes", 3, 0), 3);
    ck_assert(transport_wait(&transport, 2000).readable);
    ck_assert_int_eq(transport_read(&transport, got, sizeof got), 3);
    close(peer);
    ck_assert(transport_wait(&transport, 2000).readable);
    ck_assert_int_eq(transport_read(&transport, got, sizeof got), -1);
    ck_assert_int_eq(errno, 0); /* ended, not failed */
    transport_deinit(&transport);
    close(listener);
}
END_TEST

START_TEST(test_full_socket)
{
    struct transport transport;
    struct url url;
    int listener = listen_somewhere(&url);
    ck_assert(transport_init(&transport));
    ck_assert_int_eq(connect_to(&transport, &url), TRANSPORT_READY);
    int peer = accept(listener, NULL, NULL);
    static char bytes[1024 * 1024];
    struct iovec part = {bytes, sizeof bytes};
    while (transport_write(&transport, &part, 1) > 0)
        continue;
    ck_assert_int_eq(transport_write(&transport, &part, 1), 0);
    transport_watch_write(&transport, true);
    ck_assert(!transport_wait(&transport, 0).writable);
    bool is_writable = false;
    for (int i = 0; i < 1000 && !is_writable; i++) {
        ck_assert_int_gt(recv(peer, bytes, sizeof bytes, 0), 0);
        is_writable = transport_wait(&transport, 1).writable;
    }
    ck_assert(is_writable);
    transport_watch_write(&transport, false);
    ck_assert(!transport_wait(&transport, 0).writable);
    close(peer);
    transport_deinit(&transport);
    close(listener);
}
END_TEST

START_TEST(test_nobody_there)
{
    struct transport transport;
    struct url url;
    int listener = listen_somewhere(&url);
    close(listener);
    ck_assert(transport_init(&transport));
    ck_assert_int_eq(connect_to(&transport, &url), TRANSPORT_FAILED);
    ck_assert_int_eq(errno, ECONNREFUSED);
    transport_disconnect(&transport);
    url = (struct url){.kind = URL_UNIX, .path = "/nonexistent/socket"};
    ck_assert_int_eq(connect_to(&transport, &url), TRANSPORT_FAILED);
    ck_assert_int_eq(errno, ENOENT);
    transport_deinit(&transport);
}
END_TEST

static void *wake(void *argument)
{
    usleep(10000);
    transport_wake(argument);
    return NULL;
}

START_TEST(test_wake)
{
    struct transport transport;
    pthread_t thread;
    ck_assert(transport_init(&transport));
    transport_wake(&transport);
    transport_wake(&transport);
    ck_assert(transport_wait(&transport, 2000).woken);
    ck_assert(!transport_wait(&transport, 0).woken); /* both at once */
    pthread_create(&thread, NULL, wake, &transport);
    ck_assert(transport_wait(&transport, 2000).woken);
    pthread_join(thread, NULL);
    transport_deinit(&transport);
}
END_TEST

/* What was written arrives although unread bytes wait on this side. */
START_TEST(test_last_words_arrive)
{
    struct transport transport;
    struct url url;
    int listener = listen_somewhere(&url);
    ck_assert(transport_init(&transport));
    ck_assert_int_eq(connect_to(&transport, &url), TRANSPORT_READY);
    int peer = accept(listener, NULL, NULL);
    ck_assert_int_eq(send(peer, "unread", 6, 0), 6);
    char bye[] = "bye";
    struct iovec part = {bye, 3};
    ck_assert_int_eq(transport_write(&transport, &part, 1), 3);
    transport_end(&transport, 50);
    transport_disconnect(&transport);
    char got[16];
    ck_assert_int_eq(recv(peer, got, sizeof got, 0), 3);
    ck_assert_int_eq(recv(peer, got, sizeof got, 0), 0);
    close(peer);
    transport_deinit(&transport);
    close(listener);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transport");
    TCase *transport = tcase_create("transport");
    tcase_add_test(transport, test_bytes_both_ways);
    tcase_add_test(transport, test_full_socket);
    tcase_add_test(transport, test_nobody_there);
    tcase_add_test(transport, test_wake);
    tcase_add_test(transport, test_last_words_arrive);
    suite_add_tcase(suite, transport);
    return check_main(suite);
}
