/* The checker of histories: good ones pass, and every kind of broken one is found. */
#include "tests/support/history.h"

#include "tests/support/chance.h"
#include "tests/support/check_main.h"

enum { GOOD_COUNT = 300, MUTATION_COUNT = 200, MESSAGE_COUNT = 60, PUBLISHER_COUNT = 3 };

static void note(struct history *history, enum history_kind kind, uint32_t message, uint32_t start)
{
    history_note(history, &(struct history_event){.kind = kind,
                                                  .message = message,
                                                  .publisher = message % PUBLISHER_COUNT,
                                                  .start = start,
                                                  .number = message + 100});
}

static void deliver(struct history *history, uint32_t message, uint32_t start, bool is_redelivered)
{
    history_note(history, &(struct history_event){.kind = HISTORY_DELIVERED,
                                                  .message = message,
                                                  .start = start,
                                                  .number = message + 100,
                                                  .is_redelivered = is_redelivered});
}

/* What a good broker may have shown: some messages are never answered, some refused, some given
 * back, some come again after a restart. */
static struct history *good(struct chance *chance)
{
    struct history *history = history_new();
    for (uint32_t i = 0; i < MESSAGE_COUNT; i++) {
        note(history, HISTORY_SENT, i, 0);
        uint64_t fate = chance_below(chance, 10);
        if (fate == 0) {
            note(history, HISTORY_REFUSED, i, 0);
            continue;
        }
        if (fate == 1 && chance_below(chance, 2) == 0)
            continue;
        if (fate > 1)
            note(history, HISTORY_CONFIRMED, i, 0);
        deliver(history, i, 1, false);
        if (fate < 4) {
            note(history, HISTORY_GIVEN_BACK, i, 1);
            deliver(history, i, 1, true);
        }
        if (fate < 6)
            deliver(history, i, 2, true);
        note(history, HISTORY_SETTLED, i, fate < 6 ? 2 : 1);
        note(history, HISTORY_SETTLED_SURE, i, fate < 6 ? 2 : 1);
    }
    return history;
}

/* The index of some event of a kind; of a confirmed message. */
static size_t pick(struct history *history, struct chance *chance, enum history_kind kind)
{
    for (;;) {
        size_t index = (size_t)chance_below(chance, history_count(history));
        if (history_at(history, index)->kind == kind)
            return index;
    }
}

static void remove_all(struct history *history, enum history_kind kind, uint32_t message)
{
    for (size_t i = history_count(history); i-- > 0;)
        if (history_at(history, i)->kind == kind && history_at(history, i)->message == message)
            history_remove(history, i);
}

START_TEST(test_good_histories_pass)
{
    struct chance chance = {1};
    for (int i = 0; i < GOOD_COUNT; i++) {
        struct history *history = good(&chance);
        struct history_findings found = history_judge(history);
        ck_assert_uint_eq(history_violations(&found), 0);
        ck_assert_uint_eq(found.sent, MESSAGE_COUNT);
        ck_assert_uint_gt(found.confirmed, 0);
        history_free(history);
    }
}
END_TEST

enum mutation {
    LOSE,
    LOSE_SETTLEMENT,
    INVENT,
    UNFLAG,
    RESURRECT,
    REORDER,
    OWN_TWICE,
    CONFIRM_TWICE,
    DELIVER_REFUSED,
    MUTATIONS
};

static void mutate(struct history *history, struct chance *chance, enum mutation mutation)
{
    uint32_t message = history_at(history, pick(history, chance, HISTORY_CONFIRMED))->message;
    switch (mutation) {
    case LOSE:
        remove_all(history, HISTORY_DELIVERED, message);
        break;
    case LOSE_SETTLEMENT:
        remove_all(history, HISTORY_SETTLED_SURE, message);
        remove_all(history, HISTORY_SETTLED, message);
        break;
    case INVENT:
        deliver(history, MESSAGE_COUNT + 5, 1, false);
        break;
    case UNFLAG:
        note(history, HISTORY_GIVEN_BACK, message, 1);
        remove_all(history, HISTORY_SETTLED_SURE, message);
        deliver(history, message, 3, false);
        note(history, HISTORY_SETTLED_SURE, message, 3);
        break;
    case RESURRECT:
        deliver(history, message, 3, true);
        break;
    case REORDER:
        for (size_t i = 0; i < history_count(history); i++)
            if (history_at(history, i)->kind == HISTORY_DELIVERED &&
                history_at(history, i)->message == message)
                history_at(history, i)->number += 1000;
        deliver(history, MESSAGE_COUNT, 1, false);
        note(history, HISTORY_SENT, MESSAGE_COUNT, 0);
        history_at(history, history_count(history) - 1)->publisher = message % PUBLISHER_COUNT;
        break;
    case OWN_TWICE:
        remove_all(history, HISTORY_SETTLED, message);
        remove_all(history, HISTORY_SETTLED_SURE, message);
        deliver(history, message, 7, true);
        deliver(history, message, 7, true);
        note(history, HISTORY_SETTLED_SURE, message, 7);
        break;
    case CONFIRM_TWICE:
        note(history, HISTORY_CONFIRMED, message, 0);
        break;
    case DELIVER_REFUSED:
        remove_all(history, HISTORY_CONFIRMED, message);
        note(history, HISTORY_REFUSED, message, 0);
        break;
    case MUTATIONS:
        break;
    }
}

static uint64_t expected(const struct history_findings *found, enum mutation mutation)
{
    const uint64_t figures[MUTATIONS] = {
        [LOSE] = found->lost,
        [LOSE_SETTLEMENT] = found->lost,
        [INVENT] = found->phantoms,
        [UNFLAG] = found->unflagged,
        [RESURRECT] = found->resurrected,
        [REORDER] = found->phantoms + found->disordered,
        [OWN_TWICE] = found->doubly_owned,
        [CONFIRM_TWICE] = found->answered_twice,
        [DELIVER_REFUSED] = found->phantoms,
    };
    return figures[mutation];
}

START_TEST(test_every_mutation_is_found)
{
    struct chance chance = {2};
    for (int i = 0; i < MUTATION_COUNT; i++) {
        struct history *history = good(&chance);
        mutate(history, &chance, (enum mutation)_i);
        struct history_findings found = history_judge(history);
        ck_assert_msg(expected(&found, (enum mutation)_i) > 0, "mutation %d was not found", _i);
        history_free(history);
    }
}
END_TEST

START_TEST(test_disorder_is_found)
{
    struct history *history = history_new();
    for (uint32_t i = 0; i < 2; i++) {
        history_note(history, &(struct history_event){.kind = HISTORY_SENT, .message = i});
        history_note(history,
                     &(struct history_event){
                         .kind = HISTORY_DELIVERED, .message = i, .start = 1, .number = 9 - i});
    }
    struct history_findings found = history_judge(history);
    ck_assert_uint_eq(found.disordered, 1);
    ck_assert_uint_eq(history_violations(&found), 1);
    history_free(history);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history");
    TCase *tcase = tcase_create("history");
    tcase_add_test(tcase, test_good_histories_pass);
    tcase_add_loop_test(tcase, test_every_mutation_is_found, 0, MUTATIONS);
    tcase_add_test(tcase, test_disorder_is_found);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
