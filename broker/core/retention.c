/* Retention: what is too old goes. */
#include "broker/core/retention.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/cursor.h"
#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/saver.h"
#include "broker/plant.h"

enum { INTERVAL_MS = 1000 };

/* Files that go once what says so is on disk. */
struct removal {
    TAILQ_ENTRY(removal) link;
    struct archive_remove remove;
    uint64_t needs;
    bool is_out;
};

static struct removal *removal_new(struct core *core, uint32_t exchange)
{
    struct removal *removal = calloc(1, sizeof *removal);
    if (removal == NULL)
        return NULL; /* what is left is removed at the next start */
    removal->remove.work.kind = ARCHIVE_REMOVE;
    removal->remove.work.exchange = exchange;
    removal->needs = recorder_needs(core);
    TAILQ_INSERT_TAIL(&core->removals, removal, link);
    return removal;
}

static void remove_files(struct core *core, const struct history *history, uint32_t count)
{
    struct removal *removal = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (removal == NULL || removal->remove.file_count == ARCHIVE_REMOVE_MAX)
            removal = removal_new(core, history->number);
        if (removal == NULL)
            return;
        removal->remove.files[removal->remove.file_count++] = history->files[i].first;
    }
}

void retention_drop_entities(struct core *core, uint32_t exchange, uint64_t sequence)
{
    struct removal *removal = sequence != 0 ? removal_new(core, exchange) : NULL;
    if (removal != NULL)
        removal->remove.entities = sequence;
}

void retention_bury(struct core *core, struct history *history)
{
    if (core->is_ending || !core->is_running)
        return;
    remove_files(core, history, history->file_count);
    retention_drop_entities(core, history->number, history->entities_stated);
    history->file_count = 0;
}

static void on_removed(void *argument, struct archive_work *work)
{
    struct core *core = argument;
    struct removal *removal;
    TAILQ_FOREACH (removal, &core->removals, link)
        if (&removal->remove.work == work)
            break;
    TAILQ_REMOVE(&core->removals, removal, link);
    free(removal);
}

void retention_hold(struct core *core)
{
    core->are_files_held = true;
}

void retention_release(struct core *core)
{
    core->are_files_held = false;
}

bool retention_is_removing(const struct core *core)
{
    const struct removal *removal;
    TAILQ_FOREACH (removal, &core->removals, link)
        if (removal->is_out)
            return true;
    return false;
}

static void post_removals(struct core *core)
{
    struct removal *removal;
    if (core->are_files_held)
        return;
    TAILQ_FOREACH (removal, &core->removals, link) {
        bool is_due = removal->needs < core->durable_position || planted(PLANT_REMOVED_BEFORE_SYNC);
        if (removal->is_out || !is_due)
            continue;
        removal->is_out = true;
        removal->remove.work.on_done = on_removed;
        removal->remove.work.argument = core;
        archive_post(core->archive, &removal->remove.work);
    }
}

void retention_deinit(struct core *core)
{
    struct removal *removal;
    while ((removal = TAILQ_FIRST(&core->removals)) != NULL) {
        TAILQ_REMOVE(&core->removals, removal, link);
        free(removal);
    }
}

/* --- what goes ----------------------------------------------------------------------------------
 */

/* `bytes` are those of this file and all behind it. */
static bool is_over(const struct history *history, const struct archive_file *file, uint64_t bytes)
{
    uint64_t now_ms = history->core->now_ms;
    if (history->age_max_ms != 0 && now_ms - file->last_ms > history->age_max_ms &&
        now_ms > file->last_ms)
        return true;
    if (!file->is_finished)
        return false;
    return file->last < history_first(history) ||
           (history->bytes_max != 0 && bytes - file->end >= history->bytes_max);
}

/* The file that is written to goes only when there is nothing to write. */
static bool is_in_use(const struct history *history, const struct archive_file *file)
{
    return !file->is_finished && history->phase != HISTORY_IDLE;
}

/* How many of the oldest files go. */
static uint32_t count_over(const struct history *history)
{
    uint32_t count = 0;
    uint64_t bytes = history_bytes(history);
    while (count < history->file_count) {
        const struct archive_file *file = &history->files[count];
        if (!is_over(history, file, bytes) || is_in_use(history, file))
            break;
        bytes -= file->end;
        count++;
    }
    return count;
}

static void drop(struct core *core, struct history *history, uint32_t count)
{
    struct operation_history operation = history_operation(history);
    uint64_t position;
    operation.first = history->files[count - 1].last + 1;
    if (!history->files[count - 1].is_finished)
        operation.file = operation.end = 0;
    if (recorder_append_history(core, NULL, &operation, &position) != STATUS_OK)
        return;
    history_apply(core, history, &operation, position);
    remove_files(core, history, count);
    if (operation.file == 0)
        history->spot_count = 0;
    history->file_count -= count;
    memmove(history->files, history->files + count, history->file_count * sizeof *history->files);
}

/* What lacked memory, or the like, may be there again. */
static void wake_cursors(struct core *core, struct history *history)
{
    struct cursor *cursor;
    LIST_FOREACH (cursor, &history->cursors, link)
        queue_wake(core, cursor->queue);
}

static void look_at(struct core *core, struct history *history)
{
    wake_cursors(core, history);
    saver_consider(core, history);
    uint32_t count = count_over(history);
    if (count > 0 && history->entities.count > 0 &&
        history->files[count - 1].last > history->entities_stated)
        saver_want(core, history);
    while (count > 0 && history->entities.count > 0 &&
           history->files[count - 1].last > history->entities_stated &&
           !planted(PLANT_VERSIONS_RETIRED))
        count--;
    if (count > 0)
        drop(core, history, count);
}

void retention_run(struct core *core)
{
    if (core->archive == NULL)
        return;
    post_removals(core);
    if (core->now_ms - core->retained_ms < INTERVAL_MS)
        return;
    core->retained_ms = core->now_ms;
    struct exchange *exchange;
    struct exchange *next;
    HASH_ITER (by_number, core->exchanges_by_number, exchange, next)
        if (exchange->history != NULL)
            look_at(core, exchange->history);
}
