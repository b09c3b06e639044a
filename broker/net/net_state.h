/* What the files of the net floor share: the struct behind net.h, and what they call of each other.
 */
#ifndef HERALD_NET_STATE_H
#define HERALD_NET_STATE_H

#include <sys/queue.h>

#include "broker/core/wheel.h"
#include "broker/net/net.h"

struct connection;
struct listener;

/* One read takes at most this much; a connection is read once in a round. */
#define NET_READ_BYTES ((size_t)64 * 1024)
/* The same for a connection whose last answers still wait: a read of questions may turn into a
 * hundred times its size of answers. */
#define NET_READ_BYTES_BLOCKED ((size_t)8 * 1024)
/* A round that has read this much is cut, so that answers are not kept waiting by newcomers. */
#define NET_ROUND_BYTES ((size_t)4 * 1024 * 1024)
/* What one round writes at most, but for the last connection's output: others wait for the next, so
 * that an event for ten thousand subscribers does not hold everybody up. */
#define NET_ROUND_WRITES 256
#define NET_ROUND_WRITE_BYTES ((size_t)8 * 1024 * 1024)
/* Deadlines are rounded up to it, so that the timers of many connections share a wake-up. */
#define NET_TICK_MS 100

TAILQ_HEAD(connection_list, connection);
TAILQ_HEAD(listener_list, listener);

/* What a timer of the wheel calls; embedded in what it wakes. */
struct net_timer {
    struct wheel_timer timer; /* must be first */
    void (*on_due)(void *owner);
    void *owner;
};

struct net {
    struct core *core;
    struct loop *loop;
    struct net_limits limits;
    net_begin_fn begin;
    core_note_fn note;
    void *context;

    struct wheel wheel;
    struct connection_list connections;
    struct connection_list flushing; /* have room in their socket again */
    struct connection_list behind;   /* with frames that wait for another round */
    struct connection_list leaving;  /* their peer, and perhaps they, are freed at the end */
    struct listener_list listeners;

    uint64_t now_ms;        /* of this round */
    uint64_t complained_ms; /* when it was last logged that connections are turned away */
    size_t round_bytes;     /* read in this round */
    size_t round_writes;    /* in this round, and their bytes */
    size_t round_write_bytes;
    int spare_file; /* given up to accept and turn away when files run out; -1: lost */
    bool is_deaf;   /* nothing is read any more */
    struct net_figures figures;
    unsigned char *receive; /* NET_READ_BYTES behind one frame; shared by all connections */
};

/* Every call from the loop begins with this. */
static inline void net_begin(struct net *net)
{
    net->now_ms = net->begin(net->context);
}

/* Tells the operator, in the area "net". */
void net_say(const struct net *net, enum core_note level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* True at most once in ten seconds: a flood of connections must not become a flood of lines. */
bool net_may_complain(struct net *net);

/* Wakes at the first tick at or after due_ms. */
void net_arm(struct net *net, struct net_timer *timer, uint64_t due_ms);
void net_disarm(struct net *net, struct net_timer *timer);

#endif
