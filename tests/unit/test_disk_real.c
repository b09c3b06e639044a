/* The real disk in a directory of its own: every call, and what it refuses. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/store/disk.h"
#include "broker/store/journal.h"
#include "tests/support/errand_line.h"

static char root[64];
static char path[128];
static struct disk *disk;

static void setup(void)
{
    char error[256];
    (void)snprintf(root, sizeof root, "/tmp/herald-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    (void)snprintf(path, sizeof path, "%s/data", root);
    ck_assert_int_eq(disk_real_new(&disk, path, error, sizeof error), STATUS_OK);
}

static int remove_entry(void *argument, const char *name, uint64_t bytes)
{
    (void)argument;
    (void)bytes;
    (void)disk->remove(disk->context, name);
    return 0;
}

static void teardown(void)
{
    (void)disk->list(disk->context, remove_entry, NULL);
    disk_real_free(disk);
    (void)rmdir(path);
    (void)rmdir(root);
}

static const char *in_data(const char *name)
{
    static char full[256];
    (void)snprintf(full, sizeof full, "%s/%s", path, name);
    return full;
}

START_TEST(test_files)
{
    int file = disk->open(disk->context, "a", DISK_OPEN_CREATE);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(disk->open(disk->context, "a", DISK_OPEN_CREATE), -EEXIST);
    ck_assert_int_eq(disk->open(disk->context, "b", DISK_OPEN_READ), -ENOENT);
    ck_assert_int_eq(disk->allocate(disk->context, file, 8192), 0);
    ck_assert_int_eq(disk->write(disk->context, file, "hello", 5, 100), 5);
    ck_assert_int_eq(disk->sync(disk->context, file), 0);
    char bytes[8] = "";
    ck_assert_int_eq(disk->read(disk->context, file, bytes, 5, 100), 5);
    ck_assert_str_eq(bytes, "hello");
    ck_assert_int_eq(disk->read(disk->context, file, bytes, 5, 8192), 0);
    ck_assert_int_eq(disk->truncate(disk->context, file, 102), 0);
    ck_assert_int_eq(disk->read(disk->context, file, bytes, 5, 100), 2);
    ck_assert_int_eq(disk->close(disk->context, file), 0);
    ck_assert_int_eq(disk->write(disk->context, file, "x", 1, 0), -EBADF);
    ck_assert_int_eq(disk->rename(disk->context, "a", "b"), 0);
    ck_assert_int_eq(disk->sync_directory(disk->context), 0);
    ck_assert_int_eq(disk->remove(disk->context, "a"), -ENOENT);
    ck_assert_int_eq(disk->remove(disk->context, "b"), 0);
    struct stat found;
    ck_assert_int_eq(stat(path, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0700);
}
END_TEST

START_TEST(test_random_and_space)
{
    unsigned char one[16];
    unsigned char two[16];
    ck_assert_int_eq(disk->random(disk->context, one), 0);
    ck_assert_int_eq(disk->random(disk->context, two), 0);
    ck_assert_int_ne(memcmp(one, two, sizeof one), 0);
    uint64_t bytes = 0;
    ck_assert_int_eq(disk->space(disk->context, &bytes), 0);
    ck_assert_uint_gt(bytes, 0);
}
END_TEST

static int count_entry(void *argument, const char *name, uint64_t bytes)
{
    unsigned *count = argument;
    (*count)++;
    if (strcmp(name, "a") == 0)
        ck_assert_uint_eq(bytes, 3);
    return 0;
}

START_TEST(test_list)
{
    int file = disk->open(disk->context, "a", DISK_OPEN_CREATE);
    ck_assert_int_eq(disk->write(disk->context, file, "abc", 3, 0), 3);
    ck_assert_int_eq(disk->close(disk->context, file), 0);
    unsigned count = 0;
    ck_assert_int_eq(disk->list(disk->context, count_entry, &count), 0);
    ck_assert_uint_eq(count, 2); /* it and the lock */
}
END_TEST

START_TEST(test_only_regular_files)
{
    ck_assert_int_eq(symlink("/etc/passwd", in_data("link")), 0);
    ck_assert_int_eq(mkfifo(in_data("pipe"), 0600), 0);
    ck_assert_int_eq(mkdir(in_data("directory"), 0700), 0);
    static const char *const names[] = {"link", "pipe", "directory"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(disk->open(disk->context, names[i], DISK_OPEN_READ), -EINVAL);
        ck_assert_int_eq(disk->open(disk->context, names[i], DISK_OPEN_WRITE), -EINVAL);
    }
    ck_assert_int_eq(rmdir(in_data("directory")), 0);
}
END_TEST

START_TEST(test_one_daemon_per_directory)
{
    struct disk *second = NULL;
    char error[256] = "";
    ck_assert_int_eq(disk_real_new(&second, path, error, sizeof error), STATUS_LOCKED);
    ck_assert_ptr_null(second);
    ck_assert_ptr_nonnull(strstr(error, path));
    disk_real_free(disk);
    ck_assert_int_eq(disk_real_new(&disk, path, error, sizeof error), STATUS_OK);
    disk_real_free(NULL);
}
END_TEST

START_TEST(test_no_directory)
{
    struct disk *second = NULL;
    char error[256] = "";
    ck_assert_int_eq(disk_real_new(&second, in_data("x/y"), error, sizeof error), STATUS_IO_ERROR);
    ck_assert_str_ne(error, "");
    ck_assert_int_eq(disk_real_new(&second, in_data("lock"), error, sizeof error), STATUS_IO_ERROR);
}
END_TEST

static uint64_t bytes_found;

static enum status on_record(void *argument, uint64_t position, const unsigned char *at,
                             uint32_t bytes, uint64_t now_ms)
{
    (void)argument;
    (void)now_ms;
    ck_assert_uint_gt(position, 0);
    ck_assert_uint_eq(at[bytes - 1], 7);
    bytes_found += bytes;
    return STATUS_OK;
}

static struct journal *open_journal(struct errand_line *line, enum status expected)
{
    struct journal_options options = {
        .segment_bytes = 65536, .spare_count = 2, .post = errand_line_post, .post_context = line};
    struct journal *journal;
    struct journal_failure failure;
    bytes_found = 0;
    errand_line_init(line);
    ck_assert_int_eq(
        journal_open(&journal, disk, &options,
                     &(struct journal_reader){.on_record = on_record, .argument = NULL}, &failure),
        expected);
    return journal;
}

START_TEST(test_journal_on_a_real_disk)
{
    struct errand_line line;
    struct journal *journal = open_journal(&line, STATUS_OK);
    uint64_t positions[40];
    for (size_t i = 0; i < 40; i++) {
        memset(journal_open_record(journal, 7000, JOURNAL_FRESH, &positions[i]), 7, 7000);
        journal_close_record(journal, 7000);
        journal_home_state(journal, positions[i], 1, 1, 1);
        ck_assert_int_eq(errand_line_settle(&line, journal, 5), STATUS_OK);
    }
    journal_free(journal);
    journal = open_journal(&line, STATUS_OK);
    ck_assert_uint_eq(bytes_found, 40 * 7000);
    ck_assert_int_eq(journal_stop(journal, 6), STATUS_OK);
    journal_free(journal);
    ck_assert_int_eq(unlink(in_data("segment-0000000000000002")), 0);
    ck_assert_int_eq(symlink("segment-0000000000000003", in_data("segment-0000000000000002")), 0);
    ck_assert_ptr_null(open_journal(&line, STATUS_CORRUPT));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disk_real");
    TCase *tcase = tcase_create("disk_real");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_files);
    tcase_add_test(tcase, test_random_and_space);
    tcase_add_test(tcase, test_list);
    tcase_add_test(tcase, test_only_regular_files);
    tcase_add_test(tcase, test_one_daemon_per_directory);
    tcase_add_test(tcase, test_no_directory);
    tcase_add_test(tcase, test_journal_on_a_real_disk);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
