/* Recovery of the journal over arbitrary bytes.
 *
 * The input is one or two segments without the zeros at their end: what is beyond one segment's
 * size is the second. The mutator mends checksums, salts and places after each mutation, because
 * otherwise no input would ever get past them; what stays wrong are lengths, counts, sequences,
 * flags, what is missing and what is doubled.
 *
 * Checked: no crash; a refusal changes nothing and is repeated; a journal that was taken is taken
 * again with the same records, and goes on.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/batch.h"
#include "broker/store/crc32c.h"
#include "broker/store/journal.h"
#include "broker/store/segment.h"
#include "protocol/wire.h"
#include "tests/support/disk_sim.h"
#include "tests/support/errand_line.h"

#define SEGMENT_BYTES SEGMENT_BYTES_MIN
#define FIRST_NUMBER 1u

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t bytes);
size_t LLVMFuzzerCustomMutator(uint8_t *at, size_t bytes, size_t bytes_max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *at, size_t bytes, size_t bytes_max);

struct seen {
    struct journal *journal;
    uint64_t count;
    uint32_t checksum;
};

static enum status on_record(void *argument, uint64_t position, const unsigned char *at,
                             uint32_t bytes, uint64_t now_ms)
{
    struct seen *seen = argument;
    unsigned char head[16];
    wire_store_u64(head, position);
    wire_store_u64(head + 8, now_ms);
    seen->checksum = crc32c(crc32c(seen->checksum, head, sizeof head), at, bytes);
    seen->count++;
    journal_home_state(seen->journal, position, 1, 1, 1);
    return STATUS_OK;
}

static enum status open_journal(struct disk_sim *sim, struct seen *seen, struct errand_line *line)
{
    struct journal_options options = {.segment_bytes = SEGMENT_BYTES,
                                      .spare_count = 2,
                                      .post = errand_line_post,
                                      .post_context = line};
    struct journal_failure failure;
    *seen = (struct seen){0};
    errand_line_init(line);
    return journal_open(&seen->journal, disk_sim_disk(sim), &options,
                        &(struct journal_reader){.on_record = on_record, .argument = seen},
                        &failure);
}

static void append_one(struct seen *seen, struct errand_line *line)
{
    uint64_t position;
    unsigned char *room = journal_open_record(seen->journal, 100, JOURNAL_FRESH, &position);
    assert(room != NULL);
    memset(room, 1, 100);
    journal_close_record(seen->journal, 100);
    journal_home_state(seen->journal, position, 1, 1, 1);
    enum status status = errand_line_settle(line, seen->journal, 1);
    assert(status == STATUS_OK && journal_durable_position(seen->journal) > position);
}

static void put_segment(struct disk_sim *sim, uint64_t number, const uint8_t *at, size_t bytes)
{
    static unsigned char segment[SEGMENT_BYTES];
    char name[SEGMENT_NAME_BYTES];
    memset(segment, 0, sizeof segment);
    memcpy(segment, at, bytes);
    segment_print_name(name, NAME_SEGMENT, number);
    disk_sim_put(sim, name, segment, sizeof segment);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t bytes)
{
    if (bytes > 2 * SEGMENT_BYTES)
        return 0;
    struct disk_sim *sim = disk_sim_new(1);
    struct errand_line line;
    struct seen first;
    struct seen second;
    put_segment(sim, FIRST_NUMBER, at, bytes < SEGMENT_BYTES ? bytes : SEGMENT_BYTES);
    if (bytes > SEGMENT_BYTES)
        put_segment(sim, FIRST_NUMBER + 1, at + SEGMENT_BYTES, bytes - SEGMENT_BYTES);
    uint64_t changes = disk_sim_changes(sim);
    enum status status = open_journal(sim, &first, &line);
    if (status != STATUS_OK) {
        assert(status == STATUS_CORRUPT || status == STATUS_NEWER_FORMAT);
        assert(disk_sim_changes(sim) == changes);
        assert(open_journal(sim, &second, &line) == status);
    } else {
        journal_free(first.journal);
        disk_sim_power_loss(sim, DISK_SIM_NONE, 1);
        assert(open_journal(sim, &second, &line) == STATUS_OK);
        assert(second.count == first.count && second.checksum == first.checksum);
        append_one(&second, &line);
        journal_free(second.journal);
        disk_sim_power_loss(sim, DISK_SIM_NONE, 1);
        assert(open_journal(sim, &second, &line) == STATUS_OK);
        assert(second.count == first.count + 1);
        journal_free(second.journal);
    }
    disk_sim_free(sim);
    return 0;
}

/* Gives the batch at `at` its place, and true checksums as far as its lengths make sense. */
static void mend_batch(uint8_t *at, size_t bytes, uint64_t number, uint32_t offset,
                       const uint8_t *salt)
{
    memcpy(at + 0x08, salt, SALT_BYTES);
    wire_store_u64(at + 0x18, number);
    wire_store_u32(at + 0x38, offset);
    uint32_t checksum = crc32c(0, salt, SALT_BYTES);
    size_t record = BATCH_HEADER_BYTES;
    uint32_t count = wire_load_u32(at + 0x40);
    for (uint32_t i = 0; i < count && bytes - record > RECORD_HEADER_BYTES; i++) {
        uint32_t length = wire_load_u32(at + record);
        if (length > bytes - record - RECORD_HEADER_BYTES)
            break;
        wire_store_u32(at + record + 4, crc32c(0, at + record + RECORD_HEADER_BYTES, length));
        checksum = crc32c(checksum, at + record, RECORD_HEADER_BYTES);
        record += RECORD_HEADER_BYTES + length;
    }
    wire_store_u32(at + 0x48, checksum);
    wire_store_u32(at + 0x04, crc32c(0, at + 8, BATCH_HEADER_BYTES - 8));
}

static void mend_segment(uint8_t *at, size_t bytes, uint64_t number)
{
    struct segment_header header = {
        .number = number, .first_position = number * SEGMENT_BYTES, .segment_bytes = SEGMENT_BYTES};
    if (bytes < SEGMENT_HEADER_BYTES)
        return;
    memcpy(header.salt, at + 40, SALT_BYTES);
    segment_header_encode(at, &header);
    for (size_t offset = SEGMENT_HEADER_BYTES; bytes - offset >= BATCH_ALIGN; offset += BATCH_ALIGN)
        if (memcmp(at + offset, "HRBJ", 4) == 0)
            mend_batch(at + offset, bytes - offset, number, (uint32_t)offset, header.salt);
}

/* A small batch of two records, to begin with and to put in here and there. */
static void plant_batch(uint8_t *at, uint64_t sequence)
{
    memset(at, 0, BATCH_ALIGN);
    memcpy(at, "HRBJ", 4);
    wire_store_u64(at + 0x20, sequence);
    wire_store_u64(at + 0x28, FIRST_NUMBER);
    wire_store_u32(at + 0x3c, 2 * (RECORD_HEADER_BYTES + 30));
    wire_store_u32(at + 0x40, 2);
    wire_store_u32(at + BATCH_HEADER_BYTES, 30);
    wire_store_u32(at + BATCH_HEADER_BYTES + RECORD_HEADER_BYTES + 30, 30);
}

size_t LLVMFuzzerCustomMutator(uint8_t *at, size_t bytes, size_t bytes_max, unsigned seed)
{
    size_t least = SEGMENT_HEADER_BYTES + 4 * (size_t)BATCH_ALIGN;
    if (bytes_max < least)
        return bytes;
    if (bytes < least) {
        memset(at + bytes, 0, least - bytes);
        bytes = least;
        for (size_t i = 0; i < 4; i++)
            plant_batch(at + SEGMENT_HEADER_BYTES + i * BATCH_ALIGN, i + 1);
    }
    bytes = LLVMFuzzerMutate(at, bytes, bytes_max);
    if (seed % 4 == 0 && bytes >= least) {
        size_t places = (bytes - SEGMENT_HEADER_BYTES) / BATCH_ALIGN;
        plant_batch(at + SEGMENT_HEADER_BYTES + seed / 4 % places * BATCH_ALIGN, 1 + seed / 64 % 6);
    }
    mend_segment(at, bytes < SEGMENT_BYTES ? bytes : SEGMENT_BYTES, FIRST_NUMBER);
    if (bytes > SEGMENT_BYTES)
        mend_segment(at + SEGMENT_BYTES, bytes - SEGMENT_BYTES, FIRST_NUMBER + 1);
    return bytes;
}
