/* Reading segments and finding the batches in them. */
#include "broker/store/walk.h"

#include <errno.h>

#include "broker/store/disk_io.h"
#include "broker/plant.h"
#include "broker/store/failure.h"

enum status image_open(const struct disk *disk, uint64_t number, enum disk_open_mode mode,
                       int *file, struct journal_failure *failure)
{
    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_SEGMENT, number);
    *file = disk->open(disk->context, name, mode);
    if (*file == -EINVAL)
        return failure_set(failure, STATUS_CORRUPT, name, 0, "not a regular file");
    if (*file < 0)
        return failure_set(failure, STATUS_IO_ERROR, name, *file, "cannot open the segment");
    return STATUS_OK;
}

enum status image_check_header(const unsigned char *page, uint64_t number, uint32_t segment_bytes,
                               struct segment_header *header, struct journal_failure *failure)
{
    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_SEGMENT, number);
    enum status status = segment_header_decode(page, header);
    if (status == STATUS_NEWER_FORMAT)
        return failure_set(failure, status, name, 0,
                           "the segment was written by a newer version of the journal");
    if (status != STATUS_OK)
        return failure_set(failure, status, name, 0, "the segment's header does not verify");
    if (header->number != number ||
        header->first_position != number * (uint64_t)header->segment_bytes)
        return failure_set(failure, STATUS_CORRUPT, name, 0,
                           "the segment's header belongs to segment %llu",
                           (unsigned long long)header->number);
    if (header->segment_bytes != segment_bytes)
        return failure_set(failure, STATUS_CORRUPT, name, 0,
                           "the segment is %llu bytes long, its header or the others say %u",
                           (unsigned long long)segment_bytes, header->segment_bytes);
    return STATUS_OK;
}

enum status image_load(struct image *image, const struct disk *disk, uint64_t number,
                       struct journal_failure *failure)
{
    if (image->number == number)
        return STATUS_OK;
    image->number = 0;
    int file;
    enum status status = image_open(disk, number, DISK_OPEN_READ, &file, failure);
    if (status != STATUS_OK)
        return status;
    int error = disk_read_all(disk, file, image->at, image->segment_bytes, 0);
    (void)disk->close(disk->context, file);
    if (error != 0) {
        char name[SEGMENT_NAME_BYTES];
        segment_print_name(name, NAME_SEGMENT, number);
        return failure_set(failure, STATUS_IO_ERROR, name, error, "cannot read the segment");
    }
    struct segment_header header;
    status = image_check_header(image->at, number, image->segment_bytes, &header, failure);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < SALT_BYTES; i++)
        image->salt[i] = header.salt[i];
    image->number = number;
    return STATUS_OK;
}

void walk_start(struct walk *walk, const struct image *image, uint64_t sequence)
{
    *walk = (struct walk){.image = image, .offset = SEGMENT_HEADER_BYTES, .sequence = sequence};
}

bool walk_next(struct walk *walk)
{
    const struct image *image = walk->image;
    uint32_t left = image->segment_bytes - walk->offset;
    if (left < BATCH_ALIGN)
        return false;
    struct batch_place place = {image->salt, image->number, walk->offset};
    struct batch_header header;
    if (!batch_header_decode(image->at + walk->offset, &place, &header) ||
        (walk->sequence != 0 && header.sequence != walk->sequence &&
         !planted(PLANT_SEQUENCE_NOT_CHECKED)) ||
        !batch_check(image->at + walk->offset, left, &place, &header))
        return false;
    walk->last = header;
    walk->last_offset = walk->offset;
    walk->sequence = header.sequence + 1;
    walk->offset += (uint32_t)batch_total_bytes(header.payload_bytes);
    return true;
}

uint32_t walk_find_header(const struct image *image, uint32_t from, struct batch_header *header)
{
    for (uint32_t offset = from; image->segment_bytes - offset >= BATCH_ALIGN;
         offset += BATCH_ALIGN) {
        struct batch_place place = {image->salt, image->number, offset};
        if (batch_header_decode(image->at + offset, &place, header))
            return offset;
    }
    return 0;
}
