/* The commit errand: checksums, one write, one sync. A failure is never tried again, and nothing is
 * written after it: of what comes behind the loop must not hear that it is on disk. */
#include "broker/store/commit.h"

#include <assert.h>
#include <errno.h>

#include "broker/plant.h"
#include "broker/store/disk_io.h"

static void write_batch(struct commit *commit)
{
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
}

static void run(struct errand *errand)
{
    struct commit *commit = (struct commit *)errand;
    bool has_failed = *commit->has_failed && !planted(PLANT_WRITTEN_AFTER_FAILURE);
    if (has_failed) {
        commit->failed = "the batch before was not written";
        commit->error = -EIO;
    } else {
        write_batch(commit);
    }
    *commit->has_failed |= commit->failed != NULL;
    if (commit->finished_file >= 0)
        (void)commit->disk->close(commit->disk->context, commit->finished_file);
    commit->finished_file = -1;
}

void commit_init(struct commit *commit, const struct disk *disk, bool *has_failed)
{
    *commit = (struct commit){.errand = {.worker = ERRAND_COMMIT, .run = run},
                              .disk = disk,
                              .has_failed = has_failed,
                              .file = -1,
                              .finished_file = -1};
}
