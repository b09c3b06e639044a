/* Leases: how long a consumer may have a delivery without a word about it. */
#include "broker/core/lease.h"

#include "broker/core/consumer.h"
#include "broker/core/delivery.h"
#include "broker/core/output.h"
#include "broker/core/queue.h"
#include "broker/core/retry.h"
#include "broker/plant.h"

enum {
    /* Leases are kept in ticks since the start, so that a delivery stays small. */
    LEASE_TICK_MS = 50,
    /* When the journal takes nothing now. */
    AGAIN_MS = 1000,
};

static uint64_t ends_ms(const struct core *core, const struct delivery *delivery)
{
    return core->started_ms + (uint64_t)delivery->lease_tick * LEASE_TICK_MS;
}

static void arm(struct peer *peer, uint64_t due_ms)
{
    if (due_ms >= peer->lease_due_ms)
        return;
    peer->lease_due_ms = due_ms;
    wheel_arm(&peer->core->wheel, &peer->lease_timer, due_ms);
}

void lease_begin(struct peer *peer, struct delivery *delivery)
{
    const struct core *core = peer->core;
    uint64_t lease_ms = delivery->consumer->queue->lease_ms;
    delivery->lease_tick = 0;
    if (lease_ms == 0)
        return;
    uint64_t ticks = (core->now_ms - core->started_ms + lease_ms) / LEASE_TICK_MS + 1;
    if (lease_ms > UINT32_MAX || ticks > UINT32_MAX)
        return; /* longer than any broker runs */
    delivery->lease_tick = (uint32_t)ticks;
    arm(peer, ends_ms(core, delivery));
}

void lease_renew(struct peer *peer, uint64_t first, uint64_t last)
{
    for (struct delivery *delivery = delivery_find_from(peer, first);
         delivery != NULL && delivery->name <= last; delivery = delivery_next(peer, delivery))
        lease_begin(peer, delivery);
}

/* False: it could not be recorded; the delivery stands. */
static bool expire(struct peer *peer, struct delivery *delivery)
{
    struct core *core = peer->core;
    struct queue *queue = delivery->consumer->queue;
    struct failure failure = {.class = FAIL_RETRYABLE,
                              .ran = OUTCOME_MAYBE_RUN,
                              .code = wire_bytes_of_text(status_name(STATUS_LEASE_EXPIRED)),
                              .text = wire_bytes_of_text(status_text(STATUS_LEASE_EXPIRED))};
    if (retry_fail(core, NULL, queue, delivery->number, &failure) != STATUS_OK)
        return false;
    core->counters.leases_expired++;
    struct frame frame = {.header.type = FRAME_UNWANTED};
    frame.as.unwanted = (struct frame_unwanted){delivery->name, STATUS_LEASE_EXPIRED};
    output_frame(peer, &frame);
    if (!planted(PLANT_STALE_SETTLED))
        consumer_on_settled(peer, delivery);
    return true;
}

void lease_on_timer(struct core *core, struct wheel_timer *timer)
{
    struct peer *peer = (struct peer *)(void *)((char *)timer - offsetof(struct peer, lease_timer));
    uint64_t next_ms = UINT64_MAX;
    struct delivery *delivery = delivery_find_from(peer, 0);
    peer->lease_due_ms = UINT64_MAX;
    while (delivery != NULL) {
        struct delivery *next = delivery_next(peer, delivery);
        uint64_t end_ms = delivery->lease_tick != 0 ? ends_ms(core, delivery) : UINT64_MAX;
        if (end_ms <= core->now_ms && !expire(peer, delivery))
            end_ms = core->now_ms + AGAIN_MS;
        if (end_ms > core->now_ms && end_ms < next_ms)
            next_ms = end_ms;
        delivery = next;
    }
    arm(peer, next_ms);
}
