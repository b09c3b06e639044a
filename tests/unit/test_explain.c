/* Routing in words. */
#include "broker/core/explain.h"

#include <stdio.h>

#include "protocol/topic.h"
#include "tests/support/chance.h"
#include "tests/support/check_main.h"

static char why[EXPLAIN_BYTES];

static const struct {
    const char *pattern;
    const char *key;
    const char *why; /* NULL: it matches */
} cases[] = {
    {"a.b", "a.b", NULL},
    {"a.*", "a.b", NULL},
    {"#", "a.b", NULL},
    {"order.eu.*", "order.us.placed", "word 2 is us, not eu"},
    {"order.eu", "invoice.us", "word 1 is invoice, not order"},
    {"order.*", "order", "1 words, not 2"},
    {"order", "order.eu.placed", "3 words, not 1"},
    {"order.eu.#", "order.us.placed", "word 2 is us, not eu"},
    {"#.placed", "order.eu.paid", "word 3 is paid, not placed"},
    {"order.#.placed", "order.eu.x.paid", "word 4 is paid, not placed"},
    {"order.*.*.#", "order.eu", "2 words, not at least 3"},
    {"a.#.b", "a", "1 words, not at least 2"},
    {"a.#.x.#.b", "a.c.d.b", "what stands between the two # is not there"},
    {"#.x.#", "a.c.d.b", "what stands between the two # is not there"},
};

START_TEST(test_what_is_in_the_way_of_a_pattern)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool matches = explain_pattern(wire_bytes_of_text(cases[i].pattern),
                                       wire_bytes_of_text(cases[i].key), why);
        ck_assert_int_eq(matches, cases[i].why == NULL);
        if (!matches)
            ck_assert_str_eq(why, cases[i].why);
    }
}
END_TEST

/* Whatever the pattern, something is said, and only when it does not match. */
START_TEST(test_it_says_what_the_matcher_says)
{
    static const char *const words[] = {"a", "b", "*", "#"};
    struct chance chance = {9};
    for (int i = 0; i < 100000; i++) {
        char text[2][64] = {"", ""};
        for (int which = 0; which < 2; which++) {
            uint64_t count = 1 + chance_below(&chance, 5);
            for (uint64_t k = 0; k < count; k++) {
                size_t at = strlen(text[which]);
                (void)snprintf(text[which] + at, sizeof text[which] - at, "%s%s", k > 0 ? "." : "",
                               words[chance_below(&chance, which == 0 ? 4 : 2)]);
            }
        }
        struct wire_bytes pattern = wire_bytes_of_text(text[0]);
        struct wire_bytes key = wire_bytes_of_text(text[1]);
        if (topic_check_pattern(pattern) != STATUS_OK)
            continue;
        why[0] = '\0';
        bool matches = explain_pattern(pattern, key, why);
        if (matches != topic_match(pattern, key) || matches != (why[0] == '\0'))
            ck_abort_msg("%s, %s: %s", text[0], text[1], why);
    }
}
END_TEST

static unsigned char room[2][4096];

static struct wire_bytes list_of(int which, const char *name, struct wire_bytes value)
{
    struct wire_writer w = wire_writer_of(room[which], sizeof room[which]);
    header_put(&w, wire_bytes_of_text(name), value);
    return wire_bytes_of(room[which], (uint32_t)wire_written(&w));
}

START_TEST(test_what_is_in_the_way_of_a_filter)
{
    struct wire_bytes filter = list_of(0, "tenant", wire_bytes_of_text("acme"));
    struct wire_bytes none = {NULL, 0};
    ck_assert(explain_unmet(none, none, why));
    ck_assert(explain_unmet(filter, filter, why));
    ck_assert(!explain_unmet(filter, none, why));
    ck_assert_str_eq(why, "no header tenant");
    ck_assert(!explain_unmet(filter, list_of(1, "tenant", wire_bytes_of_text("ajax")), why));
    ck_assert_str_eq(why, "header tenant is ajax, not acme");
    ck_assert(!explain_unmet(filter, list_of(1, "tenant", wire_bytes_of("\xff\x00", 2)), why));
    ck_assert_str_eq(why, "header tenant is (2 bytes), not acme");
    ck_assert(!explain_unmet(filter, list_of(1, "tenant", wire_bytes_of_text("a\x1b[2J\n")), why));
    ck_assert_str_eq(why, "header tenant is a?[2J?, not acme");
    ck_assert(!explain_unmet(filter, list_of(1, "tenant", wire_bytes_of_text("\xc2\x9b")), why));
    ck_assert_str_eq(why, "header tenant is ??, not acme");
}
END_TEST

/* A cut never goes through a character, whatever the length. */
START_TEST(test_long_values_are_cut)
{
    char value[1024];
    char text[EXPLAIN_BYTES];
    for (size_t bytes = 0; bytes + 3 < sizeof value; bytes++) {
        memset(value, 'v', bytes);
        memcpy(value + bytes, "\xe2\x82\xac", 4);
        explain_filter(list_of(0, "n", wire_bytes_of_text(value)), text);
        ck_assert(topic_is_utf8(wire_bytes_of_text(text)));
        ck_assert_uint_lt(strlen(text), 80);
    }
    ck_assert_ptr_nonnull(strstr(text, "..."));
}
END_TEST

START_TEST(test_a_filter_as_text)
{
    struct wire_writer w = wire_writer_of(room[0], sizeof room[0]);
    char text[EXPLAIN_BYTES];
    explain_filter(wire_bytes_of(NULL, 0), text);
    ck_assert_str_eq(text, "");
    header_put(&w, wire_bytes_of_text("tenant"), wire_bytes_of_text("acme"));
    header_put(&w, wire_bytes_of_text("kind"), wire_bytes_of_text(""));
    explain_filter(wire_bytes_of(room[0], (uint32_t)wire_written(&w)), text);
    ck_assert_str_eq(text, "tenant=acme, kind=");
    static char name[62];
    memset(name, 'n', sizeof name);
    w = wire_writer_of(room[0], sizeof room[0]);
    for (int i = 0; i < 8; i++) {
        name[0] = (char)('a' + i);
        header_put(&w, wire_bytes_of(name, sizeof name), wire_bytes_of(name, sizeof name));
    }
    explain_filter(wire_bytes_of(room[0], (uint32_t)wire_written(&w)), text);
    ck_assert_uint_lt(strlen(text), EXPLAIN_BYTES - 1);
    ck_assert_ptr_nonnull(strstr(text, ", hnn"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("explain");
    TCase *tcase = tcase_create("explain");
    tcase_add_test(tcase, test_what_is_in_the_way_of_a_pattern);
    tcase_add_test(tcase, test_it_says_what_the_matcher_says);
    tcase_add_test(tcase, test_what_is_in_the_way_of_a_filter);
    tcase_add_test(tcase, test_long_values_are_cut);
    tcase_add_test(tcase, test_a_filter_as_text);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
