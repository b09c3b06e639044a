/* A directory that takes the place of another. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/replace.h"
#include "tests/support/check_main.h"

static char root[64];
static char data[128];
static struct replace replace;

static void put(const char *directory, const char *name)
{
    char path[PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    int file = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    ck_assert_int_ge(file, 0);
    (void)close(file);
}

static int has(const char *directory, const char *name)
{
    char path[PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

static void setup(void)
{
    (void)snprintf(root, sizeof root, "/tmp/herald-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    (void)snprintf(data, sizeof data, "%s/data", root);
    ck_assert_int_eq(mkdir(data, 0750), 0);
    put(data, "old");
    ck_assert_int_eq(replace_plan(&replace, data, 1000000000), 0);
}

static void teardown(void)
{
    char command[256];
    (void)snprintf(command, sizeof command, "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(test_names)
{
    char slash[256];
    struct replace other;
    ck_assert_ptr_nonnull(strstr(replace.damaged, "/data.damaged-20010909T014640Z"));
    ck_assert_ptr_nonnull(strstr(replace.repaired, "/data.repaired-20010909T014640Z"));
    (void)snprintf(slash, sizeof slash, "%s/", data);
    ck_assert_int_eq(replace_plan(&other, slash, 1000000000), 0);
    ck_assert_str_eq(other.damaged, replace.damaged);
    ck_assert_int_eq(replace_plan(&other, "/nothing/here", 1), -ENOENT);
}
END_TEST

START_TEST(test_commit)
{
    struct stat found;
    ck_assert_int_eq(replace_begin(&replace), 0);
    ck_assert_int_eq(replace_begin(&replace), -EEXIST);
    put(replace.repaired, "new");
    ck_assert_int_eq(replace_commit(&replace), 0);
    ck_assert(has(data, "new") && !has(data, "old"));
    ck_assert(has(replace.damaged, "old") && !has(replace.damaged, "new"));
    ck_assert(!has(replace.repaired, ""));
    ck_assert_int_eq(stat(data, &found), 0);
    ck_assert_uint_eq(found.st_mode & 07777, 0750);
}
END_TEST

/* The name for the old one is taken: everything is as before. */
START_TEST(test_commit_fails)
{
    ck_assert_int_eq(replace_begin(&replace), 0);
    ck_assert_int_eq(mkdir(replace.damaged, 0700), 0);
    put(replace.damaged, "in the way");
    ck_assert_int_ne(replace_commit(&replace), 0);
    ck_assert(has(data, "old"));
    ck_assert(has(replace.repaired, ""));
}
END_TEST

START_TEST(test_abandon)
{
    ck_assert_int_eq(replace_begin(&replace), 0);
    put(replace.repaired, "new");
    replace_abandon(&replace);
    ck_assert(!has(replace.repaired, ""));
    ck_assert(has(data, "old"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replace");
    TCase *tcase = tcase_create("replace");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_names);
    tcase_add_test(tcase, test_commit);
    tcase_add_test(tcase, test_commit_fails);
    tcase_add_test(tcase, test_abandon);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
