/* A queue's time to live: when it is over, and how many leave at a time. */
#include "broker/core/expiry.h"

#include "broker/core/queue.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

START_TEST(test_when_a_message_is_too_old)
{
    static const struct {
        uint64_t ttl_ms;
        uint64_t accepted_ms;
        uint64_t now_ms;
        bool is_over;
    } rows[] = {
        {0, 0, UINT64_MAX, false}, /* there is none */
        {1, 100, 100, false},
        {1, 100, 101, true},
        {1000, 100, 1099, false},
        {1000, 100, 1100, true},
        {1000, 2000, 100, false}, /* accepted later than now */
        {UINT64_MAX, 100, UINT64_MAX / 2, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct queue queue = {.ttl_ms = rows[i].ttl_ms};
        ck_assert(expiry_is_over(&queue, rows[i].accepted_ms, rows[i].now_ms) == rows[i].is_over);
        if (rows[i].is_over)
            ck_assert_uint_le(expiry_due(&queue, rows[i].accepted_ms), rows[i].now_ms);
        ck_assert_uint_ge(expiry_due(&queue, rows[i].accepted_ms), rows[i].accepted_ms);
    }
}
END_TEST

/* They leave in slices, with time for others between. */
START_TEST(test_many_leave_one_slice_after_the_other)
{
    enum { COUNT = 2500, SLICE = 1000 };
    struct scene *scene = scene_new(1);
    struct actor *alice = enter_as(scene, "");
    do_queue(alice, "work");
    hear_confirm(alice, say_queue_set(alice, "work", PROPERTY_QUEUE_TTL, 1000));
    for (unsigned i = 0; i < COUNT; i++)
        do_send(alice, "work", "a");
    scene_advance_ms(scene, 1100);
    for (uint64_t left = COUNT; left > 0; left = left > SLICE ? left - SLICE : 0) {
        ck_assert_uint_eq(ask_queue(alice, "work", "messages"), left > SLICE ? left - SLICE : 0);
        scene_advance_ms(scene, 2 * WHEEL_TICK_MS);
    }
    ck_assert_uint_eq(ask_stat(alice, "messages_expired"), COUNT);
    scene_free(scene);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("expiry");
    TCase *tcase = tcase_create("expiry");
    tcase_add_test(tcase, test_when_a_message_is_too_old);
    tcase_add_test(tcase, test_many_leave_one_slice_after_the_other);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
