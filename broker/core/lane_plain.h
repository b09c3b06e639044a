/* Messages in lanes that stand in the plain order of their queue.
 *
 * What is first in a lane need not stand aside, as nothing has to be known of it but its place: a
 * message that asks for nothing but its lane, and finds that empty, is a place of the index like
 * any other. Whatever comes to the lane as long as it is there has a higher number, stands aside,
 * and is blocked until it has gone.
 *
 *   (lane is empty) --> plain, waiting <--> plain, out --> gone or parked
 *                             |                |
 *                             +--> stands aside, as it keeps failed attempts or a checkpoint
 *
 * Always true while the broker runs: the plain message of a lane has the lowest number of all that
 * are in it; its page of the index stays in memory. On disk nothing says which stand so: while
 * recovering none does, and settlements of them name each number.
 */
#ifndef HERALD_LANE_PLAIN_H
#define HERALD_LANE_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "broker/core/chains.h"
#include "protocol/status.h"
#include "protocol/wire.h"

struct core;
struct index_at;
struct lane;
struct peer;
struct queue;

/* Those of one queue, by number. */
struct lane_plains {
    struct chains table;
    struct lane *entering; /* whose next message will be plain, see lane_plain_reserve */
};

/* Looks whether the next message, of this lane, will be plain: `entering` says so, and then
 * lane_plain_enter cannot fail. STATUS_OK or STATUS_NO_MEMORY. */
enum status lane_plain_reserve(struct queue *queue, struct wire_bytes key);

/* The message is not accepted after all. */
void lane_plain_unreserve(struct core *core, struct queue *queue);

/* The message of the lane that is entering is the last place of the index. */
void lane_plain_enter(struct core *core, struct queue *queue, uint64_t number);

/* The lane of which this is the plain message; NULL: it is of none. */
struct lane *lane_plain_find(const struct lane_plains *plains, uint64_t number);

/* The place is about to leave the index: the next one of its lane, if it has one, may go. */
void lane_plain_leave(struct core *core, struct queue *queue, uint64_t number, struct index_at at);

/* Asks for the memory of those whose numbers come a little later. */
void lane_plain_prefetch(const struct queue *queue, uint64_t number);

/* Takes all out that nobody has. STATUS_OK, or the status of the journal. */
enum status lane_plain_purge(struct core *core, struct peer *peer, struct queue *queue);

/* Frees the table, all being gone. */
void lane_plains_deinit(struct lane_plains *plains);

#endif
