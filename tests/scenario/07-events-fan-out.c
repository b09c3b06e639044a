/* Events: one copy per queue, all or nothing, live subscribers that are told what they missed.
 * D4, Q9. */
#include <string.h>

#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

static struct scene *scene;
static struct actor *alice;
static struct actor *bob;

static void set_up(void)
{
    scene = scene_new(7);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    do_exchange(alice, "news");
}

static void tear_down(void)
{
    scene_free(scene);
}

START_TEST(test_nobody_listening_is_fine)
{
    do_publish(alice, "news", "a.b", "x");
    ck_assert_uint_eq(ask_stat(alice, "events_unrouted"), 1);
    hear_refuse(alice, say_publish(alice, "none", "a.b", "x"), STATUS_NO_EXCHANGE);
}
END_TEST

START_TEST(test_one_copy_though_several_patterns_match)
{
    do_queue(alice, "q");
    do_bind(alice, "q", "news", "#");
    do_bind(alice, "q", "news", "a.*");
    do_bind(alice, "q", "news", "a.b");
    do_publish(alice, "news", "a.b", "x");
    do_consume(bob, 1, "q", 10);
    ck_assert_str_eq(hear_delivery(bob, "x").key, "a.b");
    hear_nothing(bob);
}
END_TEST

START_TEST(test_all_queues_or_none)
{
    do_queue(alice, "first");
    hear_confirm(alice, say_queue_with(alice, "small", 0, 1, 0));
    do_bind(alice, "first", "news", "#");
    do_bind(alice, "small", "news", "a.#");
    do_publish(alice, "news", "a", "1");
    uint64_t tag = say_publish(alice, "news", "a", "2");
    struct frame frame;
    ck_assert(actor_next(alice, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_REFUSE);
    ck_assert_uint_eq(frame.header.tag, tag);
    ck_assert_uint_eq(frame.as.refuse.code, STATUS_OVERFLOW);
    ck_assert_ptr_nonnull(memmem(frame.as.refuse.text.at, frame.as.refuse.text.bytes, "small", 5));
    ck_assert_uint_eq(ask_queue(alice, "first", "messages"), 1);
    do_publish(alice, "news", "b", "3");
    ck_assert_uint_eq(ask_queue(alice, "first", "messages"), 2);
}
END_TEST

START_TEST(test_a_transient_or_dropping_queue_refuses_no_event)
{
    do_queue(alice, "first");
    hear_confirm(alice, say_queue_with(alice, "brief", FLAG_QUEUE_TRANSIENT, 1, 0));
    hear_confirm(alice, say_queue_with(alice, "newest", 0, 1, 1));
    do_bind(alice, "first", "news", "#");
    do_bind(alice, "brief", "news", "#");
    do_bind(alice, "newest", "news", "#");
    do_publish(alice, "news", "a", "1");
    do_publish(alice, "news", "a", "2");
    ck_assert_uint_eq(ask_queue(alice, "first", "messages"), 2);
    do_consume(bob, 1, "brief", 10);
    hear_delivery(bob, "1");
    do_consume(bob, 2, "newest", 10);
    hear_delivery(bob, "2");
    hear_nothing(bob);
}
END_TEST

START_TEST(test_a_command_queue_that_is_full_refuses)
{
    hear_confirm(alice, say_queue_with(alice, "small", 0, 2, 0));
    do_send(alice, "small", "1");
    do_send(alice, "small", "2");
    hear_refuse(alice, say_send(alice, "small", "3"), STATUS_OVERFLOW);
    hear_refuse(alice, say_send_with(alice, "small", "3", FLAG_TRANSIENT), STATUS_OVERFLOW);
    hear_confirm(alice, say_queue_set(alice, "small", PROPERTY_QUEUE_BYTES_MAX, 3));
    hear_confirm(alice, say_queue_set(alice, "small", PROPERTY_QUEUE_COUNT_MAX, 0));
    do_send(alice, "small", "3");
    hear_refuse(alice, say_send(alice, "small", "4"), STATUS_OVERFLOW);
}
END_TEST

START_TEST(test_a_live_subscriber_gets_what_comes_from_now_on)
{
    do_publish(alice, "news", "a.b", "before");
    hear_confirm(bob, say_subscribe(bob, 1, "news", "a.*"));
    do_publish(alice, "news", "a.b", "x");
    do_publish(alice, "news", "b.b", "y");
    hear_confirm(alice, say_publish_with(alice, "news", "a.c", "z", FLAG_TRANSIENT | FLAG_CONFIRM));
    ck_assert_uint_eq(hear_delivery(bob, "x").delivery, 0);
    hear_delivery(bob, "z");
    hear_nothing(bob);
    hear_confirm(bob, say_cancel(bob, 1));
    do_publish(alice, "news", "a.b", "x");
    hear_nothing(bob);
}
END_TEST

START_TEST(test_a_live_event_waits_for_its_sync)
{
    do_queue(alice, "q"); /* with nothing durable behind it, the event is not kept at all */
    do_bind(alice, "q", "news", "#");
    hear_confirm(bob, say_subscribe(bob, 1, "news", "#"));
    scene_hold_syncs(scene);
    say_publish(alice, "news", "a", "x");
    hear_nothing(bob);
    scene_release_syncs(scene);
    hear_delivery(bob, "x");
}
END_TEST

START_TEST(test_a_slow_live_subscriber_is_told_what_it_missed)
{
    static char body[8001];
    memset(body, 'x', sizeof body - 1);
    hear_confirm(bob, say_subscribe(bob, 1, "news", "#"));
    bob->is_stalled = true;
    for (int i = 0; i < 100; i++) {
        struct frame frame = {.header.type = FRAME_PUBLISH, .header.flags = FLAG_TRANSIENT};
        frame.as.publish.exchange = wire_bytes_of_text("news");
        frame.as.publish.key = wire_bytes_of_text("a");
        frame.as.publish.body = wire_bytes_of(body, 3000);
        frame.as.publish.body_bytes = 3000;
        actor_say(alice, &frame);
    }
    ck_assert_uint_le(actor_unsent(bob), scene->limits.unsent_bytes_max + 4096);
    bob->is_stalled = false;
    scene_settle(scene);
    uint64_t heard = 0;
    uint64_t missed = 0;
    struct frame frame;
    while (actor_next(bob, &frame)) {
        heard += frame.header.type == FRAME_DELIVER;
        missed += frame.header.type == FRAME_GAP ? frame.as.gap.missed : 0;
    }
    ck_assert_uint_gt(missed, 0);
    ck_assert_uint_eq(heard + missed, 100);
    ck_assert_uint_eq(ask_stat(alice, "events_missed"), missed);
}
END_TEST

/* Events without a body must not be held without end either. */
START_TEST(test_a_stalled_subscriber_holds_a_bounded_count)
{
    hear_confirm(bob, say_subscribe(bob, 1, "news", "#"));
    bob->is_stalled = true;
    for (int i = 0; i < 20000; i++)
        say_publish_with(alice, "news", "a", "", FLAG_TRANSIENT);
    ck_assert_uint_le(ask_stat(alice, "transient_bytes"), 4 * scene->limits.live_unsent_bytes_max);
}
END_TEST

/* Three subscribers, one of which has stopped reading: the other two get every event, at once. */
START_TEST(test_a_stalled_subscriber_slows_nobody)
{
    static char body[3001];
    memset(body, 'x', sizeof body - 1);
    struct actor *carol = enter_as(scene, "");
    struct actor *dave = enter_as(scene, "");
    struct actor *all[] = {bob, carol, dave};
    for (size_t i = 0; i < 3; i++)
        hear_confirm(all[i], say_subscribe(all[i], 1, "news", "#"));
    carol->is_stalled = true;
    for (int i = 0; i < 500; i++) {
        do_publish(alice, "news", "a", body);
        ck_assert_uint_eq(hear_delivery(bob, NULL).body_bytes, 3000);
        ck_assert_uint_eq(hear_delivery(dave, NULL).body_bytes, 3000);
    }
    ck_assert_uint_gt(ask_stat(alice, "events_missed"), 0);
    carol->is_stalled = false;
    scene_settle(scene);
    uint64_t heard = 0;
    uint64_t missed = 0;
    struct frame frame;
    while (actor_next(carol, &frame)) {
        heard += frame.header.type == FRAME_DELIVER;
        missed += frame.header.type == FRAME_GAP ? frame.as.gap.missed : 0;
    }
    ck_assert_uint_eq(heard + missed, 500);
}
END_TEST

/* Two hundred subscriptions and hundreds of events at once: the work is done in pieces, and who
 * asks in between is answered. */
START_TEST(test_a_wide_fan_out_keeps_nobody_waiting)
{
    enum { SUBSCRIPTIONS = 200, EVENTS = 500 };
    struct actor *carol = enter_as(scene, "");
    for (uint32_t i = 1; i <= SUBSCRIPTIONS; i++)
        hear_confirm(bob, say_subscribe(bob, i, "news", "#"));
    for (int i = 0; i < EVENTS; i++) {
        struct frame frame = {.header.type = FRAME_PUBLISH};
        frame.as.publish.exchange = wire_bytes_of_text("news");
        frame.as.publish.key = wire_bytes_of_text("a");
        actor_write(alice, &frame);
    }
    actor_flush(alice);
    int rounds = 0;
    while (alice->is_behind) {
        ck_assert_int_lt(++rounds, 100);
        struct frame frame = {.header.type = FRAME_QUERY};
        frame.as.query.subject = QUERY_STATS;
        actor_write(carol, &frame);
        actor_flush(carol);
        scene_round(scene);
        ck_assert(actor_next(carol, &frame));
        while (actor_next(carol, &frame))
            continue;
    }
    ck_assert_int_gt(rounds, 0);
    scene_settle(scene);
    uint64_t heard = 0;
    struct frame frame;
    while (actor_next(bob, &frame))
        heard += frame.header.type == FRAME_DELIVER;
    ck_assert_uint_eq(heard, SUBSCRIPTIONS * EVENTS);
}
END_TEST

START_TEST(test_a_live_subscription_ends_with_its_exchange)
{
    hear_confirm(bob, say_subscribe(bob, 1, "news", "#"));
    hear_confirm(alice, say_exchange_delete(alice, "news", 0));
    hear_gone(bob, 1, STATUS_NO_EXCHANGE);
    do_exchange(alice, "news");
    do_publish(alice, "news", "a", "x");
    hear_nothing(bob);
}
END_TEST

START_TEST(test_a_durable_subscription_outlives_its_subscriber)
{
    do_queue(bob, "mine");
    do_bind(bob, "mine", "news", "#");
    actor_cut(bob);
    do_publish(alice, "news", "a", "x");
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(bob) && actor_enter(alice));
    do_publish(alice, "news", "a", "y");
    do_consume(bob, 1, "mine", 10);
    hear_delivery(bob, "x");
    hear_delivery(bob, "y");
}
END_TEST

START_TEST(test_a_deleted_queue_is_unbound)
{
    do_queue(alice, "q");
    do_bind(alice, "q", "news", "#");
    hear_confirm(alice, say_queue_delete(alice, "q", 0));
    do_publish(alice, "news", "a", "x");
    ck_assert_uint_eq(ask_stat(alice, "bindings"), 0);
    do_queue(alice, "q");
    ck_assert_uint_eq(ask_queue(alice, "q", "messages"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("events");
    TCase *tcase = tcase_create("events");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_nobody_listening_is_fine);
    tcase_add_test(tcase, test_one_copy_though_several_patterns_match);
    tcase_add_test(tcase, test_all_queues_or_none);
    tcase_add_test(tcase, test_a_transient_or_dropping_queue_refuses_no_event);
    tcase_add_test(tcase, test_a_command_queue_that_is_full_refuses);
    tcase_add_test(tcase, test_a_live_subscriber_gets_what_comes_from_now_on);
    tcase_add_test(tcase, test_a_live_event_waits_for_its_sync);
    tcase_add_test(tcase, test_a_slow_live_subscriber_is_told_what_it_missed);
    tcase_add_test(tcase, test_a_stalled_subscriber_holds_a_bounded_count);
    tcase_add_test(tcase, test_a_stalled_subscriber_slows_nobody);
    tcase_add_test(tcase, test_a_wide_fan_out_keeps_nobody_waiting);
    tcase_add_test(tcase, test_a_live_subscription_ends_with_its_exchange);
    tcase_add_test(tcase, test_a_durable_subscription_outlives_its_subscriber);
    tcase_add_test(tcase, test_a_deleted_queue_is_unbound);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
