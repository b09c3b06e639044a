/* A core with nothing behind its doors, for tests of the net floor. */
#include "tests/support/fake_peer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/wire.h"

#define FAKE_PEERS_MAX 4096

struct core {
    struct fake_settings settings;
    struct fake_figures figures;
    struct peer *dirty[FAKE_PEERS_MAX];
    size_t dirty_count;
    uint32_t round_frames;
};

struct peer {
    struct core *core;
    void *connection;
    struct buffer output;
    bool is_open;
    bool is_closing;
    bool is_dirty;
};

struct core *fake_core_new(const struct fake_settings *settings)
{
    struct core *core = calloc(1, sizeof(*core));
    assert(core != NULL);
    core->settings = *settings;
    return core;
}

void fake_core_free(struct core *core)
{
    assert(core->figures.peer_count == 0);
    free(core);
}

struct fake_figures *fake_core_figures(struct core *core)
{
    return &core->figures;
}

void fake_core_next_round(struct core *core)
{
    core->round_frames = 0;
}

static void mark(struct peer *peer)
{
    if (peer->is_dirty)
        return;
    assert(peer->core->dirty_count < FAKE_PEERS_MAX);
    peer->is_dirty = true;
    peer->core->dirty[peer->core->dirty_count++] = peer;
}

void fake_peer_say(struct peer *peer, size_t bytes)
{
    unsigned char *room = buffer_reserve(&peer->output, bytes);
    assert(room != NULL);
    memset(room, 0, bytes);
    buffer_commit(&peer->output, bytes);
    mark(peer);
}

bool core_has_dirty(const struct core *core)
{
    return core->dirty_count > 0;
}

struct peer *core_next_dirty(struct core *core)
{
    if (core->dirty_count == 0)
        return NULL;
    struct peer *peer = core->dirty[--core->dirty_count];
    peer->is_dirty = false;
    return peer;
}

struct peer *peer_new(struct core *core, const struct peer_origin *origin, void *connection)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    assert(peer != NULL);
    peer->core = core;
    peer->connection = connection;
    buffer_init(&peer->output);
    core->figures.peer_count++;
    core->figures.made_count++;
    core->figures.origin = *origin;
    core->figures.newest = peer;
    return peer;
}

void peer_free(struct peer *peer)
{
    if (peer == NULL)
        return;
    struct core *core = peer->core;
    for (size_t i = 0; i < core->dirty_count; i++) {
        if (core->dirty[i] == peer)
            core->dirty[i--] = core->dirty[--core->dirty_count];
    }
    if (core->figures.newest == peer)
        core->figures.newest = NULL;
    core->figures.peer_count--;
    buffer_deinit(&peer->output);
    free(peer);
}

void *peer_connection(const struct peer *peer)
{
    return peer->connection;
}

static void take_frame(struct peer *peer, uint32_t bytes)
{
    peer->core->figures.frame_count++;
    peer->core->round_frames++;
    peer->core->figures.frame_bytes += bytes;
    if (peer->core->settings.opens_at_once && !peer->is_open) {
        peer->is_open = true;
        mark(peer);
    }
    if (peer->core->settings.echo_bytes > 0)
        fake_peer_say(peer, peer->core->settings.echo_bytes);
}

size_t peer_receive(struct peer *peer, const unsigned char *at, size_t bytes, size_t *wanted)
{
    const struct fake_settings *settings = &peer->core->settings;
    size_t used = 0;
    peer->core->figures.receive_count++;
    for (;;) {
        *wanted = 0;
        if (settings->round_frames > 0 && peer->core->round_frames >= settings->round_frames)
            return used;
        *wanted = 4;
        if (bytes - used < 4)
            return used;
        uint32_t frame = wire_load_u32(at + used);
        if (frame < 4 || frame > settings->frame_bytes_max) {
            peer_close(peer, STATUS_FRAME_TOO_LARGE, NULL);
            return bytes;
        }
        *wanted = frame;
        if (bytes - used < frame)
            return used;
        used += frame;
        take_frame(peer, frame);
    }
}

const struct buffer *peer_output(const struct peer *peer)
{
    return &peer->output;
}

void peer_sent(struct peer *peer, size_t bytes)
{
    buffer_consume(&peer->output, bytes);
}

bool peer_is_closing(const struct peer *peer)
{
    return peer->is_closing;
}

bool peer_is_open(const struct peer *peer)
{
    return peer->is_open;
}

uint32_t peer_heartbeat_ms(const struct peer *peer)
{
    return peer->core->settings.heartbeat_ms;
}

void peer_send_heartbeat(struct peer *peer)
{
    peer->core->figures.heartbeat_count++;
    fake_peer_say(peer, 1);
}

void peer_close(struct peer *peer, enum status status, const char *text)
{
    (void)text;
    if (peer->is_closing)
        return;
    peer->is_closing = true;
    peer->core->figures.closed_with = status;
    fake_peer_say(peer, 1);
}
