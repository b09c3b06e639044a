/* How the bytes of a connection travel: in the clear. */
#include "broker/net/transport.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static enum status plain_handshake(struct transport *transport)
{
    (void)transport;
    return STATUS_OK;
}

static int64_t plain_read(struct transport *transport, void *at, size_t bytes)
{
    for (;;) {
        ssize_t done = read(transport->file, at, bytes);
        if (done >= 0)
            return done;
        if (errno != EINTR)
            return -errno;
    }
}

static int64_t plain_write(struct transport *transport, const void *at, size_t bytes)
{
    for (;;) {
        ssize_t done = send(transport->file, at, bytes, MSG_NOSIGNAL);
        if (done >= 0)
            return done;
        if (errno != EINTR)
            return -errno;
    }
}

static void plain_free(struct transport *transport)
{
    (void)transport;
}

struct transport transport_plain(int file)
{
    static const struct transport_calls calls = {plain_handshake, plain_read, plain_write,
                                                 plain_free};
    return (struct transport){&calls, file, NULL};
}
