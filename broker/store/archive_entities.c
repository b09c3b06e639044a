/* The format of a file of entities. */
#include "broker/store/archive_entities.h"

#include <string.h>

#include "broker/store/crc32c.h"
#include "protocol/wire.h"

static const unsigned char file_magic[8] = {'H', 'R', 'L', 'D', 'E', 'N', 'T', '\n'};

enum {
    AT_VERSION = 0x08,
    AT_CHECKSUM = 0x0c,
    AT_EXCHANGE = 0x10,
    AT_SEQUENCE = 0x18,
    AT_COUNT = 0x20,
    AT_SECRET = 0x28,
};

static uint32_t header_checksum(const unsigned char *at)
{
    uint32_t crc = crc32c(0, at, AT_CHECKSUM);
    return crc32c(crc, at + AT_CHECKSUM + 4, ARCHIVE_HEADER_BYTES - AT_CHECKSUM - 4);
}

void archive_entities_header_encode(unsigned char *at, const struct archive_entities_header *header)
{
    memset(at, 0, ARCHIVE_HEADER_BYTES);
    memcpy(at, file_magic, sizeof file_magic);
    wire_store_u32(at + AT_VERSION, ARCHIVE_FORMAT);
    wire_store_u32(at + AT_EXCHANGE, header->exchange);
    wire_store_u64(at + AT_SEQUENCE, header->sequence);
    wire_store_u64(at + AT_COUNT, header->count);
    memcpy(at + AT_SECRET, header->secret, sizeof header->secret);
    wire_store_u32(at + AT_CHECKSUM, header_checksum(at));
}

enum status archive_entities_header_decode(const unsigned char *at,
                                           struct archive_entities_header *header)
{
    if (memcmp(at, file_magic, sizeof file_magic) != 0 ||
        wire_load_u32(at + AT_CHECKSUM) != header_checksum(at))
        return STATUS_CORRUPT;
    if (wire_load_u32(at + AT_VERSION) != ARCHIVE_FORMAT)
        return STATUS_NEWER_FORMAT;
    header->exchange = wire_load_u32(at + AT_EXCHANGE);
    header->sequence = wire_load_u64(at + AT_SEQUENCE);
    header->count = wire_load_u64(at + AT_COUNT);
    memcpy(header->secret, at + AT_SECRET, sizeof header->secret);
    return STATUS_OK;
}

static uint32_t piece_checksum(const unsigned char *at, uint32_t count)
{
    return crc32c(0, at + ARCHIVE_ENTITIES_HEADER_BYTES, (size_t)count * ARCHIVE_ENTITY_BYTES);
}

void archive_entities_seal(unsigned char *at, uint32_t count)
{
    wire_store_u32(at, count);
    wire_store_u32(at + 4, piece_checksum(at, count));
}

uint32_t archive_entities_count(const unsigned char *at)
{
    uint32_t count = wire_load_u32(at);
    return count <= ARCHIVE_ENTITIES_MAX ? count : 0;
}

bool archive_entities_check(const unsigned char *at, uint32_t count)
{
    return wire_load_u32(at + 4) == piece_checksum(at, count);
}

/* 12 bytes of hash, 6 of version, 6 of sequence. */
void archive_entity_put(unsigned char *at, const struct archive_entity *entity)
{
    wire_store_u64(at, entity->hash[0]);
    wire_store_u32(at + 8, (uint32_t)entity->hash[1]);
    wire_store_u32(at + 12, (uint32_t)entity->version);
    wire_store_u16(at + 16, (uint16_t)(entity->version >> 32));
    wire_store_u32(at + 18, (uint32_t)entity->sequence);
    wire_store_u16(at + 22, (uint16_t)(entity->sequence >> 32));
}

struct archive_entity archive_entity_get(const unsigned char *at, uint32_t number)
{
    at += ARCHIVE_ENTITIES_HEADER_BYTES + (size_t)number * ARCHIVE_ENTITY_BYTES;
    return (struct archive_entity){
        .hash = {wire_load_u64(at), wire_load_u32(at + 8)},
        .version = (uint64_t)wire_load_u32(at + 12) | (uint64_t)wire_load_u16(at + 16) << 32,
        .sequence = (uint64_t)wire_load_u32(at + 18) | (uint64_t)wire_load_u16(at + 22) << 32};
}
