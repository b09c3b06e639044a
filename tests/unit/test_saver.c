/* Saving the entities of a history: the file counts only when the journal says so, and what it says
 * is never written anew. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/saver.h"
#include "protocol/frame.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

static struct history *book(void)
{
    return exchange_find(scene->core, wire_bytes_of_text("book"))->history;
}

static void write_entities(unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        char entity[16];
        snprintf(entity, sizeof entity, "e%u", i % 10);
        hear_confirm(alice, say_entity(alice, entity, EXPECT_ANY, "x"));
    }
}

static const char *find_file(void)
{
    const char *name;
    for (size_t i = 0; (name = disk_sim_name(scene->sim, i)) != NULL; i++)
        if (strncmp(name, "entities-", 9) == 0)
            return name;
    return NULL;
}

/* Every entity has the version that it had after so many events. */
static void expect_versions(unsigned count)
{
    for (unsigned i = 0; i < 10; i++) {
        char entity[16];
        snprintf(entity, sizeof entity, "e%u", i);
        hear_confirm(alice, say_entity(alice, entity, count / 10, "one more"));
    }
}

START_TEST(test_entities_are_saved_and_found)
{
    write_entities(1, 100);
    let_move();
    ck_assert_ptr_null(find_file());
    saver_want(scene->core, book());
    scene_settle(scene);
    ck_assert_str_eq(find_file(), "entities-00000001-0000000000000064");
    ck_assert_uint_eq(book()->entities_stated, 100);
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(book()->entities.count, 10);
    expect_versions(100);
}
END_TEST

/* It would have to be removed for that, and a crash before its end would lose what is stated. */
START_TEST(test_what_is_saved_is_not_written_anew)
{
    write_entities(1, 100);
    let_move();
    saver_want(scene->core, book());
    scene_settle(scene);
    uint64_t before = disk_sim_changes(scene->sim);
    book()->moved_bytes = UINT32_MAX;
    saver_want(scene->core, book());
    scene_settle(scene);
    ck_assert_uint_eq(disk_sim_changes(scene->sim), before);
    ck_assert_uint_eq(book()->moved_bytes, 0);
    write_entities(101, 110);
    saver_want(scene->core, book());
    scene_settle(scene);
    ck_assert_str_eq(find_file(), "entities-00000001-000000000000006e");
}
END_TEST

/* The process ends before any one of the disk's operations. */
START_TEST(test_a_crash_at_any_moment)
{
    write_entities(1, 100);
    let_move();
    saver_want(scene->core, book());
    scene_settle(scene);
    write_entities(101, 110);
    uint64_t now = disk_sim_operations(scene->sim);
    saver_want(scene->core, book());
    disk_sim_crash_at(scene->sim, now + (uint64_t)_i);
    scene_settle(scene);
    crash_with((enum disk_sim_policy)(_i % DISK_SIM_POLICIES));
    ck_assert_uint_eq(book()->entities.count, 10);
    expect_versions(110);
}
END_TEST

/* A history without entities says so in a file, and a start does not read its events. */
START_TEST(test_no_entities)
{
    publish_events(1, 3000);
    let_move();
    ck_assert_ptr_nonnull(find_file());
    ck_assert_uint_gt(book()->entities_stated, 1000);
    scene_die(scene);
    disk_sim_kill(scene->sim);
    disk_sim_calm(scene->sim);
    disk_sim_flip(scene->sim, "history-00000001-0000000000000001", 700, 1);
    ck_assert_msg(scene_start(scene), "%s", scene->failure.text);
    ck_assert_uint_eq(book()->entities.count, 0);
}
END_TEST

/* Space is missing for a while. */
START_TEST(test_a_full_disk)
{
    write_entities(1, 100);
    let_move();
    disk_sim_set_room(scene->sim, disk_sim_used(scene->sim) + 100);
    saver_want(scene->core, book());
    scene_settle(scene);
    ck_assert_uint_eq(book()->entities_stated, 0);
    disk_sim_set_room(scene->sim, UINT64_MAX);
    scene_advance_ms(scene, 1000);
    saver_want(scene->core, book());
    scene_settle(scene);
    ck_assert_uint_eq(book()->entities_stated, 100);
    crash_with(DISK_SIM_NONE);
    expect_versions(100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("saver");
    TCase *tcase = tcase_create("saver");
    tcase_add_checked_fixture(tcase, histories_set_up, histories_tear_down);
    tcase_add_test(tcase, test_entities_are_saved_and_found);
    tcase_add_test(tcase, test_what_is_saved_is_not_written_anew);
    tcase_add_loop_test(tcase, test_a_crash_at_any_moment, 0, 24);
    tcase_add_test(tcase, test_no_entities);
    tcase_add_test(tcase, test_a_full_disk);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
