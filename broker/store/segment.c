/* Segments: names, the header page, and the way of a file from making to spare to segment and back.
 *
 * The header page (the rest of it is zero):
 *
 *   0x00  8  magic "HRLDSEG\n"
 *   0x08  4  format version
 *   0x0c  4  CRC32C of bytes 0x00-0x0b and 0x10-0x3f
 *   0x10  8  segment number
 *   0x18  8  position of byte 0
 *   0x20  4  size of the file
 *   0x24  4  zero
 *   0x28 16  salt
 *   0x38  8  zero
 *
 * Order of syncs: a file's space is on disk before it is called a spare, and its header before it
 * is called a segment. A segment that becomes a spare has lost its old name on disk before its
 * header is written again, so that no name ever leads to another segment's header.
 */
#include "broker/store/segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/store/crc32c.h"
#include "broker/store/disk_io.h"
#include "broker/plant.h"
#include "protocol/wire.h"

#define HEADER_FIELD_BYTES 64u
#define MAKE_STEP_BYTES (4u << 20)
#define ZERO_BYTES 65536u

static const unsigned char magic[8] = "HRLDSEG\n";
static const unsigned char zeros[ZERO_BYTES];

static uint32_t header_checksum(const unsigned char *at)
{
    return crc32c(crc32c(0, at, 12), at + 16, HEADER_FIELD_BYTES - 16);
}

void segment_header_encode(unsigned char *at, const struct segment_header *header)
{
    memset(at, 0, SEGMENT_HEADER_BYTES);
    memcpy(at, magic, sizeof magic);
    wire_store_u32(at + 8, SEGMENT_FORMAT);
    wire_store_u64(at + 16, header->number);
    wire_store_u64(at + 24, header->first_position);
    wire_store_u32(at + 32, header->segment_bytes);
    memcpy(at + 40, header->salt, SALT_BYTES);
    wire_store_u32(at + 12, header_checksum(at));
}

enum status segment_header_decode(const unsigned char *at, struct segment_header *header)
{
    if (memcmp(at, magic, sizeof magic) != 0)
        return STATUS_CORRUPT;
    if (wire_load_u32(at + 8) > SEGMENT_FORMAT)
        return STATUS_NEWER_FORMAT;
    if (wire_load_u32(at + 12) != header_checksum(at) || wire_load_u32(at + 8) != SEGMENT_FORMAT)
        return STATUS_CORRUPT;
    header->number = wire_load_u64(at + 16);
    header->first_position = wire_load_u64(at + 24);
    header->segment_bytes = wire_load_u32(at + 32);
    memcpy(header->salt, at + 40, SALT_BYTES);
    return STATUS_OK;
}

static bool parse_hex(const char *text, size_t digits, uint64_t *value)
{
    *value = 0;
    if (strlen(text) != digits)
        return false;
    for (; *text != '\0'; text++) {
        const char *found = strchr("0123456789abcdef", *text);
        if (found == NULL)
            return false;
        *value = *value << 4 | (uint64_t)(found - "0123456789abcdef");
    }
    return true;
}

enum segment_name_kind segment_parse_name(const char *name, uint64_t *number)
{
    if (strncmp(name, "segment-", 8) == 0)
        return parse_hex(name + 8, 16, number) && *number > 0 ? NAME_SEGMENT : NAME_SEGMENT_BAD;
    if (strncmp(name, "spare-", 6) == 0 && parse_hex(name + 6, 8, number))
        return NAME_SPARE;
    if (strncmp(name, "making-", 7) == 0 && parse_hex(name + 7, 8, number))
        return NAME_MAKING;
    return NAME_OTHER;
}

void segment_print_name(char name[SEGMENT_NAME_BYTES], enum segment_name_kind kind, uint64_t number)
{
    if (kind == NAME_SEGMENT)
        (void)snprintf(name, SEGMENT_NAME_BYTES, "segment-%016" PRIx64, number);
    else
        (void)snprintf(name, SEGMENT_NAME_BYTES, "%s-%08" PRIx32,
                       kind == NAME_SPARE ? "spare" : "making", (uint32_t)number);
}

static int prepare_header(struct segment_file *segment, const struct disk *disk,
                          uint32_t segment_bytes)
{
    struct segment_header header = {.number = segment->number,
                                    .first_position = segment->number * segment_bytes,
                                    .segment_bytes = segment_bytes};
    int error = disk->random(disk->context, header.salt);
    if (error != 0)
        return error;
    if (planted(PLANT_SALT_KEPT))
        memset(header.salt, 1, SALT_BYTES);
    memcpy(segment->salt, header.salt, SALT_BYTES);
    unsigned char page[SEGMENT_HEADER_BYTES];
    segment_header_encode(page, &header);
    error = disk_write_all(disk, segment->file, page, sizeof page, 0);
    return error != 0 ? error : disk->sync(disk->context, segment->file);
}

int segment_prepare(struct segment_file *segment, const struct disk *disk, uint64_t spare,
                    uint32_t segment_bytes, bool *is_renamed)
{
    char from[SEGMENT_NAME_BYTES];
    char to[SEGMENT_NAME_BYTES];
    segment_print_name(from, NAME_SPARE, spare);
    segment_print_name(to, NAME_SEGMENT, segment->number);
    *is_renamed = false;
    int file = disk->open(disk->context, from, DISK_OPEN_WRITE);
    if (file < 0)
        return file;
    segment->file = file;
    int error = prepare_header(segment, disk, segment_bytes);
    if (error == 0)
        error = disk->rename(disk->context, from, to);
    if (error == 0) {
        *is_renamed = true;
        error = planted(PLANT_NO_DIRECTORY_SYNC) ? 0 : disk->sync_directory(disk->context);
    }
    if (error == 0)
        return 0;
    segment->file = -1;
    (void)disk->close(disk->context, file);
    return error;
}

int segment_recycle(const struct disk *disk, uint64_t number, uint64_t spare)
{
    char from[SEGMENT_NAME_BYTES];
    char to[SEGMENT_NAME_BYTES];
    segment_print_name(from, NAME_SEGMENT, number);
    segment_print_name(to, NAME_SPARE, spare);
    int error = disk->rename(disk->context, from, to);
    if (error != 0 || planted(PLANT_TWO_UNSYNCED_REMOVALS))
        return error;
    return disk->sync_directory(disk->context);
}

int segment_remove(const struct disk *disk, uint64_t number)
{
    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_SEGMENT, number);
    int error = disk->remove(disk->context, name);
    if (error != 0 || planted(PLANT_TWO_UNSYNCED_REMOVALS))
        return error;
    return disk->sync_directory(disk->context);
}

/* Zeros are written although the space is allocated: a sync of written space is cheaper than one
 * that must also note that the space is in use now. */
static int fill_step(struct spare_making *making, const struct disk *disk)
{
    uint32_t end = making->segment_bytes - making->filled_bytes > MAKE_STEP_BYTES
                       ? making->filled_bytes + MAKE_STEP_BYTES
                       : making->segment_bytes;
    while (making->filled_bytes < end) {
        uint32_t left = end - making->filled_bytes;
        uint32_t piece = left < ZERO_BYTES ? left : ZERO_BYTES;
        int error = disk_write_all(disk, making->file, zeros, piece, making->filled_bytes);
        if (error != 0)
            return error;
        making->filled_bytes += piece;
    }
    return disk->sync(disk->context, making->file);
}

int spare_make_step(struct spare_making *making, const struct disk *disk)
{
    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_MAKING, making->spare);
    int error = 0;
    if (making->file < 0) {
        making->filled_bytes = 0;
        making->file = disk->open(disk->context, name, DISK_OPEN_CREATE);
        if (making->file < 0)
            return making->file;
        error = disk->allocate(disk->context, making->file, making->segment_bytes);
    }
    if (error == 0)
        error = fill_step(making, disk);
    if (error == 0 && making->filled_bytes < making->segment_bytes)
        return 0;
    (void)disk->close(disk->context, making->file);
    making->file = -1;
    if (error == 0) {
        char to[SEGMENT_NAME_BYTES];
        segment_print_name(to, NAME_SPARE, making->spare);
        error = disk->rename(disk->context, name, to);
    }
    if (error != 0)
        (void)disk->remove(disk->context, name);
    return error;
}

int spare_make(const struct disk *disk, uint64_t spare, uint32_t segment_bytes)
{
    struct spare_making making = {.spare = spare, .segment_bytes = segment_bytes, .file = -1};
    do {
        int error = spare_make_step(&making, disk);
        if (error != 0)
            return error;
    } while (making.filled_bytes < segment_bytes);
    return 0;
}
