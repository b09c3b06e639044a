/* The connection: made, authenticated, kept alive, lost and made again.
 *
 *            session_act        connected       HELLO_OK      AUTH_OK
 *     IDLE -> WAITING -> CONNECTING -> HELLO -> AUTH -> OPEN
 *               ^            |           |        |       |
 *               +------------+-----------+--------+-------+   session_lose, after a while
 *
 *     session_end leads from everywhere to OVER.
 *
 * Hello and authentication leave in one write, because the client knows the mechanism from the
 * transport: one round trip to OPEN.
 */
#include "client-lib/client.h"

#include "client-lib/request.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    HANDSHAKE_MS_MAX = 10000,
    BACKOFF_DOUBLINGS_MAX = 16,
    SEEN_ANSWERS = 1024, /* answers after which the broker is told that it may forget them */
    GOODBYE_MS_MAX = 200,
    CONTROL_BYTES = 1024,
};

static const char path_default[] = "unix:/run/herald/herald.sock";
static const char host_default[] = "herald://127.0.0.1:7440";

enum herald_status session_configure(struct herald_client *client)
{
    struct session *session = &client->session;
    const char *reason = NULL;
    if (session->url_count > 0)
        return HERALD_OK;
    if (client->url == NULL) {
        bool ok = url_parse(&session->urls[0], path_default, &reason) &&
                  url_parse(&session->urls[1], host_default, &reason);
        assert(ok);
        session->url_count = 2;
        return HERALD_OK;
    }
    if (!url_parse(&session->urls[0], client->url, &reason))
        return error_set(client, HERALD_EINVAL, reason);
    if (session->urls[0].kind == URL_TLS)
        return error_set(client, HERALD_EUNSUPPORTED,
                         "heralds:// needs TLS, which this version does not speak");
    session->url_count = 1;
    return HERALD_OK;
}

void session_tell_state(struct herald_client *client, enum herald_state state)
{
    herald_state_fn *on_state = client->options.on_state;
    if (on_state == NULL)
        return;
    client_enter_callback(client);
    on_state(client, state, client->options.user);
    client_leave_callback(client);
}

/* --- connecting ---------------------------------------------------------------------------------
 */

/* Exponential with full jitter, so that a thousand clients do not come back at once. */
static void schedule_retry(struct herald_client *client)
{
    struct session *session = &client->session;
    uint64_t limit_ms = client->options.reconnect_ms_min;
    for (unsigned i = 0; i < session->failures && i < BACKOFF_DOUBLINGS_MAX; i++)
        limit_ms *= 2;
    if (limit_ms > client->options.reconnect_ms_max)
        limit_ms = client->options.reconnect_ms_max;
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) != (ssize_t)sizeof chance)
        chance = (uint32_t)client->now_ms;
    session->failures++;
    session->state = SESSION_WAITING;
    session->retry_at_ms = client->now_ms + chance % (limit_ms + 1);
}

/* The client's first bytes. */
static void say_hello(struct herald_client *client)
{
    struct session *session = &client->session;
    bool resume = session->resume && client->outbox.inflight.count > 0;
    session->resume = resume;
    const struct frame_hello hello = {
        .version = FRAME_VERSION,
        .frame_bytes_max = FRAME_BYTES_OFFERED,
        .heartbeat_ms = client->options.heartbeat_ms,
        .client = wire_bytes_of_text(client->name),
        .seen = resume ? outbox_seen(&client->outbox) : 0,
        .resume = resume,
        .product = wire_bytes_of_text(client->product),
    };
    const struct frame_auth auth = {
        .mechanism = wire_bytes_of_text(client->transport.is_unix ? "EXTERNAL" : "ANONYMOUS"),
    };
    unsigned char bytes[CONTROL_BYTES];
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    wire_put_rest(&w, wire_bytes_of(frame_magic, FRAME_MAGIC_BYTES));
    bool ok = frame_put_hello(&w, 0, 0, &hello) && frame_put_auth(&w, 0, 0, &auth);
    assert(ok);
    session->state = SESSION_HELLO;
    session->received_ms = client->now_ms;
    if (!outbox_stage_plain(&client->outbox, bytes, wire_written(&w)))
        session_lose(client, "cannot send the hello", ENOMEM);
}

static void note_failure(struct herald_client *client, const struct url *url, const char *reason)
{
    int error = errno;
    char what[512];
    if (url->kind == URL_UNIX)
        (void)snprintf(what, sizeof what, "unix:%s", url->path);
    else
        (void)snprintf(what, sizeof what, "%s:%s", url->host, url->port);
    if (reason == NULL) {
        error_set_errno(client, HERALD_ECONNECT, what, error);
        return;
    }
    char text[600];
    (void)snprintf(text, sizeof text, "%s: %s", what, reason);
    error_set(client, HERALD_ECONNECT, text);
}

/* Tries one address after another until one is connected or pending, or all have failed. */
static void try_connect(struct herald_client *client)
{
    struct session *session = &client->session;
    session->deadline_ms = client->now_ms + HANDSHAKE_MS_MAX;
    for (;;) {
        const struct url *url = &session->urls[session->url_index];
        const char *reason = NULL;
        switch (transport_connect(&client->transport, url, &reason)) {
        case TRANSPORT_READY:
            say_hello(client);
            return;
        case TRANSPORT_PENDING:
            session->state = SESSION_CONNECTING;
            return;
        case TRANSPORT_FAILED:
            note_failure(client, url, reason);
            break;
        }
        if (transport_has_more(&client->transport))
            continue;
        session->url_index = (session->url_index + 1) % session->url_count;
        if (session->url_index == 0) {
            schedule_retry(client);
            return;
        }
    }
}

static void finish_connect(struct herald_client *client)
{
    struct session *session = &client->session;
    if (transport_finish(&client->transport) == TRANSPORT_READY) {
        say_hello(client);
        return;
    }
    note_failure(client, &session->urls[session->url_index], NULL);
    transport_disconnect(&client->transport);
    if (!transport_has_more(&client->transport)) {
        session->url_index = (session->url_index + 1) % session->url_count;
        if (session->url_index == 0) {
            schedule_retry(client);
            return;
        }
    }
    try_connect(client);
}

/* --- the broker's answers -----------------------------------------------------------------------
 */

void session_handle_hello_ok(struct herald_client *client, const struct frame_hello_ok *frame)
{
    struct session *session = &client->session;
    if (session->state != SESSION_HELLO || frame->version != FRAME_VERSION ||
        frame->frame_bytes_max < FRAME_BYTES_MIN || frame->frame_bytes_max > FRAME_BYTES_OFFERED) {
        session_lose(client, "the broker's hello makes no sense", 0);
        return;
    }
    session->state = SESSION_AUTH;
    session->heartbeat_ms = frame->heartbeat_ms;
    session->message_bytes_max = frame->message_bytes_max;
    client->outbox.frame_bytes_max = frame->frame_bytes_max;
    client->outbox.start = frame->start;
}

void session_handle_auth_ok(struct herald_client *client, const struct frame_auth_ok *frame)
{
    struct session *session = &client->session;
    if (session->state != SESSION_AUTH) {
        session_lose(client, "the broker lets in who did not ask", 0);
        return;
    }
    session->state = SESSION_OPEN;
    session->failures = 0;
    session->url_index = 0;
    client->generation++;
    client->delivery_first = 0;
    client->delivery_last = 0;
    if (session->resume)
        outbox_resume(&client->outbox, frame->answered);
    else
        outbox_restart(&client->outbox, frame->answered);
    session->resume = true;
    session->seen_sent = outbox_seen(&client->outbox);
    consumer_replay(client);
    session_tell_state(client, HERALD_STATE_OPEN);
}

void session_handle_close(struct herald_client *client, const struct frame_close *frame)
{
    struct session *session = &client->session;
    error_set_code(client, frame->code, frame->text);
    switch (frame->code) {
    case STATUS_CLIENT_UNKNOWN: {
        struct herald_error error = client->error;
        session_lose(client, NULL, 0);
        client->error = error;
        session->resume = false;
        session->retry_at_ms = client->now_ms;
        session_tell_state(client, HERALD_STATE_FORGOTTEN);
        return;
    }
    case STATUS_AUTHENTICATION_FAILED:
    case STATUS_DENIED:
        client->error.status = HERALD_EDENIED;
        session_end(client);
        return;
    case STATUS_VERSION:
    case STATUS_REPLACED:
        client->error.status = HERALD_ECLOSED;
        session_end(client);
        return;
    default:
        client->error.status = HERALD_ECONNECT;
        session_lose(client, NULL, 0);
        return;
    }
}

/* --- losing and ending --------------------------------------------------------------------------
 */

static void disconnect(struct herald_client *client)
{
    transport_disconnect(&client->transport);
    inbox_reset(&client->inbox);
    client->unwanted_count = 0;
    client->generation++;
    client->unsettled = 0;
    client->session.broken = false;
    answer_lose(client);
    outbox_reset(&client->outbox);
}

void session_lose(struct herald_client *client, const char *what, int error)
{
    struct session *session = &client->session;
    if (session->state == SESSION_OVER)
        return;
    bool was_open = session->state == SESSION_OPEN;
    if (what != NULL && error != 0)
        error_set_errno(client, HERALD_ECONNECT, what, error);
    else if (what != NULL)
        error_set(client, HERALD_ECONNECT, what);
    schedule_retry(client);
    disconnect(client);
    if (was_open)
        session_tell_state(client, HERALD_STATE_LOST);
}

void session_end(struct herald_client *client)
{
    struct session *session = &client->session;
    if (session->state == SESSION_OVER)
        return;
    session->state = SESSION_OVER;
    disconnect(client);
    answer_end_calls(client);
    session_tell_state(client, HERALD_STATE_CLOSED);
    client_notify(client);
}

void session_say_goodbye(struct herald_client *client)
{
    if (client->session.state != SESSION_OPEN)
        return;
    session_flush(client);
    const struct frame_close close = {.code = STATUS_GOODBYE};
    unsigned char bytes[64];
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    bool ok = frame_put_close(&w, 0, 0, &close);
    assert(ok);
    client->outbox.open = false;
    if (!outbox_stage_plain(&client->outbox, bytes, wire_written(&w)))
        return;
    session_flush(client);
    transport_end(&client->transport, GOODBYE_MS_MAX);
}

/* --- time ---------------------------------------------------------------------------------------
 */

static void stage_heartbeat(struct herald_client *client)
{
    struct session *session = &client->session;
    unsigned char bytes[64];
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    const struct frame_heartbeat heartbeat = {.time_ms = client->now_ms};
    bool ok = frame_put_heartbeat(&w, 0, 0, &heartbeat);
    assert(ok);
    /* While a region is being written the broker hears enough. */
    (void)outbox_stage_plain(&client->outbox, bytes, wire_written(&w));
    session->sent_ms = client->now_ms;
}

static void stage_seen(struct herald_client *client)
{
    const struct frame_seen seen = {.through = outbox_seen(&client->outbox)};
    if (seen.through <= client->session.seen_sent)
        return;
    unsigned char bytes[64];
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    bool ok = frame_put_seen(&w, 0, 0, &seen);
    assert(ok);
    if (!outbox_stage_plain(&client->outbox, bytes, wire_written(&w)))
        return;
    client->session.seen_sent = seen.through;
    client->outbox.answers = 0;
}

static bool is_heartbeat_due(const struct herald_client *client)
{
    const struct session *session = &client->session;
    return session->heartbeat_ms > 0 &&
           client->now_ms >= session->sent_ms + session->heartbeat_ms / 2;
}

static void act_open(struct herald_client *client)
{
    bool is_idle = is_heartbeat_due(client);
    if (is_idle)
        stage_heartbeat(client);
    message_renew(client);
    if (client->outbox.answers >= SEEN_ANSWERS || is_idle)
        stage_seen(client);
}

void session_act(struct herald_client *client)
{
    struct session *session = &client->session;
    switch (session->state) {
    case SESSION_IDLE:
        if (session_configure(client) != HERALD_OK) {
            session_end(client);
            return;
        }
        session->state = SESSION_WAITING;
        session->retry_at_ms = client->now_ms;
        session_tell_state(client, HERALD_STATE_CONNECTING);
        try_connect(client);
        break;
    case SESSION_WAITING:
        if (client->now_ms >= session->retry_at_ms)
            try_connect(client);
        break;
    case SESSION_OPEN:
        act_open(client);
        break;
    case SESSION_CONNECTING:
    case SESSION_HELLO:
    case SESSION_AUTH:
    case SESSION_OVER:
        break;
    }
    if (client->now_ms >= client->call_deadline_ms)
        answer_check_calls(client);
}

/* Only after reading: a program that was busy for long finds the broker's heartbeats waiting. */
static void check_deadlines(struct herald_client *client)
{
    const struct session *session = &client->session;
    switch (session->state) {
    case SESSION_CONNECTING:
    case SESSION_HELLO:
    case SESSION_AUTH:
        if (client->now_ms >= session->deadline_ms)
            session_lose(client, "the broker did not answer the hello in time", 0);
        break;
    case SESSION_OPEN:
        if (session->heartbeat_ms > 0 &&
            client->now_ms >= session->received_ms + 2 * (uint64_t)session->heartbeat_ms)
            session_lose(client, "the broker has been silent for too long", 0);
        break;
    case SESSION_IDLE:
    case SESSION_WAITING:
    case SESSION_OVER:
        break;
    }
}

/* When something must be said although nothing happens. */
static uint64_t next_word(const struct herald_client *client)
{
    const struct session *session = &client->session;
    uint64_t at_ms =
        session->heartbeat_ms > 0 ? session->sent_ms + session->heartbeat_ms / 2 : UINT64_MAX;
    bool renews = client->options.renew_ms > 0 && client->unsettled > 0;
    return renews && client->renew_at_ms < at_ms ? client->renew_at_ms : at_ms;
}

static uint64_t next_timer(const struct herald_client *client)
{
    const struct session *session = &client->session;
    switch (session->state) {
    case SESSION_IDLE:
        return 0;
    case SESSION_WAITING:
        return session->retry_at_ms;
    case SESSION_CONNECTING:
    case SESSION_HELLO:
    case SESSION_AUTH:
        return session->deadline_ms;
    case SESSION_OPEN:
        if (session->broken || (!client->transport.wants_write && outbox_is_ready(&client->outbox)))
            return 0;
        return next_word(client);
    case SESSION_OVER:
        return UINT64_MAX;
    }
    return UINT64_MAX;
}

int session_timeout(const struct herald_client *client)
{
    uint64_t at_ms = next_timer(client);
    if (client->session.state != SESSION_OVER && client->call_deadline_ms < at_ms)
        at_ms = client->call_deadline_ms;
    if (at_ms == UINT64_MAX)
        return -1;
    if (at_ms <= client->now_ms)
        return 0;
    uint64_t left_ms = at_ms - client->now_ms;
    return left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

/* --- bytes --------------------------------------------------------------------------------------
 */

void session_flush(struct herald_client *client)
{
    struct session *session = &client->session;
    if ((session->state != SESSION_HELLO && session->state != SESSION_AUTH &&
         session->state != SESSION_OPEN) ||
        session->broken || client->transport.wants_write)
        return;
    struct iovec parts[2];
    int count;
    while ((count = outbox_gather(&client->outbox, parts)) > 0) {
        size_t wanted = parts[0].iov_len + (count > 1 ? parts[1].iov_len : 0);
        ssize_t written = transport_write(&client->transport, parts, count);
        if (written < 0) {
            session->broken = true;
            session->broken_errno = errno;
            client_wake(client);
            return;
        }
        outbox_written(&client->outbox, (size_t)written);
        session->sent_ms = client->now_ms;
        if ((size_t)written < wanted) {
            transport_watch_write(&client->transport, true);
            return;
        }
    }
}

void session_on_events(struct herald_client *client, struct transport_events events)
{
    struct session *session = &client->session;
    if (session->state == SESSION_CONNECTING) {
        if (events.readable || events.writable)
            finish_connect(client);
    } else if (client->transport.socket_fd >= 0) {
        if (events.writable)
            transport_watch_write(&client->transport, false);
        if (events.readable)
            inbox_receive(client);
    }
    /* Reading first: the broker's reason stands in the bytes before the end. */
    if (session->broken)
        session_lose(client, "the connection broke", session->broken_errno);
    check_deadlines(client);
}
