/* The journal: appending in memory, and rounds that make it durable.
 *
 *              open_batch              seal                 post_commit           take_back_commit
 *   (no batch) ----------> being filled ------> sealed, waiting ------> in flight ---------->
 * durable
 *
 * A batch has its place before it has its first record: where the last one ended, or the start of
 * the next segment if the record does not fit. It is filled in the chunk that is the image of that
 * place, and written from there. It is sealed when a record does not fit the chunk or the segment
 * any more, or when the commit thread is free for it, or when it is as large as the one on its way,
 * behind which it then waits there; one whose records are all patient waits a moment for more.
 *
 * Always true between two calls:
 *   1. durable_position <= position of every batch that is not durable, in list order;
 *   2. a batch being filled has at least one record, but for marks, which are sealed at once;
 *   3. room_bytes is 0 exactly when no batch is being filled, or it is full;
 *   4. a batch goes out only when its segment's file is there; until then it waits in memory.
 *
 * Failures: without memory journal_open_record gives NULL and nothing has changed. The first error
 * of a write or a sync ends it all: is_failed, and nothing goes out any more.
 */
#include "broker/store/journal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/failure.h"
#include "broker/store/journal_state.h"
#include "broker/store/recovery.h"
#include "broker/plant.h"
#include "protocol/wire.h"

#define MARK_IDLE_MS 100u
#define PATIENCE_MS 20u
/* Of a segment: a batch that is smaller than that is small, 32 KiB for one of 64 MiB. */
#define SMALL_PART 2048u

/* Left at the end of the last segment that can be had, for marks that carry a trim: with the disk
 * full and all spares used, only such a mark can make room again. */
#define TRIM_BYTES (4u * BATCH_ALIGN)

static void journal_start(struct journal *journal, struct recovered *recovered,
                          const struct journal_options *options)
{
    journal->segment_bytes = recovered->segment_bytes;
    journal->recovery = recovered->seen;
    journal->segment = recovered->segment;
    journal->segment_newest = recovered->segment;
    journal->write_segment = recovered->segment->number;
    journal->segment_end = (journal->write_segment + 1) * journal->segment_bytes;
    journal->write_position =
        journal->write_segment * journal->segment_bytes + recovered->end_offset;
    journal->durable_position = journal->write_position;
    journal->news_position = journal->write_position;
    journal->durable_oldest = recovered->first_segment;
    journal->sealed_oldest = recovered->first_segment;
    journal->next_sequence = recovered->next_sequence;
    journal->now_ms = recovered->seen.newest_ms;
    journal->is_mark_due = recovered->seen.record_count > 0 && !recovered->seen.was_clean;
    space_init(&journal->space, journal->disk, recovered, options->spare_count);
    cache_init(&journal->cache, options->cache_bytes_max);
    fetch_init(&journal->fetch, journal->disk, journal->segment_bytes);
    oldest_init(&journal->oldest, journal->disk, journal->segment_bytes);
    copy_init(&journal->copy, journal->disk, journal->segment_bytes);
    for (unsigned i = 0; i < COMMITS_OUT_MAX; i++)
        commit_init(&journal->commits[i], journal->disk, &journal->has_commit_failed);
}

enum status journal_open(struct journal **journal, const struct disk *disk,
                         const struct journal_options *options, const struct journal_reader *reader,
                         struct journal_failure *failure)
{
    assert(options->segment_bytes >= SEGMENT_BYTES_MIN && options->segment_bytes % 4096 == 0);
    assert(options->spare_count >= 2);
    *failure = (struct journal_failure){.text = ""};
    struct journal *opened = calloc(1, sizeof *opened);
    *journal = opened;
    if (opened == NULL)
        return failure_set(failure, STATUS_NO_MEMORY, "", 0, "out of memory");
    opened->disk = disk;
    opened->post = options->post;
    opened->post_context = options->post_context;
    opened->sealed_end = &opened->sealed;
    struct recovery_input input = {.disk = disk,
                                   .options = options,
                                   .reader = reader,
                                   .homes = &opened->homes,
                                   .failure = failure};
    struct recovered recovered;
    enum status status = recovery_run(&recovered, &input);
    if (status == STATUS_OK) {
        journal_start(opened, &recovered, options);
        return STATUS_OK;
    }
    homes_deinit(&opened->homes);
    free(opened);
    *journal = NULL;
    return status;
}

enum status journal_check(const struct disk *disk, const struct journal_options *options,
                          const struct journal_reader *reader, struct journal_recovery *seen,
                          struct journal_failure *failure)
{
    *failure = (struct journal_failure){.text = ""};
    struct recovery_input input = {
        .disk = disk, .options = options, .reader = reader, .failure = failure, .is_check = true};
    struct recovered recovered;
    enum status status = recovery_run(&recovered, &input);
    *seen = recovered.seen;
    return status;
}

struct journal_recovery journal_recovery(const struct journal *journal)
{
    return journal->recovery;
}

static struct batch *batch_new(struct journal *journal)
{
    struct batch *batch = journal->unused;
    if (batch == NULL)
        return calloc(1, sizeof *batch);
    journal->unused = batch->next;
    return batch;
}

/* Lets go of segments without homes, unless somebody reads them all; returns the oldest kept. */
static uint64_t trim(struct journal *journal, uint64_t last)
{
    return journal->hold_count > 0 ? journal->homes.first : homes_trim(&journal->homes, last);
}

/* The batch being filled gets its end and waits for its turn. */
static void seal(struct journal *journal, uint32_t flags)
{
    struct batch *batch = journal->batch;
    assert(journal->open_bytes == 0 && (batch->header.record_count > 0 || flags != 0));
    batch->header.payload_bytes =
        (uint32_t)(journal->write_position - batch->position - BATCH_HEADER_BYTES);
    batch->header.sequence = journal->next_sequence++;
    batch->header.now_ms = journal->now_ms;
    batch->header.flags = flags;
    batch->header.oldest_kept = trim(journal, batch->segment);
    journal->sealed_oldest = batch->header.oldest_kept;
    batch->total_bytes = (uint32_t)batch_total_bytes(batch->header.payload_bytes);
    batch->next = NULL;
    *journal->sealed_end = batch;
    journal->sealed_end = &batch->next;
    journal->write_position = batch->position + batch->total_bytes;
    /* Header and padding count, too: a chunk may only go when its last batch is durable. */
    journal->chunk->used_bytes = (size_t)(journal->write_position - journal->chunk->position);
    journal->batch = NULL;
    journal->room_bytes = 0;
}

/* A chunk with room for `bytes` at a position: the one at hand, or a new one. */
static struct chunk *chunk_at(struct journal *journal, uint64_t position, uint64_t bytes)
{
    struct chunk *chunk = journal->chunk;
    if (chunk != NULL && position >= chunk->position &&
        position - chunk->position <= chunk->capacity_bytes &&
        bytes <= chunk->capacity_bytes - (position - chunk->position))
        return chunk;
    uint64_t capacity = journal->segment_bytes < CHUNK_BYTES ? journal->segment_bytes : CHUNK_BYTES;
    return cache_append_chunk(&journal->cache, position, bytes > capacity ? bytes : capacity);
}

/* Begins a batch with room for `bytes` of records and their headers. `tail` bytes are left free
 * when no further segment can be had. */
static enum status open_batch(struct journal *journal, size_t bytes, uint32_t tail, bool is_fresh)
{
    if (journal->batch != NULL)
        seal(journal, 0);
    if (journal->is_failed)
        return STATUS_IO_ERROR;
    uint64_t need = batch_total_bytes(bytes);
    uint64_t segment = journal->write_segment;
    uint64_t position = journal->write_position;
    uint64_t reach = space_reach(&journal->space);
    uint64_t kept = segment < reach ? 0 : tail;
    if (need + kept > journal->segment_end - position) {
        segment++;
        position = segment * journal->segment_bytes + SEGMENT_HEADER_BYTES;
        kept = segment < reach ? 0 : tail;
        /* What is fresh never runs ahead of the spares: all else would wait behind it. */
        journal->space.is_full |= is_fresh && segment > space_reach_soon(&journal->space);
        if (journal->space.is_full && segment > reach)
            return STATUS_DISK_FULL;
    }
    if (homes_reserve(&journal->homes, segment) != STATUS_OK)
        return STATUS_NO_MEMORY;
    struct batch *batch = batch_new(journal);
    if (batch == NULL)
        return STATUS_NO_MEMORY;
    struct chunk *chunk = chunk_at(journal, position, need);
    if (chunk == NULL) {
        batch->next = journal->unused;
        journal->unused = batch;
        return STATUS_NO_MEMORY;
    }
    journal->write_segment = segment;
    journal->segment_end = (segment + 1) * journal->segment_bytes;
    journal->chunk = chunk;
    size_t in_chunk = (size_t)(position - chunk->position);
    *batch = (struct batch){.at = chunk->at + in_chunk,
                            .position = position,
                            .segment = segment,
                            .offset = (uint32_t)(position - segment * journal->segment_bytes)};
    journal->batch = batch;
    journal->batch_ms = journal->now_ms;
    journal->is_hurried = false;
    journal->write_at = batch->at + BATCH_HEADER_BYTES;
    journal->write_position = position + BATCH_HEADER_BYTES;
    uint64_t room = chunk->capacity_bytes - in_chunk;
    if (room > journal->segment_end - kept - position)
        room = journal->segment_end - kept - position;
    journal->room_bytes = (size_t)(room / BATCH_ALIGN * BATCH_ALIGN - BATCH_HEADER_BYTES);
    return STATUS_OK;
}

unsigned char *journal_open_record(struct journal *journal, size_t bytes_max,
                                   enum journal_urgency urgency, uint64_t *position)
{
    assert(journal->open_bytes == 0 && bytes_max > 0 &&
           bytes_max <= journal_record_bytes_max(journal));
    bool is_fresh = urgency == JOURNAL_FRESH;
    if (is_fresh && journal->space.is_full)
        return NULL;
    if (bytes_max + RECORD_HEADER_BYTES > journal->room_bytes &&
        open_batch(journal, bytes_max + RECORD_HEADER_BYTES, TRIM_BYTES, is_fresh) != STATUS_OK)
        return NULL;
    journal->open_bytes = bytes_max;
    journal->is_open_patient = urgency == JOURNAL_PATIENT;
    journal->is_hurried |= !journal->is_open_patient;
    *position = journal->write_position + RECORD_HEADER_BYTES;
    return journal->write_at + RECORD_HEADER_BYTES;
}

enum status journal_keep_together(struct journal *journal, size_t bytes)
{
    assert(journal->open_bytes == 0);
    if (bytes > journal->segment_bytes / 2)
        return STATUS_TOO_LARGE;
    if (journal->space.is_full)
        return STATUS_DISK_FULL;
    return bytes <= journal->room_bytes ? STATUS_OK : open_batch(journal, bytes, TRIM_BYTES, true);
}

void journal_close_record(struct journal *journal, size_t bytes)
{
    assert(bytes > 0 && bytes <= journal->open_bytes);
    size_t total = RECORD_HEADER_BYTES + bytes;
    wire_store_u32(journal->write_at, (uint32_t)bytes);
    journal->write_at += total;
    journal->write_position += total;
    journal->room_bytes -= total;
    journal->pending_bytes += total;
    journal->batch->header.record_count++;
    journal->chunk->used_bytes = (size_t)(journal->write_at - journal->chunk->at);
    journal->open_bytes = 0;
    if (!journal->is_open_patient)
        journal->news_position = journal->write_position;
}

size_t journal_record_bytes_max(const struct journal *journal)
{
    return journal->segment_bytes / 4;
}

bool journal_is_full(const struct journal *journal)
{
    return journal->space.is_full;
}

/* A batch without records. Where it cannot be had now, the next round tries again. */
static void append_mark(struct journal *journal, uint32_t flags, uint32_t tail)
{
    if (open_batch(journal, 0, tail, false) == STATUS_OK)
        seal(journal, flags);
}

/* The batch that can go out when none is on its way, sealed for it if it must be; NULL if there is
 * none. */
static struct batch *next_batch(struct journal *journal)
{
    bool is_waiting = journal->batch != NULL && !journal->is_hurried &&
                      journal->now_ms - journal->batch_ms < PATIENCE_MS;
    if (journal->sealed == NULL && is_waiting)
        return NULL;
    if (journal->sealed == NULL && journal->batch != NULL)
        seal(journal, 0);
    if (journal->sealed == NULL) {
        bool is_idle = journal->is_mark_due && journal->now_ms - journal->commit_ms >= MARK_IDLE_MS;
        uint64_t oldest = trim(journal, journal->write_segment);
        if (oldest > journal->sealed_oldest)
            append_mark(journal, BATCH_MARK, 0);
        else if (is_idle)
            append_mark(journal, BATCH_MARK, TRIM_BYTES);
    }
    return journal->sealed;
}

/* The same behind one that is on its way: only what is as large as that, and not small. Less will
 * grow while it is written, and then need fewer syncs. */
static struct batch *following_batch(struct journal *journal)
{
    const struct batch *before = journal->commits[journal->commit_first].batch;
    const struct batch *batch = journal->batch;
    if (before->next != NULL || batch == NULL || !journal->is_hurried)
        return before->next;
    uint64_t payload = journal->write_position - batch->position - BATCH_HEADER_BYTES;
    uint64_t total = batch_total_bytes(payload);
    if (total >= before->total_bytes && total >= journal->segment_bytes / SMALL_PART)
        seal(journal, 0);
    return before->next;
}

/* The commit errand for the next batch, or NULL. */
static struct errand *commit_next(struct journal *journal)
{
    if (journal->commit_count == COMMITS_OUT_MAX || journal->is_failed)
        return NULL;
    struct batch *batch =
        journal->commit_count == 0 ? next_batch(journal) : following_batch(journal);
    if (batch == NULL || batch->segment > journal->segment_newest->number)
        return NULL;
    struct commit *commit =
        &journal->commits[(journal->commit_first + journal->commit_count) % COMMITS_OUT_MAX];
    if (batch->segment > journal->segment->number) {
        struct segment_file *finished = journal->segment;
        journal->segment = finished->next;
        commit->finished_file = finished->file;
        free(finished);
    }
    assert(batch->segment == journal->segment->number);
    commit->batch = batch;
    commit->file = journal->segment->file;
    memcpy(commit->salt, journal->segment->salt, SALT_BYTES);
    journal->commit_count++;
    return &commit->errand;
}

static struct errand *space_errand(struct journal *journal)
{
    bool is_hasty = planted(PLANT_TRIM_BEFORE_SYNC) || planted(PLANT_RESTATED_TOO_EARLY);
    uint64_t oldest = is_hasty ? journal->sealed_oldest : journal->durable_oldest;
    if (journal->hold_count > 0)
        oldest = journal->held_oldest;
    return space_next(&journal->space, journal->write_segment + 1, oldest, journal->now_ms);
}

void journal_post(struct journal *journal, struct errand *errand)
{
    if (errand != NULL)
        journal->post(journal->post_context, errand);
}

void journal_round(struct journal *journal, uint64_t now_ms)
{
    assert(journal->open_bytes == 0);
    journal->now_ms = now_ms;
    cache_evict(&journal->cache, journal->durable_position, journal->chunk);
    if (journal->is_failed)
        return;
    journal_post(journal, commit_next(journal));
    journal_post(journal, space_errand(journal));
    journal_post(journal, fetch_next(&journal->fetch, &journal->cache, &journal->homes,
                                     journal->durable_position));
}

static enum status fail(struct journal *journal, uint64_t segment, int error, const char *text)
{
    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_SEGMENT, segment);
    journal->is_failed = true;
    return failure_set(&journal->failure, STATUS_IO_ERROR, name, error, "%s", text);
}

static enum status take_back_commit(struct journal *journal)
{
    const struct commit *commit = &journal->commits[journal->commit_first];
    struct batch *batch = commit->batch;
    journal->commit_first = (journal->commit_first + 1) % COMMITS_OUT_MAX;
    journal->commit_count--;
    if (commit->failed != NULL) {
        (void)fail(journal, batch->segment, commit->error, commit->failed);
        failure_set_offset(&journal->failure, batch->offset);
        return STATUS_IO_ERROR;
    }
    assert(batch == journal->sealed && batch->position >= journal->durable_position);
    journal->sealed = batch->next;
    if (journal->sealed == NULL)
        journal->sealed_end = &journal->sealed;
    journal->durable_position = batch->position + batch->total_bytes;
    journal->durable_oldest = batch->header.oldest_kept;
    journal->pending_bytes -= batch->header.payload_bytes;
    journal->commit_ms = journal->now_ms;
    journal->is_mark_due = batch->header.flags == 0;
    journal->batch_count++;
    journal->byte_count += batch->total_bytes;
    batch->next = journal->unused;
    journal->unused = batch;
    return STATUS_OK;
}

static enum status take_back_space(struct journal *journal)
{
    struct segment_file *prepared;
    int error = space_take_back(&journal->space, journal->now_ms, &prepared);
    if (error != 0)
        return fail(journal, journal->space.files_last + 1, error,
                    "cannot prepare or free a segment");
    if (prepared != NULL) {
        journal->segment_newest->next = prepared;
        journal->segment_newest = prepared;
    }
    return STATUS_OK;
}

enum status journal_on_errand(struct journal *journal, struct errand *errand)
{
    if (errand->worker == ERRAND_COMMIT)
        return take_back_commit(journal);
    if (errand == &journal->space.work.errand)
        return take_back_space(journal);
    return journal_on_read(journal, errand);
}

const struct journal_failure *journal_failure(const struct journal *journal)
{
    return &journal->failure;
}

uint64_t journal_durable_position(const struct journal *journal)
{
    return journal->durable_position;
}

uint64_t journal_end_position(const struct journal *journal)
{
    return journal->write_position;
}

uint64_t journal_news_position(const struct journal *journal)
{
    return journal->news_position;
}

uint64_t journal_pending_bytes(const struct journal *journal)
{
    return journal->pending_bytes;
}

static enum status run_errand(struct journal *journal, struct errand *errand)
{
    errand->run(errand);
    return journal_on_errand(journal, errand);
}

/* Writes all that is there; segments that are missing are prepared on the way. */
static enum status write_all(struct journal *journal)
{
    journal->is_hurried = true;
    while (journal->batch != NULL || journal->sealed != NULL) {
        struct errand *errand = commit_next(journal);
        bool is_space = errand == NULL;
        if (is_space)
            errand = space_errand(journal);
        if (errand == NULL)
            return fail(journal, journal->write_segment, 0, "a segment is missing at the end");
        enum status status = run_errand(journal, errand);
        if (status != STATUS_OK)
            return status;
        if (is_space && journal->space.work.error != 0)
            return fail(journal, journal->write_segment, journal->space.work.error,
                        "cannot prepare a segment at the end");
    }
    return STATUS_OK;
}

enum status journal_stop(struct journal *journal, uint64_t now_ms)
{
    assert(journal->commit_count == 0 && !journal->space.is_out && !journal->fetch.is_out &&
           !journal->oldest.is_out && !journal->copy.is_out);
    assert(journal->open_bytes == 0);
    if (journal->is_failed)
        return STATUS_IO_ERROR;
    journal->now_ms = now_ms;
    enum status status = write_all(journal);
    if (status != STATUS_OK)
        return status;
    append_mark(journal, BATCH_MARK | BATCH_CLEAN, 0);
    if (journal->sealed == NULL)
        return failure_set(&journal->failure, STATUS_NO_MEMORY, "", 0,
                           "no room for the mark of a clean stop");
    return write_all(journal);
}

static void free_batches(struct batch *batch)
{
    while (batch != NULL) {
        struct batch *next = batch->next;
        free(batch);
        batch = next;
    }
}

void journal_free(struct journal *journal)
{
    if (journal == NULL)
        return;
    for (unsigned i = 0; i < COMMITS_OUT_MAX; i++)
        if (journal->commits[i].finished_file >= 0)
            (void)journal->disk->close(journal->disk->context, journal->commits[i].finished_file);
    while (journal->segment != NULL) {
        struct segment_file *next = journal->segment->next;
        (void)journal->disk->close(journal->disk->context, journal->segment->file);
        free(journal->segment);
        journal->segment = next;
    }
    free_batches(journal->sealed);
    free_batches(journal->unused);
    free(journal->batch);
    space_deinit(&journal->space);
    homes_deinit(&journal->homes);
    cache_deinit(&journal->cache);
    fetch_deinit(&journal->fetch);
    oldest_deinit(&journal->oldest);
    copy_deinit(&journal->copy);
    free(journal);
}
