/* Reading a journal that may be damaged.
 *
 *   survey (names, sizes, headers) --> find_last (newest batch header) --> every segment, in order
 *
 * What is believed. A batch header that verifies at its place, under the salt of its segment, is
 * one that was written there: no body can hold the salt. The batch's checksum over the headers of
 * its records makes their lengths sure, and then each record stands for itself; where it does not
 * verify, no record of the batch is taken, because what verifies alone may be left from an earlier
 * use of the file. A segment whose own header is gone takes the salt of the batch at its beginning,
 * where no body ever stands.
 *
 * What is a torn tail and no damage: the newest header of all, at the place and with the sequence
 * that come next, whose records are not there.
 */
#include "broker/store/inspect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/batch.h"
#include "broker/store/crc32c.h"
#include "broker/store/directory.h"
#include "broker/store/disk_io.h"
#include "broker/store/failure.h"
#include "protocol/wire.h"

struct inspect {
    const struct disk *disk;
    const struct inspect_reader *reader;
    struct inspect_summary *summary;
    struct journal_failure *failure;
    struct directory directory;

    unsigned char *at; /* the segment that is loaded */
    unsigned char salt[SALT_BYTES];
    uint64_t number;
    bool is_readable; /* its salt is known */

    uint64_t last_segment; /* the newest batch header that verifies; 0: none */
    uint32_t last_offset;

    uint64_t end_segment; /* behind the last batch that was told */
    uint32_t end_offset;
    uint64_t sequence; /* of the next batch; 0: any */
    uint64_t before_ms;
};

/* --- telling -----------------------------------------------------------------------------------
 */

static uint64_t position_of(const struct inspect *inspect, uint64_t segment, uint32_t offset)
{
    return segment * inspect->summary->segment_bytes + offset;
}

/* Damage that begins at a place of a file; nothing is lost by it yet. */
static struct inspect_damage damage_at(const struct inspect *inspect, uint64_t segment,
                                       uint32_t offset, const char *text)
{
    struct inspect_damage damage = {.offset = offset, .before_ms = inspect->before_ms};
    segment_print_name(damage.file, NAME_SEGMENT, segment);
    (void)snprintf(damage.text, sizeof damage.text, "%s", text);
    damage.first_position = position_of(inspect, segment, offset);
    damage.end_position = damage.first_position;
    damage.first_sequence = damage.end_sequence = inspect->sequence;
    return damage;
}

static enum status tell(struct inspect *inspect, const struct inspect_damage *damage)
{
    inspect->summary->damage_count++;
    return inspect->reader->on_damage(inspect->reader->argument, damage);
}

static enum status tell_record(struct inspect *inspect, const struct batch_header *header,
                               uint32_t offset)
{
    const unsigned char *record = inspect->at + offset;
    struct inspect_record told = {
        .at = record + RECORD_HEADER_BYTES,
        .bytes = wire_load_u32(record),
        .position = position_of(inspect, inspect->number, offset + RECORD_HEADER_BYTES),
        .segment = inspect->number,
        .sequence = header->sequence,
        .now_ms = header->now_ms,
    };
    inspect->summary->record_count++;
    inspect->summary->record_bytes += told.bytes;
    return inspect->reader->on_record(inspect->reader->argument, &told);
}

/* --- loading -----------------------------------------------------------------------------------
 */

/* The salt of a segment without a header: from its first batch, if that one is there. */
static bool take_salt_of_batch(struct inspect *inspect)
{
    struct batch_header header;
    memcpy(inspect->salt, inspect->at + SEGMENT_HEADER_BYTES + 8, SALT_BYTES);
    struct batch_place place = {inspect->salt, inspect->number, SEGMENT_HEADER_BYTES};
    return batch_header_decode(inspect->at + SEGMENT_HEADER_BYTES, &place, &header);
}

/* Zeros stand for what is behind the end of a file that is too short. */
static int read_file(struct inspect *inspect, const char *name)
{
    const struct disk *disk = inspect->disk;
    uint32_t segment_bytes = inspect->summary->segment_bytes;
    uint32_t done = 0;
    memset(inspect->at, 0, segment_bytes);
    int file = disk->open(disk->context, name, DISK_OPEN_READ);
    if (file < 0)
        return file;
    int64_t count = 1;
    while (done < segment_bytes && count > 0) {
        count = disk->read(disk->context, file, inspect->at + done, segment_bytes - done, done);
        done += count > 0 ? (uint32_t)count : 0;
    }
    (void)disk->close(disk->context, file);
    return count < 0 ? (int)count : 0;
}

/* The salt of what was read; what is wrong with its header goes into `text`. */
static enum status judge_header(struct inspect *inspect, const struct directory_entry *entry,
                                char *text, size_t text_bytes)
{
    struct segment_header header;
    enum status status = segment_header_decode(inspect->at, &header);
    if (status == STATUS_NEWER_FORMAT)
        return status;
    if (status == STATUS_OK && header.number != inspect->number) {
        (void)snprintf(text, text_bytes,
                       "it is segment %016" PRIx64 " under a wrong name: give it back its own",
                       header.number);
        return STATUS_OK;
    }
    inspect->is_readable = status == STATUS_OK || take_salt_of_batch(inspect);
    if (status == STATUS_OK)
        memcpy(inspect->salt, header.salt, SALT_BYTES);
    else
        (void)snprintf(text, text_bytes, "the segment's header does not verify");
    if (status == STATUS_OK && (header.segment_bytes != inspect->summary->segment_bytes ||
                                header.first_position != position_of(inspect, header.number, 0)))
        (void)snprintf(text, text_bytes, "the segment is of another size than the others");
    else if (entry->bytes != inspect->summary->segment_bytes)
        (void)snprintf(text, text_bytes, "the file has %" PRIu64 " bytes instead of %" PRIu32,
                       entry->bytes, inspect->summary->segment_bytes);
    return STATUS_OK;
}

/* Loads a segment; `text` says what is wrong with it as a file, or is empty. */
static enum status load(struct inspect *inspect, const struct directory_entry *entry, char *text,
                        size_t text_bytes)
{
    char name[SEGMENT_NAME_BYTES];
    text[0] = '\0';
    inspect->number = entry->number;
    inspect->is_readable = false;
    segment_print_name(name, NAME_SEGMENT, entry->number);
    int error = read_file(inspect, name);
    if (error == -EINVAL) {
        (void)snprintf(text, text_bytes, "it is not a regular file");
        return STATUS_OK;
    }
    if (error == -EIO) {
        (void)snprintf(text, text_bytes, "the disk cannot read the file: %s", strerror(EIO));
        return STATUS_OK;
    }
    if (error != 0)
        return failure_set(inspect->failure, STATUS_IO_ERROR, name, error, "cannot be read");
    enum status status = judge_header(inspect, entry, text, text_bytes);
    if (status == STATUS_NEWER_FORMAT)
        return failure_set(inspect->failure, status, name, 0,
                           "the segment was written by a newer version of the journal");
    return status;
}

/* --- finding -----------------------------------------------------------------------------------
 */

static bool header_at(const struct inspect *inspect, uint32_t offset, struct batch_header *header)
{
    struct batch_place place = {inspect->salt, inspect->number, offset};
    return inspect->summary->segment_bytes - offset >= BATCH_ALIGN &&
           batch_header_decode(inspect->at + offset, &place, header);
}

/* The next header at or behind an offset, or the end of the segment. */
static uint32_t find_header(const struct inspect *inspect, uint32_t offset,
                            struct batch_header *header)
{
    uint32_t end = inspect->summary->segment_bytes;
    while (offset < end && !header_at(inspect, offset, header))
        offset += BATCH_ALIGN;
    return offset < end ? offset : end;
}

/* Which size the segments have: what the headers say, else the size of most files. */
static enum status find_size(struct inspect *inspect)
{
    const struct directory_entries *segments = &inspect->directory.segments;
    size_t best = 0;
    for (size_t i = 0; i < segments->count; i++) {
        uint64_t bytes = segments->entry[i].bytes;
        size_t like = 0;
        for (size_t j = 0; j < segments->count; j++)
            like += segments->entry[j].bytes == bytes;
        bool is_possible =
            bytes >= SEGMENT_BYTES_MIN && bytes <= UINT32_MAX && bytes % SEGMENT_HEADER_BYTES == 0;
        if (is_possible && like > best) {
            best = like;
            inspect->summary->segment_bytes = (uint32_t)bytes;
        }
    }
    if (best == 0)
        return failure_set(inspect->failure, STATUS_CORRUPT, "", 0,
                           "no segment has a size that a segment can have");
    inspect->at = malloc(inspect->summary->segment_bytes);
    return inspect->at != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

/* The newest batch header in the segment that is loaded. */
static void find_last_here(struct inspect *inspect, uint64_t *oldest_kept)
{
    uint32_t segment_bytes = inspect->summary->segment_bytes;
    struct batch_header header = {0};
    uint32_t offset = SEGMENT_HEADER_BYTES;
    while ((offset = find_header(inspect, offset, &header)) < segment_bytes) {
        inspect->last_segment = inspect->number;
        inspect->last_offset = offset;
        *oldest_kept = header.oldest_kept;
        offset += BATCH_ALIGN;
    }
}

/* The newest batch header of all, and what it says about the oldest segment kept. */
static enum status find_last(struct inspect *inspect)
{
    const struct directory_entries *segments = &inspect->directory.segments;
    uint64_t oldest_kept = 1;
    char text[160];
    for (size_t i = segments->count; i > 0 && inspect->last_segment == 0; i--) {
        enum status status = load(inspect, &segments->entry[i - 1], text, sizeof text);
        if (status != STATUS_OK)
            return status;
        if (inspect->is_readable)
            find_last_here(inspect, &oldest_kept);
    }
    inspect->summary->kept_segment = oldest_kept;
    return STATUS_OK;
}

/* --- reading -----------------------------------------------------------------------------------
 */

/* Whether the lengths of the batch's records can be believed. */
static bool check_lengths(const struct inspect *inspect, uint32_t offset,
                          const struct batch_header *header)
{
    uint32_t checksum = crc32c(0, inspect->salt, SALT_BYTES);
    uint64_t left = header->payload_bytes;
    if (batch_total_bytes(left) > inspect->summary->segment_bytes - offset)
        return false;
    const unsigned char *record = inspect->at + offset + BATCH_HEADER_BYTES;
    for (uint32_t i = 0; i < header->record_count; i++) {
        uint32_t length = left > RECORD_HEADER_BYTES ? wire_load_u32(record) : 0;
        if (length == 0 || length > left - RECORD_HEADER_BYTES)
            return false;
        checksum = crc32c(checksum, record, RECORD_HEADER_BYTES);
        record += RECORD_HEADER_BYTES + length;
        left -= RECORD_HEADER_BYTES + length;
    }
    return left == 0 && checksum == header->payload_checksum;
}

static bool is_torn_tail(const struct inspect *inspect, uint32_t offset,
                         const struct batch_header *header)
{
    bool is_next_place =
        (inspect->number == inspect->end_segment && offset == inspect->end_offset) ||
        (inspect->number == inspect->end_segment + 1 && offset == SEGMENT_HEADER_BYTES);
    return inspect->number == inspect->last_segment && offset == inspect->last_offset &&
           header->sequence == inspect->sequence && is_next_place;
}

/* Tells the records of a batch that verify and what is lost with the others. */
static enum status read_records(struct inspect *inspect, uint32_t offset,
                                const struct batch_header *header)
{
    uint32_t at = offset + BATCH_HEADER_BYTES;
    for (uint32_t i = 0; i < header->record_count; i++) {
        uint32_t length = wire_load_u32(inspect->at + at);
        uint32_t total = RECORD_HEADER_BYTES + length;
        enum status status;
        if (record_check(inspect->at + at, total) != 0) {
            status = tell_record(inspect, header, at);
        } else {
            struct inspect_damage damage =
                damage_at(inspect, inspect->number, at, "a record does not verify");
            damage.first_sequence = header->sequence;
            damage.end_sequence = header->sequence + 1;
            damage.end_position += total;
            damage.lost_records = 1;
            damage.behind_ms = header->now_ms;
            status = tell(inspect, &damage);
        }
        if (status != STATUS_OK)
            return status;
        at += total;
    }
    return STATUS_OK;
}

static enum status lose_batch(struct inspect *inspect, uint32_t offset,
                              const struct batch_header *header)
{
    struct inspect_damage damage =
        damage_at(inspect, inspect->number, offset,
                  "a batch does not verify: the headers of its records are damaged");
    damage.first_sequence = header->sequence;
    damage.end_sequence = header->sequence + 1;
    uint64_t left = inspect->summary->segment_bytes - offset;
    uint64_t total = batch_total_bytes(header->payload_bytes);
    damage.end_position += total < left ? total : left;
    damage.lost_records = header->record_count;
    damage.behind_ms = header->now_ms;
    return tell(inspect, &damage);
}

/* Between where the reading has come to and the batch that was found next nothing may be missing.
 */
static enum status check_gap(struct inspect *inspect, uint32_t offset,
                             const struct batch_header *header)
{
    bool is_here = inspect->end_segment == inspect->number;
    uint32_t place = is_here ? inspect->end_offset : SEGMENT_HEADER_BYTES;
    bool is_expected = inspect->sequence == 0 || header->sequence == inspect->sequence;
    if (offset == place && is_expected)
        return STATUS_OK;
    /* What a newer segment does not begin with was at the end of the one before, if it was not at
     * its own beginning. */
    bool was_before = !is_here && offset == place && inspect->end_segment != 0;
    struct inspect_damage damage =
        was_before ? damage_at(inspect, inspect->end_segment, inspect->end_offset,
                               "batches are missing or do not verify, later ones are there")
                   : damage_at(inspect, inspect->number, place,
                               "no batch verifies here, later ones are there");
    damage.end_position = position_of(inspect, inspect->number, offset);
    damage.first_sequence = inspect->sequence;
    damage.end_sequence = header->sequence;
    damage.behind_ms = header->now_ms;
    return tell(inspect, &damage);
}

static enum status read_batch(struct inspect *inspect, uint32_t offset,
                              const struct batch_header *header)
{
    struct inspect_summary *summary = inspect->summary;
    bool is_sure = check_lengths(inspect, offset, header);
    struct batch_place place = {inspect->salt, inspect->number, offset};
    bool is_whole = is_sure && batch_check(inspect->at + offset, summary->segment_bytes - offset,
                                           &place, header);
    if (!is_whole && is_torn_tail(inspect, offset, header)) {
        summary->cut_bytes = batch_total_bytes(header->payload_bytes);
        return STATUS_OK;
    }
    enum status status = check_gap(inspect, offset, header);
    if (status != STATUS_OK)
        return status;
    summary->batch_count++;
    summary->is_clean = is_whole && (header->flags & BATCH_CLEAN) != 0;
    summary->first_ms = summary->first_ms == 0 ? header->now_ms : summary->first_ms;
    summary->last_ms = header->now_ms;
    inspect->sequence = header->sequence + 1;
    status = is_sure ? read_records(inspect, offset, header) : lose_batch(inspect, offset, header);
    uint64_t end = offset + batch_total_bytes(header->payload_bytes);
    inspect->end_segment = inspect->number;
    inspect->end_offset = end < summary->segment_bytes ? (uint32_t)end : summary->segment_bytes;
    inspect->before_ms = header->now_ms;
    return status;
}

/* A batch that was told before, or that an older copy of the segment has. */
static enum status pass_old_batch(struct inspect *inspect, uint32_t offset)
{
    struct inspect_damage damage =
        damage_at(inspect, inspect->number, offset,
                  "a batch stands here that is older than the one before it");
    return tell(inspect, &damage);
}

/* A segment that is no file of the journal: all it may have held is lost. */
static enum status lose_segment(struct inspect *inspect, const char *text)
{
    struct inspect_damage damage = damage_at(inspect, inspect->number, 0, text);
    if (inspect->number >= inspect->summary->kept_segment &&
        inspect->number <= inspect->last_segment)
        damage.end_position += inspect->summary->segment_bytes;
    return tell(inspect, &damage);
}

static enum status read_segment(struct inspect *inspect, const struct directory_entry *entry)
{
    struct inspect_summary *summary = inspect->summary;
    char text[160];
    enum status status = load(inspect, entry, text, sizeof text);
    if (status == STATUS_OK && text[0] != '\0' && !inspect->is_readable)
        return lose_segment(inspect, text);
    if (status == STATUS_OK && text[0] != '\0') {
        struct inspect_damage damage = damage_at(inspect, entry->number, 0, text);
        status = tell(inspect, &damage);
    }
    if (entry->number < summary->kept_segment)
        return status;
    struct batch_header header = {0};
    uint32_t offset = SEGMENT_HEADER_BYTES;
    while (status == STATUS_OK &&
           (offset = find_header(inspect, offset, &header)) < summary->segment_bytes) {
        if (inspect->sequence == 0 || header.sequence >= inspect->sequence)
            status = read_batch(inspect, offset, &header);
        else
            status = pass_old_batch(inspect, offset);
        uint64_t total = batch_total_bytes(header.payload_bytes);
        offset = total < summary->segment_bytes - offset ? offset + (uint32_t)total
                                                         : summary->segment_bytes;
    }
    return status;
}

/* Segments that should be there and are not. */
static enum status lose_missing(struct inspect *inspect, uint64_t first, uint64_t end)
{
    char text[160];
    if (end - first == 1)
        (void)snprintf(text, sizeof text, "the segment is missing");
    else
        (void)snprintf(text, sizeof text, "this segment and the next %" PRIu64 " are missing",
                       end - first - 1);
    struct inspect_damage damage = damage_at(inspect, first, 0, text);
    damage.end_position = position_of(inspect, end, 0);
    return tell(inspect, &damage);
}

static enum status read_segments(struct inspect *inspect)
{
    const struct directory_entries *segments = &inspect->directory.segments;
    struct inspect_summary *summary = inspect->summary;
    enum status status = STATUS_OK;
    if (summary->kept_segment > summary->newest_segment) {
        struct inspect_damage damage =
            damage_at(inspect, inspect->last_segment, inspect->last_offset,
                      "the last batch says that only segments are kept that are not there");
        status = tell(inspect, &damage);
        summary->kept_segment = summary->first_segment;
    }
    uint64_t next = summary->kept_segment < summary->first_segment ? summary->kept_segment
                                                                   : summary->first_segment;
    for (size_t i = 0; status == STATUS_OK && i < segments->count; i++) {
        const struct directory_entry *entry = &segments->entry[i];
        if (next < entry->number)
            status = lose_missing(inspect, next, entry->number);
        if (status == STATUS_OK)
            status = read_segment(inspect, entry);
        next = entry->number + 1;
    }
    return status;
}

static enum status survey(struct inspect *inspect)
{
    const struct directory_entries *segments = &inspect->directory.segments;
    struct inspect_summary *summary = inspect->summary;
    summary->segment_count = segments->count;
    summary->spare_count = inspect->directory.spares.count;
    summary->is_clean = true;
    if (segments->count == 0)
        return STATUS_OK;
    summary->first_segment = segments->entry[0].number;
    summary->newest_segment = segments->entry[segments->count - 1].number;
    enum status status = find_size(inspect);
    if (status == STATUS_OK)
        status = find_last(inspect);
    return status == STATUS_OK ? read_segments(inspect) : status;
}

enum status inspect_run(const struct disk *disk, const struct inspect_reader *reader,
                        struct inspect_summary *summary, struct journal_failure *failure)
{
    *summary = (struct inspect_summary){0};
    struct inspect inspect = {
        .disk = disk, .reader = reader, .summary = summary, .failure = failure};
    enum status status = directory_read(&inspect.directory, disk, failure);
    if (status == STATUS_OK)
        status = survey(&inspect);
    directory_deinit(&inspect.directory);
    free(inspect.at);
    if (status == STATUS_NO_MEMORY)
        return failure_set(failure, status, "", 0, "out of memory");
    return status;
}
