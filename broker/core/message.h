/* A message in memory: the same bytes that a MESSAGE operation has in the journal.
 *
 * A durable message lives in the journal; only a transient one has a struct message of its own,
 * shared by all queues that hold it and freed with the last of them.
 */
#ifndef HERALD_MESSAGE_H
#define HERALD_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/store/record.h"

struct core;
struct call;

struct message {
    uint32_t ref_count;
    uint32_t bytes;    /* of the operation below */
    struct call *call; /* who waits for the outcome, or NULL */
    bool is_unheard;   /* its caller went away while it ran: not to be handed out again */
    unsigned char operation[];
};

/* A transient message with one reference. NULL: memory or transient_bytes_max is used up. */
struct message *message_new(struct core *core, const struct operation_message *operation);

void message_ref(struct message *message, uint32_t count);

/* Frees the message with its last reference. */
void message_unref(struct core *core, struct message *message);

/* What the sender asks of a message's place in its queues. */
struct message_order {
    bool is_plain; /* nothing: it stands in the index */
    uint8_t priority;
    uint64_t due_ms; /* not to be handed out before, in broker time; 0: at once */
};

/* From the properties alone, and so the same after a start. */
struct message_order message_order(const struct operation_message *operation);

/* What a queue counts a message as: body and headers. */
uint32_t message_counted_bytes(const struct operation_message *operation);

#endif
