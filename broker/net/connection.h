/* A connection: the socket of one peer, what it has read of an unfinished frame, and its deadlines.
 *
 *              the peer is open                peer_is_closing
 *   HANDSHAKE -----------------> OPEN -----------------------------> CLOSING
 *       |                         |                                  |    |
 *       +---- peer_is_closing ----|----------------------------------+    | all is written
 *       |                         |                                       v
 *       |                         |                                    LINGERING
 *       |                         |                                       |
 *       +-------------------------+------ the other side went, ----------+--> GONE
 *                                         or a deadline passed
 *
 * HANDSHAKE  not authenticated; an absolute deadline runs from accept.
 * OPEN       heartbeats run.
 * CLOSING    the last output is being written; input is read and thrown away.
 * LINGERING  our side of the stream is ended; we wait for the other side's end, because closing a
 *            socket with unread input would make the kernel throw away what the peer has not read.
 * GONE       freed at the end of the round.
 *
 * An idle connection owns no buffers: it reads into the net's, and keeps only the beginning of a
 * frame whose end has not come.
 */
#ifndef HERALD_CONNECTION_H
#define HERALD_CONNECTION_H

#include "broker/core/peer.h"
#include "broker/net/net_state.h"
#include "protocol/status.h"

/* Takes the socket over, on failure too: it is closed then, with a CLOSE frame for limits. */
void connection_open_take(struct net *net, int file, const struct peer_origin *origin);

/* Tells a socket why it is turned away and closes it. */
void connection_refuse_take(struct net *net, int file, const char *text);

/* Gives everything back at once. */
void connection_free(struct connection *connection);

/* Has the peer say its last; does nothing if it did. */
void connection_close(struct connection *connection, enum status status);

/* Follows what the core decided about the peer: enters the state that belongs to it, and reads or
 * does not read. */
void connection_follow(struct connection *connection);

/* For a connection with frames that waited for another round: takes them in, or as many as the core
 * takes in this one. */
void connection_catch_up(struct connection *connection);

/* The next of those that wait in net->behind. */
struct connection *connection_next_behind(struct connection *connection);

/* Writes once, and follows the peer. */
void connection_flush(struct connection *connection);

/* Frees what is no longer needed of a connection that is leaving. */
void connection_reap(struct connection *connection);

struct connection *connection_next(const struct connection *connection);

#endif
