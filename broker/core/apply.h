/* The only way to change durable state: applying what a record states.
 *
 * Live, a handler writes an operation and applies it at once; on start, recovery applies the same
 * operations with the same functions. They read nothing but durable state and the operation, and
 * live they cannot fail: whoever decides has made what they need before it is recorded, and takes
 * it away again when that fails. STATUS_NO_MEMORY only comes while recovering. `position` is the
 * operation's own.
 */
#ifndef HERALD_APPLY_H
#define HERALD_APPLY_H

#include "broker/core/message.h"
#include "broker/store/record.h"

struct client;
struct core;
struct exchange;
struct parked;
struct queue;

/* Recovery and restating: applies whatever the operation is. `back` is its distance from the
 * record's beginning. The same operation again, or one that states an object as it is, only moves
 * homes. STATUS_NO_MEMORY only while recovering. */
enum status apply_operation(struct core *core, const struct operation *operation, uint64_t position,
                            uint32_t back);

/* Puts the message into every durable queue it names; where it is already, its place moves to the
 * new position. STATUS_NO_MEMORY only while recovering. */
enum status apply_message(struct core *core, const struct operation_message *operation,
                          uint64_t word);

/* A new message for one queue; index_reserve, or asides_reserve for one that is not plain, went
 * before. */
struct new_place {
    uint64_t number;
    uint64_t word;
    uint32_t size;          /* as place_size makes it */
    uint32_t message_bytes; /* of the operation in the journal */
    bool is_plain;          /* in this queue */
    const struct message_terms *terms;
};
void apply_message_to(struct core *core, struct queue *queue, const struct new_place *place);

/* One that is parked: it has other content, or stands elsewhere in the journal. STATUS_NO_MEMORY
 * only while recovering, and for a lane that it had not before. */
enum status apply_to_parked(struct core *core, struct queue *queue, struct parked *parked,
                            const struct new_place *place);

/* The queue must be the one the operation names. */
void apply_settle(struct core *core, struct queue *queue, const struct operation_settle *operation);
/* At most so many at once. */
enum { SETTLE_EACH_MAX = 4096 };
void apply_settle_each(struct core *core, struct queue *queue,
                       const struct operation_settle_each *operation);
enum status apply_park(struct core *core, struct queue *queue,
                       const struct operation_park *operation, uint64_t position);
enum status apply_attempt(struct core *core, struct queue *queue,
                          const struct operation_attempt *operation, uint64_t position);
/* Live, asides_reserve with kept_repair_terms went before, and kept_add_repair. */
enum status apply_repair(struct core *core, struct queue *queue,
                         const struct operation_repair *operation, uint64_t position);
enum status apply_cancel(struct core *core, struct queue *queue,
                         const struct operation_cancel *operation, uint64_t position);
enum status apply_checkpoint(struct core *core, struct queue *queue,
                             const struct operation_checkpoint *operation, uint64_t position);
enum status apply_set_aside(struct core *core, struct queue *queue,
                            const struct operation_set_aside *operation);
void apply_mark(struct core *core, struct queue *queue, const struct operation_mark *operation,
                uint64_t position);

enum status apply_queue(struct core *core, const struct operation_queue *operation,
                        uint64_t position);
void apply_queue_gone(struct core *core, const struct operation_queue_gone *operation);
enum status apply_exchange(struct core *core, const struct operation_exchange *operation,
                           uint64_t position);
void apply_exchange_gone(struct core *core, const struct operation_exchange_gone *operation);
enum status apply_binding(struct core *core, const struct operation_binding *operation,
                          uint64_t position);
void apply_unbinding(struct core *core, const struct operation_unbinding *operation);

enum status apply_client(struct core *core, const struct operation_client *operation,
                         uint64_t position);
enum status apply_answered(struct core *core, const struct operation_answered *operation,
                           uint64_t position);
enum status apply_refused(struct core *core, const struct operation_refused *operation,
                          uint64_t position);
void apply_seen(struct core *core, const struct operation_seen *operation);
void apply_client_gone(struct core *core, const struct operation_client_gone *operation);

/* Takes a message out of its queue, wherever it stands, and everything that hangs on it. */
struct standing;
void standing_remove(struct core *core, struct queue *queue, struct standing where);

/* The same, but who has the message's home then is the caller's affair. */
void standing_leave(struct core *core, struct queue *queue, struct standing where);

/* Forgets the failed attempts of a message, if there are any. */
void attempts_end(struct core *core, struct queue *queue, uint64_t number);

/* Takes one place out of a queue's index and everything that hangs on it: its home or its transient
 * message, its attempts, its counts. */
struct index_at;
void place_remove(struct core *core, struct queue *queue, struct index_at at);

#endif
