/* Commits: batches on their way to disk, one after the other. While one is written the next may be
 * waiting at the commit thread already, so that the disk need not wait for the loop. */
#ifndef HERALD_COMMIT_H
#define HERALD_COMMIT_H

#include <stdbool.h>

#include "broker/store/batch.h"
#include "broker/store/errand.h"

/* With the commit thread at a time. */
enum { COMMITS_OUT_MAX = 2 };

/* A batch in memory, from its first record until it is durable. */
struct batch {
    struct batch *next;
    unsigned char *at; /* its header, in a chunk */
    uint64_t position; /* of its header */
    uint64_t segment;
    uint32_t offset;      /* in the segment */
    uint32_t total_bytes; /* when sealed */
    struct batch_header header;
};

/* The loop fills it, the commit thread works on it, the loop reads the result. */
struct commit {
    struct errand errand;
    const struct disk *disk;
    bool *has_failed; /* one of them; the commit thread's alone */
    struct batch *batch;
    int file;
    unsigned char salt[SALT_BYTES];
    int finished_file;  /* of the segment before, to be closed; -1: none */
    const char *failed; /* what failed, NULL: nothing */
    int error;
};

/* `has_failed` is shared by all commits of a journal. */
void commit_init(struct commit *commit, const struct disk *disk, bool *has_failed);

#endif
