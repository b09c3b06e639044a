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

static void queue_note(struct history *history, enum history_kind kind, uint32_t message,
                       uint8_t queue)
{
    history_note(
        history,
        &(struct history_event){
            .kind = kind, .message = message, .start = 1, .queue = queue, .number = message + 100});
}

static void deliver(struct history *history, uint32_t message, uint32_t start, bool is_redelivered)
{
    history_note(history, &(struct history_event){.kind = HISTORY_DELIVERED,
                                                  .message = message,
                                                  .start = start,
                                                  .number = message + 100,
                                                  .is_redelivered = is_redelivered});
}

/* An event that went to the queues 1 and 2. */
static void good_event(struct history *history, uint32_t message, bool is_confirmed)
{
    history_note(history, &(struct history_event){.kind = HISTORY_SENT,
                                                  .message = message,
                                                  .publisher = message % PUBLISHER_COUNT,
                                                  .queues = 6});
    if (is_confirmed)
        note(history, HISTORY_CONFIRMED, message, 0);
    for (uint8_t queue = 1; queue <= 2; queue++) {
        queue_note(history, HISTORY_DELIVERED, message, queue);
        queue_note(history, HISTORY_SETTLED, message, queue);
        queue_note(history, HISTORY_SETTLED_SURE, message, queue);
    }
}

/* What a good broker may have shown: some messages are never answered, some refused, some given
 * back, some come again after a restart, every sixth is an event for two queues. */
static struct history *good(struct chance *chance)
{
    struct history *history = history_new();
    for (uint32_t i = 0; i < MESSAGE_COUNT; i++) {
        uint64_t fate = chance_below(chance, 10);
        if (i % 6 == 5) {
            good_event(history, i, fate > 1);
            continue;
        }
        note(history, HISTORY_SENT, i, 0);
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
    LOSE_IN_ONE_QUEUE,
    TEAR_APART,
    MISROUTE,
    RENUMBER,
    OVERTAKE,
    CONFIRM_EARLY,
    ANSWER_UNSENT,
    MUTATIONS
};

/* A confirmed message that is a command, or an event. */
static uint32_t pick_message(struct history *history, struct chance *chance, bool is_event)
{
    for (;;) {
        uint32_t message = history_at(history, pick(history, chance, HISTORY_CONFIRMED))->message;
        if ((message % 6 == 5) == is_event)
            return message;
    }
}

static void remove_in_queue(struct history *history, uint32_t message, uint8_t queue)
{
    for (size_t i = history_count(history); i-- > 0;) {
        const struct history_event *event = history_at(history, i);
        if (event->message == message && event->queue == queue && event->start != 0)
            history_remove(history, i);
    }
}

/* Its number is above that of the message that follows it. */
static void reorder(struct history *history, uint32_t message)
{
    for (size_t i = 0; i < history_count(history); i++)
        if (history_at(history, i)->kind == HISTORY_DELIVERED &&
            history_at(history, i)->message == message)
            history_at(history, i)->number += 1000;
    deliver(history, MESSAGE_COUNT, 1, false);
    note(history, HISTORY_SENT, MESSAGE_COUNT, 0);
    history_at(history, history_count(history) - 1)->publisher = message % PUBLISHER_COUNT;
}

/* Two messages of one publisher, given to one consumer for the first time in the wrong order. */
static void overtake(struct history *history)
{
    for (uint32_t i = 2; i-- > 0;) {
        uint32_t message = MESSAGE_COUNT + 6 + i * PUBLISHER_COUNT;
        note(history, HISTORY_SENT, message, 0);
        deliver(history, message, 1, false);
    }
}

static void confirm_early(struct history *history)
{
    for (uint32_t i = 2; i-- > 0;) {
        uint32_t message = MESSAGE_COUNT + 6 + i * PUBLISHER_COUNT;
        note(history, HISTORY_SENT, message, 0);
        note(history, HISTORY_CONFIRMED, message, 0);
    }
}

static void settle_again(struct history *history, uint32_t message, enum mutation mutation)
{
    bool is_unflagged = mutation == UNFLAG;
    uint32_t start = is_unflagged ? 3 : 7;
    if (is_unflagged)
        note(history, HISTORY_GIVEN_BACK, message, 1);
    else
        remove_all(history, HISTORY_SETTLED, message);
    remove_all(history, HISTORY_SETTLED_SURE, message);
    deliver(history, message, start, !is_unflagged);
    if (!is_unflagged)
        deliver(history, message, start, true);
    note(history, HISTORY_SETTLED_SURE, message, start);
}

static void mutate(struct history *history, struct chance *chance, enum mutation mutation)
{
    uint32_t message = pick_message(history, chance, false);
    uint32_t event = pick_message(history, chance, true);
    switch (mutation) {
    case LOSE:
        remove_in_queue(history, message, 0);
        break;
    case LOSE_SETTLEMENT:
        remove_all(history, HISTORY_SETTLED_SURE, message);
        remove_all(history, HISTORY_SETTLED, message);
        break;
    case INVENT:
        deliver(history, MESSAGE_COUNT + 5, 1, false);
        break;
    case RESURRECT:
        deliver(history, message, 3, true);
        break;
    case REORDER:
        reorder(history, message);
        break;
    case UNFLAG:
    case OWN_TWICE:
        settle_again(history, message, mutation);
        break;
    case CONFIRM_TWICE:
        note(history, HISTORY_CONFIRMED, message, 0);
        break;
    case DELIVER_REFUSED:
        remove_all(history, HISTORY_CONFIRMED, message);
        note(history, HISTORY_REFUSED, message, 0);
        break;
    case LOSE_IN_ONE_QUEUE:
        remove_in_queue(history, event, 2);
        break;
    case TEAR_APART:
        remove_all(history, HISTORY_CONFIRMED, event);
        remove_in_queue(history, event, 1);
        break;
    case MISROUTE:
        queue_note(history, HISTORY_DELIVERED, event, 3);
        break;
    case RENUMBER:
        note(history, HISTORY_GIVEN_BACK, message, 2);
        remove_all(history, HISTORY_SETTLED_SURE, message);
        deliver(history, message, 4, true);
        history_at(history, history_count(history) - 1)->number++;
        break;
    case OVERTAKE:
        overtake(history);
        break;
    case CONFIRM_EARLY:
        confirm_early(history);
        break;
    case ANSWER_UNSENT:
        note(history, HISTORY_CONFIRMED, MESSAGE_COUNT + 7, 0);
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
        [REORDER] = found->disordered,
        [OWN_TWICE] = found->doubly_owned,
        [CONFIRM_TWICE] = found->answered_twice,
        [DELIVER_REFUSED] = found->phantoms,
        [LOSE_IN_ONE_QUEUE] = found->lost,
        [TEAR_APART] = found->torn_apart,
        [MISROUTE] = found->phantoms,
        [RENUMBER] = found->phantoms,
        [OVERTAKE] = found->disordered,
        [CONFIRM_EARLY] = found->confirmed_early,
        [ANSWER_UNSENT] = found->answered_unsent,
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
    /* The numbers are not in the order of the sender; the deliveries are not in that of numbers. */
    ck_assert_uint_eq(found.disordered, 2);
    ck_assert_uint_eq(history_violations(&found), 2);
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
