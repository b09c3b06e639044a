/* Windows: reading a segment piece by piece. */
#include "broker/store/window.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/disk_io.h"
#include "broker/store/failure.h"

void window_init(struct window *window, const struct disk *disk, uint32_t segment_bytes,
                 uint32_t piece_bytes, struct journal_failure *failure)
{
    *window = (struct window){.disk = disk,
                              .failure = failure,
                              .segment_bytes = segment_bytes,
                              .piece_bytes = piece_bytes,
                              .file = -1};
}

void window_deinit(struct window *window)
{
    window_close(window);
    free(window->at);
    window->at = NULL;
    window->capacity = 0;
    window->bytes = 0;
}

void window_close(struct window *window)
{
    if (window->number != 0)
        (void)window->disk->close(window->disk->context, window->file);
    window->number = 0;
    window->file = -1;
}

enum status window_open(struct window *window, uint64_t number)
{
    if (window->number == number && window->status == STATUS_OK)
        return STATUS_OK;
    window_close(window);
    window->bytes = 0;
    int file;
    window->status = segment_open(window->disk, number, DISK_OPEN_READ, &file, window->failure);
    if (window->status != STATUS_OK)
        return window->status;
    unsigned char page[SEGMENT_HEADER_BYTES];
    struct segment_header header = {0};
    int error = disk_read_all(window->disk, file, page, sizeof page, 0);
    if (error != 0) {
        char name[SEGMENT_NAME_BYTES];
        segment_print_name(name, NAME_SEGMENT, number);
        window->status = failure_set(window->failure, STATUS_IO_ERROR, name, error,
                                     "cannot read the segment's header");
    } else {
        window->status =
            segment_check_header(page, number, window->segment_bytes, &header, window->failure);
    }
    if (window->status != STATUS_OK) {
        (void)window->disk->close(window->disk->context, file);
        return window->status;
    }
    memcpy(window->salt, header.salt, SALT_BYTES);
    window->file = file;
    window->number = number;
    return STATUS_OK;
}

static bool reserve(struct window *window, uint32_t bytes)
{
    if (bytes <= window->capacity)
        return true;
    unsigned char *at = realloc(window->at, bytes);
    if (at == NULL) {
        window->status = STATUS_NO_MEMORY;
        return false;
    }
    window->at = at;
    window->capacity = bytes;
    return true;
}

static bool read_behind(struct window *window, uint32_t bytes)
{
    uint32_t from = window->offset + window->bytes;
    int error = disk_read_all(window->disk, window->file, window->at + window->bytes,
                              bytes - window->bytes, from);
    if (error == 0) {
        window->bytes = bytes;
        return true;
    }
    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_SEGMENT, window->number);
    window->status =
        failure_set(window->failure, STATUS_IO_ERROR, name, error, "cannot read the segment");
    failure_set_offset(window->failure, from);
    return false;
}

bool window_has(const struct window *window, uint32_t offset, uint32_t bytes)
{
    return offset >= window->offset && offset - window->offset <= window->bytes &&
           bytes <= window->bytes - (offset - window->offset);
}

const unsigned char *window_at(struct window *window, uint32_t offset, uint32_t bytes)
{
    assert(window->number != 0 && offset <= window->segment_bytes &&
           bytes <= window->segment_bytes - offset);
    if (window_has(window, offset, bytes))
        return window->at + (offset - window->offset);
    uint32_t left = window->segment_bytes - offset;
    uint32_t wanted = bytes > window->piece_bytes ? bytes : window->piece_bytes;
    if (wanted > left)
        wanted = left;
    /* What is there already of the new window moves to its beginning. */
    uint32_t kept = 0;
    if (offset >= window->offset && offset - window->offset < window->bytes) {
        kept = window->bytes - (offset - window->offset);
        memmove(window->at, window->at + (offset - window->offset), kept);
    }
    window->offset = offset;
    window->bytes = kept;
    if (!reserve(window, wanted) || !read_behind(window, wanted))
        return NULL;
    return window->at;
}

enum status segment_open(const struct disk *disk, uint64_t number, enum disk_open_mode mode,
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

enum status segment_check_header(const unsigned char *page, uint64_t number, uint32_t segment_bytes,
                                 struct segment_header *header, struct journal_failure *failure)
{
    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_SEGMENT, number);
    enum status status = segment_header_decode(page, header);
    if (status == STATUS_NEWER_FORMAT)
        return failure_set(failure, status, name, 0,
                           "the segment is of a newer format: positions %" PRIu64 " to %" PRIu64
                           " are affected",
                           number * segment_bytes, (number + 1) * segment_bytes);
    if (status != STATUS_OK)
        return failure_set(failure, status, name, 0,
                           "the segment's header does not verify: positions %" PRIu64 " to %" PRIu64
                           " are affected",
                           number * segment_bytes, (number + 1) * segment_bytes);
    if (header->number != number ||
        header->first_position != number * (uint64_t)header->segment_bytes)
        return failure_set(failure, STATUS_CORRUPT, name, 0,
                           "the segment's header belongs to segment %" PRIu64 ": positions %" PRIu64
                           " to %" PRIu64 " are affected",
                           header->number, number * segment_bytes, (number + 1) * segment_bytes);
    if (header->segment_bytes != segment_bytes)
        return failure_set(failure, STATUS_CORRUPT, name, 0,
                           "the segment is %" PRIu32 " bytes long, its header or the others say "
                           "%" PRIu32 ": positions %" PRIu64 " to %" PRIu64 " are affected",
                           segment_bytes, header->segment_bytes, header->first_position,
                           header->first_position + header->segment_bytes);
    return STATUS_OK;
}
