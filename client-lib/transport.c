/* The socket, and the one descriptor that a program may watch for it. */
#include "client-lib/transport.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A peer whose machine vanished is noticed after this long even while bytes are under way. */
enum { USER_TIMEOUT_MS = 60000 };

static bool watch(struct transport *transport, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.fd = fd}};
    return epoll_ctl(transport->poll_fd, operation, fd, &event) == 0;
}

bool transport_init(struct transport *transport)
{
    *transport = (struct transport){.poll_fd = -1, .wake_fd = -1, .socket_fd = -1};
    transport->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (transport->poll_fd < 0)
        return false;
    transport->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (transport->wake_fd < 0 || !watch(transport, EPOLL_CTL_ADD, transport->wake_fd, EPOLLIN)) {
        transport_deinit(transport);
        return false;
    }
    return true;
}

static void free_addresses(struct transport *transport)
{
    if (transport->addresses != NULL)
        freeaddrinfo(transport->addresses);
    transport->addresses = NULL;
    transport->address = NULL;
}

void transport_deinit(struct transport *transport)
{
    transport_disconnect(transport);
    free_addresses(transport);
    if (transport->wake_fd >= 0)
        close(transport->wake_fd);
    if (transport->poll_fd >= 0)
        close(transport->poll_fd);
    transport->wake_fd = -1;
    transport->poll_fd = -1;
}

static enum transport_result start(struct transport *transport, int family,
                                   const struct sockaddr *address, socklen_t bytes)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return TRANSPORT_FAILED;
    transport->is_unix = family == AF_UNIX;
    if (!transport->is_unix) {
        int on = 1;
        unsigned timeout_ms = USER_TIMEOUT_MS;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
    }
    bool pending = false;
    if (connect(fd, address, bytes) != 0) {
        /* EAGAIN from a unix socket means a full backlog there: not pending, to be tried again. */
        if (errno != EINPROGRESS && errno != EINTR)
            goto fail_after_socket;
        pending = true;
    }
    if (!watch(transport, EPOLL_CTL_ADD, fd, pending ? EPOLLIN | EPOLLOUT : EPOLLIN))
        goto fail_after_socket;
    transport->socket_fd = fd;
    transport->wants_write = pending;
    return pending ? TRANSPORT_PENDING : TRANSPORT_READY;

fail_after_socket:;
    int error = errno;
    close(fd);
    errno = error;
    return TRANSPORT_FAILED;
}

enum transport_result transport_connect(struct transport *transport, const struct url *url,
                                        const char **reason)
{
    assert(transport->socket_fd < 0);
    *reason = NULL;
    if (url->kind == URL_UNIX) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        memcpy(address.sun_path, url->path, sizeof url->path);
        return start(transport, AF_UNIX, (const struct sockaddr *)&address, sizeof address);
    }
    if (transport->address == NULL) {
        free_addresses(transport);
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
        int error = getaddrinfo(url->host, url->port, &hints, &transport->addresses);
        if (error != 0) {
            transport->addresses = NULL;
            *reason = gai_strerror(error);
            return TRANSPORT_FAILED;
        }
        transport->address = transport->addresses;
    }
    const struct addrinfo *address = transport->address;
    transport->address = address->ai_next;
    return start(transport, address->ai_family, address->ai_addr, address->ai_addrlen);
}

enum transport_result transport_finish(struct transport *transport)
{
    int error = 0;
    socklen_t bytes = sizeof error;
    if (getsockopt(transport->socket_fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0)
        return TRANSPORT_FAILED;
    if (error != 0) {
        errno = error;
        return TRANSPORT_FAILED;
    }
    transport_watch_write(transport, false);
    return TRANSPORT_READY;
}

bool transport_has_more(const struct transport *transport)
{
    return transport->address != NULL;
}

void transport_disconnect(struct transport *transport)
{
    if (transport->socket_fd >= 0)
        close(transport->socket_fd);
    transport->socket_fd = -1;
}

void transport_end(struct transport *transport, int timeout_ms)
{
    struct pollfd wait = {.fd = transport->socket_fd, .events = POLLIN};
    if (shutdown(transport->socket_fd, SHUT_WR) != 0)
        return;
    char rest[4096];
    while (poll(&wait, 1, timeout_ms) == 1) {
        if (recv(transport->socket_fd, rest, sizeof rest, MSG_DONTWAIT) <= 0)
            return;
    }
}

ssize_t transport_write(struct transport *transport, const struct iovec *iov, int count)
{
    struct iovec copy[2];
    assert(count >= 1 && count <= 2);
    memcpy(copy, iov, (size_t)count * sizeof copy[0]);
    struct msghdr message = {.msg_iov = copy, .msg_iovlen = (size_t)count};
    ssize_t written = sendmsg(transport->socket_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written >= 0)
        return written;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

ssize_t transport_read(struct transport *transport, void *at, size_t room)
{
    ssize_t bytes = recv(transport->socket_fd, at, room, MSG_DONTWAIT);
    if (bytes > 0)
        return bytes;
    if (bytes == 0) {
        errno = 0;
        return -1;
    }
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

void transport_watch_write(struct transport *transport, bool wanted)
{
    if (transport->wants_write == wanted || transport->socket_fd < 0)
        return;
    uint32_t events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN;
    if (watch(transport, EPOLL_CTL_MOD, transport->socket_fd, events))
        transport->wants_write = wanted;
}

struct transport_events transport_wait(struct transport *transport, int timeout_ms)
{
    struct transport_events result = {0};
    struct epoll_event events[2];
    int count = epoll_wait(transport->poll_fd, events, 2, timeout_ms);
    for (int i = 0; i < count; i++) {
        if (events[i].data.fd == transport->wake_fd) {
            uint64_t value;
            result.woken = read(transport->wake_fd, &value, sizeof value) > 0;
            continue;
        }
        result.readable = (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
        result.writable = (events[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    }
    return result;
}

void transport_wake(struct transport *transport)
{
    const uint64_t one = 1;
    ssize_t written = write(transport->wake_fd, &one, sizeof one);
    (void)written; /* a full counter wakes as well */
}
