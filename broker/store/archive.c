/* The archive: its errands. */
#include "broker/store/archive.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/plant.h"
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

static struct archive_handle handle_of(struct archive_work *work, uint64_t first)
{
    struct archive_name name = {.exchange = work->exchange, .first = first};
    return archive_handle_of(work->archive, &name, &work->failure);
}

static struct archive_handle entities_handle_of(struct archive_work *work, uint64_t sequence)
{
    struct archive_handle handle = handle_of(work, sequence);
    handle.name.is_entities = true;
    return handle;
}

/* --- writing ------------------------------------------------------------------------------------
 */

static enum status fail_write(const struct archive_handle *handle, int error, const char *what)
{
    if (disk_is_lack(error))
        return STATUS_DISK_FULL;
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, &handle->name);
    return failure_set(handle->failure, STATUS_IO_ERROR, text, error, "%s", what);
}

/* Writes bytes into a file and has them on disk. */
static enum status write_and_sync(const struct archive_handle *handle, const unsigned char *at,
                                  size_t bytes, uint64_t offset)
{
    const struct disk *disk = handle->archive->disk;
    int error = disk_write_all(disk, handle->file, at, bytes, offset);
    if (error != 0)
        return fail_write(handle, error, "cannot write it");
    error = planted(PLANT_STATED_BEFORE_FILE_SYNC) ? 0 : disk->sync(disk->context, handle->file);
    if (error == 0)
        return STATUS_OK;
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, &handle->name);
    /* After a failed sync nothing is known of what is on disk: that is never tried again. */
    return failure_set(handle->failure, STATUS_IO_ERROR, text, error, "cannot sync it");
}

/* Has the name of a new file on disk. */
static enum status sync_name(const struct archive_handle *handle)
{
    const struct disk *disk = handle->archive->disk;
    int error = disk->sync_directory(disk->context);
    return error == 0 ? STATUS_OK
                      : failure_set(handle->failure, STATUS_IO_ERROR, "", error,
                                    "cannot sync the directory");
}

/* Opens one that was written to before. */
static enum status open_to_write(struct archive_handle *handle)
{
    enum status status = archive_open_file(handle, DISK_OPEN_WRITE);
    if (status == STATUS_OK)
        return STATUS_OK;
    if (status == STATUS_IO_ERROR)
        return disk_is_lack(-handle->failure->error) ? STATUS_DISK_FULL : status;
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, &handle->name);
    return failure_set(handle->failure, STATUS_IO_ERROR, text, 0,
                       "it is not there any more, or not as it was written");
}

static enum status finish_file(struct archive_write *write)
{
    struct archive_handle handle = handle_of(&write->work, write->index.first);
    size_t bytes = archive_index_bytes(write->index.count);
    unsigned char *at = malloc(bytes);
    if (at == NULL)
        return STATUS_DISK_FULL;
    archive_index_encode(at, &write->index, write->spots);
    enum status status = open_to_write(&handle);
    if (status == STATUS_OK) {
        status = write_and_sync(&handle, at, bytes, write->index.offset);
        archive_close_file(&handle);
    }
    free(at);
    return status;
}

/* Makes a file, whatever a try before has left of it; its name is not durable yet. */
static enum status make_file(struct archive_handle *handle)
{
    const struct disk *disk = handle->archive->disk;
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, &handle->name);
    int error = disk->remove(disk->context, text);
    if (error != 0 && error != -ENOENT)
        return fail_write(handle, error, "cannot remove what is left of it");
    handle->file = disk->open(disk->context, text, DISK_OPEN_CREATE);
    return handle->file >= 0 ? STATUS_OK : fail_write(handle, handle->file, "cannot make it");
}

static void seal_blocks(struct archive_write *write)
{
    for (size_t i = 0; i < write->bytes;) {
        /* The header says how long the block is; it was made by archive_block_encode. */
        archive_block_seal(write->at + i);
        i += (size_t)archive_block_bytes(wire_load_u32(write->at + i + 0x2c));
    }
}

static enum status write_header(const struct archive_handle *handle)
{
    unsigned char header[ARCHIVE_HEADER_BYTES];
    archive_header_encode(header, handle->name.exchange, handle->name.first);
    int error = disk_write_all(handle->archive->disk, handle->file, header, sizeof header, 0);
    return error == 0 ? STATUS_OK : fail_write(handle, error, "cannot write its header");
}

static enum status write_blocks(struct archive_write *write)
{
    struct archive_handle handle = handle_of(&write->work, write->first);
    bool is_new = write->offset == 0;
    uint32_t offset = is_new ? ARCHIVE_HEADER_BYTES : write->offset;
    enum status status = is_new ? make_file(&handle) : open_to_write(&handle);
    if (status != STATUS_OK)
        return status;
    if (is_new)
        status = write_header(&handle);
    if (status == STATUS_OK)
        status = write_and_sync(&handle, write->at, write->bytes, offset);
    /* As much is written again and again: new memory for each piece costs more than the copying,
     * and who reads an event once will have it stay. */
    if (status == STATUS_OK)
        handle.archive->disk->forget(handle.archive->disk->context, handle.file, offset,
                                     write->bytes);
    archive_close_file(&handle);
    return status == STATUS_OK && is_new ? sync_name(&handle) : status;
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

static enum status find_offset(struct archive_read *read, const struct archive_handle *handle)
{
    unsigned char *at;
    struct archive_index index = {0};
    enum status status = archive_read_index(handle, read->file.end, &at, &index);
    if (status == STATUS_OK)
        read->offset = find_spot(at, &index, read);
    free(at);
    return status;
}

static enum status read_window(struct archive_read *read, const struct archive_handle *handle)
{
    struct archive_window window = {.bytes_wanted = read->bytes_wanted};
    enum status status = read->offset == 0 ? find_offset(read, handle) : STATUS_OK;
    if (status == STATUS_OK)
        status = archive_read_blocks(handle, read->offset, read->file.end, &window);
    if (status != STATUS_OK) {
        free(window.at);
        return status;
    }
    read->at = window.at;
    read->bytes = window.bytes;
    read->next_offset = window.next_offset;
    return STATUS_OK;
}

static enum status run_read(struct archive_read *read)
{
    struct archive_handle handle = handle_of(&read->work, read->file.first);
    read->at = NULL;
    read->bytes = 0;
    enum status status = archive_open_file(&handle, DISK_OPEN_READ);
    if (status != STATUS_OK)
        return status;
    status = read_window(read, &handle);
    archive_close_file(&handle);
    return status;
}

/* --- the rest -----------------------------------------------------------------------------------
 */

/* Their names need not be gone for sure: what is left of them goes at the next start. */
static enum status run_remove(struct archive_remove *removal)
{
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < removal->file_count && status == STATUS_OK; i++) {
        struct archive_handle handle = handle_of(&removal->work, removal->files[i]);
        status = archive_take_away(handle.archive, &handle.name, handle.failure);
    }
    struct archive_handle handle = entities_handle_of(&removal->work, removal->entities);
    if (status == STATUS_OK && removal->entities != 0)
        status = archive_take_away(handle.archive, &handle.name, handle.failure);
    return status;
}

/* Opens the file for the next piece, and makes it for the first. */
static enum status open_entities(const struct archive_entities *entities,
                                 struct archive_handle *handle)
{
    const struct disk *disk = handle->archive->disk;
    char text[ARCHIVE_NAME_BYTES];
    if (entities->offset == ARCHIVE_HEADER_BYTES)
        return make_file(handle);
    archive_print_name(text, &handle->name);
    handle->file = disk->open(disk->context, text, DISK_OPEN_WRITE);
    return handle->file >= 0 ? STATUS_OK : fail_write(handle, handle->file, "cannot open it");
}

static enum status write_piece(const struct archive_entities *entities,
                               const struct archive_handle *handle)
{
    size_t bytes = ARCHIVE_ENTITIES_HEADER_BYTES + (size_t)entities->count * ARCHIVE_ENTITY_BYTES;
    if (entities->count == 0)
        return STATUS_OK;
    archive_entities_seal(entities->at, entities->count);
    int error =
        disk_write_all(handle->archive->disk, handle->file, entities->at, bytes, entities->offset);
    return error == 0 ? STATUS_OK : fail_write(handle, error, "cannot write entities");
}

/* Only now the file is one, and all of it on disk. */
static enum status write_entities_header(const struct archive_entities *entities,
                                         const struct archive_handle *handle)
{
    unsigned char header[ARCHIVE_HEADER_BYTES];
    struct archive_entities_header fields = {
        handle->name.exchange, entities->sequence, entities->count_all, {0}};
    memcpy(fields.secret, entities->secret, sizeof fields.secret);
    archive_entities_header_encode(header, &fields);
    return write_and_sync(handle, header, sizeof header, 0);
}

static enum status run_entities(struct archive_entities *entities)
{
    struct archive_handle handle = entities_handle_of(&entities->work, entities->sequence);
    enum status status = open_entities(entities, &handle);
    if (status != STATUS_OK)
        return status;
    status = write_piece(entities, &handle);
    if (status == STATUS_OK && entities->is_last)
        status = write_entities_header(entities, &handle);
    archive_close_file(&handle);
    return status == STATUS_OK && entities->is_last ? sync_name(&handle) : status;
}

/* --- copying ------------------------------------------------------------------------------------
 */

static enum status run_copy(struct archive_copy *copy)
{
    struct archive_work *work = &copy->work;
    const struct disk *disk = work->archive->disk;
    struct archive_handle handle = archive_handle_of(work->archive, &copy->name, &work->failure);
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, &copy->name);
    int file = disk->open(disk->context, text, DISK_OPEN_READ);
    if (file == -ENOENT)
        return STATUS_NOT_FOUND;
    if (file < 0)
        return archive_fail_read(&handle, file, copy->offset);
    int error = disk_read_all(disk, file, copy->at, copy->bytes, copy->offset);
    (void)disk->close(disk->context, file);
    return error == 0 ? STATUS_OK : archive_fail_read(&handle, error, copy->offset);
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
    case ARCHIVE_LIST:
        work->status =
            archive_list(work->archive, &((struct archive_names *)work)->list, &work->failure);
        break;
    case ARCHIVE_COPY:
        work->status = run_copy((struct archive_copy *)work);
        break;
    }
}

static void prepare(struct archive *archive, struct archive_work *work)
{
    work->errand = (struct errand){.worker = ERRAND_BACKGROUND, .run = run};
    work->archive = archive;
    work->status = STATUS_OK;
    work->failure = (struct journal_failure){.text = ""};
}

void archive_post(struct archive *archive, struct archive_work *work)
{
    prepare(archive, work);
    archive->post(archive->post_context, &work->errand);
}

enum status archive_run(struct archive *archive, struct archive_work *work)
{
    prepare(archive, work);
    run(&work->errand);
    return work->status;
}

bool archive_owns(const struct errand *errand)
{
    return errand->run == run;
}

static bool is_reading(enum archive_kind kind)
{
    return kind == ARCHIVE_READ || kind == ARCHIVE_LIST || kind == ARCHIVE_COPY;
}

/* What cannot be read is told to who wanted it; what cannot be written ends the process. */
enum status archive_on_errand(struct archive *archive, struct errand *errand)
{
    struct archive_work *work = (struct archive_work *)errand;
    if (work->status == STATUS_IO_ERROR && !is_reading(work->kind) &&
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
