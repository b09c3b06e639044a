/* Commits: what goes to the commit thread when, and what a failure leaves behind it. */
#include "broker/store/commit.h"

#include <errno.h>
#include <string.h>

#include "broker/store/journal.h"
#include "tests/support/check_main.h"
#include "tests/support/disk_sim.h"
#include "tests/support/errand_line.h"

enum { SEGMENT_BYTES = 65536, NOW_MS = 1000 };

static struct disk_sim *sim;
static struct journal *journal;
static struct errand_line line;
static unsigned record_count; /* that a start has found */

static enum status on_record(void *argument, uint64_t position, const unsigned char *at,
                             uint32_t bytes, uint64_t now_ms)
{
    (void)argument, (void)at, (void)bytes, (void)now_ms;
    journal_home_state(journal, position, 1, 1, 1);
    record_count++;
    return STATUS_OK;
}

static void start(void)
{
    struct journal_options options = {.segment_bytes = SEGMENT_BYTES,
                                      .spare_count = 2,
                                      .cache_bytes_max = 1 << 20,
                                      .post = errand_line_post,
                                      .post_context = &line};
    struct journal_failure failure;
    errand_line_init(&line);
    record_count = 0;
    ck_assert_int_eq(journal_open(&journal, disk_sim_disk(sim), &options,
                                  &(struct journal_reader){.on_record = on_record}, &failure),
                     STATUS_OK);
}

static void set_up(void)
{
    sim = disk_sim_new(1);
    start();
}

static void tear_down(void)
{
    journal_free(journal);
    disk_sim_free(sim);
}

static uint64_t append(size_t bytes)
{
    uint64_t position;
    unsigned char *at = journal_open_record(journal, bytes, JOURNAL_FRESH, &position);
    ck_assert_ptr_nonnull(at);
    memset(at, 1, bytes);
    journal_close_record(journal, bytes);
    journal_home_state(journal, position, 1, 1, 1);
    return position;
}

static struct errand *next_commit(void)
{
    journal_round(journal, NOW_MS);
    return errand_line_take_of(&line, ERRAND_COMMIT);
}

static enum status carry_out(struct errand *commit)
{
    commit->run(commit);
    return journal_on_errand(journal, commit);
}

/* Less than what is on its way would need a sync of its own too soon. */
START_TEST(test_as_much_again_waits_at_the_commit_thread)
{
    uint64_t first = append(3000);
    struct errand *commit = next_commit();
    ck_assert_ptr_nonnull(commit);
    uint64_t second = append(1000);
    ck_assert_ptr_null(next_commit());
    append(2000);
    struct errand *following = next_commit();
    ck_assert_ptr_nonnull(following);
    uint64_t third = append(6000);
    ck_assert_ptr_null(next_commit());
    ck_assert_int_eq(carry_out(commit), STATUS_OK);
    uint64_t durable = journal_durable_position(journal);
    ck_assert(first < durable && durable <= second);
    commit = next_commit();
    ck_assert_ptr_nonnull(commit);
    ck_assert_int_eq(carry_out(following), STATUS_OK);
    durable = journal_durable_position(journal);
    ck_assert(second < durable && durable <= third);
    ck_assert_int_eq(carry_out(commit), STATUS_OK);
    ck_assert_uint_gt(journal_durable_position(journal), third);
}
END_TEST

/* What was behind the batch that failed is not written either, and never tried again. */
START_TEST(test_nothing_is_written_after_a_failure)
{
    append(3000);
    struct errand *commit = next_commit();
    append(3000);
    struct errand *following = next_commit();
    ck_assert_ptr_nonnull(following);
    disk_sim_fail_at(sim, 0, _i == 0 ? DISK_SIM_WRITE : DISK_SIM_SYNC, DISK_SIM_ONCE, EIO);
    ck_assert_int_eq(carry_out(commit), STATUS_IO_ERROR);
    uint64_t operations = disk_sim_operations(sim);
    uint64_t durable = journal_durable_position(journal);
    ck_assert_int_eq(carry_out(following), STATUS_IO_ERROR);
    ck_assert_uint_eq(disk_sim_operations(sim), operations);
    ck_assert_uint_eq(journal_durable_position(journal), durable);
    ck_assert_ptr_null(next_commit());
    journal_free(journal);
    disk_sim_kill(sim);
    start();
    ck_assert_uint_le(record_count, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commit");
    TCase *tcase = tcase_create("commit");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_as_much_again_waits_at_the_commit_thread);
    tcase_add_loop_test(tcase, test_nothing_is_written_after_a_failure, 0, 2);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
