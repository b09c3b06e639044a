/* Queues whose index does not fit its memory: O1, Q1, and what is done to pages that are away. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/check_main.h"
#include "tests/support/lines.h"

enum { MANY = 300000, SOME = 120000, FEW = 400, RECOVERY_OPERATIONS = 60 };

static struct scene *scene;
static struct actor *alice;
static struct actor *bob;

static void set_up_actors(void)
{
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
}

static void set_up(void)
{
    scene = scene_new(12);
    set_up_actors();
}

static void tear_down(void)
{
    scene_free(scene);
}

static void send_numbers(const char *queue, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char body[16];
        (void)snprintf(body, sizeof body, "%u", i);
        struct frame frame = {.header.type = FRAME_SEND};
        frame.as.send.queue = wire_bytes_of_text(queue);
        frame.as.send.body = wire_bytes_of_text(body);
        frame.as.send.body_bytes = frame.as.send.body.bytes;
        actor_write(alice, &frame);
        if (i % 500 == 499) {
            actor_flush(alice);
            scene_settle(scene);
            hear_out(alice);
        }
    }
    actor_flush(alice);
    scene_settle(scene);
    hear_out(alice);
}

/* Takes every message that is left, in order, and settles it as long as the consumer lasts. */
static void take_numbers(const char *queue, unsigned from, unsigned to)
{
    say_consume(bob, 1, queue, 1000);
    uint64_t first = 0;
    struct frame frame;
    for (unsigned i = from; i < to;) {
        if (!actor_next(bob, &frame))
            ck_abort_msg("%u expected, nothing came", i);
        if (frame.header.type == FRAME_CONFIRM)
            continue;
        ck_assert_int_eq(frame.header.type, FRAME_DELIVER);
        ck_assert_int_eq(frame.header.flags & FLAG_REDELIVERED, 0);
        char body[16];
        int bytes = snprintf(body, sizeof body, "%u", i++);
        ck_assert_int_eq(frame.as.deliver.body.bytes, bytes);
        ck_assert_mem_eq(frame.as.deliver.body.at, body, bytes);
        if (first == 0)
            first = frame.as.deliver.delivery;
        if (i % 500 == 0 || i == to) {
            say_done(bob, first, frame.as.deliver.delivery);
            first = 0;
        }
    }
    say_cancel(bob, 1);
    hear_out(bob);
}

START_TEST(test_a_long_queue_comes_in_order)
{
    do_queue(alice, "orders");
    send_numbers("orders", 0, MANY);
    ck_assert(disk_sim_has(scene->sim, "pages"));
    take_numbers("orders", 0, MANY);
    ck_assert_uint_eq(ask_queue(alice, "orders", "ready"), 0);
}
END_TEST

START_TEST(test_a_long_queue_outlives_a_crash)
{
    do_queue(alice, "orders");
    send_numbers("orders", 0, SOME);
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(disk_sim_has(scene->sim, "pages"));
    ck_assert(actor_enter(alice) && actor_enter(bob));
    ck_assert_uint_eq(ask_queue(alice, "orders", "ready"), SOME);
    take_numbers("orders", 0, SOME);
}
END_TEST

START_TEST(test_a_purge_takes_pages_out_that_are_away)
{
    do_queue(alice, "orders");
    do_queue(alice, "others");
    send_numbers("orders", 0, SOME);
    send_numbers("others", 0, 10);
    do_consume(bob, 7, "orders", 3);
    struct heard first = hear_delivery(bob, "0");
    hear_delivery(bob, "1");
    hear_delivery(bob, "2");
    say_cancel(bob, 7);
    hear_out(bob);
    hear_confirm(alice, say_queue_purge(alice, "orders"));
    ck_assert_uint_eq(ask_queue(alice, "orders", "ready"), 0);
    send_numbers("orders", SOME, SOME + 10);
    hear_confirm(bob, say_done(bob, first.delivery, first.delivery + 2));
    take_numbers("orders", SOME, SOME + 10);
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice) && actor_enter(bob));
    ck_assert_uint_eq(ask_queue(alice, "orders", "ready"), 0);
    take_numbers("others", 0, 10);
}
END_TEST

START_TEST(test_a_deleted_queue_with_pages_away_is_worked_off)
{
    do_queue(alice, "orders");
    send_numbers("orders", 0, SOME);
    hear_confirm(alice, say_queue_delete(alice, "orders", 0));
    scene_settle(scene);
    ck_assert_uint_eq(core_has_more(scene->core), 0);
    do_queue(alice, "orders");
    send_numbers("orders", 0, 10);
    take_numbers("orders", 0, 10);
}
END_TEST

START_TEST(test_the_oldest_is_dropped_when_it_is_there)
{
    hear_confirm(alice, say_queue_with(alice, "orders", 0, SOME, 1));
    send_numbers("orders", 0, SOME);
    do_queue(alice, "others");
    send_numbers("others", 0, SOME); /* drives the pages of the first queue out */
    send_numbers("orders", SOME, SOME + 1000);
    ck_assert_uint_eq(ask_queue(alice, "orders", "ready"), SOME);
    take_numbers("orders", 1000, SOME + 1000);
}
END_TEST

START_TEST(test_a_page_that_cannot_be_read_ends_the_process)
{
    do_queue(alice, "orders");
    send_numbers("orders", 0, SOME);
    for (uint64_t offset = 0; offset < disk_sim_size(scene->sim, "pages"); offset += 4096)
        disk_sim_flip(scene->sim, "pages", offset, 1);
    say_consume(bob, 1, "orders", 1000);
    ck_assert(scene->has_failed);
    ck_assert_str_eq(core_failure(scene->core)->file, "pages");
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice) && actor_enter(bob));
    ck_assert_uint_eq(ask_queue(alice, "orders", "ready"), SOME);
}
END_TEST

/* Settlements of messages whose page cannot be read again: the start fails, the next is whole. */
START_TEST(test_a_recovery_that_cannot_read_a_page_fails)
{
    struct core_limits limits = scene_limits();
    limits.index_bytes_max = 1;
    scene_free(scene);
    scene = scene_new_with(12, &limits);
    set_up_actors();
    do_queue(alice, "orders");
    send_numbers("orders", 0, 2 * FEW);
    take_numbers("orders", 0, FEW);
    scene_die(scene);
    unsigned failed_count = 0;
    for (uint64_t i = 0; i < RECOVERY_OPERATIONS; i++) {
        disk_sim_kill(scene->sim);
        disk_sim_fail_at(scene->sim, disk_sim_operations(scene->sim) + i, DISK_SIM_READ,
                         DISK_SIM_ONCE, EIO);
        failed_count += !scene_start(scene);
        scene_die(scene);
    }
    ck_assert_uint_gt(failed_count, 0);
    disk_sim_kill(scene->sim);
    ck_assert(scene_start(scene) && actor_enter(alice));
    ck_assert_uint_eq(ask_queue(alice, "orders", "ready"), FEW);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spill");
    TCase *tcase = tcase_create("spill");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_a_long_queue_comes_in_order);
    tcase_add_test(tcase, test_a_long_queue_outlives_a_crash);
    tcase_add_test(tcase, test_a_purge_takes_pages_out_that_are_away);
    tcase_add_test(tcase, test_a_deleted_queue_with_pages_away_is_worked_off);
    tcase_add_test(tcase, test_the_oldest_is_dropped_when_it_is_there);
    tcase_add_test(tcase, test_a_page_that_cannot_be_read_ends_the_process);
    tcase_add_test(tcase, test_a_recovery_that_cannot_read_a_page_fails);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
