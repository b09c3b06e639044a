/* Queues: the directory, what they hold, and the paths in and out. */
#ifndef HERALD_QUEUE_H
#define HERALD_QUEUE_H

#include "broker/core/state.h"
#include "broker/store/record.h"

/* A queue with one reference, in the directory by its number and, when it has one, its name; one
 * that is QUEUE_LIVE is not. NULL when memory ran out. */
struct queue *queue_new(struct core *core, enum queue_kind kind, uint32_t number,
                        struct wire_bytes name);

/* Gives a name to one that has none yet. STATUS_OK or STATUS_NO_MEMORY. */
enum status queue_set_name(struct core *core, struct queue *queue, struct wire_bytes name);

/* Its name, as long as it lives; nothing for a live subscription. */
struct wire_bytes queue_name(const struct queue *queue);

void queue_ref(struct queue *queue);
/* Frees the queue with its last reference; it must be gone then. */
void queue_unref(struct core *core, struct queue *queue);

/* NULL: there is none. */
struct queue *queue_find(const struct core *core, struct wire_bytes name);
/* The queue of a name, for a peer that may use it. STATUS_NO_QUEUE, STATUS_EXCLUSIVE. */
enum status queue_find_own(struct peer *peer, struct wire_bytes name, struct queue **queue);
struct queue *queue_find_number(const struct core *core, uint32_t number);

/* Takes over the settings that the list names. */
void queue_set(struct queue *queue, struct wire_bytes settings);

/* Those of a new queue that does not say. */
void queue_set_default(struct queue *queue, const struct core_limits *limits);

/* Writes the settings whole. */
void queue_put_settings(const struct queue *queue, struct wire_writer *w);

/* Messages waiting or out; parked ones are not among them. */
static inline uint64_t queue_count(const struct queue *queue)
{
    return queue->index.live_count + queue->asides.table.count;
}

static inline uint64_t queue_ready_count(const struct queue *queue)
{
    return queue_count(queue) - queue->out_count - queue->asides.waiting_count -
           queue->asides.blocked_count;
}

/* A message in its queue, wherever it stands: at most one of `at.found` and `aside` is there. */
struct standing {
    struct index_at at;
    struct aside *aside;
};

/* Where the message of this number stands; nowhere also when its page is away. */
static inline struct standing queue_locate(const struct queue *queue, uint64_t number)
{
    struct aside *aside = asides_find(&queue->asides, number);
    struct index_at nowhere = {.found = NULL};
    return (struct standing){aside != NULL ? nowhere : index_find(&queue->index, number), aside};
}

static inline bool standing_is_found(struct standing where)
{
    return where.aside != NULL || where.at.found != NULL;
}

/* The word and the size of its place; it must be found. */
static inline uint64_t standing_word(struct standing where)
{
    return where.aside != NULL ? where.aside->word : where.at.found->word;
}

static inline uint32_t standing_size(struct standing where)
{
    return where.aside != NULL ? where.aside->size : where.at.found->size;
}

/* Whether one message more of this size keeps within the limits. */
bool queue_has_room(const struct queue *queue, uint32_t bytes);

/* Whoever hears events from it has lost so many, and is told before the next. */
void queue_miss(struct core *core, struct queue *queue, uint64_t count);

/* Drops the oldest ready messages until one of this size fits, or none is left that may be dropped.
 * While the oldest is away from memory the queue exceeds its limit.
 * STATUS_OK, or the status of the journal when it takes no records. */
enum status queue_drop_oldest(struct core *core, struct queue *queue, uint32_t bytes);

/* Drops the oldest of a queue that may do so, as long as it is beyond its limits. */
void queue_drop_excess(struct core *core, struct queue *queue);

/* The message of a place as its operation, in the journal's memory or its own, up to the next call
 * of the journal. STATUS_MORE: it must be read from disk first. STATUS_CORRUPT. */
enum status queue_read(struct core *core, uint64_t word, struct operation_message *message);

/* Gives a place back that was out. */
void queue_return(struct core *core, struct queue *queue, uint64_t number);

/* Settles a run of places, with a record where one of them is durable. `peer` may be NULL.
 * STATUS_OK, or the status of the journal. */
enum status queue_settle(struct core *core, struct peer *peer, struct queue *queue, uint64_t first,
                         uint64_t last);

/* Has the durable mark reach past `number`, with a record if need be. False: the mark is not on
 * disk yet, the message must wait. */
bool queue_mark_covers(struct core *core, struct queue *queue, uint64_t number);

/* Ends a queue for all its users: consumers are told, callers are answered; the name is free at
 * once, the places are worked off in slices. `status` is what consumers are told. */
void queue_end(struct core *core, struct queue *queue, enum status status);

/* Works off deleted queues for a slice. True when some is left. */
bool queue_work_off(struct core *core);

/* Asks for the page that is away; when it is there, the queue drops what it must and is woken.
 * False: no memory for that now. */
bool queue_ask_page(struct core *core, struct queue *queue, struct index_at at);

/* Whether a place may have been handed out before, by this start or an earlier one. */
static inline bool queue_was_handed_out(const struct queue *queue, uint64_t number, uint64_t word)
{
    return (word & PLACE_REDELIVERED) != 0 || number <= queue->redelivered_up_to;
}

/* What is told of one that has not been settled: whoever was given it may have done something. */
static inline enum frame_outcome_ran queue_ran(const struct queue *queue, uint64_t number,
                                               uint64_t word)
{
    return queue_was_handed_out(queue, number, word) ? OUTCOME_MAYBE_RUN : OUTCOME_NOT_RUN;
}

/* The queue may have something to hand out: look at the end of the round. */
void queue_wake(struct core *core, struct queue *queue);

#endif
