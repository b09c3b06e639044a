/* The table of statuses: every code once, every name once, and which of them may stand on the wire.
 */
#include "protocol/status.h"

#include <string.h>

#include "tests/support/check_main.h"

static const struct {
    unsigned code;
    const char *name;
    const char *text;
} table[] = {
#define STATUS(NAME, code, text) {code, #NAME, text},
#include "protocol/status.def"
};

enum { TABLE_COUNT = sizeof table / sizeof table[0] };

START_TEST(test_every_code_has_its_name_and_text)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        ck_assert_str_eq(status_name(table[i].code), table[i].name);
        ck_assert_str_eq(status_text(table[i].code), table[i].text);
        ck_assert_uint_gt(strlen(table[i].text), 3);
    }
}
END_TEST

START_TEST(test_codes_and_names_stand_once)
{
    for (size_t i = 0; i < TABLE_COUNT; i++)
        for (size_t j = 0; j < i; j++) {
            ck_assert_uint_ne(table[i].code, table[j].code);
            ck_assert_str_ne(table[i].name, table[j].name);
        }
}
END_TEST

/* Clients in other languages have these numbers compiled in. */
START_TEST(test_codes_that_clients_know_stay)
{
    ck_assert_uint_eq(STATUS_OK, 0);
    ck_assert_uint_eq(STATUS_NO_QUEUE, 1);
    ck_assert_uint_eq(STATUS_OVERFLOW, 5);
    ck_assert_uint_eq(STATUS_DENIED, 8);
    ck_assert_uint_eq(STATUS_STALE_DELIVERY, 23);
    ck_assert_uint_eq(STATUS_CLIENT_UNKNOWN, 28);
    ck_assert_uint_eq(STATUS_BAD_MAGIC, 64);
    ck_assert_uint_eq(STATUS_MALFORMED, 66);
    ck_assert_uint_eq(STATUS_GOODBYE, 79);
}
END_TEST

START_TEST(test_codes_outside_the_table)
{
    for (unsigned code = 0; code < 70000; code++) {
        bool known = false;
        for (size_t i = 0; i < TABLE_COUNT; i++)
            known = known || table[i].code == code;
        if (known)
            continue;
        ck_assert_str_eq(status_name(code), "UNKNOWN");
        ck_assert_ptr_nonnull(status_text(code));
        ck_assert(!status_is_public(code));
    }
}
END_TEST

START_TEST(test_which_codes_may_leave_the_broker)
{
    for (size_t i = 0; i < TABLE_COUNT; i++)
        ck_assert_int_eq(status_is_public(table[i].code), table[i].code < 128);
    ck_assert(status_is_public(STATUS_GOODBYE));
    ck_assert(!status_is_public(STATUS_MORE));
    ck_assert(!status_is_public(STATUS_IO_ERROR));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status");
    TCase *cases = tcase_create("status");
    tcase_add_test(cases, test_every_code_has_its_name_and_text);
    tcase_add_test(cases, test_codes_and_names_stand_once);
    tcase_add_test(cases, test_codes_that_clients_know_stay);
    tcase_add_test(cases, test_codes_outside_the_table);
    tcase_add_test(cases, test_which_codes_may_leave_the_broker);
    suite_add_tcase(suite, cases);
    return check_main(suite);
}
