/* Copying: what a backup reads. A copy that cannot be read ends the backup and not the journal. */
#include "broker/store/copy.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/store/disk_io.h"
#include "broker/store/window.h"

static enum status read_bytes(struct copy_work *work, int file)
{
    if (work->bytes > work->capacity) {
        unsigned char *at = realloc(work->at, work->bytes);
        if (at == NULL)
            return STATUS_NO_MEMORY;
        work->at = at;
        work->capacity = work->bytes;
    }
    int error = disk_read_all(work->disk, file, work->at, work->bytes,
                              work->position % work->segment_bytes);
    return error == 0 ? STATUS_OK : STATUS_IO_ERROR;
}

static void run(struct errand *errand)
{
    struct copy_work *work = (struct copy_work *)errand;
    struct journal_failure failure = {.text = ""};
    int file;
    work->status = segment_open(work->disk, work->position / work->segment_bytes, DISK_OPEN_READ,
                                &file, &failure);
    if (work->status != STATUS_OK)
        return;
    work->status = read_bytes(work, file);
    (void)work->disk->close(work->disk->context, file);
}

void copy_init(struct copy *copy, const struct disk *disk, uint32_t segment_bytes)
{
    *copy = (struct copy){0};
    copy->work = (struct copy_work){.errand = {.worker = ERRAND_BACKGROUND, .run = run},
                                    .disk = disk,
                                    .segment_bytes = segment_bytes};
    STAILQ_INIT(&copy->waiting);
}

void copy_deinit(struct copy *copy)
{
    struct copy_request *request;
    while ((request = STAILQ_FIRST(&copy->waiting)) != NULL) {
        STAILQ_REMOVE_HEAD(&copy->waiting, link);
        free(request);
    }
    free(copy->work.at);
}

enum status copy_add(struct copy *copy, const struct copy_request *request)
{
    struct copy_request *added = malloc(sizeof *added);
    if (added == NULL)
        return STATUS_NO_MEMORY;
    *added = *request;
    STAILQ_INSERT_TAIL(&copy->waiting, added, link);
    return STATUS_OK;
}

struct errand *copy_next(struct copy *copy)
{
    const struct copy_request *request = STAILQ_FIRST(&copy->waiting);
    if (copy->is_out || request == NULL)
        return NULL;
    copy->work.position = request->position;
    copy->work.bytes = request->bytes;
    copy->is_out = true;
    return &copy->work.errand;
}

void copy_take_back(struct copy *copy)
{
    struct copy_request *request = STAILQ_FIRST(&copy->waiting);
    assert(copy->is_out && request != NULL);
    copy->is_out = false;
    STAILQ_REMOVE_HEAD(&copy->waiting, link);
    bool is_there = copy->work.status == STATUS_OK;
    request->on_copy(request->argument, is_there ? copy->work.at : NULL,
                     is_there ? request->bytes : 0, copy->work.status);
    free(request);
    if (STAILQ_FIRST(&copy->waiting) != NULL)
        return;
    free(copy->work.at);
    copy->work.at = NULL;
    copy->work.capacity = 0;
}
