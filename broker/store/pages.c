/* The file of pages: memory that is lent to the disk while the process lives. */
#include "broker/store/pages.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "broker/store/crc32c.h"
#include "broker/store/disk_io.h"
#include "broker/store/failure.h"

enum { CLASS_COUNT = 3 };

static const char file_name[] = "pages";

/* Extents of one size. Free ones lie on a stack that has room for all that were ever made, so that
 * giving one back cannot fail. */
struct extent_class {
    uint32_t *free;
    uint32_t free_count;
    uint32_t made_count;
    uint32_t room;
};

struct pages {
    const struct disk *disk;
    errand_post_fn post;
    void *post_context;
    struct extent_class classes[CLASS_COUNT];
    uint32_t unit_count; /* the file's end */
    int file;            /* -1: not made yet; only the running work touches it */
};

enum status pages_open(struct pages **pages, const struct disk *disk, errand_post_fn post,
                       void *post_context, struct journal_failure *failure)
{
    *pages = NULL;
    int error = disk->remove(disk->context, file_name);
    if (error != 0 && error != -ENOENT)
        return failure_set(failure, STATUS_IO_ERROR, file_name, error,
                           "cannot remove what an earlier start left");
    struct pages *made = calloc(1, sizeof *made);
    if (made == NULL)
        return STATUS_NO_MEMORY;
    made->disk = disk;
    made->post = post;
    made->post_context = post_context;
    made->file = -1;
    *pages = made;
    return STATUS_OK;
}

void pages_remove(struct pages *pages)
{
    if (pages->file < 0)
        return;
    (void)pages->disk->close(pages->disk->context, pages->file);
    /* Where this fails, the next start does it. */
    (void)pages->disk->remove(pages->disk->context, file_name);
    pages->file = -1;
}

void pages_free(struct pages *pages)
{
    if (pages == NULL)
        return;
    pages_remove(pages);
    for (unsigned i = 0; i < CLASS_COUNT; i++)
        free(pages->classes[i].free);
    free(pages);
}

/* --- extents ------------------------------------------------------------------------------------
 */

static struct extent_class *class_of(struct pages *pages, size_t bytes, uint32_t *units)
{
    assert(bytes > 0 && bytes <= PAGES_EXTENT_BYTES_MAX);
    unsigned class = 0;
    for (*units = 1; (size_t)*units * PAGES_UNIT_BYTES < bytes; *units *= 4)
        class ++;
    return &pages->classes[class];
}

static enum status class_grow(struct extent_class *class)
{
    if (class->made_count < class->room)
        return STATUS_OK;
    uint32_t room = class->room > 0 ? class->room * 2 : 64;
    uint32_t *grown = realloc(class->free, room * sizeof *grown);
    if (grown == NULL)
        return STATUS_NO_MEMORY;
    class->free = grown;
    class->room = room;
    return STATUS_OK;
}

enum status pages_take_extent(struct pages *pages, size_t bytes, uint32_t *extent)
{
    uint32_t units;
    struct extent_class *class = class_of(pages, bytes, &units);
    if (class->free_count > 0) {
        *extent = class->free[--class->free_count];
        return STATUS_OK;
    }
    if (UINT32_MAX - pages->unit_count < units || class_grow(class) != STATUS_OK)
        return STATUS_NO_MEMORY;
    class->made_count++;
    *extent = pages->unit_count;
    pages->unit_count += units;
    return STATUS_OK;
}

void pages_give_extent(struct pages *pages, size_t bytes, uint32_t extent)
{
    uint32_t units;
    struct extent_class *class = class_of(pages, bytes, &units);
    assert(class->free_count < class->made_count);
    class->free[class->free_count++] = extent;
}

/* --- the bytes ----------------------------------------------------------------------------------
 */

static int write_piece(struct pages *pages, struct pages_piece *piece)
{
    const struct disk *disk = pages->disk;
    if (pages->file < 0) {
        int file = disk->open(disk->context, file_name, DISK_OPEN_CREATE);
        if (file < 0)
            return file;
        pages->file = file;
    }
    piece->crc = crc32c(0, piece->at, piece->bytes);
    return disk_write_all(disk, pages->file, piece->at, piece->bytes,
                          (uint64_t)piece->extent * PAGES_UNIT_BYTES);
}

static enum status work_write(struct pages *pages, struct pages_work *work)
{
    int error = write_piece(pages, &work->pieces[work->done_count]);
    if (error == 0)
        return STATUS_OK;
    if (disk_is_lack(error))
        return STATUS_DISK_FULL;
    return failure_set(&work->failure, STATUS_IO_ERROR, file_name, error,
                       "cannot write a page of the index");
}

static enum status work_read(struct pages *pages, struct pages_work *work)
{
    const struct pages_piece *piece = &work->pieces[work->done_count];
    int error = disk_read_all(pages->disk, pages->file, piece->at, piece->bytes,
                              (uint64_t)piece->extent * PAGES_UNIT_BYTES);
    if (error != 0)
        return failure_set(&work->failure, STATUS_IO_ERROR, file_name, error,
                           "cannot read a page of the index");
    if (crc32c(0, piece->at, piece->bytes) != piece->crc)
        return failure_set(&work->failure, STATUS_IO_ERROR, file_name, 0,
                           "a page of the index is not as it was written");
    return STATUS_OK;
}

void pages_run(struct pages *pages, struct pages_work *work)
{
    work->status = STATUS_OK;
    work->failure = (struct journal_failure){0};
    for (work->done_count = 0; work->done_count < work->count; work->done_count++) {
        work->status = work->way == PAGES_WRITE ? work_write(pages, work) : work_read(pages, work);
        if (work->status != STATUS_OK)
            break;
    }
    if (work->status == STATUS_IO_ERROR)
        failure_set_offset(&work->failure,
                           (uint64_t)work->pieces[work->done_count].extent * PAGES_UNIT_BYTES);
}

static void run(struct errand *errand)
{
    struct pages_work *work = (struct pages_work *)errand;
    pages_run(work->pages, work);
}

void pages_post(struct pages *pages, struct pages_work *work)
{
    work->errand = (struct errand){.worker = ERRAND_BACKGROUND, .run = run};
    work->pages = pages;
    pages->post(pages->post_context, &work->errand);
}

bool pages_owns(const struct errand *errand)
{
    return errand->run == run;
}
