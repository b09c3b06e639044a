/* The entities of one exchange. */
#include "broker/core/entities.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUCKET_ENTITIES_MAX = 256,
    BUCKET_ROOM_MIN = 2,
    /* Names that share so many bits of their hashes share a bucket, however large. */
    DEPTH_MAX = 32,
    NUMBER_BITS = 48,
    POINTER_BYTES = sizeof(void *),
};

#define NUMBER_MASK ((UINT64_C(1) << NUMBER_BITS) - 1)

/* 24 bytes: above the 48 bits of version and sequence stand 16 more bits of the hash each. */
struct entity {
    uint64_t hash;
    uint64_t version;
    uint64_t sequence;
};

struct entity_bucket {
    uint32_t count;
    uint32_t room;
    unsigned depth; /* bits that all hashes here have in common */
    struct entity entities[];
};

static uint64_t hash_rest(const struct entity *entity)
{
    return (entity->version >> NUMBER_BITS) << 16 | entity->sequence >> NUMBER_BITS;
}

static struct entity entity_of(struct entity_key key, uint64_t version, uint64_t sequence)
{
    return (struct entity){key.hash[0], version | key.hash[1] >> 16 << NUMBER_BITS,
                           sequence | (key.hash[1] & 0xffff) << NUMBER_BITS};
}

void entities_init(struct entities *entities, const unsigned char secret[SIPHASH_SECRET_BYTES])
{
    *entities = (struct entities){0};
    memcpy(entities->secret, secret, SIPHASH_SECRET_BYTES);
}

struct entity_key entities_key(const struct entities *entities, struct wire_bytes name)
{
    struct entity_key key;
    siphash(entities->secret, name, key.hash);
    key.hash[1] &= UINT32_MAX;
    return key;
}

static size_t bucket_bytes(uint32_t room)
{
    return sizeof(struct entity_bucket) + room * sizeof(struct entity);
}

static size_t directory_index(uint64_t hash, unsigned depth)
{
    return depth == 0 ? 0 : (size_t)(hash >> (64 - depth));
}

void entities_deinit(struct entities *entities)
{
    size_t count = entities->directory != NULL ? (size_t)1 << entities->depth : 0;
    for (size_t i = 0; i < count;) {
        struct entity_bucket *bucket = entities->directory[i];
        i += (size_t)1 << (entities->depth - bucket->depth);
        free(bucket);
    }
    free(entities->directory);
    entities->directory = NULL;
    entities->depth = 0;
    entities->count = entities->memory_bytes = 0;
}

/* The first entity of a bucket that is not below the key. */
static uint32_t bucket_find(const struct entity_bucket *bucket, struct entity_key key)
{
    uint32_t low = 0;
    uint32_t high = bucket->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct entity *entity = &bucket->entities[middle];
        if (entity->hash < key.hash[0] ||
            (entity->hash == key.hash[0] && hash_rest(entity) < key.hash[1]))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool bucket_has(const struct entity_bucket *bucket, uint32_t at, struct entity_key key)
{
    return at < bucket->count && bucket->entities[at].hash == key.hash[0] &&
           hash_rest(&bucket->entities[at]) == key.hash[1];
}

static struct entity_bucket *bucket_of(const struct entities *entities, struct entity_key key)
{
    return entities->directory != NULL
               ? entities->directory[directory_index(key.hash[0], entities->depth)]
               : NULL;
}

bool entities_find(const struct entities *entities, struct entity_key key, uint64_t *version,
                   uint64_t *sequence)
{
    *version = *sequence = 0;
    const struct entity_bucket *bucket = bucket_of(entities, key);
    uint32_t at = bucket != NULL ? bucket_find(bucket, key) : 0;
    if (bucket == NULL || !bucket_has(bucket, at, key))
        return false;
    *version = bucket->entities[at].version & NUMBER_MASK;
    *sequence = bucket->entities[at].sequence & NUMBER_MASK;
    return true;
}

/* --- growing ------------------------------------------------------------------------------------
 */

static struct entity_bucket *bucket_new(struct entities *entities, uint32_t room, unsigned depth)
{
    struct entity_bucket *bucket = malloc(bucket_bytes(room));
    if (bucket == NULL)
        return NULL;
    bucket->count = 0;
    bucket->room = room;
    bucket->depth = depth;
    entities->memory_bytes += bucket_bytes(room);
    return bucket;
}

/* NULL is fine. */
static void bucket_free(struct entities *entities, struct entity_bucket *bucket)
{
    if (bucket == NULL)
        return;
    entities->memory_bytes -= bucket_bytes(bucket->room);
    free(bucket);
}

/* Has all entries of the directory that lead to buckets with this hash's first bits lead to this
 * one. */
static void directory_set(struct entities *entities, uint64_t hash, struct entity_bucket *bucket)
{
    size_t count = (size_t)1 << (entities->depth - bucket->depth);
    size_t first = directory_index(hash, entities->depth) & ~(count - 1);
    for (size_t i = 0; i < count; i++)
        entities->directory[first + i] = bucket;
}

static enum status directory_double(struct entities *entities)
{
    size_t count = (size_t)1 << entities->depth;
    struct entity_bucket **directory = realloc(entities->directory, 2 * count * POINTER_BYTES);
    if (directory == NULL)
        return STATUS_NO_MEMORY;
    for (size_t i = count; i-- > 0;)
        directory[2 * i] = directory[2 * i + 1] = directory[i];
    entities->directory = directory;
    entities->depth++;
    entities->memory_bytes += count * POINTER_BYTES;
    return STATUS_OK;
}

/* Buckets for the two halves of a full one, empty. False: no memory. */
static bool halves_new(struct entities *entities, const uint32_t counts[2], unsigned depth,
                       struct entity_bucket *halves[2])
{
    halves[0] = bucket_new(entities, counts[0] + BUCKET_ROOM_MIN, depth);
    halves[1] = bucket_new(entities, counts[1] + BUCKET_ROOM_MIN, depth);
    if (halves[0] != NULL && halves[1] != NULL)
        return true;
    bucket_free(entities, halves[0]);
    bucket_free(entities, halves[1]);
    return false;
}

/* A full bucket becomes two. */
static enum status bucket_split(struct entities *entities, struct entity_bucket *bucket,
                                uint64_t hash)
{
    if (bucket->depth == entities->depth && directory_double(entities) != STATUS_OK)
        return STATUS_NO_MEMORY;
    unsigned depth = bucket->depth + 1;
    uint64_t bit = UINT64_C(1) << (64 - depth);
    uint32_t left = 0;
    while (left < bucket->count && (bucket->entities[left].hash & bit) == 0)
        left++;
    uint32_t counts[2] = {left, bucket->count - left};
    struct entity_bucket *halves[2];
    if (!halves_new(entities, counts, depth, halves))
        return STATUS_NO_MEMORY;
    for (int i = 0; i < 2; i++) {
        halves[i]->count = counts[i];
        if (counts[i] > 0)
            memcpy(halves[i]->entities, bucket->entities + (i == 0 ? 0 : left),
                   counts[i] * sizeof(struct entity));
    }
    directory_set(entities, hash & ~bit, halves[0]);
    directory_set(entities, hash | bit, halves[1]);
    bucket_free(entities, bucket);
    return STATUS_OK;
}

static enum status bucket_grow(struct entities *entities, struct entity_bucket *bucket,
                               uint64_t hash)
{
    uint32_t more = bucket->count / 8 > BUCKET_ROOM_MIN ? bucket->count / 8 : BUCKET_ROOM_MIN;
    uint32_t room = bucket->room + more;
    struct entity_bucket *grown = realloc(bucket, bucket_bytes(room));
    if (grown == NULL)
        return STATUS_NO_MEMORY;
    entities->memory_bytes += bucket_bytes(room) - bucket_bytes(grown->room);
    grown->room = room;
    directory_set(entities, hash, grown);
    return STATUS_OK;
}

static enum status begin(struct entities *entities)
{
    entities->directory = malloc(sizeof(struct entity_bucket *));
    struct entity_bucket *bucket =
        entities->directory != NULL ? bucket_new(entities, BUCKET_ROOM_MIN, 0) : NULL;
    if (bucket == NULL) {
        free(entities->directory);
        entities->directory = NULL;
        return STATUS_NO_MEMORY;
    }
    entities->directory[0] = bucket;
    entities->memory_bytes += sizeof(struct entity_bucket *);
    return STATUS_OK;
}

enum status entities_reserve(struct entities *entities, struct entity_key key)
{
    enum status status = entities->directory == NULL ? begin(entities) : STATUS_OK;
    while (status == STATUS_OK) {
        struct entity_bucket *bucket = bucket_of(entities, key);
        assert(bucket != NULL);
        if (bucket->count < bucket->room && bucket->count < BUCKET_ENTITIES_MAX)
            return STATUS_OK;
        if (bucket_has(bucket, bucket_find(bucket, key), key))
            return STATUS_OK;
        if (bucket->count >= BUCKET_ENTITIES_MAX && bucket->depth < DEPTH_MAX)
            status = bucket_split(entities, bucket, key.hash[0]);
        else if (bucket->count < bucket->room)
            return STATUS_OK;
        else
            status = bucket_grow(entities, bucket, key.hash[0]);
    }
    return status;
}

void entities_set(struct entities *entities, struct entity_key key, uint64_t version,
                  uint64_t sequence)
{
    assert(version <= NUMBER_MASK && sequence <= NUMBER_MASK);
    struct entity_bucket *bucket = bucket_of(entities, key);
    assert(bucket != NULL);
    uint32_t at = bucket_find(bucket, key);
    if (bucket_has(bucket, at, key)) {
        if ((bucket->entities[at].version & NUMBER_MASK) < version)
            bucket->entities[at] = entity_of(key, version, sequence);
        return;
    }
    assert(bucket->count < bucket->room);
    memmove(bucket->entities + at + 1, bucket->entities + at,
            (bucket->count - at) * sizeof(struct entity));
    bucket->entities[at] = entity_of(key, version, sequence);
    bucket->count++;
    entities->count++;
}

/* --- all of them --------------------------------------------------------------------------------
 */

uint32_t entities_slice(const struct entities *entities, struct entity_key *from,
                        struct archive_entity *out, uint32_t count_max)
{
    if (entities->directory == NULL)
        return 0;
    uint32_t count = 0;
    size_t room = (size_t)1 << entities->depth;
    size_t slot = directory_index(from->hash[0], entities->depth);
    const struct entity_bucket *bucket = entities->directory[slot];
    uint32_t at = bucket_find(bucket, *from);
    if (bucket_has(bucket, at, *from))
        at++; /* it was given last, or it is that of all zeros, which no name has */
    while (count < count_max) {
        for (; at < bucket->count && count < count_max; at++) {
            const struct entity *entity = &bucket->entities[at];
            out[count++] = (struct archive_entity){{entity->hash, hash_rest(entity)},
                                                   entity->version & NUMBER_MASK,
                                                   entity->sequence & NUMBER_MASK};
        }
        size_t step = (size_t)1 << (entities->depth - bucket->depth);
        slot = (slot & ~(step - 1)) + step;
        if (at < bucket->count || slot >= room)
            break;
        bucket = entities->directory[slot];
        at = 0;
    }
    if (count > 0)
        *from = (struct entity_key){{out[count - 1].hash[0], out[count - 1].hash[1]}};
    return count;
}
