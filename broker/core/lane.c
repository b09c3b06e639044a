/* Lanes: messages of one queue with the same ordering key, one in flight at a time. */
#include "broker/core/lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/ending.h"
#include "broker/core/hash.h"
#include "broker/core/kept.h"
#include "broker/core/queue.h"
#include "broker/core/state.h"
#include "broker/plant.h"

enum {
    SLICE = 1000,                /* what one round parks at most */
    LINE_BYTES = 64,             /* of memory */
    LANE_BYTES = 3 * LINE_BYTES, /* of one that is pooled */
    KEY_BYTES_POOLED = LANE_BYTES - sizeof(struct lane),
#ifdef __SANITIZE_ADDRESS__
    POOL_MAX = 0, /* so that the sanitizer sees who touches a lane too late */
#else
    POOL_MAX = 16384,
#endif
};

/* --- the table ----------------------------------------------------------------------------------
 */

static uint64_t hash_of(const struct chain_link *link)
{
    return ((const struct lane *)link)->hash;
}

void lane_pool_deinit(struct lane_pool *pool)
{
    struct chain_link *link;
    while ((link = pool->first) != NULL) {
        pool->first = link->next;
        free(link);
    }
    pool->count = 0;
}

static struct lane *lane_take(struct lane_pool *pool, uint32_t key_bytes)
{
    struct chain_link *link = pool->first;
    if (key_bytes > KEY_BYTES_POOLED)
        return malloc(sizeof(struct lane) + key_bytes);
    if (link == NULL)
        return aligned_alloc(LINE_BYTES, LANE_BYTES);
    pool->first = link->next;
    pool->count--;
    for (size_t i = 0; i < LANE_BYTES && pool->first != NULL; i += LINE_BYTES)
        __builtin_prefetch((const char *)pool->first + i, 1);
    return (struct lane *)link;
}

static void lane_give(struct lane_pool *pool, struct lane *lane)
{
    if (lane->key_bytes > KEY_BYTES_POOLED || pool->count == POOL_MAX) {
        free(lane);
        return;
    }
    lane->link.next = pool->first;
    pool->first = &lane->link;
    pool->count++;
}

static struct lane *lane_find(const struct queue *queue, uint64_t hash, struct wire_bytes key)
{
    struct chain_link *link = chains_find(&queue->lanes, hash);
    for (; link != NULL; link = link->next) {
        struct lane *lane = (struct lane *)link;
        if (lane->hash == hash && wire_bytes_equal(lane_key(lane), key))
            return lane;
    }
    return NULL;
}

static struct lane *lane_new(struct queue *queue, uint64_t hash, struct wire_bytes key)
{
    if (chains_reserve(&queue->lanes, 1, hash_of) != STATUS_OK)
        return NULL;
    struct lane *lane = lane_take(&queue->core->lane_pool, key.bytes);
    if (lane == NULL)
        return NULL;
    *lane = (struct lane){.hash = hash, .queue = queue, .key_bytes = (uint8_t)key.bytes};
    TAILQ_INIT(&lane->parked);
    memcpy(lane->key, key.at, key.bytes);
    chains_add(&queue->lanes, hash, &lane->link);
    return lane;
}

struct lane *lane_get(struct queue *queue, struct wire_bytes key)
{
    uint64_t hash = hash_bytes(key);
    struct lane *lane = lane_find(queue, hash, key);
    if (lane == NULL)
        lane = lane_new(queue, hash, key);
    if (lane != NULL)
        lane->ref_count++;
    return lane;
}

void lane_prefetch(const struct queue *queue, struct wire_bytes key)
{
    if (queue->lanes.room > 0)
        __builtin_prefetch(chains_bucket(&queue->lanes, hash_bytes(key)), 1);
}

void lane_unref(struct core *core, struct lane *lane)
{
    if (--lane->ref_count > 0)
        return;
    assert(lane->first == NULL && lane->holder == NULL && lane->plain == 0);
    if (lane->is_parking)
        TAILQ_REMOVE(&core->parking, lane, park_link);
    chains_remove(&lane->queue->lanes, lane->hash, &lane->link);
    lane_give(&core->lane_pool, lane);
}

struct lane *lane_next(const struct queue *queue, const struct lane *before)
{
    return (struct lane *)(before != NULL ? chains_next(&queue->lanes, before->hash, &before->link)
                                          : chains_next(&queue->lanes, 0, NULL));
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
    return (lane->plain != 0 && !planted(PLANT_LANE_PLAIN_PASSED)) || lane->holder != NULL ||
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
