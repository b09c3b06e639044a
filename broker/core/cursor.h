/* Stored cursors: readers of a history whose place the broker keeps.
 *
 * A cursor is a durable queue that is filled from a history instead of by senders. Its plain places
 * are numbered by the sequences of their events, and live in memory only: what is durable are the
 * events in the history, and which of them are done. So consumers, prefetch, leases, fairness and
 * settling are those of every queue.
 *
 *   history --- cursor_fill ---> a place in memory --- settled: CURSOR_DONE ---> gone
 *                                       |
 *                                       | failed: MESSAGE for this queue, and CURSOR_DONE by that
 *                                       v
 *                         a durable message of the queue like any other: retried, parked, repaired
 *
 * Always true: `done` are ranges of sequences in order, not touching; an event is neither in the
 * queue nor out when it is done, unless the queue has a durable copy of it.
 */
#ifndef HERALD_CURSOR_H
#define HERALD_CURSOR_H

#include "broker/core/feed.h"

struct cursor_range {
    uint64_t first;
    uint64_t last;
};

struct cursor {
    LIST_ENTRY(cursor) link; /* in its history */
    struct queue *queue;
    struct feed *feed;
    struct home home; /* the CURSOR operation */
    struct cursor_range *done;
    uint32_t done_count;
    uint32_t done_room;
    bool is_seated;    /* the feed stands where it should */
    uint64_t position; /* of the newest CURSOR operation that said where: hand-outs rest on it */
};

/* Makes a cursor of a queue that has none. STATUS_NO_MEMORY. */
enum status cursor_new(struct queue *queue, struct history *history,
                       const struct feed_terms *terms);

/* Its queue is gone. */
void cursor_free(struct core *core, struct cursor *cursor);

/* Ends the queue with it. */
void cursor_end(struct core *core, struct cursor *cursor, enum status status);

/* All events up to this one are done. */
uint64_t cursor_low(const struct cursor *cursor);

/* Events of the history that are not done and not given out, at most. */
uint64_t cursor_lag(const struct cursor *cursor);

/* Fills the queue, if nothing is ready in it. */
enum feed_result cursor_fill(struct core *core, struct cursor *cursor);

/* Whether places from `first` to `last` came from the history; settles them, and copies among them.
 * STATUS_OK, or the status of the journal. */
bool cursor_has_fed(const struct queue *queue, uint64_t first, uint64_t last);
enum status cursor_settle(struct core *core, struct peer *peer, struct queue *queue, uint64_t first,
                          uint64_t last);

/* Makes a durable message of one that came from the history. STATUS_OK, also when it is one
 * already, or the status of the journal. */
enum status cursor_keep(struct core *core, struct peer *peer, struct queue *queue, uint64_t number);

/* Goes on behind `low`, with what is not older than `from_ms`: what is in the queue from the
 * history leaves it. STATUS_OK, or the status of the journal. */
enum status cursor_seek(struct core *core, struct peer *peer, struct cursor *cursor, uint64_t low,
                        uint64_t from_ms);

/* Room for `done` to grow by one range. STATUS_NO_MEMORY. */
enum status cursor_reserve(struct cursor *cursor);

/* --- applying -----------------------------------------------------------------------------------
 */

/* The operation that states the cursor whole, its list in memory that is to be freed; NULL there:
 * no memory. */
struct operation_cursor cursor_operation(const struct cursor *cursor, unsigned char **done);

enum status cursor_apply(struct core *core, struct queue *queue,
                         const struct operation_cursor *operation, uint64_t position);

/* These events are done; cursor_reserve went before. */
void cursor_apply_done(struct cursor *cursor, uint64_t first, uint64_t last);

#endif
