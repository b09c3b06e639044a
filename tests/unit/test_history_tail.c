/* A history: the tail of events that are in the journal alone, what is stated of it, and where its
 * files are found. */
#include "broker/core/history.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/exchange.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

enum { MESSAGE_BYTES = 100, EVENTS = 3000 };

static struct history *history;
static struct core *core;

/* Homes are not counted: positions are made up here. */
static void set_up(void)
{
    histories_set_up();
    core = scene->core;
    history = history_of("book");
    core->journal = NULL;
}

static void add(uint64_t sequence)
{
    struct history_event event = {sequence, place_word_durable(1000 + sequence, 0), 10};
    ck_assert_int_eq(history_reserve(history, 1), STATUS_OK);
    history_add(core, history, &event, MESSAGE_BYTES);
}

static void move_to(uint64_t moved)
{
    struct operation_history operation = history_operation(history);
    operation.moved = moved;
    history_apply(core, history, &operation, 0);
}

static void tear_down(void)
{
    move_to(history->last);
    core->journal = scene->journal;
    histories_tear_down();
}

static void expect_tail(uint64_t first, uint64_t last)
{
    ck_assert_uint_eq(history->tail_count, last + 1 - first);
    ck_assert_uint_eq(history->tail_bytes, (last + 1 - first) * (10 + PLACE_MESSAGE_BYTES));
    ck_assert_uint_eq(core->tail_bytes, history->tail_bytes);
    if (first > 1)
        ck_assert_ptr_null(history_find(history, first - 1));
    ck_assert_ptr_null(history_find(history, last + 1));
    for (uint64_t i = first; i <= last; i++)
        ck_assert(history_holds(history, i, 1000 + i));
    ck_assert(!history_holds(history, first, 999 + first));
}

/* --- the tail -----------------------------------------------------------------------------------
 */

START_TEST(test_events_come_and_are_moved)
{
    uint64_t next = 1;
    uint64_t moved = 0;
    struct chance chance = {2};
    while (next <= EVENTS) {
        for (uint64_t i = chance_below(&chance, 200); i > 0; i--)
            add(next++);
        if (next > 1 && chance_below(&chance, 3) > 0)
            moved += chance_below(&chance, next - moved);
        move_to(moved);
        ck_assert_uint_eq(history->last, next - 1);
        if (moved < next - 1)
            expect_tail(moved + 1, next - 1);
        ck_assert_int_eq(history->phase == HISTORY_IDLE, moved == next - 1);
    }
    move_to(next + 7); /* as a start may find it: what was moved is known, the events are not */
    ck_assert_uint_eq(history->last, next + 7);
    ck_assert_uint_eq(history->tail_count, 0);
}
END_TEST

/* While recovering they come in any order: what lives was stated again behind what came later. */
START_TEST(test_events_in_any_order)
{
    uint32_t order[200];
    struct chance chance = {3};
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t at = (uint32_t)chance_below(&chance, i + 1);
        order[i] = order[at];
        order[at] = i + 1;
    }
    move_to(20);
    for (uint32_t i = 0; i < 200; i++)
        add(order[i]); /* the first twenty are left out */
    expect_tail(21, 200);
    for (uint32_t i = 1; i < 180; i++)
        ck_assert_uint_eq(
            history->tail[(history->tail_start + i) & (history->tail_room - 1)].sequence, 21 + i);
}
END_TEST

START_TEST(test_an_event_that_is_stated_again)
{
    unsigned char list[64];
    struct wire_writer w = wire_writer_of(list, sizeof list);
    property_put_number(&w, PROPERTY_MESSAGE_SEQUENCE, 2);
    struct operation_message operation = {.properties =
                                              wire_bytes_of(list, (uint32_t)wire_written(&w))};
    for (uint64_t i = 1; i <= 3; i++)
        add(i);
    struct history_event event = {2, place_word_durable(7777, 5), 10};
    ck_assert_int_eq(history_meet(core, history, &operation, &event, MESSAGE_BYTES), STATUS_OK);
    ck_assert_uint_eq(history->tail_count, 3);
    ck_assert(history_holds(history, 2, 7777));
    ck_assert(!history_holds(history, 2, 1002));
    ck_assert((history_find(history, 2)->word & PLACE_RESTATED) != 0);
    event = (struct history_event){4, place_word_durable(8888, 0), 10}; /* a new one */
    ck_assert_int_eq(history_meet(core, history, &operation, &event, MESSAGE_BYTES), STATUS_OK);
    ck_assert_uint_eq(history->last, 4);
    ck_assert((history_find(history, 4)->word & PLACE_RESTATED) == 0);
}
END_TEST

/* --- what is kept -------------------------------------------------------------------------------
 */

START_TEST(test_the_first_that_may_be_read)
{
    ck_assert_uint_eq(history_first(history), 1);
    for (uint64_t i = 1; i <= 10; i++)
        add(i);
    static const uint64_t firsts[][2] = {{0, 1}, {1, 10}, {2, 9}, {9, 2}, {10, 1}, {11, 1}};
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        history->count_max = firsts[i][0];
        ck_assert_uint_eq(history_first(history), firsts[i][1]);
    }
    history->first_stated = 5;
    history->count_max = 3;
    ck_assert_uint_eq(history_first(history), 8);
    history->count_max = 9;
    ck_assert_uint_eq(history_first(history), 5);
    history->count_max = UINT64_MAX;
    ck_assert_uint_eq(history_first(history), 5);
}
END_TEST

START_TEST(test_settings_there_and_back)
{
    unsigned char list[128];
    struct history other = {0};
    history->age_max_ms = 1;
    history->bytes_max = UINT64_MAX;
    history->count_max = 3;
    struct wire_writer w = wire_writer_of(list, sizeof list);
    history_put_settings(history, &w);
    struct wire_bytes settings = wire_bytes_of(list, (uint32_t)wire_written(&w));
    ck_assert_int_eq(property_check(settings, PROPERTY_SCOPE_EXCHANGE), STATUS_OK);
    ck_assert_uint_eq(property_find_number(settings, PROPERTY_EXCHANGE_HISTORY, 0), 1);
    history_set(&other, settings);
    ck_assert_uint_eq(other.age_max_ms, 1);
    ck_assert_uint_eq(other.bytes_max, UINT64_MAX);
    ck_assert_uint_eq(other.count_max, 3);
    history->bytes_max = history->age_max_ms = history->count_max = 0;
}
END_TEST

/* --- files --------------------------------------------------------------------------------------
 */

START_TEST(test_where_an_event_is)
{
    uint64_t next = 5;
    ck_assert_ptr_null(history_find_file(history, 5));
    ck_assert_ptr_null(history_open_file(history));
    for (uint32_t i = 0; i < 20; i++) {
        ck_assert_int_eq(history_reserve_files(history, 3), STATUS_OK);
        history->files[history->file_count++] = (struct archive_file){
            .first = next, .last = next + i, .end = 100, .is_finished = i < 19};
        next += i + 1;
    }
    ck_assert_uint_eq(history_bytes(history), 2000);
    ck_assert_ptr_eq(history_open_file(history), &history->files[19]);
    ck_assert_ptr_null(history_find_file(history, 0));
    ck_assert_ptr_null(history_find_file(history, 4));
    ck_assert_ptr_null(history_find_file(history, next));
    for (uint32_t i = 0; i < 20; i++)
        for (uint64_t k = history->files[i].first; k <= history->files[i].last; k++)
            ck_assert_ptr_eq(history_find_file(history, k), &history->files[i]);
    history->files[19].is_finished = true;
    ck_assert_ptr_null(history_open_file(history));
    history->file_count = 0;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history");
    TCase *tcase = tcase_create("history");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_events_come_and_are_moved);
    tcase_add_test(tcase, test_events_in_any_order);
    tcase_add_test(tcase, test_an_event_that_is_stated_again);
    tcase_add_test(tcase, test_the_first_that_may_be_read);
    tcase_add_test(tcase, test_settings_there_and_back);
    tcase_add_test(tcase, test_where_an_event_is);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
