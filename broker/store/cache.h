/* What of the journal is in memory: chunks that were appended to, and windows read back from disk.
 *
 * A chunk is the image of a range of a segment: the bytes at a position are found by subtraction.
 * Chunks never overlap. The newest is being filled; older ones stay as long as the limit allows,
 * but never leave before they are durable. Windows hold verified records only.
 */
#ifndef HERALD_CACHE_H
#define HERALD_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define CHUNK_BYTES (4u << 20)

enum chunk_kind { CHUNK_APPENDED, CHUNK_WINDOW };

struct chunk {
    TAILQ_ENTRY(chunk) link;
    unsigned char *at;
    uint64_t position;
    size_t used_bytes; /* that may be looked at */
    size_t capacity_bytes;
    uint64_t round; /* windows: when last looked at */
    enum chunk_kind kind;
    bool is_fresh; /* windows: read ahead and not looked at yet */
    bool is_left;  /* windows: its reader has gone on */
};

TAILQ_HEAD(chunk_list, chunk);

/* In the table that chunks are found by. */
struct cache_slot {
    uint64_t position;
    struct chunk *chunk;
};

struct cache {
    struct cache_slot *sorted; /* all chunks by position */
    size_t count;
    size_t capacity;
    struct chunk *last;         /* that answered last; NULL or in `sorted` */
    struct chunk_list appended; /* oldest first */
    struct chunk_list windows;  /* least recently used first */
    struct chunk_list pool;     /* of CHUNK_BYTES, ready for use */
    size_t pool_count;
    uint64_t appended_bytes;
    uint64_t window_bytes;
    uint64_t fresh_bytes; /* of windows that nobody looked at yet */
    uint64_t bytes_max;
    uint64_t round;
};

void cache_init(struct cache *cache, uint64_t bytes_max);
void cache_deinit(struct cache *cache);

/* A chunk at the end of the journal; NULL without memory. */
struct chunk *cache_append_chunk(struct cache *cache, uint64_t position, size_t capacity_bytes);

/* Takes over verified bytes read from disk (from malloc; gone on failure too), cut where what is
 * there already begins. Nothing happens when their beginning is there already. */
void cache_add_window_take(struct cache *cache, uint64_t position, unsigned char *at, size_t bytes);

/* Marks the window that begins here as read ahead: nobody waits for it. */
void cache_mark_fresh(struct cache *cache, uint64_t position);

/* What holds a position: nothing; a window that was read ahead and not looked at since; anything
 * else. Asking is no look. */
enum cache_window_state { CACHE_WINDOW_NONE, CACHE_WINDOW_FRESH, CACHE_WINDOW_USED };
enum cache_window_state cache_window_state(const struct cache *cache, uint64_t position);

/* Its reader has left the window that holds a position: it goes before all others, unless somebody
 * looks at it again. */
void cache_leave_window(struct cache *cache, uint64_t position);

/* The chunk that holds a position, or NULL. */
struct chunk *cache_find(struct cache *cache, uint64_t position);

static inline const unsigned char *cache_peek(struct cache *cache, uint64_t position, size_t *bytes)
{
    struct chunk *chunk = cache->last;
    if (chunk == NULL || position - chunk->position >= chunk->used_bytes) {
        chunk = cache_find(cache, position);
        if (chunk == NULL)
            return NULL;
    }
    *bytes = chunk->used_bytes - (size_t)(position - chunk->position);
    return chunk->at + (position - chunk->position);
}

/* Begins a round: what is beyond the limit goes, oldest first, but nothing at or above
 * `durable_position`, never the chunk `filling`, and no window that came or was used in this round
 * or the one before. */
void cache_evict(struct cache *cache, uint64_t durable_position, const struct chunk *filling);

#endif
