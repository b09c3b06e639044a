/* The journal's reading side: records in memory and on disk, the oldest segment, copies, figures.
 */
#include <assert.h>
#include <stdlib.h>

#include "broker/store/batch.h"
#include "broker/store/journal_state.h"

void journal_home_state(struct journal *journal, uint64_t position, uint32_t count, uint64_t weight,
                        uint64_t bytes)
{
    homes_state(&journal->homes, position, count, weight, bytes);
}

void journal_home_remove(struct journal *journal, uint64_t position, uint32_t count,
                         uint64_t weight)
{
    homes_remove(&journal->homes, position, count, weight);
}

struct journal_space journal_space(struct journal *journal)
{
    struct homes *homes = &journal->homes;
    return (struct journal_space){
        .used_bytes = (journal->write_segment - homes->first + 1) * journal->segment_bytes,
        .live_bytes = homes_live_bytes(homes),
        .segment_bytes = journal->segment_bytes,
        .oldest_live_bytes = homes_oldest_live_bytes(homes),
        .oldest_end_position = (homes->first + 1) * journal->segment_bytes,
        .is_full = journal->space.is_full,
        .is_held = journal->hold_count > 0,
    };
}

const unsigned char *journal_peek(struct journal *journal, uint64_t position, size_t *bytes)
{
    return cache_peek(&journal->cache, position, bytes);
}

enum status journal_fetch(struct journal *journal, uint64_t record_position, uint64_t position,
                          journal_fetch_fn on_fetch, void *argument)
{
    assert(record_position < journal->durable_position && position >= record_position);
    struct fetch_request *request = malloc(sizeof *request);
    if (request == NULL)
        return STATUS_NO_MEMORY;
    *request = (struct fetch_request){.record_position = record_position,
                                      .position = position,
                                      .on_fetch = on_fetch,
                                      .argument = argument};
    homes_pin(&journal->homes, record_position);
    TAILQ_INSERT_TAIL(&journal->fetch.waiting, request, link);
    /* Without memory it waits for the next round. */
    if (!journal->is_failed && journal->fetch.work.status == STATUS_OK)
        journal_post(journal, fetch_next(&journal->fetch, &journal->cache, &journal->homes,
                                         journal->durable_position));
    return STATUS_OK;
}

enum status journal_oldest_next(struct journal *journal, struct journal_found *found)
{
    struct oldest *oldest = &journal->oldest;
    uint64_t number = journal->homes.first;
    uint64_t behind = (number + 1) * journal->segment_bytes + SEGMENT_HEADER_BYTES;
    if (journal->is_failed || journal->durable_position <= behind)
        return STATUS_NOT_FOUND;
    if (oldest->number != number)
        oldest_begin(oldest, number);
    struct errand *errand;
    enum status status = oldest_next(oldest, &journal->homes, found, &errand);
    journal_post(journal, errand);
    return status;
}

void journal_oldest_again(struct journal *journal)
{
    oldest_again(&journal->oldest);
}

uint64_t journal_hold(struct journal *journal)
{
    /* What the newest durable batch names; a batch that lets go of it may be on its way. */
    if (journal->hold_count++ == 0)
        journal->held_oldest = journal->durable_oldest;
    return journal->durable_oldest * journal->segment_bytes;
}

void journal_release(struct journal *journal)
{
    assert(journal->hold_count > 0);
    journal->hold_count--;
}

enum status journal_copy(struct journal *journal, uint64_t position, uint32_t bytes,
                         journal_copy_fn on_copy, void *argument)
{
    assert(journal->hold_count > 0 && bytes > 0 && bytes <= JOURNAL_COPY_BYTES_MAX);
    assert(position >= journal->held_oldest * journal->segment_bytes &&
           position + bytes <= journal->durable_position);
    assert(position % journal->segment_bytes + bytes <= journal->segment_bytes);
    struct copy_request request = {
        .position = position, .bytes = bytes, .on_copy = on_copy, .argument = argument};
    enum status status = copy_add(&journal->copy, &request);
    if (status == STATUS_OK && !journal->is_failed)
        journal_post(journal, copy_next(&journal->copy));
    return status;
}

static enum status take_back_fetch(struct journal *journal)
{
    enum status status = fetch_take_back(&journal->fetch, &journal->cache, &journal->homes);
    if (status != STATUS_OK) {
        journal->is_failed = true;
        journal->failure = journal->fetch.work.failure;
        return status;
    }
    /* Without memory it waits for the next round. */
    if (!journal->is_failed && journal->fetch.work.status == STATUS_OK)
        journal_post(journal, fetch_next(&journal->fetch, &journal->cache, &journal->homes,
                                         journal->durable_position));
    return STATUS_OK;
}

static enum status take_back_oldest(struct journal *journal)
{
    enum status status = oldest_take_back(&journal->oldest, &journal->homes);
    if (status != STATUS_OK) {
        journal->is_failed = true;
        journal->failure = journal->oldest.work.failure;
    }
    return status;
}

static enum status take_back_copy(struct journal *journal)
{
    copy_take_back(&journal->copy);
    if (!journal->is_failed)
        journal_post(journal, copy_next(&journal->copy));
    return STATUS_OK;
}

enum status journal_on_read(struct journal *journal, struct errand *errand)
{
    if (errand == &journal->oldest.work.errand)
        return take_back_oldest(journal);
    if (errand == &journal->copy.work.errand)
        return take_back_copy(journal);
    assert(errand == &journal->fetch.work.errand);
    return take_back_fetch(journal);
}

struct journal_figures journal_figures(const struct journal *journal)
{
    uint64_t count = journal->space.files_last - journal->space.files_first + 1;
    return (struct journal_figures){
        .segment_count = count,
        .spare_count = journal->space.count,
        .used_bytes = count * journal->segment_bytes,
        .batch_count = journal->batch_count,
        .byte_count = journal->byte_count,
        .cached_bytes = journal->cache.appended_bytes + journal->cache.window_bytes,
    };
}
