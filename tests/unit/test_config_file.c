/* Files that are no configuration: too large, too long, of the wrong sort, full of NUL bytes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/config_file.h"
#include "tests/support/check_main.h"

struct fixture {
    char directory[64];
    char path[96];
    struct config config;
    struct config_errors errors;
};

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    config_init(&f->config);
    snprintf(f->directory, sizeof(f->directory), "/tmp/herald-file-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->directory));
    snprintf(f->path, sizeof(f->path), "%s/herald.conf", f->directory);
}

static void teardown(struct fixture *f)
{
    char command[128];
    config_errors_deinit(&f->errors);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->directory);
    ck_assert_int_eq(system(command), 0);
}

/* One error, which is "PATH...: TEXT". */
static void expect_error(const struct fixture *f, const char *text)
{
    ck_assert_uint_eq(f->errors.count, 1);
    ck_assert_ptr_eq(strstr(f->errors.text[0], f->directory), f->errors.text[0]);
    ck_assert_msg(strstr(f->errors.text[0], text) != NULL, "%s", f->errors.text[0]);
}

START_TEST(test_missing)
{
    struct fixture f;
    setup(&f);
    config_file_read(&f.config, f.path, CONFIG_MAY_BE_MISSING, &f.errors);
    ck_assert_uint_eq(f.errors.count, 0);
    config_file_read(&f.config, f.path, CONFIG_MUST_EXIST, &f.errors);
    expect_error(&f, "No such file");
    teardown(&f);
}
END_TEST

START_TEST(test_directory_and_pipe)
{
    struct fixture f;
    setup(&f);
    ck_assert_int_eq(mkdir(f.path, 0700), 0);
    config_file_read(&f.config, f.path, CONFIG_MAY_BE_MISSING, &f.errors);
    expect_error(&f, "not a regular file");
    config_errors_deinit(&f.errors);
    ck_assert_int_eq(rmdir(f.path), 0);
    ck_assert_int_eq(mkfifo(f.path, 0600), 0);
    config_file_read(&f.config, f.path, CONFIG_MAY_BE_MISSING, &f.errors);
    expect_error(&f, "not a regular file");
    teardown(&f);
}
END_TEST

/* Makes a file of this size without writing it. */
static void make_sparse(const struct fixture *f, off_t bytes)
{
    FILE *file = fopen(f->path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(truncate(f->path, bytes), 0);
}

START_TEST(test_100_mib)
{
    struct fixture f;
    setup(&f);
    make_sparse(&f, 100 * 1024 * 1024);
    config_file_read(&f.config, f.path, CONFIG_MUST_EXIST, &f.errors);
    expect_error(&f, "larger than 1MiB");
    teardown(&f);
}
END_TEST

/* Comments as long as a line may be, up to the size that a file may have. */
START_TEST(test_size_limit)
{
    struct fixture f;
    size_t bytes = CONFIG_FILE_BYTES_MAX + 1;
    char *text = malloc(bytes);
    ck_assert_ptr_nonnull(text);
    setup(&f);
    memset(text, '#', bytes);
    for (size_t i = 100; i < bytes; i += 100)
        text[i] = '\n';
    config_file_parse(&f.config, "x", text, CONFIG_FILE_BYTES_MAX, &f.errors);
    ck_assert_uint_eq(f.errors.count, 0);
    config_file_parse(&f.config, "x", text, bytes, &f.errors);
    ck_assert_uint_eq(f.errors.count, 1);
    ck_assert_str_eq(f.errors.text[0], "x: the file is larger than 1MiB");
    free(text);
    teardown(&f);
}
END_TEST

START_TEST(test_nul)
{
    static const char text[] = "[log]\nlevel = debug\0trace\nareas = net\n\0\n";
    struct fixture f;
    setup(&f);
    config_file_parse(&f.config, "x", text, sizeof(text) - 1, &f.errors);
    ck_assert_uint_eq(f.errors.count, 2);
    ck_assert_str_eq(f.errors.text[0], "x:2: the line holds a NUL byte");
    ck_assert_str_eq(f.errors.text[1], "x:4: the line holds a NUL byte");
    ck_assert_str_eq(f.config.log_areas, "net");
    ck_assert_int_eq(f.config.log_level, LOG_LEVEL_INFO);
    teardown(&f);
}
END_TEST

START_TEST(test_line_limit)
{
    char text[1024];
    struct fixture f;
    setup(&f);
    int used = snprintf(text, sizeof(text), "[log]\n%-196s.\nareas = x\n", "#");
    config_file_parse(&f.config, "x", text, (size_t)used, &f.errors);
    ck_assert_uint_eq(f.errors.count, 0);
    ck_assert_str_eq(f.config.where[CONFIG_INDEX_log_areas], "x:3");
    used = snprintf(text, sizeof(text), "[log]\n%-197s.\r\nareas = y\n", "#");
    config_file_parse(&f.config, "x", text, (size_t)used, &f.errors);
    ck_assert_uint_eq(f.errors.count, 1);
    ck_assert_str_eq(f.errors.text[0], "x:2: the line is longer than 197 bytes");
    ck_assert_str_eq(f.config.log_areas, "y");
    teardown(&f);
}
END_TEST

/* More errors than are kept are still counted. */
START_TEST(test_many_errors)
{
    char text[1000];
    struct fixture f;
    setup(&f);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 2 == 0 ? 'x' : '\n';
    config_file_parse(&f.config, "x", text, sizeof(text), &f.errors);
    ck_assert_uint_eq(f.errors.count, 500);
    ck_assert_ptr_nonnull(f.errors.text[CONFIG_ERRORS_MAX - 1]);
    teardown(&f);
}
END_TEST

START_TEST(test_listing)
{
    struct config_listing listing;
    struct fixture f;
    char path[160];
    setup(&f);
    config_listing_read(&listing, f.path, &f.errors);
    ck_assert_uint_eq(listing.count, 0);
    ck_assert_uint_eq(f.errors.count, 0);
    snprintf(path, sizeof(path), "%s/conf.d", f.directory);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    for (int i = 0; i < CONFIG_FILES_MAX; i++) {
        snprintf(path, sizeof(path), "%s/conf.d/%d.conf", f.directory, i);
        ck_assert_int_eq(mknod(path, S_IFREG | 0600, 0), 0);
    }
    config_listing_read(&listing, f.path, &f.errors);
    ck_assert_uint_eq(listing.count, CONFIG_FILES_MAX);
    ck_assert_uint_eq(f.errors.count, 0);
    for (size_t i = 1; i < listing.count; i++)
        ck_assert_int_lt(strcmp(listing.path[i - 1], listing.path[i]), 0);
    config_listing_deinit(&listing);
    snprintf(path, sizeof(path), "%s/conf.d/z.conf", f.directory);
    ck_assert_int_eq(mknod(path, S_IFREG | 0600, 0), 0);
    config_listing_read(&listing, f.path, &f.errors);
    expect_error(&f, "more than 256 files");
    config_listing_deinit(&listing);
    teardown(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_file");
    TCase *tcase = tcase_create("config_file");
    tcase_add_test(tcase, test_missing);
    tcase_add_test(tcase, test_directory_and_pipe);
    tcase_add_test(tcase, test_100_mib);
    tcase_add_test(tcase, test_size_limit);
    tcase_add_test(tcase, test_nul);
    tcase_add_test(tcase, test_line_limit);
    tcase_add_test(tcase, test_many_errors);
    tcase_add_test(tcase, test_listing);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
