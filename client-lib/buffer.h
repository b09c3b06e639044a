/* A growing run of bytes that is filled at the end and used up at the front. */
#ifndef HERALD_CLIENT_BUFFER_H
#define HERALD_CLIENT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The live bytes are bytes[at..end). Every byte also has an offset that never changes: that of
 * bytes[0] is `origin`. */
struct buffer {
    unsigned char *bytes;
    size_t at;
    size_t end;
    size_t capacity;
    uint64_t origin;
};

void buffer_init(struct buffer *buffer);
void buffer_deinit(struct buffer *buffer);

/* Room for `bytes` more behind the live ones, or NULL without memory. Pointers into the buffer from
 * before are void. Nothing is taken until buffer_commit. */
unsigned char *buffer_reserve(struct buffer *buffer, size_t bytes);
void buffer_commit(struct buffer *buffer, size_t bytes);

/* Uses up the front until offset `through`. */
void buffer_drop(struct buffer *buffer, uint64_t through);
void buffer_clear(struct buffer *buffer);

/* Gives memory back when the buffer is empty and has grown beyond `capacity_max`. */
void buffer_shrink(struct buffer *buffer, size_t capacity_max);

static inline size_t buffer_bytes(const struct buffer *buffer)
{
    return buffer->end - buffer->at;
}

static inline uint64_t buffer_offset_front(const struct buffer *buffer)
{
    return buffer->origin + buffer->at;
}

static inline uint64_t buffer_offset_end(const struct buffer *buffer)
{
    return buffer->origin + buffer->end;
}

static inline unsigned char *buffer_at(const struct buffer *buffer, uint64_t offset)
{
    return buffer->bytes + (size_t)(offset - buffer->origin);
}

#endif
