/* The commit errand: checksums, one write, one sync. A failure is never tried again. */
#include "broker/store/commit.h"

#include <assert.h>

#include "broker/plant.h"
#include "broker/store/disk_io.h"

static void run(struct errand *errand)
{
    struct commit *commit = (struct commit *)errand;
    struct batch *batch = commit->batch;
    const struct disk *disk = commit->disk;
    struct batch_place place = {commit->salt, batch->segment, batch->offset};
    uint32_t total = batch_finish(batch->at, &place, &batch->header);
    assert(total == batch->total_bytes);
    commit->failed = "cannot write a batch";
    commit->error = disk_write_all(disk, commit->file, batch->at, total, batch->offset);
    if (commit->error == 0 && !planted(PLANT_CONFIRM_BEFORE_SYNC)) {
        commit->failed = "cannot sync a batch";
        commit->error = disk->sync(disk->context, commit->file);
        if (commit->error != 0 && planted(PLANT_SYNC_RETRIED))
            commit->error = disk->sync(disk->context, commit->file);
        if (planted(PLANT_SYNC_ERROR_IGNORED))
            commit->error = 0;
    }
    if (commit->error == 0)
        commit->failed = NULL;
    if (commit->finished_file >= 0)
        (void)disk->close(disk->context, commit->finished_file);
    commit->finished_file = -1;
}

void commit_init(struct commit *commit, const struct disk *disk)
{
    *commit = (struct commit){.errand = {.worker = ERRAND_COMMIT, .run = run},
                              .disk = disk,
                              .file = -1,
                              .finished_file = -1};
}
