/* Makes frames of any type with fields of any value, and compares frames; made from frames.def. */
#ifndef HERALD_FRAME_CHANCE_H
#define HERALD_FRAME_CHANCE_H

#include "protocol/frame.h"
#include "tests/support/chance.h"

enum {
    FRAME_CHANCE_POOL_BYTES = 70000,
    /* No frame that is made here is larger when encoded. */
    FRAME_CHANCE_BYTES_MAX = 8 * FRAME_CHANCE_POOL_BYTES,
};

/* Where the byte fields of the frames that were made point to. */
struct frame_pool {
    unsigned char byte[FRAME_CHANCE_POOL_BYTES];
};

/* Any bytes. */
void chance_fill(struct chance *chance, void *at, size_t bytes);

void frame_pool_init(struct frame_pool *pool, struct chance *chance);

/* All types of frames.def, in its order. */
extern const unsigned char frame_types[];
extern const size_t frame_types_count;

/* A frame of this type that can be encoded: numbers lean to their bounds, byte fields to being
 * empty, short, or as long as their kind allows. The frame points into the pool. */
void frame_chance(struct frame *frame, unsigned type, struct chance *chance,
                  const struct frame_pool *pool);

/* The bits that may be set in the header's flags. */
uint8_t frame_flag_mask(unsigned type);

/* The same type, flags, tag and fields. */
bool frame_equal(const struct frame *a, const struct frame *b);

/* Encodes by the encoder of the one type instead of frame_encode. */
bool frame_put(struct wire_writer *w, const struct frame *frame);

#endif
