/* A histogram of times with buckets that are at most 1/64 wide. */
#include "client-lib/cli/histogram.h"

#include <stddef.h>

enum { FINE_COUNT = 1 << HISTOGRAM_FINE_BITS };

/* Values below 64 have a bucket each; above, each power of two is cut into 64. */
static size_t bucket_of(uint64_t value)
{
    if (value < FINE_COUNT)
        return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_FINE_BITS;
    return (size_t)((uint64_t)(shift + 1) * FINE_COUNT + ((value >> shift) & (FINE_COUNT - 1)));
}

static uint64_t value_of(size_t bucket)
{
    if (bucket < FINE_COUNT)
        return bucket;
    unsigned shift = (unsigned)(bucket / FINE_COUNT) - 1;
    return ((uint64_t)FINE_COUNT + bucket % FINE_COUNT) << shift;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->buckets[bucket_of(value)]++;
    histogram->count++;
}

double histogram_find(const struct histogram *histogram, double part)
{
    if (histogram->count == 0)
        return -1;
    uint64_t wanted = (uint64_t)(part * (double)histogram->count);
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > wanted || seen == histogram->count)
            return (double)value_of(i);
    }
    return -1;
}
