/* The socket, and the one descriptor that a program may watch for it.
 *
 * A program's event loop sees an epoll descriptor that lives as long as the handle; the socket of
 * the moment and an eventfd for wake-ups from other threads are inside it. So nothing has to be
 * registered again after a reconnect.
 */
#ifndef HERALD_CLIENT_TRANSPORT_H
#define HERALD_CLIENT_TRANSPORT_H

#include "client-lib/url.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct addrinfo;

struct transport {
    int poll_fd;
    int wake_fd;
    int socket_fd; /* -1: none */
    bool is_unix;
    bool wants_write;           /* what epoll was told */
    struct addrinfo *addresses; /* of the last look-up, to be tried one after another */
    struct addrinfo *address;   /* the next of them */
};

enum transport_result {
    TRANSPORT_READY,   /* connected */
    TRANSPORT_PENDING, /* the socket becomes writable when it is decided */
    TRANSPORT_FAILED,  /* errno says why, or *reason */
};

struct transport_events {
    bool readable; /* also at the end and at an error */
    bool writable;
    bool woken;
};

/* False when the system gives no descriptors. */
bool transport_init(struct transport *transport);
void transport_deinit(struct transport *transport);

/* Begins to connect. Looks the host up when `url` is a TCP one and no address of an earlier look-up
 * is left to try. *reason is NULL or static text. */
enum transport_result transport_connect(struct transport *transport, const struct url *url,
                                        const char **reason);

/* After TRANSPORT_PENDING: what became of it. */
enum transport_result transport_finish(struct transport *transport);

/* True while addresses of the last look-up are left. */
bool transport_has_more(const struct transport *transport);

void transport_disconnect(struct transport *transport);

/* Ends the writing side and reads the rest away for at most timeout_ms: closing a socket with
 * unread bytes would take back what was just written. */
void transport_end(struct transport *transport, int timeout_ms);

/* Bytes written or read; 0: not now; -1: the connection is broken, errno says why (0: ended). */
ssize_t transport_write(struct transport *transport, const struct iovec *iov, int count);
ssize_t transport_read(struct transport *transport, void *at, size_t room);

/* Whether to be told when the socket takes bytes again. */
void transport_watch_write(struct transport *transport, bool wanted);

/* Waits at most timeout_ms (< 0: for ever). */
struct transport_events transport_wait(struct transport *transport, int timeout_ms);

/* Ends a wait in another thread, or the next one. */
void transport_wake(struct transport *transport);

#endif
