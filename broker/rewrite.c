/* Writing a journal anew, with its errands run at once on the caller's own thread. */
#include "broker/rewrite.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* Between two syncs. */
    ROUND_BYTES = 4 << 20,
    CACHE_BYTES = 1 << 20,
    SPARE_COUNT = 2,
};

struct rewrite {
    struct journal *journal;
    struct errand *first; /* posted and not run yet, the newest first */
    uint64_t now_ms;
    uint64_t unsynced_bytes;
    uint64_t round_bytes;
};

static void post(void *context, struct errand *errand)
{
    struct rewrite *rewrite = context;
    errand->next = rewrite->first;
    rewrite->first = errand;
}

static enum status find_nothing(void *argument, uint64_t position, const unsigned char *at,
                                uint32_t bytes, uint64_t now_ms)
{
    (void)argument, (void)position, (void)at, (void)bytes, (void)now_ms;
    return STATUS_CORRUPT; /* the directory was to be empty */
}

enum status rewrite_new(struct rewrite **rewrite, const struct disk *disk, uint32_t segment_bytes,
                        struct journal_failure *failure)
{
    *rewrite = NULL;
    struct rewrite *made = calloc(1, sizeof *made);
    if (made == NULL)
        return STATUS_NO_MEMORY;
    made->round_bytes = segment_bytes / 2 < ROUND_BYTES ? segment_bytes / 2 : ROUND_BYTES;
    struct journal_options options = {
        .segment_bytes = segment_bytes,
        .spare_count = SPARE_COUNT,
        .cache_bytes_max = CACHE_BYTES,
        .post = post,
        .post_context = made,
    };
    struct journal_reader reader = {.on_record = find_nothing};
    enum status status = journal_open(&made->journal, disk, &options, &reader, failure);
    if (status == STATUS_OK)
        *rewrite = made;
    else
        free(made);
    return status;
}

/* Rounds and errands in turn, until there are no more. */
static enum status settle(struct rewrite *rewrite)
{
    rewrite->unsynced_bytes = 0;
    journal_round(rewrite->journal, rewrite->now_ms);
    while (rewrite->first != NULL) {
        struct errand *errand = rewrite->first;
        rewrite->first = errand->next;
        errand->run(errand);
        enum status status = journal_on_errand(rewrite->journal, errand);
        if (status != STATUS_OK)
            return status;
        if (rewrite->first == NULL)
            journal_round(rewrite->journal, rewrite->now_ms);
    }
    return STATUS_OK;
}

enum status rewrite_append(void *context, const unsigned char *at, uint32_t bytes, uint64_t now_ms)
{
    struct rewrite *rewrite = context;
    uint64_t position;
    if (now_ms > rewrite->now_ms)
        rewrite->now_ms = now_ms;
    if (bytes > journal_record_bytes_max(rewrite->journal))
        return STATUS_TOO_LARGE;
    unsigned char *room = journal_open_record(rewrite->journal, bytes, JOURNAL_URGENT, &position);
    if (room == NULL)
        return journal_is_full(rewrite->journal) ? STATUS_DISK_FULL : STATUS_NO_MEMORY;
    memcpy(room, at, bytes);
    journal_close_record(rewrite->journal, bytes);
    /* Everything stays: what is needed no more is found out by the next start. */
    journal_home_state(rewrite->journal, position, 1, 1, bytes);
    rewrite->unsynced_bytes += bytes;
    return rewrite->unsynced_bytes < rewrite->round_bytes ? STATUS_OK : settle(rewrite);
}

enum status rewrite_stop(struct rewrite *rewrite)
{
    enum status status = settle(rewrite);
    return status == STATUS_OK ? journal_stop(rewrite->journal, rewrite->now_ms) : status;
}

const struct journal_failure *rewrite_failure(const struct rewrite *rewrite)
{
    return journal_failure(rewrite->journal);
}

void rewrite_free(struct rewrite *rewrite)
{
    if (rewrite == NULL)
        return;
    journal_free(rewrite->journal);
    free(rewrite);
}
