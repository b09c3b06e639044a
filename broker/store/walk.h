/* Walking through a segment, batch by batch, over its image in memory. */
#ifndef HERALD_WALK_H
#define HERALD_WALK_H

#include "broker/store/batch.h"
#include "broker/store/journal.h"

/* One segment as it is on disk; its buffer serves one segment after the other. */
struct image {
    unsigned char *at; /* segment_bytes of it */
    uint32_t segment_bytes;
    uint64_t number; /* 0: none is loaded */
    unsigned char salt[SALT_BYTES];
};

/* Opens a segment; a negative errno is turned into a status and a failure. */
enum status image_open(const struct disk *disk, uint64_t number, enum disk_open_mode mode,
                       int *file, struct journal_failure *failure);

/* Reads a segment and its header, unless it is loaded already. */
enum status image_load(struct image *image, const struct disk *disk, uint64_t number,
                       struct journal_failure *failure);

/* Checks a header page against the name and the size of its file. */
enum status image_check_header(const unsigned char *page, uint64_t number, uint32_t segment_bytes,
                               struct segment_header *header, struct journal_failure *failure);

struct walk {
    const struct image *image;
    uint32_t offset;          /* of the next batch, at the end where the walk ended */
    uint32_t last_offset;     /* of the last good batch, 0 if there was none */
    uint64_t sequence;        /* that the next batch must have, 0: any */
    struct batch_header last; /* of the last good batch */
};

void walk_start(struct walk *walk, const struct image *image, uint64_t sequence);

/* Moves past the next batch; false: none verifies here. */
bool walk_next(struct walk *walk);

/* The first batch header at or behind `from` that verifies; 0 if there is none. */
uint32_t walk_find_header(const struct image *image, uint32_t from, struct batch_header *header);

#endif
