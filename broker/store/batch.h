/* A batch: the records that become durable together, under one header.
 *
 * It begins at a multiple of 512 in its segment. Its records follow its header without gaps, each
 * as 4 bytes of length, 4 bytes of CRC32C, and itself; zeros fill it up to the next multiple of
 * 512.
 */
#ifndef HERALD_BATCH_H
#define HERALD_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/segment.h"

#define BATCH_ALIGN 512u
#define BATCH_HEADER_BYTES 80u
#define RECORD_HEADER_BYTES 8u

enum batch_flag {
    BATCH_MARK = 1,  /* no records: follows the last batch so that its loss would be noticed */
    BATCH_CLEAN = 2, /* the journal was stopped in good order after this */
};

/* Where a batch stands; its header repeats all of it. */
struct batch_place {
    const unsigned char *salt;
    uint64_t segment;
    uint32_t offset;
};

struct batch_header {
    uint64_t sequence;    /* grows by one with each batch */
    uint64_t oldest_kept; /* segments below this number are needed no more */
    uint64_t now_ms;
    uint32_t payload_bytes;
    uint32_t record_count;
    uint32_t flags;
    uint32_t payload_checksum;
};

/* Bytes that a batch takes in its segment. */
static inline uint64_t batch_total_bytes(uint64_t payload_bytes)
{
    return (BATCH_HEADER_BYTES + payload_bytes + BATCH_ALIGN - 1) / BATCH_ALIGN * BATCH_ALIGN;
}

/* Completes a batch whose records stand behind `at` with their lengths: their checksums, its own,
 * its header, and the zeros at its end. Returns its total bytes. */
uint32_t batch_finish(unsigned char *at, const struct batch_place *place,
                      struct batch_header *header);

/* True when a header of this place stands at `at`. Believe nothing else of the batch: neither that
 * it fits nor that its records are there. */
bool batch_header_decode(const unsigned char *at, const struct batch_place *place,
                         struct batch_header *header);

/* True when all records of the batch are there, `bytes` being what is left of the segment from `at`
 * on. */
bool batch_check(const unsigned char *at, uint64_t bytes, const struct batch_place *place,
                 const struct batch_header *header);

/* The record whose header stands at `at`: its length, or 0 when it does not fit or not verify. */
uint32_t record_check(const unsigned char *at, uint64_t bytes);

#endif
