/* Stopping in good order: nothing new, settlements go on, everything is as it was afterwards (D12),
 * and a full disk, which stops publishers only (D10). */
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

static struct scene *scene;
static struct actor *alice;
static struct actor *bob;

static void set_up(void)
{
    scene = scene_new(9);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    do_queue(alice, "q");
    do_exchange(alice, "x");
}

static void tear_down(void)
{
    scene_free(scene);
}

START_TEST(test_nothing_new_while_draining)
{
    do_send(alice, "q", "1");
    do_send(alice, "q", "2");
    do_consume(bob, 1, "q", 1);
    uint64_t delivery = hear_delivery(bob, "1").delivery;
    core_drain(scene->core, 5000);
    scene_settle(scene);
    struct frame frame;
    ck_assert(actor_next(bob, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_DRAIN);
    ck_assert_uint_eq(frame.as.drain.within_ms, 5000);
    hear_out(alice);
    hear_refuse(alice, say_send(alice, "q", "3"), STATUS_DRAINING);
    hear_refuse(alice, say_publish(alice, "x", "a", "3"), STATUS_DRAINING);
    hear_refuse(alice, say_consume(alice, 1, "q", 1), STATUS_DRAINING);
    hear_refuse(alice, say_subscribe(alice, 1, "x", "#"), STATUS_DRAINING);
    hear_failure(alice, say_call(alice, "q", "3", 100), "DRAINING", OUTCOME_NOT_RUN);
    ck_assert(!core_is_drained(scene->core));
    do_done(bob, delivery);
    hear_nothing(bob);
    ck_assert(core_is_drained(scene->core));
}
END_TEST

START_TEST(test_a_waiting_call_does_not_hold_up_the_drain)
{
    do_consume(bob, 1, "q", 1);
    uint64_t running = say_call(alice, "q", "running", 60000);
    uint64_t delivery = hear_delivery(bob, "running").delivery;
    uint64_t waiting = say_call(alice, "q", "waiting", 60000);
    core_drain(scene->core, 5000);
    scene_settle(scene);
    hear_failure(alice, waiting, "DRAINING", OUTCOME_NOT_RUN);
    ck_assert(!core_is_drained(scene->core));
    say_result(bob, delivery, "done");
    struct frame frame;
    ck_assert(actor_next(alice, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_DRAIN);
    hear_outcome(alice, running, "done");
    ck_assert(core_is_drained(scene->core));
}
END_TEST

START_TEST(test_queues_are_the_same_after_a_stop)
{
    do_send(alice, "q", "1");
    do_send(alice, "q", "2");
    do_send(alice, "q", "3");
    do_consume(bob, 1, "q", 1);
    hear_delivery(bob, "1");
    scene_restart(scene);
    ck_assert(actor_enter(bob));
    do_consume(bob, 1, "q", 10);
    struct heard heard = hear_delivery(bob, "1");
    ck_assert_uint_eq(heard.attempt, 1);
    hear_delivery(bob, "2");
    hear_delivery(bob, "3");
    hear_nothing(bob);
}
END_TEST

START_TEST(test_a_full_disk_stops_publishers_only)
{
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX];
    do_consume(bob, 1, "q", 1000);
    disk_sim_set_room(scene->sim, disk_sim_used(scene->sim));
    struct frame frame;
    bool is_full = false;
    for (int i = 0; i < 100 && !is_full; i++) {
        say_send_bytes(alice, "q", body, sizeof body);
        scene_advance_ms(scene, 10);
        while (actor_next(alice, &frame))
            is_full |= frame.header.type == FRAME_REFUSE;
    }
    ck_assert(is_full);
    hear_refuse(alice, say_send(alice, "q", "x"), STATUS_DISK_FULL);
    enter_as(scene, "newcomer"); /* who may have come to make room */
    uint64_t last = 0;
    while (actor_next(bob, &frame))
        last = frame.header.type == FRAME_DELIVER ? frame.as.deliver.delivery : last;
    ck_assert_uint_gt(last, 0);
    hear_confirm(bob, say_done(bob, 1, last));
    ck_assert_uint_eq(ask_queue(bob, "q", "messages"), 0);
    disk_sim_set_room(scene->sim, UINT64_MAX);
    for (int i = 0; i < 10; i++)
        scene_advance_ms(scene, 100);
    do_send(alice, "q", "x");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("drain");
    TCase *tcase = tcase_create("drain");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_nothing_new_while_draining);
    tcase_add_test(tcase, test_a_waiting_call_does_not_hold_up_the_drain);
    tcase_add_test(tcase, test_queues_are_the_same_after_a_stop);
    tcase_add_test(tcase, test_a_full_disk_stops_publishers_only);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
