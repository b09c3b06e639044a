/* What a cursor is done with: ranges against a bitmap, stated and read again; and a worker who
 * settles at random. */
#include "broker/core/cursor.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/queue.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

enum { SEQUENCES = 2000, STEPS = 200000 };

static struct cursor *make_cursor(const char *pattern)
{
    hear_confirm(
        bob, say_follow_with(bob, &(struct frame_follow){.consumer = 1,
                                                         .pattern = wire_bytes_of_text(pattern),
                                                         .cursor = wire_bytes_of_text("projection"),
                                                         .from = FOLLOW_FIRST,
                                                         .prefetch_messages = 60}));
    return queue_find(scene->core, wire_bytes_of_text("projection"))->cursor;
}

/* --- ranges -------------------------------------------------------------------------------------
 */

/* In order, not touching, and exactly what the bitmap says. */
static void expect_ranges(const struct cursor *cursor, const bool *is_done)
{
    uint64_t at = 1;
    for (uint32_t i = 0; i < cursor->done_count; i++) {
        const struct cursor_range *range = &cursor->done[i];
        if (range->first < at + (i > 0) || range->last < range->first)
            ck_abort_msg("ranges touch, or are out of order");
        for (; at < range->first; at++)
            if (is_done[at])
                ck_abort_msg("%u is missing", (unsigned)at);
        for (; at <= range->last; at++)
            if (!is_done[at])
                ck_abort_msg("%u is not done", (unsigned)at);
    }
    for (; at <= SEQUENCES; at++)
        if (is_done[at])
            ck_abort_msg("%u is missing at the end", (unsigned)at);
}

static void do_range(struct cursor *cursor, bool *is_done, uint64_t first, uint64_t last)
{
    if (cursor_reserve(cursor) != STATUS_OK)
        ck_abort_msg("no memory");
    cursor_apply_done(cursor, first, last);
    for (uint64_t i = first; i <= last; i++)
        is_done[i] = true;
}

static uint64_t low_of(const bool *is_done)
{
    uint64_t low = 0;
    while (low < SEQUENCES && is_done[low + 1])
        low++;
    return low;
}

START_TEST(test_random_ranges_against_a_bitmap)
{
    static bool is_done[SEQUENCES + 2];
    struct chance chance = {17};
    struct cursor *cursor = make_cursor("#");
    for (unsigned i = 0; i < STEPS; i++) {
        if (chance_below(&chance, 400) == 0) {
            memset(is_done, 0, sizeof is_done);
            cursor->done_count = 0;
        }
        uint64_t first = 1 + chance_below(&chance, SEQUENCES);
        uint64_t most = chance_below(&chance, 8) == 0 ? 200 : 4;
        uint64_t last = first + chance_below(&chance, most);
        do_range(cursor, is_done, first, last < SEQUENCES ? last : SEQUENCES);
        if (i % 16 == 0)
            expect_ranges(cursor, is_done);
        if (cursor_low(cursor) != low_of(is_done))
            ck_abort_msg("it stands elsewhere");
    }
}
END_TEST

START_TEST(test_ranges_that_touch)
{
    static const struct cursor_range added[] = {{5, 5},   {7, 7},   {6, 6},   {1, 3},
                                                {4, 4},   {9, 20},  {10, 12}, {8, 8},
                                                {30, 40}, {25, 50}, {21, 24}};
    static const uint32_t counts[] = {1, 2, 1, 2, 1, 2, 2, 1, 2, 2, 1};
    static bool is_done[SEQUENCES + 2];
    struct cursor *cursor = make_cursor("#");
    memset(is_done, 0, sizeof is_done);
    for (size_t i = 0; i < sizeof added / sizeof added[0]; i++) {
        do_range(cursor, is_done, added[i].first, added[i].last);
        expect_ranges(cursor, is_done);
        ck_assert_uint_eq(cursor->done_count, counts[i]);
    }
    ck_assert_uint_eq(cursor_low(cursor), 50);
}
END_TEST

/* Whatever is stated comes back when it is read again. */
START_TEST(test_what_is_stated)
{
    static bool is_done[SEQUENCES + 2];
    struct chance chance = {23};
    struct cursor *cursor = make_cursor("even.*");
    for (int round = 0; round < 300; round++) {
        memset(is_done, 0, sizeof is_done);
        cursor->done_count = 0;
        for (uint64_t i = chance_below(&chance, 300); i > 0; i--) {
            uint64_t first = 1 + chance_below(&chance, SEQUENCES - 10);
            do_range(cursor, is_done, first, first + chance_below(&chance, 10));
        }
        unsigned char *done;
        struct operation_cursor operation = cursor_operation(cursor, &done);
        ck_assert_ptr_nonnull(done);
        ck_assert_uint_eq(operation.queue, cursor->queue->number);
        ck_assert_uint_eq(operation.exchange, history_of("book")->number);
        ck_assert(wire_bytes_equal(operation.pattern, wire_bytes_of_text("even.*")));
        ck_assert_uint_eq(operation.done.bytes, 16 * cursor->done_count);
        uint32_t count = cursor->done_count;
        cursor->done_count = 0;
        ck_assert_int_eq(cursor_apply(scene->core, cursor->queue, &operation, cursor->position),
                         STATUS_OK);
        free(done);
        ck_assert_uint_eq(cursor->done_count, count);
        expect_ranges(cursor, is_done);
    }
}
END_TEST

START_TEST(test_a_list_that_is_wrong)
{
    unsigned char bytes[32];
    struct cursor *cursor = make_cursor("#");
    wire_store_u64(bytes, 9);
    wire_store_u64(bytes + 8, 8);
    struct operation_cursor operation = {.queue = cursor->queue->number,
                                         .done = wire_bytes_of(bytes, 16)};
    ck_assert_int_eq(cursor_apply(scene->core, cursor->queue, &operation, 1), STATUS_CORRUPT);
}
END_TEST

/* --- at work ------------------------------------------------------------------------------------
 */

struct held {
    uint64_t delivery;
    uint64_t sequence;
};

static struct held held[64];
static unsigned held_count;
static bool is_settled[SEQUENCES + 1];
static bool is_out[SEQUENCES + 1];

static void take_deliveries(void)
{
    struct frame frame;
    while (actor_next(bob, &frame)) {
        if (frame.header.type != FRAME_DELIVER)
            continue;
        uint64_t sequence = frame.as.deliver.number;
        if (sequence > SEQUENCES || sequence % 2 != 0 || is_settled[sequence] || is_out[sequence])
            ck_abort_msg("%u was not to come", (unsigned)sequence);
        is_out[sequence] = true;
        ck_assert_uint_lt(held_count, 64);
        held[held_count++] = (struct held){frame.as.deliver.delivery, sequence};
    }
}

static void settle_one(struct chance *chance, enum frame_type type)
{
    unsigned at = (unsigned)chance_below(chance, held_count);
    struct held one = held[at];
    held[at] = held[--held_count];
    is_out[one.sequence] = false;
    is_settled[one.sequence] = type == FRAME_DONE;
    if (type == FRAME_DONE)
        (void)say_done(bob, one.delivery, one.delivery);
    else
        (void)say_release(bob, one.delivery, one.delivery);
}

/* There is an event in the queue between any two ranges, nothing is done that was not settled, and
 * it stands behind the last of those that are. */
static void expect_sense(const struct cursor *cursor)
{
    const struct queue *queue = cursor->queue;
    if (cursor->done_count > queue->index.live_count + 1)
        ck_abort_msg("%u ranges for %u events", cursor->done_count,
                     (unsigned)queue->index.live_count);
    for (uint32_t i = 0; i < cursor->done_count; i++)
        for (uint64_t k = cursor->done[i].first; k <= cursor->done[i].last; k++)
            if (k % 2 == 0 && !is_settled[k])
                ck_abort_msg("%u is not settled", (unsigned)k);
    uint64_t low = cursor_low(cursor);
    if (low + 2 <= SEQUENCES && is_settled[low + 2 - low % 2])
        ck_abort_msg("it could stand further on");
}

/* Every other event matches. */
START_TEST(test_a_worker_who_settles_at_random)
{
    struct chance chance = {31};
    memset(is_settled, 0, sizeof is_settled);
    memset(is_out, 0, sizeof is_out);
    held_count = 0;
    struct cursor *cursor = make_cursor("even.*");
    unsigned next = 1;
    for (;;) {
        take_deliveries();
        uint64_t what = chance_below(&chance, 10);
        if (what == 0 && next <= SEQUENCES) {
            unsigned last = next + (unsigned)chance_below(&chance, 100);
            publish_events(next, last < SEQUENCES ? last : SEQUENCES);
            next = (last < SEQUENCES ? last : SEQUENCES) + 1;
        } else if (what == 1) {
            scene_advance_ms(scene, chance_below(&chance, 3000));
        } else if (held_count > 0) {
            settle_one(&chance, what == 2 ? FRAME_RELEASE : FRAME_DONE);
        } else if (next > SEQUENCES && cursor->queue->index.live_count == 0) {
            break;
        }
        expect_sense(cursor);
    }
    for (unsigned i = 2; i <= SEQUENCES; i += 2)
        ck_assert(is_settled[i]);
    ck_assert_uint_eq(cursor_low(cursor), SEQUENCES);
    ck_assert_uint_eq(cursor->done_count, 1);
    ck_assert_uint_eq(cursor_lag(cursor), 0);
}
END_TEST

/* It waits when so much is in the queue that what is done around it might not fit a record. */
START_TEST(test_a_cursor_that_is_full)
{
    publish_events(1, 3000);
    struct frame_follow follow = {.consumer = 1,
                                  .cursor = wire_bytes_of_text("greedy"),
                                  .from = FOLLOW_FIRST,
                                  .prefetch_messages = 100000};
    (void)say_follow_with(bob, &follow);
    struct queue *queue = queue_find(scene->core, wire_bytes_of_text("greedy"));
    uint64_t count = journal_record_bytes_max(scene->journal) / 32;
    ck_assert_uint_eq(queue->index.live_count, count);
    hear_out(bob);
    (void)say_done(bob, 7, 7);
    ck_assert_uint_eq(queue->index.live_count, count);
    ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, count + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cursor");
    TCase *tcase = tcase_create("cursor");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, histories_set_up, histories_tear_down);
    tcase_add_test(tcase, test_random_ranges_against_a_bitmap);
    tcase_add_test(tcase, test_ranges_that_touch);
    tcase_add_test(tcase, test_what_is_stated);
    tcase_add_test(tcase, test_a_list_that_is_wrong);
    tcase_add_test(tcase, test_a_worker_who_settles_at_random);
    tcase_add_test(tcase, test_a_cursor_that_is_full);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
