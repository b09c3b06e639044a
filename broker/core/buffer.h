/* A run of bytes that grows at its end and is used up from its front.
 *
 * The memory is one contiguous piece; when it empties it starts over at the front. Appending is
 * cheap for small things on purpose: a connection's output is gathered here and written with one
 * call.
 */
#ifndef HERALD_BUFFER_H
#define HERALD_BUFFER_H

#include <stddef.h>

#include "protocol/status.h"

struct buffer {
    unsigned char *memory;
    size_t room;
    size_t start; /* first byte that is still to be used */
    size_t end;   /* one past the last byte */
};

void buffer_init(struct buffer *buffer);

/* Gives the memory back; the buffer is empty and can be used again. */
void buffer_deinit(struct buffer *buffer);

static inline size_t buffer_bytes(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline const unsigned char *buffer_at(const struct buffer *buffer)
{
    return buffer->memory + buffer->start;
}

/* Room for at least `bytes` more at the end, valid until the next call on the buffer, or NULL when
 * memory ran out; nothing has changed then. */
unsigned char *buffer_reserve(struct buffer *buffer, size_t bytes);

/* Makes `bytes` of what was reserved part of the buffer. */
void buffer_commit(struct buffer *buffer, size_t bytes);

/* STATUS_OK or STATUS_NO_MEMORY. */
enum status buffer_append(struct buffer *buffer, const void *at, size_t bytes);

/* Uses up bytes at the front. */
void buffer_consume(struct buffer *buffer, size_t bytes);

#endif
