/* What a peer was given and has not settled.
 *
 * Deliveries lie in a ring in the order of their names. Settling in order empties the ring from its
 * front; a settled one in the middle leaves a slot that goes when all before it are settled, or
 * when the ring is full and those that are left are moved together.
 */
#include "broker/core/delivery.h"

#include <assert.h>
#include <stdlib.h>

enum { RING_ROOM_MIN = 8 };

static struct delivery *ring_at(const struct delivery_ring *ring, uint32_t i)
{
    return &ring->slots[(ring->start + i) & (ring->room - 1)];
}

/* Moves what is unsettled into a ring of this room. */
static enum status ring_resize(struct delivery_ring *ring, uint32_t room)
{
    struct delivery *slots = malloc(room * sizeof *slots);
    if (slots == NULL)
        return STATUS_NO_MEMORY;
    uint32_t count = 0;
    for (uint32_t i = 0; i < ring->count; i++)
        if (ring_at(ring, i)->consumer != NULL)
            slots[count++] = *ring_at(ring, i);
    assert(count == ring->live_count);
    free(ring->slots);
    ring->slots = slots;
    ring->room = room;
    ring->start = 0;
    ring->count = count;
    return STATUS_OK;
}

enum status delivery_reserve(struct peer *peer)
{
    struct delivery_ring *ring = &peer->deliveries;
    if (ring->count < ring->room)
        return STATUS_OK;
    uint32_t room = ring->room > 0 ? ring->room : RING_ROOM_MIN / 2;
    return ring_resize(ring, ring->live_count > room / 2 ? room * 2 : room);
}

uint64_t delivery_add(struct consumer *consumer, uint64_t number, uint32_t bytes)
{
    struct peer *peer = consumer->peer;
    struct delivery_ring *ring = &peer->deliveries;
    assert(ring->count < ring->room);
    uint64_t name = peer->core->next_delivery++;
    *ring_at(ring, ring->count++) = (struct delivery){name, number, consumer, bytes, 0};
    ring->live_count++;
    consumer->unsettled_count++;
    consumer->unsettled_bytes += bytes;
    return name;
}

struct delivery *delivery_newest(struct peer *peer)
{
    struct delivery_ring *ring = &peer->deliveries;
    return ring_at(ring, ring->count - 1);
}

static uint32_t ring_index(const struct delivery_ring *ring, const struct delivery *delivery)
{
    return ((uint32_t)(delivery - ring->slots) - ring->start) & (ring->room - 1);
}

static struct delivery *ring_live_from(const struct delivery_ring *ring, uint32_t i)
{
    for (; i < ring->count; i++)
        if (ring_at(ring, i)->consumer != NULL)
            return ring_at(ring, i);
    return NULL;
}

struct delivery *delivery_find_from(struct peer *peer, uint64_t name)
{
    const struct delivery_ring *ring = &peer->deliveries;
    uint32_t low = 0;
    uint32_t high = ring->count;
    if (high > 0 && ring_at(ring, 0)->name >= name)
        high = 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ring_at(ring, middle)->name < name)
            low = middle + 1;
        else
            high = middle;
    }
    return ring_live_from(ring, low);
}

struct delivery *delivery_next(struct peer *peer, const struct delivery *delivery)
{
    return ring_live_from(&peer->deliveries, ring_index(&peer->deliveries, delivery) + 1);
}

void delivery_remove(struct peer *peer, struct delivery *delivery)
{
    struct delivery_ring *ring = &peer->deliveries;
    delivery->consumer = NULL;
    ring->live_count--;
    while (ring->count > 0 && ring_at(ring, 0)->consumer == NULL) {
        ring->start = (ring->start + 1) & (ring->room - 1);
        ring->count--;
    }
}

void delivery_deinit(struct peer *peer)
{
    free(peer->deliveries.slots);
    peer->deliveries = (struct delivery_ring){0};
}
