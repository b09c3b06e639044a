/* Exchanges behind exchanges: where an event goes in the end, without circles. */
#ifndef HERALD_RELAY_H
#define HERALD_RELAY_H

#include "protocol/status.h"
#include "protocol/wire.h"

struct core;
struct exchange;
struct queue;

/* The longest way from exchange to exchange. */
enum { RELAY_HOPS_MAX = 8 };

/* Whether events of one exchange may go on to another. STATUS_CYCLE: they would come back.
 * STATUS_LIMIT: a way would be longer than RELAY_HOPS_MAX. STATUS_NO_MEMORY. */
enum status relay_check(struct core *core, struct exchange *from, struct exchange *to);

/* The exchanges that an event comes to, each once: a list by `next_routed` that grows at its end
 * while it is gone through. */
struct relay {
    uint64_t stamp;
    struct exchange *last;
};
void relay_begin(struct core *core, struct relay *relay, struct exchange *exchange);
void relay_go_on(struct relay *relay, struct exchange *exchange);

/* What decides where an event goes. */
struct relay_event {
    struct wire_bytes key;
    struct wire_bytes headers;
};

/* The queues that an event goes to, each once, however many ways lead there; in `*queues`, which
 * holds until the next call. STATUS_OK or STATUS_NO_MEMORY. */
enum status relay_route(struct core *core, struct exchange *exchange,
                        const struct relay_event *event, struct queue *const **queues,
                        size_t *count);

/* The event that was routed last, from this exchange, was taken: all exchanges on its way count it
 * as published. */
void relay_count(struct exchange *exchange);

#endif
