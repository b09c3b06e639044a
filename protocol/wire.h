/* Bounded cursors over bytes: the only place where lengths of encoded data are touched.
 *
 * A reader never passes its end and a writer never passes its room. Both remember the first
 * failure: after it a reader yields zeros and a writer writes nothing, so that a run of fields is
 * read or written straight through and checked once. All integers are little-endian.
 */
#ifndef HERALD_WIRE_H
#define HERALD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that belong to somebody else: the buffer that was decoded from. */
struct wire_bytes {
    const unsigned char *at;
    uint32_t bytes;
};

struct wire_id {
    unsigned char byte[16];
};

struct wire_reader {
    const unsigned char *at;
    const unsigned char *end;
    bool failed;
};

struct wire_writer {
    unsigned char *start;
    unsigned char *at;
    unsigned char *end;
    bool failed;
};

static inline struct wire_bytes wire_bytes_of(const void *at, uint32_t bytes)
{
    return (struct wire_bytes){at, bytes};
}

static inline struct wire_bytes wire_bytes_of_text(const char *text)
{
    return (struct wire_bytes){(const unsigned char *)text, (uint32_t)strlen(text)};
}

static inline bool wire_bytes_equal(struct wire_bytes a, struct wire_bytes b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.at, b.at, a.bytes) == 0);
}

static inline bool wire_id_is_zero(const struct wire_id *id)
{
    static const struct wire_id zero;
    return memcmp(id, &zero, sizeof zero) == 0;
}

static inline uint16_t wire_load_u16(const unsigned char *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t wire_load_u32(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t wire_load_u64(const unsigned char *at)
{
    return (uint64_t)wire_load_u32(at) | (uint64_t)wire_load_u32(at + 4) << 32;
}

static inline void wire_store_u16(unsigned char *at, uint16_t value)
{
    at[0] = (unsigned char)value;
    at[1] = (unsigned char)(value >> 8);
}

static inline void wire_store_u32(unsigned char *at, uint32_t value)
{
    wire_store_u16(at, (uint16_t)value);
    wire_store_u16(at + 2, (uint16_t)(value >> 16));
}

static inline void wire_store_u64(unsigned char *at, uint64_t value)
{
    wire_store_u32(at, (uint32_t)value);
    wire_store_u32(at + 4, (uint32_t)(value >> 32));
}

/* `at` may be NULL when there are no bytes. */
static inline struct wire_reader wire_reader_of(const void *at, size_t bytes)
{
    const unsigned char *start = at != NULL ? at : (const unsigned char *)"";
    return (struct wire_reader){start, start + bytes, false};
}

static inline size_t wire_left(const struct wire_reader *r)
{
    return (size_t)(r->end - r->at);
}

/* True when every field was there and nothing is left over. */
static inline bool wire_reader_is_done(const struct wire_reader *r)
{
    return !r->failed && r->at == r->end;
}

/* The next `bytes` bytes, or NULL when there are fewer. */
static inline const unsigned char *wire_take(struct wire_reader *r, size_t bytes)
{
    if (r->failed || bytes > wire_left(r)) {
        r->failed = true;
        return NULL;
    }
    const unsigned char *at = r->at;
    r->at += bytes;
    return at;
}

static inline uint8_t wire_get_u8(struct wire_reader *r)
{
    const unsigned char *at = wire_take(r, 1);
    return at != NULL ? at[0] : 0;
}

static inline uint16_t wire_get_u16(struct wire_reader *r)
{
    const unsigned char *at = wire_take(r, 2);
    return at != NULL ? wire_load_u16(at) : 0;
}

static inline uint32_t wire_get_u32(struct wire_reader *r)
{
    const unsigned char *at = wire_take(r, 4);
    return at != NULL ? wire_load_u32(at) : 0;
}

static inline uint64_t wire_get_u64(struct wire_reader *r)
{
    const unsigned char *at = wire_take(r, 8);
    return at != NULL ? wire_load_u64(at) : 0;
}

static inline struct wire_id wire_get_id(struct wire_reader *r)
{
    struct wire_id id = {{0}};
    const unsigned char *at = wire_take(r, sizeof id.byte);
    if (at != NULL)
        memcpy(id.byte, at, sizeof id.byte);
    return id;
}

static inline struct wire_bytes wire_get_bytes(struct wire_reader *r, uint32_t bytes)
{
    const unsigned char *at = wire_take(r, bytes);
    return (struct wire_bytes){at, at != NULL ? bytes : 0};
}

/* A short string: one byte of length. */
static inline struct wire_bytes wire_get_str8(struct wire_reader *r)
{
    return wire_get_bytes(r, wire_get_u8(r));
}

/* A longer string: two bytes of length. */
static inline struct wire_bytes wire_get_str16(struct wire_reader *r)
{
    return wire_get_bytes(r, wire_get_u16(r));
}

/* Four bytes of length. */
static inline struct wire_bytes wire_get_str32(struct wire_reader *r)
{
    return wire_get_bytes(r, wire_get_u32(r));
}

/* All that is left; must be the last field. */
static inline struct wire_bytes wire_get_rest(struct wire_reader *r)
{
    return wire_get_bytes(r, (uint32_t)wire_left(r));
}

static inline struct wire_writer wire_writer_of(void *at, size_t room)
{
    unsigned char *start = at;
    return (struct wire_writer){start, start, start + room, false};
}

static inline size_t wire_written(const struct wire_writer *w)
{
    return (size_t)(w->at - w->start);
}

static inline unsigned char *wire_room(struct wire_writer *w, size_t bytes)
{
    if (w->failed || bytes > (size_t)(w->end - w->at)) {
        w->failed = true;
        return NULL;
    }
    unsigned char *at = w->at;
    w->at += bytes;
    return at;
}

static inline void wire_put_u8(struct wire_writer *w, uint8_t value)
{
    unsigned char *at = wire_room(w, 1);
    if (at != NULL)
        at[0] = value;
}

static inline void wire_put_u16(struct wire_writer *w, uint16_t value)
{
    unsigned char *at = wire_room(w, 2);
    if (at != NULL)
        wire_store_u16(at, value);
}

static inline void wire_put_u32(struct wire_writer *w, uint32_t value)
{
    unsigned char *at = wire_room(w, 4);
    if (at != NULL)
        wire_store_u32(at, value);
}

static inline void wire_put_u64(struct wire_writer *w, uint64_t value)
{
    unsigned char *at = wire_room(w, 8);
    if (at != NULL)
        wire_store_u64(at, value);
}

static inline void wire_put_id(struct wire_writer *w, struct wire_id id)
{
    unsigned char *at = wire_room(w, sizeof id.byte);
    if (at != NULL)
        memcpy(at, id.byte, sizeof id.byte);
}

static inline void wire_put_rest(struct wire_writer *w, struct wire_bytes value)
{
    unsigned char *at = wire_room(w, value.bytes);
    if (at != NULL && value.bytes > 0)
        memcpy(at, value.at, value.bytes);
}

static inline void wire_put_str8(struct wire_writer *w, struct wire_bytes value)
{
    if (value.bytes > UINT8_MAX) {
        w->failed = true;
        return;
    }
    wire_put_u8(w, (uint8_t)value.bytes);
    wire_put_rest(w, value);
}

static inline void wire_put_str16(struct wire_writer *w, struct wire_bytes value)
{
    if (value.bytes > UINT16_MAX) {
        w->failed = true;
        return;
    }
    wire_put_u16(w, (uint16_t)value.bytes);
    wire_put_rest(w, value);
}

static inline void wire_put_str32(struct wire_writer *w, struct wire_bytes value)
{
    wire_put_u32(w, value.bytes);
    wire_put_rest(w, value);
}

/* The field kinds that tables may name: how a kind is held, and how many bytes it takes encoded. */
typedef uint8_t wire_type_u8;
typedef uint16_t wire_type_u16;
typedef uint32_t wire_type_u32;
typedef uint64_t wire_type_u64;
typedef struct wire_id wire_type_id;
typedef struct wire_bytes wire_type_str8;
typedef struct wire_bytes wire_type_str16;
typedef struct wire_bytes wire_type_str32;
typedef struct wire_bytes wire_type_rest;

static inline size_t wire_size_u8(uint8_t value)
{
    (void)value;
    return 1;
}

static inline size_t wire_size_u16(uint16_t value)
{
    (void)value;
    return 2;
}

static inline size_t wire_size_u32(uint32_t value)
{
    (void)value;
    return 4;
}

static inline size_t wire_size_u64(uint64_t value)
{
    (void)value;
    return 8;
}

static inline size_t wire_size_id(struct wire_id value)
{
    return sizeof value.byte;
}

static inline size_t wire_size_str8(struct wire_bytes value)
{
    return 1 + (size_t)value.bytes;
}

static inline size_t wire_size_str16(struct wire_bytes value)
{
    return 2 + (size_t)value.bytes;
}

static inline size_t wire_size_str32(struct wire_bytes value)
{
    return 4 + (size_t)value.bytes;
}

static inline size_t wire_size_rest(struct wire_bytes value)
{
    return value.bytes;
}

#endif
