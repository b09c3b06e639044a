/* Reading records back from disk, one fetch at a time, with what follows them, and ahead of readers
 * that go on in order. */
#ifndef HERALD_FETCH_H
#define HERALD_FETCH_H

#include <sys/queue.h>

#include "broker/store/ahead.h"
#include "broker/store/cache.h"
#include "broker/store/homes.h"
#include "broker/store/journal.h"
#include "broker/store/segment.h"

struct fetch_request {
    TAILQ_ENTRY(fetch_request) link;
    uint64_t record_position;
    uint64_t position;
    journal_fetch_fn on_fetch;
    void *argument;
};

TAILQ_HEAD(fetch_list, fetch_request);

/* The loop fills it, the background thread works on it, the loop reads the result. */
struct fetch_work {
    struct errand errand;
    const struct disk *disk;
    uint32_t segment_bytes;
    uint64_t position;         /* that is wanted; 0: nothing is, it is read ahead */
    uint64_t start;            /* of the record that is wanted, or where the last window ended */
    uint32_t window_bytes;     /* to read where the record does not need more */
    uint64_t durable_position; /* nothing is read at or above it */
    unsigned char *at;         /* result: verified, from `start` on */
    size_t bytes;              /* 0: nothing to be read ahead stands there */
    enum status status;
    struct journal_failure failure;
};

struct fetch {
    struct fetch_work work;
    struct fetch_list waiting;
    struct ahead ahead;
    struct ahead_stream *stream; /* that is read ahead for, while the work is out */
    bool is_out;
};

void fetch_init(struct fetch *fetch, const struct disk *disk, uint32_t segment_bytes);
void fetch_deinit(struct fetch *fetch);

/* The errand for the next request, or for reading ahead; NULL when there is nothing or one is out.
 */
struct errand *fetch_next(struct fetch *fetch, struct cache *cache, struct homes *homes,
                          uint64_t durable_position);

/* Takes the result into the cache and answers every request whose bytes are there now. On failure
 * answers only the one that failed and returns its status; fetch->work.failure says why. */
enum status fetch_take_back(struct fetch *fetch, struct cache *cache, struct homes *homes);

#endif
