/* The archive's errands: what they write is read again, and every way for a call of the disk to
 * fail. */
#include "broker/store/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check_main.h"
#include "tests/support/disk_sim.h"
#include "tests/support/errand_line.h"
#include "tests/support/events.h"

#define EVENTS_FILE "history-00000003-0000000000000001"
#define NEXT_FILE "history-00000003-0000000000000029"
#define ENTITIES_FILE "entities-00000003-0000000000000028"

enum { EXCHANGE = 3, BLOCKS = 10 };

static struct disk_sim *sim;
static struct errand_line line;
static struct archive *archive;
static struct archive_file file;
static unsigned done_count;

static void set_up(void)
{
    sim = disk_sim_new(1);
    errand_line_init(&line);
    archive = archive_new(disk_sim_disk(sim), errand_line_post, &line);
    ck_assert_ptr_nonnull(archive);
    done_count = 0;
}

static void tear_down(void)
{
    archive_free(archive);
    disk_sim_free(sim);
}

static void make_file(void)
{
    event_file(archive, EXCHANGE, 1, BLOCKS, &file);
}

static void make_finished_file(void)
{
    make_file();
    event_file_finish(archive, EXCHANGE, BLOCKS, &file);
}

/* --- errands ------------------------------------------------------------------------------------
 */

static void on_done(void *argument, struct archive_work *work)
{
    ck_assert_ptr_eq(argument, &done_count);
    ck_assert_int_eq(work->status, STATUS_NOT_FOUND);
    done_count++;
}

START_TEST(test_an_errand_is_told)
{
    struct archive_read read = {
        .work = {.kind = ARCHIVE_READ, .exchange = 9, .on_done = on_done, .argument = &done_count},
        .file = {.first = 1, .end = 1024},
        .offset = 512};
    archive_post(archive, &read.work);
    struct errand *errand = errand_line_take_of(&line, ERRAND_BACKGROUND);
    ck_assert_ptr_eq(errand, &read.work.errand);
    ck_assert(archive_owns(errand));
    ck_assert_uint_eq(done_count, 0);
    errand->run(errand);
    ck_assert_uint_eq(done_count, 0);
    ck_assert_int_eq(archive_on_errand(archive, errand), STATUS_OK);
    ck_assert_uint_eq(done_count, 1);
    ck_assert_ptr_null(archive_failure(archive));
}
END_TEST

static void ignore(void *argument, struct archive_work *work)
{
    (void)argument, (void)work;
}

/* What cannot be read is the reader's affair, what cannot be written ends the process. */
START_TEST(test_only_writers_end_the_process)
{
    make_file();
    struct archive_read read = {
        .work = {.kind = ARCHIVE_READ, .exchange = EXCHANGE, .on_done = ignore},
        .file = file,
        .offset = 512};
    disk_sim_fail_at(sim, disk_sim_operations(sim), DISK_SIM_READ, DISK_SIM_ONCE, EIO);
    archive_post(archive, &read.work);
    struct errand *errand = errand_line_take(&line);
    errand->run(errand);
    ck_assert_int_eq(archive_on_errand(archive, errand), STATUS_OK);
    ck_assert_int_eq(read.work.status, STATUS_IO_ERROR);
    struct archive_remove removal = {
        .work = {.kind = ARCHIVE_REMOVE, .exchange = EXCHANGE, .on_done = ignore},
        .files = {1},
        .file_count = 1};
    disk_sim_fail_at(sim, disk_sim_operations(sim), DISK_SIM_REMOVE, DISK_SIM_ONCE, EIO);
    archive_post(archive, &removal.work);
    errand = errand_line_take(&line);
    errand->run(errand);
    ck_assert_int_eq(archive_on_errand(archive, errand), STATUS_IO_ERROR);
    ck_assert_str_eq(archive_failure(archive)->file, EVENTS_FILE);
    ck_assert_int_eq(archive_failure(archive)->error, EIO);
}
END_TEST

/* --- writing ------------------------------------------------------------------------------------
 */

/* Everything survives a power failure once the errand is done. */
START_TEST(test_what_is_written_is_on_disk)
{
    make_finished_file();
    size_t bytes = archive_index_bytes(BLOCKS) + file.end;
    disk_sim_power_loss(sim, DISK_SIM_NONE, 1);
    ck_assert_uint_eq(disk_sim_size(sim, EVENTS_FILE), bytes);
    const unsigned char *at = disk_sim_bytes(sim, EVENTS_FILE, &bytes);
    size_t block_bytes;
    unsigned char *blocks = event_blocks(EXCHANGE, 512, 1, BLOCKS, EVENTS_IN_BLOCK, &block_bytes);
    ck_assert_int_eq(archive_header_decode(at, EXCHANGE, 1), STATUS_OK);
    ck_assert_mem_eq(at + 512, blocks, block_bytes);
    free(blocks);
}
END_TEST

static struct archive_write append_of(unsigned blocks)
{
    struct archive_write write = {
        .work = {.kind = ARCHIVE_WRITE, .exchange = EXCHANGE}, .first = 1, .offset = file.end};
    write.at =
        event_blocks(EXCHANGE, file.end, file.last + 1, blocks, EVENTS_IN_BLOCK, &write.bytes);
    return write;
}

START_TEST(test_blocks_are_appended)
{
    make_file();
    struct archive_write write = append_of(3);
    ck_assert_int_eq(archive_run(archive, &write.work), STATUS_OK);
    ck_assert_uint_eq(disk_sim_size(sim, EVENTS_FILE), file.end + write.bytes);
    free(write.at);
}
END_TEST

/* What an earlier try has left under the name goes first. */
START_TEST(test_a_new_file_is_made_anew)
{
    static const unsigned char junk[100000];
    disk_sim_put(sim, EVENTS_FILE, junk, sizeof junk);
    make_file();
    ck_assert_uint_eq(disk_sim_size(sim, EVENTS_FILE), file.end);
}
END_TEST

/* Space, or the like, is missing at any call, and there again: the same work is done. */
START_TEST(test_lack_is_tried_again)
{
    static const int errors[] = {ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, EFBIG};
    unsigned kinds = DISK_SIM_WRITE | DISK_SIM_OPEN;
    bool has_failed = true;
    for (uint64_t n = 0; has_failed; n++) {
        tear_down();
        set_up();
        struct archive_write write = {.work = {.kind = ARCHIVE_WRITE, .exchange = EXCHANGE},
                                      .first = 1};
        write.at = event_blocks(EXCHANGE, 512, 1, BLOCKS, EVENTS_IN_BLOCK, &write.bytes);
        uint64_t now = disk_sim_operations(sim);
        disk_sim_fail_at(sim, now + n, kinds, DISK_SIM_ONCE, errors[_i]);
        enum status status = archive_run(archive, &write.work);
        has_failed = disk_sim_has_failed(sim);
        ck_assert_int_eq(status, has_failed ? STATUS_DISK_FULL : STATUS_OK);
        disk_sim_fail_at(sim, UINT64_MAX, kinds, DISK_SIM_ONCE, 0);
        write.work.failure = (struct journal_failure){.text = ""};
        ck_assert_int_eq(archive_run(archive, &write.work), STATUS_OK);
        ck_assert_uint_eq(disk_sim_size(sim, EVENTS_FILE), 512 + write.bytes);
        free(write.at);
    }
}
END_TEST

/* An error at any call: the process must end, and the failure names the file. */
START_TEST(test_errors_of_every_call)
{
    bool has_failed = true;
    for (uint64_t n = 0; has_failed; n++) {
        tear_down();
        set_up();
        make_file();
        struct archive_write write = append_of(2);
        struct archive_spot spots[BLOCKS] = {{1, 1001, 512}};
        if (_i == 1) { /* the next file, and an index behind this one */
            write.first = file.last + 1;
            write.offset = 0;
            write.is_finishing = true;
            write.spots = spots;
            write.index = (struct archive_index){
                .exchange = EXCHANGE, .offset = file.end, .first = 1, .last = 40, .count = 1};
        }
        disk_sim_fail_at(sim, disk_sim_operations(sim) + n, DISK_SIM_ANY, DISK_SIM_ONCE, EIO);
        enum status status = archive_run(archive, &write.work);
        has_failed = disk_sim_has_failed(sim);
        ck_assert_int_eq(status, has_failed ? STATUS_IO_ERROR : STATUS_OK);
        if (has_failed)
            ck_assert_int_eq(write.work.failure.error, EIO);
        free(write.at);
    }
}
END_TEST

/* A file that others have changed is not written to. */
START_TEST(test_a_file_that_is_another_now)
{
    make_file();
    if (_i == 0)
        disk_sim_take_away(sim, EVENTS_FILE);
    else
        disk_sim_flip(sim, EVENTS_FILE, 20, 1);
    struct archive_write write = append_of(1);
    ck_assert_int_eq(archive_run(archive, &write.work), STATUS_IO_ERROR);
    ck_assert_str_eq(write.work.failure.file, EVENTS_FILE);
    free(write.at);
}
END_TEST

/* --- reading ------------------------------------------------------------------------------------
 */

static struct archive_read read_of(uint32_t offset, uint64_t sequence, uint64_t time_ms)
{
    return (struct archive_read){.work = {.kind = ARCHIVE_READ, .exchange = EXCHANGE},
                                 .file = file,
                                 .offset = offset,
                                 .sequence = sequence,
                                 .time_ms = time_ms,
                                 .bytes_wanted = 4096};
}

static void expect_events(const struct archive_read *read, uint64_t first, uint64_t last)
{
    struct archive_walk walk = archive_walk_of(read->at, read->bytes);
    struct archive_event event;
    for (uint64_t i = first; i <= last; i++) {
        ck_assert_int_eq(archive_walk_next(&walk, &event), STATUS_OK);
        ck_assert_uint_eq(event.sequence, i);
        ck_assert(event_is(&event, EVENT_BODY_BYTES));
    }
    ck_assert_int_eq(archive_walk_next(&walk, &event), STATUS_MORE);
}

/* Block by block, over the whole file. */
START_TEST(test_reading_on)
{
    make_file();
    uint64_t next = 1;
    for (uint32_t offset = ARCHIVE_HEADER_BYTES; offset < file.end;) {
        struct archive_read read = read_of(offset, 0, 0);
        read.bytes_wanted = (uint32_t[]){1, 1024, 1025, 3000, UINT32_MAX}[_i];
        ck_assert_int_eq(archive_run(archive, &read.work), STATUS_OK);
        uint64_t count = read.bytes / ((file.end - 512) / BLOCKS) * EVENTS_IN_BLOCK;
        ck_assert_uint_gt(count, 0);
        expect_events(&read, next, next + count - 1);
        next += count;
        offset = read.next_offset;
        free(read.at);
    }
    ck_assert_uint_eq(next, file.last + 1);
}
END_TEST

/* By the index of a finished file: the block that holds a sequence, or the first event that is not
 * before a time. */
START_TEST(test_looking_for)
{
    make_finished_file();
    for (uint64_t i = 1; i <= file.last; i++) {
        struct archive_read read = read_of(0, i, 0);
        ck_assert_int_eq(archive_run(archive, &read.work), STATUS_OK);
        uint64_t first;
        uint64_t last;
        archive_walk_range(read.at, read.bytes, &first, &last);
        ck_assert_uint_eq(first, (i - 1) / EVENTS_IN_BLOCK * EVENTS_IN_BLOCK + 1);
        free(read.at);
        read = read_of(0, 0, 1000 + i);
        ck_assert_int_eq(archive_run(archive, &read.work), STATUS_OK);
        archive_walk_range(read.at, read.bytes, &first, &last);
        ck_assert_uint_le(first, i);
        ck_assert_uint_lt(i, first + 2 * EVENTS_IN_BLOCK);
        free(read.at);
    }
}
END_TEST

/* What stands before a damaged block is given, and then the damage with its offset. */
START_TEST(test_damage_is_told_where_it_is)
{
    make_file();
    uint32_t block_bytes = (file.end - 512) / BLOCKS;
    uint32_t damaged = 512 + 2 * block_bytes;
    disk_sim_flip(sim, EVENTS_FILE, damaged + (_i == 0 ? 0x10 : 100), 1);
    struct archive_read read = read_of(512, 0, 0);
    read.bytes_wanted = UINT32_MAX;
    ck_assert_int_eq(archive_run(archive, &read.work), STATUS_OK);
    expect_events(&read, 1, 2 * EVENTS_IN_BLOCK);
    ck_assert_uint_eq(read.next_offset, damaged);
    ck_assert_str_eq(read.work.failure.text, "");
    free(read.at);
    read = read_of(damaged, 0, 0);
    ck_assert_int_eq(archive_run(archive, &read.work), STATUS_CORRUPT);
    ck_assert_ptr_null(read.at);
    ck_assert_str_eq(read.work.failure.file, EVENTS_FILE);
    ck_assert_uint_eq(read.work.failure.offset, damaged);
}
END_TEST

START_TEST(test_what_cannot_be_read)
{
    make_finished_file();
    struct archive_read read = read_of(0, 5, 0);
    disk_sim_flip(sim, EVENTS_FILE, file.end + 70, 1); /* in the index */
    ck_assert_int_eq(archive_run(archive, &read.work), STATUS_CORRUPT);
    ck_assert_uint_eq(read.work.failure.offset, file.end);
    read = read_of(file.end, 0, 0);
    ck_assert_int_eq(archive_run(archive, &read.work), STATUS_CORRUPT);
    disk_sim_cut(sim, EVENTS_FILE, file.end - 100);
    read = read_of(file.end - (file.end - 512) / BLOCKS, 0, 0);
    ck_assert_int_eq(archive_run(archive, &read.work), STATUS_CORRUPT);
    disk_sim_cut(sim, EVENTS_FILE, 100);
    ck_assert_int_eq(archive_run(archive, &read.work), STATUS_CORRUPT);
    disk_sim_take_away(sim, EVENTS_FILE);
    ck_assert_int_eq(archive_run(archive, &read.work), STATUS_NOT_FOUND);
    disk_sim_put_irregular(sim, EVENTS_FILE);
    read = read_of(512, 0, 0);
    ck_assert_int_eq(archive_run(archive, &read.work), STATUS_CORRUPT);
}
END_TEST

START_TEST(test_errors_of_reads)
{
    make_finished_file();
    bool has_failed = true;
    for (uint64_t n = 0; has_failed; n++) {
        struct archive_read read = read_of(0, 5, 0);
        disk_sim_fail_at(sim, disk_sim_operations(sim) + n, DISK_SIM_ANY, DISK_SIM_ONCE, EIO);
        enum status status = archive_run(archive, &read.work);
        has_failed = disk_sim_has_failed(sim);
        ck_assert_int_eq(status, has_failed ? STATUS_IO_ERROR : STATUS_OK);
        free(read.at);
    }
}
END_TEST

/* --- entities, and the rest ---------------------------------------------------------------------
 */

static enum status save(uint32_t count)
{
    unsigned char at[ARCHIVE_ENTITIES_HEADER_BYTES + 2 * ARCHIVE_ENTITY_BYTES];
    struct archive_entities work = {.work = {.kind = ARCHIVE_ENTITIES, .exchange = EXCHANGE},
                                    .sequence = 40,
                                    .offset = ARCHIVE_HEADER_BYTES,
                                    .at = at};
    enum status status = STATUS_OK;
    for (uint32_t done = 0; status == STATUS_OK && !work.is_last;) {
        work.count = count - done < 2 ? count - done : 2;
        for (uint32_t i = 0; i < work.count; i++)
            archive_entity_put(at + ARCHIVE_ENTITIES_HEADER_BYTES + i * ARCHIVE_ENTITY_BYTES,
                               &(struct archive_entity){{done + i, 7}, done + i, 9});
        done += work.count;
        work.is_last = work.count < 2;
        work.count_all = done;
        status = archive_run(archive, &work.work);
        work.offset += ARCHIVE_ENTITIES_HEADER_BYTES + (uint64_t)work.count * ARCHIVE_ENTITY_BYTES;
    }
    return status;
}

static uint64_t seen;

static enum status on_entity(void *argument, const struct archive_entity *entity)
{
    (void)argument;
    ck_assert_uint_eq(entity->hash[0], seen);
    ck_assert_uint_eq(entity->version, seen);
    ck_assert_uint_eq(entity->sequence, 9);
    seen++;
    return STATUS_OK;
}

static const unsigned char secret[ARCHIVE_SECRET_BYTES];

static enum status load(struct journal_failure *failure)
{
    struct archive_visitor visitor = {.on_entity = on_entity, .failure = failure, .secret = secret};
    seen = 0;
    return archive_load_entities(archive, EXCHANGE, 40, &visitor);
}

START_TEST(test_entities)
{
    struct journal_failure failure = {.text = ""};
    ck_assert_int_eq(save((uint32_t)_i), STATUS_OK);
    disk_sim_power_loss(sim, DISK_SIM_NONE, 1);
    ck_assert_int_eq(load(&failure), STATUS_OK);
    ck_assert_uint_eq(seen, _i);
}
END_TEST

/* Without the end of it there is no file of entities. */
START_TEST(test_entities_that_fail)
{
    bool has_failed = true;
    int error = _i == 0 ? ENOSPC : EIO;
    unsigned kinds = _i == 0 ? DISK_SIM_WRITE | DISK_SIM_OPEN : DISK_SIM_ANY;
    for (uint64_t n = 0; has_failed; n++) {
        struct journal_failure failure = {.text = ""};
        disk_sim_fail_at(sim, disk_sim_operations(sim) + n, kinds, DISK_SIM_ONCE, error);
        enum status status = save(5);
        has_failed = disk_sim_has_failed(sim);
        ck_assert_int_eq(status, !has_failed ? STATUS_OK
                                 : _i == 0   ? STATUS_DISK_FULL
                                             : STATUS_IO_ERROR);
        disk_sim_fail_at(sim, UINT64_MAX, kinds, DISK_SIM_ONCE, 0);
        ck_assert(load(&failure) != STATUS_OK || seen == 5);
        ck_assert_int_eq(save(5), STATUS_OK);
        failure = (struct journal_failure){.text = ""};
        ck_assert_int_eq(load(&failure), STATUS_OK);
        disk_sim_take_away(sim, ENTITIES_FILE);
    }
}
END_TEST

START_TEST(test_removing)
{
    make_file();
    ck_assert_int_eq(save(3), STATUS_OK);
    struct archive_remove removal = {.work = {.kind = ARCHIVE_REMOVE, .exchange = EXCHANGE},
                                     .files = {1, 5000},
                                     .file_count = 2,
                                     .entities = 40};
    ck_assert_int_eq(archive_run(archive, &removal.work), STATUS_OK);
    ck_assert(!disk_sim_has(sim, EVENTS_FILE));
    ck_assert(!disk_sim_has(sim, ENTITIES_FILE));
}
END_TEST

START_TEST(test_listing_and_copying)
{
    make_file();
    event_file(archive, EXCHANGE, 41, 1, &file);
    event_file(archive, 2, 1, 1, &file);
    ck_assert_int_eq(save(3), STATUS_OK);
    disk_sim_put(sim, "history-3-1", "x", 1);
    struct archive_names names = {.work = {.kind = ARCHIVE_LIST}};
    ck_assert_int_eq(archive_run(archive, &names.work), STATUS_OK);
    ck_assert_uint_eq(names.list.count, 4);
    static const char *const expected[] = {"history-00000002-0000000000000001", EVENTS_FILE,
                                           NEXT_FILE, ENTITIES_FILE};
    for (size_t i = 0; i < 4; i++) {
        char text[ARCHIVE_NAME_BYTES];
        archive_print_name(text, &names.list.names[i]);
        ck_assert_str_eq(text, expected[i]);
        ck_assert_uint_eq(names.list.names[i].bytes, disk_sim_size(sim, text));
    }
    unsigned char at[100];
    size_t bytes;
    struct archive_copy copy = {.work = {.kind = ARCHIVE_COPY},
                                .name = names.list.names[1],
                                .offset = 500,
                                .at = at,
                                .bytes = sizeof at};
    ck_assert_int_eq(archive_run(archive, &copy.work), STATUS_OK);
    ck_assert_mem_eq(at, disk_sim_bytes(sim, EVENTS_FILE, &bytes) + 500, sizeof at);
    copy.offset = bytes - 99;
    ck_assert_int_eq(archive_run(archive, &copy.work), STATUS_CORRUPT);
    disk_sim_take_away(sim, EVENTS_FILE);
    ck_assert_int_eq(archive_run(archive, &copy.work), STATUS_NOT_FOUND);
    disk_sim_fail_at(sim, disk_sim_operations(sim), DISK_SIM_LIST, DISK_SIM_ONCE, EIO);
    free(names.list.names);
    ck_assert_int_eq(archive_run(archive, &names.work), STATUS_IO_ERROR);
    free(names.list.names);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive");
    TCase *tcase = tcase_create("archive");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_an_errand_is_told);
    tcase_add_test(tcase, test_only_writers_end_the_process);
    tcase_add_test(tcase, test_what_is_written_is_on_disk);
    tcase_add_test(tcase, test_blocks_are_appended);
    tcase_add_test(tcase, test_a_new_file_is_made_anew);
    tcase_add_loop_test(tcase, test_lack_is_tried_again, 0, 6);
    tcase_add_loop_test(tcase, test_errors_of_every_call, 0, 2);
    tcase_add_loop_test(tcase, test_a_file_that_is_another_now, 0, 2);
    tcase_add_loop_test(tcase, test_reading_on, 0, 5);
    tcase_add_test(tcase, test_looking_for);
    tcase_add_loop_test(tcase, test_damage_is_told_where_it_is, 0, 2);
    tcase_add_test(tcase, test_what_cannot_be_read);
    tcase_add_test(tcase, test_errors_of_reads);
    tcase_add_loop_test(tcase, test_entities, 0, 6);
    tcase_add_loop_test(tcase, test_entities_that_fail, 0, 2);
    tcase_add_test(tcase, test_removing);
    tcase_add_test(tcase, test_listing_and_copying);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
