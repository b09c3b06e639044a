/* heraldd --verify on a small journal; tests/e2e/tools.sh has a real daemon's. */
#include <check.h>

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
    ck_assert_int_eq(tool_verify(small.data), 0);
}
END_TEST

START_TEST(test_damaged)
{
    small_journal_spoil(&small);
    ck_assert_int_eq(tool_verify(small.data), 65);
}
END_TEST

START_TEST(test_no_journal)
{
    ck_assert_int_eq(tool_verify(small.root), 74);
    ck_assert_int_eq(tool_verify("/nothing/here"), 74);
}
END_TEST
int main(void)
{
    Suite *suite = suite_create("tool_verify");
    TCase *tcase = tcase_create("tool_verify");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_whole);
    tcase_add_test(tcase, test_damaged);
    tcase_add_test(tcase, test_no_journal);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
