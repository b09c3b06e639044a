/* A backup holds histories as they were when it began: events in the journal and in files, versions
 * of entities, cursors; whatever is published, moved, retired and saved while it is made. */
#include <stdio.h>

#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/saver.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"
#include "tests/support/taken.h"

static struct actor *carol;
static struct taken copy;

static void set_up(void)
{
    histories_set_up();
    carol = enter_as(scene, "");
    copy = (struct taken){0};
}

static void tear_down(void)
{
    taken_drop(&copy);
    histories_tear_down();
}

static struct history *book_of(struct scene *there)
{
    return exchange_find(there->core, wire_bytes_of_text("book"))->history;
}

/* From here on the scene is that of the copy; the first one is gone. */
static void go_over_to_the_copy(void)
{
    struct scene *other = taken_start(&copy, 11, &scene->limits);
    scene_free(scene);
    scene = other;
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    carol = enter_as(scene, "");
}

static void take_all(uint64_t tag)
{
    carol->is_stalled = false;
    scene_settle(scene);
    ck_assert(taken_hear(&copy, carol, tag));
}

static void expect_events(unsigned from, unsigned to)
{
    ck_assert_uint_eq(ask_exchange("book", "first"), from);
    ck_assert_uint_eq(ask_exchange("book", "last"), to);
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    scene_settle(scene);
    hear_events(1, from, to);
    hear_nothing(bob);
}

static void save_entities(void)
{
    saver_want(scene->core, book_of(scene));
    scene_settle(scene);
}

/* More than waits for a peer that takes nothing: a copy does not end before its time. */
static void fill_the_journal(void)
{
    static unsigned char body[8 << 10];
    do_queue(alice, "q");
    for (int i = 0; i < 20; i++)
        say_send_bytes(alice, "q", body, sizeof body);
    hear_out(alice);
}

static void write_entity(const char *entity, unsigned version)
{
    hear_confirm(alice, say_entity(alice, entity, version - 1, "x"));
}

START_TEST(test_events_in_files_and_in_the_journal)
{
    publish_events(1, 3000);
    let_move();
    publish_events(3001, 3050);
    ck_assert_uint_eq(book_of(scene)->moved, 3000);
    take_all(say_backup(carol, BACKUP_ALL));
    ck_assert_uint_gt(copy.files_bytes, 3 * scene->limits.history_file_bytes);
    go_over_to_the_copy();
    expect_events(1, 3050);
    publish_events(3051, 3060);
    let_move();
    crash_with(DISK_SIM_NONE);
    expect_events(1, 3060);
}
END_TEST

START_TEST(test_what_goes_on_meanwhile_is_not_in_it)
{
    publish_events(1, 3000);
    let_move();
    for (unsigned i = 1; i <= 20; i++)
        write_entity("account", i);
    save_entities();
    let_move();
    carol->is_stalled = true;
    uint64_t tag = say_backup(carol, BACKUP_ALL);
    for (unsigned i = 21; i <= 60; i++)
        write_entity("account", i);
    publish_events(3061, 6000);
    let_move();
    save_entities();
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_COUNT_MAX, 100));
    let_move();
    ck_assert_uint_gt(ask_exchange("book", "first"), 3000);
    ck_assert(disk_sim_has(scene->sim, "history-00000001-0000000000000001"));
    take_all(tag);
    let_move();
    ck_assert(!disk_sim_has(scene->sim, "history-00000001-0000000000000001"));
    go_over_to_the_copy();
    ck_assert_uint_eq(ask_exchange("book", "first"), 1);
    ck_assert_uint_eq(ask_exchange("book", "last"), 3020);
    ck_assert_uint_eq(book_of(scene)->entities_stated, 3020);
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    scene_settle(scene);
    hear_events(1, 1, 3000);
    write_entity("account", 21);
}
END_TEST

/* The file that is written to goes, and another is begun, while the first one is copied. */
START_TEST(test_an_open_file_that_goes_meanwhile)
{
    fill_the_journal();
    publish_events(1, 30);
    let_move();
    carol->is_stalled = true;
    uint64_t tag = say_backup(carol, BACKUP_ALL);
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_AGE_MAX, 2000));
    let_move();
    ck_assert_uint_eq(ask_exchange("book", "first"), 31);
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_AGE_MAX, 0));
    publish_events(31, 40);
    let_move();
    ck_assert(disk_sim_has(scene->sim, "history-00000001-0000000000000001"));
    struct disk_sim *crashed = disk_sim_clone(scene->sim);
    take_all(tag);
    go_over_to_the_copy();
    expect_events(1, 30);
    /* A crash of the first broker in the middle of the copy. */
    scene_die(scene);
    disk_sim_free(scene->sim);
    scene->sim = crashed;
    disk_sim_power_loss(scene->sim, DISK_SIM_NONE, 1);
    ck_assert_msg(scene_start(scene), "%s", scene->failure.text);
    ck_assert(actor_enter(alice));
    ck_assert(actor_enter(bob));
    expect_events(31, 40);
    ck_assert(!disk_sim_has(scene->sim, "history-00000001-0000000000000001"));
}
END_TEST

/* A deleted exchange is in the copy whole, or not at all. */
START_TEST(test_an_exchange_that_is_deleted_meanwhile)
{
    publish_events(1, 2000);
    let_move();
    scene_hold_syncs(scene);
    say_exchange_delete(alice, "book", 0);
    uint64_t tag = say_backup(carol, BACKUP_ALL);
    scene_release_syncs(scene);
    hear_out(alice);
    take_all(tag);
    let_move();
    ck_assert(!disk_sim_has(scene->sim, "history-00000001-0000000000000001"));
    go_over_to_the_copy();
    expect_events(1, 2000);
}
END_TEST

START_TEST(test_a_cursor_goes_on_in_the_copy)
{
    struct frame_follow follow = {.consumer = 1,
                                  .from = FOLLOW_FIRST,
                                  .cursor = wire_bytes_of_text("projection"),
                                  .prefetch_messages = 10};
    publish_events(1, 500);
    let_move();
    hear_confirm(bob, say_follow_with(bob, &follow));
    struct heard heard = {0};
    for (unsigned i = 1; i <= 10; i++)
        heard = hear_delivery(bob, NULL);
    say_done(bob, heard.delivery - 9, heard.delivery - 3);
    hear_out(bob);
    take_all(say_backup(carol, BACKUP_ALL));
    go_over_to_the_copy();
    ck_assert_uint_eq(ask_queue(alice, "projection", "at"), 7);
    follow.from = FOLLOW_NEXT;
    hear_confirm(bob, say_follow_with(bob, &follow));
    for (unsigned i = 8; i <= 17; i++)
        ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, i);
}
END_TEST

/* Whoever is gone holds nothing, and neither does a copy that failed. */
START_TEST(test_files_are_let_go)
{
    publish_events(1, 2000);
    let_move();
    carol->is_stalled = true;
    say_backup(carol, BACKUP_ALL);
    ck_assert(scene->core->are_files_held);
    actor_cut(carol);
    scene_settle(scene);
    ck_assert(!scene->core->are_files_held);
    carol->is_stalled = false;
    ck_assert(actor_enter(carol));
    carol->is_stalled = true;
    uint64_t tag = say_backup(carol, BACKUP_ALL);
    disk_sim_take_away(scene->sim, "history-00000001-0000000000000001");
    carol->is_stalled = false;
    scene_settle(scene);
    ck_assert(!scene->core->are_files_held && !scene->core->backup.is_journal_held);
    struct frame frame = {0};
    while (frame.header.type != FRAME_REFUSE)
        ck_assert(actor_next(carol, &frame));
    ck_assert_uint_eq(frame.header.tag, tag);
    ck_assert_uint_eq(frame.as.refuse.code, STATUS_UNREADABLE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backup of histories");
    TCase *tcase = tcase_create("backup of histories");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_events_in_files_and_in_the_journal);
    tcase_add_test(tcase, test_what_goes_on_meanwhile_is_not_in_it);
    tcase_add_test(tcase, test_an_open_file_that_goes_meanwhile);
    tcase_add_test(tcase, test_an_exchange_that_is_deleted_meanwhile);
    tcase_add_test(tcase, test_a_cursor_goes_on_in_the_copy);
    tcase_add_test(tcase, test_files_are_let_go);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
