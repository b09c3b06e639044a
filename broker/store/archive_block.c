/* The format of a file of events. */
#include "broker/store/archive_block.h"

#include <string.h>

#include "broker/store/crc32c.h"
#include "protocol/wire.h"

static const unsigned char file_magic[8] = {'H', 'R', 'L', 'D', 'H', 'I', 'S', '\n'};

enum {
    BLOCK_MAGIC = 0x42485248, /* HRHB */
    INDEX_MAGIC = 0x58485248, /* HRHX */
    TAIL_MAGIC = 0x54485248,  /* HRHT */
    /* In all three headers: the magic, the checksum of what follows it in the header, and further
     * back that of the payload. */
    AT_CHECKSUM = 0x04,
    AT_EXCHANGE = 0x08,
    AT_OFFSET = 0x0c,
    AT_FIRST = 0x10,
    AT_FIRST_MS = 0x18,
    AT_LAST_MS = 0x20,
    AT_COUNT = 0x28,
    AT_PAYLOAD_BYTES = 0x2c,
    AT_PAYLOAD_CHECKSUM = 0x30,
    AT_ZERO = 0x34,
    AT_LAST = 0x38, /* of an index; in a block it is zero, too */
    AT_FILE_VERSION = 0x08,
    AT_FILE_CHECKSUM = 0x0c,
    AT_FILE_EXCHANGE = 0x10,
    AT_FILE_FIRST = 0x18,
};

/* --- the file's header --------------------------------------------------------------------------
 */

static uint32_t file_checksum(const unsigned char *at)
{
    uint32_t crc = crc32c(0, at, AT_FILE_CHECKSUM);
    return crc32c(crc, at + AT_FILE_CHECKSUM + 4, ARCHIVE_HEADER_BYTES - AT_FILE_CHECKSUM - 4);
}

void archive_header_encode(unsigned char *at, uint32_t exchange, uint64_t first)
{
    memset(at, 0, ARCHIVE_HEADER_BYTES);
    memcpy(at, file_magic, sizeof file_magic);
    wire_store_u32(at + AT_FILE_VERSION, ARCHIVE_FORMAT);
    wire_store_u32(at + AT_FILE_EXCHANGE, exchange);
    wire_store_u64(at + AT_FILE_FIRST, first);
    wire_store_u32(at + AT_FILE_CHECKSUM, file_checksum(at));
}

enum status archive_header_decode(const unsigned char *at, uint32_t exchange, uint64_t first)
{
    if (memcmp(at, file_magic, sizeof file_magic) != 0 ||
        wire_load_u32(at + AT_FILE_CHECKSUM) != file_checksum(at))
        return STATUS_CORRUPT;
    if (wire_load_u32(at + AT_FILE_VERSION) != ARCHIVE_FORMAT)
        return STATUS_NEWER_FORMAT;
    return wire_load_u32(at + AT_FILE_EXCHANGE) == exchange &&
                   wire_load_u64(at + AT_FILE_FIRST) == first
               ? STATUS_OK
               : STATUS_CORRUPT;
}

/* --- blocks -------------------------------------------------------------------------------------
 */

static uint32_t header_checksum(const unsigned char *at)
{
    return crc32c(0, at + AT_EXCHANGE, ARCHIVE_BLOCK_HEADER_BYTES - AT_EXCHANGE);
}

void archive_block_encode(unsigned char *at, const struct archive_block *block)
{
    memset(at, 0, ARCHIVE_BLOCK_HEADER_BYTES);
    wire_store_u32(at, BLOCK_MAGIC);
    wire_store_u32(at + AT_EXCHANGE, block->exchange);
    wire_store_u32(at + AT_OFFSET, block->offset);
    wire_store_u64(at + AT_FIRST, block->first);
    wire_store_u64(at + AT_FIRST_MS, block->first_ms);
    wire_store_u64(at + AT_LAST_MS, block->last_ms);
    wire_store_u32(at + AT_COUNT, block->count);
    wire_store_u32(at + AT_PAYLOAD_BYTES, block->payload_bytes);
    size_t used = ARCHIVE_BLOCK_HEADER_BYTES + (size_t)block->payload_bytes;
    memset(at + used, 0, (size_t)archive_block_bytes(block->payload_bytes) - used);
}

static void seal(unsigned char *at)
{
    uint32_t payload_bytes = wire_load_u32(at + AT_PAYLOAD_BYTES);
    wire_store_u32(at + AT_PAYLOAD_CHECKSUM,
                   crc32c(0, at + ARCHIVE_BLOCK_HEADER_BYTES, payload_bytes));
    wire_store_u32(at + AT_CHECKSUM, header_checksum(at));
}

void archive_block_seal(unsigned char *at)
{
    seal(at);
}

bool archive_block_decode(const unsigned char *at, uint32_t exchange, uint32_t offset,
                          struct archive_block *block)
{
    *block = (struct archive_block){.exchange = wire_load_u32(at + AT_EXCHANGE),
                                    .offset = wire_load_u32(at + AT_OFFSET),
                                    .first = wire_load_u64(at + AT_FIRST),
                                    .first_ms = wire_load_u64(at + AT_FIRST_MS),
                                    .last_ms = wire_load_u64(at + AT_LAST_MS),
                                    .count = wire_load_u32(at + AT_COUNT),
                                    .payload_bytes = wire_load_u32(at + AT_PAYLOAD_BYTES)};
    return wire_load_u32(at) == BLOCK_MAGIC &&
           wire_load_u32(at + AT_CHECKSUM) == header_checksum(at) && block->exchange == exchange &&
           block->offset == offset && block->count > 0 && wire_load_u32(at + AT_ZERO) == 0 &&
           wire_load_u64(at + AT_LAST) == 0;
}

static bool payload_is_whole(const unsigned char *at, size_t bytes, uint32_t payload_bytes)
{
    return bytes >= ARCHIVE_BLOCK_HEADER_BYTES &&
           payload_bytes <= bytes - ARCHIVE_BLOCK_HEADER_BYTES &&
           crc32c(0, at + ARCHIVE_BLOCK_HEADER_BYTES, payload_bytes) ==
               wire_load_u32(at + AT_PAYLOAD_CHECKSUM);
}

bool archive_block_check(const unsigned char *at, size_t bytes, const struct archive_block *block)
{
    return payload_is_whole(at, bytes, block->payload_bytes);
}

/* --- the index of a finished file ---------------------------------------------------------------
 */

size_t archive_index_bytes(uint32_t spot_count)
{
    size_t bytes =
        ARCHIVE_BLOCK_HEADER_BYTES + (size_t)spot_count * ARCHIVE_SPOT_BYTES + ARCHIVE_TAIL_BYTES;
    return (bytes + ARCHIVE_ALIGN - 1) / ARCHIVE_ALIGN * ARCHIVE_ALIGN;
}

static uint32_t tail_checksum(const unsigned char *at)
{
    return crc32c(0, at + 8, ARCHIVE_TAIL_BYTES - 8);
}

void archive_index_encode(unsigned char *at, const struct archive_index *index,
                          const struct archive_spot *spots)
{
    size_t bytes = archive_index_bytes(index->count);
    memset(at, 0, bytes);
    wire_store_u32(at, INDEX_MAGIC);
    wire_store_u32(at + AT_EXCHANGE, index->exchange);
    wire_store_u32(at + AT_OFFSET, index->offset);
    wire_store_u64(at + AT_FIRST, index->first);
    wire_store_u64(at + AT_FIRST_MS, index->first_ms);
    wire_store_u64(at + AT_LAST_MS, index->last_ms);
    wire_store_u32(at + AT_COUNT, index->count);
    wire_store_u32(at + AT_PAYLOAD_BYTES, index->count * ARCHIVE_SPOT_BYTES);
    wire_store_u64(at + AT_LAST, index->last);
    unsigned char *spot = at + ARCHIVE_BLOCK_HEADER_BYTES;
    for (uint32_t i = 0; i < index->count; i++, spot += ARCHIVE_SPOT_BYTES) {
        wire_store_u64(spot, spots[i].sequence);
        wire_store_u64(spot + 8, spots[i].time_ms);
        wire_store_u32(spot + 16, spots[i].offset);
    }
    seal(at);
    unsigned char *tail = at + bytes - ARCHIVE_TAIL_BYTES;
    wire_store_u32(tail, TAIL_MAGIC);
    wire_store_u32(tail + 8, index->offset);
    wire_store_u32(tail + 4, tail_checksum(tail));
}

bool archive_tail_decode(const unsigned char *at, uint32_t *index_offset)
{
    *index_offset = wire_load_u32(at + 8);
    return wire_load_u32(at) == TAIL_MAGIC && wire_load_u32(at + 4) == tail_checksum(at);
}

bool archive_index_count(const unsigned char *at, uint32_t exchange, uint32_t offset,
                         uint32_t *count)
{
    *count = wire_load_u32(at + AT_COUNT);
    return wire_load_u32(at) == INDEX_MAGIC &&
           wire_load_u32(at + AT_CHECKSUM) == header_checksum(at) &&
           wire_load_u32(at + AT_EXCHANGE) == exchange && wire_load_u32(at + AT_OFFSET) == offset &&
           *count > 0 && wire_load_u32(at + AT_ZERO) == 0 &&
           wire_load_u32(at + AT_PAYLOAD_BYTES) == (uint64_t)*count * ARCHIVE_SPOT_BYTES;
}

bool archive_index_decode(const unsigned char *at, size_t bytes, uint32_t exchange,
                          struct archive_index *index)
{
    if (bytes < ARCHIVE_BLOCK_HEADER_BYTES)
        return false;
    *index = (struct archive_index){.exchange = wire_load_u32(at + AT_EXCHANGE),
                                    .offset = wire_load_u32(at + AT_OFFSET),
                                    .first = wire_load_u64(at + AT_FIRST),
                                    .first_ms = wire_load_u64(at + AT_FIRST_MS),
                                    .last_ms = wire_load_u64(at + AT_LAST_MS),
                                    .last = wire_load_u64(at + AT_LAST)};
    return archive_index_count(at, exchange, index->offset, &index->count) &&
           payload_is_whole(at, bytes, index->count * ARCHIVE_SPOT_BYTES);
}

struct archive_spot archive_index_spot(const unsigned char *at, uint32_t number)
{
    const unsigned char *spot =
        at + ARCHIVE_BLOCK_HEADER_BYTES + (size_t)number * ARCHIVE_SPOT_BYTES;
    return (struct archive_spot){wire_load_u64(spot), wire_load_u64(spot + 8),
                                 wire_load_u32(spot + 16)};
}

/* --- walking over events ------------------------------------------------------------------------
 */

void archive_walk_range(const unsigned char *at, size_t bytes, uint64_t *first, uint64_t *last)
{
    *first = wire_load_u64(at + AT_FIRST);
    for (size_t i = 0; i < bytes;
         i += (size_t)archive_block_bytes(wire_load_u32(at + i + AT_PAYLOAD_BYTES)))
        *last = wire_load_u64(at + i + AT_FIRST) + wire_load_u32(at + i + AT_COUNT) - 1;
}

struct archive_walk archive_walk_of(const unsigned char *at, size_t bytes)
{
    return (struct archive_walk){.at = at, .bytes = bytes};
}

enum status archive_walk_next(struct archive_walk *walk, struct archive_event *event)
{
    if (walk->left == 0) {
        if (walk->next_block >= walk->bytes)
            return STATUS_MORE;
        const unsigned char *block = walk->at + walk->next_block;
        walk->next_event = walk->next_block + ARCHIVE_BLOCK_HEADER_BYTES;
        walk->next_block += (size_t)archive_block_bytes(wire_load_u32(block + AT_PAYLOAD_BYTES));
        walk->sequence = wire_load_u64(block + AT_FIRST);
        walk->left = wire_load_u32(block + AT_COUNT);
    }
    size_t left = walk->next_block - walk->next_event;
    uint32_t bytes = left >= 4 ? wire_load_u32(walk->at + walk->next_event) : 0;
    if (bytes == 0 || bytes > left - 4)
        return STATUS_CORRUPT;
    *event = (struct archive_event){walk->sequence++, walk->at + walk->next_event + 4, bytes};
    walk->next_event += 4 + (size_t)bytes;
    walk->left--;
    return STATUS_OK;
}
