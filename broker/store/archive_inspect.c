/* Looking at a whole file of the archive that may be damaged.
 *
 * What is believed. The header of a block that verifies at its offset says how long the block is;
 * its payload stands for itself. Where the index of a finished file verifies, it alone says where
 * blocks begin. Without one they follow each other from the header of the file on, and behind a
 * header that does not verify the next one is looked for at each multiple of 512. There a body
 * could deceive, whose sender has written a block into it, and then only with events of the
 * exchange that it was sent to.
 */
#include "broker/store/archive_inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/archive_entities.h"
#include "broker/store/archive_file.h"
#include "broker/store/disk_io.h"
#include "broker/store/failure.h"
#include "broker/store/record.h"
#include "protocol/property.h"

struct inspection {
    struct archive_handle handle;
    const struct archive_inspector *inspector;
    struct archive_inspection *found;
    unsigned char *at; /* of the block or the piece that is looked at */
    size_t room;
};

static enum status tell(struct inspection *inspection, uint64_t offset, uint64_t end,
                        const char *text)
{
    const struct archive_inspector *inspector = inspection->inspector;
    struct archive_damage damage = {offset, end, text};
    inspection->found->damage_count++;
    return inspector->on_damage != NULL ? inspector->on_damage(inspector->argument, &damage)
                                        : STATUS_OK;
}

/* Reads into inspection->at from `from` to before `to`, which are offsets there; the file's offset
 * of its beginning is `offset`. STATUS_CORRUPT: the disk cannot, or the file ends. */
static enum status read_bytes(struct inspection *inspection, uint64_t offset, size_t from,
                              size_t to)
{
    const struct archive_handle *handle = &inspection->handle;
    if (to > inspection->room) {
        unsigned char *grown = realloc(inspection->at, to);
        if (grown == NULL)
            return STATUS_NO_MEMORY;
        inspection->at = grown;
        inspection->room = to;
    }
    int error = disk_read_all(handle->archive->disk, handle->file, inspection->at + from, to - from,
                              offset + from);
    if (error == 0)
        return STATUS_OK;
    return error == -EIO || error == -ENODATA ? STATUS_CORRUPT
                                              : archive_fail_read(handle, error, offset);
}

/* --- blocks -------------------------------------------------------------------------------------
 */

/* Whether all that a block holds is what an event of an exchange is recorded as. */
static bool has_events(const unsigned char *at, const struct archive_block *block)
{
    struct archive_walk walk =
        archive_walk_of(at, (size_t)archive_block_bytes(block->payload_bytes));
    struct archive_event event;
    uint64_t bytes = 0;
    while (archive_walk_next(&walk, &event) == STATUS_OK) {
        struct wire_reader r = wire_reader_of(event.at, event.bytes);
        struct operation operation;
        if (record_next(&r, &operation) != STATUS_OK || operation.type != OPERATION_MESSAGE ||
            wire_left(&r) != 0)
            return false;
        struct wire_bytes properties = operation.as.message.properties;
        if (property_find_number(properties, PROPERTY_MESSAGE_SEQUENCE, 0) != event.sequence)
            return false;
        bytes += 4 + (uint64_t)event.bytes;
    }
    return walk.left == 0 && bytes == block->payload_bytes;
}

/* The header of the block that begins at an offset. STATUS_CORRUPT: none verifies there, or it
 * speaks of more than there is before `end`. */
static enum status read_header(struct inspection *inspection, uint64_t offset, uint64_t end,
                               struct archive_block *block)
{
    const struct archive_name *name = &inspection->handle.name;
    if (end - offset < ARCHIVE_ALIGN)
        return STATUS_CORRUPT;
    enum status status = read_bytes(inspection, offset, 0, ARCHIVE_BLOCK_HEADER_BYTES);
    if (status != STATUS_OK)
        return status;
    bool is_good = archive_block_decode(inspection->at, name->exchange, (uint32_t)offset, block) &&
                   block->first >= name->first &&
                   archive_block_bytes(block->payload_bytes) <= end - offset;
    return is_good ? STATUS_OK : STATUS_CORRUPT;
}

/* Looks at the payload behind a header that verified, and tells of one or the other. */
static enum status look_at_block(struct inspection *inspection, const struct archive_block *block)
{
    const struct archive_inspector *inspector = inspection->inspector;
    size_t bytes = (size_t)archive_block_bytes(block->payload_bytes);
    enum status status = read_bytes(inspection, block->offset, ARCHIVE_BLOCK_HEADER_BYTES, bytes);
    if (status == STATUS_CORRUPT)
        return tell(inspection, block->offset, block->offset + bytes,
                    "the disk cannot read a block");
    if (status != STATUS_OK)
        return status;
    if (!archive_block_check(inspection->at, bytes, block))
        return tell(inspection, block->offset, block->offset + bytes, "a block does not verify");
    if (!has_events(inspection->at, block))
        return tell(inspection, block->offset, block->offset + bytes,
                    "a block verifies, but does not hold events that this version knows");
    inspection->found->count += block->count;
    inspection->found->end = (uint32_t)(block->offset + bytes);
    return inspector->on_block != NULL
               ? inspector->on_block(inspector->argument, block, inspection->at)
               : STATUS_OK;
}

/* --- a finished file ----------------------------------------------------------------------------
 */

/* What the index says of one block, and where the next one begins. */
static enum status look_at_spot(struct inspection *inspection, const struct archive_spot *spot,
                                const struct archive_spot *next)
{
    struct archive_block block;
    enum status status = read_header(inspection, spot->offset, next->offset, &block);
    if (status != STATUS_OK && status != STATUS_CORRUPT)
        return status;
    bool is_as_stated = status == STATUS_OK && block.first == spot->sequence &&
                        block.first_ms == spot->time_ms &&
                        block.first + block.count == next->sequence &&
                        spot->offset + archive_block_bytes(block.payload_bytes) == next->offset;
    if (is_as_stated)
        return look_at_block(inspection, &block);
    return tell(inspection, spot->offset, next->offset,
                "no block stands where the index says that one does");
}

/* `at` is the index, which verified. */
static enum status look_at_spots(struct inspection *inspection, const unsigned char *at)
{
    const struct archive_index *index = &inspection->found->index;
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < index->count && status == STATUS_OK; i++) {
        struct archive_spot spot = archive_index_spot(at, i);
        struct archive_spot next = {.sequence = index->last + 1, .offset = index->offset};
        if (i + 1 < index->count)
            next = archive_index_spot(at, i + 1);
        if (spot.offset < ARCHIVE_HEADER_BYTES || next.offset <= spot.offset ||
            next.offset > index->offset)
            return tell(inspection, index->offset, index->offset,
                        "the index does not name its blocks in their order");
        status = look_at_spot(inspection, &spot, &next);
    }
    inspection->found->end = index->offset;
    return status;
}

/* --- one without an index -----------------------------------------------------------------------
 */

static bool is_index(const struct inspection *inspection, uint64_t offset)
{
    uint32_t count;
    return archive_index_count(inspection->at, inspection->handle.name.exchange, (uint32_t)offset,
                               &count);
}

/* From a place without a block to the next one, to an index, or to the end. */
static enum status find_block(struct inspection *inspection, uint64_t *offset, uint64_t end)
{
    struct archive_block block;
    while (end - *offset >= ARCHIVE_ALIGN) {
        enum status status = read_header(inspection, *offset, end, &block);
        if (status != STATUS_CORRUPT)
            return status;
        if (is_index(inspection, *offset))
            break;
        *offset += ARCHIVE_ALIGN;
    }
    *offset = end;
    return STATUS_OK;
}

static enum status look_at_blocks(struct inspection *inspection)
{
    uint64_t end = inspection->handle.name.bytes;
    uint64_t offset = ARCHIVE_HEADER_BYTES;
    enum status status = STATUS_OK;
    if (end > UINT32_MAX)
        end = UINT32_MAX; /* no block begins behind that */
    while (status == STATUS_OK && offset < end) {
        struct archive_block block;
        uint64_t begin = offset;
        status = read_header(inspection, offset, end, &block);
        if (status == STATUS_OK) {
            offset += archive_block_bytes(block.payload_bytes);
            status = look_at_block(inspection, &block);
        } else if (status == STATUS_CORRUPT) {
            status = find_block(inspection, &offset, end);
            if (status == STATUS_OK && offset < end)
                status = tell(inspection, begin, offset, "no block stands where one was written");
        }
    }
    return status;
}

/* --- a file of events ---------------------------------------------------------------------------
 */

static enum status inspect_header(struct inspection *inspection)
{
    const struct archive_name *name = &inspection->handle.name;
    enum status status = read_bytes(inspection, 0, 0, ARCHIVE_HEADER_BYTES);
    if (status == STATUS_OK)
        status = archive_header_decode(inspection->at, name->exchange, name->first);
    if (status == STATUS_NEWER_FORMAT)
        (void)archive_fail_check(&inspection->handle, 0, "it is of a newer version of Herald");
    return status == STATUS_CORRUPT ? tell(inspection, 0, 0, "its header does not verify") : status;
}

static enum status inspect_events(struct inspection *inspection)
{
    struct archive_inspection *found = inspection->found;
    struct archive_handle handle = inspection->handle;
    struct journal_failure ignored = {.text = ""};
    unsigned char *at = NULL;
    uint32_t offset = 0;
    found->end = ARCHIVE_HEADER_BYTES;
    enum status status = inspect_header(inspection);
    if (status != STATUS_OK)
        return status;
    handle.failure = &ignored; /* it need not be finished */
    status =
        inspection->inspector->is_open ? STATUS_NOT_FOUND : archive_find_index(&handle, &offset);
    if (status == STATUS_OK)
        status = archive_read_index(&handle, offset, &at, &found->index);
    found->is_finished = status == STATUS_OK;
    if (status == STATUS_OK)
        status = look_at_spots(inspection, at);
    else if (status != STATUS_NO_MEMORY)
        status = look_at_blocks(inspection);
    free(at);
    return status;
}

/* --- a file of entities -------------------------------------------------------------------------
 */

static enum status give_entities(struct inspection *inspection, uint32_t count)
{
    const struct archive_inspector *inspector = inspection->inspector;
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < count && status == STATUS_OK && inspector->on_entity != NULL; i++) {
        struct archive_entity entity = archive_entity_get(inspection->at, i);
        status = inspector->on_entity(inspector->argument, &entity);
    }
    inspection->found->count += count;
    return status;
}

/* The piece at an offset, which is not beyond the end, and of at most so many entities; goes behind
 * it. A piece that does not verify is believed to be as long as it says, because the next one
 * stands for itself. STATUS_CORRUPT: what follows cannot be found. */
static enum status look_at_piece(struct inspection *inspection, uint64_t *offset, uint64_t *left)
{
    uint64_t begin = *offset;
    uint64_t end = inspection->handle.name.bytes;
    enum status status = end - begin < ARCHIVE_ENTITIES_HEADER_BYTES
                             ? STATUS_CORRUPT
                             : read_bytes(inspection, begin, 0, ARCHIVE_ENTITIES_HEADER_BYTES);
    if (status != STATUS_OK)
        return status;
    uint32_t count = archive_entities_count(inspection->at);
    size_t bytes = ARCHIVE_ENTITIES_HEADER_BYTES + (size_t)count * ARCHIVE_ENTITY_BYTES;
    if (count == 0 || count > *left || bytes > end - begin)
        return STATUS_CORRUPT;
    status = read_bytes(inspection, begin, ARCHIVE_ENTITIES_HEADER_BYTES, bytes);
    if (status != STATUS_OK && status != STATUS_CORRUPT)
        return status;
    *offset += bytes;
    *left -= count;
    if (status == STATUS_OK && archive_entities_check(inspection->at, count))
        return give_entities(inspection, count);
    return tell(inspection, begin, begin + bytes, "entities do not verify");
}

static enum status inspect_entities(struct inspection *inspection)
{
    const struct archive_name *name = &inspection->handle.name;
    struct archive_inspection *found = inspection->found;
    struct archive_entities_header header = {0};
    enum status status = read_bytes(inspection, 0, 0, ARCHIVE_HEADER_BYTES);
    if (status == STATUS_OK)
        status = archive_entities_header_decode(inspection->at, &header);
    if (status == STATUS_NEWER_FORMAT)
        (void)archive_fail_check(&inspection->handle, 0, "it is of a newer version of Herald");
    if (status == STATUS_OK &&
        (header.exchange != name->exchange || header.sequence != name->first))
        status = STATUS_CORRUPT;
    if (status == STATUS_CORRUPT)
        return tell(inspection, 0, name->bytes, "its header does not verify");
    if (status != STATUS_OK)
        return status;
    found->has_header = true;
    found->count_stated = header.count;
    memcpy(found->secret, header.secret, sizeof found->secret);
    uint64_t offset = ARCHIVE_HEADER_BYTES;
    for (uint64_t left = header.count; left > 0 && status == STATUS_OK;)
        status = look_at_piece(inspection, &offset, &left);
    if (status == STATUS_CORRUPT)
        status = tell(inspection, offset, name->bytes, "entities do not verify");
    return status;
}

/* --- either -------------------------------------------------------------------------------------
 */

enum status archive_inspect(struct archive *archive, const struct archive_name *name,
                            const struct archive_inspector *inspector,
                            struct archive_inspection *found)
{
    const struct disk *disk = archive->disk;
    struct inspection inspection = {
        .handle = archive_handle_of(archive, name, inspector->failure),
        .inspector = inspector,
        .found = found,
    };
    char text[ARCHIVE_NAME_BYTES];
    *found = (struct archive_inspection){0};
    archive_print_name(text, name);
    int file = disk->open(disk->context, text, DISK_OPEN_READ);
    if (file == -ENOENT)
        return STATUS_NOT_FOUND;
    if (file == -EINVAL)
        return tell(&inspection, 0, 0, "it is not a regular file");
    if (file < 0)
        return failure_set(inspector->failure, STATUS_IO_ERROR, text, file, "cannot open it");
    inspection.handle.file = file;
    enum status status =
        name->is_entities ? inspect_entities(&inspection) : inspect_events(&inspection);
    archive_close_file(&inspection.handle);
    free(inspection.at);
    return status;
}
