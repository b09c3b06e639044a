/* The list of complaints: kept in order, escaped, bounded. */
#include <check.h>
#include <string.h>

#include "broker/config_error.h"
#include "tests/support/check_main.h"

START_TEST(test_escaped)
{
    struct config_errors errors = {0};
    config_error_add(&errors, "a:1", "unknown %s", "x\n<3>forged");
    ck_assert_uint_eq(errors.count, 1);
    ck_assert_str_eq(errors.text[0], "a:1: unknown x\\x0a<3>forged");
    config_errors_deinit(&errors);
    ck_assert_uint_eq(errors.count, 0);
    ck_assert_ptr_null(errors.text[0]);
}
END_TEST

START_TEST(test_bounded)
{
    struct config_errors errors = {0};
    char where[2 * CONFIG_ERROR_BYTES];
    memset(where, 'w', sizeof(where));
    where[sizeof(where) - 1] = '\0';
    for (int i = 0; i < CONFIG_ERRORS_MAX + 5; i++)
        config_error_add(&errors, where, "%d", i);
    ck_assert_uint_eq(errors.count, CONFIG_ERRORS_MAX + 5);
    ck_assert_uint_eq(strlen(errors.text[CONFIG_ERRORS_MAX - 1]), CONFIG_ERROR_BYTES - 1);
    config_errors_deinit(&errors);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_error");
    TCase *tcase = tcase_create("config_error");
    tcase_add_test(tcase, test_escaped);
    tcase_add_test(tcase, test_bounded);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
