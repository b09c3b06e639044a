/* A connection: the socket of one peer, what it has read of an unfinished frame, and its deadlines.
 *
 * Events only read, and note what is to be done; all writing and freeing happens at the end of the
 * round.
 */
#include "broker/net/connection.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/net/loop.h"
#include "broker/net/transport.h"
#include "broker/plant.h"
#include "protocol/frame.h"

enum connection_state {
    CONNECTION_HANDSHAKE,
    CONNECTION_OPEN,
    CONNECTION_CLOSING,
    CONNECTION_LINGERING,
    CONNECTION_GONE,
};

struct connection {
    TAILQ_ENTRY(connection) all;
    TAILQ_ENTRY(connection) flushing;
    TAILQ_ENTRY(connection) behind;
    TAILQ_ENTRY(connection) leaving;
    struct net *net;
    struct peer *peer; /* NULL from LINGERING on, once reaped */
    struct transport transport;
    enum connection_state state;
    bool is_ready;    /* the transport's handshake is done */
    bool is_reading;  /* read_event is added */
    bool is_blocked;  /* write_event is added: the socket takes no more */
    bool is_flushing; /* in net->flushing */
    bool is_behind;   /* in net->behind */
    bool is_leaving;  /* in net->leaving */
    struct event read_event;
    struct event write_event;
    struct net_timer timer; /* of the state */
    struct buffer held;     /* the beginning of a frame, or empty and without memory; when behind,
                               whole frames too */
    size_t wanted;          /* what `held` must grow to; 0: it is behind */
    uint64_t heard_ms;      /* when input last came, or output was last taken while not reading */
    uint64_t wrote_ms;      /* when output was last written */
};

static void on_readable(evutil_socket_t file, short what, void *argument);
static void on_writable(evutil_socket_t file, short what, void *argument);
static void on_due(void *owner);

/* --- opening and refusing
 * ------------------------------------------------------------------------- */

static enum status connection_start(struct connection *connection, const struct peer_origin *origin)
{
    struct net *net = connection->net;
    struct event_base *base = loop_base(net->loop);
    int file = connection->transport.file;
    if (event_assign(&connection->read_event, base, file, EV_READ | EV_PERSIST, on_readable,
                     connection) != 0 ||
        event_assign(&connection->write_event, base, file, EV_WRITE, on_writable, connection) != 0)
        return STATUS_NO_MEMORY;
    connection->peer = peer_new(net->core, origin, connection);
    if (connection->peer == NULL)
        return STATUS_NO_MEMORY;
    if (event_add(&connection->read_event, NULL) != 0) {
        peer_free(connection->peer);
        return STATUS_NO_MEMORY;
    }
    connection->is_reading = true;
    return STATUS_OK;
}

void connection_open_take(struct net *net, int file, const struct peer_origin *origin)
{
    if (net->figures.connection_count >= net->limits.connections_max) {
        connection_refuse_take(net, file, "limits.connections_max is reached");
        return;
    }
    if (net->figures.unauthenticated_count >= net->limits.unauthenticated_max) {
        connection_refuse_take(net, file, "limits.unauthenticated_max is reached");
        return;
    }
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        connection_refuse_take(net, file, "no memory");
        return;
    }
    connection->net = net;
    connection->transport = transport_plain(file);
    connection->timer.on_due = on_due;
    connection->timer.owner = connection;
    connection->heard_ms = connection->wrote_ms = net->now_ms;
    buffer_init(&connection->held);
    if (connection_start(connection, origin) != STATUS_OK) {
        free(connection);
        connection_refuse_take(net, file, "no memory");
        return;
    }
    TAILQ_INSERT_TAIL(&net->connections, connection, all);
    net->figures.connection_count++;
    net->figures.unauthenticated_count++;
    net->figures.accepted_count++;
    if (!planted(PLANT_NO_HANDSHAKE_DEADLINE))
        net_arm(net, &connection->timer, net->now_ms + net->limits.handshake_ms);
}

/* What the peer has sent already is read first, so that closing does not reset the stream before
 * the reason is read. A peer that is slow to send may miss it. */
void connection_refuse_take(struct net *net, int file, const char *text)
{
    unsigned char out[FRAME_HEADER_BYTES + 128];
    struct wire_writer w = wire_writer_of(out, sizeof out);
    struct frame_close fields = {STATUS_TOO_MANY_CONNECTIONS, wire_bytes_of_text(text)};
    bool has_room = frame_put_close(&w, 0, 0, &fields);
    assert(has_room);
    (void)send(file, out, wire_written(&w), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(file, SHUT_WR);
    (void)recv(file, net->receive, NET_READ_BYTES, MSG_DONTWAIT);
    close(file);
    net->figures.refused_count++;
    if (net_may_complain(net))
        net_say(net, CORE_NOTE_WARNING, "a connection is turned away: %s", text);
}

/* --- states
 * --------------------------------------------------------------------------------------- */

/* False: the kernel has no memory for it, and the connection cannot go on. */
static bool connection_set_reading(struct connection *connection, bool wanted)
{
    if (wanted == connection->is_reading)
        return true;
    int failed =
        wanted ? event_add(&connection->read_event, NULL) : event_del(&connection->read_event);
    connection->is_reading = wanted && failed == 0;
    return failed == 0;
}

static void connection_flush_later(struct connection *connection)
{
    if (connection->is_flushing)
        return;
    connection->is_flushing = true;
    TAILQ_INSERT_TAIL(&connection->net->flushing, connection, flushing);
}

static void connection_leave_later(struct connection *connection)
{
    if (connection->is_leaving)
        return;
    connection->is_leaving = true;
    TAILQ_INSERT_TAIL(&connection->net->leaving, connection, leaving);
}

static bool connection_may_enter(enum connection_state from, enum connection_state to)
{
    switch (to) {
    case CONNECTION_HANDSHAKE:
        return false;
    case CONNECTION_OPEN:
        return from == CONNECTION_HANDSHAKE;
    case CONNECTION_CLOSING:
        return from == CONNECTION_HANDSHAKE || from == CONNECTION_OPEN;
    case CONNECTION_LINGERING:
        return from == CONNECTION_CLOSING;
    case CONNECTION_GONE:
        return from != CONNECTION_GONE;
    }
    return false;
}

static void connection_arm_heartbeat(struct connection *connection);

static void connection_enter(struct connection *connection, enum connection_state state)
{
    struct net *net = connection->net;
    assert(connection_may_enter(connection->state, state));
    if (connection->state == CONNECTION_HANDSHAKE)
        net->figures.unauthenticated_count--;
    connection->state = state;
    switch (state) {
    case CONNECTION_HANDSHAKE:
        break;
    case CONNECTION_OPEN:
        connection_arm_heartbeat(connection);
        break;
    case CONNECTION_CLOSING:
        buffer_deinit(&connection->held);
        net_arm(net, &connection->timer, net->now_ms + net->limits.close_ms);
        /* Without an event for it the rest of the input is not read, and the timer ends it all. */
        (void)connection_set_reading(connection, true);
        connection_flush_later(connection);
        break;
    case CONNECTION_LINGERING:
        (void)shutdown(connection->transport.file, SHUT_WR);
        connection_leave_later(connection);
        break;
    case CONNECTION_GONE:
        net_disarm(net, &connection->timer);
        (void)connection_set_reading(connection, false);
        connection_leave_later(connection);
        break;
    }
}

void connection_follow(struct connection *connection)
{
    const struct net *net = connection->net;
    if (connection->state == CONNECTION_HANDSHAKE && peer_is_open(connection->peer))
        connection_enter(connection, CONNECTION_OPEN);
    if (connection->state > CONNECTION_OPEN)
        return;
    if (peer_is_closing(connection->peer)) {
        connection_enter(connection, CONNECTION_CLOSING);
        return;
    }
    /* A peer that asks and asks and never reads its answers is not listened to until it does. */
    size_t waiting = buffer_bytes(peer_output(connection->peer));
    uint64_t most = net->limits.output_bytes_max;
    bool wanted = connection->is_reading ? waiting <= most : waiting <= most / 2;
    if (!connection_set_reading(connection, wanted && !net->is_deaf && !connection->is_behind))
        connection_enter(connection, CONNECTION_GONE);
}

void connection_close(struct connection *connection, enum status status)
{
    if (connection->state > CONNECTION_OPEN)
        return;
    peer_close(connection->peer, status, NULL);
    connection_follow(connection);
}

/* --- reading
 * -------------------------------------------------------------------------------------- */

/* Keeps what was not used up. The rest of a long frame is appended as it comes and looked at only
 * when it is whole: a peer that sends it byte by byte costs no more than others. */
static enum status connection_hold(struct connection *connection, const unsigned char *at,
                                   size_t bytes)
{
    if (bytes == 0) {
        buffer_deinit(&connection->held);
        return STATUS_OK;
    }
    buffer_consume(&connection->held, buffer_bytes(&connection->held));
    return buffer_append(&connection->held, at, bytes);
}

/* Nothing more is read from it until what it has sent is taken. */
static void connection_set_behind(struct connection *connection, bool is_behind)
{
    if (is_behind == connection->is_behind)
        return;
    connection->is_behind = is_behind;
    if (is_behind)
        TAILQ_INSERT_TAIL(&connection->net->behind, connection, behind);
    else
        TAILQ_REMOVE(&connection->net->behind, connection, behind);
}

/* `bytes` new bytes stand in net->receive behind room for what was held. */
static enum status connection_take(struct connection *connection, size_t bytes)
{
    unsigned char *receive = connection->net->receive;
    size_t held = buffer_bytes(&connection->held);
    size_t all = held + bytes;
    if (held > 0 && all < connection->wanted)
        return buffer_append(&connection->held, receive + held, bytes);
    if (held > 0)
        memcpy(receive, buffer_at(&connection->held), held);
    size_t used = peer_receive(connection->peer, receive, all, &connection->wanted);
    assert(used <= all);
    connection_set_behind(connection, connection->wanted == 0 && used < all);
    if (used < all && connection->wanted != 0)
        assert(all - used < connection->wanted &&
               connection->wanted <= connection->net->limits.frame_bytes_max);
    return connection_hold(connection, receive + used, all - used);
}

void connection_catch_up(struct connection *connection)
{
    if (connection->state > CONNECTION_OPEN) {
        connection_set_behind(connection, false);
        return;
    }
    if (connection_take(connection, 0) != STATUS_OK)
        peer_close(connection->peer, STATUS_NO_MEMORY, NULL);
    connection_follow(connection);
}

struct connection *connection_next_behind(struct connection *connection)
{
    return TAILQ_NEXT(connection, behind);
}

static void connection_on_input(struct connection *connection, size_t bytes)
{
    struct net *net = connection->net;
    connection->heard_ms = net->now_ms;
    net->figures.read_bytes += bytes;
    net->round_bytes += bytes;
    if (net->round_bytes >= NET_ROUND_BYTES)
        loop_cut_round(net->loop);
    if (connection->state > CONNECTION_OPEN)
        return;
    if (connection_take(connection, bytes) != STATUS_OK)
        peer_close(connection->peer, STATUS_NO_MEMORY, NULL);
    connection_follow(connection);
}

static void on_readable(evutil_socket_t file, short what, void *argument)
{
    (void)file;
    (void)what;
    struct connection *connection = argument;
    struct net *net = connection->net;
    net_begin(net);
    struct transport *transport = &connection->transport;
    if (!connection->is_ready) {
        enum status status = transport->calls->handshake(transport);
        if (status == STATUS_MORE)
            return;
        if (status != STATUS_OK) {
            connection_enter(connection, CONNECTION_GONE);
            return;
        }
        connection->is_ready = true;
    }
    size_t held = buffer_bytes(&connection->held);
    size_t room = connection->is_blocked ? NET_READ_BYTES_BLOCKED : NET_READ_BYTES;
    int64_t bytes = transport->calls->read(transport, net->receive + held, room);
    if (bytes > 0)
        connection_on_input(connection, (size_t)bytes);
    else if (bytes != -EAGAIN)
        connection_enter(connection, CONNECTION_GONE);
}

/* --- writing
 * -------------------------------------------------------------------------------------- */

static void on_writable(evutil_socket_t file, short what, void *argument)
{
    (void)file;
    (void)what;
    struct connection *connection = argument;
    net_begin(connection->net);
    connection->is_blocked = false;
    if (connection->state != CONNECTION_GONE)
        connection_flush_later(connection);
}

static void connection_unlist_flushing(struct connection *connection)
{
    if (!connection->is_flushing)
        return;
    connection->is_flushing = false;
    TAILQ_REMOVE(&connection->net->flushing, connection, flushing);
}

/* Waiting for room is asked for only after the socket had none: most never ask. */
static void connection_wait_for_room(struct connection *connection)
{
    connection->is_blocked = true;
    if (event_add(&connection->write_event, NULL) != 0)
        connection_enter(connection, CONNECTION_GONE);
}

static void connection_write(struct connection *connection)
{
    const struct buffer *output = peer_output(connection->peer);
    size_t bytes = buffer_bytes(output);
    struct transport *transport = &connection->transport;
    int64_t written = transport->calls->write(transport, buffer_at(output), bytes);
    if (written < 0 && written != -EAGAIN) {
        connection_enter(connection, CONNECTION_GONE);
        return;
    }
    struct net *net = connection->net;
    net->round_writes++;
    net->round_write_bytes += bytes;
    if (written > 0) {
        net->figures.written_bytes += (uint64_t)written;
        connection->wrote_ms = net->now_ms;
        if (!connection->is_reading)
            connection->heard_ms = net->now_ms;
        peer_sent(connection->peer, (size_t)written);
    }
    if (written < 0 || (size_t)written < bytes)
        connection_wait_for_room(connection);
}

void connection_flush(struct connection *connection)
{
    connection_unlist_flushing(connection);
    if (connection->state >= CONNECTION_LINGERING)
        return;
    if (!connection->is_blocked && buffer_bytes(peer_output(connection->peer)) > 0)
        connection_write(connection);
    connection_follow(connection);
    if (connection->state == CONNECTION_CLOSING && buffer_bytes(peer_output(connection->peer)) == 0)
        connection_enter(connection, CONNECTION_LINGERING);
}

/* --- time
 * ----------------------------------------------------------------------------------------- */

/* Unread input stands in the socket when the whole broker was held up, which is no fault of the
 * peer's. */
static bool connection_has_input(const struct connection *connection)
{
    char first;
    return recv(connection->transport.file, &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* A heartbeat is due when half the agreed silence passed, a verdict after twice that silence. */
static void connection_arm_heartbeat(struct connection *connection)
{
    struct net *net = connection->net;
    uint64_t silence_ms = peer_heartbeat_ms(connection->peer);
    if (silence_ms == 0) {
        net_disarm(net, &connection->timer);
        return;
    }
    uint64_t beat_ms = connection->wrote_ms + silence_ms / 2;
    if (beat_ms <= net->now_ms)
        beat_ms = net->now_ms + silence_ms / 2;
    uint64_t dead_ms = connection->heard_ms + 2 * silence_ms;
    net_arm(net, &connection->timer, beat_ms < dead_ms ? beat_ms : dead_ms);
}

static void connection_on_heartbeat(struct connection *connection)
{
    uint64_t now_ms = connection->net->now_ms;
    uint64_t silence_ms = peer_heartbeat_ms(connection->peer);
    if (now_ms >= connection->heard_ms + 2 * silence_ms) {
        if (!connection_has_input(connection)) {
            connection_close(connection, STATUS_TIMED_OUT);
            return;
        }
        connection->heard_ms = now_ms;
    }
    bool is_silent = now_ms >= connection->wrote_ms + silence_ms / 2;
    if (is_silent && buffer_bytes(peer_output(connection->peer)) == 0)
        peer_send_heartbeat(connection->peer);
    connection_arm_heartbeat(connection);
}

static void on_due(void *owner)
{
    struct connection *connection = owner;
    switch (connection->state) {
    case CONNECTION_HANDSHAKE:
        connection_close(connection, STATUS_TIMED_OUT);
        break;
    case CONNECTION_OPEN:
        connection_on_heartbeat(connection);
        break;
    case CONNECTION_CLOSING:
    case CONNECTION_LINGERING:
        connection_enter(connection, CONNECTION_GONE);
        break;
    case CONNECTION_GONE:
        break;
    }
}

/* --- leaving
 * -------------------------------------------------------------------------------------- */

void connection_reap(struct connection *connection)
{
    struct net *net = connection->net;
    assert(connection->is_leaving);
    connection->is_leaving = false;
    TAILQ_REMOVE(&net->leaving, connection, leaving);
    if (connection->state == CONNECTION_GONE) {
        connection_free(connection);
        return;
    }
    peer_free(connection->peer);
    connection->peer = NULL;
}

void connection_free(struct connection *connection)
{
    struct net *net = connection->net;
    if (connection->state == CONNECTION_HANDSHAKE)
        net->figures.unauthenticated_count--;
    net->figures.connection_count--;
    TAILQ_REMOVE(&net->connections, connection, all);
    connection_unlist_flushing(connection);
    connection_set_behind(connection, false);
    if (connection->is_leaving)
        TAILQ_REMOVE(&net->leaving, connection, leaving);
    net_disarm(net, &connection->timer);
    event_del(&connection->read_event);
    event_del(&connection->write_event);
    peer_free(connection->peer);
    connection->transport.calls->free(&connection->transport);
    close(connection->transport.file);
    buffer_deinit(&connection->held);
    free(connection);
}

struct connection *connection_next(const struct connection *connection)
{
    return TAILQ_NEXT(connection, all);
}
