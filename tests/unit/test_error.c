/* Statuses: every one has its name, and the broker's codes become the right ones. */
#include <check.h>
#include <stdlib.h>

#include "client-lib/client.h"
#include "tests/support/check_main.h"

START_TEST(test_names)
{
    for (int status = HERALD_OK; status <= HERALD_ECONFLICT; status++)
        ck_assert_int_eq(strncmp(herald_status_name((enum herald_status)status), "HERALD_", 7), 0);
    ck_assert_str_eq(herald_status_name(HERALD_ETIMEOUT), "HERALD_ETIMEOUT");
    ck_assert_str_eq(herald_status_name((enum herald_status)(HERALD_ECONFLICT + 1)),
                     "HERALD_UNKNOWN");
    ck_assert_str_eq(herald_status_name((enum herald_status) - 1), "HERALD_UNKNOWN");
    ck_assert_str_eq(herald_version(), HERALD_VERSION);
}
END_TEST

START_TEST(test_codes)
{
    ck_assert_int_eq(error_status_of(STATUS_OK), HERALD_OK);
    ck_assert_int_eq(error_status_of(STATUS_NO_QUEUE), HERALD_ENOTFOUND);
    ck_assert_int_eq(error_status_of(STATUS_NO_EXCHANGE), HERALD_ENOTFOUND);
    ck_assert_int_eq(error_status_of(STATUS_NO_BINDING), HERALD_ENOTFOUND);
    ck_assert_int_eq(error_status_of(STATUS_DENIED), HERALD_EDENIED);
    ck_assert_int_eq(error_status_of(STATUS_STALE_DELIVERY), HERALD_ESTALE);
    ck_assert_int_eq(error_status_of(STATUS_OVERFLOW), HERALD_EREFUSED);
    ck_assert_int_eq(error_status_of(STATUS_VERSION_CONFLICT), HERALD_ECONFLICT);
    ck_assert_int_eq(error_status_of(STATUS_NO_ENTITY), HERALD_ENOTFOUND);
    ck_assert_int_eq(error_status_of(12345), HERALD_EREFUSED);
}
END_TEST

START_TEST(test_text_is_cut_to_fit)
{
    struct herald_error error;
    char text[1000];
    memset(text, 'x', sizeof text);
    error_fill(&error, STATUS_OVERFLOW, wire_bytes_of(text, sizeof text));
    ck_assert_uint_eq(strlen(error.text), sizeof error.text - 1);
    ck_assert_str_eq(error.name, "OVERFLOW");
    error_fill(&error, STATUS_OVERFLOW, (struct wire_bytes){0});
    ck_assert_str_eq(error.text, status_text(STATUS_OVERFLOW));
}
END_TEST

START_TEST(test_version_of_a_conflict)
{
    static const struct {
        const char *told;
        uint64_t version;
        const char *text;
    } cases[] = {
        {"0", 0, "the entity is at version 0"},
        {"42", 42, "the entity is at version 42"},
        {"18446744073709551615", UINT64_MAX, "the entity is at version 18446744073709551615"},
        {"18446744073709551616", 0, "18446744073709551616"}, /* no such number */
        {"4x", 0, "4x"},
        {"", 0, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct herald_error error;
        error_fill(&error, STATUS_VERSION_CONFLICT, wire_bytes_of_text(cases[i].told));
        ck_assert_int_eq(error.status, HERALD_ECONFLICT);
        ck_assert_uint_eq(error.version, cases[i].version);
        ck_assert_str_eq(error.text, cases[i].text != NULL ? cases[i].text
                                                           : status_text(STATUS_VERSION_CONFLICT));
    }
    struct herald_error error;
    error_fill(&error, STATUS_OVERFLOW, wire_bytes_of_text("42"));
    ck_assert_uint_eq(error.version, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("error");
    TCase *error = tcase_create("error");
    tcase_add_test(error, test_names);
    tcase_add_test(error, test_codes);
    tcase_add_test(error, test_text_is_cut_to_fit);
    tcase_add_test(error, test_version_of_a_conflict);
    suite_add_tcase(suite, error);
    return check_main(suite);
}
