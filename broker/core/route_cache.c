/* What recent keys led to. */
#include "broker/core/route_cache.h"

#include <stdlib.h>

struct slot {
    uint64_t hash;
    struct route_cached *result; /* NULL: free */
};

struct set {
    struct slot slots[ROUTE_CACHE_WAYS];
};

struct route_cache {
    uint64_t generation;
    struct set *sets; /* NULL: nothing was kept yet */
    uint8_t oldest[ROUTE_CACHE_SETS];
};

struct route_cache *route_cache_new(void)
{
    return calloc(1, sizeof(struct route_cache));
}

void route_cache_free(struct route_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; cache->sets != NULL && i < ROUTE_CACHE_SETS; i++)
        for (size_t way = 0; way < ROUTE_CACHE_WAYS; way++)
            free(cache->sets[i].slots[way].result);
    free(cache->sets);
    free(cache);
}

uint64_t route_cache_draw(struct route_cache *cache)
{
    return ++cache->generation;
}

static uint64_t hash_of(uint64_t generation, struct wire_bytes key)
{
    return hash_mix(hash_bytes(key), generation);
}

static size_t set_of(uint64_t hash)
{
    return hash & (ROUTE_CACHE_SETS - 1);
}

static bool is_result_of(const struct route_cached *result, uint64_t generation,
                         struct wire_bytes key)
{
    return result->generation == generation && result->key_bytes == key.bytes &&
           memcmp(result->targets + result->count, key.at, key.bytes) == 0;
}

const struct route_cached *route_cache_find(const struct route_cache *cache, uint64_t generation,
                                            struct wire_bytes key)
{
    if (cache->sets == NULL)
        return NULL;
    uint64_t hash = hash_of(generation, key);
    const struct set *set = &cache->sets[set_of(hash)];
    for (size_t way = 0; way < ROUTE_CACHE_WAYS; way++) {
        const struct slot *slot = &set->slots[way];
        if (slot->hash == hash && slot->result != NULL &&
            is_result_of(slot->result, generation, key))
            return slot->result;
    }
    return NULL;
}

void route_cache_put(struct route_cache *cache, uint64_t generation, struct wire_bytes key,
                     void *const *targets, size_t count)
{
    if (count > ROUTE_CACHE_TARGETS_MAX)
        return;
    if (cache->sets == NULL &&
        (cache->sets = calloc(ROUTE_CACHE_SETS, sizeof *cache->sets)) == NULL)
        return;
    size_t bytes = count * sizeof targets[0];
    struct route_cached *result = malloc(sizeof *result + bytes + key.bytes);
    if (result == NULL)
        return;
    result->generation = generation;
    result->count = (uint32_t)count;
    result->key_bytes = key.bytes;
    if (count > 0)
        memcpy(result->targets, targets, bytes);
    memcpy(result->targets + count, key.at, key.bytes);
    uint64_t hash = hash_of(generation, key);
    uint8_t *oldest = &cache->oldest[set_of(hash)];
    struct slot *slot = &cache->sets[set_of(hash)].slots[*oldest];
    *oldest = (uint8_t)((*oldest + 1) % ROUTE_CACHE_WAYS);
    free(slot->result);
    slot->hash = hash;
    slot->result = result;
}
