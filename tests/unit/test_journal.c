/* The journal on a simulated disk: appending, rounds, reading back, freeing, a full disk, failures.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/journal.h"
#include "tests/support/disk_sim.h"
#include "tests/support/errand_line.h"

#define SEGMENT_BYTES 65536u

struct fixture {
    struct disk_sim *sim;
    struct journal *journal;
    struct errand_line line;
    struct journal_failure failure;
    uint64_t positions[4096]; /* of the records that recovery found */
    uint64_t bytes[4096];
    size_t count;
    bool keeps_homes; /* recovery gives each record a home */
    uint64_t now_ms;
};

static struct fixture f;

static enum status on_record(void *argument, uint64_t position, const unsigned char *at,
                             uint32_t bytes, uint64_t now_ms)
{
    (void)now_ms;
    ck_assert_ptr_eq(argument, &f);
    ck_assert_uint_eq(at[0], (unsigned char)bytes);
    ck_assert_uint_eq(at[bytes - 1], (unsigned char)bytes);
    f.positions[f.count] = position;
    f.bytes[f.count++] = bytes;
    if (f.keeps_homes)
        journal_home_state(f.journal, position, 1, 1, 1);
    return STATUS_OK;
}

static enum status reopen(uint64_t cache_bytes_max)
{
    journal_free(f.journal);
    disk_sim_kill(f.sim);
    errand_line_init(&f.line);
    f.count = 0;
    struct journal_options options = {.segment_bytes = SEGMENT_BYTES,
                                      .spare_count = 2,
                                      .cache_bytes_max = cache_bytes_max,
                                      .post = errand_line_post,
                                      .post_context = &f.line};
    return journal_open(&f.journal, disk_sim_disk(f.sim), &options,
                        &(struct journal_reader){.on_record = on_record, .argument = &f},
                        &f.failure);
}

static void setup(void)
{
    memset(&f, 0, sizeof f);
    f.keeps_homes = true;
    f.now_ms = 1000;
    f.sim = disk_sim_new(1);
    ck_assert_int_eq(reopen(1 << 20), STATUS_OK);
}

static void teardown(void)
{
    journal_free(f.journal);
    disk_sim_free(f.sim);
}

static unsigned char *open_record(size_t bytes, enum journal_urgency urgency, uint64_t *position)
{
    unsigned char *at = journal_open_record(f.journal, bytes, urgency, position);
    if (at != NULL)
        memset(at, (unsigned char)bytes, bytes);
    return at;
}

static uint64_t append_as(size_t bytes, enum journal_urgency urgency)
{
    uint64_t position;
    ck_assert_ptr_nonnull(open_record(bytes, urgency, &position));
    journal_close_record(f.journal, bytes);
    journal_home_state(f.journal, position, 1, 1, 1);
    return position;
}

static uint64_t append(size_t bytes)
{
    return append_as(bytes, JOURNAL_FRESH);
}

static void settle(void)
{
    ck_assert_int_eq(errand_line_settle(&f.line, f.journal, f.now_ms), STATUS_OK);
}

START_TEST(test_durable_only_after_the_commit)
{
    uint64_t first = append(100);
    uint64_t second = append(200);
    ck_assert_uint_gt(second, first);
    ck_assert_uint_eq(journal_pending_bytes(f.journal), 300 + 2 * 8);
    ck_assert_uint_le(journal_durable_position(f.journal), first);
    uint64_t end = journal_end_position(f.journal);
    journal_round(f.journal, f.now_ms);
    ck_assert_uint_le(journal_durable_position(f.journal), first);
    uint64_t third = append(300);
    ck_assert_uint_gt(third, end);
    ck_assert_int_eq(errand_line_run_one(&f.line, f.journal, ERRAND_COMMIT), STATUS_OK);
    ck_assert_uint_ge(journal_durable_position(f.journal), end);
    ck_assert_uint_le(journal_durable_position(f.journal), third);
    settle();
    ck_assert_uint_gt(journal_durable_position(f.journal), third);
    ck_assert_uint_ge(journal_durable_position(f.journal), journal_end_position(f.journal));
    ck_assert_uint_eq(journal_pending_bytes(f.journal), 0);
}
END_TEST

/* Live bytes follow the weights: a half of the weight, a half of the bytes that stated it. */
START_TEST(test_live_bytes_are_estimated_from_weights)
{
    uint64_t position;
    ck_assert_ptr_nonnull(open_record(1000, JOURNAL_FRESH, &position));
    journal_close_record(f.journal, 1000);
    struct journal_space space = journal_space(f.journal);
    ck_assert_uint_eq(space.live_bytes, 0);
    ck_assert_uint_eq(space.used_bytes, SEGMENT_BYTES);
    journal_home_state(f.journal, position, 3, (uint64_t)3 << 34, 900);
    journal_home_state(f.journal, position, 1, 0, 0);
    ck_assert_uint_eq(journal_space(f.journal).live_bytes, 900);
    journal_home_remove(f.journal, position, 1, (uint64_t)1 << 34);
    space = journal_space(f.journal);
    ck_assert_uint_eq(space.live_bytes, 600);
    ck_assert_uint_eq(space.oldest_live_bytes, 600);
    journal_home_remove(f.journal, position, 2, (uint64_t)2 << 34);
    ck_assert_uint_eq(journal_space(f.journal).live_bytes, 0);
}
END_TEST

START_TEST(test_one_batch_in_flight)
{
    append(1000);
    journal_round(f.journal, f.now_ms);
    struct errand *commit = errand_line_take_of(&f.line, ERRAND_COMMIT);
    ck_assert_ptr_nonnull(commit);
    append(10);
    journal_round(f.journal, f.now_ms);
    ck_assert_ptr_null(errand_line_take_of(&f.line, ERRAND_COMMIT));
    commit->run(commit);
    ck_assert_int_eq(journal_on_errand(f.journal, commit), STATUS_OK);
    journal_round(f.journal, f.now_ms);
    ck_assert_int_eq(errand_line_run_one(&f.line, f.journal, ERRAND_COMMIT), STATUS_OK);
}
END_TEST

START_TEST(test_recovers_what_was_appended)
{
    uint64_t positions[300];
    size_t sizes[300];
    for (size_t i = 0; i < 300; i++) {
        sizes[i] = 1 + i * 37 % 5000;
        positions[i] = append(sizes[i]);
        if (i % 5 == 0)
            settle();
    }
    settle();
    ck_assert_uint_gt(journal_figures(f.journal).segment_count, 8);
    ck_assert_int_eq(reopen(1 << 20), STATUS_OK);
    ck_assert_uint_eq(f.count, 300);
    for (size_t i = 0; i < 300; i++) {
        ck_assert_uint_eq(f.positions[i], positions[i]);
        ck_assert_uint_eq(f.bytes[i], sizes[i]);
    }
    struct journal_recovery seen = journal_recovery(f.journal);
    ck_assert_uint_eq(seen.record_count, 300);
    ck_assert_uint_eq(seen.newest_ms, f.now_ms);
    ck_assert_uint_eq(seen.segment_bytes, SEGMENT_BYTES);
    ck_assert(!seen.was_clean);
    ck_assert_uint_gt(append(5), positions[299]);
}
END_TEST

START_TEST(test_clean_stop_is_told)
{
    append(50);
    settle();
    append(60);
    ck_assert_int_eq(errand_line_run(&f.line, f.journal), STATUS_OK);
    ck_assert_int_eq(journal_stop(f.journal, f.now_ms), STATUS_OK);
    ck_assert_int_eq(reopen(0), STATUS_OK);
    ck_assert_uint_eq(f.count, 2);
    ck_assert(journal_recovery(f.journal).was_clean);
    append(70);
    settle();
    ck_assert_int_eq(reopen(0), STATUS_OK);
    ck_assert_uint_eq(f.count, 3);
    ck_assert(!journal_recovery(f.journal).was_clean);
}
END_TEST

START_TEST(test_largest_record_and_a_little_more_than_fits)
{
    size_t max = journal_record_bytes_max(f.journal);
    ck_assert_uint_eq(max, SEGMENT_BYTES / 4);
    for (int i = 0; i < 20; i++)
        append_as(max, JOURNAL_URGENT);
    settle();
    ck_assert_int_eq(reopen(0), STATUS_OK);
    ck_assert_uint_eq(f.count, 20);
}
END_TEST

START_TEST(test_less_than_was_asked_for)
{
    uint64_t position;
    unsigned char *at = journal_open_record(f.journal, 1000, JOURNAL_FRESH, &position);
    at[0] = 1;
    journal_close_record(f.journal, 1);
    uint64_t next = append(3);
    ck_assert_uint_eq(next, position + 1 + 8);
    settle();
    ck_assert_int_eq(reopen(0), STATUS_OK);
    ck_assert_uint_eq(f.count, 2);
}
END_TEST

START_TEST(test_batches_wait_for_their_segment)
{
    for (int i = 0; i < 60; i++)
        append_as(10000, JOURNAL_URGENT);
    uint64_t end = journal_end_position(f.journal);
    ck_assert_uint_gt(end / SEGMENT_BYTES, 8);
    settle();
    ck_assert_uint_ge(journal_durable_position(f.journal), end);
    ck_assert_int_eq(reopen(0), STATUS_OK);
    ck_assert_uint_eq(f.count, 60);
}
END_TEST

/* Otherwise everything would wait behind it, should there be no room for another segment. */
START_TEST(test_fresh_records_do_not_run_ahead_of_the_spares)
{
    uint64_t position;
    unsigned count = 0;
    while (open_record(10000, JOURNAL_FRESH, &position) != NULL) {
        journal_close_record(f.journal, 10000);
        ck_assert_uint_lt(++count, 100);
    }
    ck_assert_uint_ge(count, 5);
    ck_assert(journal_is_full(f.journal));
    settle();
    ck_assert(!journal_is_full(f.journal));
    append(10000);
    settle();
    ck_assert_int_eq(reopen(0), STATUS_OK);
    ck_assert_uint_eq(f.count, count + 1);
}
END_TEST

START_TEST(test_oldest_segments_go_when_nothing_is_at_home)
{
    uint64_t positions[120];
    for (size_t i = 0; i < 120; i++) {
        positions[i] = append(5000);
        settle();
    }
    uint64_t before = journal_figures(f.journal).segment_count;
    uint64_t middle = positions[60] / SEGMENT_BYTES;
    for (size_t i = 0; i < 120; i++)
        if (positions[i] / SEGMENT_BYTES > middle)
            journal_home_remove(f.journal, positions[i], 1, 1);
    settle();
    ck_assert_uint_eq(journal_figures(f.journal).segment_count, before);
    for (size_t i = 0; i < 120; i++)
        if (positions[i] / SEGMENT_BYTES < middle)
            journal_home_remove(f.journal, positions[i], 1, 1);
    settle();
    uint64_t newest = journal_end_position(f.journal) / SEGMENT_BYTES;
    ck_assert_uint_le(journal_figures(f.journal).segment_count, newest - middle + 2);
    ck_assert_int_eq(reopen(0), STATUS_OK);
    ck_assert_uint_eq(journal_recovery(f.journal).first_position, middle * SEGMENT_BYTES);
    ck_assert_uint_eq(f.positions[0] / SEGMENT_BYTES, middle);
}
END_TEST

START_TEST(test_no_file_goes_before_the_trim_is_durable)
{
    static const char oldest[] = "segment-0000000000000001";
    uint64_t position = append(SEGMENT_BYTES / 4);
    uint64_t homes[16] = {position};
    size_t count = 1;
    while (position / SEGMENT_BYTES < 3) {
        position = append(SEGMENT_BYTES / 4);
        homes[count++] = position;
        settle();
    }
    for (size_t i = 0; i < count; i++)
        if (homes[i] / SEGMENT_BYTES == 1)
            journal_home_remove(f.journal, homes[i], 1, 1);
    journal_round(f.journal, f.now_ms);
    while (errand_line_run_one(&f.line, f.journal, ERRAND_BACKGROUND) == STATUS_OK)
        journal_round(f.journal, f.now_ms);
    ck_assert(disk_sim_has(f.sim, oldest));
    ck_assert_int_eq(errand_line_run_one(&f.line, f.journal, ERRAND_COMMIT), STATUS_OK);
    ck_assert(disk_sim_has(f.sim, oldest));
    settle();
    ck_assert(!disk_sim_has(f.sim, oldest));
}
END_TEST

START_TEST(test_a_mark_follows_when_idle)
{
    append(10);
    settle();
    uint64_t batches = journal_figures(f.journal).batch_count;
    f.now_ms += 99;
    settle();
    ck_assert_uint_eq(journal_figures(f.journal).batch_count, batches);
    f.now_ms += 1;
    settle();
    ck_assert_uint_eq(journal_figures(f.journal).batch_count, batches + 1);
    f.now_ms += 1000;
    settle();
    ck_assert_uint_eq(journal_figures(f.journal).batch_count, batches + 1);
}
END_TEST

static uint64_t fetched_position;
static enum status fetched_status;
static unsigned fetched_count;

static void on_fetch(void *argument, uint64_t position, enum status status)
{
    ck_assert_ptr_eq(argument, &f);
    fetched_position = position;
    fetched_status = status;
    fetched_count++;
}

START_TEST(test_peek_and_fetch)
{
    ck_assert_int_eq(reopen(0), STATUS_OK);
    uint64_t positions[100];
    for (size_t i = 0; i < 100; i++) {
        positions[i] = append(2000 + i);
        size_t bytes;
        const unsigned char *at = journal_peek(f.journal, positions[i] + 10, &bytes);
        ck_assert_ptr_nonnull(at);
        ck_assert_uint_ge(bytes, 2000 + i - 10);
        ck_assert_uint_eq(at[0], (unsigned char)(2000 + i));
        settle();
    }
    size_t bytes;
    fetched_count = 0;
    unsigned fetches = 0;
    for (size_t i = 0; i < 60; i++) {
        const unsigned char *at = journal_peek(f.journal, positions[i], &bytes);
        if (at == NULL) {
            fetches++;
            ck_assert_int_eq(
                journal_fetch(f.journal, positions[i], positions[i] + 1000, on_fetch, &f),
                STATUS_OK);
            ck_assert_int_eq(errand_line_run(&f.line, f.journal), STATUS_OK);
            ck_assert_uint_eq(fetched_count, fetches);
            ck_assert_int_eq(fetched_status, STATUS_OK);
            ck_assert_uint_eq(fetched_position, positions[i] + 1000);
            at = journal_peek(f.journal, positions[i], &bytes);
        }
        ck_assert_ptr_nonnull(at);
        ck_assert_uint_ge(bytes, 2000 + i);
        ck_assert_uint_eq(at[1999 + i], (unsigned char)(2000 + i));
    }
    /* One read brings the rest of the segment along. */
    ck_assert_uint_le(fetches, 4);
    ck_assert_uint_gt(fetches, 1);
}
END_TEST

START_TEST(test_fetch_finds_rot)
{
    ck_assert_int_eq(reopen(0), STATUS_OK);
    uint64_t position = append(3000);
    while (journal_end_position(f.journal) / SEGMENT_BYTES < 3) {
        append(9000);
        settle();
    }
    disk_sim_flip(f.sim, "segment-0000000000000001", position % SEGMENT_BYTES + 7, 4);
    ck_assert_int_eq(journal_fetch(f.journal, position, position, on_fetch, &f), STATUS_OK);
    ck_assert_int_eq(errand_line_run(&f.line, f.journal), STATUS_CORRUPT);
    ck_assert_int_eq(fetched_status, STATUS_CORRUPT);
    ck_assert_str_eq(journal_failure(f.journal)->file, "segment-0000000000000001");
}
END_TEST

START_TEST(test_full_disk_and_healing)
{
    uint64_t positions[400];
    size_t count = 0;
    disk_sim_set_room(f.sim, 6 * SEGMENT_BYTES + 100);
    uint64_t position;
    while (count < 400 && open_record(3000, JOURNAL_FRESH, &position) != NULL) {
        journal_close_record(f.journal, 3000);
        journal_home_state(f.journal, position, 1, 1, 1);
        positions[count++] = position;
        settle();
        f.now_ms += 50;
    }
    ck_assert_uint_lt(count, 400);
    ck_assert(journal_is_full(f.journal));
    /* Settlements go on, into the reserve. */
    for (int i = 0; i < 200; i++) {
        ck_assert_ptr_nonnull(open_record(100, JOURNAL_URGENT, &position));
        journal_close_record(f.journal, 100);
        settle();
    }
    ck_assert_uint_gt(journal_durable_position(f.journal), position);
    /* What they end makes room. */
    for (size_t i = 0; i < count; i++)
        journal_home_remove(f.journal, positions[i], 1, 1);
    f.now_ms += 250;
    settle();
    f.now_ms += 250;
    settle();
    ck_assert(!journal_is_full(f.journal));
    append(3000);
    settle();
}
END_TEST

START_TEST(test_full_disk_heals_when_room_comes_back)
{
    disk_sim_set_room(f.sim, 4 * SEGMENT_BYTES + 100);
    uint64_t position;
    for (int i = 0; i < 300 && !journal_is_full(f.journal); i++) {
        append(3000);
        settle();
    }
    ck_assert(journal_is_full(f.journal));
    ck_assert_ptr_null(open_record(10, JOURNAL_FRESH, &position));
    /* The reserve ends, too: then nothing changes and nothing breaks. */
    unsigned urgent = 0;
    while (open_record(3000, JOURNAL_URGENT, &position) != NULL) {
        journal_close_record(f.journal, 3000);
        ck_assert_uint_lt(++urgent, 200);
        settle();
    }
    ck_assert_uint_gt(urgent, 20);
    disk_sim_set_room(f.sim, 20 * SEGMENT_BYTES);
    settle();
    ck_assert(journal_is_full(f.journal));
    f.now_ms += 250;
    settle();
    ck_assert(!journal_is_full(f.journal));
    append(3000);
    settle();
}
END_TEST

static void fail_once(enum disk_sim_operation kind)
{
    append(100);
    settle();
    uint64_t durable = journal_durable_position(f.journal);
    append(100);
    disk_sim_fail_at(f.sim, 0, kind, DISK_SIM_ONCE, EIO);
    journal_round(f.journal, f.now_ms);
    ck_assert_int_eq(errand_line_run_one(&f.line, f.journal, ERRAND_COMMIT), STATUS_IO_ERROR);
    const struct journal_failure *failure = journal_failure(f.journal);
    ck_assert_int_eq(failure->error, EIO);
    ck_assert_str_eq(failure->file, "segment-0000000000000001");
    ck_assert_ptr_nonnull(strstr(failure->text, "batch"));
    /* Nothing is tried again. */
    journal_round(f.journal, f.now_ms + 1000);
    ck_assert(errand_line_is_empty(&f.line));
    ck_assert_uint_eq(journal_durable_position(f.journal), durable);
    ck_assert_int_eq(journal_stop(f.journal, f.now_ms), STATUS_IO_ERROR);
    ck_assert_int_eq(reopen(0), STATUS_OK);
    ck_assert_uint_ge(f.count, 1);
    size_t count = f.count;
    disk_sim_power_loss(f.sim, DISK_SIM_NONE, 1);
    ck_assert_int_eq(reopen(0), STATUS_OK);
    ck_assert_uint_eq(f.count, count);
}

START_TEST(test_failed_write_ends_it)
{
    fail_once(DISK_SIM_WRITE);
}
END_TEST

START_TEST(test_failed_sync_ends_it)
{
    fail_once(DISK_SIM_SYNC);
}
END_TEST

START_TEST(test_short_writes_are_carried_on)
{
    disk_sim_short_writes(f.sim, 1);
    for (int i = 0; i < 30; i++) {
        append(5000);
        settle();
    }
    ck_assert_int_eq(reopen(0), STATUS_OK);
    ck_assert_uint_eq(f.count, 30);
}
END_TEST

/* Every disk call of an opening fails in turn: told, nothing leaked, and the next opening works. */
START_TEST(test_opening_fails_at_every_call)
{
    for (int i = 0; i < 30; i++) {
        append(3000);
        settle();
    }
    bool has_failed = true;
    for (uint64_t n = 0; has_failed; n++) {
        journal_free(f.journal);
        f.journal = NULL;
        disk_sim_kill(f.sim);
        disk_sim_fail_at(f.sim, disk_sim_operations(f.sim) + n, DISK_SIM_ANY, DISK_SIM_ONCE, EIO);
        f.count = 0;
        struct journal_options options = {.segment_bytes = SEGMENT_BYTES,
                                          .spare_count = 2,
                                          .post = errand_line_post,
                                          .post_context = &f.line};
        enum status status = journal_open(
            &f.journal, disk_sim_disk(f.sim), &options,
            &(struct journal_reader){.on_record = on_record, .argument = &f}, &f.failure);
        has_failed = disk_sim_has_failed(f.sim);
        if (status == STATUS_OK)
            continue; /* a call whose failure does no harm */
        ck_assert_int_eq(status, STATUS_IO_ERROR);
        ck_assert_ptr_null(f.journal);
        ck_assert_int_eq(f.failure.error, EIO);
    }
    ck_assert_int_eq(reopen(0), STATUS_OK);
    ck_assert_uint_eq(f.count, 30);
}
END_TEST

START_TEST(test_another_segment_size_keeps_the_old)
{
    append(100);
    settle();
    journal_free(f.journal);
    disk_sim_kill(f.sim);
    struct journal_options options = {.segment_bytes = 4 * SEGMENT_BYTES,
                                      .spare_count = 2,
                                      .post = errand_line_post,
                                      .post_context = &f.line};
    f.count = 0;
    ck_assert_int_eq(journal_open(&f.journal, disk_sim_disk(f.sim), &options,
                                  &(struct journal_reader){.on_record = on_record, .argument = &f},
                                  &f.failure),
                     STATUS_OK);
    ck_assert_uint_eq(f.count, 1);
    ck_assert_uint_eq(journal_recovery(f.journal).segment_bytes, SEGMENT_BYTES);
    ck_assert_uint_eq(journal_record_bytes_max(f.journal), SEGMENT_BYTES / 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal");
    TCase *tcase = tcase_create("journal");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_durable_only_after_the_commit);
    tcase_add_test(tcase, test_live_bytes_are_estimated_from_weights);
    tcase_add_test(tcase, test_one_batch_in_flight);
    tcase_add_test(tcase, test_recovers_what_was_appended);
    tcase_add_test(tcase, test_clean_stop_is_told);
    tcase_add_test(tcase, test_largest_record_and_a_little_more_than_fits);
    tcase_add_test(tcase, test_less_than_was_asked_for);
    tcase_add_test(tcase, test_batches_wait_for_their_segment);
    tcase_add_test(tcase, test_fresh_records_do_not_run_ahead_of_the_spares);
    tcase_add_test(tcase, test_oldest_segments_go_when_nothing_is_at_home);
    tcase_add_test(tcase, test_no_file_goes_before_the_trim_is_durable);
    tcase_add_test(tcase, test_a_mark_follows_when_idle);
    tcase_add_test(tcase, test_peek_and_fetch);
    tcase_add_test(tcase, test_fetch_finds_rot);
    tcase_add_test(tcase, test_full_disk_and_healing);
    tcase_add_test(tcase, test_full_disk_heals_when_room_comes_back);
    tcase_add_test(tcase, test_failed_write_ends_it);
    tcase_add_test(tcase, test_failed_sync_ends_it);
    tcase_add_test(tcase, test_short_writes_are_carried_on);
    tcase_add_test(tcase, test_opening_fails_at_every_call);
    tcase_add_test(tcase, test_another_segment_size_keeps_the_old);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
