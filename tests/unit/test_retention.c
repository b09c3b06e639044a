/* What is too old, too much or too many goes: how much is kept, in which order files go and when,
 * and what stays whatever goes. */
#include "broker/core/retention.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/history.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

enum { FILE_BYTES = 64 << 10 };

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

static void keep(uint8_t property, uint64_t value)
{
    hear_confirm(alice, say_exchange_set("book", property, value));
}

/* What is there is read from its beginning to its end. */
static void expect_kept(uint64_t first, uint64_t last)
{
    ck_assert_uint_eq(ask_exchange("book", "first"), first);
    ck_assert_uint_eq(ask_exchange("book", "last"), last);
    hear_confirm(bob, say_follow(9, FOLLOW_FIRST, 0));
    for (uint64_t i = first; i <= last; i++) {
        if (i % 50 == 1 || i == first)
            scene_settle(scene);
        ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, i);
    }
    hear_nothing(bob);
    hear_confirm(bob, say_cancel(bob, 9));
}

START_TEST(test_without_limits_all_stays)
{
    publish_sized(300, 1000);
    let_move();
    scene_advance_ms(scene, UINT64_C(1000) * 3600 * 24 * 400);
    let_move();
    expect_kept(1, 300);
}
END_TEST

/* --- by count -----------------------------------------------------------------------------------
 */

/* It is exact for readers, whatever the files still hold. */
START_TEST(test_as_many_as_were_asked_for)
{
    static const uint64_t counts[] = {300, 299, 100, 7, 1};
    publish_sized(300, 1000);
    let_move();
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        keep(PROPERTY_EXCHANGE_COUNT_MAX, counts[i]);
        expect_kept(301 - counts[i], 300);
    }
    let_move();
    expect_kept(300, 300);
    ck_assert_uint_le(book()->file_count, 2);
    ck_assert_uint_eq(count_files(), book()->file_count);
    publish_sized(1, 10);
    expect_kept(301, 301);
}
END_TEST

START_TEST(test_more_than_there_are)
{
    publish_events(1, 5);
    keep(PROPERTY_EXCHANGE_COUNT_MAX, 6);
    expect_kept(1, 5);
    keep(PROPERTY_EXCHANGE_COUNT_MAX, UINT64_MAX);
    expect_kept(1, 5);
    keep(PROPERTY_EXCHANGE_COUNT_MAX, 0);
    expect_kept(1, 5);
}
END_TEST

/* What nobody has moved yet goes, too, as far as readers are concerned. */
START_TEST(test_events_that_are_in_the_journal)
{
    keep(PROPERTY_EXCHANGE_COUNT_MAX, 2);
    publish_events(1, 10);
    ck_assert_uint_eq(book()->tail_count, 10);
    expect_kept(9, 10);
    crash_with(DISK_SIM_NONE);
    expect_kept(9, 10);
}
END_TEST

/* --- by bytes -----------------------------------------------------------------------------------
 */

START_TEST(test_no_less_and_little_more_than_was_asked_for)
{
    const uint64_t most = 8 * FILE_BYTES;
    keep(PROPERTY_EXCHANGE_BYTES_MAX, most);
    for (int i = 0; i < 60; i++) {
        publish_sized(40, 1000);
        let_move();
        uint64_t bytes = ask_exchange("book", "history_bytes");
        ck_assert_uint_le(bytes, most + most / RETENTION_PARTS + 2 * 4096);
        if (i > 20)
            ck_assert_uint_ge(bytes, most - 4096);
        ck_assert_uint_eq(count_files(), book()->file_count);
    }
    expect_kept(book()->first_stated, 2400);
}
END_TEST

/* Small histories have small files; the newest one stays, however much it is. */
START_TEST(test_hardly_anything_is_to_be_kept)
{
    keep(PROPERTY_EXCHANGE_BYTES_MAX, 1);
    publish_sized(500, 1000);
    let_move();
    ck_assert_uint_eq(book()->file_count, 1);
    ck_assert_uint_le(history_bytes(book()), RETENTION_FILE_BYTES_MIN + 8192);
    expect_kept(book()->files[0].first, 500);
}
END_TEST

/* --- by age -------------------------------------------------------------------------------------
 */

START_TEST(test_as_old_as_was_asked_for)
{
    keep(PROPERTY_EXCHANGE_AGE_MAX, 80000);
    for (unsigned i = 1; i <= 40; i++) {
        scene_advance_ms(scene, 5000);
        publish_sized(1, 100);
        uint64_t first = ask_exchange("book", "first");
        uint64_t oldest = i > 16 ? i - 16 : 1; /* is 80 s old */
        ck_assert_uint_le(first, oldest + 1);
        ck_assert_uint_ge(first + 1 + 80000 / RETENTION_PARTS / 5000 + 2, oldest);
    }
    expect_kept(ask_exchange("book", "first"), 40);
    scene_advance_ms(scene, 90000);
    let_move();
    expect_kept(41, 40);
    ck_assert_uint_eq(count_files(), 0);
    publish_sized(2, 10);
    expect_kept(41, 42);
}
END_TEST

/* The file that is written to does not go while there is something to write. */
START_TEST(test_the_newest_file_is_in_use)
{
    publish_events(1, 10);
    let_move();
    scene_advance_ms(scene, 60000);
    publish_events(11, 12);
    ck_assert_uint_eq(book()->phase, HISTORY_WAITING);
    keep(PROPERTY_EXCHANGE_AGE_MAX, 30000);
    scene_advance_ms(scene, 1000);
    ck_assert_uint_eq(ask_exchange("book", "first"), 1);
    let_move();
    ck_assert_uint_eq(ask_exchange("book", "last"), 12);
    ck_assert_uint_le(ask_exchange("book", "first"), 11);
    expect_kept(ask_exchange("book", "first"), 12);
}
END_TEST

/* --- files --------------------------------------------------------------------------------------
 */

/* They go when the operation that gives them up is on disk, and not before. */
START_TEST(test_files_go_when_that_is_durable)
{
    publish_sized(300, 1000);
    let_move();
    size_t file_count = count_files();
    ck_assert_uint_ge(file_count, 4);
    scene_hold_syncs(scene);
    (void)say_exchange_set("book", PROPERTY_EXCHANGE_COUNT_MAX, 10);
    for (int i = 0; i < 5; i++)
        scene_advance_ms(scene, 1000);
    ck_assert_uint_lt(book()->file_count, file_count);
    ck_assert_uint_eq(count_files(), file_count);
    scene_release_syncs(scene);
    scene_advance_ms(scene, 1000);
    ck_assert_uint_eq(count_files(), book()->file_count);
    ck_assert(TAILQ_EMPTY(&scene->core->removals));
}
END_TEST

/* More than one errand removes at once. */
START_TEST(test_many_files_go_at_once)
{
    publish_sized(1400, 1000);
    let_move();
    ck_assert_uint_gt(count_files(), ARCHIVE_REMOVE_MAX);
    keep(PROPERTY_EXCHANGE_COUNT_MAX, 1);
    let_move();
    ck_assert_uint_le(count_files(), 2);
    expect_kept(1400, 1400);
    crash_with(DISK_SIM_NONE);
    expect_kept(1400, 1400);
    ck_assert_uint_eq(count_files(), book()->file_count);
}
END_TEST

START_TEST(test_all_files_go_with_the_exchange)
{
    publish_sized(300, 1000);
    hear_confirm(alice, say_entity(alice, "e", 0, "x"));
    let_move();
    scene_hold_syncs(scene);
    size_t file_count = count_files();
    (void)say_exchange_delete(alice, "book", 0);
    ck_assert_uint_eq(count_files(), file_count);
    scene_release_syncs(scene);
    scene_settle(scene);
    ck_assert_uint_eq(count_files(), 0);
}
END_TEST

/* A crash between the record and the removal: the next start removes them. */
START_TEST(test_a_crash_before_files_go)
{
    publish_sized(300, 1000);
    let_move();
    size_t file_count = count_files();
    hear_confirm(alice, say_exchange_delete(alice, "book", 0));
    hear_confirm(alice, say_create(alice, "book", PROPERTY_EXCHANGE_HISTORY, 1));
    crash_with(DISK_SIM_NONE); /* the removals were not durable */
    ck_assert_uint_eq(count_files(), 0);
    ck_assert_uint_ge(file_count, 4);
    expect_kept(1, 0);
}
END_TEST

START_TEST(test_what_cannot_be_removed_ends_the_process)
{
    publish_sized(300, 1000);
    let_move();
    disk_sim_fail_at(scene->sim, disk_sim_operations(scene->sim), DISK_SIM_REMOVE, DISK_SIM_ONCE,
                     EIO);
    (void)say_exchange_set("book", PROPERTY_EXCHANGE_COUNT_MAX, 10);
    scene_advance_ms(scene, 1000);
    ck_assert(scene->has_failed);
    ck_assert_ptr_nonnull(core_failure(scene->core));
    crash_with(DISK_SIM_NONE);
    expect_kept(291, 300);
}
END_TEST

/* --- entities -----------------------------------------------------------------------------------
 */

/* No file goes whose entities are nowhere else. */
START_TEST(test_versions_stay)
{
    scene->core->limits.history_save_bytes = UINT64_MAX; /* for retention's sake only */
    for (unsigned i = 0; i < 20; i++) {
        char entity[32];
        snprintf(entity, sizeof entity, "entity %u", i);
        for (unsigned k = 0; k <= i % 3; k++)
            hear_confirm(alice, say_entity(alice, entity, k, "x"));
    }
    publish_sized(300, 1000);
    let_move();
    ck_assert_uint_eq(book()->entities_stated, 0);
    keep(PROPERTY_EXCHANGE_COUNT_MAX, 5);
    let_move();
    ck_assert_uint_gt(book()->first_stated, 200);
    ck_assert_uint_ge(book()->entities_stated, book()->first_stated - 1);
    for (int crash = 0; crash < 2; crash++) {
        for (unsigned i = 0; i < 20; i++) {
            char entity[32];
            snprintf(entity, sizeof entity, "entity %u", i);
            hear_refuse(alice, say_entity(alice, entity, 77, "x"), STATUS_VERSION_CONFLICT);
            char version[32];
            snprintf(version, sizeof version, "%u", i % 3 + 1);
            ck_assert_str_eq(scene->core->explanation, version);
        }
        crash_with(DISK_SIM_NONE);
    }
}
END_TEST

/* While there is no room to save them, files stay. */
START_TEST(test_files_stay_while_entities_cannot_be_saved)
{
    scene->core->limits.history_save_bytes = UINT64_MAX;
    hear_confirm(alice, say_entity(alice, "e", 0, "x"));
    publish_sized(300, 1000);
    let_move();
    size_t file_count = count_files();
    disk_sim_set_room(scene->sim, disk_sim_used(scene->sim));
    keep(PROPERTY_EXCHANGE_COUNT_MAX, 5);
    for (int i = 0; i < 10; i++)
        scene_advance_ms(scene, 1000);
    ck_assert_uint_eq(count_files(), file_count);
    expect_kept(297, 301);
    disk_sim_set_room(scene->sim, UINT64_MAX);
    let_move();
    ck_assert_uint_lt(count_files(), file_count);
    expect_kept(297, 301);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("retention");
    TCase *tcase = tcase_create("retention");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, histories_set_up, histories_tear_down);
    tcase_add_test(tcase, test_without_limits_all_stays);
    tcase_add_test(tcase, test_as_many_as_were_asked_for);
    tcase_add_test(tcase, test_more_than_there_are);
    tcase_add_test(tcase, test_events_that_are_in_the_journal);
    tcase_add_test(tcase, test_no_less_and_little_more_than_was_asked_for);
    tcase_add_test(tcase, test_hardly_anything_is_to_be_kept);
    tcase_add_test(tcase, test_as_old_as_was_asked_for);
    tcase_add_test(tcase, test_the_newest_file_is_in_use);
    tcase_add_test(tcase, test_files_go_when_that_is_durable);
    tcase_add_test(tcase, test_many_files_go_at_once);
    tcase_add_test(tcase, test_all_files_go_with_the_exchange);
    tcase_add_test(tcase, test_a_crash_before_files_go);
    tcase_add_test(tcase, test_what_cannot_be_removed_ends_the_process);
    tcase_add_test(tcase, test_versions_stay);
    tcase_add_test(tcase, test_files_stay_while_entities_cannot_be_saved);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
