/* A growing run of bytes that is filled at the end and used up at the front. */
#include "client-lib/buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 4096 };

void buffer_init(struct buffer *buffer)
{
    *buffer = (struct buffer){0};
}

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->bytes);
    buffer_init(buffer);
}

static void move_to_front(struct buffer *buffer)
{
    size_t live = buffer_bytes(buffer);
    if (live > 0)
        memmove(buffer->bytes, buffer->bytes + buffer->at, live);
    buffer->origin += buffer->at;
    buffer->at = 0;
    buffer->end = live;
}

unsigned char *buffer_reserve(struct buffer *buffer, size_t bytes)
{
    if (bytes <= buffer->capacity - buffer->end)
        return buffer->bytes + buffer->end;
    size_t live = buffer_bytes(buffer);
    if (bytes > SIZE_MAX / 2 - live)
        return NULL;
    /* Moving at most a quarter of the room keeps the cost below one byte moved for three put in. */
    if (live + bytes <= buffer->capacity && live <= buffer->capacity / 4) {
        move_to_front(buffer);
        return buffer->bytes + buffer->end;
    }
    size_t capacity = buffer->capacity > 0 ? buffer->capacity * 2 : CAPACITY_FIRST;
    while (capacity < live + bytes)
        capacity *= 2;
    unsigned char *grown = malloc(capacity);
    if (grown == NULL)
        return NULL;
    if (live > 0)
        memcpy(grown, buffer->bytes + buffer->at, live);
    free(buffer->bytes);
    buffer->bytes = grown;
    buffer->capacity = capacity;
    buffer->origin += buffer->at;
    buffer->at = 0;
    buffer->end = live;
    return buffer->bytes + buffer->end;
}

void buffer_commit(struct buffer *buffer, size_t bytes)
{
    assert(bytes <= buffer->capacity - buffer->end);
    buffer->end += bytes;
}

void buffer_drop(struct buffer *buffer, uint64_t through)
{
    assert(through >= buffer_offset_front(buffer) && through <= buffer_offset_end(buffer));
    buffer->at = (size_t)(through - buffer->origin);
    if (buffer->at == buffer->end)
        buffer_clear(buffer);
}

void buffer_clear(struct buffer *buffer)
{
    buffer->origin += buffer->end;
    buffer->at = 0;
    buffer->end = 0;
}

void buffer_shrink(struct buffer *buffer, size_t capacity_max)
{
    if (buffer_bytes(buffer) > 0 || buffer->capacity <= capacity_max)
        return;
    free(buffer->bytes);
    buffer->bytes = NULL;
    buffer->origin += buffer->end;
    buffer->at = 0;
    buffer->end = 0;
    buffer->capacity = 0;
}
