/* Files of the archive by their names, and windows of blocks. */
#include "broker/store/archive_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check_main.h"
#include "tests/support/disk_sim.h"
#include "tests/support/events.h"

#define FILE_NAME "history-00000003-0000000000000001"

enum { EXCHANGE = 3, BLOCKS = 6 };

static struct disk_sim *sim;
static struct archive *archive;
static struct archive_file file;
static struct journal_failure failure;

static void set_up(void)
{
    sim = disk_sim_new(1);
    archive = archive_new(disk_sim_disk(sim), NULL, NULL);
    failure = (struct journal_failure){.text = ""};
    event_file(archive, EXCHANGE, 1, BLOCKS, &file);
}

static void tear_down(void)
{
    archive_free(archive);
    disk_sim_free(sim);
}

static struct archive_handle handle_of(void)
{
    struct archive_name name = {
        .exchange = EXCHANGE, .first = 1, .bytes = disk_sim_size(sim, FILE_NAME)};
    failure = (struct journal_failure){.text = ""};
    return archive_handle_of(archive, &name, &failure);
}

START_TEST(test_names)
{
    static const struct {
        struct archive_name name;
        const char *text;
    } good[] = {
        {{.exchange = 1, .first = 1}, "history-00000001-0000000000000001"},
        {{.exchange = 0xabcdef01, .first = UINT64_MAX}, "history-abcdef01-ffffffffffffffff"},
        {{.is_entities = true, .exchange = 2, .first = 77}, "entities-00000002-000000000000004d"},
    };
    static const char *const bad[] = {"",
                                      "-",
                                      "history",
                                      "history-",
                                      "history-1-1",
                                      "history-00000001-000000000000001",
                                      "history-00000001-00000000000000001",
                                      "history-00000001-0000000000000001x",
                                      "history-0000000g-0000000000000001",
                                      "history-00000001-000000000000000G",
                                      "history-00000001-000000000000000A",
                                      "history-+0000001-0000000000000001",
                                      "history- 0000001-0000000000000001",
                                      "history-0x000001-0000000000000001",
                                      "histories-00000001-0000000000000001",
                                      "segment-0000000000000001",
                                      "entities-100000001-0000000000000001",
                                      "history-00000001-0000000000000001.old",
                                      "history-ffffffffffffffffffffff-0000000000000001"};
    struct archive_name name;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[ARCHIVE_NAME_BYTES];
        archive_print_name(text, &good[i].name);
        ck_assert_str_eq(text, good[i].text);
        ck_assert(archive_parse_name(good[i].text, &name));
        ck_assert_int_eq(name.is_entities, good[i].name.is_entities);
        ck_assert_uint_eq(name.exchange, good[i].name.exchange);
        ck_assert_uint_eq(name.first, good[i].name.first);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!archive_parse_name(bad[i], &name), "%s", bad[i]);
}
END_TEST

START_TEST(test_opening)
{
    struct archive_handle handle = handle_of();
    ck_assert_int_eq(archive_open_file(&handle, DISK_OPEN_READ), STATUS_OK);
    archive_close_file(&handle);
    disk_sim_flip(sim, FILE_NAME, 10, 1);
    ck_assert_int_eq(archive_open_file(&handle, DISK_OPEN_READ), STATUS_CORRUPT);
    ck_assert_str_eq(failure.file, FILE_NAME);
    disk_sim_flip(sim, FILE_NAME, 10, 1);
    handle = handle_of();
    disk_sim_fail_at(sim, disk_sim_operations(sim) + 1, DISK_SIM_READ, DISK_SIM_ONCE, EIO);
    ck_assert_int_eq(archive_open_file(&handle, DISK_OPEN_READ), STATUS_IO_ERROR);
    handle = handle_of();
    disk_sim_fail_at(sim, disk_sim_operations(sim), DISK_SIM_OPEN, DISK_SIM_ONCE, EACCES);
    ck_assert_int_eq(archive_open_file(&handle, DISK_OPEN_READ), STATUS_IO_ERROR);
    ck_assert_int_eq(failure.error, EACCES);
    handle = handle_of();
    disk_sim_cut(sim, FILE_NAME, 511);
    ck_assert_int_eq(archive_open_file(&handle, DISK_OPEN_READ), STATUS_CORRUPT);
    disk_sim_take_away(sim, FILE_NAME);
    ck_assert_int_eq(archive_open_file(&handle, DISK_OPEN_READ), STATUS_NOT_FOUND);
    disk_sim_put_irregular(sim, FILE_NAME);
    handle = handle_of();
    ck_assert_int_eq(archive_open_file(&handle, DISK_OPEN_READ), STATUS_CORRUPT);
}
END_TEST

/* Whatever size is asked for: whole blocks come, at least one, and all of them in the end. */
START_TEST(test_windows_of_every_size)
{
    struct archive_handle handle = handle_of();
    uint32_t block_bytes = (file.end - 512) / BLOCKS;
    ck_assert_int_eq(archive_open_file(&handle, DISK_OPEN_READ), STATUS_OK);
    for (uint32_t wanted = 1; wanted < file.end + 600; wanted += 13) {
        struct archive_window window = {.bytes_wanted = wanted};
        unsigned blocks = 0;
        for (uint32_t offset = 512; offset < file.end; offset = window.next_offset) {
            ck_assert_int_eq(archive_read_blocks(&handle, offset, file.end, &window), STATUS_OK);
            ck_assert_uint_gt(window.bytes, 0);
            ck_assert_uint_eq(window.bytes % block_bytes, 0);
            ck_assert_uint_eq(window.next_offset, offset + window.bytes);
            ck_assert(window.bytes <= wanted || window.bytes == block_bytes);
            blocks += window.bytes / block_bytes;
        }
        ck_assert_uint_eq(blocks, BLOCKS);
        free(window.at);
    }
    archive_close_file(&handle);
}
END_TEST

/* The end is in the middle of a block, or behind the file. */
START_TEST(test_ends_that_cannot_be)
{
    struct archive_handle handle = handle_of();
    ck_assert_int_eq(archive_open_file(&handle, DISK_OPEN_READ), STATUS_OK);
    static const int64_t beyond[] = {-1, -512, -100000, 1, 512};
    struct archive_window window = {.bytes_wanted = UINT32_MAX};
    uint32_t last = 512 + (file.end - 512) / BLOCKS * (BLOCKS - 1);
    uint32_t end = (uint32_t)((int64_t)file.end + beyond[_i]);
    ck_assert_int_eq(archive_read_blocks(&handle, last, end, &window), STATUS_CORRUPT);
    ck_assert_uint_eq(failure.offset, last);
    ck_assert_uint_eq(window.bytes, 0);
    free(window.at);
    archive_close_file(&handle);
}
END_TEST

START_TEST(test_indexes)
{
    event_file_finish(archive, EXCHANGE, BLOCKS, &file);
    struct archive_handle handle = handle_of();
    struct archive_index index;
    unsigned char *at;
    uint32_t offset;
    ck_assert_int_eq(archive_open_file(&handle, DISK_OPEN_READ), STATUS_OK);
    ck_assert_int_eq(archive_find_index(&handle, &offset), STATUS_OK);
    ck_assert_uint_eq(offset, file.end);
    ck_assert_int_eq(archive_read_index(&handle, offset, &at, &index), STATUS_OK);
    ck_assert_uint_eq(index.count, BLOCKS);
    ck_assert_uint_eq(archive_index_spot(at, BLOCKS - 1).sequence, file.last - 3);
    free(at);
    /* Every bit of it that has a checksum, and of the tail. */
    uint64_t bytes = handle.name.bytes;
    for (uint64_t i = file.end; i < bytes; i++) {
        bool is_padding = i >= file.end + 64 + 24 * BLOCKS && i < bytes - ARCHIVE_TAIL_BYTES;
        disk_sim_flip(sim, FILE_NAME, i, (unsigned char)(1 << i % 8));
        failure = (struct journal_failure){.text = ""};
        enum status status = archive_find_index(&handle, &offset);
        at = NULL;
        if (status == STATUS_OK)
            status = archive_read_index(&handle, offset, &at, &index);
        ck_assert_int_eq(status, is_padding ? STATUS_OK : STATUS_CORRUPT);
        free(at);
        disk_sim_flip(sim, FILE_NAME, i, (unsigned char)(1 << i % 8));
    }
    /* Sizes that it cannot have. */
    for (uint64_t i = 0; i < bytes; i += 64) {
        handle.name.bytes = i;
        ck_assert_int_eq(archive_find_index(&handle, &offset), STATUS_CORRUPT);
    }
    handle.name.bytes = bytes + 1;
    ck_assert_int_eq(archive_find_index(&handle, &offset), STATUS_CORRUPT);
    handle.name.bytes = UINT64_MAX;
    ck_assert_int_eq(archive_find_index(&handle, &offset), STATUS_CORRUPT);
    archive_close_file(&handle);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive_file");
    TCase *tcase = tcase_create("archive_file");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_names);
    tcase_add_test(tcase, test_opening);
    tcase_add_test(tcase, test_windows_of_every_size);
    tcase_add_loop_test(tcase, test_ends_that_cannot_be, 0, 5);
    tcase_add_test(tcase, test_indexes);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
