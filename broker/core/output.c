/* What goes to a peer: frames encoded at the end of its output. */
#include "broker/core/output.h"

#include "broker/plant.h"
#include "broker/core/state.h"

void output_mark_dirty(struct peer *peer)
{
    if (peer->is_dirty)
        return;
    peer->is_dirty = true;
    TAILQ_INSERT_TAIL(&peer->core->dirty, peer, dirty_link);
}

enum {
    /* Large outputs are passed on from connection to connection, so that busy ones need not grow
     * anew in every round. */
    SPARE_BYTES_MIN = 64 << 10,
    SPARE_BYTES_MAX = 4 << 20,
};

void output_rest(struct peer *peer)
{
    struct core *core = peer->core;
    size_t room = peer->output.room;
    if (core->spare_count < CORE_SPARE_OUTPUTS && room >= SPARE_BYTES_MIN &&
        room <= SPARE_BYTES_MAX) {
        core->spares[core->spare_count++] = peer->output;
        buffer_init(&peer->output);
    } else {
        buffer_deinit(&peer->output); /* an idle connection is small */
    }
}

/* Without memory for its output a peer cannot even be told; it just ends. */
static void output_break(struct peer *peer)
{
    buffer_deinit(&peer->output);
    peer->state = PEER_CLOSING;
    output_mark_dirty(peer);
}

static bool output_room(struct peer *peer, size_t bytes, struct wire_writer *w)
{
    if (peer->state == PEER_CLOSING)
        return false;
    struct core *core = peer->core;
    if (buffer_bytes(&peer->output) == 0 && core->spare_count > 0 &&
        peer->output.room < SPARE_BYTES_MIN) {
        buffer_deinit(&peer->output);
        peer->output = core->spares[--core->spare_count];
    }
    unsigned char *at = buffer_reserve(&peer->output, bytes);
    if (at == NULL) {
        output_break(peer);
        return false;
    }
    *w = wire_writer_of(at, bytes);
    return true;
}

static void output_commit(struct peer *peer, const struct wire_writer *w)
{
    buffer_commit(&peer->output, wire_written(w));
    /* Only peer_sent takes this back, because it wakes the consumers again. */
    if (buffer_bytes(&peer->output) >= peer->core->limits.unsent_bytes_max &&
        !planted(PLANT_OUTPUT_UNBOUNDED))
        peer->is_full = true;
    output_mark_dirty(peer);
}

void output_append(struct peer *peer, const void *frames, size_t bytes)
{
    struct wire_writer w;
    if (!output_room(peer, bytes, &w))
        return;
    wire_put_rest(&w, wire_bytes_of(frames, (uint32_t)bytes));
    output_commit(peer, &w);
}

void output_confirm(struct peer *peer, const struct frame_confirm *confirm)
{
    struct wire_writer w;
    if (!output_room(peer, FRAME_HEADER_BYTES + 16, &w))
        return;
    frame_put_confirm(&w, 0, 0, confirm);
    output_commit(peer, &w);
}

void output_frame(struct peer *peer, struct frame *frame)
{
    struct wire_writer w;
    if (!output_room(peer, frame_encoded_bytes(frame), &w))
        return;
    frame_encode(&w, frame);
    output_commit(peer, &w);
}

/* What does not fit the first frame follows in pieces, right behind it. */
static void put_pieces(const struct peer *peer, struct wire_writer *w, struct wire_bytes rest)
{
    uint32_t piece_max = peer->frame_bytes_max - FRAME_HEADER_BYTES;
    while (rest.bytes > 0) {
        uint32_t bytes = rest.bytes < piece_max ? rest.bytes : piece_max;
        frame_put_piece(w, 0, 0, &(struct frame_piece){wire_bytes_of(rest.at, bytes)});
        rest.at += bytes;
        rest.bytes -= bytes;
    }
}

/* How much of a body stands in the first frame, whose other fields take `bytes`. */
static struct wire_bytes split_body(const struct peer *peer, size_t bytes, struct wire_bytes *body)
{
    struct wire_bytes rest = {NULL, 0};
    uint32_t room = peer->frame_bytes_max > bytes ? peer->frame_bytes_max - (uint32_t)bytes : 0;
    if (body->bytes > room) {
        rest = wire_bytes_of(body->at + room, body->bytes - room);
        body->bytes = room;
    }
    return rest;
}

static size_t pieces_bytes(const struct peer *peer, size_t fields, uint32_t body_bytes)
{
    size_t piece_max = peer->frame_bytes_max - FRAME_HEADER_BYTES;
    return fields + body_bytes + (body_bytes / piece_max + 1) * FRAME_HEADER_BYTES;
}

void output_deliver(struct peer *peer, uint8_t flags, const struct frame_deliver *deliver)
{
    size_t fields = FRAME_HEADER_BYTES + 43 + deliver->exchange.bytes + deliver->key.bytes +
                    deliver->properties.bytes + deliver->headers.bytes;
    struct wire_writer w;
    if (!output_room(peer, pieces_bytes(peer, fields, deliver->body.bytes), &w))
        return;
    if (fields + deliver->body.bytes <= peer->frame_bytes_max) {
        frame_put_deliver(&w, flags, 0, deliver);
    } else {
        struct frame_deliver first = *deliver;
        struct wire_bytes rest = split_body(peer, fields, &first.body);
        frame_put_deliver(&w, flags, 0, &first);
        put_pieces(peer, &w, rest);
    }
    output_commit(peer, &w);
}

void output_event(struct peer *peer, uint8_t flags, uint64_t tag, const struct frame_event *event)
{
    size_t fields = FRAME_HEADER_BYTES + 4 * 8 + 1 + event->key.bytes + 2 +
                    event->properties.bytes + 2 + event->headers.bytes + 4;
    struct wire_writer w;
    if (!output_room(peer, pieces_bytes(peer, fields, event->body.bytes), &w))
        return;
    struct frame_event first = *event;
    struct wire_bytes rest = split_body(peer, fields, &first.body);
    frame_put_event(&w, flags, tag, &first);
    put_pieces(peer, &w, rest);
    output_commit(peer, &w);
}

static size_t outcome_fields(const struct frame_outcome *outcome)
{
    return FRAME_HEADER_BYTES + 2 + 1 + outcome->code.bytes + 2 + outcome->text.bytes + 4;
}

static void put_outcome(const struct peer *peer, struct wire_writer *w, uint64_t tag,
                        const struct frame_outcome *outcome)
{
    struct frame_outcome first = *outcome;
    struct wire_bytes rest = split_body(peer, outcome_fields(outcome), &first.body);
    frame_put_outcome(w, 0, tag, &first);
    put_pieces(peer, w, rest);
}

void output_outcome(struct peer *peer, uint64_t tag, const struct frame_outcome *outcome)
{
    struct wire_writer w;
    if (!output_room(peer, pieces_bytes(peer, outcome_fields(outcome), outcome->body.bytes), &w))
        return;
    put_outcome(peer, &w, tag, outcome);
    output_commit(peer, &w);
}

bool output_encode_outcome(struct buffer *frames, const struct peer *peer, uint64_t tag,
                           const struct frame_outcome *outcome)
{
    size_t bytes = pieces_bytes(peer, outcome_fields(outcome), outcome->body.bytes);
    unsigned char *at = buffer_reserve(frames, bytes);
    if (at == NULL)
        return false;
    struct wire_writer w = wire_writer_of(at, bytes);
    put_outcome(peer, &w, tag, outcome);
    buffer_commit(frames, wire_written(&w));
    return true;
}

bool output_encode_state(struct buffer *frames, const struct peer *peer, uint64_t tag,
                         uint8_t flags, const struct frame_command_state *state)
{
    struct frame frame = {.header.type = FRAME_COMMAND_STATE, .as.command_state = *state};
    frame.as.command_state.body.bytes = 0;
    size_t fields = frame_encoded_bytes(&frame);
    size_t bytes = pieces_bytes(peer, fields, state->body.bytes);
    unsigned char *at = buffer_reserve(frames, bytes);
    if (at == NULL)
        return false;
    struct wire_writer w = wire_writer_of(at, bytes);
    struct frame_command_state first = *state;
    struct wire_bytes rest = split_body(peer, fields, &first.body);
    frame_put_command_state(&w, flags, tag, &first);
    put_pieces(peer, &w, rest);
    buffer_commit(frames, wire_written(&w));
    return true;
}

bool output_encode_peeked(struct buffer *frames, const struct peer *peer, uint64_t tag,
                          const struct frame_peeked *peeked)
{
    struct frame frame = {.header.type = FRAME_PEEKED, .as.peeked = *peeked};
    frame.as.peeked.body.bytes = 0;
    size_t fields = frame_encoded_bytes(&frame);
    size_t bytes = pieces_bytes(peer, fields, peeked->body.bytes);
    unsigned char *at = buffer_reserve(frames, bytes);
    if (at == NULL)
        return false;
    struct wire_writer w = wire_writer_of(at, bytes);
    struct frame_peeked first = *peeked;
    struct wire_bytes rest = split_body(peer, fields, &first.body);
    frame_put_peeked(&w, 0, tag, &first);
    put_pieces(peer, &w, rest);
    buffer_commit(frames, wire_written(&w));
    return true;
}
