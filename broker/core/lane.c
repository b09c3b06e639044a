/* Lanes: messages of one queue with the same ordering key, one in flight at a time. */
#include "broker/core/lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/ending.h"
#include "broker/core/kept.h"
#include "broker/core/queue.h"
#include "broker/core/state.h"

/* What one round parks at most. */
enum { SLICE = 1000 };

/* --- the table ----------------------------------------------------------------------------------
 */

struct lane *lane_get(struct queue *queue, struct wire_bytes key)
{
    struct lane *lane;
    HASH_FIND(hh, queue->lanes, key.at, key.bytes, lane);
    if (lane == NULL) {
        lane = calloc(1, sizeof *lane + key.bytes);
        if (lane == NULL)
            return NULL;
        lane->queue = queue;
        TAILQ_INIT(&lane->parked);
        lane->key_bytes = key.bytes;
        memcpy(lane->key, key.at, key.bytes);
        HASH_ADD_KEYPTR(hh, queue->lanes, lane->key, lane->key_bytes, lane);
        if (!table_has(&lane->hh)) {
            free(lane);
            return NULL;
        }
    }
    lane->ref_count++;
    return lane;
}

void lane_unref(struct core *core, struct lane *lane)
{
    if (--lane->ref_count > 0)
        return;
    assert(lane->first == NULL && lane->holder == NULL);
    if (lane->is_parking)
        TAILQ_REMOVE(&core->parking, lane, park_link);
    HASH_DEL(lane->queue->lanes, lane);
    free(lane);
}

struct wire_bytes lane_key(const struct lane *lane)
{
    return wire_bytes_of(lane->key, lane->key_bytes);
}

/* --- in the lane --------------------------------------------------------------------------------
 */

/* Most come in the order of their numbers: looked for from the end. */
static void insert(struct lane *lane, struct aside *aside)
{
    struct aside *before = lane->last;
    while (before != NULL && before->number > aside->number)
        before = aside_ward(before)->lane_prev;
    struct ward *ward = aside_ward(aside);
    ward->lane_prev = before;
    ward->lane_next = before != NULL ? aside_ward(before)->lane_next : lane->first;
    if (before != NULL)
        aside_ward(before)->lane_next = aside;
    else
        lane->first = aside;
    if (ward->lane_next != NULL)
        aside_ward(ward->lane_next)->lane_prev = aside;
    else
        lane->last = aside;
}

void lane_enter(struct core *core, struct aside *aside)
{
    struct lane *lane = aside_ward(aside)->lane;
    insert(lane, aside);
    aside->state = ASIDE_BLOCKED;
    aside_queue(aside)->asides.blocked_count++;
    lane_update(core, lane);
}

void lane_leave(struct aside *aside)
{
    struct ward *ward = aside_ward(aside);
    struct lane *lane = ward->lane;
    if (aside->state == ASIDE_BLOCKED)
        aside_queue(aside)->asides.blocked_count--;
    if (lane->ready == aside)
        lane->ready = NULL;
    if (ward->lane_prev != NULL)
        aside_ward(ward->lane_prev)->lane_next = ward->lane_next;
    else
        lane->first = ward->lane_next;
    if (ward->lane_next != NULL)
        aside_ward(ward->lane_next)->lane_prev = ward->lane_prev;
    else
        lane->last = ward->lane_prev;
    ward->lane_prev = ward->lane_next = NULL;
}

void lane_hold(struct aside *aside)
{
    aside_ward(aside)->lane->holder = aside;
}

void lane_let_go(struct aside *aside)
{
    struct lane *lane = aside_ward(aside)->lane;
    if (lane->holder == aside)
        lane->holder = NULL;
}

/* Whether its first message stands behind a parked one. */
static bool is_behind_parked(const struct lane *lane)
{
    const struct parked *parked = TAILQ_FIRST(&lane->parked);
    return parked != NULL && lane->first != NULL && lane->first->number > parked->number;
}

static bool is_blocked(const struct lane *lane)
{
    return lane->holder != NULL ||
           (is_behind_parked(lane) && lane->queue->lane_parked != LANE_PARKED_GO_ON);
}

/* Whether its first message is to be parked. */
static bool is_to_be_parked(const struct lane *lane)
{
    return is_behind_parked(lane) && lane->queue->lane_parked == LANE_PARKED_PARK;
}

void lane_update(struct core *core, struct lane *lane)
{
    struct aside *next = is_blocked(lane) ? NULL : lane->first;
    if (is_to_be_parked(lane) && !lane->is_parking) {
        lane->is_parking = true;
        TAILQ_INSERT_TAIL(&core->parking, lane, park_link);
    }
    if (lane->ready == next)
        return;
    if (lane->ready != NULL)
        aside_block(lane->ready);
    lane->ready = next;
    if (next != NULL)
        aside_unblock(core, next);
}

void lane_add_parked(struct core *core, struct lane *lane, struct parked *parked)
{
    struct parked *before = TAILQ_LAST(&lane->parked, parked_list);
    parked->lane = lane;
    while (before != NULL && before->number > parked->number)
        before = TAILQ_PREV(before, parked_list, lane_link);
    if (before != NULL)
        TAILQ_INSERT_AFTER(&lane->parked, before, parked, lane_link);
    else
        TAILQ_INSERT_HEAD(&lane->parked, parked, lane_link);
    lane_update(core, lane);
}

void lane_remove_parked(struct core *core, struct parked *parked)
{
    struct lane *lane = parked->lane;
    parked->lane = NULL;
    TAILQ_REMOVE(&lane->parked, parked, lane_link);
    lane_update(core, lane);
    lane_unref(core, lane);
}

/* --- parking what stands behind -----------------------------------------------------------------
 */

static enum status park_first(struct core *core, struct lane *lane)
{
    struct aside *aside = lane->first;
    struct queue *queue = lane->queue;
    uint16_t attempts = kept_failed_attempts(queue, aside->number);
    struct ending ending = ending_of_aside(STATUS_LANE_PARKED, aside);
    unsigned char room[HISTORY_BYTES_MAX];
    const struct attempted *attempted = kept_find_attempted(queue, aside->number);
    struct wire_bytes history =
        kept_history_add(room, kept_bytes(attempted != NULL ? attempted->history : NULL),
                         &(struct kept_attempt){core->now_ms, attempts, ending.code, ending.text});
    struct operation_park park = {.queue = queue->number,
                                  .number = aside->number,
                                  .time_ms = core->now_ms,
                                  .attempts = attempts,
                                  .code = ending.code,
                                  .text = ending.text,
                                  .history = history,
                                  .id = kept_repair_id(queue, aside->number)};
    bool is_durable = queue->kind == QUEUE_DURABLE && (aside->word & PLACE_TRANSIENT) == 0;
    ending.park = is_durable ? &park : NULL;
    return ending_carry_out(core, NULL, queue, aside->number, &ending);
}

void lane_work_off(struct core *core)
{
    struct lane *lane;
    for (unsigned i = 0; i < SLICE && (lane = TAILQ_FIRST(&core->parking)) != NULL; i++) {
        bool is_due = is_to_be_parked(lane) && lane->holder == NULL;
        if (is_due && park_first(core, lane) != STATUS_OK)
            return; /* the journal takes nothing now */
        if (is_due)
            continue; /* the lane lives as long as one of it is parked */
        lane->is_parking = false;
        TAILQ_REMOVE(&core->parking, lane, park_link);
    }
    core->has_more |= !TAILQ_EMPTY(&core->parking);
}
