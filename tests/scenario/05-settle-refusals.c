/* Settlements that name what they may not, parking, and everything auto-delete and exclusive. */
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

static struct scene *scene;
static struct actor *alice;
static struct actor *bob;

static void set_up(void)
{
    scene = scene_new(5);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    do_queue(alice, "orders");
}

static void tear_down(void)
{
    scene_free(scene);
}

/* RELIABILITY (d) 27. */
START_TEST(test_unknown_foreign_and_settled_deliveries)
{
    do_send(alice, "orders", "1");
    do_send(alice, "orders", "2");
    do_consume(bob, 1, "orders", 10);
    uint64_t first = hear_delivery(bob, "1").delivery;
    uint64_t second = hear_delivery(bob, "2").delivery;
    hear_refuse(bob, say_done(bob, 0, 0), STATUS_UNKNOWN_DELIVERY);
    hear_refuse(bob, say_done(bob, second, first), STATUS_UNKNOWN_DELIVERY);
    hear_refuse(bob, say_done(bob, second + 1, second + 1), STATUS_UNKNOWN_DELIVERY);
    hear_refuse(bob, say_done(bob, first, UINT64_MAX), STATUS_UNKNOWN_DELIVERY);
    hear_refuse(alice, say_done(alice, first, first), STATUS_STALE_DELIVERY);
    do_done(bob, first);
    hear_refuse(bob, say_done(bob, first, first), STATUS_STALE_DELIVERY);
    hear_refuse(bob, say_release(bob, first, first), STATUS_STALE_DELIVERY);
    hear_refuse(bob, say_fail(bob, first, "X"), STATUS_STALE_DELIVERY);
    hear_refuse(bob, say_result(bob, first, "X"), STATUS_STALE_DELIVERY);
    hear_confirm(bob, say_done(bob, first, second)); /* what is left of the range */
    ck_assert_uint_eq(ask_queue(alice, "orders", "messages"), 0);
    ck_assert_uint_eq(ask_queue(alice, "orders", "settled"), 2);
}
END_TEST

START_TEST(test_an_earlier_start_is_stale)
{
    do_send(alice, "orders", "1");
    do_consume(bob, 1, "orders", 10);
    uint64_t delivery = hear_delivery(bob, "1").delivery;
    uint32_t start = bob->start;
    scene_crash(scene, DISK_SIM_ALL);
    ck_assert(actor_enter(bob));
    ck_assert_uint_gt(bob->start, start);
    do_consume(bob, 1, "orders", 10);
    hear_delivery(bob, "1");
    bob->start = start;
    hear_refuse(bob, say_done(bob, delivery, delivery), STATUS_STALE_DELIVERY);
    ck_assert_uint_eq(ask_queue(bob, "orders", "running"), 1);
}
END_TEST

START_TEST(test_a_range_over_two_queues_and_a_gap)
{
    do_queue(alice, "others");
    do_consume(bob, 1, "orders", 10);
    do_consume(bob, 2, "others", 10);
    do_send(alice, "orders", "1");
    do_send(alice, "others", "2");
    do_send(alice, "orders", "3");
    say_send_with(alice, "orders", "4", FLAG_TRANSIENT);
    do_send(alice, "others", "5");
    uint64_t first = hear_delivery(bob, "1").delivery;
    uint64_t gap = hear_delivery(bob, "2").delivery;
    hear_delivery(bob, "3");
    hear_delivery(bob, "4");
    uint64_t last = hear_delivery(bob, "5").delivery;
    do_done(bob, gap);
    hear_confirm(bob, say_done(bob, first, last));
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_queue(alice, "orders", "messages"), 0);
    ck_assert_uint_eq(ask_queue(alice, "others", "messages"), 0);
}
END_TEST

START_TEST(test_a_failed_command_is_parked)
{
    do_send(alice, "orders", "1");
    do_send(alice, "orders", "2");
    do_consume(bob, 1, "orders", 10);
    uint64_t delivery = hear_delivery(bob, "1").delivery;
    hear_delivery(bob, "2");
    hear_confirm(bob, say_fail(bob, delivery, "BROKEN"));
    ck_assert_uint_eq(ask_queue(alice, "orders", "parked"), 1);
    ck_assert_uint_eq(ask_queue(alice, "orders", "messages"), 1);
    ck_assert_uint_eq(ask_queue(alice, "orders", "failed"), 1);
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_queue(alice, "orders", "parked"), 1);
    do_consume(alice, 1, "orders", 10);
    hear_delivery(alice, "2");
    hear_nothing(alice);
}
END_TEST

START_TEST(test_a_class_that_is_none)
{
    do_send(alice, "orders", "1");
    do_consume(bob, 1, "orders", 10);
    uint64_t delivery = hear_delivery(bob, "1").delivery;
    struct frame frame = {.header.type = FRAME_FAIL};
    frame.as.fail.start = bob->start;
    frame.as.fail.delivery = delivery;
    frame.as.fail.class = 3;
    hear_refuse(bob, actor_say(bob, &frame), STATUS_BAD_VALUE);
    do_done(bob, delivery);
}
END_TEST

START_TEST(test_a_deleted_queue_makes_its_deliveries_stale)
{
    do_send(alice, "orders", "1");
    do_consume(bob, 1, "orders", 10);
    uint64_t delivery = hear_delivery(bob, "1").delivery;
    hear_confirm(alice, say_queue_delete(alice, "orders", 0));
    hear_gone(bob, 1, STATUS_NO_QUEUE);
    hear_refuse(bob, say_done(bob, delivery, delivery), STATUS_STALE_DELIVERY);
}
END_TEST

START_TEST(test_purge_takes_what_waits_only)
{
    for (int i = 0; i < 5; i++)
        do_send(alice, "orders", "x");
    do_consume(bob, 1, "orders", 2);
    uint64_t delivery = hear_delivery(bob, "x").delivery;
    hear_delivery(bob, "x");
    hear_confirm(alice, say_queue_purge(alice, "orders"));
    ck_assert_uint_eq(ask_queue(alice, "orders", "messages"), 2);
    hear_confirm(bob, say_release(bob, delivery, delivery));
    hear_delivery(bob, "x");
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_queue(alice, "orders", "messages"), 2);
}
END_TEST

START_TEST(test_an_exclusive_queue_belongs_to_one)
{
    hear_confirm(alice, say_queue_with(alice, "mine", FLAG_QUEUE_EXCLUSIVE, 0, 0));
    hear_refuse(bob, say_queue_with(bob, "mine", FLAG_QUEUE_EXCLUSIVE, 0, 0), STATUS_EXCLUSIVE);
    hear_refuse(bob, say_consume(bob, 1, "mine", 1), STATUS_EXCLUSIVE);
    hear_refuse(bob, say_queue_delete(bob, "mine", 0), STATUS_EXCLUSIVE);
    hear_refuse(bob, say_queue_purge(bob, "mine"), STATUS_EXCLUSIVE);
    do_send(bob, "mine", "x");
    do_consume(alice, 1, "mine", 1);
    hear_delivery(alice, "x");
    actor_cut(alice);
    scene_settle(scene);
    hear_refuse(bob, say_send(bob, "mine", "x"), STATUS_NO_QUEUE);
}
END_TEST

START_TEST(test_an_auto_delete_queue_goes_with_its_last_consumer)
{
    hear_confirm(alice, say_queue_with(alice, "brief", FLAG_QUEUE_AUTO_DELETE, 0, 0));
    do_send(alice, "brief", "x");
    do_consume(bob, 1, "brief", 1);
    hear_delivery(bob, "x");
    do_consume(alice, 1, "brief", 1);
    hear_confirm(alice, say_cancel(alice, 1));
    ck_assert_uint_eq(ask_queue(alice, "brief", "consumers"), 1);
    actor_cut(bob);
    scene_settle(scene);
    hear_refuse(alice, say_send(alice, "brief", "x"), STATUS_NO_QUEUE);
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_rows(alice, QUERY_QUEUES, "", 0, 0, NULL), 1);
}
END_TEST

/* The cancelled consumer still has a delivery when the queue goes under it. */
START_TEST(test_a_connection_with_a_cancelled_consumer_of_a_brief_queue_ends)
{
    hear_confirm(alice, say_queue_with(alice, "brief", FLAG_QUEUE_AUTO_DELETE, 0, 0));
    do_send(alice, "brief", "x");
    do_send(alice, "brief", "y");
    do_consume(bob, 1, "brief", 1);
    hear_delivery(bob, "x");
    do_consume(bob, 2, "brief", 1);
    hear_delivery(bob, "y");
    hear_confirm(bob, say_cancel(bob, 2));
    actor_cut(bob);
    scene_settle(scene);
    hear_refuse(alice, say_send(alice, "brief", "x"), STATUS_NO_QUEUE);
}
END_TEST

/* That the broker stops is no leaving of consumers: the queue is there again, as after a crash. */
START_TEST(test_an_auto_delete_queue_outlives_a_restart)
{
    hear_confirm(alice, say_queue_with(alice, "brief", FLAG_QUEUE_AUTO_DELETE, 0, 0));
    do_consume(bob, 1, "brief", 1);
    do_send(alice, "brief", "x");
    hear_delivery(bob, "x");
    scene_restart(scene);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_queue(alice, "brief", "messages"), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("settle");
    TCase *tcase = tcase_create("settle");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_unknown_foreign_and_settled_deliveries);
    tcase_add_test(tcase, test_an_earlier_start_is_stale);
    tcase_add_test(tcase, test_a_range_over_two_queues_and_a_gap);
    tcase_add_test(tcase, test_a_failed_command_is_parked);
    tcase_add_test(tcase, test_a_class_that_is_none);
    tcase_add_test(tcase, test_a_deleted_queue_makes_its_deliveries_stale);
    tcase_add_test(tcase, test_purge_takes_what_waits_only);
    tcase_add_test(tcase, test_an_exclusive_queue_belongs_to_one);
    tcase_add_test(tcase, test_an_auto_delete_queue_goes_with_its_last_consumer);
    tcase_add_test(tcase, test_a_connection_with_a_cancelled_consumer_of_a_brief_queue_ends);
    tcase_add_test(tcase, test_an_auto_delete_queue_outlives_a_restart);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
