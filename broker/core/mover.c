/* The mover of events. */
#include "broker/core/mover.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/event.h"
#include "broker/core/history.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/retention.h"
#include "broker/plant.h"

enum {
    /* A tail of this share of a file is moved at once, a smaller one when it is this old. */
    DUE_PARTS = 16,
    DUE_MS = 5000,
    /* What one piece holds at most, if no event is larger. */
    PIECE_BYTES = 8 << 20,
    PIECE_ROOM_MIN = 64 << 10,
    PIECE_ROOM_KEPT = 2 * PIECE_BYTES,
    /* What one round gathers: well below a millisecond. */
    ROUND_BYTES = 512 << 10,
    BLOCK_BYTES = 64 << 10,
    RETRY_MS = 250,
    /* Tails of more than this are too much for a disk that has no room for files. */
    FULL_BYTES = 64 << 20,
};

enum mover_state { MOVER_IDLE, MOVER_GATHERING, MOVER_WRITING, MOVER_REMOVING, MOVER_STATING };

struct mover {
    struct core *core;
    enum mover_state state;
    struct history *history; /* not while idle */
    struct archive_write write;
    struct archive_remove removal;
    bool is_fetching;
    bool is_lacking; /* the last write found no room */
    uint64_t retry_ms;

    /* The piece that is gathered: whole blocks, and one that is being filled. */
    unsigned char *at;
    size_t room;
    size_t bytes;      /* of whole blocks */
    bool is_new_file;  /* it begins a file */
    uint32_t offset;   /* in the file, of at[0] */
    uint64_t next;     /* sequence of the event that comes next */
    uint64_t first;    /* of the piece */
    uint64_t first_ms; /* likewise */
    uint64_t last_ms;
    struct archive_block block;
    struct archive_spot *spots;
    uint32_t spot_count;
    uint32_t spot_room;
};

struct mover *mover_new(struct core *core)
{
    struct mover *mover = calloc(1, sizeof *mover);
    if (mover != NULL)
        mover->core = core;
    return mover;
}

/* The memory is kept for the next one, unless an uncommonly large event was there. */
static void piece_drop(struct mover *mover)
{
    if (mover->room > PIECE_ROOM_KEPT) {
        free(mover->at);
        mover->at = NULL;
        mover->room = 0;
    }
    mover->bytes = 0;
    mover->spot_count = 0;
}

void mover_free(struct mover *mover)
{
    if (mover == NULL)
        return;
    free(mover->write.spots);
    free(mover->spots);
    free(mover->at);
    if (mover->history != NULL)
        history_unref(mover->history);
    free(mover);
}

/* --- whose turn it is ---------------------------------------------------------------------------
 */

static void enter_phase(struct core *core, struct history *history, enum history_phase phase)
{
    if (history->phase == phase)
        return;
    if (history->phase == HISTORY_WAITING)
        TAILQ_REMOVE(&core->histories_waiting, history, link);
    if (history->phase == HISTORY_DUE)
        TAILQ_REMOVE(&core->histories_due, history, link);
    history->phase = phase;
    if (phase == HISTORY_WAITING)
        TAILQ_INSERT_TAIL(&core->histories_waiting, history, link);
    if (phase == HISTORY_DUE)
        TAILQ_INSERT_TAIL(&core->histories_due, history, link);
}

void mover_on_event(struct core *core, struct history *history)
{
    if (history->phase == HISTORY_IDLE)
        history->since_ms = core->now_ms;
    if (history->tail_bytes >= core->limits.history_file_bytes / DUE_PARTS)
        enter_phase(core, history, HISTORY_DUE);
    else if (history->phase == HISTORY_IDLE)
        enter_phase(core, history, HISTORY_WAITING);
}

void mover_on_moved(struct core *core, struct history *history)
{
    history->since_ms = core->now_ms;
    enter_phase(core, history, HISTORY_IDLE);
    if (history->tail_count > 0)
        mover_on_event(core, history);
}

bool mover_hurry(struct core *core, struct history *history)
{
    if (core->mover->is_lacking)
        return false;
    if (history->phase == HISTORY_WAITING)
        enter_phase(core, history, HISTORY_DUE);
    return true;
}

void mover_forget(struct core *core, struct history *history)
{
    enter_phase(core, history, HISTORY_IDLE);
}

bool mover_is_full(const struct core *core)
{
    return core->mover->is_lacking && core->tail_bytes > FULL_BYTES;
}

/* --- gathering ----------------------------------------------------------------------------------
 */

/* Small histories have small files, so that what is too old can go in small parts. */
static uint32_t file_bytes_max(const struct history *history)
{
    uint64_t bytes = history->core->limits.history_file_bytes;
    if (history->bytes_max != 0 && history->bytes_max / RETENTION_PARTS < bytes)
        bytes = history->bytes_max / RETENTION_PARTS;
    return bytes > RETENTION_FILE_BYTES_MIN ? (uint32_t)bytes : RETENTION_FILE_BYTES_MIN;
}

static bool file_is_done(const struct history *history, const struct archive_file *file)
{
    uint64_t age_ms = history->core->now_ms - file->first_ms;
    return file->end >= file_bytes_max(history) ||
           (history->age_max_ms != 0 && age_ms > history->age_max_ms / RETENTION_PARTS);
}

static void piece_begin(struct mover *mover)
{
    struct history *history = mover->history;
    struct archive_file *file = history_open_file(history);
    mover->is_new_file = file == NULL || file_is_done(history, file);
    mover->offset = mover->is_new_file ? ARCHIVE_HEADER_BYTES : file->end;
    mover->next = mover->first = history->moved + 1;
    mover->block = (struct archive_block){0};
    mover->bytes = 0;
    mover->spot_count = 0;
}

static bool piece_reserve(struct mover *mover, size_t bytes)
{
    size_t needed = mover->bytes + (size_t)archive_block_bytes(mover->block.payload_bytes) + bytes +
                    ARCHIVE_BLOCK_HEADER_BYTES + ARCHIVE_ALIGN;
    if (needed <= mover->room)
        return true;
    size_t room = mover->room > 0 ? mover->room * 2 : PIECE_ROOM_MIN;
    while (room < needed)
        room *= 2;
    unsigned char *at = realloc(mover->at, room);
    if (at == NULL)
        return false;
    mover->at = at;
    mover->room = room;
    return true;
}

static bool spots_reserve(struct mover *mover)
{
    if (mover->spot_count < mover->spot_room)
        return true;
    uint32_t room = mover->spot_room > 0 ? mover->spot_room * 2 : 16;
    struct archive_spot *spots = realloc(mover->spots, room * sizeof *spots);
    if (spots == NULL)
        return false;
    mover->spots = spots;
    mover->spot_room = room;
    return true;
}

/* The block that is being filled is whole. */
static void block_end(struct mover *mover)
{
    struct archive_block *block = &mover->block;
    if (block->count == 0)
        return;
    block->exchange = mover->history->number;
    block->offset = mover->offset + (uint32_t)mover->bytes;
    archive_block_encode(mover->at + mover->bytes, block);
    mover->spots[mover->spot_count++] =
        (struct archive_spot){block->first, block->first_ms, block->offset};
    mover->bytes += (size_t)archive_block_bytes(block->payload_bytes);
    *block = (struct archive_block){0};
}

/* The same operation as in the journal, but for the queues. False: no memory. */
static bool piece_add(struct mover *mover, const struct operation_message *message)
{
    struct operation_message event = *message;
    event.queues = wire_bytes_of(NULL, 0);
    uint32_t bytes = (uint32_t)record_size_message(&event);
    struct archive_block *block = &mover->block;
    if (block->payload_bytes + 4 + bytes > BLOCK_BYTES)
        block_end(mover);
    if (!piece_reserve(mover, 4 + (size_t)bytes) || !spots_reserve(mover))
        return false;
    if (block->count == 0) {
        block->first = mover->next;
        block->first_ms = event.time_ms;
    }
    if (mover->next == mover->first)
        mover->first_ms = event.time_ms;
    block->last_ms = mover->last_ms = event.time_ms;
    unsigned char *at =
        mover->at + mover->bytes + ARCHIVE_BLOCK_HEADER_BYTES + block->payload_bytes;
    struct wire_writer w = wire_writer_of(at, 4 + (size_t)bytes);
    wire_put_u32(&w, bytes);
    record_put_message(&w, &event);
    assert(!w.failed);
    block->payload_bytes += 4 + bytes;
    block->count++;
    mover->next++;
    return true;
}

static void on_fetch(void *argument, uint64_t position, enum status status)
{
    struct mover *mover = argument;
    (void)position;
    (void)status; /* a failure ends the process */
    mover->is_fetching = false;
    mover->core->has_more = true;
}

static bool is_durable(const struct core *core, uint64_t word)
{
    return place_position(word) < core->durable_position || (word & PLACE_RESTATED) != 0;
}

/* One event more. STATUS_OK; STATUS_NOT_FOUND: the next one is not there or not durable, or the
 * piece is full; STATUS_MORE: it is read, or there is no memory now. */
static enum status gather_one(struct mover *mover)
{
    struct core *core = mover->core;
    const struct history_event *event = history_find(mover->history, mover->next);
    size_t bytes = mover->bytes + mover->block.payload_bytes;
    if (event == NULL || bytes >= PIECE_BYTES ||
        (bytes > 0 && mover->offset + bytes >= file_bytes_max(mover->history)))
        return STATUS_NOT_FOUND;
    if (!is_durable(core, event->word) && !planted(PLANT_MOVED_BEFORE_SYNC))
        return STATUS_NOT_FOUND;
    struct operation_message message;
    enum status status = queue_read(core, event->word, &message);
    if (status == STATUS_MORE) {
        mover->is_fetching =
            journal_fetch(core->journal, place_record_position(event->word),
                          place_position(event->word), on_fetch, mover) == STATUS_OK;
        return STATUS_MORE;
    }
    return status == STATUS_OK && piece_add(mover, &message) ? STATUS_OK : STATUS_MORE;
}

/* --- writing ------------------------------------------------------------------------------------
 */

static void give_up(struct mover *mover)
{
    struct history *history = mover->history;
    mover->state = MOVER_IDLE;
    mover->history = NULL;
    piece_drop(mover);
    if (history->exchange != NULL)
        mover_on_moved(mover->core, history);
    history_unref(history);
}

/* What the files are once the piece is in them. */
static void take_over(struct mover *mover)
{
    struct history *history = mover->history;
    if (mover->write.is_finishing) {
        history_open_file(history)->is_finished = true;
        history->spot_count = 0;
    }
    if (mover->is_new_file)
        history->files[history->file_count++] =
            (struct archive_file){.first = mover->first, .first_ms = mover->first_ms};
    struct archive_file *file = &history->files[history->file_count - 1];
    file->last = mover->next - 1;
    file->last_ms = mover->last_ms;
    file->end = mover->offset + (uint32_t)mover->bytes;
    memcpy(history->spots + history->spot_count, mover->spots,
           mover->spot_count * sizeof *mover->spots);
    history->spot_count += mover->spot_count;
    history->moved_bytes += mover->bytes;
}

static void on_removed(void *argument, struct archive_work *work)
{
    (void)work; /* a failure ends the process */
    give_up(argument);
}

/* A file that was begun in vain must not be there when the next one is stated: the next piece may
 * go to the one before after all. */
static void remove_begun(struct mover *mover)
{
    mover->state = MOVER_REMOVING;
    mover->removal = (struct archive_remove){.work = {.kind = ARCHIVE_REMOVE,
                                                      .exchange = mover->history->number,
                                                      .on_done = on_removed,
                                                      .argument = mover},
                                             .files = {mover->first},
                                             .file_count = 1};
    archive_post(mover->core->archive, &mover->removal.work);
}

static void on_written(void *argument, struct archive_work *work)
{
    struct mover *mover = argument;
    struct history *history = mover->history;
    free(mover->write.spots);
    mover->write.spots = NULL;
    mover->is_lacking = work->status != STATUS_OK;
    mover->retry_ms = mover->core->now_ms + RETRY_MS;
    if (work->status != STATUS_OK || history->exchange == NULL) {
        if (mover->is_new_file)
            remove_begun(mover);
        else
            give_up(mover);
        return;
    }
    take_over(mover);
    mover->state = MOVER_STATING;
    mover->core->has_more = true;
}

/* The index of the file that ends here. False: no memory. */
static bool finish_open_file(struct mover *mover)
{
    const struct history *history = mover->history;
    const struct archive_file *file = &history->files[history->file_count - 1];
    struct archive_write *write = &mover->write;
    write->spots = malloc(history->spot_count * sizeof *write->spots);
    if (write->spots == NULL)
        return false;
    memcpy(write->spots, history->spots, history->spot_count * sizeof *write->spots);
    write->is_finishing = true;
    write->index = (struct archive_index){.exchange = history->number,
                                          .offset = file->end,
                                          .first = file->first,
                                          .last = file->last,
                                          .first_ms = file->first_ms,
                                          .last_ms = file->last_ms,
                                          .count = history->spot_count};
    return true;
}

static void piece_write(struct mover *mover)
{
    struct history *history = mover->history;
    struct archive_write *write = &mover->write;
    *write = (struct archive_write){.work = {.kind = ARCHIVE_WRITE,
                                             .exchange = history->number,
                                             .on_done = on_written,
                                             .argument = mover},
                                    .at = mover->at,
                                    .bytes = mover->bytes};
    bool has_open_file = history_open_file(history) != NULL;
    if (history_reserve_files(history, mover->spot_count) != STATUS_OK ||
        (mover->is_new_file && has_open_file && !finish_open_file(mover))) {
        give_up(mover); /* the next round tries again */
        return;
    }
    write->first = mover->is_new_file ? mover->first : history_open_file(history)->first;
    write->offset = mover->is_new_file ? 0 : mover->offset;
    mover->state = MOVER_WRITING;
    archive_post(mover->core->archive, &write->work);
}

/* --- a round ------------------------------------------------------------------------------------
 */

static struct history *choose(struct core *core)
{
    struct history *history = TAILQ_FIRST(&core->histories_waiting);
    if (history != NULL && core->now_ms - history->since_ms >= DUE_MS)
        enter_phase(core, history, HISTORY_DUE);
    history = TAILQ_FIRST(&core->histories_due);
    if (history == NULL)
        return NULL;
    /* The next turn is another's. */
    TAILQ_REMOVE(&core->histories_due, history, link);
    TAILQ_INSERT_TAIL(&core->histories_due, history, link);
    return history;
}

static void gather(struct mover *mover)
{
    size_t before = mover->bytes;
    enum status status = STATUS_OK;
    if (mover->history->exchange == NULL) {
        give_up(mover);
        return;
    }
    while (status == STATUS_OK && mover->bytes - before < ROUND_BYTES)
        status = gather_one(mover);
    if (status == STATUS_OK)
        mover->core->has_more = true;
    if (status != STATUS_NOT_FOUND)
        return;
    block_end(mover);
    if (mover->bytes == 0) {
        history_unref(mover->history); /* nothing is durable yet: it stays due */
        mover->history = NULL;
        mover->state = MOVER_IDLE;
        return;
    }
    piece_write(mover);
}

static void state_moved(struct mover *mover)
{
    struct core *core = mover->core;
    struct history *history = mover->history;
    if (history->exchange == NULL) {
        give_up(mover);
        return;
    }
    struct operation_history operation = history_operation(history);
    const struct archive_file *file = &history->files[history->file_count - 1];
    operation.moved = file->last;
    operation.file = file->first;
    operation.end = file->end;
    uint64_t position;
    if (recorder_append_history(core, NULL, &operation, &position) != STATUS_OK)
        return; /* the next round tries again */
    core->counters.events_moved += operation.moved - history->moved;
    history_apply(core, history, &operation, position);
    history_unref(history);
    mover->history = NULL;
    mover->state = MOVER_IDLE;
    piece_drop(mover);
}

void mover_run(struct core *core)
{
    struct mover *mover = core->mover;
    if (core->archive == NULL)
        return;
    if (mover->state == MOVER_STATING)
        state_moved(mover);
    bool is_resting = mover->is_lacking && core->now_ms < mover->retry_ms;
    if (mover->state == MOVER_IDLE && !is_resting && !core->is_draining &&
        (mover->history = choose(core)) != NULL) {
        history_ref(mover->history);
        mover->state = MOVER_GATHERING;
        piece_begin(mover);
    }
    if (mover->state == MOVER_GATHERING && !mover->is_fetching)
        gather(mover);
}

uint64_t mover_next_due(const struct core *core)
{
    const struct mover *mover = core->mover;
    const struct history *history = TAILQ_FIRST(&core->histories_waiting);
    bool is_waiting = history != NULL || !TAILQ_EMPTY(&core->histories_due);
    if (mover->state == MOVER_STATING || (mover->is_lacking && is_waiting))
        return core->now_ms + RETRY_MS;
    return history != NULL ? history->since_ms + DUE_MS : UINT64_MAX;
}
