/* Exchanges behind exchanges: no circles, no way longer than there may be, each queue once. Q9. */
#include "broker/core/relay.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/check_main.h"
#include "tests/support/lines_route.h"

static struct scene *scene;
static struct actor *alice;

static void set_up(void)
{
    scene = scene_new(19);
    alice = enter_as(scene, "");
    for (char name[] = "a"; name[0] <= 'd'; name[0]++)
        do_exchange(alice, name);
    do_queue(alice, "q");
}

static void tear_down(void)
{
    scene_free(scene);
}

START_TEST(test_circles_of_every_length)
{
    hear_refuse(alice, say_relay(alice, "a", "a", "#"), STATUS_CYCLE);
    do_relay(alice, "b", "a", "x.#");
    hear_refuse(alice, say_relay(alice, "a", "b", "y.#"), STATUS_CYCLE);
    do_relay(alice, "c", "b", "#");
    hear_refuse(alice, say_relay(alice, "a", "c", "#"), STATUS_CYCLE);
    do_relay(alice, "d", "c", "#");
    hear_refuse(alice, say_relay(alice, "a", "d", "#"), STATUS_CYCLE);
    hear_refuse(alice, say_relay(alice, "b", "d", "#"), STATUS_CYCLE);
    do_relay(alice, "d", "a", "#"); /* another way to the same end is none */
    hear_confirm(alice, say_unrelay(alice, "c", "b", "#"));
    do_relay(alice, "a", "c", "#");
    hear_refuse(alice, say_relay(alice, "c", "b", "#"), STATUS_CYCLE);
}
END_TEST

START_TEST(test_a_way_has_an_end)
{
    char from[16];
    char to[16];
    for (int i = 0; i <= RELAY_HOPS_MAX + 1; i++) {
        (void)snprintf(to, sizeof to, "e%d", i);
        do_exchange(alice, to);
    }
    for (int i = 0; i < RELAY_HOPS_MAX; i++) {
        (void)snprintf(from, sizeof from, "e%d", i);
        (void)snprintf(to, sizeof to, "e%d", i + 1);
        do_relay(alice, to, from, "#");
    }
    (void)snprintf(from, sizeof from, "e%d", RELAY_HOPS_MAX);
    (void)snprintf(to, sizeof to, "e%d", RELAY_HOPS_MAX + 1);
    hear_refuse(alice, say_relay(alice, to, from, "#"), STATUS_LIMIT);
    hear_refuse(alice, say_relay(alice, "e0", to, "#"), STATUS_LIMIT);
    hear_refuse(alice, say_relay(alice, "e0", from, "#"), STATUS_CYCLE);
    do_relay(alice, to, "e7", "#"); /* as long as the longest there is */
    do_bind(alice, "q", from, "#");
    do_publish(alice, "e0", "k", "x");
    ck_assert_uint_eq(ask_queue(alice, "q", "messages"), 1);
    /* Two halves that are fine by themselves. */
    hear_confirm(alice, say_unrelay(alice, "e4", "e3", "#"));
    do_relay(alice, "a", "e3", "#");
    do_relay(alice, "b", "a", "#");
    hear_refuse(alice, say_relay(alice, "e4", "b", "#"), STATUS_LIMIT);
    do_relay(alice, "e4", "e2", "#");
}
END_TEST

START_TEST(test_each_queue_once)
{
    do_relay(alice, "b", "a", "#");
    do_relay(alice, "c", "a", "x.*");
    do_relay(alice, "d", "b", "#");
    do_relay(alice, "d", "c", "#");
    for (char name[] = "a"; name[0] <= 'd'; name[0]++) {
        do_bind(alice, "q", name, "#");
        do_bind(alice, "q", name, "x.#");
    }
    do_publish(alice, "a", "x.y", "1");
    ck_assert_uint_eq(ask_queue(alice, "q", "messages"), 1);
    for (char name[] = "a"; name[0] <= 'd'; name[0]++) {
        struct frame frame;
        say_query(alice, QUERY_EXCHANGE, name, 0, 0);
        ck_assert(actor_next(alice, &frame));
        const struct wire_bytes fields = frame.as.row.fields;
        ck_assert_ptr_nonnull(memmem(fields.at, fields.bytes, "published\x01\x01\0", 12));
    }
}
END_TEST

START_TEST(test_only_what_matches_goes_on)
{
    do_relay(alice, "b", "a", "x.*");
    do_tie(alice, (struct tie){"c", "b", "*.y", "tenant=acme", FLAG_TO_EXCHANGE});
    do_bind(alice, "q", "c", "#");
    const char *const keys[] = {"x.y", "z.y", "x.z", "x.y.z"};
    for (size_t i = 0; i < 4; i++) {
        hear_confirm(alice, say_publish_headers(alice, "a", keys[i], "tenant=acme"));
        hear_confirm(alice, say_publish_headers(alice, "a", keys[i], "tenant=ajax"));
    }
    ck_assert_uint_eq(ask_queue(alice, "q", "messages"), 1);
}
END_TEST

/* One that is full, however far away, refuses for all. */
START_TEST(test_all_queues_or_none)
{
    hear_confirm(alice, say_queue_with(alice, "small", 0, 1, 0));
    do_relay(alice, "b", "a", "#");
    do_bind(alice, "q", "a", "#");
    do_bind(alice, "small", "b", "#");
    do_publish(alice, "a", "k", "1");
    hear_refuse(alice, say_publish(alice, "a", "k", "2"), STATUS_OVERFLOW);
    ck_assert_uint_eq(ask_queue(alice, "q", "messages"), 1);
}
END_TEST

START_TEST(test_a_live_subscriber_behind)
{
    struct actor *bob = enter_as(scene, "");
    do_relay(alice, "b", "a", "#");
    hear_confirm(bob, say_subscribe(bob, 1, "b", "x.#"));
    do_publish(alice, "a", "x.y", "1");
    do_publish(alice, "a", "y", "2");
    ck_assert_str_eq(hear_delivery(bob, "1").key, "x.y");
    hear_nothing(bob);
}
END_TEST

/* The bindings of both sides end with an exchange. */
START_TEST(test_deleting_an_exchange)
{
    do_relay(alice, "b", "a", "#");
    do_relay(alice, "c", "b", "#");
    do_bind(alice, "q", "c", "#");
    hear_refuse(alice, say_exchange_delete(alice, "c", FLAG_IF_UNUSED), STATUS_IN_USE);
    hear_confirm(alice, say_exchange_delete(alice, "b", 0));
    ck_assert_uint_eq(ask_stat(alice, "bindings"), 1);
    do_publish(alice, "a", "k", "1");
    ck_assert_uint_eq(ask_queue(alice, "q", "messages"), 0);
    do_relay(alice, "a", "c", "#"); /* nothing of b is left */
    do_exchange(alice, "b");
    do_publish(alice, "b", "k", "1");
    ck_assert_uint_eq(ask_queue(alice, "q", "messages"), 0);
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_stat(alice, "bindings"), 2);
}
END_TEST

START_TEST(test_ends_that_are_not_there)
{
    hear_refuse(alice, say_relay(alice, "none", "a", "#"), STATUS_NO_EXCHANGE);
    hear_refuse(alice, say_relay(alice, "a", "none", "#"), STATUS_NO_EXCHANGE);
    hear_refuse(alice, say_relay(alice, "q", "a", "#"), STATUS_NO_EXCHANGE);
    hear_refuse(alice, say_bind(alice, "b", "a", "#"), STATUS_NO_QUEUE);
    hear_refuse(alice, say_unrelay(alice, "b", "a", "#"), STATUS_NO_BINDING);
    do_relay(alice, "b", "a", "#");
    do_relay(alice, "b", "a", "#"); /* the same again is fine */
    ck_assert_uint_eq(ask_stat(alice, "bindings"), 1);
    hear_refuse(alice, say_unrelay(alice, "b", "a", "x"), STATUS_NO_BINDING);
    hear_confirm(alice, say_unrelay(alice, "b", "a", "#"));
    hear_refuse(alice, say_unrelay(alice, "b", "a", "#"), STATUS_NO_BINDING);
    hear_refuse(alice, say_relay(alice, "$sys", "a", "#"), STATUS_DENIED);
    hear_refuse(alice, say_relay(alice, "b", "a", "x..y"), STATUS_BAD_PATTERN);
    do_relay(alice, "a", "$sys", "#");
}
END_TEST

START_TEST(test_durable_when_both_ends_are)
{
    hear_confirm(alice, say_exchange(alice, "brief", FLAG_TRANSIENT));
    do_bind(alice, "q", "b", "#");
    do_relay(alice, "b", "a", "#");
    do_relay(alice, "brief", "a", "#");
    do_relay(alice, "b", "brief", "#");
    ck_assert_uint_eq(ask_stat(alice, "bindings"), 4);
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_stat(alice, "bindings"), 2);
    do_publish(alice, "a", "k", "1");
    ck_assert_uint_eq(ask_queue(alice, "q", "messages"), 1);
    hear_refuse(alice, say_relay(alice, "a", "b", "#"), STATUS_CYCLE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("relay");
    TCase *tcase = tcase_create("relay");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_circles_of_every_length);
    tcase_add_test(tcase, test_a_way_has_an_end);
    tcase_add_test(tcase, test_each_queue_once);
    tcase_add_test(tcase, test_only_what_matches_goes_on);
    tcase_add_test(tcase, test_all_queues_or_none);
    tcase_add_test(tcase, test_a_live_subscriber_behind);
    tcase_add_test(tcase, test_deleting_an_exchange);
    tcase_add_test(tcase, test_ends_that_are_not_there);
    tcase_add_test(tcase, test_durable_when_both_ends_are);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
