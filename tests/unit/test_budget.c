/* What one round does for events at most. */
#include "broker/core/budget.h"
#include "tests/support/check_main.h"

START_TEST(test_an_event_for_many_is_paid_off_round_by_round)
{
    struct budget budget = {0};
    ck_assert(!budget_holds(&budget, FRAME_PUBLISH));
    budget_take_in(&budget, BUDGET_ROUND_BYTES / 16 - BUDGET_COPY_BYTES, 4 * 16);
    ck_assert_uint_eq(budget.owed_bytes, 4 * BUDGET_ROUND_BYTES);
    for (int round = 0; round < 4; round++) {
        ck_assert(budget_holds(&budget, FRAME_PUBLISH));
        budget_next_round(&budget);
    }
    ck_assert(!budget_holds(&budget, FRAME_PUBLISH));
    budget_next_round(&budget);
    ck_assert_uint_eq(budget.owed_bytes, 0);
}
END_TEST

/* What has been taken in leaves less to hand out, but always something; and no more is paid off
 * than could be handed out. */
START_TEST(test_taking_in_leaves_less_to_hand_out)
{
    struct budget budget = {0};
    budget_take_in(&budget, BUDGET_ROUND_BYTES - BUDGET_COPY_BYTES, 10);
    ck_assert(!budget_is_spent(&budget));
    budget_hand_out(&budget, BUDGET_ROUND_BYTES / 4 - BUDGET_COPY_BYTES - 1);
    ck_assert(!budget_is_spent(&budget));
    budget_hand_out(&budget, 0);
    ck_assert(budget_is_spent(&budget));
    budget_next_round(&budget);
    ck_assert_uint_eq(budget.owed_bytes, 10 * BUDGET_ROUND_BYTES - BUDGET_ROUND_BYTES / 4);
}
END_TEST

START_TEST(test_only_what_may_bring_an_event_waits)
{
    struct budget budget = {0};
    budget_take_in(&budget, BUDGET_ROUND_BYTES, 1);
    ck_assert(budget_holds(&budget, FRAME_PUBLISH));
    ck_assert(budget_holds(&budget, FRAME_APPEND));
    ck_assert(budget_holds(&budget, FRAME_PIECE));
    ck_assert(!budget_holds(&budget, FRAME_SEND));
    ck_assert(!budget_holds(&budget, FRAME_DONE));
    ck_assert(!budget_holds(&budget, FRAME_HEARTBEAT));
}
END_TEST

START_TEST(test_handing_out_is_spent_and_comes_anew)
{
    struct budget budget = {0};
    uint64_t copies = 0;
    ck_assert_uint_eq(budget_copies_left(&budget), BUDGET_ROUND_BYTES / BUDGET_COPY_BYTES);
    for (; !budget_is_spent(&budget); copies++)
        budget_hand_out(&budget, 44);
    ck_assert_uint_eq(copies, (BUDGET_ROUND_BYTES + 299) / 300);
    ck_assert_uint_eq(budget_copies_left(&budget), 0);
    budget_next_round(&budget);
    ck_assert(!budget_is_spent(&budget));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("budget");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_an_event_for_many_is_paid_off_round_by_round);
    tcase_add_test(tcase, test_taking_in_leaves_less_to_hand_out);
    tcase_add_test(tcase, test_only_what_may_bring_an_event_waits);
    tcase_add_test(tcase, test_handing_out_is_spent_and_comes_anew);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
