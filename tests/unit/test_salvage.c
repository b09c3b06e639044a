/* What a repair keeps of a history, for every pattern of what survives. */
#include "broker/salvage.h"

#include <stdlib.h>
#include <string.h>

#include "broker/tool_report.h"
#include "protocol/property.h"
#include "tests/support/chance.h"
#include "tests/support/check_main.h"

enum { EXCHANGE = 7 };

static struct salvage *salvage;
static struct histories histories;
static struct history_view view;
static struct core *core;

static void put(const void *operation, void (*encode)(struct wire_writer *, const void *))
{
    unsigned char at[1024];
    struct wire_writer w = wire_writer_of(at, sizeof at);
    encode(&w, operation);
    ck_assert_int_eq(core_on_record(core, 4096, at, (uint32_t)wire_written(&w), 1), STATUS_OK);
}

static void encode_exchange(struct wire_writer *w, const void *operation)
{
    record_put_exchange(w, operation);
}

static void set_up(void)
{
    unsigned char settings[16];
    struct wire_writer list = wire_writer_of(settings, sizeof settings);
    property_put_number(&list, PROPERTY_EXCHANGE_HISTORY, 1);
    salvage = salvage_new();
    core = tool_core_new();
    struct operation_exchange exchange = {EXCHANGE, wire_bytes_of_text("book"),
                                          wire_bytes_of(settings, (uint32_t)wire_written(&list))};
    put(&exchange, encode_exchange);
    view = (struct history_view){.stated = {.exchange = EXCHANGE, .first = 1}};
    histories = (struct histories){.views = &view, .view_count = 1};
}

static void tear_down(void)
{
    salvage_free(salvage);
    runs_deinit(&view.filed);
    runs_deinit(&view.tail);
    core_free(core);
}

/* An event whose record survives. */
static void record(uint64_t sequence)
{
    unsigned char number[4];
    unsigned char properties[32];
    struct wire_writer p = wire_writer_of(properties, sizeof properties);
    wire_store_u32(number, HISTORY_BIT | EXCHANGE);
    property_put_number(&p, PROPERTY_MESSAGE_SEQUENCE, sequence);
    struct operation operation = {.type = OPERATION_MESSAGE};
    operation.as.message = (struct operation_message){
        .queues = wire_bytes_of(number, 4),
        .properties = wire_bytes_of(properties, (uint32_t)wire_written(&p))};
    ck_assert_int_eq(salvage_note(salvage, &operation), STATUS_OK);
}

static void file(uint64_t first, uint64_t last)
{
    ck_assert_int_eq(runs_add(&view.filed, first, last), STATUS_OK);
}

static void state(uint64_t first, uint64_t moved, uint64_t last)
{
    view.stated.first = first;
    view.stated.moved = moved;
    view.stated.last = last;
}

static const struct salvage_plan *decide(void)
{
    ck_assert_int_eq(salvage_decide(salvage, &histories, core), STATUS_OK);
    return salvage_find(salvage, EXCHANGE);
}

static void expect(uint64_t first, uint64_t moved, uint64_t last)
{
    const struct salvage_plan *plan = decide();
    ck_assert_ptr_nonnull(plan);
    ck_assert_uint_eq(plan->first, first);
    ck_assert_uint_eq(plan->moved, moved);
    ck_assert_uint_eq(plan->last, last);
}

START_TEST(test_whole)
{
    state(1, 10, 12);
    file(1, 10);
    record(11);
    record(12);
    ck_assert_int_eq(runs_add(&view.tail, 11, 12), STATUS_OK);
    ck_assert_ptr_null(decide());
    ck_assert_uint_eq(salvage_count(salvage), 0);
}
END_TEST

START_TEST(test_the_larger_part_of_the_files)
{
    state(1, 100, 100);
    file(1, 40);
    file(61, 100);
    expect(61, 100, 100); /* of equal ones the newer */
    const struct salvage_plan *plan = salvage_at(salvage, 0);
    ck_assert_uint_eq(plan->lost.count, 1);
    ck_assert_uint_eq(plan->lost.run[0].first, 41);
    ck_assert_uint_eq(plan->lost.run[0].last, 60);
    ck_assert_uint_eq(plan->dropped.count, 1);
    ck_assert_uint_eq(plan->dropped.run[0].first, 1);
    ck_assert_uint_eq(plan->dropped.run[0].last, 40);
}
END_TEST

START_TEST(test_the_older_part)
{
    state(1, 100, 100);
    file(1, 41);
    file(61, 100);
    expect(1, 41, 41);
    ck_assert_uint_eq(salvage_at(salvage, 0)->known_last, 100);
}
END_TEST

START_TEST(test_what_the_journal_has_behind_files)
{
    state(1, 100, 102);
    file(1, 50);
    for (uint64_t i = 45; i <= 102; i++)
        record(i);
    expect(1, 50, 102);
    ck_assert_uint_eq(salvage_at(salvage, 0)->lost.count, 0);
}
END_TEST

START_TEST(test_the_journal_alone)
{
    state(1, 10, 30);
    file(1, 10);
    for (uint64_t i = 12; i <= 30; i++)
        record(i);
    expect(12, 11, 30);
    ck_assert_uint_eq(salvage_at(salvage, 0)->lost.run[0].first, 11);
}
END_TEST

START_TEST(test_nothing_is_left)
{
    state(31, 90, 95);
    expect(96, 95, 95);
    ck_assert_uint_eq(salvage_at(salvage, 0)->lost.run[0].first, 31);
    ck_assert_uint_eq(salvage_at(salvage, 0)->lost.run[0].last, 95);
}
END_TEST

/* What retention took is in the journal for a while. */
START_TEST(test_nothing_before_the_first)
{
    state(50, 60, 60);
    for (uint64_t i = 1; i <= 55; i++)
        record(i);
    file(58, 60);
    expect(50, 49, 55);
}
END_TEST

START_TEST(test_deleted_exchanges)
{
    ck_assert(salvage_may_live(salvage, EXCHANGE));
    record(1);
    ck_assert(salvage_may_live(salvage, EXCHANGE));
    struct operation operation = {.type = OPERATION_EXCHANGE_GONE};
    operation.as.exchange_gone.exchange = EXCHANGE;
    ck_assert_int_eq(salvage_note(salvage, &operation), STATUS_OK);
    ck_assert(!salvage_may_live(salvage, EXCHANGE));
}
END_TEST

START_TEST(test_filtering)
{
    state(1, 100, 102);
    file(1, 50);
    for (uint64_t i = 45; i <= 90; i++)
        record(i);
    expect(1, 50, 90);
    for (uint64_t i = 1; i <= 110; i++) {
        unsigned char properties[64];
        struct wire_writer p = wire_writer_of(properties, sizeof properties);
        property_put_number(&p, PROPERTY_MESSAGE_SEQUENCE, i);
        property_put_number(&p, PROPERTY_MESSAGE_VERSION, i);
        property_put(&p, PROPERTY_MESSAGE_ENTITY, wire_bytes_of_text("e"));
        struct operation_message event = {
            .properties = wire_bytes_of(properties, (uint32_t)wire_written(&p))};
        ck_assert_int_eq(salvage_filter(salvage, EXCHANGE, &event),
                         i > 50 && i <= 90 ? STATUS_OK : STATUS_NOT_FOUND);
        ck_assert_int_eq(salvage_filter(salvage, EXCHANGE + 1, &event), STATUS_OK);
    }
    const struct salvage_plan *plan = salvage_find(salvage, EXCHANGE);
    uint64_t version;
    uint64_t sequence;
    ck_assert(entities_find(&plan->kept, entities_key(&plan->kept, wire_bytes_of_text("e")),
                            &version, &sequence));
    ck_assert_uint_eq(version, 90);
    ck_assert_uint_eq(sequence, 90);
}
END_TEST

/* Whatever survives: what is kept is there, has no hole, is the largest such run, and lost, dropped
 * and kept are all there was. */
START_TEST(test_by_chance)
{
    enum { LAST = 60 };
    struct chance chance = {(uint64_t)_i + 1};
    bool is_filed[LAST + 2] = {false};
    bool is_recorded[LAST + 2] = {false};
    uint64_t moved = chance_below(&chance, LAST + 1);
    uint64_t first = 1 + chance_below(&chance, moved + 1);
    state(first, moved, LAST);
    for (uint64_t i = first; i <= LAST; i++) {
        is_filed[i] = i <= moved && chance_below(&chance, 8) != 0;
        is_recorded[i] = i + 20 > moved && chance_below(&chance, 8) != 0;
        if (is_filed[i])
            file(i, i);
        if (is_recorded[i])
            record(i);
        if (is_recorded[i] && i > moved)
            ck_assert_int_eq(runs_add(&view.tail, i, i), STATUS_OK);
    }
    const struct salvage_plan *plan = decide();
    uint64_t best = 0;
    for (uint64_t from = first; from <= LAST; from++) {
        uint64_t to = from;
        while (to <= LAST && is_filed[to])
            to++;
        while (to <= LAST && is_recorded[to])
            to++;
        best = to - from > best ? to - from : best;
    }
    if (plan == NULL) {
        ck_assert_uint_eq(best, LAST - first + 1);
        return;
    }
    ck_assert_uint_eq(plan->last + 1 - plan->first, best);
    for (uint64_t i = first; i <= LAST; i++) {
        bool is_kept = i >= plan->first && i <= plan->last;
        ck_assert(!is_kept || (i <= plan->moved ? is_filed[i] : is_recorded[i]));
        ck_assert_int_eq(runs_find(&plan->lost, i) != NULL, !is_filed[i] && !is_recorded[i]);
        ck_assert_int_eq(runs_find(&plan->dropped, i) != NULL,
                         !is_kept && (is_filed[i] || is_recorded[i]));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("salvage");
    TCase *tcase = tcase_create("salvage");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_whole);
    tcase_add_test(tcase, test_the_larger_part_of_the_files);
    tcase_add_test(tcase, test_the_older_part);
    tcase_add_test(tcase, test_what_the_journal_has_behind_files);
    tcase_add_test(tcase, test_the_journal_alone);
    tcase_add_test(tcase, test_nothing_is_left);
    tcase_add_test(tcase, test_nothing_before_the_first);
    tcase_add_test(tcase, test_deleted_exchanges);
    tcase_add_test(tcase, test_filtering);
    tcase_add_loop_test(tcase, test_by_chance, 0, 300);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
