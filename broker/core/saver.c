/* The saver of entities. */
#include "broker/core/saver.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/history.h"
#include "broker/core/recorder.h"
#include "broker/core/retention.h"

enum {
    PIECE_ENTITIES = 8192,
    RETRY_MS = 250,
    /* Of entities that are many, saving all of them is worth it only so often. */
    ENTITIES_SHARE = 4,
};

enum saver_state { SAVER_IDLE, SAVER_GATHERING, SAVER_WRITING, SAVER_STATING, SAVER_REMOVING };

struct saver {
    struct core *core;
    enum saver_state state;
    struct history *wanted;  /* who is next, if anybody */
    struct history *history; /* not while idle */
    struct archive_entities work;
    struct archive_remove removal;
    struct entity_key from;
    uint64_t sequence;
    uint64_t count;
    uint64_t moved_bytes; /* of the history, when it was begun */
    uint64_t retry_ms;
    struct archive_entity piece[PIECE_ENTITIES];
    unsigned char at[ARCHIVE_ENTITIES_HEADER_BYTES + PIECE_ENTITIES * ARCHIVE_ENTITY_BYTES];
};

struct saver *saver_new(struct core *core)
{
    struct saver *saver = calloc(1, sizeof *saver);
    if (saver != NULL)
        saver->core = core;
    return saver;
}

static void forget(struct history **history)
{
    if (*history != NULL)
        history_unref(*history);
    *history = NULL;
}

void saver_free(struct saver *saver)
{
    if (saver == NULL)
        return;
    forget(&saver->wanted);
    forget(&saver->history);
    free(saver);
}

void saver_want(struct core *core, struct history *history)
{
    struct saver *saver = core->saver;
    if (saver->wanted != NULL || saver->history == history)
        return; /* it asks again */
    saver->wanted = history;
    history_ref(history);
}

void saver_consider(struct core *core, struct history *history)
{
    uint64_t share = history->entities.count * ARCHIVE_ENTITY_BYTES * ENTITIES_SHARE;
    /* That there are none is worth a file, too: a start need not look for them. */
    if (history->moved_bytes > core->limits.history_save_bytes && history->moved_bytes > share)
        saver_want(core, history);
}

static void on_removed(void *argument, struct archive_work *work)
{
    struct saver *saver = argument;
    (void)work; /* a failure ends the process */
    saver->retry_ms = saver->core->now_ms + RETRY_MS;
    saver->state = SAVER_IDLE;
    forget(&saver->history);
}

/* From the beginning, later. What is there of the file goes at once: it must not be what keeps a
 * disk full. */
static void give_up(struct saver *saver)
{
    saver->state = SAVER_REMOVING;
    saver->removal = (struct archive_remove){.work = {.kind = ARCHIVE_REMOVE,
                                                      .exchange = saver->history->number,
                                                      .on_done = on_removed,
                                                      .argument = saver},
                                             .entities = saver->sequence};
    archive_post(saver->core->archive, &saver->removal.work);
}

static void on_written(void *argument, struct archive_work *work)
{
    struct saver *saver = argument;
    saver->state = saver->work.is_last ? SAVER_STATING : SAVER_GATHERING;
    if (work->status != STATUS_OK)
        give_up(saver);
    saver->core->has_more = true;
}

static void begin(struct saver *saver)
{
    if (saver->wanted->last == saver->wanted->entities_stated) {
        /* All that was moved since was counted before: that file must not be written anew. */
        saver->wanted->moved_bytes = 0;
        forget(&saver->wanted);
        return;
    }
    saver->history = saver->wanted;
    saver->wanted = NULL;
    saver->from = (struct entity_key){{0, 0}};
    saver->sequence = saver->history->last;
    saver->count = 0;
    saver->moved_bytes = saver->history->moved_bytes;
    saver->work = (struct archive_entities){.offset = ARCHIVE_HEADER_BYTES};
    saver->state = SAVER_GATHERING;
}

static void gather(struct saver *saver)
{
    struct archive_entities *work = &saver->work;
    const struct history *history = saver->history;
    assert(history != NULL);
    uint64_t offset = work->offset;
    if (work->count > 0)
        offset += ARCHIVE_ENTITIES_HEADER_BYTES + (uint64_t)work->count * ARCHIVE_ENTITY_BYTES;
    uint32_t count = entities_slice(&history->entities, &saver->from, saver->piece, PIECE_ENTITIES);
    for (uint32_t i = 0; i < count; i++)
        archive_entity_put(saver->at + ARCHIVE_ENTITIES_HEADER_BYTES +
                               (size_t)i * ARCHIVE_ENTITY_BYTES,
                           &saver->piece[i]);
    saver->count += count;
    *work = (struct archive_entities){.work = {.kind = ARCHIVE_ENTITIES,
                                               .exchange = history->number,
                                               .on_done = on_written,
                                               .argument = saver},
                                      .sequence = saver->sequence,
                                      .offset = offset,
                                      .at = saver->at,
                                      .count = count,
                                      .is_last = count < PIECE_ENTITIES,
                                      .count_all = saver->count};
    memcpy(work->secret, history->entities.secret, sizeof work->secret);
    saver->state = SAVER_WRITING;
    archive_post(saver->core->archive, &work->work);
}

static void state_saved(struct saver *saver)
{
    struct core *core = saver->core;
    struct history *history = saver->history;
    assert(history != NULL);
    struct operation_history operation = history_operation(history);
    uint64_t before = operation.entities;
    uint64_t position;
    operation.entities = saver->sequence;
    if (recorder_append_history(core, NULL, &operation, &position) != STATUS_OK)
        return; /* the next round tries again */
    history_apply(core, history, &operation, position);
    history->moved_bytes -= saver->moved_bytes;
    if (before != saver->sequence)
        retention_drop_entities(core, history->number, before);
    saver->state = SAVER_IDLE;
    forget(&saver->history);
}

void saver_run(struct core *core)
{
    struct saver *saver = core->saver;
    if (core->archive == NULL)
        return;
    bool is_at_work = saver->state == SAVER_GATHERING || saver->state == SAVER_STATING;
    if (is_at_work && saver->history->exchange == NULL)
        give_up(saver);
    if (saver->wanted != NULL && saver->wanted->exchange == NULL)
        forget(&saver->wanted);
    if (saver->state == SAVER_STATING)
        state_saved(saver);
    if (saver->state == SAVER_IDLE && saver->wanted != NULL && !core->is_draining &&
        core->now_ms >= saver->retry_ms)
        begin(saver);
    if (saver->state == SAVER_GATHERING)
        gather(saver);
}
