/* A message that comes in pieces. */
#include "broker/core/assembly.h"

#include <stdlib.h>

#include "broker/core/credit.h"
#include "broker/plant.h"
#include "broker/core/state.h"

/* The announced and the present part of a frame's body; false for a frame that has none. */
static bool body_of(const struct frame *frame, uint32_t *body_bytes, struct wire_bytes *body)
{
    if (frame->header.type == FRAME_SEND) {
        *body_bytes = frame->as.send.body_bytes;
        *body = frame->as.send.body;
    } else if (frame->header.type == FRAME_PUBLISH) {
        *body_bytes = frame->as.publish.body_bytes;
        *body = frame->as.publish.body;
    } else if (frame->header.type == FRAME_CALL) {
        *body_bytes = frame->as.call.body_bytes;
        *body = frame->as.call.body;
    } else if (frame->header.type == FRAME_RESULT) {
        *body_bytes = frame->as.result.body_bytes;
        *body = frame->as.result.body;
    } else if (frame->header.type == FRAME_APPEND) {
        *body_bytes = frame->as.append.body_bytes;
        *body = frame->as.append.body;
    } else if (frame->header.type == FRAME_PARKED_REPLACE) {
        *body_bytes = frame->as.parked_replace.body_bytes;
        *body = frame->as.parked_replace.body;
    } else {
        return false;
    }
    return true;
}

/* Begins to gather. Where there is no memory or the body is beyond the limit, what follows is
 * swallowed unread, so that the frame can be refused by its tag when it is whole. */
static void begin(struct peer *peer, const struct frame *frame, uint32_t body_bytes,
                  struct wire_bytes body)
{
    struct assembly *assembly = &peer->assembly;
    size_t bytes = frame->header.length;
    assembly->is_open = true;
    assembly->header = frame->header;
    assembly->bytes_left = body_bytes - body.bytes;
    assembly->bytes = bytes;
    assembly->is_too_large =
        body_bytes > peer->core->limits.message_bytes_max && !planted(PLANT_LIMIT_NOT_CHECKED);
    assembly->frame = assembly->is_too_large ? NULL : malloc(bytes + assembly->bytes_left);
    assembly->last_between = 0;
    if (assembly->frame == NULL)
        return;
    /* The body is the last field and lies where the frame was decoded from: what precedes it is the
     * frame's beginning. */
    memcpy(assembly->frame, body.at + body.bytes - bytes, bytes);
}

enum status assembly_begin(struct peer *peer, const struct frame *frame)
{
    uint32_t body_bytes;
    struct wire_bytes body;
    if (!body_of(frame, &body_bytes, &body))
        return STATUS_OK;
    enum status status = credit_charge_message(peer, frame, body_bytes - body.bytes);
    if (status != STATUS_OK)
        return status;
    if (body.bytes > body_bytes)
        return STATUS_BODY_OVERFLOW;
    if (body.bytes == body_bytes)
        return body_bytes <= peer->core->limits.message_bytes_max ? STATUS_OK : STATUS_TOO_LARGE;
    begin(peer, frame, body_bytes, body);
    return STATUS_MORE;
}

enum status assembly_add(struct peer *peer, struct wire_bytes piece, struct frame *whole)
{
    struct assembly *assembly = &peer->assembly;
    if (!assembly->is_open)
        return STATUS_UNEXPECTED_FRAME;
    if (piece.bytes > assembly->bytes_left)
        return STATUS_BODY_OVERFLOW;
    if (assembly->frame != NULL && piece.bytes > 0)
        memcpy(assembly->frame + assembly->bytes, piece.at, piece.bytes);
    assembly->bytes += piece.bytes;
    assembly->bytes_left -= piece.bytes;
    if (assembly->bytes_left > 0)
        return STATUS_MORE;
    assembly->is_open = false;
    whole->header = assembly->header;
    if (assembly->frame == NULL)
        return assembly->is_too_large ? STATUS_TOO_LARGE : STATUS_NO_MEMORY;
    wire_store_u32(assembly->frame, (uint32_t)assembly->bytes);
    return frame_decode(whole, assembly->frame);
}

void assembly_free(struct peer *peer)
{
    free(peer->assembly.frame);
    peer->assembly.frame = NULL;
    peer->assembly.is_open = false;
}
