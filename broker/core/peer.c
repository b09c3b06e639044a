/* What the core knows of a connection. */
#include "broker/core/peer.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/core/assembly.h"
#include "broker/core/backup.h"
#include "broker/core/call.h"
#include "broker/core/client.h"
#include "broker/core/consumer.h"
#include "broker/core/dispatch.h"
#include "broker/core/entity_read.h"
#include "broker/core/line.h"
#include "broker/core/output.h"
#include "broker/core/peek.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/state.h"
#include "broker/core/watch.h"

struct peer *peer_new(struct core *core, const struct peer_origin *origin, void *connection)
{
    struct peer *peer = calloc(1, sizeof *peer);
    struct peer_origin *copy = malloc(sizeof *copy);
    if (peer == NULL || copy == NULL) {
        free(peer);
        free(copy);
        return NULL;
    }
    *copy = *origin;
    peer->core = core;
    peer->connection = connection;
    peer->origin = copy;
    peer->number = core->next_peer++;
    peer->frame_bytes_max = FRAME_BYTES_MIN;
    peer->stream.sender = FRAME_SENDER_CLIENT;
    peer->stream.phase = FRAME_PHASE_HELLO;
    peer->stream.frame_bytes_max = FRAME_BYTES_MIN;
    peer->line.next_first = 1;
    LIST_INIT(&peer->watchers);
    peer->lease_timer.kind = TIMER_LEASE;
    peer->lease_due_ms = UINT64_MAX;
    buffer_init(&peer->output);
    TAILQ_INSERT_TAIL(&core->peers, peer, link);
    core->peer_count++;
    core->unauthenticated_count++;
    return peer;
}

/* Exclusive queues live as long as their owner. */
static void end_exclusive_queues(struct peer *peer)
{
    struct queue *queue;
    struct queue *next;
    if (peer->exclusive_count == 0)
        return;
    HASH_ITER (by_name, peer->core->queues_by_name, queue, next)
        if (queue->owner == peer)
            queue_end(peer->core, queue, STATUS_NO_QUEUE);
}

static void tell_closed(const struct peer *peer)
{
    if (!peer->is_admitted)
        return;
    const char *code = peer->closed_with != STATUS_OK ? status_name(peer->closed_with) : "";
    sys_tell(peer->core, &(struct sys_event){SYS_CONNECTION_CLOSED,
                                             .as.connection_closed = {
                                                 .connection = peer->number,
                                                 .client = peer_client_name(peer),
                                                 .from = wire_bytes_of_text(peer->origin->text),
                                                 .code = wire_bytes_of_text(code)}});
}

void peer_free(struct peer *peer)
{
    if (peer == NULL)
        return;
    struct core *core = peer->core;
    recorder_close(core);
    peer->state = PEER_CLOSING;
    tell_closed(peer);
    backup_end_peer(peer);
    call_end_peer(peer);
    watch_end_peer(peer);
    peek_end_peer(peer);
    entity_read_end_peer(peer);
    wheel_disarm(&core->wheel, &peer->lease_timer);
    consumer_end_peer(peer, peer->has_left ? PEER_LEFT : PEER_LOST);
    end_exclusive_queues(peer);
    if (peer->client != NULL) {
        struct client *client = peer->client;
        client_leave(core, client);
        if (peer->has_left && !peer->is_client_kept)
            client_forget(core, client);
    }
    recorder_close(core);
    line_deinit(peer);
    assembly_free(peer);
    if (peer->is_dirty)
        TAILQ_REMOVE(&core->dirty, peer, dirty_link);
    if (peer->is_owed_credit)
        TAILQ_REMOVE(&core->creditors, peer, credit_link);
    TAILQ_REMOVE(&core->peers, peer, link);
    core->peer_count--;
    if (!peer->is_admitted)
        core->unauthenticated_count--;
    buffer_deinit(&peer->output);
    free(peer->client_name);
    free(peer->origin);
    free(peer);
}

struct wire_bytes peer_client_name(const struct peer *peer)
{
    return wire_bytes_of_text(peer->client_name != NULL ? peer->client_name : "");
}

void *peer_connection(const struct peer *peer)
{
    return peer->connection;
}

/* Before the hello: the magic, without which nothing is believed. */
static enum status take_magic(struct peer *peer, const unsigned char *at, size_t bytes,
                              size_t *used, size_t *wanted)
{
    if (peer->has_magic)
        return STATUS_OK;
    enum status status = stream_check_magic(at, bytes);
    if (status == STATUS_MORE)
        *wanted = FRAME_MAGIC_BYTES;
    if (status != STATUS_OK)
        return status;
    peer->has_magic = true;
    *used = FRAME_MAGIC_BYTES;
    return STATUS_OK;
}

static enum status take_frames(struct peer *peer, const unsigned char *at, size_t bytes,
                               size_t *used, size_t *wanted)
{
    while (peer->state != PEER_CLOSING && !peer->is_leaving) {
        struct frame frame;
        enum status status = stream_next(&peer->stream, at + *used, bytes - *used, &frame, wanted);
        if (status != STATUS_OK)
            return status;
        if (budget_holds(&peer->core->budget, frame.header.type)) {
            *wanted = 0;
            return STATUS_OK;
        }
        dispatch_frame(peer, &frame);
        *used += frame.header.length;
    }
    return STATUS_OK;
}

size_t peer_receive(struct peer *peer, const unsigned char *at, size_t bytes, size_t *wanted)
{
    struct core *core = peer->core;
    size_t used = 0;
    *wanted = 1;
    if (peer->state == PEER_CLOSING || peer->is_leaving)
        return bytes;
    enum status status = take_magic(peer, at, bytes, &used, wanted);
    if (status == STATUS_OK)
        status = take_frames(peer, at, bytes, &used, wanted);
    recorder_close(core);
    if (status != STATUS_OK && status != STATUS_MORE) {
        core->counters.connections_refused++;
        peer_close(peer, status, NULL);
    }
    return peer->state == PEER_CLOSING || peer->is_leaving ? bytes : used;
}

const struct buffer *peer_output(const struct peer *peer)
{
    return &peer->output;
}

void peer_sent(struct peer *peer, size_t bytes)
{
    buffer_consume(&peer->output, bytes);
    size_t left = buffer_bytes(&peer->output);
    if (left == 0)
        output_rest(peer);
    backup_on_sent(peer);
    if (peer->is_full && left < peer->core->limits.unsent_bytes_max / 2) {
        peer->is_full = false;
        consumer_update_all(peer);
        peer->core->has_more = true;
    }
}

bool peer_is_closing(const struct peer *peer)
{
    return peer->state == PEER_CLOSING;
}

bool peer_is_open(const struct peer *peer)
{
    return peer->state == PEER_OPEN;
}

uint32_t peer_heartbeat_ms(const struct peer *peer)
{
    return peer->heartbeat_ms;
}

void peer_send_heartbeat(struct peer *peer)
{
    if (peer->state != PEER_OPEN)
        return;
    struct frame frame = {.header.type = FRAME_HEARTBEAT};
    frame.as.heartbeat.time_ms = peer->core->now_ms;
    output_frame(peer, &frame);
}

void peer_close(struct peer *peer, enum status status, const char *text)
{
    if (peer->state == PEER_CLOSING)
        return;
    struct frame frame = {.header.type = FRAME_CLOSE};
    frame.as.close.code = (uint16_t)status;
    frame.as.close.text = wire_bytes_of_text(text != NULL ? text : status_text(status));
    output_frame(peer, &frame);
    if (peer->closed_with == STATUS_OK)
        peer->closed_with = (uint16_t)status;
    peer->state = PEER_CLOSING;
    consumer_update_all(peer);
    output_mark_dirty(peer);
    peer->core->note(peer->core->note_context, CORE_NOTE_DEBUG, "peer",
                     text != NULL ? text : status_text(status));
}

uint32_t peer_count(const struct core *core)
{
    return core->peer_count;
}

uint32_t peer_unauthenticated_count(const struct core *core)
{
    return core->unauthenticated_count;
}
