/* Startup: what is said and with what the process ends when the data cannot be used. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "broker/startup.h"
#include "tests/support/check_main.h"

static struct log *log_to(FILE *file)
{
    struct log_options options = {.fd = fileno(file), .level = LOG_LEVEL_INFO};
    return log_new(&options);
}

static void read_all(FILE *file, char *text, size_t room)
{
    rewind(file);
    text[fread(text, 1, room - 1, file)] = '\0';
}

START_TEST(test_exit_codes)
{
    ck_assert_int_eq(startup_exit_code(STATUS_OK), 0);
    ck_assert_int_eq(startup_exit_code(STATUS_CORRUPT), 65);
    ck_assert_int_eq(startup_exit_code(STATUS_NEWER_FORMAT), 65);
    ck_assert_int_eq(startup_exit_code(STATUS_IO_ERROR), 74);
    ck_assert_int_eq(startup_exit_code(STATUS_LOCKED), 74);
    ck_assert_int_eq(startup_exit_code(STATUS_DISK_FULL), 74);
    ck_assert_int_eq(startup_exit_code(STATUS_NO_MEMORY), 71);
}
END_TEST

START_TEST(test_a_failure_names_file_offset_and_error)
{
    char text[1024];
    FILE *file = tmpfile();
    struct log *log = log_to(file);
    struct journal_failure failure = {"segment-07", 4608, EIO, "cannot be synced"};
    startup_log_failure(log, "/data", &failure);
    read_all(file, text, sizeof(text));
    ck_assert_ptr_nonnull(
        strstr(text, "/data/segment-07 at offset 4608: cannot be synced: Input/output error\n"));
    log_free(log);
    fclose(file);
}
END_TEST

START_TEST(test_a_locked_directory_is_named)
{
    char directory[] = "/tmp/herald-startup-XXXXXX";
    char text[1024];
    char error[256];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    struct disk *owner;
    ck_assert_int_eq(disk_real_new(&owner, directory, error, sizeof(error)), STATUS_OK);
    FILE *file = tmpfile();
    struct startup startup = {.log = log_to(file), .directory = directory};
    struct disk *disk;
    struct journal *journal;
    ck_assert_int_eq(startup_recover(&startup, &disk, &journal), STATUS_LOCKED);
    ck_assert_ptr_null(disk);
    ck_assert_ptr_null(journal);
    read_all(file, text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, directory));
    log_free(startup.log);
    fclose(file);
    disk_real_free(owner);
    char lock[64];
    snprintf(lock, sizeof(lock), "%s/lock", directory);
    unlink(lock);
    ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("startup");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_exit_codes);
    tcase_add_test(tcase, test_a_failure_names_file_offset_and_error);
    tcase_add_test(tcase, test_a_locked_directory_is_named);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
