/* The yardstick of synchronous calls: bytes over TCP to another process and back. */
#include "client-lib/cli/pingpong.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client-lib/cli/measure.h"
#include "client-lib/cli/report.h"

struct echo {
    pid_t pid; /* 0: none */
    int fd;    /* -1: none */
};

static bool move_all(int fd, char *bytes, size_t count, bool is_writing)
{
    while (count > 0) {
        ssize_t moved = is_writing ? write(fd, bytes, count) : read(fd, bytes, count);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            return false;
        bytes += moved;
        count -= (size_t)moved;
    }
    return true;
}

static void set_no_delay(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* The echoing process ends when its connection does. */
static void echo_run(int listener, char *bytes, size_t count)
{
    int fd = accept(listener, NULL, NULL);
    if (fd >= 0)
        set_no_delay(fd);
    while (fd >= 0 && move_all(fd, bytes, count, false) && move_all(fd, bytes, count, true))
        ;
    _exit(0);
}

static int listen_on_loopback(struct sockaddr_in *address)
{
    socklen_t bytes = sizeof *address;
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)address, sizeof *address) == 0 &&
        listen(fd, 1) == 0 && getsockname(fd, (struct sockaddr *)address, &bytes) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool echo_start(struct echo *echo, char *bytes, size_t count)
{
    struct sockaddr_in address;
    int listener = listen_on_loopback(&address);
    if (listener < 0)
        return false;
    echo->pid = fork();
    if (echo->pid == 0)
        echo_run(listener, bytes, count);
    if (echo->pid > 0)
        echo->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_connected =
        echo->fd >= 0 && connect(echo->fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(listener);
    if (is_connected)
        set_no_delay(echo->fd);
    return is_connected;
}

static void echo_stop(struct echo *echo)
{
    if (echo->fd >= 0)
        close(echo->fd);
    if (echo->pid <= 0)
        return;
    kill(echo->pid, SIGKILL);
    waitpid(echo->pid, NULL, 0);
}

static bool exchange(const struct echo *echo, char *bytes, size_t count)
{
    return move_all(echo->fd, bytes, count, true) && move_all(echo->fd, bytes, count, false);
}

int pingpong_measure(struct histogram *histogram_ns, size_t bytes, int64_t count)
{
    struct echo first = {.fd = -1};
    struct echo second = {.fd = -1};
    char *memory = calloc(1, bytes);
    bool is_well =
        memory != NULL && echo_start(&first, memory, bytes) && echo_start(&second, memory, bytes);
    for (int64_t i = 0; i < count && is_well; i++) {
        int64_t started_ns = measure_now_ns();
        is_well = exchange(&first, memory, bytes) && exchange(&second, memory, bytes);
        histogram_add(histogram_ns, (uint64_t)(measure_now_ns() - started_ns));
    }
    if (!is_well)
        report_say("cannot measure round trips over TCP: %s", strerror(errno));
    echo_stop(&first);
    echo_stop(&second);
    free(memory);
    return is_well ? 0 : -1;
}
