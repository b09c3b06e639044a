/* The archive's files at a start, and for tools: looked at on the caller's thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/archive_entities.h"
#include "broker/store/archive_file.h"
#include "broker/store/disk_io.h"
#include "broker/store/failure.h"

/* Pieces that a scan reads at once. */
enum { SCAN_BYTES = 1 << 20 };

struct listing {
    archive_name_fn on_name;
    void *argument;
    enum status status;
};

static int on_listed(void *argument, const char *text, uint64_t bytes)
{
    struct listing *listing = argument;
    struct archive_name name;
    if (!archive_parse_name(text, &name))
        return 0;
    name.bytes = bytes;
    listing->status = listing->on_name(listing->argument, &name);
    return listing->status == STATUS_OK ? 0 : 1;
}

enum status archive_list(struct archive *archive, archive_name_fn on_name, void *argument,
                         struct journal_failure *failure)
{
    struct listing listing = {on_name, argument, STATUS_OK};
    int error = archive->disk->list(archive->disk->context, on_listed, &listing);
    if (error < 0)
        return failure_set(failure, STATUS_IO_ERROR, "", error, "cannot list the directory");
    return listing.status;
}

static enum status missing(enum status status, const struct archive_name *name,
                           struct journal_failure *failure)
{
    if (status != STATUS_NOT_FOUND)
        return status;
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, name);
    return failure_set(failure, STATUS_CORRUPT, text, 0, "it is missing");
}

enum status archive_check_finished(struct archive *archive, const struct archive_name *name,
                                   struct archive_file *file, struct journal_failure *failure)
{
    int opened;
    unsigned char *at = NULL;
    struct archive_index index;
    uint32_t offset;
    enum status status =
        missing(archive_open_file(archive, name, DISK_OPEN_READ, &opened, failure), name, failure);
    if (status != STATUS_OK)
        return status;
    status = archive_find_index(archive, opened, name, &offset, failure);
    if (status == STATUS_OK)
        status = archive_read_index(archive, opened, name, offset, &at, &index, failure);
    archive_close_file(archive, opened);
    free(at);
    if (status == STATUS_OK)
        *file = (struct archive_file){.first = index.first,
                                      .last = index.last,
                                      .first_ms = index.first_ms,
                                      .last_ms = index.last_ms,
                                      .end = index.offset,
                                      .is_finished = true};
    return status;
}

static enum status damaged(const struct archive_name *name, uint32_t offset,
                           struct journal_failure *failure, const char *what)
{
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, name);
    enum status status = failure_set(failure, STATUS_CORRUPT, text, 0, "%s", what);
    failure_set_offset(failure, offset);
    return status;
}

/* The header of the block at `offset`, which must end at or before `end`. */
static enum status read_block_header(struct archive *archive, int file,
                                     const struct archive_name *name, uint32_t offset, uint32_t end,
                                     struct archive_block *block, struct journal_failure *failure)
{
    unsigned char header[ARCHIVE_BLOCK_HEADER_BYTES];
    int error = disk_read_all(archive->disk, file, header, sizeof header, offset);
    if (error == -ENODATA)
        return damaged(name, offset, failure, "it ends before what the journal says it holds");
    if (error != 0) {
        char text[ARCHIVE_NAME_BYTES];
        archive_print_name(text, name);
        return failure_set(failure, STATUS_IO_ERROR, text, error, "cannot read a block");
    }
    if (!archive_block_decode(header, name->exchange, offset, block) ||
        archive_block_bytes(block->payload_bytes) > end - offset)
        return damaged(name, offset, failure, "no block stands where one was written");
    return STATUS_OK;
}

static enum status walk_blocks(struct archive *archive, int opened, const struct archive_name *name,
                               struct archive_file *file, archive_spot_fn on_spot, void *argument,
                               struct journal_failure *failure)
{
    enum status status = STATUS_OK;
    for (uint32_t offset = ARCHIVE_HEADER_BYTES; offset < file->end && status == STATUS_OK;) {
        struct archive_block block;
        status = read_block_header(archive, opened, name, offset, file->end, &block, failure);
        if (status != STATUS_OK)
            break;
        if (block.first != file->last + 1)
            return damaged(name, offset, failure, "events are missing before this block");
        if (block.first == file->first)
            file->first_ms = block.first_ms;
        file->last = block.first + block.count - 1;
        file->last_ms = block.last_ms;
        status = on_spot(argument, &(struct archive_spot){block.first, block.first_ms, offset});
        offset += (uint32_t)archive_block_bytes(block.payload_bytes);
    }
    return status;
}

enum status archive_check_open(struct archive *archive, const struct archive_name *name,
                               uint32_t end, uint64_t last, struct archive_file *file,
                               archive_spot_fn on_spot, void *argument,
                               struct journal_failure *failure)
{
    int opened;
    enum status status =
        missing(archive_open_file(archive, name, DISK_OPEN_READ, &opened, failure), name, failure);
    if (status != STATUS_OK)
        return status;
    *file = (struct archive_file){.first = name->first, .last = name->first - 1, .end = end};
    if (name->bytes < end)
        status = damaged(name, end, failure, "it ends before what the journal says it holds");
    else
        status = walk_blocks(archive, opened, name, file, on_spot, argument, failure);
    if (status == STATUS_OK && file->last != last)
        status = damaged(name, end, failure, "it does not hold what the journal says");
    archive_close_file(archive, opened);
    return status;
}

enum status archive_cut(struct archive *archive, const struct archive_name *name, uint32_t end,
                        struct journal_failure *failure)
{
    const struct disk *disk = archive->disk;
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, name);
    if (name->bytes <= end)
        return STATUS_OK;
    int file = disk->open(disk->context, text, DISK_OPEN_WRITE);
    int error = file < 0 ? file : disk->truncate(disk->context, file, end);
    if (file >= 0)
        archive_close_file(archive, file);
    return error == 0 ? STATUS_OK
                      : failure_set(failure, STATUS_IO_ERROR, text, error, "cannot cut it");
}

enum status archive_take_away(struct archive *archive, const struct archive_name *name,
                              struct journal_failure *failure)
{
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, name);
    int error = archive->disk->remove(archive->disk->context, text);
    return error == 0 || error == -ENOENT
               ? STATUS_OK
               : failure_set(failure, STATUS_IO_ERROR, text, error, "cannot remove it");
}

/* --- events -------------------------------------------------------------------------------------
 */

static enum status scan_window(const struct archive_window *window, uint64_t from,
                               archive_event_fn on_event, void *argument)
{
    struct archive_walk walk = archive_walk_of(window->at, window->bytes);
    struct archive_event event;
    enum status status;
    while ((status = archive_walk_next(&walk, &event)) == STATUS_OK) {
        if (event.sequence < from)
            continue;
        status = on_event(argument, &event);
        if (status != STATUS_OK)
            return status;
    }
    return status == STATUS_MORE ? STATUS_OK : status;
}

enum status archive_scan(struct archive *archive, uint32_t exchange,
                         const struct archive_file *file, uint64_t from, archive_event_fn on_event,
                         void *argument, struct journal_failure *failure)
{
    struct archive_name name = {.exchange = exchange, .first = file->first};
    struct archive_window window = {0};
    int opened;
    enum status status = missing(
        archive_open_file(archive, &name, DISK_OPEN_READ, &opened, failure), &name, failure);
    if (status != STATUS_OK)
        return status;
    for (uint32_t offset = ARCHIVE_HEADER_BYTES; offset < file->end && status == STATUS_OK;
         offset = window.next_offset) {
        status = archive_read_blocks(archive, opened, &name, offset, file->end, SCAN_BYTES, &window,
                                     failure);
        if (status == STATUS_OK)
            status = scan_window(&window, from, on_event, argument);
    }
    archive_close_file(archive, opened);
    free(window.at);
    return status;
}

/* --- entities -----------------------------------------------------------------------------------
 */

static enum status load_piece(struct archive *archive, int file, const struct archive_name *name,
                              uint64_t *offset, unsigned char *at, uint64_t left,
                              struct journal_failure *failure)
{
    int error = disk_read_all(archive->disk, file, at, ARCHIVE_ENTITIES_HEADER_BYTES, *offset);
    uint32_t count = error == 0 ? archive_entities_count(at) : 0;
    size_t bytes = (size_t)count * ARCHIVE_ENTITY_BYTES;
    if (error == 0 && count > 0 && count <= left)
        error = disk_read_all(archive->disk, file, at + ARCHIVE_ENTITIES_HEADER_BYTES, bytes,
                              *offset + ARCHIVE_ENTITIES_HEADER_BYTES);
    if (error != 0 && error != -ENODATA) {
        char text[ARCHIVE_NAME_BYTES];
        archive_print_name(text, name);
        return failure_set(failure, STATUS_IO_ERROR, text, error, "cannot read entities");
    }
    if (error != 0 || count == 0 || count > left || !archive_entities_check(at, count))
        return damaged(name, (uint32_t)*offset, failure, "entities do not verify");
    *offset += ARCHIVE_ENTITIES_HEADER_BYTES + bytes;
    return STATUS_OK;
}

static enum status load_pieces(struct archive *archive, int file, const struct archive_name *name,
                               uint64_t count_all, archive_entity_fn on_entity, void *argument,
                               struct journal_failure *failure)
{
    unsigned char *at =
        malloc(ARCHIVE_ENTITIES_HEADER_BYTES + (size_t)ARCHIVE_ENTITIES_MAX * ARCHIVE_ENTITY_BYTES);
    if (at == NULL)
        return STATUS_NO_MEMORY;
    uint64_t offset = ARCHIVE_HEADER_BYTES;
    enum status status = STATUS_OK;
    for (uint64_t left = count_all; left > 0 && status == STATUS_OK;) {
        status = load_piece(archive, file, name, &offset, at, left, failure);
        uint32_t count = status == STATUS_OK ? archive_entities_count(at) : 0;
        for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
            struct archive_entity entity = archive_entity_get(at, i);
            status = on_entity(argument, &entity);
        }
        left -= count;
    }
    free(at);
    return status;
}

/* Opens a file of entities and reads its header, which must be that of its name. */
static enum status open_entities(struct archive *archive, const struct archive_name *name,
                                 struct archive_entities_header *header, int *file,
                                 struct journal_failure *failure)
{
    unsigned char at[ARCHIVE_HEADER_BYTES];
    enum status status =
        missing(archive_open_file(archive, name, DISK_OPEN_READ, file, failure), name, failure);
    if (status != STATUS_OK)
        return status;
    int error = disk_read_all(archive->disk, *file, at, sizeof at, 0);
    status = error == 0 ? archive_entities_header_decode(at, header) : STATUS_CORRUPT;
    if (status == STATUS_OK &&
        (header->exchange != name->exchange || header->sequence != name->first))
        status = STATUS_CORRUPT;
    if (status == STATUS_OK)
        return STATUS_OK;
    archive_close_file(archive, *file);
    return status == STATUS_CORRUPT ? damaged(name, 0, failure, "its header does not verify")
                                    : status;
}

bool archive_read_secret(struct archive *archive, const struct archive_name *name,
                         unsigned char secret[ARCHIVE_SECRET_BYTES])
{
    struct journal_failure failure = {.text = ""};
    struct archive_entities_header header;
    int file;
    if (open_entities(archive, name, &header, &file, &failure) != STATUS_OK)
        return false;
    archive_close_file(archive, file);
    memcpy(secret, header.secret, sizeof header.secret);
    return true;
}

enum status archive_load_entities(struct archive *archive, uint32_t exchange, uint64_t sequence,
                                  archive_entity_fn on_entity, void *argument,
                                  struct journal_failure *failure)
{
    struct archive_name name = {.is_entities = true, .exchange = exchange, .first = sequence};
    struct archive_entities_header header;
    int file;
    enum status status = open_entities(archive, &name, &header, &file, failure);
    if (status != STATUS_OK)
        return status;
    status = load_pieces(archive, file, &name, header.count, on_entity, argument, failure);
    archive_close_file(archive, file);
    return status;
}
