/* Copies of segments as they are on disk, for a backup: raw bytes, one request at a time. */
#ifndef HERALD_COPY_H
#define HERALD_COPY_H

#include <sys/queue.h>

#include "broker/store/errand.h"
#include "broker/store/journal.h"

struct copy_request {
    STAILQ_ENTRY(copy_request) link;
    uint64_t position;
    uint32_t bytes;
    journal_copy_fn on_copy;
    void *argument;
};

STAILQ_HEAD(copy_list, copy_request);

/* The loop fills it, the background thread works on it, the loop reads the result. */
struct copy_work {
    struct errand errand;
    const struct disk *disk;
    uint32_t segment_bytes;
    uint64_t position;
    uint32_t bytes;
    unsigned char *at;
    size_t capacity;
    enum status status;
};

struct copy {
    struct copy_work work;
    struct copy_list waiting;
    bool is_out;
};

void copy_init(struct copy *copy, const struct disk *disk, uint32_t segment_bytes);
void copy_deinit(struct copy *copy);

/* STATUS_NO_MEMORY: nothing was noted. */
enum status copy_add(struct copy *copy, const struct copy_request *request);

/* The next request's errand, or NULL when there is none or one is out. */
struct errand *copy_next(struct copy *copy);

/* Answers the request that was out. */
void copy_take_back(struct copy *copy);

#endif
