/* Accepting a message: into all its queues or into none. */
#ifndef HERALD_ACCEPT_H
#define HERALD_ACCEPT_H

#include "broker/core/message.h"
#include "broker/core/state.h"

/* Properties are few and short; more than this is not accepted. */
enum { ACCEPT_PROPERTIES_BYTES_MAX = 4096 };

struct accept {
    struct peer *peer;
    struct queue *const *queues; /* where it goes, each once */
    size_t queue_count;
    bool is_transient; /* asked for by the sender */
    bool is_event;     /* queues that drop instead of refusing may lose it */
    struct operation_message message;
    struct message *made; /* out: the transient message, if it became one */
    struct message_order order;
    uint32_t size; /* of its places; accept_message sets both */
    uint32_t message_bytes;
};

/* Checks what a sender gave. STATUS_OK, STATUS_BAD_PROPERTY, STATUS_BAD_HEADER. */
enum status accept_check(const struct core *core, struct wire_bytes properties,
                         struct wire_bytes headers);

/* Takes the message in: number, time, record, places. STATUS_OVERFLOW names the queue that is full;
 * STATUS_DISK_FULL, STATUS_LIMIT, STATUS_NO_MEMORY, STATUS_DRAINING. On a refusal nothing changed.
 */
enum status accept_message(struct accept *accept);

#endif
