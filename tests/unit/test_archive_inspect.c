/* Looking at whole files: all that verifies is told once and in order, all that does not is named,
 * and what stands behind damage is found. */
#include "broker/store/archive_inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/crc32c.h"
#include "protocol/wire.h"
#include "tests/support/check_main.h"
#include "tests/support/disk_sim.h"
#include "tests/support/events.h"

#define FILE_NAME "history-00000003-0000000000000001"
#define ENTITIES_NAME "entities-00000003-0000000000000028"

enum { EXCHANGE = 3, BLOCKS = 6, ENTITIES = 7 };

static struct disk_sim *sim;
static struct archive *archive;
static struct archive_file file;
static uint32_t block_bytes;
static struct journal_failure failure;
static struct archive_inspection found;
static bool is_open;

static unsigned block_seen[BLOCKS];
static unsigned entity_seen[ENTITIES];
static unsigned damage_count;
static struct archive_damage damage; /* the last */

static void set_up(void)
{
    sim = disk_sim_new(1);
    archive = archive_new(disk_sim_disk(sim), NULL, NULL);
    failure = (struct journal_failure){.text = ""};
    event_file(archive, EXCHANGE, 1, BLOCKS, &file);
    block_bytes = (file.end - 512) / BLOCKS;
    is_open = false;
}

static void tear_down(void)
{
    archive_free(archive);
    disk_sim_free(sim);
}

static enum status on_block(void *argument, const struct archive_block *block,
                            const unsigned char *at)
{
    (void)argument;
    unsigned i = (unsigned)(block->first - 1) / EVENTS_IN_BLOCK;
    ck_assert_uint_lt(i, BLOCKS);
    ck_assert_uint_eq(block->first, 1 + i * EVENTS_IN_BLOCK);
    ck_assert_uint_eq(block->offset, 512 + i * block_bytes);
    struct archive_walk walk = archive_walk_of(at, block_bytes);
    struct archive_event event;
    for (unsigned n = 0; n < EVENTS_IN_BLOCK; n++) {
        ck_assert_int_eq(archive_walk_next(&walk, &event), STATUS_OK);
        ck_assert(event_is(&event, EVENT_BODY_BYTES));
    }
    block_seen[i]++;
    return STATUS_OK;
}

static enum status on_entity(void *argument, const struct archive_entity *entity)
{
    (void)argument;
    ck_assert_uint_lt(entity->version, ENTITIES);
    entity_seen[entity->version]++;
    return STATUS_OK;
}

static enum status on_damage(void *argument, const struct archive_damage *told)
{
    (void)argument;
    ck_assert_uint_le(told->offset, told->end);
    damage = *told;
    damage_count++;
    return STATUS_OK;
}

static enum status inspect(bool is_entities)
{
    const char *text = is_entities ? ENTITIES_NAME : FILE_NAME;
    struct archive_name name = {.is_entities = is_entities,
                                .exchange = EXCHANGE,
                                .first = is_entities ? 40 : 1,
                                .bytes = disk_sim_has(sim, text) ? disk_sim_size(sim, text) : 0};
    struct archive_inspector inspector = {.on_block = on_block,
                                          .on_entity = on_entity,
                                          .on_damage = on_damage,
                                          .failure = &failure,
                                          .is_open = is_open};
    memset(block_seen, 0, sizeof block_seen);
    memset(entity_seen, 0, sizeof entity_seen);
    damage_count = 0;
    return archive_inspect(archive, &name, &inspector, &found);
}

/* All blocks but one, or all: BLOCKS. */
static void expect_blocks(unsigned without)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        ck_assert_uint_eq(block_seen[i], i != without);
    ck_assert_uint_eq(found.count, (uint64_t)(BLOCKS - (without < BLOCKS)) * EVENTS_IN_BLOCK);
    ck_assert_uint_eq(found.damage_count, damage_count);
}

START_TEST(test_whole_files)
{
    ck_assert_int_eq(inspect(false), STATUS_OK);
    expect_blocks(BLOCKS);
    ck_assert_uint_eq(damage_count, 0);
    ck_assert(!found.is_finished);
    ck_assert_uint_eq(found.end, file.end);
    event_file_finish(archive, EXCHANGE, BLOCKS, &file);
    ck_assert_int_eq(inspect(false), STATUS_OK);
    expect_blocks(BLOCKS);
    ck_assert_uint_eq(damage_count, 0);
    ck_assert(found.is_finished);
    ck_assert_uint_eq(found.end, file.end);
    ck_assert_uint_eq(found.index.last, file.last);
    is_open = true; /* the index behind it is not looked at */
    ck_assert_int_eq(inspect(false), STATUS_OK);
    expect_blocks(BLOCKS);
    ck_assert_uint_eq(damage_count, 0);
    ck_assert(!found.is_finished);
    ck_assert_uint_eq(found.end, file.end);
}
END_TEST

/* Every byte of every block: exactly that block is missed, and named, with an index or without. */
START_TEST(test_every_byte)
{
    size_t bytes;
    uint32_t payload_bytes = wire_load_u32(disk_sim_bytes(sim, FILE_NAME, &bytes) + 512 + 0x2c);
    if (_i > 0)
        event_file_finish(archive, EXCHANGE, BLOCKS, &file);
    is_open = _i == 2;
    for (uint32_t i = 0; i < file.end; i++) {
        uint32_t block = i < 512 ? BLOCKS : (i - 512) / block_bytes;
        uint32_t in_block = (i - 512) % block_bytes;
        disk_sim_flip(sim, FILE_NAME, i, (unsigned char)(1 << i % 8));
        ck_assert_int_eq(inspect(false), STATUS_OK);
        disk_sim_flip(sim, FILE_NAME, i, (unsigned char)(1 << i % 8));
        if (i < 512) {
            expect_blocks(BLOCKS);
            ck_assert_uint_eq(damage_count, 1);
            ck_assert_uint_eq(damage.offset, 0);
        } else if (in_block >= 64 + payload_bytes) {
            expect_blocks(BLOCKS);
            ck_assert_uint_eq(damage_count, 0);
        } else {
            expect_blocks(block);
            /* The header of the last block is all that says that there was one. */
            bool is_told = block < BLOCKS - 1 || in_block >= 64 || _i == 1;
            ck_assert_uint_eq(damage_count, is_told);
            ck_assert(!is_told || damage.offset == 512 + block * block_bytes);
            ck_assert(!is_told || damage.end == 512 + (block + 1) * block_bytes);
        }
    }
}
END_TEST

START_TEST(test_every_byte_of_an_index)
{
    event_file_finish(archive, EXCHANGE, BLOCKS, &file);
    uint64_t size = disk_sim_size(sim, FILE_NAME);
    for (uint64_t i = file.end; i < size; i++) {
        bool is_padding = i >= file.end + 64 + 24 * BLOCKS && i < size - ARCHIVE_TAIL_BYTES;
        disk_sim_flip(sim, FILE_NAME, i, (unsigned char)(1 << i % 8));
        ck_assert_int_eq(inspect(false), STATUS_OK);
        disk_sim_flip(sim, FILE_NAME, i, (unsigned char)(1 << i % 8));
        expect_blocks(BLOCKS);
        ck_assert_int_eq(found.is_finished, is_padding);
        ck_assert_uint_eq(found.end, file.end);
    }
}
END_TEST

START_TEST(test_every_truncation)
{
    for (uint64_t bytes = file.end; bytes-- > 0;) {
        disk_sim_cut(sim, FILE_NAME, bytes);
        ck_assert_int_eq(inspect(false), STATUS_OK);
        unsigned whole = bytes < 512 ? 0 : (unsigned)(bytes - 512) / block_bytes;
        for (unsigned i = 0; i < BLOCKS; i++)
            ck_assert_uint_eq(block_seen[i], i < whole);
        ck_assert_uint_eq(found.end, 512 + whole * block_bytes);
    }
}
END_TEST

/* The disk cannot read some of it. */
START_TEST(test_bad_sectors)
{
    if (_i == 1)
        event_file_finish(archive, EXCHANGE, BLOCKS, &file);
    bool has_failed = true;
    for (uint64_t n = 1; has_failed; n++) {
        disk_sim_fail_at(sim, disk_sim_operations(sim) + n, DISK_SIM_READ, DISK_SIM_ONCE, EIO);
        ck_assert_int_eq(inspect(false), STATUS_OK);
        has_failed = disk_sim_has_failed(sim);
        unsigned missed = 0;
        for (unsigned i = 0; i < BLOCKS; i++)
            missed += block_seen[i] == 0;
        ck_assert_uint_le(missed, 1);
        ck_assert(has_failed || missed == 0);
    }
    disk_sim_fail_at(sim, disk_sim_operations(sim), DISK_SIM_OPEN, DISK_SIM_ONCE, EACCES);
    ck_assert_int_eq(inspect(false), STATUS_IO_ERROR);
    ck_assert_int_eq(failure.error, EACCES);
}
END_TEST

/* Puts other bytes into the payload of the second block, which verifies nevertheless. */
static void forge(uint32_t at, const void *bytes, size_t count)
{
    size_t size;
    const unsigned char *now = disk_sim_bytes(sim, FILE_NAME, &size);
    unsigned char *copy = malloc(size);
    memcpy(copy, now, size);
    memcpy(copy + 512 + block_bytes + at, bytes, count);
    archive_block_seal(copy + 512 + block_bytes);
    disk_sim_take_away(sim, FILE_NAME);
    disk_sim_put(sim, FILE_NAME, copy, size);
    free(copy);
}

/* What verifies and is no run of events: another type, another sequence, lengths that do not fit.
 */
START_TEST(test_strange_blocks)
{
    static const struct {
        uint32_t at;
        const char *bytes;
        size_t count;
    } forgeries[] = {
        {64 + 4, "\x03", 1},   /* the type of the operation */
        {64, "\x01\0\0\0", 4}, /* the length of the first event */
        {64, "\xff\xff\xff\xff", 4},
        {0x10, "\x06", 1}, /* the sequence of the first event, against that in it */
        {0x28, "\x03", 1}, /* fewer events than there are bytes of */
        {0x28, "\x05", 1}, /* more */
    };
    forge(forgeries[_i].at, forgeries[_i].bytes, forgeries[_i].count);
    ck_assert_int_eq(inspect(false), STATUS_OK);
    expect_blocks(1);
    ck_assert_uint_eq(damage_count, 1);
    ck_assert_uint_eq(damage.offset, 512 + block_bytes);
}
END_TEST

START_TEST(test_files_that_are_none)
{
    disk_sim_take_away(sim, FILE_NAME);
    ck_assert_int_eq(inspect(false), STATUS_NOT_FOUND);
    disk_sim_put_irregular(sim, FILE_NAME);
    ck_assert_int_eq(inspect(false), STATUS_OK);
    ck_assert_uint_eq(damage_count, 1);
    disk_sim_take_away(sim, FILE_NAME);
    disk_sim_put(sim, FILE_NAME, "", 0);
    ck_assert_int_eq(inspect(false), STATUS_OK);
    ck_assert_uint_eq(damage_count, 1);
    ck_assert_uint_eq(found.count, 0);
}
END_TEST

START_TEST(test_newer_versions)
{
    unsigned char header[ARCHIVE_HEADER_BYTES];
    archive_header_encode(header, EXCHANGE, 1);
    wire_store_u32(header + 8, 2);
    wire_store_u32(header + 12, crc32c(crc32c(0, header, 12), header + 16, 496));
    disk_sim_take_away(sim, FILE_NAME);
    disk_sim_put(sim, FILE_NAME, header, sizeof header);
    ck_assert_int_eq(inspect(false), STATUS_NEWER_FORMAT);
    ck_assert_str_eq(failure.file, FILE_NAME);
}
END_TEST

/* --- entities -----------------------------------------------------------------------------------
 */

/* In pieces of two. */
static void save_entities(void)
{
    unsigned char at[ARCHIVE_ENTITIES_HEADER_BYTES + 2 * ARCHIVE_ENTITY_BYTES];
    struct archive_entities work = {.work = {.kind = ARCHIVE_ENTITIES, .exchange = EXCHANGE},
                                    .sequence = 40,
                                    .offset = ARCHIVE_HEADER_BYTES,
                                    .at = at};
    for (uint32_t done = 0; done < ENTITIES; done += work.count) {
        work.offset += done > 0 ? ARCHIVE_ENTITIES_HEADER_BYTES + 2 * ARCHIVE_ENTITY_BYTES : 0;
        work.count = ENTITIES - done < 2 ? ENTITIES - done : 2;
        for (uint32_t i = 0; i < work.count; i++)
            archive_entity_put(at + ARCHIVE_ENTITIES_HEADER_BYTES + i * ARCHIVE_ENTITY_BYTES,
                               &(struct archive_entity){.version = done + i});
        work.is_last = done + work.count == ENTITIES;
        work.count_all = ENTITIES;
        ck_assert_int_eq(archive_run(archive, &work.work), STATUS_OK);
    }
}

START_TEST(test_entities)
{
    save_entities();
    ck_assert_int_eq(inspect(true), STATUS_OK);
    ck_assert(found.has_header);
    ck_assert_uint_eq(found.count, ENTITIES);
    ck_assert_uint_eq(found.count_stated, ENTITIES);
    ck_assert_uint_eq(damage_count, 0);
    uint64_t size = disk_sim_size(sim, ENTITIES_NAME);
    uint32_t piece_bytes = ARCHIVE_ENTITIES_HEADER_BYTES + 2 * ARCHIVE_ENTITY_BYTES;
    for (uint64_t i = 0; i < size; i++) {
        disk_sim_flip(sim, ENTITIES_NAME, i, (unsigned char)(1 << i % 8));
        ck_assert_int_eq(inspect(true), STATUS_OK);
        disk_sim_flip(sim, ENTITIES_NAME, i, (unsigned char)(1 << i % 8));
        ck_assert_uint_ge(damage_count, 1);
        ck_assert_int_eq(found.has_header, i >= 512);
        ck_assert_uint_lt(found.count, ENTITIES);
        bool is_length = i >= 512 && (i - 512) % piece_bytes < 4;
        for (unsigned n = 0; n < ENTITIES && i >= 512 && !is_length; n++)
            ck_assert_uint_eq(entity_seen[n], n / 2 != (i - 512) / piece_bytes);
    }
    for (uint64_t bytes = size; bytes-- > 512;) {
        disk_sim_cut(sim, ENTITIES_NAME, bytes);
        ck_assert_int_eq(inspect(true), STATUS_OK);
        ck_assert_uint_ge(damage_count, 1);
        ck_assert_uint_eq(found.count, (bytes - 512) / piece_bytes * 2);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive_inspect");
    TCase *tcase = tcase_create("archive_inspect");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_whole_files);
    tcase_add_loop_test(tcase, test_every_byte, 0, 3);
    tcase_add_test(tcase, test_every_byte_of_an_index);
    tcase_add_test(tcase, test_every_truncation);
    tcase_add_loop_test(tcase, test_bad_sectors, 0, 2);
    tcase_add_loop_test(tcase, test_strange_blocks, 0, 6);
    tcase_add_test(tcase, test_files_that_are_none);
    tcase_add_test(tcase, test_newer_versions);
    tcase_add_test(tcase, test_entities);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
