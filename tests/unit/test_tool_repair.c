/* heraldd --repair on a small journal; tests/e2e/tools.sh has a real daemon's. */
#include <check.h>
#include <stdio.h>

#include "broker/tool.h"
#include "tests/support/check_main.h"
#include "tests/support/small_journal.h"

static struct small_journal small;

static void setup(void)
{
    small_journal_make(&small);
}

static void teardown(void)
{
    small_journal_remove(&small);
}

START_TEST(test_whole)
{
    ck_assert_int_eq(tool_repair(small.data, TOOL_CONSENTED), 0);
    ck_assert_int_eq(tool_verify(small.data), 0);
}
END_TEST

/* Without consent nothing happens; tests have no terminal to be asked on. */
START_TEST(test_damaged)
{
    small_journal_spoil(&small);
    ck_assert_ptr_nonnull(freopen("/dev/null", "r", stdin));
    ck_assert_int_eq(tool_repair(small.data, TOOL_ASK), 65);
    ck_assert_int_eq(tool_verify(small.data), 65);
    ck_assert_int_eq(tool_repair(small.data, TOOL_CONSENTED), 0);
    ck_assert_int_eq(tool_verify(small.data), 0);
    ck_assert_int_eq(tool_repair(small.data, TOOL_ASK), 0);
}
END_TEST

START_TEST(test_no_journal)
{
    ck_assert_int_eq(tool_repair(small.root, TOOL_CONSENTED), 74);
    ck_assert_int_eq(tool_repair("/nothing/here", TOOL_CONSENTED), 74);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tool_repair");
    TCase *tcase = tcase_create("tool_repair");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_whole);
    tcase_add_test(tcase, test_damaged);
    tcase_add_test(tcase, test_no_journal);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
