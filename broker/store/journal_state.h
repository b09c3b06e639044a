/* What a journal consists of; for the files that make up journal.h. */
#ifndef HERALD_JOURNAL_STATE_H
#define HERALD_JOURNAL_STATE_H

#include "broker/store/cache.h"
#include "broker/store/commit.h"
#include "broker/store/copy.h"
#include "broker/store/fetch.h"
#include "broker/store/homes.h"
#include "broker/store/journal.h"
#include "broker/store/oldest.h"
#include "broker/store/space.h"

struct journal {
    const struct disk *disk;
    errand_post_fn post;
    void *post_context;
    uint32_t segment_bytes;

    /* Being filled. */
    struct batch *batch;
    struct chunk *chunk;
    unsigned char *write_at; /* where the next record's header goes */
    size_t room_bytes;       /* left for the batch from there on */
    uint64_t write_position; /* of write_at; without a batch, where the last one ended */
    uint64_t write_segment;
    uint64_t segment_end; /* position */
    size_t open_bytes;    /* of the open record, 0: none is open */
    uint64_t batch_ms;    /* when the batch was begun */
    uint64_t news_position;
    bool is_hurried;      /* the batch has records that do not wait for company */
    bool is_open_patient; /* the open record does */

    /* On the way to disk. */
    struct batch *sealed; /* oldest first */
    struct batch **sealed_end;
    struct batch *unused;                   /* for reuse */
    struct commit commits[COMMITS_OUT_MAX]; /* in a ring */
    unsigned commit_first;                  /* the one that comes back next */
    unsigned commit_count;                  /* that are with the commit thread */
    bool has_commit_failed;                 /* the commit thread's alone */
    bool is_mark_due;                       /* the last batch has no successor yet */
    bool is_failed;
    uint32_t hold_count;  /* nothing is freed unless it is 0 ... */
    uint64_t held_oldest; /* ... from this segment on */
    uint64_t next_sequence;
    uint64_t durable_position;
    uint64_t durable_oldest; /* oldest kept segment, as the disk knows it */
    uint64_t sealed_oldest;  /* the same in the newest sealed batch */
    uint64_t pending_bytes;
    uint64_t commit_ms; /* when the last commit came back */

    struct segment_file *segment; /* the files that can be written, oldest first */
    struct segment_file *segment_newest;
    struct space space;
    struct homes homes;
    struct cache cache;
    struct fetch fetch;
    struct oldest oldest;
    struct copy copy;
    uint64_t now_ms;
    uint64_t batch_count;
    uint64_t byte_count;
    struct journal_recovery recovery;
    struct journal_failure failure;
};

/* Posts an errand unless it is NULL. */
void journal_post(struct journal *journal, struct errand *errand);

/* Takes back an errand that read. */
enum status journal_on_read(struct journal *journal, struct errand *errand);

#endif
