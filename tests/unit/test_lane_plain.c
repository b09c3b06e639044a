/* Messages in lanes that stand in the plain order: which do, and that they hold their lanes. */
#include "broker/core/lane_plain.h"

#include <stdio.h>

#include "broker/core/apply.h"
#include "broker/core/index_page.h"
#include "broker/core/queue.h"
#include "tests/support/check_main.h"
#include "tests/support/scene.h"

enum { LANES = 2000 };

static struct core *core;
static struct queue *queue;

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

static void set_up(void)
{
    struct core_limits limits = scene_limits();
    core = core_new(&limits, note, NULL);
    core->is_running = true;
    core->now_ms = 1000;
    queue = queue_new(core, QUEUE_TRANSIENT, 1, wire_bytes_of_text("work"));
}

static void tear_down(void)
{
    ck_assert_uint_eq(queue->lanes.count, 0);
    ck_assert_uint_eq(core->laned_count, 0);
    core_free(core);
}

static struct wire_bytes key_of(unsigned n)
{
    static char key[16];
    (void)snprintf(key, sizeof key, "lane %u", n);
    return wire_bytes_of_text(key);
}

/* False: it must stand aside. */
static bool enter(unsigned lane, uint64_t number)
{
    ck_assert_int_eq(index_reserve(&queue->index, number), STATUS_OK);
    ck_assert_int_eq(lane_plain_reserve(queue, key_of(lane)), STATUS_OK);
    if (queue->plains.entering == NULL)
        return false;
    index_append(&queue->index, number, 0, place_size(10, 1));
    lane_plain_enter(core, queue, number);
    return true;
}

static struct aside *stand_aside(unsigned lane, uint64_t number)
{
    struct message_terms terms = message_terms_plain();
    terms.needs_ward = true;
    terms.lane = key_of(lane);
    ck_assert_int_eq(asides_reserve(queue, &terms), STATUS_OK);
    struct aside *aside = asides_add(queue, number, PLACE_TRANSIENT, 10, &terms);
    aside_schedule(core, aside, 0);
    return aside;
}

static void leave(uint64_t number)
{
    struct index_at at = index_find(&queue->index, number);
    lane_plain_leave(core, queue, number, at);
    index_remove(&queue->index, at);
}

static uint32_t pin_count(uint64_t number)
{
    return index_page(&queue->index, index_find(&queue->index, number))->pin_count;
}

START_TEST(test_the_first_of_a_lane_is_plain_and_holds_it)
{
    ck_assert(enter(1, 5));
    ck_assert(!enter(1, 6));
    struct aside *aside = stand_aside(1, 6);
    ck_assert_int_eq(aside->state, ASIDE_BLOCKED);
    ck_assert(enter(2, 7));
    ck_assert_uint_eq(core->laned_count, 3);
    ck_assert_ptr_eq(lane_plain_find(&queue->plains, 5), aside_ward(aside)->lane);
    ck_assert_ptr_null(lane_plain_find(&queue->plains, 6));
    ck_assert_uint_eq(pin_count(5), 2);
    leave(5);
    ck_assert_int_eq(aside->state, ASIDE_READY);
    ck_assert_uint_eq(pin_count(7), 1);
    ck_assert(!enter(1, 8)); /* it is not empty */
    aside_remove(core, aside);
    ck_assert(enter(1, 8));
    leave(8);
    leave(7);
}
END_TEST

START_TEST(test_what_is_not_accepted_leaves_nothing)
{
    ck_assert_int_eq(lane_plain_reserve(queue, key_of(1)), STATUS_OK);
    ck_assert_uint_eq(queue->lanes.count, 1);
    lane_plain_unreserve(core, queue);
    lane_plain_unreserve(core, queue);
    ck_assert_uint_eq(queue->lanes.count, 0);
}
END_TEST

START_TEST(test_many_lanes)
{
    for (unsigned i = 0; i < LANES; i++)
        ck_assert(enter(i, 10 + 3 * i));
    for (unsigned i = 0; i < LANES; i++) {
        const struct lane *lane = lane_plain_find(&queue->plains, 10 + 3 * i);
        ck_assert_ptr_nonnull(lane);
        ck_assert(wire_bytes_equal(lane_key(lane), key_of(i)));
        ck_assert_ptr_null(lane_plain_find(&queue->plains, 11 + 3 * i));
    }
    for (unsigned i = 0; i < LANES; i++)
        leave(10 + 3 * ((i * 7) % LANES));
}
END_TEST

/* What a journal that was tampered with may say must not keep a start busy for ever. */
START_TEST(test_a_settlement_of_too_many_is_refused)
{
    static const struct operation_settle_each bad[] = {
        {1, 10, 9}, {1, 10, 10 + SETTLE_EACH_MAX}, {1, 0, UINT64_MAX}};
    struct operation operation = {.type = OPERATION_SETTLE_EACH};
    operation.as.settle_each = bad[_i];
    ck_assert_int_eq(apply_operation(core, &operation, 0, 0), STATUS_CORRUPT);
    operation.as.settle_each = (struct operation_settle_each){1, 10, 9 + SETTLE_EACH_MAX};
    ck_assert_int_eq(apply_operation(core, &operation, 0, 0), STATUS_OK);
    operation.as.settle_each.queue = 99; /* gone */
    ck_assert_int_eq(apply_operation(core, &operation, 0, 0), STATUS_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lane_plain");
    TCase *tcase = tcase_create("lane_plain");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_the_first_of_a_lane_is_plain_and_holds_it);
    tcase_add_test(tcase, test_what_is_not_accepted_leaves_nothing);
    tcase_add_test(tcase, test_many_lanes);
    tcase_add_loop_test(tcase, test_a_settlement_of_too_many_is_refused, 0, 3);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
