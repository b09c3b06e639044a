/* Values of options as text: what is accepted, what is refused and why, and that printing is exact.
 */
#include <check.h>
#include <string.h>

#include "broker/config_value.h"
#include "tests/support/chance.h"
#include "tests/support/check_main.h"

struct number_case {
    enum config_kind kind;
    const char *text;
    uint64_t number;
    const char *printed;
};

static const struct number_case numbers[] = {
    {CONFIG_COUNT, "0", 0, "0"},
    {CONFIG_COUNT, "007", 7, "7"},
    {CONFIG_COUNT, "18446744073709551615", UINT64_MAX, "18446744073709551615"},
    {CONFIG_SIZE, "0", 0, "0"},
    {CONFIG_SIZE, "512", 512, "512B"},
    {CONFIG_SIZE, "512B", 512, "512B"},
    {CONFIG_SIZE, "1024", 1024, "1KiB"},
    {CONFIG_SIZE, "64 KiB", 65536, "64KiB"},
    {CONFIG_SIZE, "1GiB", UINT64_C(1) << 30, "1GiB"},
    {CONFIG_SIZE, "16777215TiB", UINT64_C(16777215) << 40, "16777215TiB"},
    {CONFIG_DURATION, "30", 30000, "30s"},
    {CONFIG_DURATION, "0.5s", 500, "500ms"},
    {CONFIG_DURATION, "0.5", 500, "500ms"},
    {CONFIG_DURATION, "1.500m", 90000, "90s"},
    {CONFIG_DURATION, "250ms", 250, "250ms"},
    {CONFIG_DURATION, "5m", 300000, "5m"},
    {CONFIG_DURATION, "1h", 3600000, "1h"},
    {CONFIG_DURATION, "48h", 172800000, "2d"},
    {CONFIG_DURATION, "0.000001d", 0, NULL}, /* 86.4 ms */
    {CONFIG_MODE, "0660", 0660, "0660"},
    {CONFIG_MODE, "660", 0660, "0660"},
    {CONFIG_MODE, "0", 0, "0000"},
};

START_TEST(test_number)
{
    const struct number_case *c = &numbers[_i];
    char printed[CONFIG_TEXT_BYTES];
    uint64_t number = 0;
    const char *why = NULL;
    enum status status = config_number_parse(c->kind, c->text, &number, &why);
    if (c->printed == NULL) {
        ck_assert_int_eq(status, STATUS_BAD_VALUE);
        return;
    }
    ck_assert_int_eq(status, STATUS_OK);
    ck_assert_uint_eq(number, c->number);
    config_number_print(c->kind, number, printed, sizeof(printed));
    ck_assert_str_eq(printed, c->printed);
}
END_TEST

struct refusal {
    enum config_kind kind;
    const char *text;
    const char *why; /* a part of the reason */
};

static const struct refusal refusals[] = {
    {CONFIG_COUNT, "", "not a number"},
    {CONFIG_COUNT, "-1", "negative"},
    {CONFIG_COUNT, "+1", "not a number"},
    {CONFIG_COUNT, "1.5", "whole number"},
    {CONFIG_COUNT, "1k", "whole number"},
    {CONFIG_COUNT, "0x10", "whole number"},
    {CONFIG_COUNT, "18446744073709551616", "too large"},
    {CONFIG_SIZE, "-5MiB", "negative"},
    {CONFIG_SIZE, "5MB", "MiB"},
    {CONFIG_SIZE, "5mib", "MiB"},
    {CONFIG_SIZE, "5MiB MiB", "MiB"},
    {CONFIG_SIZE, "1.5GiB", "whole numbers"},
    {CONFIG_SIZE, "GiB", "not a number"},
    {CONFIG_SIZE, "16777216TiB", "too large"},
    {CONFIG_DURATION, "5min", "ms, s, m, h"},
    {CONFIG_DURATION, "5S", "ms, s, m, h"},
    {CONFIG_DURATION, "-5s", "negative"},
    {CONFIG_DURATION, "1.s", "no digits"},
    {CONFIG_DURATION, ".5s", "not a number"},
    {CONFIG_DURATION, "0.0005s", "finer"},
    {CONFIG_DURATION, "0.0000001d", "too many digits"},
    {CONFIG_DURATION, "18446744073709551615s", "too large"},
    {CONFIG_DURATION, "18446744073709551615.5ms", "finer"},
    {CONFIG_DURATION, "18446744073709551.9s", "too large"},
    {CONFIG_MODE, "0668", "octal"},
    {CONFIG_MODE, "rw-", "not a number"},
    {CONFIG_BOOL, "", "yes nor no"},
    {CONFIG_BOOL, "YES", "yes nor no"},
    {CONFIG_BOOL, "1", "yes nor no"},
    {CONFIG_TEXT, "a\nb", "printed"},
    {CONFIG_TEXT, "a\x01", "printed"},
    {CONFIG_TEXT, "\xff", "printed"},
    {CONFIG_TEXT, "a\xe2\x80\xae", "printed"},
    {CONFIG_TEXT, " a", "space"},
    {CONFIG_TEXT, "a ", "space"},
    {CONFIG_TEXT, "a ; b", "semicolon"},
    {CONFIG_PATH, "run/x", "absolute"},
    {CONFIG_LISTEN, "localhost:7440", "numeric"},
    {CONFIG_LISTEN, "127.0.0.1", "such as"},
    {CONFIG_LISTEN, "::1:7440", "such as"},
    {CONFIG_LISTEN, "[::1]", "such as"},
    {CONFIG_LISTEN, "[::1]7440", "such as"},
    {CONFIG_LISTEN, "[::1:7440", "such as"},
    {CONFIG_LISTEN, "[127.0.0.1]:7440", "numeric"},
    {CONFIG_LISTEN, "127.1:7440", "numeric"},
    {CONFIG_LISTEN, "127.0.0.1:", "port"},
    {CONFIG_LISTEN, "127.0.0.1:65536", "port"},
    {CONFIG_LISTEN, "127.0.0.1:http", "port"},
    {CONFIG_LISTEN, "127.0.0.1:1,", "such as"},
    {CONFIG_LISTEN, "127.0.0.1:1,,127.0.0.1:2", "such as"},
    {CONFIG_LISTEN,
     "0.0.0.0:1,0.0.0.0:1,0.0.0.0:1,0.0.0.0:1,0.0.0.0:1,0.0.0.0:1,0.0.0.0:1,0.0.0.0:1,"
     "[::]:1,[::]:1,[::]:1,[::]:1,[::]:1,[::]:1,[::]:1,[::]:1,[::]:1",
     "more than 16"},
};

static enum status parse_any(enum config_kind kind, const char *text, const char **why)
{
    struct config_addresses addresses;
    char out[CONFIG_TEXT_BYTES];
    uint64_t number;
    bool value;
    if (kind == CONFIG_BOOL)
        return config_bool_parse(text, &value, why);
    if (kind == CONFIG_TEXT || kind == CONFIG_PATH)
        return config_text_parse(kind, text, out, why);
    if (kind == CONFIG_LISTEN)
        return config_addresses_parse(text, &addresses, why);
    return config_number_parse(kind, text, &number, why);
}

START_TEST(test_refusal)
{
    const struct refusal *c = &refusals[_i];
    const char *why = NULL;
    ck_assert_int_eq(parse_any(c->kind, c->text, &why), STATUS_BAD_VALUE);
    ck_assert_ptr_nonnull(why);
    ck_assert_msg(strstr(why, c->why) != NULL, "\"%s\" %s", c->text, why);
}
END_TEST

/* Numbers near the powers of two, where units and overflows are. */
START_TEST(test_print_is_exact)
{
    static const enum config_kind kinds[] = {CONFIG_COUNT, CONFIG_SIZE, CONFIG_DURATION,
                                             CONFIG_MODE};
    struct chance chance = {7};
    for (int i = 0; i < 20000; i++) {
        enum config_kind kind = kinds[chance_below(&chance, 4)];
        uint64_t number = chance_next(&chance) >> chance_below(&chance, 64);
        uint64_t again = 0;
        char text[CONFIG_TEXT_BYTES];
        const char *why = "";
        number *= chance_below(&chance, 2) == 0 ? 1 : 3600;
        config_number_print(kind, number, text, sizeof(text));
        ck_assert_msg(config_number_parse(kind, text, &again, &why) == STATUS_OK, "%s %s", text,
                      why);
        ck_assert_uint_eq(again, number);
    }
}
END_TEST

START_TEST(test_bool)
{
    static const char *const words[] = {"no", "false", "off", "yes", "true", "on"};
    for (int i = 0; i < 6; i++) {
        const char *why = NULL;
        bool value = i < 3;
        ck_assert_int_eq(config_bool_parse(words[i], &value, &why), STATUS_OK);
        ck_assert_int_eq(value, i >= 3);
    }
}
END_TEST

START_TEST(test_text_length)
{
    char text[CONFIG_TEXT_BYTES + 1];
    char out[CONFIG_TEXT_BYTES];
    const char *why = NULL;
    memset(text, 'a', sizeof(text));
    text[0] = '/';
    text[CONFIG_TEXT_BYTES - 1] = '\0';
    ck_assert_int_eq(config_text_parse(CONFIG_PATH, text, out, &why), STATUS_OK);
    ck_assert_str_eq(out, text);
    text[CONFIG_TEXT_BYTES - 1] = 'a';
    text[CONFIG_TEXT_BYTES] = '\0';
    ck_assert_int_eq(config_text_parse(CONFIG_PATH, text, out, &why), STATUS_BAD_VALUE);
    ck_assert_ptr_nonnull(strstr(why, "longer than"));
    ck_assert_int_eq(config_text_parse(CONFIG_PATH, "", out, &why), STATUS_OK);
    ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(test_addresses)
{
    struct config_addresses addresses;
    char text[CONFIG_TEXT_BYTES];
    const char *why = "";
    ck_assert_int_eq(config_addresses_parse(" 127.8.9.1:7440 ,[::1]:0, 0.0.0.0:65535,[FE80::0:1]:1",
                                            &addresses, &why),
                     STATUS_BAD_VALUE); /* blanks around the whole are a file's, not a value's */
    ck_assert_int_eq(config_addresses_parse("127.8.9.1:7440 ,[::1]:0, 0.0.0.0:65535,[FE80::0:1]:1",
                                            &addresses, &why),
                     STATUS_OK);
    ck_assert_uint_eq(addresses.count, 4);
    ck_assert(addresses.address[0].is_loopback && addresses.address[1].is_loopback);
    ck_assert(!addresses.address[2].is_loopback && !addresses.address[3].is_loopback);
    ck_assert_uint_eq(addresses.address[2].port, 65535);
    config_addresses_print(&addresses, text, sizeof(text));
    ck_assert_str_eq(text, "127.8.9.1:7440,[::1]:0,0.0.0.0:65535,[fe80::1]:1");
    ck_assert_int_eq(config_addresses_parse("", &addresses, &why), STATUS_OK);
    ck_assert_uint_eq(addresses.count, 0);
}
END_TEST

/* What is written in a short way may print longer than a value may be; then it is refused at once.
 */
START_TEST(test_addresses_grow)
{
    struct config_addresses addresses;
    const char *text = "[::ff:ff]:1,[::ff:ff]:1,[::ff:ff]:1,[::ff:ff]:1,[::ff:ff]:1,[::ff:ff]:1,"
                       "[::ff:ff]:1,[::ff:ff]:1,[::ff:ff]:1,[::ff:ff]:1,[::ff:ff]:1,[::ff:ff]:1,"
                       "[::ff:ff]:1";
    const char *why = "";
    ck_assert_int_eq(config_addresses_parse(text, &addresses, &why), STATUS_BAD_VALUE);
    ck_assert_ptr_nonnull(strstr(why, "longer than"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_value");
    TCase *tcase = tcase_create("config_value");
    tcase_add_loop_test(tcase, test_number, 0, sizeof(numbers) / sizeof(numbers[0]));
    tcase_add_loop_test(tcase, test_refusal, 0, sizeof(refusals) / sizeof(refusals[0]));
    tcase_add_test(tcase, test_print_is_exact);
    tcase_add_test(tcase, test_bool);
    tcase_add_test(tcase, test_text_length);
    tcase_add_test(tcase, test_addresses);
    tcase_add_test(tcase, test_addresses_grow);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
