/* Spares and freed segments.
 *
 *                  MAKE               PREPARE                 (appending)
 *   (free space) --------> spare-k -----------> segment-n ------------------> oldest
 *                             ^                                                 |
 *                             +------------------ RECYCLE ----------------------+--- REMOVE -->
 * gone
 *
 * Every arrow but MAKE ends with a directory sync before the next begins, so at most one name is
 * unsynced at any time. A lack of space is no failure: it is tried again later, and is_full holds
 * until all spares are back: what is accepted with fewer may find no segment to go to.
 */
#include "broker/store/space.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/store/disk_io.h"

static void run(struct errand *errand)
{
    struct space_work *work = (struct space_work *)errand;
    switch (work->kind) {
    case SPACE_MAKE:
        work->error = spare_make_step(&work->making, work->disk);
        break;
    case SPACE_PREPARE:
        work->error = segment_prepare(work->prepared, work->disk, work->spare, work->segment_bytes,
                                      &work->is_renamed);
        break;
    case SPACE_RECYCLE:
        work->error = segment_recycle(work->disk, work->number, work->spare);
        break;
    case SPACE_REMOVE:
        work->error = segment_remove(work->disk, work->number);
        break;
    }
}

void space_init(struct space *space, const struct disk *disk, struct recovered *recovered,
                size_t count_wanted)
{
    *space = (struct space){.spares = recovered->spares,
                            .count = recovered->spare_count,
                            .count_wanted = count_wanted,
                            .next_spare = recovered->next_spare,
                            .files_first = recovered->first_segment,
                            .files_last = recovered->segment->number};
    space->work = (struct space_work){.errand = {.worker = ERRAND_BACKGROUND, .run = run},
                                      .disk = disk,
                                      .segment_bytes = recovered->segment_bytes,
                                      .making = {.file = -1}};
    recovered->spares = NULL;
}

void space_deinit(struct space *space)
{
    if (space->work.making.file >= 0)
        (void)space->work.disk->close(space->work.disk->context, space->work.making.file);
    free(space->work.prepared);
    free(space->spares);
}

static bool choose_prepare(struct space *space)
{
    struct space_work *work = &space->work;
    if (work->prepared == NULL)
        work->prepared = calloc(1, sizeof *work->prepared);
    if (work->prepared == NULL)
        return false;
    *work->prepared = (struct segment_file){.number = space->files_last + 1, .file = -1};
    work->kind = SPACE_PREPARE;
    work->spare = space->spares[space->count - 1];
    return true;
}

static void choose_free(struct space *space)
{
    struct space_work *work = &space->work;
    work->number = space->files_first;
    work->kind = space->count < SPACE_KEPT * space->count_wanted ? SPACE_RECYCLE : SPACE_REMOVE;
    work->spare = space->next_spare;
}

static void choose_make(struct space *space)
{
    struct space_work *work = &space->work;
    work->kind = SPACE_MAKE;
    if (work->making.file < 0)
        work->making = (struct spare_making){
            .spare = space->next_spare++, .segment_bytes = work->segment_bytes, .file = -1};
}

struct errand *space_next(struct space *space, uint64_t needed, uint64_t oldest_kept,
                          uint64_t now_ms)
{
    if (space->is_out)
        return NULL;
    assert(oldest_kept <= space->files_last);
    if (space->files_last < needed && space->count > 0 &&
        now_ms >= space->retry_ms[SPACE_PREPARE] && choose_prepare(space))
        ;
    else if (space->files_first < oldest_kept)
        choose_free(space);
    else if (space->count < space->count_wanted && now_ms >= space->retry_ms[SPACE_MAKE])
        choose_make(space);
    else
        return NULL;
    space->work.error = 0;
    space->is_out = true;
    return &space->work.errand;
}

static int take_back_lack(struct space *space, uint64_t now_ms)
{
    space->retry_ms[space->work.kind] = now_ms + SPACE_RETRY_MS;
    space->is_full = true;
    return 0;
}

int space_take_back(struct space *space, uint64_t now_ms, struct segment_file **prepared)
{
    struct space_work *work = &space->work;
    assert(space->is_out);
    space->is_out = false;
    *prepared = NULL;
    if (work->error != 0) {
        space->is_making &= work->kind != SPACE_MAKE;
        bool may_retry =
            work->kind == SPACE_MAKE || (work->kind == SPACE_PREPARE && !work->is_renamed);
        if (disk_is_lack(work->error) && may_retry)
            return take_back_lack(space, now_ms);
        return work->error;
    }
    switch (work->kind) {
    case SPACE_MAKE:
        space->is_making = work->making.file >= 0;
        if (space->is_making)
            return 0; /* another step */
        space->spares[space->count++] = work->making.spare;
        break;
    case SPACE_PREPARE:
        space->count--;
        space->files_last++;
        *prepared = work->prepared;
        work->prepared = NULL;
        break;
    case SPACE_RECYCLE:
        space->spares[space->count++] = space->next_spare++;
        space->files_first++;
        break;
    case SPACE_REMOVE:
        space->files_first++;
        break;
    }
    if (space->count >= space->count_wanted) {
        space->is_full = false;
        /* The next lack must show at once, before the spares are used up. */
        space->retry_ms[SPACE_MAKE] = 0;
    }
    return 0;
}
