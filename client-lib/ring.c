/* A growing ring of what is under way. */
#include "client-lib/ring.h"

#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_FIRST = 64 };

void ring_init(struct ring *ring)
{
    *ring = (struct ring){0};
}

void ring_deinit(struct ring *ring)
{
    free(ring->slots);
    ring_init(ring);
}

static bool grow(struct ring *ring)
{
    size_t capacity = ring->capacity > 0 ? ring->capacity * 2 : CAPACITY_FIRST;
    struct entry *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < ring->count; i++)
        slots[(ring->first + i) & (capacity - 1)] = *ring_at(ring, i);
    free(ring->slots);
    ring->slots = slots;
    ring->capacity = capacity;
    return true;
}

bool ring_push(struct ring *ring, const struct entry *entry)
{
    if (ring->count == ring->capacity && !grow(ring))
        return false;
    ring->count++;
    *ring_at(ring, ring->count - 1) = *entry;
    return true;
}

void ring_pop(struct ring *ring)
{
    assert(ring->count > 0);
    ring->first++;
    ring->count--;
}

void ring_pop_answered(struct ring *ring)
{
    while (ring->count > 0 && ring_at(ring, 0)->answered)
        ring_pop(ring);
}

size_t ring_index_above(const struct ring *ring, uint64_t tag)
{
    size_t low = 0;
    size_t high = ring->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ring_at(ring, middle)->tag <= tag)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct entry *ring_find(const struct ring *ring, uint64_t tag)
{
    size_t index = ring_index_above(ring, tag);
    if (index == 0)
        return NULL;
    struct entry *entry = ring_at(ring, index - 1);
    return entry->tag == tag && !entry->answered ? entry : NULL;
}
