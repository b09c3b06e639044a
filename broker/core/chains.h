/* Hash tables that carry their links in what they hold: for what comes and goes with every message,
 * where uthash costs too much.
 *
 * A table is an array of buckets, each the head of a chain. It doubles when chains grow longer than
 * they should be in the mean, and shrinks when most are empty. What is held begins with its link or
 * knows where it is; its hash is the caller's, and stays the same.
 *
 * A pointer has 48 bits. The 16 above them in a bucket say which hashes its chain may hold, one bit
 * for four bits of a hash, so that what is not there is mostly not looked for in cold memory (Leis,
 * Boncz, Kemper, Neumann, "Morsel-Driven Parallelism", 2014). They are all cleared when the chain
 * ends.
 */
#ifndef HERALD_CHAINS_H
#define HERALD_CHAINS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"

struct chain_link {
    struct chain_link *next;
};

/* Empty when zeroed. */
struct chains {
    uint64_t *buckets; /* a pointer to the first link, and the hashes */
    uint32_t room;     /* buckets; a power of two or 0 */
    uint32_t count;
};

typedef uint64_t chains_hash_fn(const struct chain_link *link);

/* Makes sure that one more finds its place: a chain has `mean` links or fewer in the mean.
 * STATUS_OK or STATUS_NO_MEMORY. */
enum status chains_reserve(struct chains *chains, uint32_t mean, chains_hash_fn *hash_of);

/* Frees the buckets; whatever is still held is the caller's. */
void chains_deinit(struct chains *chains);

/* Takes one out that is held. */
void chains_remove(struct chains *chains, uint64_t hash, const struct chain_link *link);

/* One after the other in no order; NULL begins, and NULL is the end. The one before, of this hash,
 * may be removed when its successor is known. */
struct chain_link *chains_next(const struct chains *chains, uint64_t hash,
                               const struct chain_link *before);

enum { CHAINS_POINTER_BITS = 48 };

static inline uint64_t *chains_bucket(const struct chains *chains, uint64_t hash)
{
    return &chains->buckets[hash & (chains->room - 1)];
}

static inline struct chain_link *chains_first(uint64_t bucket)
{
    return (struct chain_link *)(uintptr_t)(bucket & ((UINT64_C(1) << CHAINS_POINTER_BITS) - 1));
}

static inline uint64_t chains_bit(uint64_t hash)
{
    return UINT64_C(1) << (CHAINS_POINTER_BITS + (hash >> 28 & 15));
}

/* The chain in which something of this hash is, if it is held. */
static inline struct chain_link *chains_find(const struct chains *chains, uint64_t hash)
{
    uint64_t bucket = chains->count > 0 ? *chains_bucket(chains, hash) : 0;
    return (bucket & chains_bit(hash)) != 0 ? chains_first(bucket) : NULL;
}

/* chains_reserve went before. */
static inline void chains_add(struct chains *chains, uint64_t hash, struct chain_link *link)
{
    uint64_t *bucket = chains_bucket(chains, hash);
    uint64_t first = (uint64_t)(uintptr_t)link;
    assert(first >> CHAINS_POINTER_BITS == 0);
    link->next = chains_first(*bucket);
    *bucket = first | chains_bit(hash) | (*bucket >> CHAINS_POINTER_BITS << CHAINS_POINTER_BITS);
    chains->count++;
}

/* A hash of numbers that come one after the other and are looked for so: runs of 4096 of them stand
 * in buckets one behind the other, which the machine reads ahead. Where a run begins is spread by
 * multiplying with an odd number (Knuth, The Art of Computer Programming 3, 6.4), so that every
 * sixteenth number, say, does not come to every sixteenth bucket. */
static inline uint64_t chains_hash_number(uint64_t number)
{
    return number + ((number >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

#endif
