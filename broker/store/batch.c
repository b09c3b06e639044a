/* Batches: encoding and verifying.
 *
 *   0x00  4  magic "HRBJ"
 *   0x04  4  CRC32C of bytes 0x08-0x4f
 *   0x08 16  salt of the segment
 *   0x18  8  segment number
 *   0x20  8  sequence
 *   0x28  8  oldest segment that is kept
 *   0x30  8  broker time, ms
 *   0x38  4  offset of this batch in the file
 *   0x3c  4  payload bytes: records with their headers
 *   0x40  4  record count
 *   0x44  4  flags
 *   0x48  4  CRC32C of the salt and all record headers
 *   0x4c  4  zero
 *   0x50     records
 *
 * The payload's checksum covers the records' checksums instead of their bytes, so that each byte is
 * summed once, and on the commit thread. Magic read as a record's length, at any alignment, is
 * beyond what a record may have: readers that go on from record to record stop at a batch header.
 */
#include "broker/store/batch.h"

#include <assert.h>
#include <string.h>

#include "broker/store/crc32c.h"
#include "broker/plant.h"
#include "protocol/wire.h"

static const unsigned char magic[4] = "HRBJ";

static uint32_t record_checksum(const unsigned char *record, uint32_t bytes)
{
    if (planted(PLANT_CRC_WRONG_RANGE))
        bytes--;
    return crc32c(0, record + RECORD_HEADER_BYTES, bytes);
}

uint32_t batch_finish(unsigned char *at, const struct batch_place *place,
                      struct batch_header *header)
{
    uint32_t checksum = crc32c(0, place->salt, SALT_BYTES);
    unsigned char *record = at + BATCH_HEADER_BYTES;
    for (uint32_t i = 0; i < header->record_count; i++) {
        uint32_t bytes = wire_load_u32(record);
        wire_store_u32(record + 4, record_checksum(record, bytes));
        checksum = crc32c(checksum, record, RECORD_HEADER_BYTES);
        record += RECORD_HEADER_BYTES + bytes;
    }
    assert(record == at + BATCH_HEADER_BYTES + header->payload_bytes);
    header->payload_checksum = checksum;

    memcpy(at, magic, sizeof magic);
    memcpy(at + 0x08, place->salt, SALT_BYTES);
    wire_store_u64(at + 0x18, place->segment);
    wire_store_u64(at + 0x20, header->sequence);
    wire_store_u64(at + 0x28, header->oldest_kept);
    wire_store_u64(at + 0x30, header->now_ms);
    wire_store_u32(at + 0x38, place->offset);
    wire_store_u32(at + 0x3c, header->payload_bytes);
    wire_store_u32(at + 0x40, header->record_count);
    wire_store_u32(at + 0x44, header->flags);
    wire_store_u32(at + 0x48, checksum);
    wire_store_u32(at + 0x4c, 0);
    wire_store_u32(at + 0x04, crc32c(0, at + 8, BATCH_HEADER_BYTES - 8));

    uint32_t total = (uint32_t)batch_total_bytes(header->payload_bytes);
    memset(record, 0, total - BATCH_HEADER_BYTES - header->payload_bytes);
    return total;
}

bool batch_header_decode(const unsigned char *at, const struct batch_place *place,
                         struct batch_header *header)
{
    if (memcmp(at, magic, sizeof magic) != 0 || memcmp(at + 8, place->salt, SALT_BYTES) != 0)
        return false;
    if (wire_load_u32(at + 4) != crc32c(0, at + 8, BATCH_HEADER_BYTES - 8))
        return false;
    if (wire_load_u64(at + 0x18) != place->segment || wire_load_u32(at + 0x38) != place->offset)
        return false;
    header->sequence = wire_load_u64(at + 0x20);
    header->oldest_kept = wire_load_u64(at + 0x28);
    header->now_ms = wire_load_u64(at + 0x30);
    header->payload_bytes = wire_load_u32(at + 0x3c);
    header->record_count = wire_load_u32(at + 0x40);
    header->flags = wire_load_u32(at + 0x44);
    header->payload_checksum = wire_load_u32(at + 0x48);
    return true;
}

bool batch_check(const unsigned char *at, uint64_t bytes, const struct batch_place *place,
                 const struct batch_header *header)
{
    if (batch_total_bytes(header->payload_bytes) > bytes)
        return false;
    uint32_t checksum = crc32c(0, place->salt, SALT_BYTES);
    const unsigned char *record = at + BATCH_HEADER_BYTES;
    uint64_t left = header->payload_bytes;
    for (uint32_t i = 0; i < header->record_count; i++) {
        uint32_t length = record_check(record, left);
        if (length == 0)
            return false;
        checksum = crc32c(checksum, record, RECORD_HEADER_BYTES);
        record += RECORD_HEADER_BYTES + length;
        left -= RECORD_HEADER_BYTES + length;
    }
    return left == 0 && checksum == header->payload_checksum;
}

uint32_t record_check(const unsigned char *at, uint64_t bytes)
{
    if (bytes <= RECORD_HEADER_BYTES)
        return 0;
    uint32_t length = wire_load_u32(at);
    if (length == 0 || length > bytes - RECORD_HEADER_BYTES)
        return 0;
    if (planted(PLANT_CRC_NOT_CHECKED))
        return length;
    return record_checksum(at, length) == wire_load_u32(at + 4) ? length : 0;
}
