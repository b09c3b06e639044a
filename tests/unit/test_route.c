/* The trie of an exchange against the naive matcher, binding by binding: Q9. */
#include "broker/core/route.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/chance.h"
#include "tests/support/check_main.h"
#include "tests/support/topic_naive.h"

enum { TARGETS = 12, BINDINGS_MAX = 200, TEXT_BYTES = 64 };

struct pair {
    char pattern[TEXT_BYTES];
    size_t target;
};

struct table {
    struct pair pairs[BINDINGS_MAX];
    size_t count;
};

static char targets[TARGETS];

/* Words of a small alphabet, at most two of them `#`. */
static void make_text(struct chance *chance, char *text, bool is_pattern)
{
    static const char *const words[] = {"a", "b", "order", "eu", "*", "#"};
    uint64_t count = 1 + chance_below(chance, 5);
    int hash_count = 0;
    text[0] = '\0';
    for (uint64_t i = 0; i < count; i++) {
        uint64_t word = chance_below(chance, is_pattern ? 6 : 4);
        if (word == 5 && ++hash_count > 2)
            word = 0;
        size_t at = strlen(text);
        (void)snprintf(text + at, TEXT_BYTES - at, "%s%s", i > 0 ? "." : "", words[word]);
    }
}

static void bind_one(struct route *route, struct table *table, struct chance *chance)
{
    struct pair pair = {.target = (size_t)chance_below(chance, TARGETS)};
    make_text(chance, pair.pattern, true);
    bool is_there = false;
    for (size_t i = 0; i < table->count; i++)
        is_there |= table->pairs[i].target == pair.target &&
                    strcmp(table->pairs[i].pattern, pair.pattern) == 0;
    bool added;
    ck_assert_int_eq(
        route_add(route, wire_bytes_of_text(pair.pattern), &targets[pair.target], &added),
        STATUS_OK);
    ck_assert_int_eq(added, !is_there);
    if (!is_there)
        table->pairs[table->count++] = pair;
}

static void unbind_one(struct route *route, struct table *table, struct chance *chance)
{
    if (table->count == 0)
        return;
    size_t i = (size_t)chance_below(chance, table->count);
    struct pair *pair = &table->pairs[i];
    ck_assert(route_remove(route, wire_bytes_of_text(pair->pattern), &targets[pair->target]));
    ck_assert(!route_remove(route, wire_bytes_of_text(pair->pattern), &targets[pair->target]));
    *pair = table->pairs[--table->count];
}

static bool matches(const char *pattern, const char *key)
{
    struct topic_words pattern_words;
    struct topic_words key_words;
    topic_split(wire_bytes_of_text(pattern), &pattern_words);
    topic_split(wire_bytes_of_text(key), &key_words);
    return topic_match_naive(&pattern_words, &key_words);
}

static void match_one(struct route *route, const struct table *table, struct chance *chance)
{
    char key[TEXT_BYTES];
    bool expected[TARGETS] = {false};
    bool found[TARGETS] = {false};
    make_text(chance, key, false);
    for (size_t i = 0; i < table->count; i++)
        expected[table->pairs[i].target] |= matches(table->pairs[i].pattern, key);
    void *const *matched;
    size_t count;
    ck_assert_int_eq(route_find(route, wire_bytes_of_text(key), &matched, &count), STATUS_OK);
    for (size_t i = 0; i < count; i++)
        found[(char *)matched[i] - targets] = true;
    for (size_t i = 0; i < TARGETS; i++)
        ck_assert_msg(expected[i] == found[i], "key %s, target %zu", key, i);
}

START_TEST(test_random_bindings)
{
    static struct table table;
    table.count = 0;
    struct chance chance = {(uint64_t)_i + 1};
    struct route *route = route_new();
    for (int i = 0; i < 6000; i++) {
        uint64_t what = chance_below(&chance, 20);
        if (what < 2 && table.count < BINDINGS_MAX)
            bind_one(route, &table, &chance);
        else if (what == 2)
            unbind_one(route, &table, &chance);
        else
            match_one(route, &table, &chance);
    }
    while (table.count > 0)
        unbind_one(route, &table, &chance);
    match_one(route, &table, &chance);
    route_free(route);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route");
    TCase *tcase = tcase_create("route");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_random_bindings, 0, 8);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
