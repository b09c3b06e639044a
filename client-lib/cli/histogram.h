/* A histogram of times with buckets that are at most 1/64 wide. */
#ifndef HERALD_CLI_HISTOGRAM_H
#define HERALD_CLI_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_FINE_BITS = 6,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_FINE_BITS + 1) << HISTOGRAM_FINE_BITS,
};

struct histogram {
    uint64_t count;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The value that this part (0 to 1) of all values do not exceed; -1 without any. */
double histogram_find(const struct histogram *histogram, double part);

#endif
