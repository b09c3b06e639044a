/* The list of events in the body of an APPEND frame: a run of
 *
 *     | key str8 | properties str16 | headers str16 | body str32 |
 */
#ifndef HERALD_APPEND_H
#define HERALD_APPEND_H

#include "protocol/status.h"
#include "protocol/wire.h"

/* Events of one APPEND at most. */
enum { APPEND_EVENTS_MAX = 1024 };

struct append_event {
    struct wire_bytes key;
    struct wire_bytes properties;
    struct wire_bytes headers;
    struct wire_bytes body;
};

/* STATUS_OK and how many events the list has, from 1 on; STATUS_MALFORMED; STATUS_LIMIT for more
 * than APPEND_EVENTS_MAX. What the events hold is not looked at. */
enum status append_check(struct wire_bytes list, uint32_t *count);

/* The next event of a list that was checked; false at the end. */
bool append_next(struct wire_reader *r, struct append_event *event);

/* Bytes of one event in the list, and the event itself. */
size_t append_bytes(const struct append_event *event);
void append_put(struct wire_writer *w, const struct append_event *event);

#endif
