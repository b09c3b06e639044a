/* Chance from a seed: the same numbers again for the same seed (splitmix64). */
#ifndef HERALD_TEST_CHANCE_H
#define HERALD_TEST_CHANCE_H

#include <stdint.h>

struct chance {
    uint64_t state;
};

static inline uint64_t chance_next(struct chance *chance)
{
    uint64_t z = chance->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* 0 to count-1; count > 0. */
static inline uint64_t chance_below(struct chance *chance, uint64_t count)
{
    return chance_next(chance) % count;
}

#endif
