/* Handing out and taking back: Q2, Q3, Q4, Q5, D3. */
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

static struct scene *scene;
static struct actor *alice;
static struct actor *bob;

static void set_up(void)
{
    scene = scene_new(2);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    do_queue(alice, "orders");
}

static void tear_down(void)
{
    scene_free(scene);
}

static void send_numbers(int count)
{
    for (int i = 0; i < count; i++) {
        char body[2] = {(char)('0' + i), '\0'};
        do_send(alice, "orders", body);
    }
}

START_TEST(test_messages_come_in_order)
{
    send_numbers(5);
    do_consume(bob, 1, "orders", 10);
    const char *const bodies[] = {"0", "1", "2", "3", "4"};
    uint64_t last = 0;
    for (int i = 0; i < 5; i++) {
        struct heard heard = hear_delivery(bob, bodies[i]);
        ck_assert_uint_gt(heard.number, last);
        ck_assert_uint_eq(heard.attempt, 1);
        ck_assert(!heard.is_redelivered);
        last = heard.number;
    }
    hear_nothing(bob);
}
END_TEST

START_TEST(test_what_is_released_returns_to_its_old_place)
{
    send_numbers(4);
    do_consume(bob, 1, "orders", 2);
    struct heard first = hear_delivery(bob, "0");
    hear_delivery(bob, "1");
    hear_nothing(bob);
    hear_confirm(bob, say_release(bob, first.delivery, first.delivery));
    first = hear_delivery(bob, "0");
    ck_assert(first.is_redelivered);
    ck_assert_uint_eq(first.attempt, 1);
    ck_assert_uint_eq(ask_stat(alice, "messages_released"), 1);
}
END_TEST

START_TEST(test_a_range_is_released_in_order)
{
    send_numbers(4);
    do_consume(bob, 1, "orders", 4);
    uint64_t first = hear_delivery(bob, "0").delivery;
    hear_delivery(bob, "1");
    hear_delivery(bob, "2");
    uint64_t last = hear_delivery(bob, "3").delivery;
    do_consume(alice, 1, "orders", 10);
    say_cancel(bob, 1);
    say_release(bob, first, last);
    hear_delivery(alice, "0");
    hear_delivery(alice, "1");
    hear_delivery(alice, "2");
    hear_delivery(alice, "3");
}
END_TEST

START_TEST(test_a_lost_worker_counts_for_its_oldest_delivery_only)
{
    send_numbers(3);
    do_queue(alice, "others");
    do_send(alice, "others", "x");
    do_consume(bob, 1, "orders", 10);
    hear_out(bob);
    do_consume(bob, 2, "others", 10);
    actor_cut(bob);
    scene_settle(scene);
    do_consume(alice, 1, "orders", 10);
    struct heard heard = hear_delivery(alice, "0");
    ck_assert_uint_eq(heard.attempt, 2);
    ck_assert(heard.is_redelivered);
    heard = hear_delivery(alice, "1");
    ck_assert_uint_eq(heard.attempt, 1);
    ck_assert(heard.is_redelivered);
    ck_assert_uint_eq(hear_delivery(alice, "2").attempt, 1);
    do_consume(alice, 2, "others", 10);
    ck_assert_uint_eq(hear_delivery(alice, "x").attempt, 2);
    ck_assert_uint_eq(ask_stat(alice, "workers_lost"), 2);
}
END_TEST

START_TEST(test_a_worker_that_says_goodbye_counts_nothing)
{
    send_numbers(2);
    do_consume(bob, 1, "orders", 10);
    say_goodbye(bob);
    do_consume(alice, 1, "orders", 10);
    ck_assert_uint_eq(hear_delivery(alice, "0").attempt, 1);
    ck_assert_uint_eq(hear_delivery(alice, "1").attempt, 1);
}
END_TEST

START_TEST(test_attempts_survive_a_crash)
{
    send_numbers(1);
    for (unsigned i = 1; i <= 3; i++) {
        do_consume(bob, 1, "orders", 10);
        ck_assert_uint_eq(hear_delivery(bob, "0").attempt, i);
        actor_cut(bob);
        scene_settle(scene);
        scene_crash(scene, DISK_SIM_NONE);
        ck_assert(actor_enter(bob));
    }
}
END_TEST

START_TEST(test_a_redelivery_waits_for_its_attempt_to_be_on_disk)
{
    send_numbers(1);
    do_consume(bob, 1, "orders", 10);
    hear_delivery(bob, "0");
    do_consume(alice, 1, "orders", 10);
    scene_hold_syncs(scene);
    actor_cut(bob);
    scene_settle(scene);
    hear_nothing(alice);
    scene_release_syncs(scene);
    ck_assert_uint_eq(hear_delivery(alice, "0").attempt, 2);
}
END_TEST

START_TEST(test_redelivered_is_honest_across_a_crash)
{
    send_numbers(3);
    do_consume(bob, 1, "orders", 1);
    hear_delivery(bob, "0");
    scene_crash(scene, DISK_SIM_ALL);
    ck_assert(actor_enter(bob) && actor_enter(alice));
    do_send(alice, "orders", "new");
    do_consume(bob, 1, "orders", 10);
    ck_assert(hear_delivery(bob, "0").is_redelivered);
    hear_delivery(bob, "1");
    hear_delivery(bob, "2");
    ck_assert(!hear_delivery(bob, "new").is_redelivered);
}
END_TEST

/* Were it handed out before, a crash now would leave nothing that says so. */
START_TEST(test_a_first_delivery_waits_for_the_mark)
{
    send_numbers(1);
    scene_hold_syncs(scene);
    uint64_t tag = say_consume(bob, 1, "orders", 1);
    struct frame frame;
    while (actor_next(bob, &frame))
        ck_assert_uint_ne(frame.header.type, FRAME_DELIVER);
    scene_release_syncs(scene);
    while (actor_next(bob, &frame) && frame.header.type != FRAME_DELIVER)
        ck_assert_uint_eq(frame.as.confirm.last, tag);
    ck_assert_uint_eq(frame.header.type, FRAME_DELIVER);
    ck_assert_uint_eq(frame.header.flags & FLAG_REDELIVERED, 0);
}
END_TEST

START_TEST(test_redelivered_is_exact_after_a_clean_stop)
{
    send_numbers(3);
    do_consume(bob, 1, "orders", 1);
    hear_delivery(bob, "0");
    scene_restart(scene);
    ck_assert(actor_enter(bob) && actor_enter(alice));
    do_send(alice, "orders", "new");
    do_consume(bob, 1, "orders", 10);
    struct heard heard = hear_delivery(bob, "0");
    ck_assert(heard.is_redelivered);
    ck_assert_uint_eq(heard.attempt, 1);
    ck_assert(!hear_delivery(bob, "1").is_redelivered);
    ck_assert(!hear_delivery(bob, "2").is_redelivered);
    ck_assert(!hear_delivery(bob, "new").is_redelivered);
}
END_TEST

/* Transient messages have numbers too, and no record of them. */
START_TEST(test_numbers_are_never_used_twice)
{
    send_numbers(1);
    do_consume(bob, 1, "orders", 100);
    hear_delivery(bob, "0");
    uint64_t highest = 0;
    for (int i = 0; i < 20; i++) {
        say_send_with(alice, "orders", "t", FLAG_TRANSIENT);
        highest = hear_delivery(bob, "t").number;
    }
    scene_restart(scene);
    ck_assert(actor_enter(bob) && actor_enter(alice));
    do_send(alice, "orders", "new");
    scene_restart(scene);
    ck_assert(actor_enter(bob));
    do_consume(bob, 1, "orders", 100);
    hear_delivery(bob, "0");
    struct heard heard = hear_delivery(bob, "new");
    ck_assert(!heard.is_redelivered);
    ck_assert_uint_gt(heard.number, highest);
}
END_TEST

START_TEST(test_consumers_share_fairly)
{
    struct actor *workers[3];
    for (int i = 0; i < 3; i++) {
        workers[i] = enter_as(scene, "");
        do_consume(workers[i], 1, "orders", 100);
    }
    for (int i = 0; i < 30; i++)
        do_send(alice, "orders", "work");
    for (int i = 0; i < 3; i++) {
        for (int n = 0; n < 10; n++)
            hear_delivery(workers[i], "work");
        hear_nothing(workers[i]);
    }
}
END_TEST

START_TEST(test_prefetch_in_messages)
{
    send_numbers(3);
    do_consume(bob, 1, "orders", 0); /* the broker's default: one */
    struct heard heard = hear_delivery(bob, "0");
    hear_nothing(bob);
    uint64_t tag = say_done(bob, heard.delivery, heard.delivery);
    hear_delivery(bob, "1");
    hear_confirm(bob, tag);
    hear_nothing(bob);
}
END_TEST

START_TEST(test_prefetch_in_bytes)
{
    send_numbers(5);
    struct frame frame = {.header.type = FRAME_CONSUME};
    frame.as.consume = (struct frame_consume){1, wire_bytes_of_text("orders"), UINT32_MAX, 2};
    hear_confirm(bob, actor_say(bob, &frame));
    struct heard heard = hear_delivery(bob, "0");
    hear_delivery(bob, "1");
    hear_nothing(bob);
    uint64_t tag = say_done(bob, heard.delivery, heard.delivery);
    hear_delivery(bob, "2");
    hear_confirm(bob, tag);
    hear_nothing(bob);
}
END_TEST

START_TEST(test_a_cancelled_consumer_may_still_settle)
{
    send_numbers(2);
    do_consume(bob, 1, "orders", 1);
    struct heard heard = hear_delivery(bob, "0");
    hear_confirm(bob, say_cancel(bob, 1));
    hear_refuse(bob, say_cancel(bob, 1), STATUS_UNKNOWN_CONSUMER);
    hear_refuse(bob, say_consume(bob, 1, "orders", 1), STATUS_CONSUMER_EXISTS);
    do_done(bob, heard.delivery);
    hear_nothing(bob);
    do_consume(bob, 1, "orders", 1);
    hear_delivery(bob, "1");
}
END_TEST

START_TEST(test_a_large_body_comes_whole_from_disk)
{
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (unsigned char)(i * 7 + (i >> 8));
    for (int i = 0; i < 60; i++)
        hear_confirm(alice, say_send_bytes(alice, "orders", body, sizeof body));
    do_consume(bob, 1, "orders", 100);
    for (int i = 0; i < 60; i++) {
        struct frame frame;
        ck_assert(actor_next(bob, &frame));
        ck_assert_uint_eq(frame.as.deliver.body_bytes, sizeof body);
        ck_assert_mem_eq(frame.as.deliver.body.at, body, sizeof body);
    }
}
END_TEST

START_TEST(test_a_consumer_that_reads_slowly_gets_all)
{
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX];
    do_consume(bob, 1, "orders", 1000);
    bob->is_stalled = true;
    for (int i = 0; i < 20; i++)
        hear_confirm(alice, say_send_bytes(alice, "orders", body, sizeof body));
    ck_assert_uint_le(actor_unsent(bob), scene->limits.unsent_bytes_max + sizeof body + 4096);
    bob->is_stalled = false;
    scene_settle(scene);
    for (int i = 0; i < 20; i++)
        ck_assert_uint_eq(hear_delivery(bob, NULL).body_bytes, sizeof body);
    hear_nothing(bob);
}
END_TEST

/* A little is written out, then an answer is added: the consumer must not be forgotten. */
START_TEST(test_a_full_output_that_drains_slowly_is_filled_again)
{
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX];
    do_consume(bob, 1, "orders", 1000);
    bob->is_stalled = true;
    for (int i = 0; i < 20; i++)
        hear_confirm(alice, say_send_bytes(alice, "orders", body, sizeof body));
    while (actor_unsent(bob) > scene->limits.unsent_bytes_max * 3 / 4)
        actor_drop(bob, 1024);
    say_query(bob, QUERY_EXCHANGES, "", 0, 0);
    while (actor_unsent(bob) > 0)
        actor_drop(bob, 1024);
    bob->is_stalled = false;
    scene_settle(scene);
    ck_assert_uint_eq(ask_queue(alice, "orders", "running"), 20);
}
END_TEST

START_TEST(test_settled_messages_never_come_back)
{
    for (int policy = 0; policy < DISK_SIM_POLICIES; policy++) {
        send_numbers(4);
        do_consume(bob, 1, "orders", 10);
        uint64_t first = hear_delivery(bob, "0").delivery;
        hear_delivery(bob, "1");
        uint64_t last = hear_delivery(bob, "2").delivery;
        uint64_t kept = hear_delivery(bob, "3").number;
        hear_confirm(bob, say_done(bob, first, last));
        scene_crash(scene, (enum disk_sim_policy)policy);
        ck_assert(actor_enter(bob) && actor_enter(alice));
        do_consume(bob, 1, "orders", 10);
        struct heard heard = hear_delivery(bob, "3");
        ck_assert_uint_eq(heard.number, kept);
        hear_nothing(bob);
        do_done(bob, heard.delivery);
        hear_confirm(bob, say_cancel(bob, 1));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("consume");
    TCase *tcase = tcase_create("consume");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_messages_come_in_order);
    tcase_add_test(tcase, test_what_is_released_returns_to_its_old_place);
    tcase_add_test(tcase, test_a_range_is_released_in_order);
    tcase_add_test(tcase, test_a_lost_worker_counts_for_its_oldest_delivery_only);
    tcase_add_test(tcase, test_a_worker_that_says_goodbye_counts_nothing);
    tcase_add_test(tcase, test_attempts_survive_a_crash);
    tcase_add_test(tcase, test_a_redelivery_waits_for_its_attempt_to_be_on_disk);
    tcase_add_test(tcase, test_redelivered_is_honest_across_a_crash);
    tcase_add_test(tcase, test_a_first_delivery_waits_for_the_mark);
    tcase_add_test(tcase, test_redelivered_is_exact_after_a_clean_stop);
    tcase_add_test(tcase, test_numbers_are_never_used_twice);
    tcase_add_test(tcase, test_consumers_share_fairly);
    tcase_add_test(tcase, test_prefetch_in_messages);
    tcase_add_test(tcase, test_prefetch_in_bytes);
    tcase_add_test(tcase, test_a_cancelled_consumer_may_still_settle);
    tcase_add_test(tcase, test_a_large_body_comes_whole_from_disk);
    tcase_add_test(tcase, test_a_consumer_that_reads_slowly_gets_all);
    tcase_add_test(tcase, test_a_full_output_that_drains_slowly_is_filled_again);
    tcase_add_test(tcase, test_settled_messages_never_come_back);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
