/* The archive: its errands. */
#include "broker/store/archive.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/archive_entities.h"
#include "broker/store/archive_file.h"
#include "broker/store/crc32c.h"
#include "broker/store/disk_io.h"
#include "broker/store/failure.h"
#include "protocol/wire.h"

struct archive *archive_new(const struct disk *disk, errand_post_fn post, void *post_context)
{
    struct archive *archive = calloc(1, sizeof *archive);
    if (archive == NULL)
        return NULL;
    archive->disk = disk;
    archive->post = post;
    archive->post_context = post_context;
    return archive;
}

void archive_free(struct archive *archive)
{
    free(archive);
}

static struct archive_name name_of(const struct archive_work *work, uint64_t first)
{
    return (struct archive_name){.exchange = work->exchange, .first = first};
}

/* --- writing ------------------------------------------------------------------------------------
 */

static enum status fail_write(struct archive_work *work, const struct archive_name *name, int error,
                              const char *what)
{
    if (disk_is_lack(error))
        return STATUS_DISK_FULL;
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, name);
    return failure_set(&work->failure, STATUS_IO_ERROR, text, error, "%s", what);
}

/* Writes bytes into a file and has them on disk. */
static enum status write_and_sync(struct archive_work *work, int file,
                                  const struct archive_name *name, const unsigned char *at,
                                  size_t bytes, uint64_t offset)
{
    const struct disk *disk = work->archive->disk;
    int error = disk_write_all(disk, file, at, bytes, offset);
    if (error != 0)
        return fail_write(work, name, error, "cannot write events");
    error = disk->sync(disk->context, file);
    if (error == 0)
        return STATUS_OK;
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, name);
    /* After a failed sync nothing is known of what is on disk: that is never tried again. */
    return failure_set(&work->failure, STATUS_IO_ERROR, text, error, "cannot sync events");
}

static enum status open_to_write(struct archive_work *work, const struct archive_name *name,
                                 int *file)
{
    enum status status =
        archive_open_file(work->archive, name, DISK_OPEN_WRITE, file, &work->failure);
    if (status == STATUS_OK || status == STATUS_IO_ERROR)
        return status == STATUS_OK || !disk_is_lack(-work->failure.error) ? status
                                                                          : STATUS_DISK_FULL;
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, name);
    return failure_set(&work->failure, STATUS_IO_ERROR, text, 0,
                       "it is not there any more, or not as it was written");
}

static enum status finish_file(struct archive_write *write)
{
    struct archive_name name = name_of(&write->work, write->index.first);
    size_t bytes = archive_index_bytes(write->index.count);
    unsigned char *at = malloc(bytes);
    if (at == NULL)
        return STATUS_DISK_FULL;
    archive_index_encode(at, &write->index, write->spots);
    int file;
    enum status status = open_to_write(&write->work, &name, &file);
    if (status == STATUS_OK) {
        status = write_and_sync(&write->work, file, &name, at, bytes, write->index.offset);
        archive_close_file(write->work.archive, file);
    }
    free(at);
    return status;
}

/* Makes a file, whatever a try before has left of it; its name is not durable yet. */
static enum status make_file(struct archive_work *work, const struct archive_name *name, int *file)
{
    const struct disk *disk = work->archive->disk;
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, name);
    int error = disk->remove(disk->context, text);
    if (error != 0 && error != -ENOENT)
        return fail_write(work, name, error, "cannot remove what is left of it");
    *file = disk->open(disk->context, text, DISK_OPEN_CREATE);
    return *file >= 0 ? STATUS_OK : fail_write(work, name, *file, "cannot make it");
}

static void seal_blocks(struct archive_write *write)
{
    for (size_t i = 0; i < write->bytes;) {
        /* The header says how long the block is; it was made by archive_block_encode. */
        archive_block_seal(write->at + i);
        i += (size_t)archive_block_bytes(wire_load_u32(write->at + i + 0x2c));
    }
}

static enum status write_blocks(struct archive_write *write)
{
    struct archive_work *work = &write->work;
    const struct disk *disk = work->archive->disk;
    struct archive_name name = name_of(work, write->first);
    bool is_new = write->offset == 0;
    uint32_t offset = is_new ? ARCHIVE_HEADER_BYTES : write->offset;
    int file;
    enum status status = is_new ? make_file(work, &name, &file) : open_to_write(work, &name, &file);
    if (status != STATUS_OK)
        return status;
    int error = 0;
    if (is_new) {
        unsigned char header[ARCHIVE_HEADER_BYTES];
        archive_header_encode(header, work->exchange, write->first);
        error = disk_write_all(disk, file, header, sizeof header, 0);
    }
    status = error != 0 ? fail_write(work, &name, error, "cannot write its header")
                        : write_and_sync(work, file, &name, write->at, write->bytes, offset);
    archive_close_file(work->archive, file);
    if (status != STATUS_OK || !is_new)
        return status;
    error = disk->sync_directory(disk->context);
    return error == 0 ? STATUS_OK
                      : failure_set(&work->failure, STATUS_IO_ERROR, "", error,
                                    "cannot sync the directory");
}

static enum status run_write(struct archive_write *write)
{
    enum status status = write->is_finishing ? finish_file(write) : STATUS_OK;
    if (status != STATUS_OK || write->bytes == 0)
        return status;
    seal_blocks(write);
    return write_blocks(write);
}

/* --- reading ------------------------------------------------------------------------------------
 */

/* The last spot that is not behind what is wanted. */
static uint32_t find_spot(const unsigned char *at, const struct archive_index *index,
                          const struct archive_read *read)
{
    uint32_t low = 0;
    uint32_t high = index->count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        struct archive_spot spot = archive_index_spot(at, middle);
        bool is_behind =
            read->sequence != 0 ? spot.sequence > read->sequence : spot.time_ms >= read->time_ms;
        if (is_behind)
            high = middle;
        else
            low = middle;
    }
    return archive_index_spot(at, low).offset;
}

static enum status find_offset(struct archive_read *read, int file, const struct archive_name *name)
{
    unsigned char *at;
    struct archive_index index;
    enum status status = archive_read_index(read->work.archive, file, name, read->file.end, &at,
                                            &index, &read->work.failure);
    if (status == STATUS_OK)
        read->offset = find_spot(at, &index, read);
    free(at);
    return status;
}

static enum status run_read(struct archive_read *read)
{
    struct archive *archive = read->work.archive;
    struct archive_name name = name_of(&read->work, read->file.first);
    struct archive_window window = {0};
    int file;
    read->at = NULL;
    read->bytes = 0;
    enum status status =
        archive_open_file(archive, &name, DISK_OPEN_READ, &file, &read->work.failure);
    if (status != STATUS_OK)
        return status;
    if (read->offset == 0)
        status = find_offset(read, file, &name);
    if (status == STATUS_OK)
        status = archive_read_blocks(archive, file, &name, read->offset, read->file.end,
                                     read->bytes_wanted, &window, &read->work.failure);
    archive_close_file(archive, file);
    if (status != STATUS_OK) {
        free(window.at);
        return status;
    }
    read->at = window.at;
    read->bytes = window.bytes;
    read->next_offset = window.next_offset;
    return STATUS_OK;
}

/* --- the rest -----------------------------------------------------------------------------------
 */

static enum status remove_one(struct archive_remove *removal, const struct archive_name *name)
{
    const struct disk *disk = removal->work.archive->disk;
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, name);
    int error = disk->remove(disk->context, text);
    if (error == 0 || error == -ENOENT)
        return STATUS_OK;
    return failure_set(&removal->work.failure, STATUS_IO_ERROR, text, error, "cannot remove it");
}

/* Their names need not be gone for sure: what is left of them goes at the next start. */
static enum status run_remove(struct archive_remove *removal)
{
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < removal->file_count && status == STATUS_OK; i++) {
        struct archive_name name = name_of(&removal->work, removal->files[i]);
        status = remove_one(removal, &name);
    }
    struct archive_name name = name_of(&removal->work, removal->entities);
    name.is_entities = true;
    return status == STATUS_OK && removal->entities != 0 ? remove_one(removal, &name) : status;
}

static enum status run_entities(struct archive_entities *entities)
{
    struct archive_work *work = &entities->work;
    const struct disk *disk = work->archive->disk;
    struct archive_name name = name_of(work, entities->sequence);
    name.is_entities = true;
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, &name);
    int file;
    enum status status = STATUS_OK;
    if (entities->offset == ARCHIVE_HEADER_BYTES)
        status = make_file(work, &name, &file);
    else if ((file = disk->open(disk->context, text, DISK_OPEN_WRITE)) < 0)
        status = fail_write(work, &name, file, "cannot open it");
    if (status != STATUS_OK)
        return status;
    int error = 0;
    if (entities->count > 0) {
        archive_entities_seal(entities->at, entities->count);
        error = disk_write_all(disk, file, entities->at,
                               ARCHIVE_ENTITIES_HEADER_BYTES +
                                   (size_t)entities->count * ARCHIVE_ENTITY_BYTES,
                               entities->offset);
    }
    if (error != 0) {
        status = fail_write(work, &name, error, "cannot write entities");
    } else if (entities->is_last) {
        unsigned char header[ARCHIVE_HEADER_BYTES];
        struct archive_entities_header fields = {
            work->exchange, entities->sequence, entities->count_all, {0}};
        memcpy(fields.secret, entities->secret, sizeof fields.secret);
        archive_entities_header_encode(header, &fields);
        status = write_and_sync(work, file, &name, header, sizeof header, 0);
    }
    archive_close_file(work->archive, file);
    if (status != STATUS_OK || !entities->is_last)
        return status;
    error = disk->sync_directory(disk->context);
    return error == 0 ? STATUS_OK
                      : failure_set(&work->failure, STATUS_IO_ERROR, "", error,
                                    "cannot sync the directory");
}

static void run(struct errand *errand)
{
    struct archive_work *work = (struct archive_work *)errand;
    switch (work->kind) {
    case ARCHIVE_WRITE:
        work->status = run_write((struct archive_write *)work);
        break;
    case ARCHIVE_READ:
        work->status = run_read((struct archive_read *)work);
        break;
    case ARCHIVE_REMOVE:
        work->status = run_remove((struct archive_remove *)work);
        break;
    case ARCHIVE_ENTITIES:
        work->status = run_entities((struct archive_entities *)work);
        break;
    }
}

void archive_post(struct archive *archive, struct archive_work *work)
{
    work->errand = (struct errand){.worker = ERRAND_BACKGROUND, .run = run};
    work->archive = archive;
    work->status = STATUS_OK;
    work->failure = (struct journal_failure){.text = ""};
    archive->post(archive->post_context, &work->errand);
}

bool archive_owns(const struct errand *errand)
{
    return errand->run == run;
}

/* What cannot be read is told to who wanted it; what cannot be written ends the process. */
enum status archive_on_errand(struct archive *archive, struct errand *errand)
{
    struct archive_work *work = (struct archive_work *)errand;
    if (work->status == STATUS_IO_ERROR && work->kind != ARCHIVE_READ &&
        archive->status == STATUS_OK) {
        archive->status = STATUS_IO_ERROR;
        archive->failure = work->failure;
    }
    work->on_done(work->argument, work);
    return archive->status;
}

const struct journal_failure *archive_failure(const struct archive *archive)
{
    return archive->status != STATUS_OK ? &archive->failure : NULL;
}
