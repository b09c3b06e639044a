/* Messages that stand aside of the plain order of their queue.
 *
 * A plain message is a place of the queue's index, 16 bytes, and its turn comes by its number. One
 * with a priority or a time of its own, or with failed attempts, stands here instead, for as long
 * as it is in the queue: found by its number, and handed out before or between the plain ones.
 *
 *            +------------- failed, later ---------------+
 *            v                                           |
 *   (in) --> waiting -- its time has come --> ready --> out --> (gone, or parked)
 *     |                                       ^  ^       |
 *     +---- at once --------------------------+  +-------+ given back
 *
 * recovered  until the broker has started: when it may be handed out is known, nothing is armed
 * waiting    in the timer wheel
 * ready      in the order of its queue, see ready.h
 * out        with a consumer; PLACE_OUT is set in its word
 * blocked    due, and in a lane that lets another one go first, see lane.h
 *
 * Whether a message stands aside follows from what is on disk (its properties, and whether attempts
 * are kept of it), so that it does again after a start.
 */
#ifndef HERALD_ASIDE_H
#define HERALD_ASIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/aside_page.h"
#include "broker/core/chains.h"
#include "broker/core/ready.h"
#include "broker/core/wheel.h"
#include "protocol/status.h"

struct core;
struct message_terms;
struct queue;

enum {
    ASIDE_PRIORITY_DEFAULT = 4, /* of plain messages, too */
    ASIDE_PRIORITY_MAX = 9,
};

enum aside_state {
    ASIDE_RECOVERED,
    ASIDE_WAITING,
    ASIDE_READY,
    ASIDE_OUT,
    ASIDE_BLOCKED, /* in a lane, behind another one */
};

struct aside {
    struct chain_link link; /* in the table of its queue */
    uint64_t number;
    uint64_t word; /* as in a place */
    union {
        uint64_t due_ms;          /* ASIDE_RECOVERED */
        struct wheel_timer timer; /* ASIDE_WAITING */
        struct ready_links links; /* ASIDE_READY */
    } as;
    uint32_t size; /* as in a place */
    uint8_t state;
    uint8_t priority;
    bool has_ward; /* which stands behind it, see ward.h */
};

/* All of one queue. */
struct asides {
    struct chains table; /* by number */
    struct ready ready;
    struct aside *spare;             /* for the next one, see asides_reserve */
    struct aside_page_list pages[2]; /* with room; [1]: for asides with wards */
    uint32_t waiting_count;
    uint32_t blocked_count;
};

void asides_init(struct asides *asides);

/* Makes sure that the next asides_add, of a message with these terms, has what it needs. STATUS_OK
 * or STATUS_NO_MEMORY. */
enum status asides_reserve(struct queue *queue, const struct message_terms *terms);

/* The same for a message of the plain order that will stand aside, or stands so already. */
enum status asides_reserve_for(struct queue *queue, uint64_t number);

/* The message is not accepted after all: nothing is left of what its terms asked for. */
void asides_unreserve(struct queue *queue);

/* Puts one in that asides_reserve has made room for and that is not there yet: neither waiting nor
 * ready before aside_schedule. It belongs to the queue. */
struct aside *asides_add(struct queue *queue, uint64_t number, uint64_t word, uint32_t size,
                         const struct message_terms *terms);

/* NULL: none of this number stands aside. */
struct aside *asides_find(const struct asides *asides, uint64_t number);

/* What is to be handed out first; NULL: none is ready. */
struct aside *asides_first(const struct asides *asides);

/* One after the other in no order; NULL begins, and NULL is the end. The one before may be removed
 * when its successor is known. */
struct aside *asides_next(const struct asides *asides, const struct aside *before);

/* It has nobody, and may be handed out from due_ms on: ready at once when that is not in the
 * future. */
void aside_schedule(struct core *core, struct aside *aside, uint64_t due_ms);

/* For lanes: a ready one is so no longer; a blocked one is. */
void aside_block(struct aside *aside);
void aside_unblock(struct core *core, struct aside *aside);

/* A consumer has it. */
void aside_set_out(struct core *core, struct aside *aside);

/* Takes it out and frees it; its message and home are the caller's. */
void aside_remove(struct core *core, struct aside *aside);

/* The timer fired: it is ready. */
void aside_on_timer(struct core *core, struct wheel_timer *timer);

/* The broker has started: what was recovered waits or is ready. */
void asides_start(struct core *core, struct asides *asides);

/* Frees what is left of the tables, all being gone. */
void asides_deinit(struct asides *asides);

#endif
