/* How the bytes of a connection travel: in the clear over its socket, or through a layer above it.
 *
 * A transport never waits. Its owner closes the socket.
 */
#ifndef HERALD_TRANSPORT_H
#define HERALD_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"

struct transport;

struct transport_calls {
    /* STATUS_OK: ready for reading and writing; STATUS_MORE: call again when there is input;
     * anything else ends the connection. */
    enum status (*handshake)(struct transport *transport);
    /* Bytes taken, 0 at the end of the stream, or a negative errno; -EAGAIN: later. */
    int64_t (*read)(struct transport *transport, void *at, size_t bytes);
    int64_t (*write)(struct transport *transport, const void *at, size_t bytes);
    /* Gives the layer's memory back. */
    void (*free)(struct transport *transport);
};

struct transport {
    const struct transport_calls *calls;
    int file;
    void *layer; /* the layer's own; NULL in the clear */
};

/* In the clear over a socket that does not block. */
struct transport transport_plain(int file);

#endif
