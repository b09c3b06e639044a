/* Reading the oldest segment from its beginning to its end, for whoever states again what lives in
 * it: piece by piece, the next piece read while one is walked. */
#ifndef HERALD_OLDEST_H
#define HERALD_OLDEST_H

#include "broker/store/errand.h"
#include "broker/store/homes.h"
#include "broker/store/window.h"

/* The loop fills it, the background thread works on it, the loop reads the result. */
struct oldest_work {
    struct errand errand;
    struct window window; /* result: whole verified batches from `offset` up to `end` */
    uint64_t number;
    uint32_t offset;
    uint32_t end;      /* `offset` itself: the segment ended there */
    uint64_t sequence; /* of the batch at `offset`, then of the one at `end`; 0: any */
    enum status status;
    struct journal_failure failure;
};

struct oldest {
    struct oldest_work work;
    struct window piece; /* that is walked */
    uint64_t number;     /* of the segment that is walked, 0: none yet */
    uint32_t piece_end;
    uint32_t batch_end;   /* of the batch that is walked */
    uint32_t record;      /* offset of the next record's header */
    uint32_t left_count;  /* records left in the batch */
    uint32_t given_bytes; /* of the record that was given last */
    bool is_out;
    bool is_ready;  /* what came back waits for being walked */
    bool is_walked; /* to the end */
};

void oldest_init(struct oldest *oldest, const struct disk *disk, uint32_t segment_bytes);
void oldest_deinit(struct oldest *oldest);

/* Begins with this segment. Nothing of an earlier one may be under way. */
void oldest_begin(struct oldest *oldest, uint64_t number);

/* As journal_oldest_next; *errand is to be posted, or NULL. */
enum status oldest_next(struct oldest *oldest, struct homes *homes, struct journal_found *found,
                        struct errand **errand);

/* The record that was given last is the next one again. */
void oldest_again(struct oldest *oldest);

/* STATUS_OK, or the failure that ends the journal: oldest->work.failure says why. */
enum status oldest_take_back(struct oldest *oldest, struct homes *homes);

#endif
