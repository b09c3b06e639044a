/* The ring of a peer's unsettled deliveries: names in order, holes, growth. */
#include <check.h>
#include <stdlib.h>

#include "broker/core/delivery.h"
#include "tests/support/check_main.h"

static struct {
    struct core core;
    struct peer peer;
    struct consumer consumer;
} f;

static void set_up(void)
{
    memset(&f, 0, sizeof f);
    f.core.next_delivery = 100;
    f.peer.core = &f.core;
    f.consumer.peer = &f.peer;
}

static void tear_down(void)
{
    delivery_deinit(&f.peer);
}

static uint64_t add(uint64_t number)
{
    ck_assert_int_eq(delivery_reserve(&f.peer), STATUS_OK);
    return delivery_add(&f.consumer, number, 10);
}

static void take_out(uint64_t name)
{
    struct delivery *delivery = delivery_find_from(&f.peer, name);
    ck_assert_ptr_nonnull(delivery);
    ck_assert_uint_eq(delivery->name, name);
    delivery_remove(&f.peer, delivery);
}

START_TEST(names_grow_and_are_found)
{
    ck_assert_ptr_null(delivery_find_from(&f.peer, 0));
    for (uint64_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(add(i + 1), 100 + i);
    ck_assert_uint_eq(f.consumer.unsettled_count, 1000);
    ck_assert_uint_eq(f.consumer.unsettled_bytes, 10000);
    for (uint64_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(delivery_find_from(&f.peer, 100 + i)->number, i + 1);
    ck_assert_uint_eq(delivery_find_from(&f.peer, 0)->name, 100);
    ck_assert_ptr_null(delivery_find_from(&f.peer, 1100));
}
END_TEST

START_TEST(settled_ones_are_passed_over)
{
    for (uint64_t i = 0; i < 6; i++)
        add(i);
    take_out(102);
    take_out(103);
    struct delivery *delivery = delivery_find_from(&f.peer, 101);
    ck_assert_uint_eq(delivery->name, 101);
    delivery = delivery_next(&f.peer, delivery);
    ck_assert_uint_eq(delivery->name, 104);
    ck_assert_uint_eq(delivery_find_from(&f.peer, 102)->name, 104);
    take_out(105);
    ck_assert_ptr_null(delivery_next(&f.peer, delivery));
    ck_assert_uint_eq(f.peer.deliveries.live_count, 3);
}
END_TEST

START_TEST(the_front_empties_the_ring)
{
    for (uint64_t i = 0; i < 5; i++)
        add(i);
    take_out(101);
    take_out(102);
    ck_assert_uint_eq(f.peer.deliveries.count, 5);
    take_out(100);
    ck_assert_uint_eq(f.peer.deliveries.count, 2);
    take_out(103);
    take_out(104);
    ck_assert_uint_eq(f.peer.deliveries.count, 0);
}
END_TEST

/* One that is never settled must not make the ring grow with all that comes and goes behind it. */
START_TEST(a_stuck_front_does_not_grow_the_ring)
{
    add(0);
    for (uint64_t i = 1; i < 10000; i++)
        take_out(add(i));
    ck_assert_uint_le(f.peer.deliveries.room, 16);
    ck_assert_uint_eq(delivery_find_from(&f.peer, 0)->name, 100);
}
END_TEST

/* Against a plain list of what is unsettled. */
START_TEST(random_order_agrees_with_a_list)
{
    bool is_out[2000] = {false};
    unsigned seed = 7;
    for (int round = 0; round < 2000; round++) {
        is_out[add((uint64_t)round) - 100] = true;
        for (int k = 0; k < 2; k++) {
            seed = seed * 1103515245U + 12345U;
            uint64_t name = 100 + (seed >> 8) % (unsigned)(round + 1);
            if (is_out[name - 100] && round % 3 != 0) {
                take_out(name);
                is_out[name - 100] = false;
            }
        }
    }
    const struct delivery *delivery = delivery_find_from(&f.peer, 0);
    for (uint64_t i = 0; i < 2000; i++) {
        if (!is_out[i])
            continue;
        ck_assert_ptr_nonnull(delivery);
        ck_assert_uint_eq(delivery->name, 100 + i);
        delivery = delivery_next(&f.peer, delivery);
    }
    ck_assert_ptr_null(delivery);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("delivery");
    TCase *tests = tcase_create("ring");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, names_grow_and_are_found);
    tcase_add_test(tests, settled_ones_are_passed_over);
    tcase_add_test(tests, the_front_empties_the_ring);
    tcase_add_test(tests, a_stuck_front_does_not_grow_the_ring);
    tcase_add_test(tests, random_order_agrees_with_a_list);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
