/* Chunks in memory: a sorted table to find them, two lists by age to let them go, and a pool so
 * that the memory of one that goes serves the next that comes without being mapped anew. */
#include "broker/store/cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define POOL_COUNT_MAX 4

void cache_init(struct cache *cache, uint64_t bytes_max)
{
    *cache = (struct cache){.bytes_max = bytes_max};
    TAILQ_INIT(&cache->appended);
    TAILQ_INIT(&cache->windows);
    TAILQ_INIT(&cache->pool);
}

static void free_chunks(struct chunk_list *list)
{
    struct chunk *chunk;
    while ((chunk = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, chunk, link);
        free(chunk->at);
        free(chunk);
    }
}

void cache_deinit(struct cache *cache)
{
    free_chunks(&cache->appended);
    free_chunks(&cache->windows);
    free_chunks(&cache->pool);
    free(cache->sorted);
}

/* Index of the first chunk above a position. */
static size_t index_above(const struct cache *cache, uint64_t position)
{
    size_t low = 0;
    size_t high = cache->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cache->sorted[middle].position <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The chunk that holds a position, without looking at it. */
static struct chunk *locate(const struct cache *cache, uint64_t position)
{
    size_t index = index_above(cache, position);
    if (index == 0)
        return NULL;
    struct chunk *chunk = cache->sorted[index - 1].chunk;
    return position - chunk->position < chunk->used_bytes ? chunk : NULL;
}

static int reserve(struct cache *cache)
{
    if (cache->count < cache->capacity)
        return 0;
    size_t capacity = cache->capacity == 0 ? 16 : 2 * cache->capacity;
    struct cache_slot *sorted = realloc(cache->sorted, capacity * sizeof *sorted);
    if (sorted == NULL)
        return -1;
    cache->sorted = sorted;
    cache->capacity = capacity;
    return 0;
}

static void insert(struct cache *cache, struct chunk *chunk)
{
    size_t index = index_above(cache, chunk->position);
    memmove(cache->sorted + index + 1, cache->sorted + index,
            (cache->count - index) * sizeof *cache->sorted);
    cache->sorted[index] = (struct cache_slot){chunk->position, chunk};
    cache->count++;
}

static struct chunk *chunk_new(size_t capacity_bytes)
{
    struct chunk *chunk = calloc(1, sizeof *chunk);
    if (chunk == NULL)
        return NULL;
    chunk->capacity_bytes = capacity_bytes;
    chunk->at = malloc(capacity_bytes);
    if (chunk->at != NULL)
        return chunk;
    free(chunk);
    return NULL;
}

struct chunk *cache_append_chunk(struct cache *cache, uint64_t position, size_t capacity_bytes)
{
    if (reserve(cache) != 0)
        return NULL;
    struct chunk *chunk = TAILQ_FIRST(&cache->pool);
    if (chunk != NULL && capacity_bytes <= CHUNK_BYTES) {
        TAILQ_REMOVE(&cache->pool, chunk, link);
        cache->pool_count--;
    } else {
        chunk = chunk_new(capacity_bytes);
        if (chunk == NULL)
            return NULL;
    }
    chunk->position = position;
    chunk->used_bytes = 0;
    chunk->kind = CHUNK_APPENDED;
    TAILQ_INSERT_TAIL(&cache->appended, chunk, link);
    cache->appended_bytes += chunk->capacity_bytes;
    insert(cache, chunk);
    return chunk;
}

void cache_add_window_take(struct cache *cache, uint64_t position, unsigned char *at, size_t bytes)
{
    struct chunk *chunk = NULL;
    if (locate(cache, position) != NULL || reserve(cache) != 0)
        goto drop;
    chunk = calloc(1, sizeof *chunk);
    if (chunk == NULL)
        goto drop;
    size_t above = index_above(cache, position);
    if (above < cache->count && cache->sorted[above].position - position < bytes)
        bytes = (size_t)(cache->sorted[above].position - position);
    *chunk = (struct chunk){.at = at,
                            .position = position,
                            .used_bytes = bytes,
                            .capacity_bytes = bytes,
                            .round = cache->round,
                            .kind = CHUNK_WINDOW};
    TAILQ_INSERT_TAIL(&cache->windows, chunk, link);
    cache->window_bytes += bytes;
    insert(cache, chunk);
    return;

drop:
    free(at);
}

/* Somebody looks at a window, or it goes. */
static void end_freshness(struct cache *cache, struct chunk *chunk)
{
    if (chunk->is_fresh)
        cache->fresh_bytes -= chunk->capacity_bytes;
    chunk->is_fresh = false;
}

void cache_mark_fresh(struct cache *cache, uint64_t position)
{
    struct chunk *chunk = locate(cache, position);
    if (chunk == NULL || chunk->kind != CHUNK_WINDOW || chunk->is_fresh)
        return;
    chunk->is_fresh = true;
    cache->fresh_bytes += chunk->capacity_bytes;
    if (cache->last == chunk)
        cache->last = NULL;
}

enum cache_window_state cache_window_state(const struct cache *cache, uint64_t position)
{
    const struct chunk *chunk = locate(cache, position);
    if (chunk == NULL)
        return CACHE_WINDOW_NONE;
    return chunk->is_fresh ? CACHE_WINDOW_FRESH : CACHE_WINDOW_USED;
}

void cache_leave_window(struct cache *cache, uint64_t position)
{
    struct chunk *chunk = locate(cache, position);
    if (chunk == NULL || chunk->kind != CHUNK_WINDOW)
        return;
    chunk->is_left = true;
    TAILQ_REMOVE(&cache->windows, chunk, link);
    TAILQ_INSERT_HEAD(&cache->windows, chunk, link);
    if (cache->last == chunk)
        cache->last = NULL;
}

struct chunk *cache_find(struct cache *cache, uint64_t position)
{
    struct chunk *chunk = locate(cache, position);
    if (chunk == NULL)
        return NULL;
    cache->last = chunk;
    if (chunk->kind == CHUNK_WINDOW) {
        end_freshness(cache, chunk);
        chunk->is_left = false;
        chunk->round = cache->round;
        TAILQ_REMOVE(&cache->windows, chunk, link);
        TAILQ_INSERT_TAIL(&cache->windows, chunk, link);
    }
    return chunk;
}

static void remove_sorted(struct cache *cache, const struct chunk *chunk)
{
    size_t index = index_above(cache, chunk->position) - 1;
    assert(cache->sorted[index].chunk == chunk);
    cache->count--;
    memmove(cache->sorted + index, cache->sorted + index + 1,
            (cache->count - index) * sizeof *cache->sorted);
    if (cache->last == chunk)
        cache->last = NULL;
}

static void drop_appended(struct cache *cache, struct chunk *chunk)
{
    remove_sorted(cache, chunk);
    TAILQ_REMOVE(&cache->appended, chunk, link);
    assert(TAILQ_FIRST(&cache->appended) != chunk);
    cache->appended_bytes -= chunk->capacity_bytes;
    if (chunk->capacity_bytes == CHUNK_BYTES && cache->pool_count < POOL_COUNT_MAX) {
        TAILQ_INSERT_HEAD(&cache->pool, chunk, link);
        cache->pool_count++;
        return;
    }
    free(chunk->at);
    free(chunk);
}

static void drop_window(struct cache *cache, struct chunk *chunk)
{
    remove_sorted(cache, chunk);
    TAILQ_REMOVE(&cache->windows, chunk, link);
    assert(TAILQ_FIRST(&cache->windows) != chunk);
    cache->window_bytes -= chunk->capacity_bytes;
    end_freshness(cache, chunk);
    free(chunk->at);
    free(chunk);
}

void cache_evict(struct cache *cache, uint64_t durable_position, const struct chunk *filling)
{
    struct chunk *chunk;
    /* Readers that lag behind may take half; what was appended lately is more likely to be wanted.
     */
    while (cache->window_bytes > cache->bytes_max / 2 &&
           (chunk = TAILQ_FIRST(&cache->windows)) != NULL && chunk->round + 1 < cache->round)
        drop_window(cache, chunk);
    while (cache->appended_bytes + cache->window_bytes > cache->bytes_max &&
           (chunk = TAILQ_FIRST(&cache->windows)) != NULL && chunk->is_left &&
           chunk->round + 1 < cache->round)
        drop_window(cache, chunk);
    while (cache->appended_bytes + cache->window_bytes > cache->bytes_max &&
           (chunk = TAILQ_FIRST(&cache->appended)) != NULL && chunk != filling &&
           chunk->position + chunk->used_bytes <= durable_position)
        drop_appended(cache, chunk);
    cache->round++;
}
