/* What recent keys led to, in all exchanges of a broker.
 *
 * A result belongs to a generation: each change of a trie draws a new one, so that what was found
 * before is not found any more, without being looked for. It goes when its slot is wanted. Four
 * slots with the same place are tried, the oldest of them is given up.
 */
#ifndef HERALD_ROUTE_CACHE_H
#define HERALD_ROUTE_CACHE_H

#include "broker/core/hash.h"

enum {
    ROUTE_CACHE_SETS = 1024, /* a power of two */
    ROUTE_CACHE_WAYS = 4,
    ROUTE_CACHE_TARGETS_MAX = 64, /* longer results are not kept */
};

struct route_cached {
    uint64_t generation;
    uint32_t count;
    uint32_t key_bytes;
    void *targets[]; /* and the key behind them */
};

struct route_cache;

/* NULL when memory ran out. */
struct route_cache *route_cache_new(void);
void route_cache_free(struct route_cache *cache);

/* A generation that was never drawn before. */
uint64_t route_cache_draw(struct route_cache *cache);

/* NULL: not known. Holds until the next route_cache_put. */
const struct route_cached *route_cache_find(const struct route_cache *cache, uint64_t generation,
                                            struct wire_bytes key);

/* Without memory, or when it is too long, it is not kept. */
void route_cache_put(struct route_cache *cache, uint64_t generation, struct wire_bytes key,
                     void *const *targets, size_t count);

#endif
