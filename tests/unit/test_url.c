/* URLs: what is taken apart how, and what is refused with which words. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/url.h"
#include "tests/support/check_main.h"

START_TEST(test_good)
{
    static const struct {
        const char *text;
        enum url_kind kind;
        const char *host, *port, *path, *user;
    } cases[] = {
        {"herald://host", URL_TCP, "host", "7440", "", ""},
        {"herald://host/", URL_TCP, "host", "7440", "", ""},
        {"herald://10.0.0.1:99", URL_TCP, "10.0.0.1", "99", "", ""},
        {"herald://me@host:1", URL_TCP, "host", "1", "", "me"},
        {"herald://[::1]:7000", URL_TCP, "::1", "7000", "", ""},
        {"herald://me@[fe80::1]", URL_TCP, "fe80::1", "7440", "", "me"},
        {"heralds://host", URL_TLS, "host", "7441", "", ""},
        {"unix:/run/x.sock", URL_UNIX, "", "", "/run/x.sock", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct url url;
        const char *reason = NULL;
        ck_assert_msg(url_parse(&url, cases[i].text, &reason), "%s: %s", cases[i].text, reason);
        ck_assert_int_eq(url.kind, cases[i].kind);
        ck_assert_str_eq(url.host, cases[i].host);
        ck_assert_str_eq(url.port, cases[i].port);
        ck_assert_str_eq(url.path, cases[i].path);
        ck_assert_str_eq(url.user, cases[i].user);
    }
}
END_TEST

START_TEST(test_bad)
{
    static const char *const cases[] = {
        "",
        "host",
        "http://host",
        "herald:/host",
        "herald://",
        "herald://:7440",
        "herald://host:",
        "herald://host:0",
        "herald://host:65536",
        "herald://host:123456",
        "herald://host:80x",
        "herald://host/queue",
        "herald://@host",
        "herald://me@",
        "herald://[::1",
        "herald://[::1]x",
        "unix:",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct url url;
        const char *reason = NULL;
        ck_assert_msg(!url_parse(&url, cases[i], &reason), "%s", cases[i]);
        ck_assert_ptr_nonnull(reason);
    }
}
END_TEST

START_TEST(test_lengths)
{
    struct url url;
    const char *reason = NULL;
    char text[600];
    memcpy(text, "unix:", 5);
    memset(text + 5, '/', 107);
    text[112] = '\0';
    ck_assert(url_parse(&url, text, &reason));
    text[112] = '/';
    text[113] = '\0';
    ck_assert(!url_parse(&url, text, &reason));
    memcpy(text, "herald://", 9);
    memset(text + 9, 'h', 255);
    text[264] = '\0';
    ck_assert(url_parse(&url, text, &reason));
    text[264] = 'h';
    text[265] = '\0';
    ck_assert(!url_parse(&url, text, &reason));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("url");
    TCase *url = tcase_create("url");
    tcase_add_test(url, test_good);
    tcase_add_test(url, test_bad);
    tcase_add_test(url, test_lengths);
    suite_add_tcase(suite, url);
    return check_main(suite);
}
