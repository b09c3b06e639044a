/* Wards: what the broker looks after for a single message besides its place. */
#include "broker/core/ward.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/consumer.h"
#include "broker/core/ending.h"
#include "broker/core/kin.h"
#include "broker/core/queue.h"
#include "broker/core/state.h"
#include "broker/core/tracked.h"

/* When the journal takes nothing now. */
enum { AGAIN_MS = 1000 };

struct ward *aside_ward(struct aside *aside)
{
    return aside->has_ward ? (struct ward *)(aside + 1) : NULL;
}

static struct aside *aside_of(struct ward *ward)
{
    return (struct aside *)(void *)((char *)ward - sizeof(struct aside));
}

struct wire_bytes reply_queue(const struct reply *reply)
{
    return wire_bytes_of(reply->bytes, reply->queue_bytes);
}

struct wire_bytes reply_correlation(const struct reply *reply)
{
    return wire_bytes_of(reply->bytes + reply->queue_bytes, reply->correlation_bytes);
}

struct reply *reply_new(const struct message_terms *terms)
{
    if (terms->reply_to.bytes == 0)
        return NULL;
    struct reply *reply =
        malloc(sizeof *reply + terms->reply_to.bytes + (size_t)terms->correlation.bytes);
    if (reply == NULL)
        return NULL;
    reply->queue_bytes = (uint8_t)terms->reply_to.bytes;
    reply->correlation_bytes = (uint8_t)terms->correlation.bytes;
    reply->has_id = terms->has_id;
    reply->id = terms->id;
    memcpy(reply->bytes, terms->reply_to.at, terms->reply_to.bytes);
    if (terms->correlation.bytes > 0)
        memcpy(reply->bytes + terms->reply_to.bytes, terms->correlation.at,
               terms->correlation.bytes);
    return reply;
}

static enum status set_tracked(struct core *core, struct queue *queue, struct ward *ward,
                               const struct message_terms *terms)
{
    ward->tracked = tracked_find(core, terms->id);
    if (ward->tracked == NULL)
        ward->tracked = tracked_new(core, queue->number, terms->id, terms->key);
    if (ward->tracked == NULL)
        return STATUS_NO_MEMORY;
    ward->tracked->digest = terms->digest;
    return kin_set(core, ward->tracked, terms->parent, terms->repairs);
}

enum status ward_init(struct core *core, struct queue *queue, struct ward *ward,
                      const struct message_terms *terms)
{
    *ward = (struct ward){.timer.kind = TIMER_WARD,
                          .deadline_ms = terms->deadline_ms,
                          .leaves_ms = terms->leaves_ms,
                          .retry = terms->retry};
    ward->reply = reply_new(terms);
    if (terms->reply_to.bytes > 0 && ward->reply == NULL)
        return STATUS_NO_MEMORY;
    if (terms->lane.bytes > 0) {
        struct lane *lane = lane_get(queue, terms->lane);
        if (lane == NULL) {
            ward_deinit(core, ward);
            return STATUS_NO_MEMORY;
        }
        ward_take_lane(core, ward, lane);
    }
    enum status status = terms->is_tracked ? set_tracked(core, queue, ward, terms) : STATUS_OK;
    if (status != STATUS_OK)
        ward_deinit(core, ward);
    return status;
}

void ward_take_lane(struct core *core, struct ward *ward, struct lane *lane)
{
    ward->lane = lane;
    core->laned_count++;
}

void ward_deinit(struct core *core, struct ward *ward)
{
    wheel_disarm(&core->wheel, &ward->timer);
    free(ward->reply);
    ward->reply = NULL;
    if (ward->lane != NULL) {
        core->laned_count--;
        lane_update(core, ward->lane);
        lane_unref(core, ward->lane);
        ward->lane = NULL;
    }
    struct tracked *tracked = ward->tracked;
    ward->tracked = NULL;
    if (tracked == NULL)
        return;
    bool was_standing = tracked->is_standing;
    tracked->is_standing = false;
    /* While recovering, the record of its outcome may come later. */
    if (tracked->outcome == NULL && !was_standing)
        tracked_forget(core, tracked);
}

static void arm(struct core *core, struct ward *ward, uint64_t earliest_ms)
{
    uint64_t due_ms = ward->deadline_ms < ward->leaves_ms ? ward->deadline_ms : ward->leaves_ms;
    if (due_ms != UINT64_MAX && core->is_running)
        wheel_arm(&core->wheel, &ward->timer, due_ms > earliest_ms ? due_ms : earliest_ms);
}

void ward_take_place(struct core *core, struct aside *aside, uint64_t accepted_ms)
{
    struct ward *ward = aside_ward(aside);
    if (ward == NULL)
        return;
    if (ward->tracked != NULL) {
        ward->tracked->is_standing = true;
        ward->tracked->number = aside->number;
        if (accepted_ms > 0)
            ward->tracked->accepted_ms = accepted_ms;
    }
    arm(core, ward, 0);
}

enum status ward_repair(struct core *core, struct aside *aside, const struct repair *repair)
{
    struct ward *ward = aside_ward(aside);
    if (ward == NULL)
        return STATUS_OK;
    ward->deadline_ms = ward->leaves_ms = UINT64_MAX;
    if (ward->reply != NULL) {
        ward->reply->has_id = true;
        ward->reply->id = repair->id;
    }
    struct tracked *repaired = ward->tracked;
    if (repaired == NULL)
        return STATUS_OK;
    struct message_terms terms = message_terms_plain();
    terms.id = repaired->id;
    terms.digest = repaired->digest;
    message_terms_repair(&terms, repair);
    enum status status = set_tracked(core, aside_queue(aside), ward, &terms);
    if (status != STATUS_OK)
        return status;
    repaired->is_standing = false;
    repaired->is_decided = true;
    ward_take_place(core, aside, terms.accepted_ms);
    return STATUS_OK;
}

void ward_start(struct core *core, struct aside *aside)
{
    struct ward *ward = aside_ward(aside);
    if (ward != NULL && ward->tracked != NULL && ward->tracked->outcome != NULL)
        ward->tracked = NULL; /* it is final, whatever the message still does */
    ward_take_place(core, aside, 0);
}

void ward_watch(struct core *core, struct aside *aside)
{
    struct ward *ward = aside_ward(aside);
    if (ward != NULL)
        arm(core, ward, 0);
}

enum status ward_expire(struct core *core, struct aside *aside)
{
    bool is_out = aside->state == ASIDE_OUT;
    struct ending ending = ending_of_aside(STATUS_EXPIRED, aside);
    uint64_t number = aside->number;
    struct queue *queue = aside_queue(aside);
    struct ward *ward = aside_ward(aside);
    enum status status = ending_carry_out(core, NULL, queue, number, &ending);
    if (status != STATUS_OK && ward != NULL)
        arm(core, ward, core->now_ms + AGAIN_MS);
    if (status != STATUS_OK)
        return status;
    core->counters.messages_expired++;
    if (is_out)
        consumer_tell_unwanted(core, queue, number, STATUS_EXPIRED);
    return STATUS_OK;
}

void ward_on_timer(struct core *core, struct wheel_timer *timer)
{
    struct ward *ward = (struct ward *)(void *)timer;
    struct aside *aside = aside_of(ward);
    if (aside->state == ASIDE_OUT && ward->lane != NULL && ward->deadline_ms <= core->now_ms) {
        /* Its worker is to stop, and the lane waits until it does. */
        consumer_tell_unwanted(core, aside_queue(aside), aside->number, STATUS_EXPIRED);
        return;
    }
    if (aside->state == ASIDE_OUT && ward->deadline_ms > core->now_ms) {
        /* Only its time to wait is over, and it does not wait. It is looked at again when it
         * comes back. */
        if (ward->deadline_ms != UINT64_MAX)
            wheel_arm(&core->wheel, &ward->timer, ward->deadline_ms);
        return;
    }
    (void)ward_expire(core, aside);
}

void ward_expire_late(struct core *core, struct aside *aside)
{
    const struct ward *ward = aside_ward(aside);
    if (ward != NULL && ward_is_over(ward, core->now_ms))
        (void)ward_expire(core, aside);
}
