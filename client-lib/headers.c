/* Headers as a program gives them, and as the wire has them. */
#include "client-lib/headers.h"

#include "protocol/property.h"

enum { NAME_MAX_BYTES = UINT8_MAX, ALL_MAX_BYTES = UINT16_MAX };

static size_t name_bytes_of(const struct herald_header *header)
{
    return header->name_bytes > 0 ? header->name_bytes : strlen(header->name);
}

size_t headers_measure(const struct herald_header *headers, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const struct herald_header *header = &headers[i];
        if (header->name == NULL || header->value_bytes > ALL_MAX_BYTES)
            return 0;
        size_t name_bytes = name_bytes_of(header);
        if (name_bytes < 1 || name_bytes > NAME_MAX_BYTES)
            return 0;
        bytes += 1 + name_bytes + 2 + header->value_bytes;
        if (bytes > ALL_MAX_BYTES)
            return 0;
    }
    return bytes;
}

void headers_put(struct wire_writer *w, const struct herald_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct herald_header *header = &headers[i];
        header_put(w, wire_bytes_of(header->name, (uint32_t)name_bytes_of(header)),
                   wire_bytes_of(header->value, (uint32_t)header->value_bytes));
    }
}

enum herald_status headers_append(struct buffer *buffer, const struct herald_header *headers,
                                  size_t count)
{
    if (count == 0)
        return HERALD_OK;
    size_t bytes = headers_measure(headers, count);
    if (bytes == 0)
        return HERALD_EINVAL;
    unsigned char *room = buffer_reserve(buffer, bytes);
    if (room == NULL)
        return HERALD_ENOMEMORY;
    struct wire_writer w = wire_writer_of(room, bytes);
    headers_put(&w, headers, count);
    buffer_commit(buffer, bytes);
    return HERALD_OK;
}

struct wire_bytes headers_in(const struct buffer *buffer)
{
    return wire_bytes_of(buffer->bytes, (uint32_t)buffer_bytes(buffer));
}
