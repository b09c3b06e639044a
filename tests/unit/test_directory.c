/* Listing a data directory: by kind, in order, and nothing that is not the journal's. */
#include "broker/store/directory.h"

#include <errno.h>

#include "broker/store/segment.h"
#include "tests/support/check_main.h"
#include "tests/support/disk_sim.h"

static struct disk_sim *sim;
static struct directory directory;
static struct journal_failure failure;

static void setup(void)
{
    sim = disk_sim_new(1);
    failure = (struct journal_failure){.text = ""};
}

static void teardown(void)
{
    directory_deinit(&directory);
    disk_sim_free(sim);
}

static enum status list(void)
{
    return directory_read(&directory, disk_sim_disk(sim), &failure);
}

START_TEST(test_kinds_and_order)
{
    static const char *const names[] = {
        "segment-000000000000000a",
        "spare-00000002",
        "segment-0000000000000002",
        "making-00000007",
        "spare-00000001",
        "segment-00000000000000ff",
        "notes.txt",
        "spare-1",
        "making-0000000g",
        "spare-00000003.copy",
        "old-segment-00001",
        "lock",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        disk_sim_put(sim, names[i], "abc", i % 3);
    ck_assert_int_eq(list(), STATUS_OK);
    ck_assert_uint_eq(directory.segments.count, 3);
    ck_assert_uint_eq(directory.segments.entry[0].number, 2);
    ck_assert_uint_eq(directory.segments.entry[0].bytes, 2);
    ck_assert_uint_eq(directory.segments.entry[1].number, 10);
    ck_assert_uint_eq(directory.segments.entry[2].number, 255);
    ck_assert_uint_eq(directory.spares.count, 2);
    ck_assert_uint_eq(directory.spares.entry[0].number, 1);
    ck_assert_uint_eq(directory.spares.entry[1].number, 2);
    ck_assert_uint_eq(directory.makings.count, 1);
    ck_assert_uint_eq(directory.makings.entry[0].number, 7);
}
END_TEST

START_TEST(test_many)
{
    for (uint64_t n = 1000; n > 0; n--) {
        char name[SEGMENT_NAME_BYTES];
        segment_print_name(name, NAME_SEGMENT, n * 77 % 1009 + 1);
        disk_sim_put(sim, name, "", 0);
    }
    ck_assert_int_eq(list(), STATUS_OK);
    ck_assert_uint_eq(directory.segments.count, 1000);
    for (size_t i = 1; i < 1000; i++)
        ck_assert_uint_lt(directory.segments.entry[i - 1].number,
                          directory.segments.entry[i].number);
}
END_TEST

/* What has the name of a segment but for its number is refused: it may be one that was renamed. */
START_TEST(test_names_like_a_segment)
{
    static const char *const names[] = {"segment-", "segment-2", "segment-0000000000000000",
                                        "segment-000000000000000A", "segment-0000000000000002~"};
    disk_sim_put(sim, names[_i], "", 0);
    ck_assert_int_eq(list(), STATUS_CORRUPT);
    ck_assert_str_eq(failure.file, names[_i]);
}
END_TEST

START_TEST(test_failing_list)
{
    disk_sim_fail_at(sim, 0, DISK_SIM_LIST, DISK_SIM_ONCE, EACCES);
    ck_assert_int_eq(list(), STATUS_IO_ERROR);
    ck_assert_int_eq(failure.error, EACCES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("directory");
    TCase *tcase = tcase_create("directory");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_kinds_and_order);
    tcase_add_test(tcase, test_many);
    tcase_add_loop_test(tcase, test_names_like_a_segment, 0, 5);
    tcase_add_test(tcase, test_failing_list);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
