/* HELLO, AUTH, HEARTBEAT, SEEN, CLOSE: the life of a connection. */
#include <stdlib.h>

#include "broker/core/client.h"
#include "broker/core/consumer.h"
#include "broker/core/credit.h"
#include "broker/core/dispatch.h"
#include "broker/core/line.h"
#include "broker/core/output.h"
#include "broker/core/recorder.h"
#include "protocol/topic.h"

enum {
    /* A client must take a frame that holds a message's fields, headers and properties whole. */
    FRAME_BYTES_AGREED_MIN = 32 << 10,
    HEARTBEAT_MS_MIN = 1000,
    HANDSHAKE_FRAMES_MAX = 3,
};

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static const char *mechanisms(const struct peer *peer)
{
    if (peer->origin->is_unix)
        return "EXTERNAL";
    return peer->core->is_anonymous_allowed && peer->origin->is_loopback ? "ANONYMOUS" : "";
}

static enum status check_hello(struct peer *peer, const struct frame_hello *hello)
{
    struct core *core = peer->core;
    if (hello->version < FRAME_VERSION)
        return STATUS_VERSION;
    if (hello->frame_bytes_max < FRAME_BYTES_AGREED_MIN) {
        dispatch_explain(core, "frame_bytes_max must be at least %d", FRAME_BYTES_AGREED_MIN);
        return STATUS_MALFORMED;
    }
    if (hello->resume > 1 || hello->held.bytes > 0 || !topic_is_utf8(hello->product))
        return STATUS_MALFORMED;
    if (hello->client.bytes > 0 &&
        (topic_check_name(hello->client) != STATUS_OK || topic_name_is_reserved(hello->client))) {
        dispatch_explain(core, "the client's name is malformed");
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

enum status handle_hello(struct peer *peer, const struct frame *frame)
{
    const struct frame_hello *hello = &frame->as.hello;
    struct core *core = peer->core;
    enum status status = check_hello(peer, hello);
    if (status != STATUS_OK)
        return status;
    if (hello->client.bytes > 0) {
        peer->client_name = malloc((size_t)hello->client.bytes + 1);
        if (peer->client_name == NULL)
            return STATUS_NO_MEMORY;
        memcpy(peer->client_name, hello->client.at, hello->client.bytes);
        peer->client_name[hello->client.bytes] = '\0';
    }
    peer->hello_seen = hello->seen;
    peer->hello_resume = hello->resume != 0;
    peer->frame_bytes_max = smaller(hello->frame_bytes_max, core->limits.frame_bytes_max);
    uint32_t heartbeat = hello->heartbeat_ms != 0 ? hello->heartbeat_ms : core->limits.heartbeat_ms;
    peer->heartbeat_ms = heartbeat < HEARTBEAT_MS_MIN
                             ? HEARTBEAT_MS_MIN
                             : smaller(heartbeat, core->limits.heartbeat_ms);
    struct frame answer = {.header.type = FRAME_HELLO_OK};
    answer.as.hello_ok = (struct frame_hello_ok){
        .version = FRAME_VERSION,
        .start = core->start_number,
        .frame_bytes_max = peer->frame_bytes_max,
        .message_bytes_max = core->limits.message_bytes_max,
        .heartbeat_ms = peer->heartbeat_ms,
        .product = wire_bytes_of_text("heraldd " HERALD_VERSION),
        .mechanisms = wire_bytes_of_text(mechanisms(peer)),
    };
    output_frame(peer, &answer);
    peer->state = PEER_AUTH;
    peer->stream.phase = FRAME_PHASE_AUTH;
    return STATUS_OK;
}

/* The peer is who it says: from now on it may do all that its user may. */
static enum status admit(struct peer *peer, const char *user)
{
    struct core *core = peer->core;
    if (peer->client_name != NULL) {
        enum status status = client_enter(core, peer);
        if (status != STATUS_OK)
            return status;
    }
    unsigned char room[FRAME_HEADER_BYTES + 300];
    struct wire_writer w = wire_writer_of(room, sizeof room);
    struct frame_auth_ok ok = {.user = wire_bytes_of_text(user),
                               .answered = peer->client != NULL ? peer->client->answered : 0};
    frame_put_auth_ok(&w, 0, 0, &ok);
    peer->state = PEER_OPEN;
    peer->stream.phase = FRAME_PHASE_OPEN;
    peer->stream.frame_bytes_max = peer->frame_bytes_max;
    peer->is_admitted = true;
    core->unauthenticated_count--;
    core->counters.connections_opened++;
    /* A named client is let in once its record is on disk; others rest on nothing. */
    uint64_t needs = peer->client != NULL ? recorder_needs(core) : 0;
    line_answer(peer, 0, room, wire_written(&w), needs);
    if (peer->client != NULL && peer->hello_resume) {
        client_repeat_answers(peer);
        /* Where the journal takes nothing now they are kept; the next SEEN asks again. */
        (void)client_seen(peer, peer->hello_seen);
    }
    credit_open(peer, needs);
    sys_tell(core, &(struct sys_event){
                       SYS_CONNECTION_OPENED,
                       .as.connection_opened = {.connection = peer->number,
                                                .client = peer_client_name(peer),
                                                .from = wire_bytes_of_text(peer->origin->text)}});
    return STATUS_OK;
}

static bool text_is(struct wire_bytes text, const char *expected)
{
    return wire_bytes_equal(text, wire_bytes_of_text(expected));
}

enum status handle_auth(struct peer *peer, const struct frame *frame)
{
    const struct frame_auth *auth = &frame->as.auth;
    if (++peer->handshake_frames >= HANDSHAKE_FRAMES_MAX)
        return STATUS_AUTHENTICATION_FAILED;
    enum status status = STATUS_AUTHENTICATION_FAILED;
    if (text_is(auth->mechanism, mechanisms(peer)) && auth->mechanism.bytes > 0) {
        status = admit(peer, peer->origin->is_unix ? peer->origin->text : "anonymous");
    }
    /* Whatever keeps a peer out ends its connection. */
    if (status != STATUS_OK && status < STATUS_BAD_MAGIC) {
        peer_close(peer, status, NULL);
        return STATUS_OK;
    }
    return status;
}

enum status handle_heartbeat(struct peer *peer, const struct frame *frame)
{
    (void)peer;
    (void)frame;
    return STATUS_OK;
}

enum status handle_seen(struct peer *peer, const struct frame *frame)
{
    return client_seen(peer, frame->as.seen.through);
}

/* A client that leaves still gets the answers that are on their way, and no more deliveries. One
 * that says goodbye will not come back for them, and what it holds goes back as if it had released
 * it. */
enum status handle_close(struct peer *peer, const struct frame *frame)
{
    peer->has_left = peer->state == PEER_OPEN && frame->as.close.code == STATUS_GOODBYE;
    peer->is_leaving = true;
    peer->closed_with = frame->as.close.code;
    consumer_update_all(peer);
    if (peer->line.count == 0)
        peer_close(peer, STATUS_GOODBYE, NULL);
    return STATUS_OK;
}
