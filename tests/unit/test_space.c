/* A full disk, seen from the journal: what is freed is used again at once, settlements go on, and
 * fresh records are taken again within a second of room coming back (D10). */
#include <string.h>

#include "broker/store/journal.h"
#include "broker/store/segment.h"
#include "tests/support/check_main.h"
#include "tests/support/disk_sim.h"
#include "tests/support/errand_line.h"

enum {
    SEGMENT_BYTES = 65536,
    FILES = 8,          /* that fit on the disk */
    BODY_BYTES = 3000,  /* of a message */
    SETTLE_BYTES = 420, /* a batch of 512 bytes: leaves no rest at a segment's end */
    TICK_MS = 10,
    HEAL_MS = 1000,
};

struct fixture {
    struct disk_sim *sim;
    struct journal *journal;
    struct errand_line line;
    struct journal_failure failure;
    uint64_t positions[1024]; /* of messages that live */
    size_t count;
    uint64_t now_ms;
};

static struct fixture f;

static enum status on_record(void *argument, uint64_t position, const unsigned char *at,
                             uint32_t bytes, uint64_t now_ms)
{
    (void)argument;
    (void)at;
    (void)now_ms;
    if (bytes != BODY_BYTES)
        return STATUS_OK;
    journal_home_state(f.journal, position, 1, BODY_BYTES, BODY_BYTES);
    f.positions[f.count++] = position;
    return STATUS_OK;
}

static void start(void)
{
    struct journal_options options = {.segment_bytes = SEGMENT_BYTES,
                                      .spare_count = 2,
                                      .post = errand_line_post,
                                      .post_context = &f.line};
    journal_free(f.journal);
    errand_line_init(&f.line);
    f.count = 0;
    ck_assert_int_eq(journal_open(&f.journal, disk_sim_disk(f.sim), &options,
                                  &(struct journal_reader){.on_record = on_record}, &f.failure),
                     STATUS_OK);
}

static void setup(void)
{
    memset(&f, 0, sizeof f);
    f.now_ms = 1000;
    f.sim = disk_sim_new(1);
    disk_sim_set_room(f.sim, FILES * SEGMENT_BYTES);
    start();
}

static void teardown(void)
{
    journal_free(f.journal);
    disk_sim_free(f.sim);
}

static void tick(void)
{
    f.now_ms += TICK_MS;
    ck_assert_int_eq(errand_line_settle(&f.line, f.journal, f.now_ms), STATUS_OK);
}

/* False: refused. */
static bool append(size_t bytes, enum journal_urgency urgency)
{
    uint64_t position;
    unsigned char *at = journal_open_record(f.journal, bytes, urgency, &position);
    if (at == NULL)
        return false;
    memset(at, 1, bytes);
    journal_close_record(f.journal, bytes);
    if (bytes == BODY_BYTES) {
        journal_home_state(f.journal, position, 1, BODY_BYTES, BODY_BYTES);
        f.positions[f.count++] = position;
    }
    tick();
    return true;
}

static void fill_with_messages(void)
{
    while (append(BODY_BYTES, JOURNAL_FRESH))
        ck_assert_uint_lt(f.count, 1000);
    ck_assert(journal_is_full(f.journal));
}

/* Settlements that end nothing, until there is no place for another one. */
static void use_up_spares(void)
{
    unsigned count = 0;
    while (append(SETTLE_BYTES, JOURNAL_URGENT))
        ck_assert_uint_lt(count++, 10000);
    ck_assert_uint_gt(count, 0);
    ck_assert_uint_eq(journal_figures(f.journal).spare_count, 0);
}

/* Ends the messages of the oldest segment. */
static void end_oldest(void)
{
    size_t count = 1;
    while (f.positions[count] / SEGMENT_BYTES == f.positions[0] / SEGMENT_BYTES)
        count++;
    for (size_t i = 0; i < count; i++)
        journal_home_remove(f.journal, f.positions[i], 1, BODY_BYTES);
    f.count -= count;
    memmove(f.positions, f.positions + count, f.count * sizeof f.positions[0]);
}

/* Simulated time until a fresh record is taken. */
static uint64_t heal(void)
{
    uint64_t from_ms = f.now_ms;
    while (!append(BODY_BYTES, JOURNAL_FRESH)) {
        ck_assert_uint_le(f.now_ms - from_ms, HEAL_MS);
        tick();
    }
    return f.now_ms - from_ms;
}

/* The last settlement that found a place ends the oldest messages. */
START_TEST(test_a_freed_segment_is_a_spare_at_once)
{
    fill_with_messages();
    use_up_spares();
    uint64_t files = journal_figures(f.journal).segment_count;
    end_oldest();
    tick();
    struct journal_figures figures = journal_figures(f.journal);
    ck_assert_uint_eq(figures.segment_count + figures.spare_count, files);
    ck_assert_uint_eq(figures.spare_count + figures.segment_count, FILES);
    ck_assert(append(SETTLE_BYTES, JOURNAL_URGENT));
}
END_TEST

/* Settlements only, each segment's worth of them ends a segment's worth of messages: no room comes
 * from outside, and none is needed. */
START_TEST(test_settlements_go_on_for_ever)
{
    fill_with_messages();
    while (f.count > 60) {
        use_up_spares();
        end_oldest();
        tick();
        ck_assert_uint_le(disk_sim_used(f.sim), FILES * SEGMENT_BYTES);
    }
    end_oldest();
    end_oldest();
    ck_assert_uint_le(heal(), HEAL_MS);
}
END_TEST

/* What is held back by a copy is freed when the copy ends, although nothing else is written. */
START_TEST(test_what_was_held_is_freed_without_a_spare)
{
    fill_with_messages();
    (void)journal_hold(f.journal);
    for (int i = 0; i < 3; i++)
        end_oldest();
    use_up_spares();
    f.now_ms += 1000; /* marks that follow when idle must not take the last place */
    tick();
    tick();
    journal_release(f.journal);
    tick();
    ck_assert(append(SETTLE_BYTES, JOURNAL_URGENT));
    ck_assert_uint_le(heal(), HEAL_MS);
}
END_TEST

START_TEST(test_heals_within_a_second_of_room)
{
    fill_with_messages();
    use_up_spares();
    for (int i = 0; i < 500; i++)
        tick();
    ck_assert(!append(BODY_BYTES, JOURNAL_FRESH));
    disk_sim_set_room(f.sim, (FILES + 3) * SEGMENT_BYTES);
    ck_assert_uint_le(heal(), HEAL_MS);
}
END_TEST

/* Freed segments make it whole for a moment: what comes at once must leave the spares alone, too.
 */
START_TEST(test_the_next_lack_shows_before_the_spares_are_used_up)
{
    fill_with_messages();
    for (int i = 0; i < 3; i++)
        end_oldest();
    while (journal_is_full(f.journal)) {
        ck_assert(append(SETTLE_BYTES, JOURNAL_URGENT));
        f.now_ms -= TICK_MS; /* all within one millisecond */
    }
    ck_assert_uint_ge(journal_figures(f.journal).spare_count, 2);
    while (append(BODY_BYTES, JOURNAL_FRESH)) {
        ck_assert_uint_lt(f.count, 1000);
        f.now_ms -= TICK_MS;
    }
    ck_assert_uint_ge(journal_figures(f.journal).spare_count, 1);
    for (int i = 0; i < 100; i++)
        ck_assert(append(SETTLE_BYTES, JOURNAL_URGENT));
}
END_TEST

/* Twice as many as are wanted stay for what comes next, which needs no new file then. */
START_TEST(test_segments_that_come_free_in_a_burst_are_kept)
{
    disk_sim_set_room(f.sim, (uint64_t)40 * SEGMENT_BYTES);
    while (journal_figures(f.journal).segment_count < 10)
        ck_assert(append(BODY_BYTES, JOURNAL_FRESH));
    while (f.count > 60)
        end_oldest();
    for (int i = 0; i < 100; i++)
        tick();
    ck_assert_uint_eq(journal_figures(f.journal).spare_count, 4);
    uint64_t used = disk_sim_used(f.sim);
    while (journal_figures(f.journal).spare_count > 2)
        ck_assert(append(BODY_BYTES, JOURNAL_FRESH));
    ck_assert_uint_eq(disk_sim_used(f.sim), used);
}
END_TEST

/* The process dies while the disk is full, at each of the operations that follow. */
START_TEST(test_heals_after_a_crash)
{
    fill_with_messages();
    use_up_spares();
    size_t count = f.count;
    for (uint64_t n = 0; n < 12; n++) {
        disk_sim_crash_at(f.sim, disk_sim_operations(f.sim) + n);
        for (int i = 0; i < 100 && !disk_sim_is_stopped(f.sim); i++) {
            f.now_ms += TICK_MS;
            (void)errand_line_settle(&f.line, f.journal, f.now_ms);
        }
        if (n % 2 == 0)
            disk_sim_kill(f.sim);
        else
            disk_sim_power_loss(f.sim, DISK_SIM_NAMES, n);
        start();
        ck_assert_uint_eq(f.count, count);
        for (int i = 0; i < 50; i++)
            tick();
        ck_assert(!append(BODY_BYTES, JOURNAL_FRESH));
    }
    end_oldest();
    ck_assert_uint_eq(journal_figures(f.journal).spare_count, 0);
    tick();
    ck_assert(append(SETTLE_BYTES, JOURNAL_URGENT));
    disk_sim_set_room(f.sim, (FILES + 3) * SEGMENT_BYTES);
    ck_assert_uint_le(heal(), HEAL_MS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("space");
    TCase *tcase = tcase_create("space");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_a_freed_segment_is_a_spare_at_once);
    tcase_add_test(tcase, test_settlements_go_on_for_ever);
    tcase_add_test(tcase, test_segments_that_come_free_in_a_burst_are_kept);
    tcase_add_test(tcase, test_what_was_held_is_freed_without_a_spare);
    tcase_add_test(tcase, test_heals_within_a_second_of_room);
    tcase_add_test(tcase, test_the_next_lack_shows_before_the_spares_are_used_up);
    tcase_add_test(tcase, test_heals_after_a_crash);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
