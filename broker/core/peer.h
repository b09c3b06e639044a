/* What the core knows of a connection: the door between net/ and core/.
 *
 *   HELLO --handle_hello--> AUTH --handle_auth--> OPEN --peer_close, or the other side--> CLOSING
 *
 * CLOSING: nothing more is read; what is in the output is written, then the connection goes away.
 * The connection owns the socket and calls peer_free when it is gone; the peer never frees itself.
 */
#ifndef HERALD_PEER_H
#define HERALD_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/buffer.h"
#include "protocol/status.h"

struct core;
struct peer;

/* Where a connection comes from, as the socket says. */
struct peer_origin {
    bool is_unix;
    bool is_loopback;      /* TCP from 127.0.0.0/8 or ::1 */
    bool is_administrator; /* unix socket: the daemon's own uid or root */
    uint32_t uid;          /* unix socket */
    char text[80];         /* for people: "unix uid 1000", "127.0.0.1:51234" */
};

/* NULL when memory runs out. `connection` is handed back by peer_connection. */
struct peer *peer_new(struct core *core, const struct peer_origin *origin, void *connection);

/* The connection is gone: consumers end, what was unsettled goes back, waiting calls are cancelled.
 * NULL is fine. */
void peer_free(struct peer *peer);

/* The lasting name that its client gave; nothing: none. */
struct wire_bytes peer_client_name(const struct peer *peer);

void *peer_connection(const struct peer *peer);

/* Takes what came in: carries out every whole frame. Returns the bytes used up; the rest, less than
 * one frame, must be given again with more behind it. *wanted is then the size the rest must reach
 * before another call is of use, never more than the largest frame; or 0 when this round has taken
 * in all it should, and the rest is to be given again in the next, as it is. After a broken stream
 * the peer is CLOSING and everything is used up. */
size_t peer_receive(struct peer *peer, const unsigned char *at, size_t bytes, size_t *wanted);

/* Bytes to be written; take from the front with peer_sent. */
const struct buffer *peer_output(const struct peer *peer);

/* `bytes` at the front of the output are written. */
void peer_sent(struct peer *peer, size_t bytes);

/* Write what is left, for a second at most, then close. */
bool peer_is_closing(const struct peer *peer);

/* Authenticated: the handshake's deadline is met. */
bool peer_is_open(const struct peer *peer);

/* The agreed longest silence; 0 before the hello. */
uint32_t peer_heartbeat_ms(const struct peer *peer);

/* Appends a heartbeat, when nothing else was written for a while. */
void peer_send_heartbeat(struct peer *peer);

/* Ends the connection with a CLOSE frame (unless the peer is CLOSING already). `text` may be NULL:
 * the status' own text. */
void peer_close(struct peer *peer, enum status status, const char *text);

/* Counts of the core's open peers, for limits on those that have not authenticated. */
uint32_t peer_count(const struct core *core);
uint32_t peer_unauthenticated_count(const struct core *core);

#endif
