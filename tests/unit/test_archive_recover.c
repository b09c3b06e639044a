/* What a start asks of the archive's files: every truncation, every wrong byte of what is looked
 * at, and every call of the disk that fails. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/archive.h"
#include "broker/store/archive_entities.h"
#include "protocol/wire.h"
#include "tests/support/check_main.h"
#include "tests/support/disk_sim.h"
#include "tests/support/events.h"

#define FILE_NAME "history-00000003-0000000000000001"
#define ENTITIES_NAME "entities-00000003-0000000000000028"

enum { EXCHANGE = 3, BLOCKS = 6, ENTITIES = 5 };

static struct disk_sim *sim;
static struct archive *archive;
static struct archive_file made;
static struct journal_failure failure;
static unsigned spot_count;
static uint64_t next_event;
static uint64_t seen;
static enum status told; /* what callbacks return */
static unsigned char secret[ARCHIVE_SECRET_BYTES] = {7};

static void set_up(void)
{
    sim = disk_sim_new(1);
    archive = archive_new(disk_sim_disk(sim), NULL, NULL);
    failure = (struct journal_failure){.text = ""};
    told = STATUS_OK;
    secret[0] = 7;
    event_file(archive, EXCHANGE, 1, BLOCKS, &made);
}

static void tear_down(void)
{
    archive_free(archive);
    disk_sim_free(sim);
}

static enum status on_spot(void *argument, const struct archive_spot *spot)
{
    (void)argument;
    ck_assert_uint_eq(spot->sequence, 1 + (uint64_t)spot_count * EVENTS_IN_BLOCK);
    ck_assert_uint_eq(spot->time_ms, 1000 + spot->sequence);
    spot_count++;
    return told;
}

static enum status on_event(void *argument, const struct archive_event *event)
{
    (void)argument;
    ck_assert_uint_eq(event->sequence, next_event);
    ck_assert(event_is(event, EVENT_BODY_BYTES));
    next_event++;
    return told;
}

static enum status on_entity(void *argument, const struct archive_entity *entity)
{
    (void)argument;
    ck_assert_uint_eq(entity->version, seen);
    seen++;
    return told;
}

static const struct archive_visitor visitor = {.on_spot = on_spot,
                                               .on_event = on_event,
                                               .on_entity = on_entity,
                                               .failure = &failure,
                                               .secret = secret};

static struct archive_name name_of(void)
{
    uint64_t bytes = disk_sim_has(sim, FILE_NAME) ? disk_sim_size(sim, FILE_NAME) : 0;
    return (struct archive_name){.exchange = EXCHANGE, .first = 1, .bytes = bytes};
}

static enum status check_open(struct archive_file *file)
{
    struct archive_name name = name_of();
    *file = (struct archive_file){.end = made.end, .last = made.last};
    failure = (struct journal_failure){.text = ""};
    spot_count = 0;
    return archive_check_open(archive, &name, file, &visitor);
}

static enum status check_finished(struct archive_file *file)
{
    struct archive_name name = name_of();
    failure = (struct journal_failure){.text = ""};
    return archive_check_finished(archive, &name, file, &failure);
}

static enum status scan(uint64_t from)
{
    failure = (struct journal_failure){.text = ""};
    next_event = from;
    return archive_scan(archive, EXCHANGE, &made, from, &visitor);
}

/* --- the file that is written to ----------------------------------------------------------------
 */

START_TEST(test_an_open_file)
{
    struct archive_file file;
    ck_assert_int_eq(check_open(&file), STATUS_OK);
    ck_assert_uint_eq(spot_count, BLOCKS);
    ck_assert_uint_eq(file.first, 1);
    ck_assert_uint_eq(file.last, made.last);
    ck_assert_uint_eq(file.first_ms, 1001);
    ck_assert_uint_eq(file.last_ms, 1000 + made.last);
    ck_assert_uint_eq(file.end, made.end);
    ck_assert(!file.is_finished);
    told = STATUS_NO_MEMORY;
    ck_assert_int_eq(check_open(&file), STATUS_NO_MEMORY);
}
END_TEST

START_TEST(test_every_truncation_of_an_open_file)
{
    struct archive_file file;
    for (uint64_t bytes = made.end; bytes-- > 0;) {
        disk_sim_cut(sim, FILE_NAME, bytes);
        ck_assert_int_eq(check_open(&file), STATUS_CORRUPT);
        ck_assert_str_eq(failure.file, FILE_NAME);
    }
}
END_TEST

/* Of each header; payloads are not looked at. */
START_TEST(test_every_byte_of_an_open_file)
{
    struct archive_file file;
    uint32_t block_bytes = (made.end - 512) / BLOCKS;
    for (uint64_t i = 0; i < made.end; i++) {
        bool is_header = i < 512 || (i - 512) % block_bytes < 64;
        disk_sim_flip(sim, FILE_NAME, i, (unsigned char)(1 << i % 8));
        ck_assert_int_eq(check_open(&file), is_header ? STATUS_CORRUPT : STATUS_OK);
        if (is_header && i >= 512)
            ck_assert_uint_eq(failure.offset, (i - 512) / block_bytes * block_bytes + 512);
        disk_sim_flip(sim, FILE_NAME, i, (unsigned char)(1 << i % 8));
    }
}
END_TEST

/* It holds more or less than the journal says, or ends elsewhere. */
START_TEST(test_another_end)
{
    struct archive_name name = name_of();
    static const struct {
        int end;
        int last;
    } cases[] = {{0, 1}, {0, -1}, {-512, 0}, {-1024, -3}, {512, 0}, {-100000, 0}};
    struct archive_file file = {.end = (uint32_t)((int)made.end + cases[_i].end),
                                .last = (uint64_t)((int)made.last + cases[_i].last)};
    if (cases[_i].end == -100000)
        file.end = ARCHIVE_HEADER_BYTES;
    spot_count = 0;
    ck_assert_int_eq(archive_check_open(archive, &name, &file, &visitor), STATUS_CORRUPT);
    ck_assert_str_eq(failure.file, FILE_NAME);
}
END_TEST

START_TEST(test_cutting)
{
    struct archive_name name = name_of();
    ck_assert_int_eq(archive_cut(archive, &name, made.end + 1, &failure), STATUS_OK);
    ck_assert_uint_eq(disk_sim_size(sim, FILE_NAME), made.end);
    ck_assert_int_eq(archive_cut(archive, &name, 1024, &failure), STATUS_OK);
    ck_assert_uint_eq(disk_sim_size(sim, FILE_NAME), 1024);
    disk_sim_fail_at(sim, disk_sim_operations(sim), DISK_SIM_OPEN, DISK_SIM_ONCE, EIO);
    ck_assert_int_eq(archive_cut(archive, &name, 512, &failure), STATUS_IO_ERROR);
    ck_assert_str_eq(failure.file, FILE_NAME);
    ck_assert_int_eq(archive_take_away(archive, &name, &failure), STATUS_OK);
    ck_assert(!disk_sim_has(sim, FILE_NAME));
    ck_assert_int_eq(archive_take_away(archive, &name, &failure), STATUS_OK);
}
END_TEST

/* --- finished files -----------------------------------------------------------------------------
 */

START_TEST(test_a_finished_file)
{
    struct archive_file file;
    ck_assert_int_eq(check_finished(&file), STATUS_CORRUPT);
    event_file_finish(archive, EXCHANGE, BLOCKS, &made);
    ck_assert_int_eq(check_finished(&file), STATUS_OK);
    ck_assert_uint_eq(file.first, 1);
    ck_assert_uint_eq(file.last, made.last);
    ck_assert_uint_eq(file.first_ms, 1001);
    ck_assert_uint_eq(file.last_ms, 1000 + made.last);
    ck_assert_uint_eq(file.end, made.end);
    ck_assert(file.is_finished);
    uint64_t size = disk_sim_size(sim, FILE_NAME);
    for (uint64_t bytes = size; bytes-- > 0;) {
        disk_sim_cut(sim, FILE_NAME, bytes);
        ck_assert_int_eq(check_finished(&file), STATUS_CORRUPT);
        ck_assert_str_eq(failure.file, FILE_NAME);
    }
    disk_sim_take_away(sim, FILE_NAME);
    ck_assert_int_eq(check_finished(&file), STATUS_CORRUPT);
    ck_assert_str_eq(failure.text, "it is missing");
}
END_TEST

/* --- events -------------------------------------------------------------------------------------
 */

START_TEST(test_scanning)
{
    for (uint64_t from = 1; from <= made.last; from++) {
        ck_assert_int_eq(scan(from), STATUS_OK);
        ck_assert_uint_eq(next_event, made.last + 1);
    }
    told = STATUS_NO_MEMORY;
    ck_assert_int_eq(scan(1), STATUS_NO_MEMORY);
    told = STATUS_CORRUPT; /* a callback that finds fault with an event */
    ck_assert_int_eq(scan(1), STATUS_CORRUPT);
    ck_assert_str_eq(failure.file, FILE_NAME);
}
END_TEST

START_TEST(test_every_byte_of_a_scan)
{
    uint32_t block_bytes = (made.end - 512) / BLOCKS;
    size_t bytes;
    uint32_t payload_bytes = wire_load_u32(disk_sim_bytes(sim, FILE_NAME, &bytes) + 512 + 0x2c);
    for (uint64_t i = 0; i < made.end; i++) {
        bool has_checksum = i < 512 || (i - 512) % block_bytes < 64 + payload_bytes;
        disk_sim_flip(sim, FILE_NAME, i, (unsigned char)(1 << i % 8));
        ck_assert_int_eq(scan(1), has_checksum ? STATUS_CORRUPT : STATUS_OK);
        disk_sim_flip(sim, FILE_NAME, i, (unsigned char)(1 << i % 8));
    }
}
END_TEST

/* --- entities -----------------------------------------------------------------------------------
 */

static void save_entities(void)
{
    unsigned char at[ARCHIVE_ENTITIES_HEADER_BYTES + ENTITIES * ARCHIVE_ENTITY_BYTES];
    for (uint32_t i = 0; i < ENTITIES; i++)
        archive_entity_put(at + ARCHIVE_ENTITIES_HEADER_BYTES + i * ARCHIVE_ENTITY_BYTES,
                           &(struct archive_entity){.version = i});
    struct archive_entities work = {.work = {.kind = ARCHIVE_ENTITIES, .exchange = EXCHANGE},
                                    .sequence = 40,
                                    .offset = ARCHIVE_HEADER_BYTES,
                                    .at = at,
                                    .count = ENTITIES,
                                    .is_last = true,
                                    .count_all = ENTITIES};
    memcpy(work.secret, secret, sizeof secret);
    ck_assert_int_eq(archive_run(archive, &work.work), STATUS_OK);
}

static enum status load(void)
{
    failure = (struct journal_failure){.text = ""};
    seen = 0;
    return archive_load_entities(archive, EXCHANGE, 40, &visitor);
}

START_TEST(test_entities)
{
    save_entities();
    ck_assert_int_eq(load(), STATUS_OK);
    ck_assert_uint_eq(seen, ENTITIES);
    uint64_t size = disk_sim_size(sim, ENTITIES_NAME);
    for (uint64_t i = 0; i < size; i++) {
        disk_sim_flip(sim, ENTITIES_NAME, i, (unsigned char)(1 << i % 8));
        ck_assert_int_eq(load(), STATUS_CORRUPT);
        ck_assert_str_eq(failure.file, ENTITIES_NAME);
        ck_assert_uint_eq(seen, 0);
        disk_sim_flip(sim, ENTITIES_NAME, i, (unsigned char)(1 << i % 8));
    }
    told = STATUS_NO_MEMORY;
    ck_assert_int_eq(load(), STATUS_NO_MEMORY);
    told = STATUS_OK;
    for (uint64_t bytes = size; bytes-- > 0;) {
        disk_sim_cut(sim, ENTITIES_NAME, bytes);
        ck_assert_int_eq(load(), STATUS_CORRUPT);
    }
    disk_sim_take_away(sim, ENTITIES_NAME);
    ck_assert_int_eq(load(), STATUS_CORRUPT);
}
END_TEST

START_TEST(test_secrets)
{
    struct archive_name name = {.is_entities = true, .exchange = EXCHANGE, .first = 40};
    unsigned char found[ARCHIVE_SECRET_BYTES];
    save_entities();
    ck_assert_int_eq(archive_read_secret(archive, &name, found, &failure), STATUS_OK);
    ck_assert_mem_eq(found, secret, sizeof secret);
    secret[0] ^= 1;
    ck_assert_int_eq(load(), STATUS_CORRUPT);
    ck_assert_uint_eq(seen, 0);
    disk_sim_fail_at(sim, disk_sim_operations(sim) + 1, DISK_SIM_READ, DISK_SIM_ONCE, EIO);
    failure = (struct journal_failure){.text = ""};
    ck_assert_int_eq(archive_read_secret(archive, &name, found, &failure), STATUS_IO_ERROR);
    disk_sim_flip(sim, ENTITIES_NAME, 41, 1);
    failure = (struct journal_failure){.text = ""};
    ck_assert_int_eq(archive_read_secret(archive, &name, found, &failure), STATUS_CORRUPT);
}
END_TEST

/* --- the disk fails -----------------------------------------------------------------------------
 */

static enum status any(int what)
{
    struct archive_file file;
    return what == 0   ? check_open(&file)
           : what == 1 ? check_finished(&file)
           : what == 2 ? scan(1)
                       : load();
}

START_TEST(test_errors_of_every_call)
{
    bool has_failed = true;
    save_entities();
    if (_i == 1)
        event_file_finish(archive, EXCHANGE, BLOCKS, &made);
    for (uint64_t n = 0; has_failed; n++) {
        disk_sim_fail_at(sim, disk_sim_operations(sim) + n, DISK_SIM_ANY, DISK_SIM_ONCE, EIO);
        enum status status = any(_i);
        has_failed = disk_sim_has_failed(sim);
        ck_assert_int_eq(status, has_failed ? STATUS_IO_ERROR : STATUS_OK);
        ck_assert_int_eq(failure.error, has_failed ? EIO : 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive_recover");
    TCase *tcase = tcase_create("archive_recover");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_an_open_file);
    tcase_add_test(tcase, test_every_truncation_of_an_open_file);
    tcase_add_test(tcase, test_every_byte_of_an_open_file);
    tcase_add_loop_test(tcase, test_another_end, 0, 6);
    tcase_add_test(tcase, test_cutting);
    tcase_add_test(tcase, test_a_finished_file);
    tcase_add_test(tcase, test_scanning);
    tcase_add_test(tcase, test_every_byte_of_a_scan);
    tcase_add_test(tcase, test_entities);
    tcase_add_test(tcase, test_secrets);
    tcase_add_loop_test(tcase, test_errors_of_every_call, 0, 4);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
