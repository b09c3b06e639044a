/* The net floor: listeners and connections of one broker, as whoever runs the loop sees them.
 *
 *   loop_round --> listeners accept, connections read and give frames to their peers
 *   net_run_timers      deadlines and heartbeats
 *   net_take_behind     frames that waited for this round are given to their peers
 *   core_end_of_round   (the caller)
 *   net_end_of_round    one write for each connection with output; the gone are freed
 *
 * Nothing is written and no connection is freed anywhere but in net_end_of_round. Everything
 * belongs to the loop's thread.
 */
#ifndef HERALD_NET_H
#define HERALD_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/core.h"
#include "protocol/status.h"

struct loop;
struct net;

#define NET_ERROR_BYTES 256

struct net_limits {
    uint32_t connections_max;
    uint32_t unauthenticated_max; /* connections that have not finished the handshake */
    uint32_t frame_bytes_max;     /* must not change while running */
    uint64_t output_bytes_max;    /* beyond it a connection is not read until it has read */
    uint64_t handshake_ms;        /* from accept to the end of the handshake */
    uint64_t close_ms;            /* for the last output and the peer's end of the stream */
};

/* Called at the beginning of whatever happens in a round; returns broker time, in milliseconds. */
typedef uint64_t (*net_begin_fn)(void *context);

struct net_options {
    struct core *core;
    struct loop *loop;
    struct net_limits limits;
    net_begin_fn begin;
    core_note_fn note; /* what the operator should read */
    void *context;     /* of both */
};

/* The core and the loop must outlive it. NULL when memory or files run out. */
struct net *net_new(const struct net_options *options);

/* Closes everything at once; what was not written is lost. NULL is fine. */
void net_free(struct net *net);

/* Listens at a numeric address; port 0 is any free one. Writes the address in full ("[::1]:7440")
 * to `error` on success, and what is wrong on failure; it has NET_ERROR_BYTES.
 * STATUS_IN_USE: somebody else listens there. STATUS_IO_ERROR, STATUS_NO_MEMORY. */
enum status net_listen_tcp(struct net *net, const char *host, uint16_t port, char *error);

/* Listens at a path with these permissions, for the group `herald` if there is one. A socket that a
 * dead process left there is replaced; anything else there is left alone. Failures as above. */
enum status net_listen_unix(struct net *net, const char *path, uint32_t mode, char *error);

/* Closes the listeners and removes their sockets. Connections stay. */
void net_stop_listening(struct net *net);

/* Reads nothing more, so that no further frame is carried out. */
void net_stop_reading(struct net *net);

/* Says goodbye to everybody; the connections go as soon as all is written and the peers are gone,
 * or after limits.close_ms. */
void net_close_all(struct net *net, enum status status);

/* Takes over the limits that may change while running. */
void net_set_limits(struct net *net, const struct net_limits *limits);

void net_run_timers(struct net *net, uint64_t now_ms);

/* When net_run_timers must be called at the latest; UINT64_MAX: never. */
uint64_t net_next_due(const struct net *net);

/* Takes in the frames that waited for another round; before core_end_of_round. */
void net_take_behind(struct net *net);

/* Writes out and frees. True when another round should follow at once: peers have gone, or there is
 * more to write or to take in than one round does. */
bool net_end_of_round(struct net *net);

struct net_figures {
    uint32_t connection_count;
    uint32_t unauthenticated_count;
    uint64_t accepted_count;
    uint64_t refused_count; /* for a limit, or for want of file descriptors */
    uint64_t read_bytes;
    uint64_t written_bytes;
};
struct net_figures net_figures(const struct net *net);

#endif
