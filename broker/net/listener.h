/* A listener: accepts connections at one address until the daemon stops.
 *
 * When file descriptors or memory run out, one connection is accepted by means of a spare
 * descriptor and turned away, and the listener rests for a tenth of a second: a listening socket
 * with somebody waiting stays readable, and the loop would do nothing else.
 */
#ifndef HERALD_LISTENER_H
#define HERALD_LISTENER_H

#include "broker/net/net_state.h"
#include "protocol/status.h"

/* As net_listen_tcp and net_listen_unix, which say what is returned. */
enum status listener_open_tcp(struct net *net, const char *host, uint16_t port, char *error);
enum status listener_open_unix(struct net *net, const char *path, uint32_t mode, char *error);

/* Stops listening and frees it; a unix socket is removed if it is still this listener's. */
void listener_close(struct listener *listener);

#endif
