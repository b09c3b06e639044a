/* Headers of a program on their way to the wire. */
#include "client-lib/headers.h"

#include "protocol/property.h"
#include "tests/support/check_main.h"

static struct buffer buffer;

static void set_up(void)
{
    buffer_init(&buffer);
}

static void tear_down(void)
{
    buffer_deinit(&buffer);
}

START_TEST(test_what_is_encoded_is_read_again)
{
    const struct herald_header headers[] = {
        {"tenant", 0, "acme", 4}, {"kindness", 4, "a\0b", 3}, {"empty", 0, NULL, 0}};
    static const char *const names[] = {"tenant", "kind", "empty"};
    ck_assert_int_eq(headers_append(&buffer, headers, 3), HERALD_OK);
    struct wire_bytes list = headers_in(&buffer);
    ck_assert_uint_eq(list.bytes, headers_measure(headers, 3));
    ck_assert_int_eq(header_check(list, 3, 1000), STATUS_OK);
    struct wire_reader r = wire_reader_of(list.at, list.bytes);
    struct header header;
    for (size_t i = 0; i < 3; i++) {
        ck_assert(header_next(&r, &header));
        ck_assert(wire_bytes_equal(header.name, wire_bytes_of_text(names[i])));
        ck_assert(wire_bytes_equal(
            header.value, wire_bytes_of(headers[i].value, (uint32_t)headers[i].value_bytes)));
    }
    ck_assert(!header_next(&r, &header));
}
END_TEST

START_TEST(test_none)
{
    ck_assert_int_eq(headers_append(&buffer, NULL, 0), HERALD_OK);
    ck_assert_uint_eq(headers_in(&buffer).bytes, 0);
}
END_TEST

START_TEST(test_what_cannot_be_sent)
{
    static char name[300];
    memset(name, 'n', sizeof name - 1);
    const struct herald_header bad[] = {{NULL, 0, "x", 1},
                                        {"", 0, "x", 1},
                                        {name, 0, "x", 1},
                                        {"large", 0, name, 65536},
                                        {"large", 0, name, 65530}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_uint_eq(headers_measure(&bad[i], 1), 0);
        ck_assert_int_eq(headers_append(&buffer, &bad[i], 1), HERALD_EINVAL);
    }
    ck_assert_uint_eq(headers_in(&buffer).bytes, 0);
    const struct herald_header longest = {name, 255, "x", 1};
    ck_assert_uint_eq(headers_measure(&longest, 1), 1 + 255 + 2 + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("headers");
    TCase *tcase = tcase_create("headers");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_what_is_encoded_is_read_again);
    tcase_add_test(tcase, test_none);
    tcase_add_test(tcase, test_what_cannot_be_sent);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
