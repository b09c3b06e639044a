/* Files of the archive by their names. */
#include "broker/store/archive_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/disk_io.h"
#include "broker/store/failure.h"

void archive_print_name(char text[ARCHIVE_NAME_BYTES], const struct archive_name *name)
{
    (void)snprintf(text, ARCHIVE_NAME_BYTES, "%s-%08" PRIx32 "-%016" PRIx64,
                   name->is_entities ? "entities" : "history", name->exchange, name->first);
}

bool archive_parse_name(const char *text, struct archive_name *name)
{
    *name = (struct archive_name){.is_entities = strncmp(text, "entities-", 9) == 0};
    const char *digits = strchr(text, '-');
    if (digits == NULL)
        return false;
    /* Whatever is read here: only a name that is printed the same way is one. */
    char *end;
    name->exchange = (uint32_t)strtoul(digits + 1, &end, 16);
    if (*end != '-')
        return false;
    name->first = strtoull(end + 1, &end, 16);
    char whole[ARCHIVE_NAME_BYTES];
    archive_print_name(whole, name);
    return strcmp(whole, text) == 0;
}

struct archive_handle archive_handle_of(struct archive *archive, const struct archive_name *name,
                                        struct journal_failure *failure)
{
    return (struct archive_handle){archive, *name, failure, -1};
}

enum status archive_fail_read(const struct archive_handle *handle, int error, uint64_t offset)
{
    if (error == -ENODATA)
        return archive_fail_check(handle, offset, "it ends before what it must hold");
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, &handle->name);
    enum status status =
        failure_set(handle->failure, STATUS_IO_ERROR, text, error, "cannot read it");
    failure_set_offset(handle->failure, offset);
    return status;
}

enum status archive_fail_check(const struct archive_handle *handle, uint64_t offset,
                               const char *what)
{
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, &handle->name);
    enum status status = failure_set(handle->failure, STATUS_CORRUPT, text, 0, "%s", what);
    failure_set_offset(handle->failure, offset);
    return status;
}

void archive_close_file(const struct archive_handle *handle)
{
    (void)handle->archive->disk->close(handle->archive->disk->context, handle->file);
}

static enum status check_header(const struct archive_handle *handle)
{
    unsigned char header[ARCHIVE_HEADER_BYTES];
    int error = disk_read_all(handle->archive->disk, handle->file, header, sizeof header, 0);
    if (error == -ENODATA)
        return archive_fail_check(handle, 0, "it is shorter than its header");
    if (error != 0)
        return archive_fail_read(handle, error, 0);
    if (handle->name.is_entities)
        return STATUS_OK;
    enum status status = archive_header_decode(header, handle->name.exchange, handle->name.first);
    if (status == STATUS_CORRUPT)
        return archive_fail_check(handle, 0, "its header does not verify");
    if (status == STATUS_OK)
        return STATUS_OK;
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, &handle->name);
    return failure_set(handle->failure, status, text, 0, "it is of a newer version of Herald");
}

enum status archive_open_file(struct archive_handle *handle, enum disk_open_mode mode)
{
    const struct disk *disk = handle->archive->disk;
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, &handle->name);
    handle->file = disk->open(disk->context, text, mode);
    if (handle->file == -ENOENT)
        return STATUS_NOT_FOUND;
    if (handle->file == -EINVAL)
        return archive_fail_check(handle, 0, "it is not a regular file");
    if (handle->file < 0)
        return failure_set(handle->failure, STATUS_IO_ERROR, text, handle->file, "cannot open it");
    enum status status = check_header(handle);
    if (status != STATUS_OK)
        archive_close_file(handle);
    return status;
}

enum status archive_find_index(const struct archive_handle *handle, uint32_t *offset)
{
    unsigned char tail[ARCHIVE_TAIL_BYTES];
    uint64_t bytes = handle->name.bytes;
    if (bytes < ARCHIVE_HEADER_BYTES + ARCHIVE_ALIGN || bytes > UINT32_MAX)
        return archive_fail_check(handle, bytes, "it is too short or too long to be finished");
    int error = disk_read_all(handle->archive->disk, handle->file, tail, sizeof tail,
                              bytes - ARCHIVE_TAIL_BYTES);
    if (error != 0)
        return archive_fail_read(handle, error, bytes - ARCHIVE_TAIL_BYTES);
    if (!archive_tail_decode(tail, offset) || *offset < ARCHIVE_HEADER_BYTES ||
        *offset > bytes - ARCHIVE_ALIGN)
        return archive_fail_check(handle, bytes - ARCHIVE_TAIL_BYTES,
                                  "it does not end with its index");
    return STATUS_OK;
}

enum status archive_read_index(const struct archive_handle *handle, uint32_t offset,
                               unsigned char **at, struct archive_index *index)
{
    const struct disk *disk = handle->archive->disk;
    unsigned char header[ARCHIVE_BLOCK_HEADER_BYTES];
    *at = NULL;
    int error = disk_read_all(disk, handle->file, header, sizeof header, offset);
    if (error != 0)
        return archive_fail_read(handle, error, offset);
    uint32_t count;
    if (!archive_index_count(header, handle->name.exchange, offset, &count))
        return archive_fail_check(handle, offset, "its index does not verify");
    size_t bytes = ARCHIVE_BLOCK_HEADER_BYTES + (size_t)count * ARCHIVE_SPOT_BYTES;
    *at = malloc(bytes);
    if (*at == NULL)
        return STATUS_NO_MEMORY;
    error = disk_read_all(disk, handle->file, *at, bytes, offset);
    if (error != 0)
        return archive_fail_read(handle, error, offset);
    if (!archive_index_decode(*at, bytes, handle->name.exchange, index) ||
        index->first != handle->name.first)
        return archive_fail_check(handle, offset, "its index does not verify");
    return STATUS_OK;
}

/* --- blocks -------------------------------------------------------------------------------------
 */

/* A window as it is read: `have` bytes from `offset` on are there, `left` are to `end`. */
struct filling {
    const struct archive_handle *handle;
    struct archive_window *window;
    uint32_t offset;
    uint32_t left;
    uint32_t have;
};

/* Reads on until `bytes` are there. */
static enum status fill(struct filling *filling, uint32_t bytes)
{
    struct archive_window *window = filling->window;
    if (bytes > filling->left)
        bytes = filling->left;
    if (bytes > window->room) {
        unsigned char *grown = realloc(window->at, bytes);
        if (grown == NULL)
            return STATUS_NO_MEMORY;
        window->at = grown;
        window->room = bytes;
    }
    int error = disk_read_all(filling->handle->archive->disk, filling->handle->file,
                              window->at + filling->have, bytes - filling->have,
                              filling->offset + filling->have);
    if (error != 0)
        return archive_fail_read(filling->handle, error, filling->offset);
    filling->have = bytes;
    return STATUS_OK;
}

/* Takes the next block into the window; it must verify. STATUS_MORE: it reaches beyond what is
 * there, and *need says how far from its beginning. */
static enum status take_block(struct filling *filling, uint32_t *need)
{
    const struct archive_handle *handle = filling->handle;
    struct archive_window *window = filling->window;
    uint32_t offset = filling->offset + window->bytes;
    uint32_t have = filling->have - window->bytes;
    struct archive_block block;
    *need = ARCHIVE_BLOCK_HEADER_BYTES;
    if (have < ARCHIVE_BLOCK_HEADER_BYTES && have == filling->left - window->bytes)
        return archive_fail_check(handle, offset, "it ends in the middle of a block");
    if (have < ARCHIVE_BLOCK_HEADER_BYTES)
        return STATUS_MORE;
    if (!archive_block_decode(window->at + window->bytes, handle->name.exchange, offset, &block))
        return archive_fail_check(handle, offset, "no block stands where one was written");
    uint64_t bytes = archive_block_bytes(block.payload_bytes);
    if (bytes > filling->left - window->bytes)
        return archive_fail_check(handle, offset, "a block reaches beyond the end of its file");
    *need = (uint32_t)bytes;
    if (bytes > have)
        return STATUS_MORE;
    if (!archive_block_check(window->at + window->bytes, have, &block))
        return archive_fail_check(handle, offset, "a block does not verify any more");
    window->bytes += *need;
    return STATUS_OK;
}

enum status archive_read_blocks(const struct archive_handle *handle, uint32_t offset, uint32_t end,
                                struct archive_window *window)
{
    struct filling filling = {
        .handle = handle, .window = window, .offset = offset, .left = end - offset};
    window->bytes = 0;
    window->next_offset = offset;
    if (offset >= end)
        return archive_fail_check(handle, offset, "it ends before what is looked for");
    enum status status = fill(&filling, window->bytes_wanted);
    while (status == STATUS_OK && window->bytes < filling.left) {
        uint32_t need;
        status = take_block(&filling, &need);
        if ((status == STATUS_MORE || status == STATUS_CORRUPT) && window->bytes > 0) {
            *handle->failure = (struct journal_failure){.text = ""};
            status = STATUS_OK;
            break; /* the next window begins with it */
        }
        if (status == STATUS_MORE)
            status = fill(&filling, need);
    }
    window->next_offset = offset + window->bytes;
    return status;
}
