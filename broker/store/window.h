/* A window over a segment on disk: a piece of it in memory that moves on as it is read.
 *
 * However large a segment is, what is in memory is one piece, or one batch where that is larger.
 * Made for threads that may wait for the disk.
 */
#ifndef HERALD_WINDOW_H
#define HERALD_WINDOW_H

#include "broker/store/journal.h"
#include "broker/store/segment.h"

struct window {
    const struct disk *disk;
    struct journal_failure *failure;
    unsigned char *at; /* `bytes` of the file from `offset` on */
    size_t capacity;
    uint32_t offset;
    uint32_t bytes;
    uint32_t segment_bytes;
    uint32_t piece_bytes; /* read at once where no more is asked for */
    uint64_t number;      /* of the segment that is open, 0: none */
    int file;
    unsigned char salt[SALT_BYTES];
    enum status status; /* the first failure since window_open */
};

void window_init(struct window *window, const struct disk *disk, uint32_t segment_bytes,
                 uint32_t piece_bytes, struct journal_failure *failure);

/* Closes the file and gives the memory back. */
void window_deinit(struct window *window);

/* Opens a segment and checks its header, unless it is open already. STATUS_IO_ERROR,
 * STATUS_CORRUPT, STATUS_NEWER_FORMAT. */
enum status window_open(struct window *window, uint64_t number);

/* Closes the file. What is in memory stays until the next window_open. */
void window_close(struct window *window);

/* The bytes from `offset` on, `bytes` of them, which must be within the segment; until the next
 * call. NULL: window->status is STATUS_IO_ERROR or STATUS_NO_MEMORY. */
const unsigned char *window_at(struct window *window, uint32_t offset, uint32_t bytes);

/* True when these bytes are in memory already. */
bool window_has(const struct window *window, uint32_t offset, uint32_t bytes);

/* Opens a segment's file; a negative errno is turned into a status and a failure. */
enum status segment_open(const struct disk *disk, uint64_t number, enum disk_open_mode mode,
                         int *file, struct journal_failure *failure);

/* Checks a header page against the name and the size of its file. */
enum status segment_check_header(const unsigned char *page, uint64_t number, uint32_t segment_bytes,
                                 struct segment_header *header, struct journal_failure *failure);

#endif
