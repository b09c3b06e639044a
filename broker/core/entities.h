/* The entities of one exchange: the version of each, and the sequence of its last event.
 *
 * An entity is known by 96 bits of the keyed hash of its name (siphash.h); the name itself is
 * nowhere but in its events. Entities stand in buckets of up to 256, each in the order of their
 * hashes; a directory finds the bucket by the first bits of a hash, and a bucket that is full
 * becomes two (extendible hashing: Fagin, Nievergelt, Pippenger, Strong, 1979). So no insert moves
 * more than one bucket, and an entity takes 24 bytes and its share of what buckets keep free, less
 * than 32 in all.
 */
#ifndef HERALD_ENTITIES_H
#define HERALD_ENTITIES_H

#include "broker/core/siphash.h"
#include "broker/store/archive.h"

struct entity_bucket;

struct entities {
    struct entity_bucket **directory; /* 2^depth entries, or NULL before the first entity */
    unsigned depth;
    uint64_t count;
    uint64_t memory_bytes;
    unsigned char secret[SIPHASH_SECRET_BYTES];
};

/* What an entity is known by. */
struct entity_key {
    uint64_t hash[2]; /* the second holds 32 bits */
};

void entities_init(struct entities *entities, const unsigned char secret[SIPHASH_SECRET_BYTES]);
void entities_deinit(struct entities *entities);

struct entity_key entities_key(const struct entities *entities, struct wire_bytes name);

/* False: there is no such entity; both are 0 then. */
bool entities_find(const struct entities *entities, struct entity_key key, uint64_t *version,
                   uint64_t *sequence);

/* Makes sure that the next entities_set, which is for this key, cannot fail. STATUS_NO_MEMORY. */
enum status entities_reserve(struct entities *entities, struct entity_key key);

/* The entity has this version with the event of this sequence; an older version than it has is left
 * out. */
void entities_set(struct entities *entities, struct entity_key key, uint64_t version,
                  uint64_t sequence);

/* Up to `count_max` entities behind *from, in the order of their hashes; *from goes to the last.
 * Begin with zeros. Returns how many; entities may come and change between the calls. */
uint32_t entities_slice(const struct entities *entities, struct entity_key *from,
                        struct archive_entity *out, uint32_t count_max);

#endif
