/* Filters against a plain reference, and everything that is no filter. */
#include "broker/core/filter.h"

#include <stdio.h>

#include "tests/support/chance.h"
#include "tests/support/check_main.h"

enum { LIST_BYTES = 4096 };

struct list {
    unsigned char at[LIST_BYTES];
    struct wire_writer w;
};

static void begin(struct list *list)
{
    list->w = wire_writer_of(list->at, sizeof list->at);
}

static void add(struct list *list, const char *name, const char *value)
{
    header_put(&list->w, wire_bytes_of_text(name), wire_bytes_of_text(value));
}

static struct wire_bytes bytes_of(const struct list *list)
{
    ck_assert(!list->w.failed);
    return wire_bytes_of(list->at, (uint32_t)wire_written(&list->w));
}

START_TEST(test_all_entries_with_exactly_that_value)
{
    struct list headers;
    struct list filter;
    begin(&headers);
    add(&headers, "tenant", "acme");
    add(&headers, "kind", "big");
    add(&headers, "empty", "");
    static const struct {
        const char *name;
        const char *value;
        bool is_met;
    } entries[] = {
        {"tenant", "acme", true},   {"kind", "big", true},      {"empty", "", true},
        {"tenant", "acm", false},   {"tenant", "acmes", false}, {"tenant", "Acme", false},
        {"tenants", "acme", false}, {"tenan", "acme", false},   {"empty", "x", false},
        {"none", "", false},        {"Tenant", "acme", false},
    };
    enum { ENTRIES = sizeof entries / sizeof entries[0] };
    for (size_t i = 0; i < ENTRIES; i++)
        for (size_t k = 0; k < ENTRIES; k++) {
            begin(&filter);
            add(&filter, entries[i].name, entries[i].value);
            add(&filter, entries[k].name, entries[k].value);
            ck_assert_msg(filter_matches(bytes_of(&filter), bytes_of(&headers)) ==
                              (entries[i].is_met && entries[k].is_met),
                          "entries %zu and %zu", i, k);
        }
}
END_TEST

START_TEST(test_empty_lists)
{
    struct list some;
    struct wire_bytes nothing = {NULL, 0};
    struct header unmet;
    begin(&some);
    add(&some, "a", "1");
    ck_assert(filter_matches(nothing, nothing));
    ck_assert(filter_matches(nothing, bytes_of(&some)));
    ck_assert(!filter_matches(bytes_of(&some), nothing));
    ck_assert(!filter_find_unmet(nothing, nothing, &unmet));
    ck_assert(filter_find_unmet(bytes_of(&some), nothing, &unmet));
    ck_assert(wire_bytes_equal(unmet.name, wire_bytes_of_text("a")));
    ck_assert_int_eq(filter_check(nothing), STATUS_OK);
}
END_TEST

START_TEST(test_values_are_opaque)
{
    unsigned char at[32];
    struct wire_writer w = wire_writer_of(at, sizeof at);
    header_put(&w, wire_bytes_of_text("x"), wire_bytes_of("a\0b", 3));
    struct wire_bytes filter = wire_bytes_of(at, (uint32_t)wire_written(&w));
    struct list headers;
    ck_assert_int_eq(filter_check(filter), STATUS_OK);
    ck_assert(filter_matches(filter, filter));
    begin(&headers);
    add(&headers, "x", "a");
    ck_assert(!filter_matches(filter, bytes_of(&headers)));
}
END_TEST

START_TEST(test_limits_and_malformed)
{
    struct list list;
    char name[16];
    for (int count = 1; count <= FILTER_COUNT_MAX + 1; count++) {
        begin(&list);
        for (int i = 0; i < count; i++) {
            (void)snprintf(name, sizeof name, "n%d", i);
            add(&list, name, "v");
        }
        ck_assert_int_eq(filter_check(bytes_of(&list)),
                         count <= FILTER_COUNT_MAX ? STATUS_OK : STATUS_BAD_HEADER);
    }
    static char value[FILTER_BYTES_MAX];
    memset(value, 'v', sizeof value - 1);
    for (uint32_t bytes = FILTER_BYTES_MAX - 1; bytes <= FILTER_BYTES_MAX + 1; bytes++) {
        begin(&list);
        header_put(&list.w, wire_bytes_of_text("n"), wire_bytes_of(value, bytes - 4));
        ck_assert_uint_eq(bytes_of(&list).bytes, bytes);
        ck_assert_int_eq(filter_check(bytes_of(&list)),
                         bytes <= FILTER_BYTES_MAX ? STATUS_OK : STATUS_BAD_HEADER);
    }
    begin(&list);
    add(&list, "twice", "1");
    add(&list, "twice", "2");
    ck_assert_int_eq(filter_check(bytes_of(&list)), STATUS_BAD_HEADER);
    begin(&list);
    add(&list, "", "1");
    ck_assert_int_eq(filter_check(bytes_of(&list)), STATUS_BAD_HEADER);
    begin(&list);
    add(&list, "\xff", "1");
    ck_assert_int_eq(filter_check(bytes_of(&list)), STATUS_BAD_HEADER);
    begin(&list);
    add(&list, "name", "value");
    for (uint32_t bytes = 1; bytes < bytes_of(&list).bytes; bytes++)
        ck_assert_int_eq(filter_check(wire_bytes_of(list.at, bytes)), STATUS_BAD_HEADER);
}
END_TEST

/* A list is a set of small numbers here: bit 4 n + v says that header n has the value v. */
static uint32_t make_set(struct chance *chance, struct list *list)
{
    uint32_t set = 0;
    begin(list);
    uint64_t first = chance_below(chance, 4); /* the order says nothing */
    for (uint64_t i = 0; i < 4; i++) {
        unsigned n = (unsigned)((first + i) % 4);
        unsigned v = (unsigned)chance_below(chance, 6);
        if (v >= 4)
            continue;
        char name[] = {(char)('a' + n), '\0'};
        char value[] = {(char)('0' + v), '\0'};
        add(list, name, value);
        set |= 1U << (4 * n + v);
    }
    return set;
}

START_TEST(test_filters_are_subsets)
{
    struct chance chance = {11};
    for (int i = 0; i < 50000; i++) {
        struct list filter;
        struct list headers;
        uint32_t wanted = make_set(&chance, &filter);
        uint32_t there = make_set(&chance, &headers);
        struct wire_bytes a = bytes_of(&filter);
        struct wire_bytes b = bytes_of(&headers);
        if (filter_matches(a, b) != ((wanted & ~there) == 0))
            ck_abort_msg("filter %x, headers %x", wanted, there);
        if (filter_is_same(a, b) != (wanted == there))
            ck_abort_msg("filters %x and %x", wanted, there);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filter");
    TCase *tcase = tcase_create("filter");
    tcase_add_test(tcase, test_all_entries_with_exactly_that_value);
    tcase_add_test(tcase, test_empty_lists);
    tcase_add_test(tcase, test_values_are_opaque);
    tcase_add_test(tcase, test_limits_and_malformed);
    tcase_add_test(tcase, test_filters_are_subsets);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
