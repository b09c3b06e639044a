/* Values as people write and read them: durations, sizes, counts, ids, UTF-8. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/cli/value.h"
#include "tests/support/check_main.h"

START_TEST(test_counts)
{
    static const char *const bad[] = {
        "", "0", "-1", "+1", " 1", "1 ", "1.5", "0x1", "1e3", "x", "99999999999999999999"};
    int64_t value = 7;
    ck_assert(value_parse_count("1", &value) && value == 1);
    ck_assert(value_parse_count("9007199254740992", &value) && value == INT64_C(1) << 53);
    value = 7;
    ck_assert(!value_parse_count("9007199254740993", &value));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!value_parse_count(bad[i], &value) && value == 7, "%s", bad[i]);
}
END_TEST

START_TEST(test_durations)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"1", 1000},    {"0.5", 500},    {"0.5s", 500},     {"100ms", 100},
        {"5m", 300000}, {"1h", 3600000}, {"2d", 172800000}, {"2147483647ms", 2147483647},
    };
    static const char *const bad[] = {
        "",      "0",    "0.1ms",        "s",
        "1 s",   "1sec", "-1s",          "inf",
        "nan",   "0x1s", "2147483648ms", "30d",
        "1.2.3", ".",    ".5s",          "1111111111111111111111111111111111"};
    int64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(value_parse_duration(good[i].text, &ms), "%s", good[i].text);
        ck_assert_int_eq(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!value_parse_duration(bad[i], &ms), "%s", bad[i]);
}
END_TEST

START_TEST(test_periods)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"1", 1000}, {"30d", INT64_C(2592000000)}, {"36525d", INT64_C(3155760000000)}};
    static const char *const bad[] = {"0", "36526d", "-1d", "none", "1e300d", "99999999999999999d"};
    int64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(value_parse_period(good[i].text, &ms), "%s", good[i].text);
        ck_assert_int_eq(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!value_parse_period(bad[i], &ms), "%s", bad[i]);
}
END_TEST

START_TEST(test_times_are_printed_for_people)
{
    char text[VALUE_TEXT_BYTES];
    value_print_time(1769860800250, text);
    ck_assert_str_eq(text, "2026-01-31T12:00:00.250Z");
    value_print_time(0, text);
    ck_assert_str_eq(text, "1970-01-01T00:00:00.000Z");
    value_print_time(UINT64_MAX, text);
    ck_assert_msg(strlen(text) < VALUE_TEXT_BYTES, "%s", text);
}
END_TEST

START_TEST(test_sizes)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {
        {"1", 1},
        {"512B", 512},
        {"1KiB", 1024},
        {"1.5K", 1536},
        {"1MiB", 1 << 20},
        {"1GiB", 1 << 30},
        {"1TiB", INT64_C(1) << 40},
    };
    static const char *const bad[] = {"", "0", "0.5", "1kib", "1 KiB", "-1", "1PiB", "99999TiB"};
    int64_t bytes;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(value_parse_size(good[i].text, &bytes), "%s", good[i].text);
        ck_assert_int_eq(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!value_parse_size(bad[i], &bytes), "%s", bad[i]);
}
END_TEST

START_TEST(test_ids)
{
    static const char *const bad[] = {
        "",
        "0189c0de",
        "0189c0de-0000-7000-8000-00000000000g",
        "0189c0de-0000-7000-8000-0000000000011",
        "0189c0de00007000-8000-000000000001-0",
        "0189c0de-0000-7000-800-00000000000001",
        "-0189c0de000070008000000000000001",
    };
    unsigned char id[16];
    unsigned char again[16];
    ck_assert(value_parse_id("0189c0de-0000-7000-8000-0000000000Fe", id));
    ck_assert(value_parse_id("0189C0DE0000700080000000000000fe", again));
    ck_assert_mem_eq(id, again, sizeof id);
    ck_assert_uint_eq(id[0], 0x01);
    ck_assert_uint_eq(id[6], 0x70);
    ck_assert_uint_eq(id[15], 0xfe);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!value_parse_id(bad[i], id), "%s", bad[i]);
    ck_assert_mem_eq(id, again, sizeof id);
}
END_TEST

START_TEST(test_printing)
{
    static const struct {
        uint64_t value;
        const char *size;
        const char *duration;
    } cases[] = {
        {0, "0B", "0ms"},
        {999, "999B", "999ms"},
        {1500, "1.5KiB", "1.5s"},
        {59999, "58.6KiB", "59.9s"},
        {61000, "59.6KiB", "1m01s"},
        {1048575, "1.0MiB", "17m28s"},
        {9000000, "8.6MiB", "2h30m"},
        {UINT64_MAX, "16.0EiB", "5124095576030h25m"},
    };
    char text[VALUE_TEXT_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        value_print_size(cases[i].value, text);
        ck_assert_str_eq(text, cases[i].size);
        value_print_duration(cases[i].value, text);
        ck_assert_str_eq(text, cases[i].duration);
    }
}
END_TEST

START_TEST(test_utf8)
{
    static const char *const good[] = {"",
                                       "plain\n",
                                       "\x01",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xed\x9f\xbf"};
    static const char *const bad[] = {
        "\x80",          "\xc3",         "\xc0\x80",         "\xe0\x80\x80",     "\xed\xa0\x80",
        "\xe2\x82",      "\xff",         "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "a\xe2\x28\xa1", "\xc3\xa9\xa9",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(value_is_utf8(good[i], strlen(good[i])), "good %zu", i);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!value_is_utf8(bad[i], strlen(bad[i])), "bad %zu", i);
}
END_TEST

START_TEST(test_times)
{
    static const char *const bad[] = {"",
                                      "@",
                                      "@0",
                                      "@-1",
                                      "now",
                                      "2026-01-31",
                                      "1969-12-31T23:59:59Z",
                                      "2026-01-31T12:00:00",
                                      "2026-01-31T12:00:00Zx",
                                      "2026-13-01T00:00:00Z",
                                      "@9007199254740993"};
    uint64_t ms = 0;
    ck_assert(value_parse_time("@1769860800", &ms) && ms == UINT64_C(1769860800000));
    ms = 0;
    ck_assert(value_parse_time("2026-01-31T12:00:00Z", &ms) && ms == UINT64_C(1769860800000));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!value_parse_time(bad[i], &ms), "%s", bad[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli value");
    TCase *value = tcase_create("value");
    tcase_add_test(value, test_counts);
    tcase_add_test(value, test_durations);
    tcase_add_test(value, test_periods);
    tcase_add_test(value, test_times_are_printed_for_people);
    tcase_add_test(value, test_times);
    tcase_add_test(value, test_sizes);
    tcase_add_test(value, test_ids);
    tcase_add_test(value, test_printing);
    tcase_add_test(value, test_utf8);
    suite_add_tcase(suite, value);
    return check_main(suite);
}
