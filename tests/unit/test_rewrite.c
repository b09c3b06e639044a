/* A journal written anew: over several segments, stopped cleanly, and a disk that fails. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/rewrite.h"
#include "broker/store/inspect.h"
#include "tests/support/check_main.h"
#include "tests/support/disk_sim.h"

#define SEGMENT_BYTES 65536u
#define RECORDS 200u

static unsigned found;

static enum status on_record(void *argument, const struct inspect_record *record)
{
    (void)argument;
    ck_assert_uint_eq(record->bytes, 3000 + found);
    ck_assert_uint_eq(record->at[0], found & 0xff);
    found++;
    return STATUS_OK;
}

static enum status on_damage(void *argument, const struct inspect_damage *damage)
{
    (void)argument;
    ck_abort_msg("%s", damage->text);
    return STATUS_CORRUPT;
}

static enum status write_all(struct disk_sim *sim)
{
    static unsigned char bytes[4096];
    struct rewrite *rewrite;
    struct journal_failure failure = {0};
    enum status status = rewrite_new(&rewrite, disk_sim_disk(sim), SEGMENT_BYTES, &failure);
    if (status != STATUS_OK) {
        ck_assert_ptr_null(rewrite);
        return status;
    }
    for (unsigned i = 0; status == STATUS_OK && i < RECORDS; i++) {
        memset(bytes, (int)i, sizeof bytes);
        status = rewrite_append(rewrite, bytes, 3000 + i, 1000 + i);
    }
    if (status == STATUS_OK)
        status = rewrite_stop(rewrite);
    rewrite_free(rewrite);
    return status;
}

START_TEST(test_many_segments)
{
    struct disk_sim *sim = disk_sim_new(1);
    struct inspect_summary summary;
    struct journal_failure failure = {0};
    ck_assert_int_eq(write_all(sim), STATUS_OK);
    disk_sim_power_loss(sim, DISK_SIM_NONE, 1);
    found = 0;
    struct inspect_reader reader = {on_record, on_damage, NULL};
    ck_assert_int_eq(inspect_run(disk_sim_disk(sim), &reader, &summary, &failure), STATUS_OK);
    ck_assert_uint_eq(found, RECORDS);
    ck_assert(summary.is_clean);
    ck_assert_uint_gt(summary.segment_count, 9);
    ck_assert_uint_eq(summary.kept_segment, 1);
    disk_sim_free(sim);
}
END_TEST

START_TEST(test_a_full_disk)
{
    struct disk_sim *sim = disk_sim_new(1);
    disk_sim_set_room(sim, 5 * SEGMENT_BYTES);
    ck_assert_int_eq(write_all(sim), STATUS_DISK_FULL);
    disk_sim_free(sim);
}
END_TEST

START_TEST(test_a_failing_disk)
{
    struct disk_sim *sim = disk_sim_new(1);
    disk_sim_fail_at(sim, 40, DISK_SIM_SYNC, DISK_SIM_ONCE, EIO);
    ck_assert_int_eq(write_all(sim), STATUS_IO_ERROR);
    disk_sim_free(sim);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rewrite");
    TCase *tcase = tcase_create("rewrite");
    tcase_add_test(tcase, test_many_segments);
    tcase_add_test(tcase, test_a_full_disk);
    tcase_add_test(tcase, test_a_failing_disk);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
