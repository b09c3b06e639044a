/* EXCHANGE_SET, FOLLOW, CURSOR_SEEK, APPEND, READ: exchanges that keep their events. */
#include "broker/core/dispatch.h"

enum status handle_exchange_set(struct peer *peer, const struct frame *frame)
{
    (void)peer;
    (void)frame;
    return STATUS_NO_HISTORY;
}

enum status handle_follow(struct peer *peer, const struct frame *frame)
{
    return handle_exchange_set(peer, frame);
}

enum status handle_cursor_seek(struct peer *peer, const struct frame *frame)
{
    return handle_exchange_set(peer, frame);
}

enum status handle_append(struct peer *peer, const struct frame *frame)
{
    return handle_exchange_set(peer, frame);
}

enum status handle_read(struct peer *peer, const struct frame *frame)
{
    return handle_exchange_set(peer, frame);
}
