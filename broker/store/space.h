/* Segments ahead of need and after it: making spares, preparing segments, freeing the oldest.
 *
 * One piece of work at a time, on the background thread; what is next is decided on the loop.
 */
#ifndef HERALD_SPACE_H
#define HERALD_SPACE_H

#include <stdbool.h>

#include "broker/store/errand.h"
#include "broker/store/recovery.h"
#include "broker/store/segment.h"

#define SPACE_RETRY_MS 250u

/* Segments come free some at a time, and until they do spares are made: of those that are freed
 * then so many times as many as are made ahead of need are kept, for they will be needed again
 * soon. */
enum { SPACE_KEPT = 2 };

enum space_work_kind { SPACE_MAKE, SPACE_PREPARE, SPACE_RECYCLE, SPACE_REMOVE };
#define SPACE_WORK_KINDS 4

/* The loop fills it, the background thread works on it, the loop reads the result. */
struct space_work {
    struct errand errand;
    const struct disk *disk;
    enum space_work_kind kind;
    uint32_t segment_bytes;
    uint64_t spare;
    uint64_t number;               /* of the segment that is freed */
    struct segment_file *prepared; /* ours while the work is out */
    struct spare_making making;
    bool is_renamed;
    int error;
};

struct space {
    struct space_work work;
    uint64_t *spares; /* names of spare files */
    size_t count;
    size_t count_wanted;
    uint64_t next_spare;
    uint64_t retry_ms[SPACE_WORK_KINDS]; /* not before, after a lack of space */
    uint64_t files_first;                /* oldest and newest segment file */
    uint64_t files_last;
    bool is_out; /* the work is with the background thread */
    bool is_full;
    bool is_making; /* a spare that has its space is being filled */
};

/* Takes over the spares that recovery found. */
void space_init(struct space *space, const struct disk *disk, struct recovered *recovered,
                size_t count_wanted);
void space_deinit(struct space *space);

/* What is to be done next, or NULL: prepare up to segment `needed`, free below `oldest_kept`.
 * Whatever is returned must be run and come back through space_take_back. */
struct errand *space_next(struct space *space, uint64_t needed, uint64_t oldest_kept,
                          uint64_t now_ms);

/* 0, or the negative errno of a failure that ends the journal. *prepared is a new segment that can
 * be written and now the caller's, or NULL. */
int space_take_back(struct space *space, uint64_t now_ms, struct segment_file **prepared);

/* Highest segment that can be had without further space. */
static inline uint64_t space_reach(const struct space *space)
{
    return space->files_last + space->count;
}

/* The same with the spare that has its space but is still being filled: not to be looked at by
 * the loop while the work is out, so it is noted when the work comes back. */
static inline uint64_t space_reach_soon(const struct space *space)
{
    return space_reach(space) + space->is_making;
}

#endif
