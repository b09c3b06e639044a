/* Feeds: reading positions over histories, for everybody who reads one in order.
 *
 *            in the journal: its position                  behind the end
 *   event <---------------------------------- (next) ------------------------> waits for a new
 * event in a file: a window of it, the next one ahead
 *
 * A feed gives out the events that match, one at a time, wherever they stand. What it cannot have
 * at once it asks for, and wakes its owner later. Windows of all feeds together are bounded; who
 * needs one takes it from the feed that has used its own longest ago.
 */
#ifndef HERALD_FEED_H
#define HERALD_FEED_H

#include "broker/core/state.h"
#include "broker/store/archive.h"
#include "broker/store/record.h"

struct feed;
struct history;

enum feed_result {
    FEED_EVENT,   /* there is one */
    FEED_END,     /* all were given out: the next event wakes */
    FEED_HELD,    /* the next one is not on disk yet */
    FEED_READING, /* it is read, and wakes then */
    FEED_AGAIN,   /* so many did not match that others should have their turn */
    FEED_BROKEN,  /* it cannot be read now */
};

/* What a reader wants to see. */
struct feed_terms {
    struct wire_bytes pattern;
    struct wire_bytes filter;
    uint64_t from_ms; /* nothing that is older */
};

/* There may be more: look again. */
typedef void (*feed_wake_fn)(void *argument);

/* At the first event. NULL: no memory. */
struct feed *feed_new(struct history *history, const struct feed_terms *terms, feed_wake_fn wake,
                      void *argument);

/* NULL is fine. */
void feed_free(struct feed *feed);

/* The next event is this one, or the first behind it. What lies before the oldest one that is kept
 * is counted as missed. */
void feed_seek(struct feed *feed, uint64_t sequence);

/* Nothing that is older is given out any more. */
void feed_set_time(struct feed *feed, uint64_t from_ms);

/* It reads single events rather than one after the other. */
void feed_be_random(struct feed *feed);

/* First of all the last event of each key that is there now, then those behind. STATUS_NO_MEMORY.
 */
enum status feed_seek_last(struct feed *feed);

/* Looks at the next event that matches. FEED_EVENT: it is in *message until the next call of the
 * feed, of the journal, or the end of the round. */
enum feed_result feed_peek(struct feed *feed, struct operation_message *message);

/* Its sequence; goes beyond it. */
uint64_t feed_sequence(const struct feed *feed);
void feed_pass(struct feed *feed);

/* Goes on to this event, which is not before the next one. */
void feed_skip(struct feed *feed, uint64_t sequence);

/* How many events retention took before they could be given out, since the last call. */
uint64_t feed_take_missed(struct feed *feed);

struct history *feed_history(const struct feed *feed);
const struct feed_terms *feed_get_terms(const struct feed *feed);

/* It waits at the end, and there is something new. */
void feed_wake(struct feed *feed);

#endif
