/* Reading damaged journals: what opening refuses is damage here and the reverse, and everything on
 * both sides of it is found. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/batch.h"
#include "broker/store/inspect.h"
#include "tests/support/chance.h"
#include "tests/support/check_main.h"
#include "tests/support/disk_sim.h"
#include "tests/support/errand_line.h"

#define SEGMENT_BYTES 65536u
#define FIRST "segment-0000000000000001"
#define SECOND "segment-0000000000000002"
#define RECORDS 16u

struct fixture {
    struct disk_sim *sim;
    struct journal *journal;
    struct errand_line line;
    struct journal_failure failure;
    uint64_t position[RECORDS];
    bool is_found[RECORDS];
    unsigned found_count;
    unsigned strange_count; /* records found that were never appended */
    uint64_t damage_count;
    struct inspect_damage damage; /* the first one */
    struct inspect_summary summary;
};

static struct fixture f;

static enum status on_opening(void *argument, uint64_t position, const unsigned char *at,
                              uint32_t bytes, uint64_t now_ms)
{
    (void)argument, (void)at, (void)bytes, (void)now_ms;
    journal_home_state(f.journal, position, 1, 1, 1);
    return STATUS_OK;
}

static enum status open_on(struct disk_sim *sim)
{
    errand_line_init(&f.line);
    f.failure = (struct journal_failure){0};
    struct journal_options options = {.segment_bytes = SEGMENT_BYTES,
                                      .spare_count = 2,
                                      .post = errand_line_post,
                                      .post_context = &f.line};
    struct journal_reader reader = {.on_record = on_opening};
    return journal_open(&f.journal, disk_sim_disk(sim), &options, &reader, &f.failure);
}

/* The byte values of a record are its index. */
static void append(unsigned index, uint32_t bytes)
{
    unsigned char *at = journal_open_record(f.journal, bytes, JOURNAL_FRESH, &f.position[index]);
    ck_assert_ptr_nonnull(at);
    memset(at, (int)index, bytes);
    journal_close_record(f.journal, bytes);
    journal_home_state(f.journal, f.position[index], 1, 1, 1);
}

/* Two segments; batches 1 to 8 have two records each. */
static void setup(void)
{
    memset(&f, 0, sizeof f);
    f.sim = disk_sim_new(1);
    ck_assert_int_eq(open_on(f.sim), STATUS_OK);
    for (unsigned i = 0; i < RECORDS; i += 2) {
        append(i, 9000);
        append(i + 1, 3000);
        ck_assert_int_eq(errand_line_settle(&f.line, f.journal, 1000 + i), STATUS_OK);
    }
    ck_assert_uint_gt(f.position[RECORDS - 1], 2 * SEGMENT_BYTES);
    journal_free(f.journal);
    f.journal = NULL;
    disk_sim_kill(f.sim);
    disk_sim_calm(f.sim);
}

static void teardown(void)
{
    journal_free(f.journal);
    disk_sim_free(f.sim);
}

static enum status on_record(void *argument, const struct inspect_record *record)
{
    (void)argument;
    unsigned index = record->at[0];
    bool is_known = index < RECORDS && record->position == f.position[index] &&
                    record->bytes == (index % 2 == 0 ? 9000 : 3000) &&
                    record->now_ms == 1000 + index / 2 * 2;
    f.strange_count += !is_known;
    if (is_known) {
        ck_assert(!f.is_found[index]);
        f.is_found[index] = true;
        f.found_count++;
    }
    return STATUS_OK;
}

static enum status on_damage(void *argument, const struct inspect_damage *damage)
{
    (void)argument;
    if (f.damage_count++ == 0)
        f.damage = *damage;
    return STATUS_OK;
}

static enum status inspect(struct disk_sim *sim)
{
    struct inspect_reader reader = {on_record, on_damage, NULL};
    memset(f.is_found, 0, sizeof f.is_found);
    f.found_count = f.strange_count = 0;
    f.damage_count = 0;
    f.damage = (struct inspect_damage){0};
    f.failure = (struct journal_failure){0};
    uint64_t changes = disk_sim_changes(sim);
    enum status status = inspect_run(disk_sim_disk(sim), &reader, &f.summary, &f.failure);
    ck_assert_uint_eq(disk_sim_changes(sim), changes);
    ck_assert_uint_eq(f.strange_count, 0);
    ck_assert_uint_eq(f.summary.damage_count, f.damage_count);
    return status;
}

START_TEST(test_a_whole_journal)
{
    ck_assert_int_eq(inspect(f.sim), STATUS_OK);
    ck_assert_uint_eq(f.damage_count, 0);
    ck_assert_uint_eq(f.found_count, RECORDS);
    ck_assert_uint_eq(f.summary.record_bytes, RECORDS / 2 * 12000);
    ck_assert_uint_eq(f.summary.segment_bytes, SEGMENT_BYTES);
    ck_assert_uint_eq(f.summary.first_ms, 1000);
    ck_assert(!f.summary.is_clean);
}
END_TEST

START_TEST(test_an_empty_directory)
{
    struct disk_sim *empty = disk_sim_new(2);
    ck_assert_int_eq(inspect(empty), STATUS_OK);
    ck_assert_uint_eq(f.summary.segment_count, 0);
    disk_sim_free(empty);
}
END_TEST

/* A byte of a record: that record alone is lost. */
START_TEST(test_one_record_is_lost)
{
    disk_sim_flip(f.sim, FIRST, f.position[2] - SEGMENT_BYTES + 100, 1);
    ck_assert_int_eq(inspect(f.sim), STATUS_OK);
    ck_assert_uint_eq(f.found_count, RECORDS - 1);
    ck_assert(!f.is_found[2]);
    ck_assert_uint_eq(f.damage_count, 1);
    ck_assert_str_eq(f.damage.file, FIRST);
    ck_assert_uint_eq(f.damage.lost_records, 1);
    ck_assert_uint_eq(f.damage.offset, f.position[2] - SEGMENT_BYTES - RECORD_HEADER_BYTES);
    ck_assert_uint_eq(f.damage.before_ms, 1000);
}
END_TEST

/* The length of a record: its batch is lost, because nothing in it can be believed. */
START_TEST(test_one_batch_is_lost)
{
    disk_sim_flip(f.sim, FIRST, f.position[3] - SEGMENT_BYTES - RECORD_HEADER_BYTES, 1);
    ck_assert_int_eq(inspect(f.sim), STATUS_OK);
    ck_assert_uint_eq(f.found_count, RECORDS - 2);
    ck_assert_uint_eq(f.damage_count, 1);
    ck_assert_uint_eq(f.damage.lost_records, 2);
}
END_TEST

/* The header of a batch: the next one is found behind it. */
START_TEST(test_a_header_is_lost)
{
    uint64_t offset = f.position[2] - SEGMENT_BYTES - RECORD_HEADER_BYTES - BATCH_HEADER_BYTES;
    disk_sim_flip(f.sim, FIRST, offset + 20, 1);
    ck_assert_int_eq(inspect(f.sim), STATUS_OK);
    ck_assert_uint_eq(f.found_count, RECORDS - 2);
    ck_assert_uint_eq(f.damage_count, 1);
    ck_assert_uint_eq(f.damage.offset, offset);
    ck_assert_uint_eq(f.damage.end_sequence - f.damage.first_sequence, 1);
    ck_assert_uint_eq(f.damage.behind_ms, 1004);
}
END_TEST

/* The header of a segment: its salt is in its first batch, and nothing is lost. */
START_TEST(test_a_segment_header_is_lost)
{
    disk_sim_flip(f.sim, FIRST, 50, 1);
    ck_assert_int_eq(inspect(f.sim), STATUS_OK);
    ck_assert_uint_eq(f.found_count, RECORDS);
    ck_assert_uint_eq(f.damage_count, 1);
    disk_sim_flip(f.sim, FIRST, SEGMENT_HEADER_BYTES + 10, 1);
    ck_assert_int_eq(inspect(f.sim), STATUS_OK);
    ck_assert_uint_gt(f.found_count, 0);
    ck_assert(!f.is_found[0]);
}
END_TEST

START_TEST(test_a_segment_is_missing)
{
    disk_sim_take_away(f.sim, FIRST);
    ck_assert_int_eq(inspect(f.sim), STATUS_OK);
    ck_assert_uint_eq(f.damage_count, 1);
    ck_assert_str_eq(f.damage.file, FIRST);
    ck_assert_uint_eq(f.damage.end_position, 2 * SEGMENT_BYTES);
    ck_assert_uint_gt(f.found_count, 0);
    ck_assert(f.is_found[RECORDS - 1]);
    disk_sim_put(f.sim, "segment-fffffffffffffff0", "x", 1);
    ck_assert_int_eq(inspect(f.sim), STATUS_OK);
    ck_assert_uint_gt(f.damage_count, 1);
}
END_TEST

START_TEST(test_a_file_is_cut_or_none)
{
    disk_sim_cut(f.sim, FIRST, 20000);
    ck_assert_int_eq(inspect(f.sim), STATUS_OK);
    ck_assert(f.is_found[0] && !f.is_found[4] && f.is_found[RECORDS - 1]);
    ck_assert_uint_gt(f.damage_count, 0);
    disk_sim_take_away(f.sim, FIRST);
    disk_sim_put_irregular(f.sim, FIRST);
    ck_assert_int_eq(inspect(f.sim), STATUS_OK);
    ck_assert_uint_gt(f.damage_count, 0);
}
END_TEST

START_TEST(test_a_torn_tail_is_no_damage)
{
    disk_sim_flip(f.sim, SECOND, f.position[RECORDS - 1] - 2 * SEGMENT_BYTES + 5, 1);
    /* The mark behind the last batch proves that it was on disk, if there is one. */
    ck_assert_int_eq(inspect(f.sim), STATUS_OK);
    if (f.damage_count == 0)
        ck_assert_uint_gt(f.summary.cut_bytes, 0);
    else
        ck_assert_uint_eq(f.found_count, RECORDS - 1);
}
END_TEST

START_TEST(test_a_newer_format)
{
    unsigned char page[SEGMENT_HEADER_BYTES];
    size_t bytes;
    memcpy(page, disk_sim_bytes(f.sim, SECOND, &bytes), sizeof page);
    disk_sim_flip(f.sim, SECOND, 8, 6);
    ck_assert_int_eq(inspect(f.sim), STATUS_NEWER_FORMAT);
    ck_assert_str_eq(f.failure.file, SECOND);
}
END_TEST

/* Opening and inspecting judge alike, wherever a byte is flipped. */
START_TEST(test_opening_judges_alike)
{
    struct chance chance = {7};
    unsigned refused = 0;
    unsigned taken = 0;
    for (unsigned i = 0; i < 1500; i++) {
        const char *name = chance_below(&chance, 2) == 0 ? FIRST : SECOND;
        uint64_t offset = chance_below(&chance, 4) == 0 ? chance_below(&chance, 128)
                          : chance_below(&chance, 3) == 0
                              ? f.position[chance_below(&chance, RECORDS)] % SEGMENT_BYTES - 100 +
                                    chance_below(&chance, 110)
                              : chance_below(&chance, SEGMENT_BYTES);
        struct disk_sim *copy = disk_sim_clone(f.sim);
        disk_sim_flip(copy, name, offset, (unsigned char)(1u << chance_below(&chance, 8)));
        enum status inspected = inspect(copy);
        bool is_whole = inspected == STATUS_OK && f.damage_count == 0;
        bool is_cut = f.summary.cut_bytes > 0;
        enum status opened = open_on(copy);
        ck_assert_msg((opened == STATUS_OK) == is_whole, "%s %u: %d", name, (unsigned)offset,
                      opened);
        if (opened == STATUS_OK)
            ck_assert_int_eq(journal_recovery(f.journal).cut_bytes > 0, is_cut);
        opened == STATUS_OK ? taken++ : refused++;
        journal_free(f.journal);
        f.journal = NULL;
        disk_sim_free(copy);
    }
    ck_assert_uint_gt(refused, 100);
    ck_assert_uint_gt(taken, 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inspect");
    TCase *tcase = tcase_create("inspect");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_a_whole_journal);
    tcase_add_test(tcase, test_an_empty_directory);
    tcase_add_test(tcase, test_one_record_is_lost);
    tcase_add_test(tcase, test_one_batch_is_lost);
    tcase_add_test(tcase, test_a_header_is_lost);
    tcase_add_test(tcase, test_a_segment_header_is_lost);
    tcase_add_test(tcase, test_a_segment_is_missing);
    tcase_add_test(tcase, test_a_file_is_cut_or_none);
    tcase_add_test(tcase, test_a_torn_tail_is_no_damage);
    tcase_add_test(tcase, test_a_newer_format);
    tcase_add_test(tcase, test_opening_judges_alike);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
