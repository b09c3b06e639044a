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
    if (digits == NULL ||
        sscanf(digits, "-%8" SCNx32 "-%16" SCNx64, &name->exchange, &name->first) != 2)
        return false;
    char whole[ARCHIVE_NAME_BYTES];
    archive_print_name(whole, name);
    return strcmp(whole, text) == 0;
}

void archive_close_file(struct archive *archive, int file)
{
    (void)archive->disk->close(archive->disk->context, file);
}

enum status archive_open_file(struct archive *archive, const struct archive_name *name,
                              enum disk_open_mode mode, int *file, struct journal_failure *failure)
{
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, name);
    *file = archive->disk->open(archive->disk->context, text, mode);
    if (*file == -ENOENT)
        return STATUS_NOT_FOUND;
    if (*file < 0)
        return failure_set(failure, STATUS_IO_ERROR, text, *file, "cannot open it");
    unsigned char header[ARCHIVE_HEADER_BYTES];
    int error = disk_read_all(archive->disk, *file, header, sizeof header, 0);
    enum status status = STATUS_OK;
    if (error == -ENODATA)
        status = failure_set(failure, STATUS_CORRUPT, text, 0, "it is shorter than its header");
    else if (error != 0)
        status = failure_set(failure, STATUS_IO_ERROR, text, error, "cannot read its header");
    else if (!name->is_entities)
        status = archive_header_decode(header, name->exchange, name->first);
    if (status == STATUS_NEWER_FORMAT)
        failure_set(failure, status, text, 0, "it is of a newer version of Herald");
    if (status == STATUS_CORRUPT)
        failure_set(failure, status, text, 0, "its header does not verify");
    if (status != STATUS_OK)
        archive_close_file(archive, *file);
    return status;
}

static enum status fail_read(const struct archive_name *name, int error, uint64_t offset,
                             struct journal_failure *failure)
{
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, name);
    enum status status =
        error == -ENODATA
            ? failure_set(failure, STATUS_CORRUPT, text, 0, "it ends before what it must hold")
            : failure_set(failure, STATUS_IO_ERROR, text, error, "cannot read events");
    failure_set_offset(failure, offset);
    return status;
}

static enum status fail_check(const struct archive_name *name, uint64_t offset,
                              struct journal_failure *failure, const char *what)
{
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, name);
    enum status status = failure_set(failure, STATUS_CORRUPT, text, 0, "%s", what);
    failure_set_offset(failure, offset);
    return status;
}

enum status archive_find_index(struct archive *archive, int file, const struct archive_name *name,
                               uint32_t *offset, struct journal_failure *failure)
{
    unsigned char tail[ARCHIVE_TAIL_BYTES];
    if (name->bytes < ARCHIVE_HEADER_BYTES + ARCHIVE_ALIGN || name->bytes > UINT32_MAX)
        return fail_check(name, name->bytes, failure, "it is too short or too long to be finished");
    int error =
        disk_read_all(archive->disk, file, tail, sizeof tail, name->bytes - ARCHIVE_TAIL_BYTES);
    if (error != 0)
        return fail_read(name, error, name->bytes, failure);
    if (!archive_tail_decode(tail, offset) || *offset < ARCHIVE_HEADER_BYTES ||
        *offset > name->bytes - ARCHIVE_ALIGN)
        return fail_check(name, name->bytes, failure, "it does not end with its index");
    return STATUS_OK;
}

enum status archive_read_index(struct archive *archive, int file, const struct archive_name *name,
                               uint32_t offset, unsigned char **at, struct archive_index *index,
                               struct journal_failure *failure)
{
    unsigned char header[ARCHIVE_BLOCK_HEADER_BYTES];
    *at = NULL;
    int error = disk_read_all(archive->disk, file, header, sizeof header, offset);
    if (error != 0)
        return fail_read(name, error, offset, failure);
    uint32_t count;
    if (!archive_index_count(header, name->exchange, offset, &count))
        return fail_check(name, offset, failure, "its index does not verify");
    size_t bytes = ARCHIVE_BLOCK_HEADER_BYTES + (size_t)count * ARCHIVE_SPOT_BYTES;
    *at = malloc(bytes);
    if (*at == NULL)
        return STATUS_NO_MEMORY;
    error = disk_read_all(archive->disk, file, *at, bytes, offset);
    if (error != 0)
        return fail_read(name, error, offset, failure);
    if (!archive_index_decode(*at, bytes, name->exchange, index) || index->first != name->first)
        return fail_check(name, offset, failure, "its index does not verify");
    return STATUS_OK;
}

/* Makes the window `bytes` long from what it has on. */
static enum status window_fill(struct archive *archive, int file, const struct archive_name *name,
                               struct archive_window *window, uint32_t *have, uint32_t bytes,
                               uint32_t offset, struct journal_failure *failure)
{
    if (bytes > window->room) {
        unsigned char *grown = realloc(window->at, bytes);
        if (grown == NULL)
            return STATUS_NO_MEMORY;
        window->at = grown;
        window->room = bytes;
    }
    int error =
        disk_read_all(archive->disk, file, window->at + *have, bytes - *have, offset + *have);
    if (error != 0)
        return fail_read(name, error, offset, failure);
    *have = bytes;
    return STATUS_OK;
}

/* Bytes of the block at the front of what is there, which must verify; 0: it reaches beyond that,
 * and *need says how far. */
static enum status block_take(const unsigned char *at, uint32_t have, uint32_t left,
                              const struct archive_name *name, uint32_t offset, uint32_t *need,
                              struct journal_failure *failure)
{
    struct archive_block block;
    *need = ARCHIVE_BLOCK_HEADER_BYTES;
    if (have < ARCHIVE_BLOCK_HEADER_BYTES)
        return STATUS_MORE;
    if (!archive_block_decode(at, name->exchange, offset, &block))
        return fail_check(name, offset, failure, "no block stands where one was written");
    uint64_t bytes = archive_block_bytes(block.payload_bytes);
    if (bytes > left)
        return fail_check(name, offset, failure, "a block reaches beyond the end of its file");
    *need = (uint32_t)bytes;
    if (bytes > have)
        return STATUS_MORE;
    if (!archive_block_check(at, have, &block))
        return fail_check(name, offset, failure, "a block does not verify any more");
    return STATUS_OK;
}

enum status archive_read_blocks(struct archive *archive, int file, const struct archive_name *name,
                                uint32_t offset, uint32_t end, uint32_t bytes_wanted,
                                struct archive_window *window, struct journal_failure *failure)
{
    uint32_t left = end - offset;
    uint32_t have = 0;
    window->bytes = 0;
    enum status status = window_fill(archive, file, name, window, &have,
                                     bytes_wanted < left ? bytes_wanted : left, offset, failure);
    while (status == STATUS_OK && window->bytes < left) {
        uint32_t need;
        uint32_t at = window->bytes;
        status =
            block_take(window->at + at, have - at, left - at, name, offset + at, &need, failure);
        if (status == STATUS_OK)
            window->bytes += need;
        else if (status == STATUS_MORE && at > 0)
            break; /* the next window begins with it */
        else if (status == STATUS_MORE)
            status = window_fill(archive, file, name, window, &have, need < left ? need : left,
                                 offset, failure);
    }
    window->next_offset = offset + window->bytes;
    return status == STATUS_MORE ? STATUS_OK : status;
}
