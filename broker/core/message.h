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
struct repair;

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

/* How failed attempts go on. In the terms of a message UINT64_MAX means: as its queue has it. */
struct retry_terms {
    uint64_t attempts_max;   /* failed attempts after which a command is parked; 0: no limit */
    uint64_t backoff_ms;     /* longest wait before the second attempt, see retry.c */
    uint64_t backoff_max_ms; /* and between any two */
    uint64_t retry_for_ms;   /* from the first failed one, after which it is parked; 0: no limit */
};

/* What the sender asks of a message's way through its queues. */
struct message_terms {
    bool is_plain;      /* nothing: it stands in the index */
    bool is_only_laned; /* nothing but a lane */
    bool needs_ward;    /* more than a priority and a time */
    bool is_tracked;
    bool has_id;
    uint8_t priority;
    uint64_t due_ms;      /* not to be handed out before, in broker time; 0: at once */
    uint64_t deadline_ms; /* not begun after this; UINT64_MAX: none */
    uint64_t leaves_ms;   /* does not wait longer than this; UINT64_MAX: none */
    uint64_t accepted_ms;
    uint64_t digest; /* of a tracked command */
    struct wire_id id;
    struct wire_id parent;  /* zero: none */
    struct wire_id repairs; /* likewise */
    struct wire_bytes key;
    struct wire_bytes lane;
    struct wire_bytes reply_to;
    struct wire_bytes correlation;
    struct retry_terms retry;
};

/* From the operation alone, and so the same after a start. Bytes point into it. */
void message_terms(const struct operation_message *operation, struct message_terms *terms);

/* Those of a message that asks for nothing. */
struct message_terms message_terms_plain(void);

/* What holds for it as a repair of its own: it begins anew, with no time to keep. */
void message_terms_repair(struct message_terms *terms, const struct repair *repair);

/* Its properties with the id that it has as a repair. */
enum { MESSAGE_REPAIR_BYTES_MAX = 4096 + 2 * (2 + 16) };
struct wire_bytes message_repair_properties(unsigned char room[MESSAGE_REPAIR_BYTES_MAX],
                                            struct wire_bytes properties, struct wire_id id,
                                            struct wire_id repairs);

/* What a queue counts a message as: body and headers. */
uint32_t message_counted_bytes(const struct operation_message *operation);

#endif
