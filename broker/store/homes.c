/* Home counts and weights in a ring over the segments that are kept.
 *
 * The sum of what lives needs a division for each segment that changed; that is done when somebody
 * asks, once for all changes until then.
 */
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
    free(homes->segments);
    free(homes->changed);
}

static struct homes_segment *segment_of(const struct homes *homes, uint64_t number)
{
    return &homes->segments[number & (homes->capacity - 1)];
}

static enum status grow(struct homes *homes, uint64_t capacity)
{
    struct homes_segment *segments = calloc(capacity, sizeof *segments);
    uint64_t *changed = realloc(homes->changed, capacity * sizeof *changed);
    if (changed != NULL)
        homes->changed = changed;
    if (segments == NULL || changed == NULL) {
        free(segments);
        return STATUS_NO_MEMORY;
    }
    for (uint64_t n = homes->first; n < homes->end; n++)
        segments[n & (capacity - 1)] = *segment_of(homes, n);
    free(homes->segments);
    homes->segments = segments;
    homes->capacity = capacity;
    return STATUS_OK;
}

enum status homes_reserve(struct homes *homes, uint64_t last)
{
    if (last < homes->end)
        return STATUS_OK;
    uint64_t capacity = homes->capacity == 0 ? 16 : homes->capacity;
    while (last - homes->first >= capacity)
        capacity *= 2;
    if (capacity != homes->capacity && grow(homes, capacity) != STATUS_OK)
        return STATUS_NO_MEMORY;
    for (; homes->end <= last; homes->end++)
        *segment_of(homes, homes->end) = (struct homes_segment){0};
    return STATUS_OK;
}

static uint64_t number_of(const struct homes *homes, uint64_t position)
{
    return homes->segment_shift != 0 ? position >> homes->segment_shift
                                     : position / homes->segment_bytes;
}

/* The segment of a position, whose weight is about to change. */
static struct homes_segment *change(struct homes *homes, uint64_t position)
{
    uint64_t number = number_of(homes, position);
    assert(number >= homes->first && number < homes->end);
    struct homes_segment *segment = segment_of(homes, number);
    if (segment->is_changed)
        return segment;
    segment->is_changed = true;
    homes->changed[homes->changed_count++] = number;
    return segment;
}

void homes_state(struct homes *homes, uint64_t position, uint32_t count, uint64_t weight,
                 uint64_t bytes)
{
    struct homes_segment *segment = change(homes, position);
    segment->count += count;
    segment->weight += weight;
    segment->stated_weight += weight;
    segment->stated_bytes += bytes;
}

void homes_remove(struct homes *homes, uint64_t position, uint32_t count, uint64_t weight)
{
    struct homes_segment *segment = change(homes, position);
    assert(segment->count >= count && segment->weight >= weight);
    segment->count -= count;
    segment->weight -= weight;
}

bool homes_may_pin(const struct homes *homes, uint64_t position)
{
    uint64_t number = number_of(homes, position);
    return number >= homes->first && number < homes->end;
}

void homes_pin(struct homes *homes, uint64_t position)
{
    homes_state(homes, position, 1, 0, 0);
}

void homes_unpin(struct homes *homes, uint64_t position)
{
    homes_remove(homes, position, 1, 0);
}

/* Weights and bytes are cut to a common 32 bits where their product would not fit. What states the
 * same object several times in one segment (an attempt, say) may count more than the segment has.
 */
static uint64_t live_bytes_of(const struct homes *homes, const struct homes_segment *segment)
{
    uint64_t weight = segment->weight;
    uint64_t stated = segment->stated_weight;
    uint64_t bytes = segment->stated_bytes;
    if (bytes > homes->segment_bytes)
        bytes = homes->segment_bytes;
    while (stated > UINT32_MAX) {
        stated >>= 1;
        weight >>= 1;
    }
    return stated == 0 ? 0 : weight * bytes / stated;
}

/* Brings the sum up to date. */
static void sum_changed(struct homes *homes)
{
    for (uint64_t i = 0; i < homes->changed_count; i++) {
        struct homes_segment *segment = segment_of(homes, homes->changed[i]);
        homes->live_bytes -= segment->live_bytes;
        segment->live_bytes = live_bytes_of(homes, segment);
        homes->live_bytes += segment->live_bytes;
        segment->is_changed = false;
    }
    homes->changed_count = 0;
}

uint64_t homes_trim(struct homes *homes, uint64_t last)
{
    if (homes->first >= last || segment_of(homes, homes->first)->count > 0)
        return homes->first;
    sum_changed(homes);
    while (homes->first < last && segment_of(homes, homes->first)->count == 0) {
        homes->live_bytes -= segment_of(homes, homes->first)->live_bytes;
        homes->first++;
    }
    return homes->first;
}

uint64_t homes_live_bytes(struct homes *homes)
{
    sum_changed(homes);
    return homes->live_bytes;
}

uint64_t homes_oldest_live_bytes(struct homes *homes)
{
    sum_changed(homes);
    return segment_of(homes, homes->first)->live_bytes;
}
