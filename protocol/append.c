/* The list of events of an APPEND frame. */
#include "protocol/append.h"

bool append_next(struct wire_reader *r, struct append_event *event)
{
    if (wire_left(r) == 0)
        return false;
    event->key = wire_get_str8(r);
    event->properties = wire_get_str16(r);
    event->headers = wire_get_str16(r);
    event->body = wire_get_str32(r);
    return !r->failed;
}

enum status append_check(struct wire_bytes list, uint32_t *count)
{
    struct wire_reader r = wire_reader_of(list.at, list.bytes);
    struct append_event event;
    for (*count = 0; append_next(&r, &event); ++*count)
        if (*count == APPEND_EVENTS_MAX)
            return STATUS_LIMIT;
    return wire_reader_is_done(&r) && *count > 0 ? STATUS_OK : STATUS_MALFORMED;
}

size_t append_bytes(const struct append_event *event)
{
    return wire_size_str8(event->key) + wire_size_str16(event->properties) +
           wire_size_str16(event->headers) + wire_size_str32(event->body);
}

void append_put(struct wire_writer *w, const struct append_event *event)
{
    wire_put_str8(w, event->key);
    wire_put_str16(w, event->properties);
    wire_put_str16(w, event->headers);
    wire_put_str32(w, event->body);
}
