/* A backup is a data directory of one moment, made while everything goes on: what was confirmed
 * before it is in it, and it costs the broker nothing that outlasts it. */
#include "broker/core/state.h"
#include "broker/store/journal_state.h"
#include "tests/support/check_main.h"
#include "tests/support/lines.h"
#include "tests/support/taken.h"

static struct scene *scene;
static struct scene *other; /* the broker that is started from the copy */
static struct actor *alice;
static struct actor *bob;
static struct actor *carol;

static void set_up(void)
{
    scene = scene_new(10);
    other = NULL;
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    carol = enter_as(scene, "");
    do_queue(alice, "q");
}

static void tear_down(void)
{
    if (other != NULL)
        scene_free(other);
    scene_free(scene);
}

static void start_from(struct taken *copy)
{
    other = taken_start(copy, 11, &scene->limits);
}

static void fill(unsigned count)
{
    static unsigned char body[8 << 10];
    for (unsigned i = 0; i < count; i++)
        say_send_bytes(alice, "q", body, sizeof body);
    hear_out(alice);
}

/* Begins a new start, so that nothing but the queue rests on what was written so far. */
static void come_again(void)
{
    scene_restart(scene);
    ck_assert(actor_enter(alice));
    ck_assert(actor_enter(bob));
    ck_assert(actor_enter(carol));
}

static void settle_all(void)
{
    struct frame frame;
    uint64_t last = 0;
    say_consume(bob, 1, "q", 10000);
    while (actor_next(bob, &frame))
        last = frame.header.type == FRAME_DELIVER ? frame.as.deliver.delivery : last;
    ck_assert_uint_gt(last, 0);
    hear_confirm(bob, say_done(bob, 1, last));
    ck_assert_uint_eq(ask_queue(bob, "q", "messages"), 0);
    hear_confirm(alice, say_queue_delete(alice, "q", 0));
    hear_gone(bob, 1, STATUS_NO_QUEUE);
}

static void let_time_pass(void)
{
    for (int i = 0; i < 20; i++)
        scene_advance_ms(scene, 100);
}

START_TEST(test_a_copy_holds_what_was_confirmed)
{
    fill(100);
    do_send(alice, "q", "the last one");
    struct taken copy = {0};
    uint64_t tag = say_backup(carol, BACKUP_ALL);
    ck_assert(taken_hear(&copy, carol, tag));
    ck_assert_uint_gt(copy.begin.end - copy.begin.first, SCENE_SEGMENT_BYTES);
    start_from(&copy);
    struct actor *dave = enter_as(other, "");
    ck_assert_uint_eq(ask_queue(dave, "q", "messages"), 101);
    do_send(dave, "q", "one more");
    scene_restart(other);
    ck_assert(actor_enter(dave));
    ck_assert_uint_eq(ask_queue(dave, "q", "messages"), 102);
}
END_TEST

/* Nothing that the copy needs goes away under it, and afterwards it does. */
START_TEST(test_segments_are_held_and_then_freed)
{
    fill(100);
    come_again();
    carol->is_stalled = true;
    struct taken copy = {0};
    uint64_t tag = say_backup(carol, BACKUP_ALL);
    uint64_t before = ask_stat(alice, "journal_segments");
    settle_all();
    let_time_pass();
    ck_assert_uint_ge(ask_stat(alice, "journal_segments"), before);
    ck_assert_uint_le(actor_unsent(carol), scene->limits.unsent_bytes_max);
    do_queue(alice, "made-meanwhile");
    carol->is_stalled = false;
    scene_settle(scene);
    ck_assert(taken_hear(&copy, carol, tag));
    let_time_pass();
    ck_assert_uint_lt(ask_stat(alice, "journal_segments"), before);
    start_from(&copy);
    struct actor *dave = enter_as(other, "");
    ck_assert_uint_eq(ask_queue(dave, "q", "messages"), 100);
}
END_TEST

/* The batch that lets go of the oldest segment is not on disk yet: the newest that is still names
 * it. */
START_TEST(test_what_is_being_freed_is_copied)
{
    fill(100);
    come_again();
    do_send(alice, "q", "the last one");
    do_consume(bob, 1, "q", 1000);
    uint64_t first = 0;
    uint64_t last = 0;
    struct frame frame;
    while (actor_next(bob, &frame))
        if (frame.header.type == FRAME_DELIVER) {
            first = first == 0 ? frame.as.deliver.delivery : first;
            last = frame.as.deliver.delivery;
        }
    ck_assert_uint_eq(last - first, 100);
    struct frame done = {.header.type = FRAME_DONE};
    done.as.done = (struct frame_done){bob->start, first, last - 1};
    actor_write(bob, &done);
    actor_flush(bob);
    const struct journal *journal = scene->journal;
    scene_step(scene, 0);
    for (int i = 0; i < 1000 && journal->sealed_oldest == journal->durable_oldest; i++) {
        scene_step(scene, 1);
        scene->now_ms += 5;
        scene_step(scene, 0);
    }
    ck_assert_uint_gt(journal->sealed_oldest, journal->durable_oldest);
    carol->is_stalled = true;
    struct frame backup = {.header.type = FRAME_BACKUP, .as.backup.content = BACKUP_ALL};
    uint64_t tag = actor_write(carol, &backup);
    actor_flush(carol);
    ck_assert_uint_gt(journal->sealed_oldest, journal->durable_oldest);
    let_time_pass();
    carol->is_stalled = false;
    scene_settle(scene);
    struct taken copy = {0};
    ck_assert(taken_hear(&copy, carol, tag));
    start_from(&copy);
    struct actor *dave = enter_as(other, "");
    ck_assert_uint_eq(ask_queue(dave, "q", "messages"), 1);
}
END_TEST

START_TEST(test_one_at_a_time)
{
    fill(100);
    carol->is_stalled = true;
    say_backup(carol, BACKUP_ALL);
    hear_refuse(bob, say_backup(bob, BACKUP_ALL), STATUS_LIMIT);
    actor_cut(carol);
    scene_settle(scene);
    struct taken copy = {0};
    ck_assert(taken_hear(&copy, bob, say_backup(bob, BACKUP_ALL)));
    taken_drop(&copy);
}
END_TEST

START_TEST(test_a_peer_that_goes_lets_go)
{
    fill(100);
    come_again();
    carol->is_stalled = true;
    say_backup(carol, BACKUP_ALL);
    uint64_t before = ask_stat(alice, "journal_segments");
    settle_all();
    actor_cut(carol);
    let_time_pass();
    ck_assert_uint_lt(ask_stat(alice, "journal_segments"), before);
}
END_TEST

START_TEST(test_who_may_not_and_what_cannot_be)
{
    hear_refuse(carol, say_backup(carol, 2), STATUS_BAD_VALUE);
    scene->core->is_anonymous_allowed = false;
    hear_refuse(carol, say_backup(carol, BACKUP_ALL), STATUS_DENIED);
    scene->core->is_anonymous_allowed = true;
    core_drain(scene->core, 1000);
    scene_settle(scene);
    hear_out(carol);
    hear_refuse(carol, say_backup(carol, BACKUP_ALL), STATUS_DRAINING);
}
END_TEST

static void hear_begin(struct actor *actor)
{
    struct frame frame;
    ck_assert(actor_next(actor, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_BACKUP_BEGIN);
}

START_TEST(test_what_cannot_be_read_ends_the_copy_only)
{
    fill(100);
    disk_sim_fail_at(scene->sim, disk_sim_operations(scene->sim), DISK_SIM_READ, DISK_SIM_ONCE, 5);
    uint64_t tag = say_backup(carol, BACKUP_ALL);
    hear_begin(carol);
    hear_refuse(carol, tag, STATUS_UNREADABLE);
    struct taken copy = {0};
    ck_assert(taken_hear(&copy, carol, say_backup(carol, BACKUP_ALL)));
    taken_drop(&copy);
    disk_sim_fail_at(scene->sim, disk_sim_operations(scene->sim), DISK_SIM_LIST, DISK_SIM_ONCE, 5);
    hear_refuse(carol, say_backup(carol, BACKUP_ALL), STATUS_UNREADABLE);
    ck_assert(!scene->core->backup.is_journal_held && !scene->core->are_files_held);
}
END_TEST

/* What the copy holds is what would make room. */
START_TEST(test_a_full_disk_ends_the_copy)
{
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX];
    fill(100);
    carol->is_stalled = true;
    uint64_t tag = say_backup(carol, BACKUP_ALL);
    disk_sim_set_room(scene->sim, disk_sim_used(scene->sim));
    for (int i = 0; i < 100 && !journal_is_full(scene->journal); i++) {
        say_send_bytes(alice, "q", body, sizeof body);
        scene_advance_ms(scene, 10);
    }
    ck_assert(journal_is_full(scene->journal));
    scene_advance_ms(scene, 1000);
    ck_assert(!scene->core->backup.is_journal_held);
    carol->is_stalled = false;
    scene_settle(scene);
    struct frame frame = {0};
    while (actor_next(carol, &frame) && frame.header.type != FRAME_REFUSE)
        continue;
    ck_assert_uint_eq(frame.header.tag, tag);
    ck_assert_uint_eq(frame.as.refuse.code, STATUS_DISK_FULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backup");
    TCase *tcase = tcase_create("backup");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_a_copy_holds_what_was_confirmed);
    tcase_add_test(tcase, test_segments_are_held_and_then_freed);
    tcase_add_test(tcase, test_what_is_being_freed_is_copied);
    tcase_add_test(tcase, test_one_at_a_time);
    tcase_add_test(tcase, test_a_peer_that_goes_lets_go);
    tcase_add_test(tcase, test_who_may_not_and_what_cannot_be);
    tcase_add_test(tcase, test_what_cannot_be_read_ends_the_copy_only);
    tcase_add_test(tcase, test_a_full_disk_ends_the_copy);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
