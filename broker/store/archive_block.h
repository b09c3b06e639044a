/* The format of a file of events: header, blocks, and the index at the end of a finished file.
 *
 *   +--------+---------+---------+- - - -+---------+ - - - - - - - - - - - - - - +
 *   | header | block   | block   |       | block   | index, once it is finished  |
 *   +--------+---------+---------+- - - -+---------+ - - - - - - - - - - - - - - +
 *   each begins at a multiple of 512; what is between is zero
 *
 * A block is a header and a run of events with following sequences, each its length (4 bytes) and
 * the MESSAGE operation that stated it, without queues. HISTORY.md has all of it byte by byte.
 */
#ifndef HERALD_ARCHIVE_BLOCK_H
#define HERALD_ARCHIVE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"

enum {
    ARCHIVE_ALIGN = 512,
    ARCHIVE_HEADER_BYTES = ARCHIVE_ALIGN,
    ARCHIVE_BLOCK_HEADER_BYTES = 64,
    ARCHIVE_SPOT_BYTES = 24,
    ARCHIVE_TAIL_BYTES = 16,
    ARCHIVE_FORMAT = 1,
};

/* Where a block begins. */
struct archive_spot {
    uint64_t sequence; /* of its first event */
    uint64_t time_ms;  /* likewise */
    uint32_t offset;   /* in the file */
};

struct archive_block {
    uint32_t exchange;
    uint32_t offset; /* in the file; repeated there */
    uint64_t first;  /* sequence of the first event */
    uint64_t first_ms;
    uint64_t last_ms;
    uint32_t count;
    uint32_t payload_bytes;
};

/* Bytes that a block takes in its file. */
static inline uint64_t archive_block_bytes(uint64_t payload_bytes)
{
    return (ARCHIVE_BLOCK_HEADER_BYTES + payload_bytes + ARCHIVE_ALIGN - 1) / ARCHIVE_ALIGN *
           ARCHIVE_ALIGN;
}

/* Fills ARCHIVE_HEADER_BYTES. */
void archive_header_encode(unsigned char *at, uint32_t exchange, uint64_t first);

/* STATUS_CORRUPT when it is not the header of this file, STATUS_NEWER_FORMAT. */
enum status archive_header_decode(const unsigned char *at, uint32_t exchange, uint64_t first);

/* Writes the header of a block whose payload stands behind it, without checksums, and zeros behind
 * that. */
void archive_block_encode(unsigned char *at, const struct archive_block *block);

/* Adds the checksums. */
void archive_block_seal(unsigned char *at);

/* The header of a block of this exchange at this offset; false: none verifies there. Believe
 * neither that its payload fits nor that it is there. */
bool archive_block_decode(const unsigned char *at, uint32_t exchange, uint32_t offset,
                          struct archive_block *block);

/* Whether the payload of a block whose header verified is whole; `bytes` are there from `at` on. */
bool archive_block_check(const unsigned char *at, size_t bytes, const struct archive_block *block);

/* What stands behind the last block of a finished file. */
struct archive_index {
    uint32_t exchange;
    uint32_t offset; /* in the file: where the blocks end */
    uint64_t first;  /* sequence of the file's first event */
    uint64_t last;
    uint64_t first_ms;
    uint64_t last_ms;
    uint32_t count; /* of spots */
};

/* Bytes from the end of the blocks to the end of the file. */
size_t archive_index_bytes(uint32_t spot_count);

/* Fills archive_index_bytes. */
void archive_index_encode(unsigned char *at, const struct archive_index *index,
                          const struct archive_spot *spots);

/* From the last ARCHIVE_TAIL_BYTES of a finished file: where its index begins. False: they are not
 * such. */
bool archive_tail_decode(const unsigned char *at, uint32_t *index_offset);

/* From its header, how many spots an index of this exchange has that stands at this offset. False:
 * the header does not verify. */
bool archive_index_count(const unsigned char *at, uint32_t exchange, uint32_t offset,
                         uint32_t *count);

/* The index, `bytes` being there from `at` on. False: it does not verify. */
bool archive_index_decode(const unsigned char *at, size_t bytes, uint32_t exchange,
                          struct archive_index *index);

/* The spot of a number in an index that was decoded. */
struct archive_spot archive_index_spot(const unsigned char *at, uint32_t number);

/* --- walking over events ------------------------------------------------------------------------
 */

/* Whole blocks that verified, one behind the other. */
struct archive_walk {
    const unsigned char *at;
    size_t bytes;
    size_t next_block; /* where the next block begins */
    size_t next_event; /* in the block */
    uint64_t sequence; /* of the next event */
    uint32_t left;     /* events of the block */
};

struct archive_event {
    uint64_t sequence;
    const unsigned char *at; /* the operation, its type first */
    uint32_t bytes;
};

/* The sequences of the first and the last event; there is at least one block. */
void archive_walk_range(const unsigned char *at, size_t bytes, uint64_t *first, uint64_t *last);

struct archive_walk archive_walk_of(const unsigned char *at, size_t bytes);

/* STATUS_OK; STATUS_MORE at the end; STATUS_CORRUPT where the payload is not a run of events. */
enum status archive_walk_next(struct archive_walk *walk, struct archive_event *event);

#endif
