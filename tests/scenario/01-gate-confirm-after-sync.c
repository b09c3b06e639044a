/* Nothing that rests on a record leaves the broker before the record is on disk: D2, and order in
 * the answer line: Q6. */
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

START_TEST(test_a_confirm_waits_for_the_sync)
{
    struct scene *scene = scene_new(1);
    struct actor *alice = enter_as(scene, "");
    do_queue(alice, "orders");
    scene_hold_syncs(scene);
    uint64_t tag = say_send(alice, "orders", "hi");
    hear_nothing(alice);
    scene_advance_ms(scene, 5000);
    hear_nothing(alice);
    scene_release_syncs(scene);
    hear_confirm(alice, tag);
    hear_nothing(alice);
    scene_free(scene);
}
END_TEST

START_TEST(test_a_delivery_waits_for_the_sync)
{
    struct scene *scene = scene_new(1);
    struct actor *alice = enter_as(scene, "");
    struct actor *bob = enter_as(scene, "");
    do_queue(alice, "orders");
    do_consume(bob, 1, "orders", 10);
    scene_hold_syncs(scene);
    say_send(alice, "orders", "hi");
    hear_nothing(bob);
    scene_release_syncs(scene);
    hear_delivery(bob, "hi");
    scene_free(scene);
}
END_TEST

START_TEST(test_a_settlement_is_confirmed_after_its_sync)
{
    struct scene *scene = scene_new(1);
    struct actor *alice = enter_as(scene, "");
    do_queue(alice, "orders");
    do_send(alice, "orders", "hi");
    do_consume(alice, 1, "orders", 10);
    struct heard heard = hear_delivery(alice, "hi");
    scene_hold_syncs(scene);
    uint64_t tag = say_done(alice, heard.delivery, heard.delivery);
    hear_nothing(alice);
    scene_release_syncs(scene);
    hear_confirm(alice, tag);
    scene_free(scene);
}
END_TEST

START_TEST(test_refusals_leave_in_order_with_confirms)
{
    struct scene *scene = scene_new(1);
    struct actor *alice = enter_as(scene, "");
    do_queue(alice, "orders");
    scene_hold_syncs(scene);
    uint64_t first = say_send(alice, "orders", "1");
    uint64_t bad = say_send(alice, "nowhere", "2");
    uint64_t last = say_send(alice, "orders", "3");
    hear_nothing(alice);
    scene_release_syncs(scene);
    hear_confirm(alice, first);
    hear_refuse(alice, bad, STATUS_NO_QUEUE);
    hear_confirm(alice, last);
    hear_nothing(alice);
    scene_free(scene);
}
END_TEST

START_TEST(test_definitions_wait_as_well)
{
    struct scene *scene = scene_new(1);
    struct actor *alice = enter_as(scene, "");
    scene_hold_syncs(scene);
    uint64_t queue = say_queue(alice, "orders");
    uint64_t exchange = say_exchange(alice, "news", 0);
    uint64_t binding = say_bind(alice, "orders", "news", "#");
    hear_nothing(alice);
    scene_release_syncs(scene);
    /* All became durable together: one confirm may speak of all. */
    struct frame frame;
    uint64_t last = 0;
    while (actor_next(alice, &frame))
        last = frame.as.confirm.last;
    ck_assert_uint_eq(last, binding);
    ck_assert(queue < exchange && exchange < binding);
    scene_free(scene);
}
END_TEST

START_TEST(test_transient_messages_do_not_wait)
{
    struct scene *scene = scene_new(1);
    struct actor *alice = enter_as(scene, "");
    struct actor *bob = enter_as(scene, "");
    do_queue(alice, "orders");
    do_consume(bob, 1, "orders", 10);
    do_send(alice, "orders", "durable");
    hear_delivery(bob, "durable");
    scene_hold_syncs(scene);
    say_send_with(alice, "orders", "fast", FLAG_TRANSIENT);
    hear_delivery(bob, "fast");
    hear_nothing(alice);
    scene_free(scene);
}
END_TEST

START_TEST(test_a_transient_message_does_not_overtake_a_held_one)
{
    struct scene *scene = scene_new(1);
    struct actor *alice = enter_as(scene, "");
    struct actor *bob = enter_as(scene, "");
    do_queue(alice, "orders");
    do_consume(bob, 1, "orders", 10);
    scene_hold_syncs(scene);
    uint64_t slow = say_send(alice, "orders", "slow");
    uint64_t fast = say_send_with(alice, "orders", "fast", FLAG_TRANSIENT | FLAG_CONFIRM);
    hear_nothing(bob);
    hear_nothing(alice);
    scene_release_syncs(scene);
    hear_delivery(bob, "slow");
    hear_delivery(bob, "fast");
    hear_confirm(alice, fast);
    ck_assert(slow < fast);
    scene_free(scene);
}
END_TEST

START_TEST(test_a_named_client_is_let_in_after_its_record_is_on_disk)
{
    struct scene *scene = scene_new(1);
    struct actor *alice = scene_actor(scene, "alice");
    scene_hold_syncs(scene);
    ck_assert(!actor_enter(alice));
    scene_release_syncs(scene);
    struct frame frame;
    ck_assert(actor_next(alice, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_AUTH_OK);
    scene_free(scene);
}
END_TEST

START_TEST(test_what_was_not_confirmed_is_there_or_not_after_a_crash)
{
    for (int policy = 0; policy < DISK_SIM_POLICIES; policy++) {
        struct scene *scene = scene_new((uint64_t)policy + 7);
        struct actor *alice = enter_as(scene, "");
        do_queue(alice, "orders");
        do_send(alice, "orders", "sure");
        scene_hold_syncs(scene);
        say_send(alice, "orders", "perhaps");
        scene_crash(scene, (enum disk_sim_policy)policy);
        ck_assert(actor_enter(alice));
        do_consume(alice, 1, "orders", 10);
        hear_delivery(alice, "sure");
        struct frame frame;
        if (actor_next(alice, &frame))
            ck_assert_uint_eq(frame.as.deliver.body_bytes, strlen("perhaps"));
        hear_nothing(alice);
        scene_free(scene);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gate");
    TCase *tcase = tcase_create("gate");
    tcase_add_test(tcase, test_a_confirm_waits_for_the_sync);
    tcase_add_test(tcase, test_a_delivery_waits_for_the_sync);
    tcase_add_test(tcase, test_a_settlement_is_confirmed_after_its_sync);
    tcase_add_test(tcase, test_refusals_leave_in_order_with_confirms);
    tcase_add_test(tcase, test_definitions_wait_as_well);
    tcase_add_test(tcase, test_transient_messages_do_not_wait);
    tcase_add_test(tcase, test_a_transient_message_does_not_overtake_a_held_one);
    tcase_add_test(tcase, test_a_named_client_is_let_in_after_its_record_is_on_disk);
    tcase_add_test(tcase, test_what_was_not_confirmed_is_there_or_not_after_a_crash);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
