/* Leases of many deliveries on one timer: each ends in its own time, and not before. */
#include "broker/core/lease.h"

#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

enum { LEASE_MS = 10000, TICK_MS = 50, DELIVERIES = 5 };

static struct scene *scene;
static struct actor *alice;
static struct actor *bob;
static uint64_t deliveries[DELIVERIES];

/* Bob has them, one taken a second after the other. */
static void set_up(void)
{
    scene = scene_new(1);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    do_queue(alice, "work");
    hear_confirm(alice, say_queue_set(alice, "work", PROPERTY_QUEUE_LEASE, LEASE_MS));
    hear_confirm(alice, say_queue_set(alice, "work", PROPERTY_QUEUE_ATTEMPTS, 1));
    do_consume(bob, 1, "work", DELIVERIES);
    for (unsigned i = 0; i < DELIVERIES; i++) {
        scene_advance_ms(scene, i > 0 ? 1000 : 0);
        do_send(alice, "work", "a");
        deliveries[i] = hear_delivery(bob, "a").delivery;
    }
}

static void tear_down(void)
{
    scene_free(scene);
}

static void pass(uint64_t ms)
{
    scene_advance_ms(scene, ms);
    scene_settle(scene);
}

static void hear_taken_back(unsigned i)
{
    struct frame frame;
    ck_assert(actor_next(bob, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_UNWANTED);
    ck_assert_uint_eq(frame.as.unwanted.delivery, deliveries[i]);
    ck_assert_uint_eq(frame.as.unwanted.code, STATUS_LEASE_EXPIRED);
}

static void renew(unsigned first, unsigned last)
{
    struct frame frame = {.header.type = FRAME_RENEW};
    frame.as.renew = (struct frame_renew){deliveries[first], deliveries[last]};
    (void)actor_say(bob, &frame);
}

START_TEST(test_each_ends_in_its_own_time)
{
    pass(LEASE_MS - 1000 * (DELIVERIES - 1));
    for (unsigned i = 0; i < DELIVERIES; i++) {
        hear_nothing(bob);
        pass(2 * TICK_MS);
        hear_taken_back(i);
        pass(1000 - 2 * TICK_MS);
    }
    ck_assert_uint_eq(ask_stat(alice, "leases_expired"), DELIVERIES);
}
END_TEST

START_TEST(test_a_range_is_renewed)
{
    renew(1, 3);
    pass(LEASE_MS - TICK_MS); /* from the renewal on */
    hear_taken_back(0);
    hear_nothing(bob);
    pass(3 * TICK_MS);
    for (unsigned i = 1; i < DELIVERIES; i++)
        hear_taken_back(i); /* the last one was taken when those were renewed */
    hear_nothing(bob);
}
END_TEST

START_TEST(test_without_a_lease_nothing_is_taken_back)
{
    hear_confirm(alice, say_queue_set(alice, "work", PROPERTY_QUEUE_LEASE, 0));
    renew(0, DELIVERIES - 1);
    pass(1000 * LEASE_MS);
    hear_nothing(bob);
}
END_TEST

START_TEST(test_a_range_without_deliveries_renews_nothing)
{
    struct frame frame = {.header.type = FRAME_RENEW};
    frame.as.renew = (struct frame_renew){1000, UINT64_MAX};
    (void)actor_say(bob, &frame);
    pass(LEASE_MS);
    hear_taken_back(0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lease");
    TCase *tcase = tcase_create("lease");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_each_ends_in_its_own_time);
    tcase_add_test(tcase, test_a_range_is_renewed);
    tcase_add_test(tcase, test_without_a_lease_nothing_is_taken_back);
    tcase_add_test(tcase, test_a_range_without_deliveries_renews_nothing);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
