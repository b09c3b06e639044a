/* The oldest segment is walked from its beginning to its end, for restating. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/batch.h"
#include "broker/store/journal.h"
#include "broker/store/segment.h"
#include "tests/support/disk_sim.h"
#include "tests/support/errand_line.h"

#define SEGMENT_BYTES (4u << 20)

struct fixture {
    struct disk_sim *sim;
    struct journal *journal;
    struct errand_line line;
    struct journal_failure failure;
    uint64_t positions[4096];
    uint64_t appended;
    uint64_t found;
};

static struct fixture f;

static enum status on_record(void *argument, uint64_t position, const unsigned char *at,
                             uint32_t bytes, uint64_t now_ms)
{
    (void)argument;
    (void)now_ms;
    ck_assert_uint_eq(position, f.positions[f.found]);
    ck_assert_uint_eq(at[0], (unsigned char)f.found);
    ck_assert_uint_eq(at[bytes - 1], (unsigned char)f.found);
    if (f.journal != NULL)
        journal_home_state(f.journal, position, 1, bytes, bytes);
    f.found++;
    return STATUS_OK;
}

static struct journal_options options(void)
{
    return (struct journal_options){.segment_bytes = SEGMENT_BYTES,
                                    .spare_count = 2,
                                    .cache_bytes_max = 1 << 20,
                                    .post = errand_line_post,
                                    .post_context = &f.line};
}

static const struct journal_reader reader = {.on_record = on_record};

static void setup(void)
{
    memset(&f, 0, sizeof f);
    f.sim = disk_sim_new(1);
    errand_line_init(&f.line);
    struct journal_options with = options();
    ck_assert_int_eq(journal_open(&f.journal, disk_sim_disk(f.sim), &with, &reader, &f.failure),
                     STATUS_OK);
}

static void teardown(void)
{
    journal_free(f.journal);
    disk_sim_free(f.sim);
}

static void settle(void)
{
    ck_assert_int_eq(errand_line_settle(&f.line, f.journal, 1), STATUS_OK);
}

static void append(size_t bytes)
{
    uint64_t position;
    unsigned char *at = journal_open_record(f.journal, bytes, JOURNAL_FRESH, &position);
    ck_assert_ptr_nonnull(at);
    memset(at, (unsigned char)f.appended, bytes);
    journal_close_record(f.journal, bytes);
    journal_home_state(f.journal, position, 1, bytes, bytes);
    f.positions[f.appended++] = position;
}

/* Fills until `segments` segments are in use, in batches of many sizes. */
static void fill(uint64_t segments)
{
    for (uint64_t i = 0; f.appended == 0 || f.positions[f.appended - 1] / SEGMENT_BYTES < segments;
         i++) {
        append(1000 + i % 7 * 3000);
        if (i % 5 == 0)
            settle();
    }
    settle();
}

/* Walks the oldest segment: its records in order, then the end. */
static void walk_oldest(uint64_t from, uint64_t segment)
{
    struct journal_found found;
    for (;;) {
        enum status status = journal_oldest_next(f.journal, &found);
        if (status == STATUS_MORE) {
            ck_assert_int_eq(errand_line_run_one(&f.line, f.journal, ERRAND_BACKGROUND), STATUS_OK);
            continue;
        }
        if (status == STATUS_NOT_FOUND)
            break;
        ck_assert_int_eq(status, STATUS_OK);
        ck_assert_uint_eq(found.position, f.positions[from]);
        ck_assert_uint_eq(found.at[0], (unsigned char)from);
        ck_assert_uint_eq(found.at[found.bytes - 1], (unsigned char)from);
        from++;
    }
    ck_assert_uint_eq(f.positions[from - 1] / SEGMENT_BYTES, segment);
    ck_assert_uint_eq(f.positions[from] / SEGMENT_BYTES, segment + 1);
    ck_assert_int_eq(journal_oldest_next(f.journal, &found), STATUS_NOT_FOUND);
}

/* Everything of a segment loses its home. */
static uint64_t end_segment(uint64_t from)
{
    uint64_t segment = f.positions[from] / SEGMENT_BYTES;
    for (; f.positions[from] / SEGMENT_BYTES == segment; from++) {
        uint64_t bytes = 1000 + from % 7 * 3000;
        journal_home_remove(f.journal, f.positions[from], 1, bytes);
    }
    return from;
}

START_TEST(test_oldest_is_walked_record_by_record)
{
    fill(3);
    walk_oldest(0, 1);
    uint64_t second = end_segment(0);
    settle();
    walk_oldest(second, 2);
    struct journal_found found;
    (void)end_segment(second);
    settle();
    ck_assert_int_eq(journal_oldest_next(f.journal, &found), STATUS_NOT_FOUND);
}
END_TEST

/* The last home goes while a piece of the segment is under way: it stays as long as it is read. */
START_TEST(test_oldest_changes_under_way)
{
    fill(3);
    struct journal_found found;
    ck_assert_int_eq(journal_oldest_next(f.journal, &found), STATUS_MORE);
    ck_assert_int_eq(journal_oldest_next(f.journal, &found), STATUS_MORE);
    uint64_t second = end_segment(0);
    journal_round(f.journal, 1);
    ck_assert_int_eq(journal_oldest_next(f.journal, &found), STATUS_MORE);
    settle();
    walk_oldest(second, 2);
}
END_TEST

/* Whoever could not state a record again gets it once more, and then the one behind it. */
START_TEST(test_the_last_record_is_given_again)
{
    fill(2);
    for (uint64_t i = 0; f.positions[i] / SEGMENT_BYTES == 1; i++)
        for (unsigned turn = 0; turn < 3;) {
            struct journal_found found;
            enum status status = journal_oldest_next(f.journal, &found);
            if (status == STATUS_MORE) {
                ck_assert_int_eq(errand_line_run_one(&f.line, f.journal, ERRAND_BACKGROUND),
                                 STATUS_OK);
                continue;
            }
            ck_assert_int_eq(status, STATUS_OK);
            ck_assert_uint_eq(found.position, f.positions[i]);
            ck_assert_uint_eq(found.bytes, 1000 + i % 7 * 3000);
            ck_assert_uint_eq(found.at[found.bytes - 1], (unsigned char)i);
            if (++turn < 3)
                journal_oldest_again(f.journal);
        }
    struct journal_found found;
    while (journal_oldest_next(f.journal, &found) == STATUS_MORE)
        ck_assert_int_eq(errand_line_run_one(&f.line, f.journal, ERRAND_BACKGROUND), STATUS_OK);
    ck_assert_int_eq(journal_oldest_next(f.journal, &found), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(test_rot_in_the_oldest_ends_it)
{
    fill(2);
    uint64_t offset = f.positions[50] % SEGMENT_BYTES;
    disk_sim_calm(f.sim);
    disk_sim_flip(f.sim, "segment-0000000000000001", offset, 1);
    struct journal_found found;
    enum status status = STATUS_OK;
    while (status == STATUS_OK) {
        enum status next = journal_oldest_next(f.journal, &found);
        ck_assert(next == STATUS_OK || next == STATUS_MORE);
        if (next == STATUS_MORE)
            status = errand_line_run_one(&f.line, f.journal, ERRAND_BACKGROUND);
    }
    ck_assert_int_eq(status, STATUS_CORRUPT);
    ck_assert_str_eq(journal_failure(f.journal)->file, "segment-0000000000000001");
    ck_assert_uint_le(journal_failure(f.journal)->offset, offset);
    ck_assert_uint_gt(journal_failure(f.journal)->offset, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("oldest");
    TCase *tcase = tcase_create("readers");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_oldest_is_walked_record_by_record);
    tcase_add_test(tcase, test_oldest_changes_under_way);
    tcase_add_test(tcase, test_the_last_record_is_given_again);
    tcase_add_test(tcase, test_rot_in_the_oldest_ends_it);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
