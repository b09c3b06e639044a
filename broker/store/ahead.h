/* Who reads the journal in order, and what such readers will want next. */
#ifndef HERALD_AHEAD_H
#define HERALD_AHEAD_H

#include "broker/store/cache.h"

#define AHEAD_STREAMS 16

/* What is read at once: at first, and in the end for a reader that goes on in order. */
#define AHEAD_BYTES_MIN (256u << 10)
#define AHEAD_BYTES_MAX (1u << 20)

/* A reader: its newest window is [start, next). */
struct ahead_stream {
    uint64_t start;
    uint64_t next;
    uint64_t turn; /* when it was heard of last, 0: free */
    uint32_t bytes;
    bool is_in_order;
};

struct ahead {
    struct ahead_stream streams[AHEAD_STREAMS];
    uint64_t turn;
    uint32_t segment_bytes;
};

void ahead_init(struct ahead *ahead, uint32_t segment_bytes);

/* How much to read for a request whose window begins here. */
uint32_t ahead_bytes(const struct ahead *ahead, uint64_t start);

/* A request had this window read. */
void ahead_note(struct ahead *ahead, struct cache *cache, uint64_t start, uint64_t next);

/* The stream whose next window should be read now, or NULL. */
struct ahead_stream *ahead_choose(struct ahead *ahead, struct cache *cache,
                                  uint64_t durable_position);

/* The window [stream->next, stream->next + bytes) was read ahead; 0: nothing stands there. */
void ahead_go_on(struct ahead *ahead, struct ahead_stream *stream, struct cache *cache,
                 uint32_t bytes);

#endif
