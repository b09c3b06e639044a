/* The net floor: listeners and connections of one broker, as whoever runs the loop sees them. */
#include "broker/net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/core/peer.h"
#include "broker/net/connection.h"
#include "broker/net/listener.h"
#include "broker/net/net_state.h"

#define NET_SAY_BYTES 512
#define NET_COMPLAIN_MS 10000

struct net *net_new(const struct net_options *options)
{
    struct net *net = calloc(1, sizeof *net);
    if (net == NULL)
        return NULL;
    net->core = options->core;
    net->loop = options->loop;
    net->limits = options->limits;
    net->begin = options->begin;
    net->note = options->note;
    net->context = options->context;
    TAILQ_INIT(&net->connections);
    TAILQ_INIT(&net->flushing);
    TAILQ_INIT(&net->behind);
    TAILQ_INIT(&net->leaving);
    TAILQ_INIT(&net->listeners);
    net->now_ms = net->begin(net->context);
    wheel_init(&net->wheel, net->now_ms);
    net->spare_file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    net->receive = malloc(NET_READ_BYTES + options->limits.frame_bytes_max);
    if (net->receive == NULL || net->spare_file < 0) {
        net_free(net);
        return NULL;
    }
    return net;
}

void net_free(struct net *net)
{
    if (net == NULL)
        return;
    net_stop_listening(net);
    struct connection *connection = TAILQ_FIRST(&net->connections);
    while (connection != NULL) {
        struct connection *next = connection_next(connection);
        connection_free(connection);
        connection = next;
    }
    if (net->spare_file >= 0)
        close(net->spare_file);
    free(net->receive);
    free(net);
}

enum status net_listen_tcp(struct net *net, const char *host, uint16_t port, char *error)
{
    return listener_open_tcp(net, host, port, error);
}

enum status net_listen_unix(struct net *net, const char *path, uint32_t mode, char *error)
{
    return listener_open_unix(net, path, mode, error);
}

void net_stop_listening(struct net *net)
{
    while (!TAILQ_EMPTY(&net->listeners))
        listener_close(TAILQ_FIRST(&net->listeners));
}

void net_stop_reading(struct net *net)
{
    net->is_deaf = true;
    for (struct connection *c = TAILQ_FIRST(&net->connections); c != NULL; c = connection_next(c))
        connection_follow(c);
}

void net_close_all(struct net *net, enum status status)
{
    for (struct connection *c = TAILQ_FIRST(&net->connections); c != NULL; c = connection_next(c))
        connection_close(c, status);
}

void net_set_limits(struct net *net, const struct net_limits *limits)
{
    uint32_t frame_bytes_max = net->limits.frame_bytes_max;
    net->limits = *limits;
    net->limits.frame_bytes_max = frame_bytes_max;
}

static void on_timer(void *argument, struct wheel_timer *timer)
{
    (void)argument;
    struct net_timer *due = (struct net_timer *)timer;
    due->on_due(due->owner);
}

void net_run_timers(struct net *net, uint64_t now_ms)
{
    net->now_ms = now_ms;
    (void)wheel_run(&net->wheel, now_ms, SIZE_MAX, on_timer, net);
}

uint64_t net_next_due(const struct net *net)
{
    return wheel_next_ms(&net->wheel);
}

void net_take_behind(struct net *net)
{
    if (net->is_deaf)
        return;
    struct connection *last = TAILQ_LAST(&net->behind, connection_list);
    struct connection *connection = TAILQ_FIRST(&net->behind);
    while (connection != NULL) {
        struct connection *next = connection != last ? connection_next_behind(connection) : NULL;
        connection_catch_up(connection);
        connection = next;
    }
}

static bool may_write(const struct net *net)
{
    return net->round_writes < NET_ROUND_WRITES && net->round_write_bytes < NET_ROUND_WRITE_BYTES;
}

/* The core marks a peer again when writing its output let more come; that is written in the next
 * round, or one fast connection would keep all others waiting. */
bool net_end_of_round(struct net *net)
{
    struct peer *peer;
    struct connection *connection;
    while (may_write(net) && (connection = TAILQ_FIRST(&net->flushing)) != NULL)
        connection_flush(connection);
    while (may_write(net) && (peer = core_next_dirty(net->core)) != NULL)
        connection_flush(peer_connection(peer));
    bool has_more = core_has_dirty(net->core) || !TAILQ_EMPTY(&net->flushing) ||
                    (!net->is_deaf && !TAILQ_EMPTY(&net->behind));
    bool have_gone = !TAILQ_EMPTY(&net->leaving);
    while ((connection = TAILQ_FIRST(&net->leaving)) != NULL)
        connection_reap(connection);
    net->round_bytes = net->round_writes = net->round_write_bytes = 0;
    return have_gone || has_more;
}

struct net_figures net_figures(const struct net *net)
{
    return net->figures;
}

void net_say(const struct net *net, enum core_note level, const char *format, ...)
{
    char text[NET_SAY_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    net->note(net->context, level, "net", text);
}

bool net_may_complain(struct net *net)
{
    if (net->complained_ms != 0 && net->now_ms < net->complained_ms + NET_COMPLAIN_MS)
        return false;
    net->complained_ms = net->now_ms;
    return true;
}

void net_arm(struct net *net, struct net_timer *timer, uint64_t due_ms)
{
    uint64_t late_ms = due_ms % NET_TICK_MS;
    wheel_arm(&net->wheel, &timer->timer, late_ms == 0 ? due_ms : due_ms + NET_TICK_MS - late_ms);
}

void net_disarm(struct net *net, struct net_timer *timer)
{
    wheel_disarm(&net->wheel, &timer->timer);
}
