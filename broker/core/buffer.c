/* A run of bytes that grows at its end and is used up from its front. */
#include "broker/core/buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_ROOM_MIN = 512 };

void buffer_init(struct buffer *buffer)
{
    *buffer = (struct buffer){NULL, 0, 0, 0};
}

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->memory);
    buffer_init(buffer);
}

/* Moving to the front pays only while what is left is small beside the room that it gains. */
static void buffer_move_to_front(struct buffer *buffer)
{
    size_t bytes = buffer_bytes(buffer);
    memmove(buffer->memory, buffer->memory + buffer->start, bytes);
    buffer->start = 0;
    buffer->end = bytes;
}

unsigned char *buffer_reserve(struct buffer *buffer, size_t bytes)
{
    if (bytes <= buffer->room - buffer->end)
        return buffer->memory + buffer->end;
    if (bytes > SIZE_MAX / 4 - buffer->room)
        return NULL;
    if (buffer->start > buffer->room / 2 && bytes <= buffer->room - buffer_bytes(buffer)) {
        buffer_move_to_front(buffer);
        return buffer->memory + buffer->end;
    }
    size_t room = buffer->room > 0 ? buffer->room : BUFFER_ROOM_MIN;
    while (room - buffer->end < bytes)
        room *= 2;
    unsigned char *memory = realloc(buffer->memory, room);
    if (memory == NULL)
        return NULL;
    buffer->memory = memory;
    buffer->room = room;
    return buffer->memory + buffer->end;
}

void buffer_commit(struct buffer *buffer, size_t bytes)
{
    assert(bytes <= buffer->room - buffer->end);
    buffer->end += bytes;
}

enum status buffer_append(struct buffer *buffer, const void *at, size_t bytes)
{
    if (bytes == 0)
        return STATUS_OK;
    unsigned char *room = buffer_reserve(buffer, bytes);
    if (room == NULL)
        return STATUS_NO_MEMORY;
    memcpy(room, at, bytes);
    buffer_commit(buffer, bytes);
    return STATUS_OK;
}

void buffer_consume(struct buffer *buffer, size_t bytes)
{
    assert(bytes <= buffer_bytes(buffer));
    buffer->start += bytes;
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
}
