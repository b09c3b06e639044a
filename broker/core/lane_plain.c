/* Messages in lanes that stand in the plain order of their queue. */
#include "broker/core/lane_plain.h"

#include <assert.h>

#include "broker/core/lane.h"
#include "broker/core/queue.h"
#include "broker/core/state.h"

/* Messages between two steps of prefetch. */
static const uint64_t prefetch_step = 4;

static struct lane *lane_of(const struct chain_link *link)
{
    return (struct lane *)(void *)((char *)(uintptr_t)link - offsetof(struct lane, plain_link));
}

static uint64_t hash_of(const struct chain_link *link)
{
    return chains_hash_number(lane_of(link)->plain);
}

enum status lane_plain_reserve(struct queue *queue, struct wire_bytes key)
{
    struct lane_plains *plains = &queue->plains;
    assert(plains->entering == NULL);
    if (chains_reserve(&plains->table, 1, hash_of) != STATUS_OK)
        return STATUS_NO_MEMORY;
    struct lane *lane = lane_get(queue, key);
    if (lane == NULL)
        return STATUS_NO_MEMORY;
    if (lane->ref_count == 1)
        plains->entering = lane;
    else
        lane_unref(queue->core, lane);
    return STATUS_OK;
}

void lane_plain_unreserve(struct core *core, struct queue *queue)
{
    struct lane *lane = queue->plains.entering;
    queue->plains.entering = NULL;
    if (lane != NULL)
        lane_unref(core, lane);
}

void lane_plain_enter(struct core *core, struct queue *queue, uint64_t number)
{
    struct lane_plains *plains = &queue->plains;
    struct lane *lane = plains->entering;
    plains->entering = NULL;
    lane->plain = number;
    chains_add(&plains->table, chains_hash_number(number), &lane->plain_link);
    core->laned_count++;
    index_pin(&queue->index, queue->index.end - 1, 1);
}

struct lane *lane_plain_find(const struct lane_plains *plains, uint64_t number)
{
    struct chain_link *link = chains_find(&plains->table, chains_hash_number(number));
    while (link != NULL && lane_of(link)->plain != number)
        link = link->next;
    return link != NULL ? lane_of(link) : NULL;
}

void lane_plain_leave(struct core *core, struct queue *queue, uint64_t number, struct index_at at)
{
    struct lane *lane = lane_plain_find(&queue->plains, number);
    if (lane == NULL)
        return;
    chains_remove(&queue->plains.table, chains_hash_number(number), &lane->plain_link);
    lane->plain = 0;
    core->laned_count--;
    index_pin(&queue->index, at.slot, -1);
    if (lane->ref_count > 1)
        lane_update(core, lane);
    lane_unref(core, lane);
}

/* The first lane of the bucket, which is mostly the one of this number. */
static const struct lane *lane_at(const struct queue *queue, uint64_t number)
{
    const struct chain_link *link = chains_find(&queue->plains.table, chains_hash_number(number));
    return link != NULL ? lane_of(link) : NULL;
}

void lane_plain_prefetch(const struct queue *queue, uint64_t number)
{
    const struct lane *lane = lane_at(queue, number + 3 * prefetch_step);
    if (lane != NULL)
        __builtin_prefetch(lane, 1);
    lane = lane_at(queue, number + 2 * prefetch_step);
    if (lane != NULL)
        __builtin_prefetch(chains_bucket(&queue->lanes, lane->hash), 1);
    lane = lane_at(queue, number + prefetch_step);
    if (lane != NULL)
        __builtin_prefetch(chains_first(*chains_bucket(&queue->lanes, lane->hash)), 1);
}

enum status lane_plain_purge(struct core *core, struct peer *peer, struct queue *queue)
{
    enum status status = STATUS_OK;
    struct lane *lane = lane_next(queue, NULL);
    while (lane != NULL && status == STATUS_OK) {
        struct lane *next = lane_next(queue, lane);
        struct index_at at = index_find(&queue->index, lane->plain);
        if (lane->plain != 0 && place_is_ready(at.found->word))
            status = queue_settle(core, peer, queue, lane->plain, lane->plain);
        lane = next;
    }
    return status;
}

void lane_plains_deinit(struct lane_plains *plains)
{
    assert(plains->table.count == 0 && plains->entering == NULL);
    chains_deinit(&plains->table);
}
