/* Where in a history to begin, and what to expect of an entity, as people write it. */
#include <check.h>
#include <stdlib.h>

#include "client-lib/cli/place.h"
#include "tests/support/check_main.h"

START_TEST(test_places)
{
    static const struct {
        const char *text;
        enum herald_from from;
        uint64_t at;
    } good[] = {
        {"first", HERALD_FROM_FIRST, 0},
        {"next", HERALD_FROM_NEXT, 0},
        {"last", HERALD_FROM_LAST, 0},
        {"1", HERALD_FROM_SEQUENCE, 1},
        {"4711", HERALD_FROM_SEQUENCE, 4711},
        {"@1769860800", HERALD_FROM_TIME, UINT64_C(1769860800000)},
        {"2026-01-31T12:00:00Z", HERALD_FROM_TIME, UINT64_C(1769860800000)},
    };
    static const char *const bad[] = {"", "0", "-1", "First", "first ", "12x", "2026-01-31", "@"};
    struct place place;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(place_parse(good[i].text, &place), "%s", good[i].text);
        ck_assert_int_eq(place.from, good[i].from);
        ck_assert_uint_eq(place.at, good[i].at);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!place_parse(bad[i], &place), "%s", bad[i]);
    ck_assert_uint_eq(place.at, UINT64_C(1769860800000));
}
END_TEST

START_TEST(test_expectations)
{
    static const struct {
        const char *text;
        enum herald_expect expect;
        uint64_t version;
    } good[] = {
        {"any", HERALD_EXPECT_ANY, 0},   {"none", HERALD_EXPECT_NONE, 0},
        {"0", HERALD_EXPECT_NONE, 0},    {"exists", HERALD_EXPECT_EXISTS, 0},
        {"7", HERALD_EXPECT_VERSION, 7},
    };
    static const char *const bad[] = {"", "-1", "some", "None", "1.5", "00"};
    struct expectation expectation;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(place_parse_expectation(good[i].text, &expectation), "%s", good[i].text);
        ck_assert_int_eq(expectation.expect, good[i].expect);
        ck_assert_uint_eq(expectation.version, good[i].version);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!place_parse_expectation(bad[i], &expectation), "%s", bad[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli place");
    TCase *place = tcase_create("place");
    tcase_add_test(place, test_places);
    tcase_add_test(place, test_expectations);
    suite_add_tcase(suite, place);
    return check_main(suite);
}
