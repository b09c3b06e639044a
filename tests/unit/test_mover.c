/* The mover: when and in which pieces events go to files, what a full disk and a deleted exchange
 * do to it, and that nothing goes before it is durable. */
#include "broker/core/mover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/history.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

enum { DUE_MS = 5000, FILE_BYTES = 64 << 10 };

static struct history *book(void)
{
    return history_of("book");
}

static size_t count_files(void)
{
    size_t count = 0;
    const char *name;
    for (size_t i = 0; (name = disk_sim_name(scene->sim, i)) != NULL; i++)
        count += strncmp(name, "history-", 8) == 0;
    return count;
}

/* A round and what was posted in it, in turn, until something was posted for the disk that is not a
 * commit: that is left to be run. */
static struct errand *take_errand(void)
{
    for (int i = 0; i < 100; i++) {
        scene_round(scene);
        struct errand *errand = errand_line_take_of(&scene->line, ERRAND_BACKGROUND);
        if (errand != NULL)
            return errand;
        while ((errand = errand_line_take_of(&scene->line, ERRAND_COMMIT)) != NULL) {
            errand->run(errand);
            ck_assert_int_eq(core_on_errand(scene->core, errand), STATUS_OK);
        }
    }
    ck_abort_msg("nothing was posted");
}

static void run_errand(struct errand *errand)
{
    errand->run(errand);
    ck_assert_int_eq(core_on_errand(scene->core, errand), STATUS_OK);
}

/* Everything from the first event on can be read, in order. */
static void expect_events(unsigned to)
{
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    for (unsigned i = 1; i <= to; i++) {
        if (i % 50 == 1)
            scene_settle(scene);
        ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, i);
    }
    hear_nothing(bob);
    hear_confirm(bob, say_cancel(bob, 1));
}

/* What the journal says now is what stands in the files. */
static void expect_files_whole(void)
{
    const struct history *history = book();
    uint64_t next = 1;
    for (uint32_t i = 0; i < history->file_count; i++) {
        const struct archive_file *file = &history->files[i];
        ck_assert_uint_eq(file->first, next);
        ck_assert_uint_ge(file->last, file->first);
        ck_assert_uint_le(file->first_ms, file->last_ms);
        ck_assert_int_eq(file->is_finished, i + 1 < history->file_count);
        next = file->last + 1;
    }
    ck_assert_uint_eq(next, history->moved + 1);
    ck_assert_uint_eq(history->tail_count, history->last - history->moved);
    for (uint32_t i = 1; i < history->spot_count; i++) {
        ck_assert_uint_lt(history->spots[i - 1].sequence, history->spots[i].sequence);
        ck_assert_uint_lt(history->spots[i - 1].offset, history->spots[i].offset);
    }
    ck_assert_uint_eq(count_files(), history->file_count);
}

/* --- when ---------------------------------------------------------------------------------------
 */

START_TEST(test_a_small_tail_waits)
{
    ck_assert_uint_eq(mover_next_due(scene->core), UINT64_MAX);
    uint64_t then = scene->now_ms;
    publish_events(1, 3);
    ck_assert_uint_eq(mover_next_due(scene->core), then + DUE_MS);
    scene_advance_ms(scene, DUE_MS - 1);
    ck_assert_uint_eq(book()->moved, 0);
    scene_advance_ms(scene, 1);
    ck_assert_uint_eq(book()->moved, 3);
    ck_assert_uint_eq(mover_next_due(scene->core), UINT64_MAX);
    ck_assert_uint_eq(scene->core->counters.events_moved, 3);
}
END_TEST

START_TEST(test_a_large_tail_does_not)
{
    publish_sized(20, 1000);
    ck_assert_uint_gt(book()->moved, 0);
    ck_assert_uint_lt(book()->tail_bytes, FILE_BYTES);
}
END_TEST

START_TEST(test_whoever_is_in_a_hurry)
{
    publish_events(1, 3);
    ck_assert(mover_hurry(scene->core, book()));
    scene_settle(scene);
    ck_assert_uint_eq(book()->moved, 3);
    ck_assert(mover_hurry(scene->core, book())); /* nothing to do */
    scene_settle(scene);
    ck_assert_uint_eq(book()->moved, 3);
}
END_TEST

/* What is in a file is not at home in the journal any more; so it must be on disk there before. */
START_TEST(test_nothing_is_moved_before_it_is_durable)
{
    scene_hold_syncs(scene);
    for (int i = 0; i < 60; i++)
        say_publish(alice, "book", "k", "not durable, whatever the time and however much it is");
    for (int i = 0; i < 10; i++)
        scene_advance_ms(scene, 1000);
    ck_assert_uint_eq(book()->moved, 0);
    ck_assert_uint_eq(count_files(), 0);
    scene_release_syncs(scene);
    hear_confirm(alice, 61);
    ck_assert_uint_gt(book()->moved, 0);
    let_move();
    ck_assert_uint_eq(book()->moved, 60);
}
END_TEST

/* The tail stays until what says that it has moved is applied, and the file counts only then. */
START_TEST(test_the_order_of_things)
{
    publish_events(1, 3);
    scene->now_ms += DUE_MS;
    struct errand *errand = take_errand();
    ck_assert_uint_eq(book()->tail_count, 3);
    ck_assert_uint_eq(book()->file_count, 0);
    run_errand(errand);
    ck_assert_uint_eq(book()->moved, 0);
    ck_assert_uint_eq(book()->file_count, 1);
    uint64_t end = journal_end_position(scene->journal);
    scene_round(scene);
    ck_assert_uint_eq(book()->moved, 3);
    ck_assert_uint_eq(book()->tail_count, 0);
    ck_assert_uint_gt(journal_end_position(scene->journal), end);
    scene_settle(scene);
    expect_events(3);
}
END_TEST

/* --- pieces and files ---------------------------------------------------------------------------
 */

START_TEST(test_files_follow_each_other)
{
    for (int i = 0; i < 30; i++) {
        publish_sized(i % 7, 1000);
        publish_sized(3, 3900);
        publish_sized(i % 5, 0);
        scene_advance_ms(scene, 1500);
    }
    let_move();
    ck_assert_uint_gt(book()->file_count, 3);
    ck_assert_uint_eq(book()->tail_count, 0);
    expect_files_whole();
    for (uint32_t i = 0; i + 1 < book()->file_count; i++)
        ck_assert_uint_ge(book()->files[i].end, FILE_BYTES);
    expect_events((unsigned)book()->last);
    uint32_t file_count = book()->file_count;
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(book()->file_count, file_count);
    expect_files_whole();
    expect_events((unsigned)book()->last);
}
END_TEST

/* An event that is larger than a block, and one that is as large as can be. */
START_TEST(test_large_events)
{
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX];
    static const uint32_t sizes[] = {SCENE_MESSAGE_BYTES_MAX, 1, 20000, SCENE_MESSAGE_BYTES_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const uint32_t first = sizes[i] < 3000 ? sizes[i] : 3000;
        struct frame frame = {.header.type = FRAME_PUBLISH};
        frame.as.publish = (struct frame_publish){.exchange = wire_bytes_of_text("book"),
                                                  .key = wire_bytes_of_text("k"),
                                                  .body_bytes = sizes[i],
                                                  .body = wire_bytes_of(body, first)};
        uint64_t tag = actor_write(alice, &frame);
        for (uint32_t sent = first; sent < sizes[i];) {
            uint32_t piece = sizes[i] - sent < 3000 ? sizes[i] - sent : 3000;
            frame = (struct frame){.header.type = FRAME_PIECE};
            frame.as.piece.body = wire_bytes_of(body + sent, piece);
            (void)actor_write(alice, &frame);
            sent += piece;
        }
        actor_flush(alice);
        scene_settle(scene);
        hear_confirm(alice, tag);
    }
    let_move();
    ck_assert_uint_eq(book()->moved, 4);
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    scene_settle(scene);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(hear_delivery(bob, NULL).body_bytes, sizes[i]);
}
END_TEST

START_TEST(test_histories_take_turns)
{
    static const char *const names[] = {"one", "two", "three"};
    for (int i = 0; i < 3; i++)
        hear_confirm(alice, say_create(alice, names[i], PROPERTY_EXCHANGE_HISTORY, 1));
    for (int i = 0; i < 300; i++)
        do_publish(alice, names[i % 3], "k", "some text, so that it becomes more and more of it");
    let_move();
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(history_of(names[i])->moved, 100);
}
END_TEST

/* Batches that have left memory are read from the journal, for the sake of the file. */
START_TEST(test_what_is_not_in_memory_any_more)
{
    histories_tear_down();
    scene = scene_new(19);
    scene->options.cache_bytes_max = 1;
    scene_restart(scene);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    hear_confirm(alice, say_create(alice, "book", PROPERTY_EXCHANGE_HISTORY, 1));
    do_queue(alice, "other");
    disk_sim_set_room(scene->sim, disk_sim_used(scene->sim));
    publish_sized(50, 1000);
    for (int i = 0; i < 12; i++) {
        static const unsigned char large[8192];
        hear_confirm(alice, say_send_bytes(alice, "other", large, sizeof large));
    }
    ck_assert_uint_eq(book()->moved, 0);
    disk_sim_set_room(scene->sim, UINT64_MAX);
    let_move();
    ck_assert_uint_eq(book()->moved, 50);
    expect_events(50);
}
END_TEST

/* --- a full disk --------------------------------------------------------------------------------
 */

START_TEST(test_a_full_disk_heals)
{
    publish_sized(30, 1000);
    let_move();
    uint64_t moved = book()->moved;
    disk_sim_set_room(scene->sim, disk_sim_used(scene->sim));
    publish_sized(40, 1000);
    for (int i = 0; i < 20; i++)
        scene_advance_ms(scene, 300);
    ck_assert_uint_lt(book()->moved, moved + 40);
    ck_assert_uint_le(mover_next_due(scene->core), scene->now_ms + 250);
    ck_assert(!mover_hurry(scene->core, book())); /* so that the journal states it again */
    ck_assert(!mover_is_full(scene->core));
    scene->core->tail_bytes += 64 << 20;
    ck_assert(mover_is_full(scene->core));
    hear_refuse(alice, say_publish(alice, "book", "k", "x"), STATUS_DISK_FULL);
    hear_refuse(alice, say_append(alice, "a", EXPECT_ANY, 1, 2), STATUS_DISK_FULL);
    scene->core->tail_bytes -= 64 << 20;
    disk_sim_set_room(scene->sim, UINT64_MAX);
    scene_advance_ms(scene, 300);
    ck_assert_uint_eq(book()->moved, moved + 40);
    expect_files_whole();
    expect_events((unsigned)book()->last);
}
END_TEST

/* Wherever space is missing while pieces are written and files ended: nothing is lost, and nothing
 * is left over. */
START_TEST(test_space_is_missing_at_any_moment)
{
    for (uint64_t room = 0; room < 40000; room += 1700) {
        histories_tear_down();
        histories_set_up();
        publish_sized(50, 1000);
        disk_sim_set_room(scene->sim, disk_sim_used(scene->sim) + room);
        publish_sized(60, 1000);
        let_move();
        disk_sim_set_room(scene->sim, UINT64_MAX);
        let_move();
        ck_assert_uint_eq(book()->moved, 110);
        expect_files_whole();
        crash_with((enum disk_sim_policy)(room / 1700 % DISK_SIM_POLICIES));
        expect_files_whole();
        expect_events(110);
    }
}
END_TEST

/* A new file found no room; then the one before is to become larger after all. */
START_TEST(test_a_file_that_was_begun_in_vain)
{
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_BYTES_MAX, 8 * FILE_BYTES));
    scene->core->limits.history_file_bytes = 4 * FILE_BYTES;
    while (book()->file_count == 0 || book()->files[0].end < FILE_BYTES)
        publish_sized(1, 1000);
    publish_sized(3, 1000);
    disk_sim_set_room(scene->sim, disk_sim_used(scene->sim) + 2048);
    scene_advance_ms(scene, DUE_MS);
    scene_advance_ms(scene, 300);
    ck_assert_uint_eq(book()->file_count, 1);
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_BYTES_MAX, 0));
    disk_sim_set_room(scene->sim, UINT64_MAX);
    let_move();
    ck_assert_uint_eq(book()->file_count, 1);
    expect_files_whole();
    while (book()->file_count == 1)
        publish_sized(1, 1000);
    let_move();
    crash_with(DISK_SIM_ALL);
    expect_files_whole();
    expect_events((unsigned)book()->last);
}
END_TEST

/* --- ends ---------------------------------------------------------------------------------------
 */

START_TEST(test_the_exchange_goes_while_its_events_are_written)
{
    for (int rounds = 0; rounds < 4; rounds++) {
        publish_sized(20, 1000);
        publish_events(1, 2);
        scene->now_ms += DUE_MS;
        struct errand *errand = rounds > 0 ? take_errand() : NULL;
        if (rounds == 2)
            run_errand(errand);
        struct frame frame = {.header.type = FRAME_EXCHANGE_DELETE};
        frame.as.exchange_delete.exchange = wire_bytes_of_text("book");
        (void)actor_write(alice, &frame);
        actor_flush(alice);
        scene_round(scene);
        if (rounds == 1 || rounds == 3)
            run_errand(errand);
        scene_settle(scene);
        hear_confirm(alice, frame.header.tag);
        let_move();
        ck_assert_uint_eq(scene->core->tail_bytes, 0);
        ck_assert_uint_eq(count_files(), 0);
        if (rounds == 3)
            crash_with(DISK_SIM_ALL);
        hear_confirm(alice, say_create(alice, "book", PROPERTY_EXCHANGE_HISTORY, 1));
        ck_assert_uint_eq(book()->last, 0);
    }
}
END_TEST

/* After a write or a sync that failed nobody knows what is on disk. */
START_TEST(test_an_error_of_the_disk_ends_the_process)
{
    static const enum disk_sim_operation kinds[] = {DISK_SIM_WRITE, DISK_SIM_SYNC,
                                                    DISK_SIM_SYNC_DIRECTORY};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        histories_tear_down();
        histories_set_up();
        publish_events(1, 3);
        scene->now_ms += DUE_MS;
        struct errand *errand = take_errand();
        disk_sim_fail_at(scene->sim, disk_sim_operations(scene->sim), kinds[i], DISK_SIM_ONCE, EIO);
        errand->run(errand);
        ck_assert_int_eq(core_on_errand(scene->core, errand), STATUS_IO_ERROR);
        ck_assert_ptr_nonnull(core_failure(scene->core));
        ck_assert_ptr_nonnull(strstr(core_failure(scene->core)->text, "cannot"));
        crash_with(DISK_SIM_NONE);
        expect_events(3);
    }
}
END_TEST

/* Nothing new is begun; what was begun ends. */
START_TEST(test_while_the_broker_drains)
{
    publish_events(1, 3);
    core_drain(scene->core, 0);
    for (int i = 0; i < 10; i++)
        scene_advance_ms(scene, 1000);
    ck_assert_uint_eq(book()->moved, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mover");
    TCase *tcase = tcase_create("mover");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, histories_set_up, histories_tear_down);
    tcase_add_test(tcase, test_a_small_tail_waits);
    tcase_add_test(tcase, test_a_large_tail_does_not);
    tcase_add_test(tcase, test_whoever_is_in_a_hurry);
    tcase_add_test(tcase, test_nothing_is_moved_before_it_is_durable);
    tcase_add_test(tcase, test_the_order_of_things);
    tcase_add_test(tcase, test_files_follow_each_other);
    tcase_add_test(tcase, test_large_events);
    tcase_add_test(tcase, test_histories_take_turns);
    tcase_add_test(tcase, test_what_is_not_in_memory_any_more);
    tcase_add_test(tcase, test_a_full_disk_heals);
    tcase_add_test(tcase, test_space_is_missing_at_any_moment);
    tcase_add_test(tcase, test_a_file_that_was_begun_in_vain);
    tcase_add_test(tcase, test_the_exchange_goes_while_its_events_are_written);
    tcase_add_test(tcase, test_an_error_of_the_disk_ends_the_process);
    tcase_add_test(tcase, test_while_the_broker_drains);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
