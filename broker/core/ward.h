/* Wards: what the broker looks after for a single message besides its place: a deadline, whoever
 * is to be told what became of it, and how it wants to be tried again.
 *
 * A ward stands behind its aside in the same memory and lives as long.
 */
#ifndef HERALD_WARD_H
#define HERALD_WARD_H

#include "broker/core/message.h"
#include "broker/core/wheel.h"
#include "protocol/status.h"

struct aside;
struct core;
struct queue;
struct repair;
struct tracked;

/* The queue that gets the outcome, by name: it may be created later. */
struct reply {
    uint8_t queue_bytes;
    uint8_t correlation_bytes;
    bool has_id;
    struct wire_id id;
    unsigned char bytes[]; /* the queue's name, and the correlation */
};

struct ward {
    struct wheel_timer timer; /* TIMER_WARD, at the earlier of the next two */
    uint64_t deadline_ms;     /* not begun after this; UINT64_MAX: none */
    uint64_t leaves_ms;       /* does not wait longer than this; UINT64_MAX: none */
    struct tracked *tracked;  /* NULL: nobody may ask for it; finished only while recovering */
    struct reply *reply;      /* NULL: nobody gets its outcome */
    struct lane *lane;        /* NULL: it is in none */
    struct aside *lane_prev;  /* in the lane */
    struct aside *lane_next;
    struct retry_terms retry;
};

/* NULL: it has none. */
struct ward *aside_ward(struct aside *aside);

struct wire_bytes reply_queue(const struct reply *reply);
struct wire_bytes reply_correlation(const struct reply *reply);

/* Who is to get the outcome of a message with these terms; NULL: nobody, or memory ran out. */
struct reply *reply_new(const struct message_terms *terms);

/* Fills a new ward. STATUS_NO_MEMORY: nothing is left of it. */
enum status ward_init(struct core *core, struct queue *queue, struct ward *ward,
                      const struct message_terms *terms);

/* Its message is in the lane; the caller's reference is the ward's. */
void ward_take_lane(struct core *core, struct ward *ward, struct lane *lane);

/* Frees what hangs on it. An open tracked command goes with it while the broker is not running, or
 * when its message was never accepted. */
void ward_deinit(struct core *core, struct ward *ward);

/* Its message has this number now. */
void ward_take_place(struct core *core, struct aside *aside, uint64_t accepted_ms);

/* Recovery: it repairs a parked one, which was not known when it got its ward. STATUS_NO_MEMORY. */
enum status ward_repair(struct core *core, struct aside *aside, const struct repair *repair);

/* The broker has started. */
void ward_start(struct core *core, struct aside *aside);

/* Its message is with nobody: it leaves at the end of its time. */
void ward_watch(struct core *core, struct aside *aside);

/* Whether it may not be handed out any more. */
static inline bool ward_is_over(const struct ward *ward, uint64_t now_ms)
{
    return ward->deadline_ms <= now_ms || ward->leaves_ms <= now_ms;
}

/* Likewise when its time is over already; one that came back too late must not hold up others. */
void ward_expire_late(struct core *core, struct aside *aside);

/* The timer fired: a message that waits leaves its queue, one that runs is given up when its
 * deadline has passed. */
void ward_on_timer(struct core *core, struct wheel_timer *timer);

/* The message of the aside has expired: it leaves. STATUS_OK, or the status of the journal; then it
 * is tried again a little later. */
enum status ward_expire(struct core *core, struct aside *aside);

#endif
