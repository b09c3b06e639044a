/* Bodies of `$sys` are JSON whatever they tell of. */
#include "broker/core/sys_body.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/check_main.h"

static unsigned char room[SYS_BODY_BYTES_MAX + 1];

static const char *body_of(const struct sys_event *event)
{
    uint32_t bytes = sys_body_put(room, event, 1700000000123);
    ck_assert_uint_le(bytes, SYS_BODY_BYTES_MAX);
    room[bytes] = '\0';
    return (const char *)room;
}

START_TEST(test_fields_stand_in_their_order)
{
    struct sys_event event = {SYS_QUEUE_OVERFLOW,
                              .as.queue_overflow = {.queue = wire_bytes_of_text("work"),
                                                    .messages = 3,
                                                    .bytes = UINT64_MAX}};
    ck_assert_str_eq(body_of(&event), "{\"time_ms\":1700000000123,\"queue\":\"work\","
                                      "\"messages\":3,\"bytes\":18446744073709551615}");
}
END_TEST

START_TEST(test_texts)
{
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        {"", ""},
        {"say \"no\"", "say \\\"no\\\""},
        {"C:\\dir", "C:\\\\dir"},
        {"a\nb\x01", "a\\u000ab\\u0001"},
        {"\x7f\xc3\xa9", "\x7f\xc3\xa9"},
        {"\xff\xfe", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char expected[128];
        struct sys_event event = {SYS_EXCHANGE_DELETED,
                                  .as.exchange_deleted.exchange = wire_bytes_of_text(rows[i].text)};
        (void)snprintf(expected, sizeof expected, "{\"time_ms\":1700000000123,\"exchange\":\"%s\"}",
                       rows[i].expected);
        ck_assert_str_eq(body_of(&event), expected);
    }
}
END_TEST

/* The longest that may come: every character takes six. */
START_TEST(test_the_largest_fits)
{
    static char longest[513];
    memset(longest, '\x01', sizeof longest - 1);
    struct wire_bytes text = wire_bytes_of_text(longest);
    struct sys_event event = {SYS_COMMAND_PARKED, .as.command_parked = {.queue = text,
                                                                        .number = UINT64_MAX,
                                                                        .attempts = UINT64_MAX,
                                                                        .code = text,
                                                                        .text = text}};
    const char *body = body_of(&event);
    ck_assert_uint_gt(strlen(body), 3 * 512 * 6);
    ck_assert_int_eq(body[strlen(body) - 1], '}');
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sys_body");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_fields_stand_in_their_order);
    tcase_add_test(tcase, test_texts);
    tcase_add_test(tcase, test_the_largest_fits);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
