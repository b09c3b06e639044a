/* Hash tables that carry their links in what they hold. */
#include "broker/core/chains.h"

#include <stdlib.h>

enum {
    ROOM_MIN = 16,
    SPARSE = 16, /* so many buckets to a link are too many */
};

static enum status resize(struct chains *chains, uint32_t room, chains_hash_fn *hash_of)
{
    struct chains resized = {.room = room, .buckets = calloc(room, sizeof *resized.buckets)};
    if (resized.buckets == NULL)
        return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < chains->room; i++) {
        struct chain_link *link = chains_first(chains->buckets[i]);
        while (link != NULL) {
            struct chain_link *next = link->next;
            chains_add(&resized, hash_of(link), link);
            link = next;
        }
    }
    free(chains->buckets);
    *chains = resized;
    return STATUS_OK;
}

enum status chains_reserve(struct chains *chains, uint32_t mean, chains_hash_fn *hash_of)
{
    uint32_t room = chains->room;
    if (room > ROOM_MIN && chains->count < room / SPARSE)
        (void)resize(chains, room / 4, hash_of); /* without memory it goes on as it is */
    if (chains->count < (uint64_t)chains->room * mean)
        return STATUS_OK;
    return resize(chains, room > 0 ? room * 2 : ROOM_MIN, hash_of);
}

void chains_deinit(struct chains *chains)
{
    free(chains->buckets);
    *chains = (struct chains){0};
}

void chains_remove(struct chains *chains, uint64_t hash, const struct chain_link *link)
{
    uint64_t *bucket = chains_bucket(chains, hash);
    struct chain_link *before = chains_first(*bucket);
    chains->count--;
    if (before == link) {
        uint64_t bits = link->next != NULL ? *bucket >> CHAINS_POINTER_BITS : 0;
        *bucket = (uint64_t)(uintptr_t)link->next | bits << CHAINS_POINTER_BITS;
        return;
    }
    while (before->next != link)
        before = before->next;
    before->next = link->next;
}

struct chain_link *chains_next(const struct chains *chains, uint64_t hash,
                               const struct chain_link *before)
{
    if (before != NULL && before->next != NULL)
        return before->next;
    if (chains->count == 0)
        return NULL;
    const uint64_t *bucket = before != NULL ? chains_bucket(chains, hash) + 1 : chains->buckets;
    while (bucket < chains->buckets + chains->room && *bucket == 0)
        bucket++;
    return bucket < chains->buckets + chains->room ? chains_first(*bucket) : NULL;
}
