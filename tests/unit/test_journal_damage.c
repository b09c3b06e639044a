/* Damaged journals: a torn tail is cut, everything else is refused and left as it is (D6, D7, d47).
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/batch.h"
#include "broker/store/journal.h"
#include "broker/store/segment.h"
#include "tests/support/disk_sim.h"
#include "tests/support/errand_line.h"

#define SEGMENT_BYTES 65536u
#define FIRST "segment-0000000000000001"
#define SECOND "segment-0000000000000002"
#define THIRD "segment-0000000000000003"

struct fixture {
    struct disk_sim *sim;
    struct journal *journal;
    struct errand_line line;
    struct journal_failure failure;
    uint64_t batch_offset[64]; /* of each record's batch, in its segment */
    size_t appended;
    size_t found;
};

static struct fixture f;

static enum status on_record(void *argument, uint64_t position, const unsigned char *at,
                             uint32_t bytes, uint64_t now_ms)
{
    (void)argument;
    (void)now_ms;
    (void)at;
    (void)bytes;
    journal_home_state(f.journal, position, 1, 1, 1);
    f.found++;
    return STATUS_OK;
}

static enum status reopen(void)
{
    journal_free(f.journal);
    f.journal = NULL;
    disk_sim_kill(f.sim);
    errand_line_init(&f.line);
    f.found = 0;
    struct journal_options options = {.segment_bytes = SEGMENT_BYTES,
                                      .spare_count = 2,
                                      .post = errand_line_post,
                                      .post_context = &f.line};
    return journal_open(&f.journal, disk_sim_disk(f.sim), &options,
                        &(struct journal_reader){.on_record = on_record, .argument = NULL},
                        &f.failure);
}

static void append(const void *body, size_t bytes)
{
    uint64_t position;
    unsigned char *at = journal_open_record(f.journal, bytes, JOURNAL_FRESH, &position);
    ck_assert_ptr_nonnull(at);
    memcpy(at, body, bytes);
    journal_close_record(f.journal, bytes);
    journal_home_state(f.journal, position, 1, 1, 1);
    ck_assert_int_eq(errand_line_settle(&f.line, f.journal, 1), STATUS_OK);
    f.batch_offset[f.appended++] = position % SEGMENT_BYTES - BATCH_HEADER_BYTES - 8;
}

/* A journal of three segments, a batch of 16 KiB per record, killed and quiet. */
static void setup(void)
{
    static const unsigned char body[SEGMENT_BYTES / 4];
    memset(&f, 0, sizeof f);
    f.sim = disk_sim_new(1);
    ck_assert_int_eq(reopen(), STATUS_OK);
    for (int i = 0; i < 9; i++)
        append(body, sizeof body - 200);
    journal_free(f.journal);
    f.journal = NULL;
    disk_sim_kill(f.sim);
    disk_sim_calm(f.sim);
    ck_assert(disk_sim_has(f.sim, THIRD));
}

static void teardown(void)
{
    journal_free(f.journal);
    disk_sim_free(f.sim);
}

static void expect_refusal(enum status status, const char *file)
{
    uint64_t changes = disk_sim_changes(f.sim);
    ck_assert_int_eq(reopen(), status);
    ck_assert_ptr_null(f.journal);
    ck_assert_str_eq(f.failure.file, file);
    ck_assert_str_ne(f.failure.text, "");
    ck_assert_uint_eq(disk_sim_changes(f.sim), changes);
    /* And again the same. */
    ck_assert_int_eq(reopen(), status);
}

static void expect_records(size_t count)
{
    ck_assert_int_eq(reopen(), STATUS_OK);
    ck_assert_uint_eq(f.found, count);
    append("more", 4);
    ck_assert_int_eq(reopen(), STATUS_OK);
    ck_assert_uint_eq(f.found, count + 1);
}

static const char *last_segment(void)
{
    return f.batch_offset[8] > f.batch_offset[7] || f.batch_offset[7] > f.batch_offset[6] ? THIRD
                                                                                          : SECOND;
}

START_TEST(test_undamaged)
{
    expect_records(9);
}
END_TEST

START_TEST(test_torn_tail_is_cut)
{
    disk_sim_flip(f.sim, last_segment(), f.batch_offset[8] + 1000, 1);
    ck_assert_int_eq(reopen(), STATUS_OK);
    ck_assert_uint_eq(f.found, 8);
    ck_assert_uint_gt(journal_recovery(f.journal).cut_bytes, 0);
    expect_records(8);
}
END_TEST

START_TEST(test_torn_header_is_cut)
{
    disk_sim_flip(f.sim, last_segment(), f.batch_offset[8] + 30, 1);
    expect_records(8);
}
END_TEST

/* The cut batch must not come back when the bytes that were missing turn up. */
START_TEST(test_cut_batch_stays_cut)
{
    disk_sim_flip(f.sim, last_segment(), f.batch_offset[8] + 1000, 1);
    ck_assert_int_eq(reopen(), STATUS_OK);
    ck_assert_uint_eq(f.found, 8);
    disk_sim_calm(f.sim);
    disk_sim_flip(f.sim, last_segment(), f.batch_offset[8] + 1000, 1);
    expect_records(8);
}
END_TEST

START_TEST(test_rot_before_a_later_batch)
{
    disk_sim_flip(f.sim, last_segment(), f.batch_offset[7] + 1000, 1);
    expect_refusal(STATUS_CORRUPT, last_segment());
    ck_assert_uint_eq(f.failure.offset, f.batch_offset[7]);
}
END_TEST

START_TEST(test_rot_of_a_header_before_a_later_batch)
{
    disk_sim_flip(f.sim, last_segment(), f.batch_offset[7] + 60, 1);
    expect_refusal(STATUS_CORRUPT, last_segment());
}
END_TEST

START_TEST(test_rot_in_an_older_segment)
{
    disk_sim_flip(f.sim, FIRST, f.batch_offset[1] + 500, 1);
    expect_refusal(STATUS_CORRUPT, FIRST);
    ck_assert_uint_eq(f.failure.offset, f.batch_offset[1]);
}
END_TEST

START_TEST(test_rot_of_the_last_batch_of_an_older_segment)
{
    disk_sim_flip(f.sim, FIRST, f.batch_offset[2] + 500, 1);
    expect_refusal(STATUS_CORRUPT, FIRST);
}
END_TEST

START_TEST(test_rot_of_a_first_batch)
{
    disk_sim_flip(f.sim, SECOND, SEGMENT_HEADER_BYTES + 500, 1);
    expect_refusal(STATUS_CORRUPT, SECOND);
}
END_TEST

START_TEST(test_rot_of_the_first_batch_of_the_last_segment)
{
    disk_sim_flip(f.sim, THIRD, SEGMENT_HEADER_BYTES + 500, 1);
    ck_assert_int_eq(reopen(), STATUS_CORRUPT);
}
END_TEST

START_TEST(test_rot_of_a_segment_header)
{
    disk_sim_flip(f.sim, SECOND, 40, 1);
    expect_refusal(STATUS_CORRUPT, SECOND);
}
END_TEST

START_TEST(test_newer_format)
{
    disk_sim_flip(f.sim, FIRST, 8, 2);
    expect_refusal(STATUS_NEWER_FORMAT, FIRST);
}
END_TEST

START_TEST(test_missing_first_segment)
{
    disk_sim_take_away(f.sim, FIRST);
    expect_refusal(STATUS_CORRUPT, FIRST);
}
END_TEST

START_TEST(test_missing_middle_segment)
{
    disk_sim_take_away(f.sim, SECOND);
    expect_refusal(STATUS_CORRUPT, SECOND);
}
END_TEST

static void copy_over(const char *from, const char *to)
{
    size_t bytes;
    const unsigned char *at = disk_sim_bytes(f.sim, from, &bytes);
    unsigned char *copy = malloc(bytes);
    memcpy(copy, at, bytes);
    if (disk_sim_has(f.sim, to))
        disk_sim_take_away(f.sim, to);
    disk_sim_put(f.sim, to, copy, bytes);
    free(copy);
}

START_TEST(test_duplicated_segment)
{
    copy_over(FIRST, SECOND);
    expect_refusal(STATUS_CORRUPT, SECOND);
}
END_TEST

START_TEST(test_swapped_segments)
{
    copy_over(FIRST, "kept-aside");
    copy_over(SECOND, FIRST);
    copy_over("kept-aside", SECOND);
    expect_refusal(STATUS_CORRUPT, FIRST);
}
END_TEST

START_TEST(test_truncated_segment)
{
    disk_sim_cut(f.sim, SECOND, SEGMENT_BYTES - 4096);
    expect_refusal(STATUS_CORRUPT, SECOND);
}
END_TEST

START_TEST(test_empty_file)
{
    disk_sim_cut(f.sim, SECOND, 0);
    expect_refusal(STATUS_CORRUPT, SECOND);
}
END_TEST

START_TEST(test_not_a_regular_file)
{
    disk_sim_take_away(f.sim, SECOND);
    disk_sim_put_irregular(f.sim, SECOND);
    expect_refusal(STATUS_CORRUPT, SECOND);
}
END_TEST

START_TEST(test_foreign_segment_name)
{
    disk_sim_put(f.sim, "segment-2", "", 0);
    expect_refusal(STATUS_CORRUPT, "segment-2");
}
END_TEST

START_TEST(test_other_files_are_left_alone)
{
    disk_sim_put(f.sim, "notes.txt", "mine", 4);
    expect_records(9);
    ck_assert(disk_sim_has(f.sim, "notes.txt"));
}
END_TEST

/* An older copy of a segment, from before it was recycled or filled. */
START_TEST(test_older_copy_of_a_segment)
{
    disk_sim_cut(f.sim, SECOND, SEGMENT_HEADER_BYTES);
    disk_sim_cut(f.sim, SECOND, SEGMENT_BYTES);
    expect_refusal(STATUS_CORRUPT, SECOND);
}
END_TEST

/* A body that holds a copy of a valid batch, at the place where a batch could begin. */
START_TEST(test_batches_in_bodies_are_not_believed)
{
    ck_assert_int_eq(reopen(), STATUS_OK);
    size_t bytes;
    const unsigned char *segment = disk_sim_bytes(f.sim, FIRST, &bytes);
    unsigned char body[15000];
    for (size_t at = 0; at < sizeof body; at++)
        body[at] = segment[SEGMENT_HEADER_BYTES + at];
    /* So that the copy stands at a multiple of 512. */
    size_t shift = BATCH_ALIGN - (BATCH_HEADER_BYTES + RECORD_HEADER_BYTES);
    memmove(body + shift, body, sizeof body - shift);
    append(body, sizeof body);
    const char *name =
        disk_sim_has(f.sim, "segment-0000000000000004") ? "segment-0000000000000004" : THIRD;
    uint64_t offset = f.batch_offset[9];
    ck_assert_int_eq(reopen(), STATUS_OK);
    ck_assert_uint_eq(f.found, 10);
    /* Even when the batch around it is torn. */
    journal_free(f.journal);
    f.journal = NULL;
    disk_sim_kill(f.sim);
    disk_sim_calm(f.sim);
    disk_sim_flip(f.sim, offset == SEGMENT_HEADER_BYTES ? name : THIRD, offset + 20, 255);
    ck_assert_int_eq(reopen(), STATUS_OK);
    ck_assert_uint_eq(f.found, 9);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal_damage");
    TCase *tcase = tcase_create("journal_damage");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_undamaged);
    tcase_add_test(tcase, test_torn_tail_is_cut);
    tcase_add_test(tcase, test_torn_header_is_cut);
    tcase_add_test(tcase, test_cut_batch_stays_cut);
    tcase_add_test(tcase, test_rot_before_a_later_batch);
    tcase_add_test(tcase, test_rot_of_a_header_before_a_later_batch);
    tcase_add_test(tcase, test_rot_in_an_older_segment);
    tcase_add_test(tcase, test_rot_of_the_last_batch_of_an_older_segment);
    tcase_add_test(tcase, test_rot_of_a_first_batch);
    tcase_add_test(tcase, test_rot_of_the_first_batch_of_the_last_segment);
    tcase_add_test(tcase, test_rot_of_a_segment_header);
    tcase_add_test(tcase, test_newer_format);
    tcase_add_test(tcase, test_missing_first_segment);
    tcase_add_test(tcase, test_missing_middle_segment);
    tcase_add_test(tcase, test_duplicated_segment);
    tcase_add_test(tcase, test_swapped_segments);
    tcase_add_test(tcase, test_truncated_segment);
    tcase_add_test(tcase, test_empty_file);
    tcase_add_test(tcase, test_not_a_regular_file);
    tcase_add_test(tcase, test_foreign_segment_name);
    tcase_add_test(tcase, test_other_files_are_left_alone);
    tcase_add_test(tcase, test_older_copy_of_a_segment);
    tcase_add_test(tcase, test_batches_in_bodies_are_not_believed);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
