/* Finding the batches of a segment. */
#include "broker/store/walk.h"

#include "broker/plant.h"

void walk_start(struct walk *walk, struct window *window, uint64_t sequence)
{
    *walk = (struct walk){.window = window, .offset = SEGMENT_HEADER_BYTES, .sequence = sequence};
}

bool walk_next(struct walk *walk)
{
    struct window *window = walk->window;
    uint32_t left = window->segment_bytes - walk->offset;
    if (left < BATCH_ALIGN)
        return false;
    struct batch_place place = {window->salt, window->number, walk->offset};
    struct batch_header header;
    const unsigned char *at = window_at(window, walk->offset, BATCH_ALIGN);
    if (at == NULL || !batch_header_decode(at, &place, &header) ||
        (walk->sequence != 0 && header.sequence != walk->sequence &&
         !planted(PLANT_SEQUENCE_NOT_CHECKED)))
        return false;
    uint64_t total = batch_total_bytes(header.payload_bytes);
    if (total > left)
        return false;
    at = window_at(window, walk->offset, (uint32_t)total);
    if (at == NULL || !batch_check(at, total, &place, &header))
        return false;
    walk->at = at;
    walk->last = header;
    walk->last_offset = walk->offset;
    walk->sequence = header.sequence + 1;
    walk->offset += (uint32_t)total;
    return true;
}

bool walk_is_near(const struct walk *walk)
{
    struct window *window = walk->window;
    if (!window_has(window, walk->offset, BATCH_ALIGN))
        return false;
    struct batch_place place = {window->salt, window->number, walk->offset};
    struct batch_header header;
    if (!batch_header_decode(window->at + (walk->offset - window->offset), &place, &header))
        return false;
    uint64_t total = batch_total_bytes(header.payload_bytes);
    return total <= window->bytes && window_has(window, walk->offset, (uint32_t)total);
}

uint32_t walk_find_header(struct window *window, uint32_t from, struct batch_header *header)
{
    for (uint32_t offset = from; window->segment_bytes - offset >= BATCH_ALIGN;
         offset += BATCH_ALIGN) {
        struct batch_place place = {window->salt, window->number, offset};
        const unsigned char *at = window_at(window, offset, BATCH_ALIGN);
        if (at == NULL)
            return 0;
        if (batch_header_decode(at, &place, header))
            return offset;
    }
    return 0;
}
