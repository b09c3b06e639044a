/* The journal's readers: copies for a backup, reading in order, a check. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/batch.h"
#include "broker/store/journal.h"
#include "broker/store/segment.h"
#include "tests/support/disk_sim.h"
#include "tests/support/errand_line.h"

#define SEGMENT_BYTES (4u << 20)
#define CACHE_BYTES (1u << 20)

struct fixture {
    struct disk_sim *sim;
    struct journal *journal;
    struct errand_line line;
    struct journal_failure failure;
    uint64_t positions[4096];
    uint64_t appended;
    uint64_t found;
    uint64_t progress;
    unsigned char copied[64 << 10];
    uint32_t copied_bytes;
    enum status copied_status;
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

static void on_progress(void *argument, uint64_t done_bytes, uint64_t all_bytes)
{
    (void)argument;
    ck_assert_uint_gt(done_bytes, f.progress);
    ck_assert_uint_le(done_bytes, all_bytes);
    f.progress = done_bytes;
}

static struct journal_options options(void)
{
    return (struct journal_options){.segment_bytes = SEGMENT_BYTES,
                                    .spare_count = 2,
                                    .cache_bytes_max = CACHE_BYTES,
                                    .post = errand_line_post,
                                    .post_context = &f.line};
}

static const struct journal_reader reader = {.on_record = on_record, .on_progress = on_progress};

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

static void on_copy(void *argument, const unsigned char *at, uint32_t bytes, enum status status)
{
    (void)argument;
    f.copied_status = status;
    f.copied_bytes += bytes;
    if (status == STATUS_OK)
        memcpy(f.copied, at, bytes < sizeof f.copied ? bytes : sizeof f.copied);
}

START_TEST(test_held_segments_are_copied_and_not_freed)
{
    fill(3);
    uint64_t first = journal_hold(f.journal);
    ck_assert_uint_eq(first, SEGMENT_BYTES);
    (void)end_segment(0);
    settle();
    ck_assert(disk_sim_has(f.sim, "segment-0000000000000001"));
    f.copied_status = STATUS_MORE;
    ck_assert_int_eq(journal_copy(f.journal, first, 8192, on_copy, NULL), STATUS_OK);
    ck_assert_int_eq(journal_copy(f.journal, f.positions[2], 1000, on_copy, NULL), STATUS_OK);
    ck_assert_int_eq(errand_line_run_one(&f.line, f.journal, ERRAND_BACKGROUND), STATUS_OK);
    ck_assert_int_eq(f.copied_status, STATUS_OK);
    ck_assert_uint_eq(f.copied_bytes, 8192);
    ck_assert_mem_eq(f.copied, "HRLDSEG\n", 8);
    settle();
    ck_assert_uint_eq(f.copied_bytes, 9192);
    ck_assert_uint_eq(f.copied[0], 2);
    journal_release(f.journal);
    settle();
    ck_assert(!disk_sim_has(f.sim, "segment-0000000000000001"));
}
END_TEST

static void on_fetch(void *argument, uint64_t position, enum status status)
{
    (void)argument;
    (void)position;
    ck_assert_int_eq(status, STATUS_OK);
}

/* Who reads in order asks a few times, over the ends of segments, and memory stays bounded. */
START_TEST(test_reading_in_order_is_read_ahead)
{
    fill(5);
    journal_free(f.journal);
    f.journal = NULL;
    disk_sim_kill(f.sim);
    struct journal_options with = options();
    with.cache_bytes_max = 8 << 20;
    ck_assert_int_eq(journal_open(&f.journal, disk_sim_disk(f.sim), &with, &reader, &f.failure),
                     STATUS_OK);
    uint64_t asked = 0;
    for (uint64_t i = 0; i < f.appended; i++) {
        size_t bytes;
        const unsigned char *at = journal_peek(f.journal, f.positions[i], &bytes);
        while (at == NULL) {
            asked++;
            ck_assert_int_eq(
                journal_fetch(f.journal, f.positions[i], f.positions[i], on_fetch, NULL),
                STATUS_OK);
            settle();
            at = journal_peek(f.journal, f.positions[i], &bytes);
        }
        ck_assert_uint_eq(at[0], (unsigned char)i);
        if (i % 20 == 0)
            settle();
        ck_assert_uint_le(journal_figures(f.journal).cached_bytes, 12 << 20);
    }
    ck_assert_uint_le(asked, 4);
}
END_TEST

START_TEST(test_check_reads_and_changes_nothing)
{
    fill(3);
    journal_free(f.journal);
    f.journal = NULL;
    disk_sim_kill(f.sim);
    uint64_t changes = disk_sim_changes(f.sim);
    struct journal_options with = options();
    struct journal_recovery seen;
    ck_assert_int_eq(journal_check(disk_sim_disk(f.sim), &with, &reader, &seen, &f.failure),
                     STATUS_OK);
    ck_assert_uint_eq(f.found, f.appended);
    ck_assert_uint_eq(seen.record_count, f.appended);
    ck_assert_uint_eq(seen.segment_bytes, SEGMENT_BYTES);
    ck_assert_uint_eq(disk_sim_changes(f.sim), changes);
    f.found = 0;
    ck_assert_int_eq(journal_open(&f.journal, disk_sim_disk(f.sim), &with, &reader, &f.failure),
                     STATUS_OK);
    ck_assert_uint_eq(f.found, f.appended);
}
END_TEST

START_TEST(test_check_of_a_new_directory)
{
    struct disk_sim *empty = disk_sim_new(2);
    struct journal_options with = options();
    struct journal_recovery seen;
    ck_assert_int_eq(journal_check(disk_sim_disk(empty), &with, &reader, &seen, &f.failure),
                     STATUS_OK);
    ck_assert_uint_eq(seen.record_count, 0);
    ck_assert_uint_eq(disk_sim_changes(empty), 0);
    disk_sim_free(empty);
}
END_TEST

/* What is not on disk yet is in memory besides: at most a segment of it here. */
START_TEST(test_cache_stays_within_its_limit)
{
    for (size_t i = 0; i < 100; i++) {
        append(200 << 10);
        settle();
        ck_assert_uint_le(journal_figures(f.journal).cached_bytes, CACHE_BYTES + SEGMENT_BYTES);
    }
    ck_assert_uint_gt(journal_end_position(f.journal) / SEGMENT_BYTES, 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal_read");
    TCase *tcase = tcase_create("readers");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_held_segments_are_copied_and_not_freed);
    tcase_add_test(tcase, test_reading_in_order_is_read_ahead);
    tcase_add_test(tcase, test_check_reads_and_changes_nothing);
    tcase_add_test(tcase, test_check_of_a_new_directory);
    tcase_add_test(tcase, test_cache_stays_within_its_limit);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
