/* Reading ahead: a queue that is drained from disk reads its records in order.
 *
 *   request --> window --> request right behind it: the reader goes on in order
 *                            |
 *                            +--> larger windows, and the next one is read as soon as the reader
 *                                 enters the newest; the one it left goes first when memory is
 * short
 *
 * Windows that were read ahead and not yet looked at take at most a quarter of the cache.
 */
#include "broker/store/ahead.h"

#include <stddef.h>

#include "broker/store/segment.h"

/* What may stand between two records: the rest of a batch and the header of the next. */
#define GAP_BYTES 1024u

void ahead_init(struct ahead *ahead, uint32_t segment_bytes)
{
    *ahead = (struct ahead){.segment_bytes = segment_bytes};
}

static uint64_t segment_start(const struct ahead *ahead, uint64_t position)
{
    return position - position % ahead->segment_bytes + SEGMENT_HEADER_BYTES;
}

/* True when a window that begins at `start` goes on where the stream is. */
static bool is_behind(const struct ahead *ahead, const struct ahead_stream *stream, uint64_t start)
{
    if (stream->turn == 0 || start < stream->start)
        return false;
    return start <= stream->next + GAP_BYTES ||
           (start <= segment_start(ahead, start) + GAP_BYTES &&
            stream->next / ahead->segment_bytes + 1 == start / ahead->segment_bytes);
}

static const struct ahead_stream *find_behind(const struct ahead *ahead, uint64_t start)
{
    for (size_t i = 0; i < AHEAD_STREAMS; i++)
        if (is_behind(ahead, &ahead->streams[i], start))
            return &ahead->streams[i];
    return NULL;
}

static uint32_t larger(uint32_t bytes)
{
    return bytes < AHEAD_BYTES_MAX ? 2 * bytes : AHEAD_BYTES_MAX;
}

uint32_t ahead_bytes(const struct ahead *ahead, uint64_t start)
{
    const struct ahead_stream *stream = find_behind(ahead, start);
    return stream != NULL ? larger(stream->bytes) : AHEAD_BYTES_MIN;
}

static struct ahead_stream *oldest_stream(struct ahead *ahead)
{
    struct ahead_stream *oldest = &ahead->streams[0];
    for (size_t i = 1; i < AHEAD_STREAMS; i++)
        if (ahead->streams[i].turn < oldest->turn)
            oldest = &ahead->streams[i];
    return oldest;
}

void ahead_note(struct ahead *ahead, struct cache *cache, uint64_t start, uint64_t next)
{
    const struct ahead_stream *found = find_behind(ahead, start);
    struct ahead_stream *stream =
        found != NULL ? &ahead->streams[found - ahead->streams] : oldest_stream(ahead);
    if (found != NULL)
        cache_leave_window(cache, stream->start);
    *stream = (struct ahead_stream){
        .start = start,
        .next = next,
        .turn = ++ahead->turn,
        .bytes = found != NULL ? larger(stream->bytes) : AHEAD_BYTES_MIN,
        .is_in_order = found != NULL,
    };
}

struct ahead_stream *ahead_choose(struct ahead *ahead, struct cache *cache,
                                  uint64_t durable_position)
{
    for (size_t i = 0; i < AHEAD_STREAMS; i++) {
        struct ahead_stream *stream = &ahead->streams[i];
        if (!stream->is_in_order || stream->next >= durable_position)
            continue;
        enum cache_window_state state = cache_window_state(cache, stream->start);
        if (state == CACHE_WINDOW_FRESH ||
            cache->fresh_bytes + stream->bytes > cache->bytes_max / 4)
            continue;
        /* Who forgot its window or is where everything is in memory needs nothing more. */
        stream->is_in_order = state == CACHE_WINDOW_USED &&
                              cache_window_state(cache, stream->next) == CACHE_WINDOW_NONE;
        if (stream->is_in_order)
            return stream;
    }
    return NULL;
}

void ahead_go_on(struct ahead *ahead, struct ahead_stream *stream, struct cache *cache,
                 uint32_t bytes)
{
    stream->turn = ++ahead->turn;
    if (bytes > 0) {
        cache_leave_window(cache, stream->start);
        stream->start = stream->next;
        stream->next += bytes;
        stream->bytes = larger(stream->bytes);
        return;
    }
    /* The segment has ended, unless this was the beginning of one. */
    uint64_t start = segment_start(ahead, stream->next);
    stream->is_in_order = stream->next != start;
    stream->next = start + ahead->segment_bytes;
}
