/* Recovery: check everything, replay what is kept, and only then touch the disk.
 *
 *   directory_read --> check_files --> find_last --> replay --> repair
 *   (names)            (sizes, headers)  (last batch)  (records)   (first write)
 *
 * The last batch is found before the first record is replayed, because it says which segments are
 * still part of the journal: older ones are leftovers of a trim and are not looked into.
 *
 * Torn or rotten. One batch is in flight at a time, so batch n+1 on disk proves that batch n was
 * synced. Behind the last batch that verifies, a header with the very next sequence at the very
 * next place is a torn tail and is cut; any other header that verifies, be it only the header, says
 * that something which was on disk is not there any more. Headers hold the segment's salt, so
 * neither what an earlier use of the file left behind nor the body of a message can pass for one.
 *
 * Repair, in this order, each step harmless when done again after a crash in any of them:
 *   1. the header of a torn batch is overwritten, so that no later crash can complete it;
 *   2. the used part of the last segment is written again and synced, because after a failed sync
 * the system shows bytes that the disk may not have (after a clean stop only its last batch, which
 * is all that can be in that state);
 *   3. the directory is synced: whoever was killed before may have left a name that is not on disk,
 * and two of them at once could come back as a gap;
 *   4. segments prepared ahead become spares again, newest first, losing their salts;
 *   5. leftovers of a trim go, oldest first: only now is the batch that allows it surely on disk.
 */
#include "broker/store/recovery.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/store/directory.h"
#include "broker/store/disk_io.h"
#include "broker/store/failure.h"
#include "broker/store/space.h"
#include "broker/store/walk.h"
#include "broker/plant.h"
#include "protocol/wire.h"

/* What is in memory of a segment: enough that the calls do not count. */
#define WINDOW_BYTES (4u << 20)
#define PROGRESS_BYTES (16u << 20)

struct recovery {
    const struct recovery_input *input;
    const struct disk *disk;
    struct journal_failure *failure;
    struct recovered *out;
    struct directory directory;
    struct window window;
    uint64_t first; /* oldest and newest segment file */
    uint64_t newest;
    uint64_t last; /* segment with the last batch */
    uint64_t kept; /* oldest segment that is part of the journal */
    uint32_t end;  /* offset behind the last batch */
    uint32_t last_offset;
    uint64_t sequence;   /* of the next batch */
    uint64_t said_bytes; /* of the replay, when somebody was told last */
    struct batch_header last_header;
    uint32_t ahead_count; /* headers found in segments behind the last one */
    uint64_t ahead_segment;
    uint32_t ahead_offset;
    struct batch_header ahead_header;
    bool is_torn_here; /* the torn batch has its header in the last segment */
};

static enum status fail_at(struct recovery *recovery, uint64_t segment, uint32_t offset,
                           const char *text)
{
    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_SEGMENT, segment);
    uint64_t position = segment * recovery->out->segment_bytes + offset;
    enum status status =
        failure_set(recovery->failure, STATUS_CORRUPT, name, 0,
                    "%s: positions %" PRIu64 " to %" PRIu64 " are affected", text, position,
                    (recovery->last > segment ? recovery->last + 1 : segment + 1) *
                        recovery->out->segment_bytes);
    failure_set_offset(recovery->failure, offset);
    return status;
}

/* The file is of another size than most are, or no file at all. */
static enum status fail_size(struct recovery *recovery, const struct directory_entry *entry)
{
    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_SEGMENT, entry->number);
    int file = recovery->disk->open(recovery->disk->context, name, DISK_OPEN_READ);
    if (file < 0 && file != -EINVAL)
        return failure_set(recovery->failure, STATUS_IO_ERROR, name, file,
                           "cannot open the segment");
    if (file >= 0)
        (void)recovery->disk->close(recovery->disk->context, file);
    uint64_t segment_bytes = recovery->window.segment_bytes;
    uint64_t whole = file < 0 ? 0 : entry->bytes;
    char range[96] = "";
    if (segment_bytes != 0) {
        uint64_t first = entry->number * segment_bytes;
        (void)snprintf(range, sizeof range, ": positions %" PRIu64 " to %" PRIu64 " are affected",
                       first + (whole < segment_bytes ? whole : 0), first + segment_bytes);
        if (whole > segment_bytes)
            whole = segment_bytes;
    }
    if (file < 0)
        (void)failure_set(recovery->failure, STATUS_CORRUPT, name, 0, "not a regular file%s",
                          range);
    else
        (void)failure_set(recovery->failure, STATUS_CORRUPT, name, 0,
                          "the segment is of a wrong size: it has %" PRIu64
                          " bytes, most have %" PRIu64 "%s",
                          entry->bytes, segment_bytes, range);
    failure_set_offset(recovery->failure, whole);
    return STATUS_CORRUPT;
}

/* The segments from `missing` on are not there, `entry` is the first one behind them. */
static enum status fail_missing(struct recovery *recovery, const struct directory_entry *entry,
                                uint64_t missing)
{
    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_SEGMENT, missing);
    uint32_t segment_bytes = recovery->window.segment_bytes;
    return failure_set(recovery->failure, STATUS_CORRUPT, name, 0,
                       "the segment is missing, newer ones are there: positions %" PRIu64
                       " to %" PRIu64 " are affected",
                       missing * segment_bytes, entry->number * segment_bytes);
}

/* The size of most of the files, so that the one that differs is blamed; 0: none is possible. */
static uint32_t usual_bytes(const struct directory_entries *entries)
{
    uint64_t usual = 0;
    size_t votes = 0;
    for (size_t i = 0; i < entries->count; i++) {
        uint64_t bytes = entries->entry[i].bytes;
        if (bytes < SEGMENT_BYTES_MIN || bytes > UINT32_MAX || bytes % SEGMENT_HEADER_BYTES != 0)
            continue;
        if (usual == 0 || (votes == 0 && bytes != usual))
            usual = bytes;
        votes = bytes == usual ? votes + 1 : votes - 1;
    }
    return (uint32_t)usual;
}

static enum status check_files(struct recovery *recovery)
{
    const struct directory_entries *segments = &recovery->directory.segments;
    uint32_t segment_bytes = usual_bytes(segments);
    window_init(&recovery->window, recovery->disk, segment_bytes, WINDOW_BYTES, recovery->failure);
    for (size_t i = 0; i < segments->count; i++) {
        const struct directory_entry *entry = &segments->entry[i];
        uint64_t expected = segments->entry[0].number + i;
        if (entry->number != expected)
            return fail_missing(recovery, entry, expected);
        enum status status = entry->bytes == segment_bytes
                                 ? window_open(&recovery->window, entry->number)
                                 : fail_size(recovery, entry);
        if (status != STATUS_OK)
            return status;
    }
    assert(segment_bytes >= SEGMENT_BYTES_MIN);
    recovery->out->segment_bytes = segment_bytes;
    recovery->first = segments->entry[0].number;
    recovery->newest = segments->entry[segments->count - 1].number;
    return STATUS_OK;
}

/* Counts the batch headers in a segment without a first batch. */
static void count_headers(struct recovery *recovery)
{
    struct batch_header header;
    uint32_t offset = SEGMENT_HEADER_BYTES;
    while ((offset = walk_find_header(&recovery->window, offset, &header)) != 0) {
        recovery->ahead_count++;
        recovery->ahead_segment = recovery->window.number;
        recovery->ahead_offset = offset;
        recovery->ahead_header = header;
        offset += BATCH_ALIGN;
    }
}

/* What stands behind the last batch: nothing, its torn successor, or proof of damage. */
static enum status judge_tail(struct recovery *recovery)
{
    struct batch_header header;
    uint32_t offset = walk_find_header(&recovery->window, recovery->end, &header);
    if (offset == recovery->end && offset != 0 && header.sequence == recovery->sequence) {
        recovery->is_torn_here = true;
        uint64_t total = batch_total_bytes(header.payload_bytes);
        uint64_t left = recovery->out->segment_bytes - recovery->end;
        recovery->out->seen.cut_bytes = total < left ? total : left;
        offset = walk_find_header(&recovery->window, recovery->end + BATCH_ALIGN, &header);
    }
    if (recovery->window.status != STATUS_OK)
        return recovery->window.status;
    if (offset != 0 && !planted(PLANT_CUT_IN_THE_MIDDLE))
        return fail_at(recovery, recovery->last, recovery->end,
                       "a batch does not verify, but a later one behind it is there");
    if (recovery->ahead_count == 0)
        return STATUS_OK;
    if (recovery->ahead_count > 1 || recovery->ahead_segment != recovery->last + 1 ||
        recovery->ahead_offset != SEGMENT_HEADER_BYTES ||
        recovery->ahead_header.sequence != recovery->sequence)
        return fail_at(recovery, recovery->last, recovery->end,
                       "a batch does not verify, but a later one in a newer segment is there");
    recovery->out->seen.cut_bytes = batch_total_bytes(recovery->ahead_header.payload_bytes);
    return STATUS_OK;
}

static enum status find_last(struct recovery *recovery)
{
    struct walk walk;
    for (uint64_t number = recovery->newest;; number--) {
        enum status status = window_open(&recovery->window, number);
        if (status != STATUS_OK)
            return status;
        walk_start(&walk, &recovery->window, 0);
        recovery->last = number;
        if (walk_next(&walk) || number == recovery->first)
            break;
        count_headers(recovery);
        if (recovery->window.status != STATUS_OK)
            return recovery->window.status;
    }
    while (walk_next(&walk))
        continue;
    if (recovery->window.status != STATUS_OK)
        return recovery->window.status;
    recovery->end = walk.offset;
    recovery->last_offset = walk.last_offset;
    recovery->last_header = walk.last;
    recovery->sequence = walk.sequence != 0 ? walk.sequence : 1;
    recovery->kept = walk.last_offset != 0 ? walk.last.oldest_kept : 1;
    if (recovery->kept < recovery->first)
        return fail_missing(recovery, &recovery->directory.segments.entry[0], recovery->kept);
    enum status status = judge_tail(recovery);
    if (status != STATUS_OK)
        return status;
    if (recovery->kept > recovery->last)
        return fail_at(recovery, recovery->last, recovery->last_offset,
                       "the last batch names a segment as kept that does not exist");
    return STATUS_OK;
}

static enum status replay_batch(struct recovery *recovery, const struct walk *walk)
{
    const struct recovery_input *input = recovery->input;
    struct journal_recovery *seen = &recovery->out->seen;
    if (walk->last.now_ms > seen->newest_ms)
        seen->newest_ms = walk->last.now_ms;
    uint32_t offset = walk->last_offset + BATCH_HEADER_BYTES;
    for (uint32_t i = 0; i < walk->last.record_count; i++) {
        const unsigned char *record = walk->at + (offset - walk->last_offset);
        uint32_t bytes = wire_load_u32(record);
        uint64_t position =
            recovery->window.number * recovery->out->segment_bytes + offset + RECORD_HEADER_BYTES;
        enum status status =
            input->reader->on_record(input->reader->argument, position,
                                     record + RECORD_HEADER_BYTES, bytes, walk->last.now_ms);
        if (status != STATUS_OK)
            return status;
        seen->record_count++;
        seen->byte_count += bytes;
        offset += RECORD_HEADER_BYTES + bytes;
    }
    return STATUS_OK;
}

/* A segment that is not the last ended where the walk stopped: was that its end, or damage? It was
 * the end when the next segment goes on with the next sequence, which the next walk finds out. When
 * that fails, this tells whose fault it was. */
static enum status fail_between(struct recovery *recovery, uint32_t end_before, uint64_t expected)
{
    uint64_t number = recovery->window.number;
    struct batch_place place = {recovery->window.salt, number, SEGMENT_HEADER_BYTES};
    struct batch_header header;
    const unsigned char *at = window_at(&recovery->window, SEGMENT_HEADER_BYTES, BATCH_ALIGN);
    if (at == NULL)
        return recovery->window.status;
    if (number > recovery->kept && expected != 0 && batch_header_decode(at, &place, &header) &&
        header.sequence != expected)
        return fail_at(recovery, number - 1, end_before,
                       "batches are missing or do not verify, later segments go on");
    return fail_at(recovery, number, SEGMENT_HEADER_BYTES,
                   "the segment's first batch does not verify, later ones are there");
}

/* Tells how far the replay is, now and then. */
static void say_progress(struct recovery *recovery, uint64_t number, uint32_t offset)
{
    const struct recovery_input *input = recovery->input;
    uint64_t done = (number - recovery->kept) * recovery->out->segment_bytes + offset;
    if (input->reader->on_progress == NULL || done - recovery->said_bytes < PROGRESS_BYTES)
        return;
    recovery->said_bytes = done;
    input->reader->on_progress(input->reader->argument, done,
                               (recovery->last - recovery->kept) * recovery->out->segment_bytes +
                                   recovery->end);
}

static enum status replay_segment(struct recovery *recovery, struct walk *walk)
{
    while (walk_next(walk)) {
        enum status status = replay_batch(recovery, walk);
        if (status != STATUS_OK)
            return status;
        say_progress(recovery, recovery->window.number, walk->offset);
    }
    return recovery->window.status;
}

static enum status replay(struct recovery *recovery)
{
    struct walk walk = {0};
    for (uint64_t number = recovery->kept; number <= recovery->last; number++) {
        enum status status = window_open(&recovery->window, number);
        if (status != STATUS_OK)
            return status;
        uint32_t end_before = walk.offset;
        uint64_t expected = walk.sequence;
        walk_start(&walk, &recovery->window, expected);
        status = replay_segment(recovery, &walk);
        if (status != STATUS_OK)
            return status;
        if (walk.last_offset == 0 && recovery->last_offset != 0)
            return fail_between(recovery, end_before, expected);
    }
    assert(walk.offset == recovery->end);
    return STATUS_OK;
}

/* Spares that can be used are noted; the others and what was left half made go. */
static enum status sort_spares(struct recovery *recovery)
{
    const struct disk *disk = recovery->disk;
    struct directory *directory = &recovery->directory;
    struct recovered *out = recovery->out;
    char name[SEGMENT_NAME_BYTES];
    out->spares = calloc(directory->spares.count + directory->segments.count +
                             (size_t)SPACE_KEPT * recovery->input->options->spare_count + 1,
                         sizeof *out->spares);
    if (out->spares == NULL)
        return STATUS_NO_MEMORY;
    for (size_t i = 0; i < directory->makings.count; i++) {
        segment_print_name(name, NAME_MAKING, directory->makings.entry[i].number);
        (void)disk->remove(disk->context, name);
        if (directory->makings.entry[i].number >= out->next_spare)
            out->next_spare = directory->makings.entry[i].number + 1;
    }
    for (size_t i = 0; i < directory->spares.count; i++) {
        const struct directory_entry *entry = &directory->spares.entry[i];
        segment_print_name(name, NAME_SPARE, entry->number);
        if (entry->number >= out->next_spare)
            out->next_spare = entry->number + 1;
        int file = disk->open(disk->context, name, DISK_OPEN_READ);
        if (file < 0)
            continue;
        (void)disk->close(disk->context, file);
        if (entry->bytes == out->segment_bytes)
            out->spares[out->spare_count++] = entry->number;
        else
            (void)disk->remove(disk->context, name);
    }
    return STATUS_OK;
}

/* Takes a segment out of the journal. */
static int put_away(struct recovery *recovery, uint64_t number)
{
    struct recovered *out = recovery->out;
    if (out->spare_count >= recovery->input->options->spare_count)
        return segment_remove(recovery->disk, number);
    int error = segment_recycle(recovery->disk, number, out->next_spare);
    if (error == 0)
        out->spares[out->spare_count++] = out->next_spare++;
    return error;
}

static int rewrite_tail(struct recovery *recovery, int file)
{
    static const unsigned char zeros[BATCH_ALIGN];
    const struct disk *disk = recovery->disk;
    if (recovery->is_torn_here) {
        int error = disk_write_all(disk, file, zeros, sizeof zeros, recovery->end);
        if (error != 0)
            return error;
    }
    uint32_t from = recovery->out->seen.was_clean ? recovery->last_offset : 0;
    if (planted(PLANT_NO_TAIL_REWRITE))
        from = recovery->end;
    while (from < recovery->end) {
        uint32_t left = recovery->end - from;
        uint32_t bytes = left < WINDOW_BYTES ? left : WINDOW_BYTES;
        const unsigned char *at = window_at(&recovery->window, from, bytes);
        int lack = recovery->window.status == STATUS_NO_MEMORY ? -ENOMEM : -EIO;
        int error = at == NULL ? lack : disk_write_all(disk, file, at, bytes, from);
        if (error != 0)
            return error;
        from += bytes;
    }
    return disk->sync(disk->context, file);
}

static enum status repair(struct recovery *recovery, struct segment_file *segment)
{
    const struct disk *disk = recovery->disk;
    enum status status = sort_spares(recovery);
    if (status != STATUS_OK)
        return status;
    int file;
    status = segment_open(disk, recovery->last, DISK_OPEN_WRITE, &file, recovery->failure);
    if (status != STATUS_OK)
        return status;
    segment->file = file;
    segment->number = recovery->last;
    for (size_t i = 0; i < SALT_BYTES; i++)
        segment->salt[i] = recovery->window.salt[i];
    int error = rewrite_tail(recovery, file);
    if (error == 0)
        error = disk->sync_directory(disk->context);
    for (uint64_t n = recovery->newest; n > recovery->last && error == 0; n--)
        error = put_away(recovery, n);
    for (uint64_t n = recovery->first; n < recovery->kept && error == 0; n++)
        error = put_away(recovery, n);
    if (error == 0)
        return STATUS_OK;
    if (error == -ENOMEM)
        return STATUS_NO_MEMORY;
    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_SEGMENT, recovery->last);
    return failure_set(recovery->failure, STATUS_IO_ERROR, name, error,
                       "cannot write the journal's tail again");
}

static enum status tell_read(const struct recovery *recovery)
{
    const struct journal_reader *reader = recovery->input->reader;
    return reader->on_read != NULL ? reader->on_read(reader->argument) : STATUS_OK;
}

static enum status open_existing(struct recovery *recovery, struct segment_file *segment)
{
    struct recovered *out = recovery->out;
    enum status status = check_files(recovery);
    if (status == STATUS_OK)
        status = find_last(recovery);
    if (status != STATUS_OK)
        return status;
    struct homes *homes = recovery->input->homes;
    if (homes != NULL) {
        homes_init(homes, out->segment_bytes, recovery->kept);
        status = homes_reserve(homes, recovery->last);
    }
    if (status == STATUS_OK)
        status = replay(recovery);
    if (status != STATUS_OK)
        return status;
    out->seen.was_clean = recovery->last_offset != 0 &&
                          (recovery->last_header.flags & BATCH_CLEAN) != 0 &&
                          out->seen.cut_bytes == 0;
    status = tell_read(recovery);
    if (status == STATUS_OK && !recovery->input->is_check)
        status = repair(recovery, segment);
    out->end_offset = recovery->end;
    out->next_sequence = recovery->sequence;
    out->first_segment = recovery->kept;
    return status;
}

static enum status open_new(struct recovery *recovery, struct segment_file *segment)
{
    struct recovered *out = recovery->out;
    const struct disk *disk = recovery->disk;
    out->segment_bytes = recovery->input->options->segment_bytes;
    homes_init(recovery->input->homes, out->segment_bytes, 1);
    enum status status = homes_reserve(recovery->input->homes, 1);
    if (status == STATUS_OK)
        status = sort_spares(recovery);
    if (status != STATUS_OK)
        return status;
    int error = 0;
    if (out->spare_count == 0) {
        error = spare_make(disk, out->next_spare, out->segment_bytes);
        out->spares[out->spare_count++] = out->next_spare++;
    }
    segment->number = 1;
    bool is_renamed;
    if (error == 0)
        error = segment_prepare(segment, disk, out->spares[--out->spare_count], out->segment_bytes,
                                &is_renamed);
    if (error != 0)
        return failure_set(recovery->failure, STATUS_IO_ERROR, "", error,
                           "cannot make the first segment of the journal");
    out->seen.was_clean = true;
    out->end_offset = SEGMENT_HEADER_BYTES;
    out->next_sequence = 1;
    out->first_segment = 1;
    return STATUS_OK;
}

/* Gives back what an attempt that ended has. */
static void drop(struct recovery *recovery, struct segment_file *segment)
{
    if (segment != NULL && segment->file >= 0)
        (void)recovery->disk->close(recovery->disk->context, segment->file);
    free(segment);
    free(recovery->out->spares);
    *recovery->out = (struct recovered){.seen = recovery->out->seen};
}

/* A new journal has its first segment before its second spare. */
static enum status check_new(struct recovery *recovery)
{
    const struct directory_entries *spares = &recovery->directory.spares;
    uint32_t bytes = usual_bytes(spares);
    size_t count = 0;
    for (size_t i = 0; i < spares->count; i++)
        count += bytes != 0 && spares->entry[i].bytes == bytes;
    if (count < 2)
        return STATUS_OK;
    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_SPARE, spares->entry[0].number);
    return failure_set(recovery->failure, STATUS_CORRUPT, name, 0,
                       "all segments are missing, only spares are there: every position is "
                       "affected (without the spares a new journal would begin)");
}

static enum status open_found(struct recovery *recovery, struct segment_file *segment)
{
    if (recovery->directory.segments.count > 0)
        return open_existing(recovery, segment);
    enum status status = check_new(recovery);
    if (status == STATUS_OK)
        status = tell_read(recovery);
    if (status != STATUS_OK)
        return status;
    if (!recovery->input->is_check)
        return open_new(recovery, segment);
    recovery->out->seen.was_clean = true;
    return STATUS_OK;
}

enum status recovery_run(struct recovered *recovered, const struct recovery_input *input)
{
    *recovered = (struct recovered){0};
    struct recovery recovery = {
        .input = input, .disk = input->disk, .failure = input->failure, .out = recovered};
    struct segment_file *segment = calloc(1, sizeof *segment);
    enum status status = directory_read(&recovery.directory, input->disk, input->failure);
    if (segment == NULL && status == STATUS_OK)
        status = STATUS_NO_MEMORY;
    if (segment != NULL)
        segment->file = -1;
    if (status == STATUS_OK)
        status = open_found(&recovery, segment);
    directory_deinit(&recovery.directory);
    window_deinit(&recovery.window);
    recovered->seen.segment_bytes = recovered->segment_bytes;
    recovered->seen.first_position = recovered->first_segment * (uint64_t)recovered->segment_bytes;
    if (status == STATUS_OK && !input->is_check) {
        recovered->segment = segment;
        return STATUS_OK;
    }
    drop(&recovery, segment);
    if (status == STATUS_NO_MEMORY)
        return failure_set(input->failure, status, "", 0, "out of memory");
    return status;
}
