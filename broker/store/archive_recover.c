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

static int on_listed(void *argument, const char *text, uint64_t bytes)
{
    struct archive_list *list = argument;
    struct archive_name name;
    if (!archive_parse_name(text, &name))
        return 0;
    name.bytes = bytes;
    if (list->count == list->room) {
        size_t room = list->room > 0 ? list->room * 2 : 64;
        struct archive_name *names = realloc(list->names, room * sizeof *names);
        if (names == NULL)
            return -ENOMEM;
        list->names = names;
        list->room = room;
    }
    list->names[list->count++] = name;
    return 0;
}

static int compare(const void *left, const void *right)
{
    const struct archive_name *a = left;
    const struct archive_name *b = right;
    if (a->exchange != b->exchange)
        return a->exchange < b->exchange ? -1 : 1;
    if (a->is_entities != b->is_entities)
        return a->is_entities ? 1 : -1;
    return a->first < b->first ? -1 : a->first > b->first;
}

enum status archive_list(struct archive *archive, struct archive_list *list,
                         struct journal_failure *failure)
{
    *list = (struct archive_list){0};
    int error = archive->disk->list(archive->disk->context, on_listed, list);
    if (list->count > 0)
        qsort(list->names, list->count, sizeof *list->names, compare);
    if (error == -ENOMEM)
        return STATUS_NO_MEMORY;
    return error == 0
               ? STATUS_OK
               : failure_set(failure, STATUS_IO_ERROR, "", error, "cannot list the directory");
}

/* Opens a file that must be there. */
static enum status open_file(struct archive_handle *handle)
{
    enum status status = archive_open_file(handle, DISK_OPEN_READ);
    return status == STATUS_NOT_FOUND ? archive_fail_check(handle, 0, "it is missing") : status;
}

enum status archive_check_finished(struct archive *archive, const struct archive_name *name,
                                   struct archive_file *file, struct journal_failure *failure)
{
    struct archive_handle handle = archive_handle_of(archive, name, failure);
    unsigned char *at = NULL;
    struct archive_index index = {0};
    uint32_t offset = 0;
    enum status status = open_file(&handle);
    if (status != STATUS_OK)
        return status;
    status = archive_find_index(&handle, &offset);
    if (status == STATUS_OK)
        status = archive_read_index(&handle, offset, &at, &index);
    archive_close_file(&handle);
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

/* The header of the block at `offset`, which must end at or before `end`. */
static enum status read_block_header(const struct archive_handle *handle, uint32_t offset,
                                     uint32_t end, struct archive_block *block)
{
    const struct disk *disk = handle->archive->disk;
    unsigned char header[ARCHIVE_BLOCK_HEADER_BYTES];
    int error = disk_read_all(disk, handle->file, header, sizeof header, offset);
    if (error != 0)
        return archive_fail_read(handle, error, offset);
    if (!archive_block_decode(header, handle->name.exchange, offset, block) ||
        archive_block_bytes(block->payload_bytes) > end - offset)
        return archive_fail_check(handle, offset, "no block stands where one was written");
    return STATUS_OK;
}

/* Goes over the headers of all blocks, and fills in what they say of the file. */
static enum status walk_blocks(const struct archive_handle *handle, struct archive_file *file,
                               const struct archive_visitor *visitor)
{
    uint32_t offset = ARCHIVE_HEADER_BYTES;
    while (offset < file->end) {
        struct archive_block block = {0};
        enum status status = read_block_header(handle, offset, file->end, &block);
        if (status != STATUS_OK)
            return status;
        if (block.first != file->last + 1)
            return archive_fail_check(handle, offset, "events are missing before this block");
        if (block.first == file->first)
            file->first_ms = block.first_ms;
        file->last = block.first + block.count - 1;
        file->last_ms = block.last_ms;
        struct archive_spot spot = {block.first, block.first_ms, offset};
        status = visitor->on_spot(visitor->argument, &spot);
        if (status != STATUS_OK)
            return status;
        offset += (uint32_t)archive_block_bytes(block.payload_bytes);
    }
    return STATUS_OK;
}

enum status archive_check_open(struct archive *archive, const struct archive_name *name,
                               struct archive_file *file, const struct archive_visitor *visitor)
{
    struct archive_handle handle = archive_handle_of(archive, name, visitor->failure);
    uint64_t last = file->last;
    enum status status = open_file(&handle);
    if (status != STATUS_OK)
        return status;
    *file = (struct archive_file){.first = name->first, .last = name->first - 1, .end = file->end};
    if (name->bytes < file->end)
        status = archive_fail_check(&handle, name->bytes,
                                    "it ends before what the journal says it holds");
    else
        status = walk_blocks(&handle, file, visitor);
    if (status == STATUS_OK && file->last != last)
        status = archive_fail_check(&handle, file->end, "it does not hold what the journal says");
    archive_close_file(&handle);
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
        (void)disk->close(disk->context, file);
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
                               const struct archive_visitor *visitor)
{
    struct archive_walk walk = archive_walk_of(window->at, window->bytes);
    struct archive_event event;
    enum status status;
    while ((status = archive_walk_next(&walk, &event)) == STATUS_OK) {
        if (event.sequence < from)
            continue;
        status = visitor->on_event(visitor->argument, &event);
        if (status != STATUS_OK)
            return status;
    }
    return status == STATUS_MORE ? STATUS_OK : status;
}

enum status archive_scan(struct archive *archive, uint32_t exchange,
                         const struct archive_file *file, uint64_t from,
                         const struct archive_visitor *visitor)
{
    struct archive_name name = {.exchange = exchange, .first = file->first};
    struct archive_handle handle = archive_handle_of(archive, &name, visitor->failure);
    struct archive_window window = {.bytes_wanted = SCAN_BYTES};
    enum status status = open_file(&handle);
    if (status != STATUS_OK)
        return status;
    for (uint32_t offset = ARCHIVE_HEADER_BYTES; offset < file->end && status == STATUS_OK;
         offset = window.next_offset) {
        status = archive_read_blocks(&handle, offset, file->end, &window);
        if (status == STATUS_OK)
            status = scan_window(&window, from, visitor);
        if (status == STATUS_CORRUPT) /* unless that was said already */
            status = archive_fail_check(&handle, offset, "an event is not what it should be");
    }
    archive_close_file(&handle);
    free(window.at);
    return status;
}

/* --- entities -----------------------------------------------------------------------------------
 */

/* Reads the next piece, of at most `left` entities, and goes behind it. */
static enum status load_piece(const struct archive_handle *handle, uint64_t *offset,
                              unsigned char *at, uint64_t left)
{
    const struct disk *disk = handle->archive->disk;
    int error = disk_read_all(disk, handle->file, at, ARCHIVE_ENTITIES_HEADER_BYTES, *offset);
    uint32_t count = error == 0 ? archive_entities_count(at) : 0;
    size_t bytes = (size_t)count * ARCHIVE_ENTITY_BYTES;
    if (error == 0 && count > 0 && count <= left)
        error = disk_read_all(disk, handle->file, at + ARCHIVE_ENTITIES_HEADER_BYTES, bytes,
                              *offset + ARCHIVE_ENTITIES_HEADER_BYTES);
    if (error != 0)
        return archive_fail_read(handle, error, *offset);
    if (count == 0 || count > left || !archive_entities_check(at, count))
        return archive_fail_check(handle, *offset, "entities do not verify");
    *offset += ARCHIVE_ENTITIES_HEADER_BYTES + bytes;
    return STATUS_OK;
}

static enum status visit_piece(const unsigned char *at, const struct archive_visitor *visitor)
{
    enum status status = STATUS_OK;
    uint32_t count = archive_entities_count(at);
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        struct archive_entity entity = archive_entity_get(at, i);
        status = visitor->on_entity(visitor->argument, &entity);
    }
    return status;
}

static enum status load_pieces(const struct archive_handle *handle, uint64_t count_all,
                               const struct archive_visitor *visitor)
{
    unsigned char *at =
        malloc(ARCHIVE_ENTITIES_HEADER_BYTES + (size_t)ARCHIVE_ENTITIES_MAX * ARCHIVE_ENTITY_BYTES);
    if (at == NULL)
        return STATUS_NO_MEMORY;
    uint64_t offset = ARCHIVE_HEADER_BYTES;
    enum status status = STATUS_OK;
    for (uint64_t left = count_all; left > 0 && status == STATUS_OK;) {
        status = load_piece(handle, &offset, at, left);
        if (status != STATUS_OK)
            break;
        left -= archive_entities_count(at);
        status = visit_piece(at, visitor);
    }
    free(at);
    return status;
}

/* Opens a file of entities and reads its header, which must be that of its name. */
static enum status open_entities(struct archive_handle *handle,
                                 struct archive_entities_header *header)
{
    const struct disk *disk = handle->archive->disk;
    unsigned char at[ARCHIVE_HEADER_BYTES];
    *header = (struct archive_entities_header){0};
    enum status status = open_file(handle);
    if (status != STATUS_OK)
        return status;
    int error = disk_read_all(disk, handle->file, at, sizeof at, 0);
    if (error != 0)
        status = archive_fail_read(handle, error, 0);
    else
        status = archive_entities_header_decode(at, header);
    if (status == STATUS_OK && header->exchange == handle->name.exchange &&
        header->sequence == handle->name.first)
        return STATUS_OK;
    archive_close_file(handle);
    if (status == STATUS_OK || status == STATUS_CORRUPT)
        return archive_fail_check(handle, 0, "its header does not verify");
    if (status == STATUS_NEWER_FORMAT)
        (void)archive_fail_check(handle, 0, "it is of a newer version of Herald");
    return status;
}

enum status archive_read_secret(struct archive *archive, const struct archive_name *name,
                                unsigned char secret[ARCHIVE_SECRET_BYTES],
                                struct journal_failure *failure)
{
    struct archive_handle handle = archive_handle_of(archive, name, failure);
    struct archive_entities_header header;
    enum status status = open_entities(&handle, &header);
    if (status != STATUS_OK)
        return status;
    archive_close_file(&handle);
    memcpy(secret, header.secret, sizeof header.secret);
    return STATUS_OK;
}

enum status archive_load_entities(struct archive *archive, uint32_t exchange, uint64_t sequence,
                                  const struct archive_visitor *visitor)
{
    struct archive_name name = {.is_entities = true, .exchange = exchange, .first = sequence};
    struct archive_handle handle = archive_handle_of(archive, &name, visitor->failure);
    struct archive_entities_header header;
    enum status status = open_entities(&handle, &header);
    if (status != STATUS_OK)
        return status;
    if (memcmp(header.secret, visitor->secret, sizeof header.secret) != 0)
        status = archive_fail_check(&handle, 0, "its names are hashed with another secret");
    else
        status = load_pieces(&handle, header.count, visitor);
    archive_close_file(&handle);
    return status;
}
