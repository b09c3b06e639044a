/* The file of pages: memory that is lent to the disk while the process lives.
 *
 * Pages of an index that nobody needs for now are kept in the file `pages` of the data directory.
 * Nothing in it outlives the process: it is removed at every start and at the end, never synced,
 * and read by nobody but the process that wrote it; so it has no format. Extents are given and
 * taken on the loop; the bytes travel by errands on the background thread, which also makes the
 * file when the first page is written. Who had a page written keeps its checksum.
 */
#ifndef HERALD_PAGES_H
#define HERALD_PAGES_H

#include "broker/store/disk.h"
#include "broker/store/errand.h"
#include "broker/store/journal.h"

struct pages;

enum {
    /* Extents have 1, 4 or 16 units. */
    PAGES_UNIT_BYTES = 4096,
    PAGES_EXTENT_BYTES_MAX = 16 * PAGES_UNIT_BYTES,
    /* Pages that one errand carries at most. */
    PAGES_PIECES_MAX = 16,
};

enum pages_way { PAGES_WRITE, PAGES_READ };

struct pages_piece {
    void *at;
    uint32_t bytes;
    uint32_t extent;
    uint32_t crc; /* found when writing, compared when reading */
};

/* What one errand does. Belongs to the caller, and is left alone until the errand is back. */
struct pages_work {
    struct errand errand;
    struct pages *pages;
    enum pages_way way;
    uint32_t count;
    struct pages_piece pieces[PAGES_PIECES_MAX];
    uint32_t done_count; /* pieces before the first that failed */
    enum status status;  /* see pages_run */
    struct journal_failure failure;
};

/* Removes what an earlier process left. The disk outlives the pages. STATUS_NO_MEMORY,
 * STATUS_IO_ERROR; on failure *pages is NULL. */
enum status pages_open(struct pages **pages, const struct disk *disk, errand_post_fn post,
                       void *post_context, struct journal_failure *failure);

/* Closes and removes the file; the disk is needed no more. No errand may be running. */
void pages_remove(struct pages *pages);

/* The same, if it was not done, and frees the pages. NULL is fine. */
void pages_free(struct pages *pages);

/* An extent for at least so many bytes, at most PAGES_EXTENT_BYTES_MAX. STATUS_NO_MEMORY. */
enum status pages_take_extent(struct pages *pages, size_t bytes, uint32_t *extent);

/* Gives back an extent that was taken for so many bytes. */
void pages_give_extent(struct pages *pages, size_t bytes, uint32_t extent);

/* Has the work done by an errand. */
void pages_post(struct pages *pages, struct pages_work *work);

/* Does it at once, on this thread. Either way work->status is afterwards STATUS_OK,
 * STATUS_DISK_FULL when writing lacked space or the like and may be tried again, or STATUS_IO_ERROR
 * with the failure filled in; a page that differs from what was written is one, too. */
void pages_run(struct pages *pages, struct pages_work *work);

/* Whether the errand is one of a struct pages_work. */
bool pages_owns(const struct errand *errand);

#endif
