/* Home counts in a ring over the segments that are kept. */
#include "broker/store/homes.h"

#include <assert.h>
#include <stdlib.h>

void homes_init(struct homes *homes, uint32_t segment_bytes, uint64_t first)
{
    *homes = (struct homes){.first = first, .end = first, .segment_bytes = segment_bytes};
    if ((segment_bytes & (segment_bytes - 1)) == 0)
        homes->segment_shift = (unsigned)__builtin_ctz(segment_bytes);
}

void homes_deinit(struct homes *homes)
{
    free(homes->counts);
}

enum status homes_reserve(struct homes *homes, uint64_t last)
{
    if (last < homes->end)
        return STATUS_OK;
    uint64_t capacity = homes->capacity == 0 ? 16 : homes->capacity;
    while (last - homes->first >= capacity)
        capacity *= 2;
    if (capacity != homes->capacity) {
        uint64_t *counts = calloc(capacity, sizeof *counts);
        if (counts == NULL)
            return STATUS_NO_MEMORY;
        for (uint64_t n = homes->first; n < homes->end; n++)
            counts[n & (capacity - 1)] = homes->counts[n & (homes->capacity - 1)];
        free(homes->counts);
        homes->counts = counts;
        homes->capacity = capacity;
    }
    for (; homes->end <= last; homes->end++)
        homes->counts[homes->end & (capacity - 1)] = 0;
    return STATUS_OK;
}

static uint64_t *count_of(struct homes *homes, uint64_t position)
{
    uint64_t number = homes->segment_shift != 0 ? position >> homes->segment_shift
                                                : position / homes->segment_bytes;
    assert(number >= homes->first && number < homes->end);
    return &homes->counts[number & (homes->capacity - 1)];
}

void homes_add(struct homes *homes, uint64_t position, uint32_t count)
{
    *count_of(homes, position) += count;
}

void homes_remove(struct homes *homes, uint64_t position, uint32_t count)
{
    uint64_t *found = count_of(homes, position);
    assert(*found >= count);
    *found -= count;
}

uint64_t homes_trim(struct homes *homes, uint64_t last)
{
    while (homes->first < last && homes->counts[homes->first & (homes->capacity - 1)] == 0)
        homes->first++;
    return homes->first;
}
