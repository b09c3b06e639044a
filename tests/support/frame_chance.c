/* Makes frames of any type with fields of any value, and compares frames. */
#include "tests/support/frame_chance.h"

const unsigned char frame_types[] = {
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text) type,
#include "protocol/frames.def"
};
const size_t frame_types_count = sizeof frame_types;

void chance_fill(struct chance *chance, void *at, size_t bytes)
{
    unsigned char *byte = at;
    for (size_t i = 0; i < bytes; i++)
        byte[i] = (unsigned char)chance_next(chance);
}

void frame_pool_init(struct frame_pool *pool, struct chance *chance)
{
    chance_fill(chance, pool->byte, sizeof pool->byte);
}

uint8_t frame_flag_mask(unsigned type)
{
    switch (type) {
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    case type:                                                                                     \
        return flag_mask;
#include "protocol/frames.def"
    default:
        return 0;
    }
}

static uint64_t make_number(struct chance *chance, uint64_t max)
{
    switch (chance_below(chance, 5)) {
    case 0:
        return 0;
    case 1:
        return max;
    case 2:
        return chance_below(chance, 300) & max;
    default:
        return chance_next(chance) & max;
    }
}

static struct wire_bytes make_bytes(struct chance *chance, const struct frame_pool *pool,
                                    uint32_t max)
{
    static const uint32_t usual = 64;
    uint32_t bytes = 0;
    switch (chance_below(chance, 16)) {
    case 0:
        bytes = 0;
        break;
    case 1:
        bytes = max;
        break;
    case 2:
        bytes = (uint32_t)chance_below(chance, max + 1U);
        break;
    default:
        bytes = (uint32_t)chance_below(chance, usual);
        break;
    }
    uint32_t at = (uint32_t)chance_below(chance, sizeof pool->byte - bytes);
    return wire_bytes_of(pool->byte + at, bytes);
}

static uint8_t make_u8(struct chance *chance, const struct frame_pool *pool)
{
    (void)pool;
    return (uint8_t)make_number(chance, UINT8_MAX);
}

static uint16_t make_u16(struct chance *chance, const struct frame_pool *pool)
{
    (void)pool;
    return (uint16_t)make_number(chance, UINT16_MAX);
}

static uint32_t make_u32(struct chance *chance, const struct frame_pool *pool)
{
    (void)pool;
    return (uint32_t)make_number(chance, UINT32_MAX);
}

static uint64_t make_u64(struct chance *chance, const struct frame_pool *pool)
{
    (void)pool;
    return make_number(chance, UINT64_MAX);
}

static struct wire_id make_id(struct chance *chance, const struct frame_pool *pool)
{
    struct wire_id id;
    (void)pool;
    for (size_t i = 0; i < sizeof id.byte; i++)
        id.byte[i] = (unsigned char)chance_next(chance);
    return id;
}

static struct wire_bytes make_str8(struct chance *chance, const struct frame_pool *pool)
{
    return make_bytes(chance, pool, UINT8_MAX);
}

static struct wire_bytes make_str16(struct chance *chance, const struct frame_pool *pool)
{
    return make_bytes(chance, pool, UINT16_MAX);
}

static struct wire_bytes make_rest(struct chance *chance, const struct frame_pool *pool)
{
    return make_bytes(chance, pool, UINT16_MAX);
}

void frame_chance(struct frame *frame, unsigned type, struct chance *chance,
                  const struct frame_pool *pool)
{
    memset(frame, 0, sizeof *frame);
    frame->header.type = (uint8_t)type;
    frame->header.flags = (uint8_t)(chance_next(chance) & frame_flag_mask(type));
    frame->header.tag = make_number(chance, UINT64_MAX);
    switch (type) {
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    case type: {                                                                                   \
        struct frame_##name *fields = &frame->as.name;
#define FIELD(kind, name, text) fields->name = make_##kind(chance, pool);
#define FRAME_END(NAME, name)                                                                      \
    break;                                                                                         \
    }
#include "protocol/frames.def"
    default:
        break;
    }
}

static bool is_same_u8(uint8_t a, uint8_t b)
{
    return a == b;
}

static bool is_same_u16(uint16_t a, uint16_t b)
{
    return a == b;
}

static bool is_same_u32(uint32_t a, uint32_t b)
{
    return a == b;
}

static bool is_same_u64(uint64_t a, uint64_t b)
{
    return a == b;
}

static bool is_same_id(struct wire_id a, struct wire_id b)
{
    return memcmp(a.byte, b.byte, sizeof a.byte) == 0;
}

static bool is_same_str8(struct wire_bytes a, struct wire_bytes b)
{
    return wire_bytes_equal(a, b);
}

static bool is_same_str16(struct wire_bytes a, struct wire_bytes b)
{
    return wire_bytes_equal(a, b);
}

static bool is_same_rest(struct wire_bytes a, struct wire_bytes b)
{
    return wire_bytes_equal(a, b);
}

bool frame_equal(const struct frame *a, const struct frame *b)
{
    if (a->header.type != b->header.type || a->header.flags != b->header.flags ||
        a->header.tag != b->header.tag)
        return false;
    switch (a->header.type) {
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    case type: {                                                                                   \
        const struct frame_##name *x = &a->as.name;                                                \
        const struct frame_##name *y = &b->as.name;                                                \
        bool same = true;
#define FIELD(kind, name, text) same = same && is_same_##kind(x->name, y->name);
#define FRAME_END(NAME, name)                                                                      \
    return same;                                                                                   \
    }
#include "protocol/frames.def"
    default:
        return false;
    }
}

bool frame_put(struct wire_writer *w, const struct frame *frame)
{
    switch (frame->header.type) {
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    case type:                                                                                     \
        return frame_put_##name(w, frame->header.flags, frame->header.tag, &frame->as.name);
#include "protocol/frames.def"
    default:
        return false;
    }
}
