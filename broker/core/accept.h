/* Accepting a message: into all its queues or into none. */
#ifndef HERALD_ACCEPT_H
#define HERALD_ACCEPT_H

#include "broker/core/event.h"
#include "broker/core/message.h"
#include "broker/core/state.h"

/* Properties are few and short; more than this is not accepted. */
enum { ACCEPT_PROPERTIES_BYTES_MAX = 4096 };

struct accept {
    struct core *core;
    struct peer *peer;           /* NULL: the broker itself */
    struct queue *const *queues; /* where it goes, each once */
    size_t queue_count;
    bool is_transient;                 /* asked for by the sender */
    bool is_event;                     /* queues that drop instead of refusing may lose it */
    bool is_reply;                     /* the outcome of a command: is never refused */
    const struct append_terms *append; /* one of several events; NULL: alone */
    struct history *history;           /* an event goes there, too; NULL: its exchange keeps none */
    struct operation_message message;
    struct event_terms event; /* out: its sequence and version */
    struct entity_key entity_key;
    struct message *made; /* out: the transient message, if it became one */
    struct message_terms terms;
    struct tracked *known; /* out: the tracked command that this one is again */
    uint32_t size;         /* of its places; accept_message sets these */
    uint32_t message_bytes;
    size_t durable_count;
    bool needs_message; /* some queue is to hold it */
};

/* Checks what a sender gave, and has the memory come that a message for this queue, which may be
 * NULL, will need. STATUS_OK, STATUS_BAD_PROPERTY, STATUS_BAD_VALUE, STATUS_BAD_HEADER. */
enum status accept_check(const struct core *core, const struct queue *queue,
                         struct wire_bytes properties, struct wire_bytes headers);

/* Whether the queue, when it is full, refuses the message rather than losing one. */
bool accept_is_refused_by(const struct accept *accept, const struct queue *queue);

/* Memory for the numbers of so many receivers of a message. STATUS_NO_MEMORY. */
enum status accept_reserve_numbers(struct core *core, size_t count);

/* Takes the message in: number, time, record, places. STATUS_OVERFLOW names the queue that is full;
 * STATUS_DISK_FULL, STATUS_LIMIT, STATUS_NO_MEMORY, STATUS_DRAINING. On a refusal nothing changed.
 *
 * A tracked command that is known is not taken in again: STATUS_OK with `known` when its id is the
 * same, STATUS_DUPLICATE with `known` when only its key is; STATUS_DUPLICATE_MISMATCH. */
enum status accept_message(struct accept *accept);

#endif
