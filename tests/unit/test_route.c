/* Routing keys against the plain meaning of patterns: all short ones, random ones while bindings
 * come and go, and what is bound by one pattern. Q9. */
#include "broker/core/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/topic.h"
#include "tests/support/chance.h"
#include "tests/support/check_main.h"

enum { TEXT_BYTES = 80 };

/* One that is bound; its target is itself. */
struct bound {
    struct route_entry entry;
    char pattern[TEXT_BYTES];
    unsigned seen; /* the key that found it last */
};

static struct router *router;
static struct route *route;

static void set_up(void)
{
    router = router_new();
    route = route_new(router);
}

static void tear_down(void)
{
    route_free(route);
    router_free(router);
}

/* The meaning of a pattern, on the texts as they stand: no words, no steps, no tables. */
static bool means(const char *pattern, const char *key)
{
    size_t word = strcspn(pattern, ".");
    const char *rest = pattern[word] == '.' ? pattern + word + 1 : NULL;
    size_t key_word = key != NULL ? strcspn(key, ".") : 0;
    const char *key_rest = key != NULL && key[key_word] == '.' ? key + key_word + 1 : NULL;
    if (pattern[0] == '#') {
        bool none = rest != NULL ? means(rest, key) : key == NULL;
        return none || (key != NULL && means(pattern, key_rest));
    }
    if (key == NULL)
        return false;
    bool same = word == key_word && memcmp(pattern, key, word) == 0;
    if (pattern[0] != '*' && !same)
        return false;
    return rest != NULL ? means(rest, key_rest) : key_rest == NULL;
}

static void bind(struct bound *bound)
{
    ck_assert_int_eq(route_add(route, wire_bytes_of_text(bound->pattern), bound, &bound->entry),
                     STATUS_OK);
}

/* Marks what the key finds with a number, each once; 0 marks nothing. Returns how many. */
static size_t find(const char *key, unsigned number)
{
    void *const *targets;
    size_t count;
    ck_assert_int_eq(route_find(route, wire_bytes_of_text(key), &targets, &count), STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        struct bound *bound = targets[i];
        if (number != 0 && bound->seen == number)
            ck_abort_msg("%s is found twice for %s", bound->pattern, key);
        bound->seen = number;
    }
    return count;
}

/* --- all of them --------------------------------------------------------------------------------
 */

enum { PATTERN_WORDS = 5, PATTERNS = 1364, KEY_WORDS = 6, KEYS = 1092 };

/* The text of a number: words of an alphabet, shorter texts first. */
static void spell(unsigned number, const char *alphabet, char text[TEXT_BYTES])
{
    unsigned letters = (unsigned)strlen(alphabet);
    char *to = text;
    for (number++; number > 0; number = (number - 1) / letters) {
        if (to > text)
            *to++ = '.';
        *to++ = alphabet[(number - 1) % letters];
    }
    *to = '\0';
}

static unsigned compared;

static void compare_all(const struct bound *all, unsigned count)
{
    for (unsigned k = 0; k < KEYS; k++) {
        char key[TEXT_BYTES];
        spell(k, "abc", key);
        unsigned number = ++compared;
        find(key, number);
        for (unsigned i = 0; i < count; i++) {
            bool expected = all[i].entry.node != NULL && means(all[i].pattern, key);
            if ((all[i].seen == number) != expected)
                ck_abort_msg("pattern %s, key %s", all[i].pattern, key);
        }
    }
}

START_TEST(test_all_short_patterns_and_keys)
{
    static struct bound all[PATTERNS];
    unsigned count = 0;
    for (unsigned i = 0; i < PATTERNS; i++) {
        spell(i, "ab*#", all[count].pattern);
        if (topic_check_pattern(wire_bytes_of_text(all[count].pattern)) == STATUS_OK)
            bind(&all[count++]);
    }
    ck_assert_uint_gt(count * KEYS, 1000000);
    ck_assert_uint_eq(strlen(all[count - 1].pattern), 2 * PATTERN_WORDS - 1);
    compare_all(all, count);
    /* And with every third of them gone, which leaves nodes with and without targets. */
    for (unsigned i = 0; i < count; i += 3)
        route_remove(route, &all[i].entry);
    compare_all(all, count);
}
END_TEST

START_TEST(test_matching_two_texts_says_the_same)
{
    for (unsigned i = 0; i < PATTERNS; i++) {
        char pattern[TEXT_BYTES];
        spell(i, "ab*#", pattern);
        if (topic_check_pattern(wire_bytes_of_text(pattern)) != STATUS_OK)
            continue;
        for (unsigned k = 0; k < KEYS; k++) {
            char key[TEXT_BYTES];
            spell(k, "abc", key);
            if (topic_match(wire_bytes_of_text(pattern), wire_bytes_of_text(key)) !=
                means(pattern, key))
                ck_abort_msg("pattern %s, key %s", pattern, key);
        }
    }
}
END_TEST

/* --- while they come and go ---------------------------------------------------------------------
 */

enum { BOUND_MAX = 400 };

/* Words of a small alphabet, at most two of them `#`. */
static void make_text(struct chance *chance, char *text, bool is_pattern)
{
    static const char *const words[] = {"a", "b", "order", "eu-central-1", "*", "#"};
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

START_TEST(test_while_bindings_come_and_go)
{
    static struct bound all[BOUND_MAX];
    struct chance chance = {(uint64_t)_i + 1};
    memset(all, 0, sizeof all);
    for (unsigned turn = 1; turn < 4000; turn++) {
        struct bound *bound = &all[chance_below(&chance, BOUND_MAX)];
        uint64_t what = chance_below(&chance, 20);
        if (what < 3 && bound->entry.node == NULL) {
            make_text(&chance, bound->pattern, true);
            bind(bound);
        } else if (what < 5) {
            route_remove(route, &bound->entry);
        }
        char key[TEXT_BYTES];
        make_text(&chance, key, false);
        find(key, turn);
        for (size_t i = 0; i < BOUND_MAX; i++) {
            bool expected = all[i].entry.node != NULL && means(all[i].pattern, key);
            if ((all[i].seen == turn) != expected)
                ck_abort_msg("pattern %s, key %s", all[i].pattern, key);
        }
    }
    for (size_t i = 0; i < BOUND_MAX; i++)
        route_remove(route, &all[i].entry);
    ck_assert_uint_eq(find("a.b", 0), 0);
}
END_TEST

START_TEST(test_entries_are_those_of_the_targets)
{
    static struct bound all[3] = {{.pattern = "a.#"}, {.pattern = "a.*"}, {.pattern = "a.*"}};
    void *const *entries;
    size_t count;
    for (size_t i = 0; i < 3; i++)
        bind(&all[i]);
    ck_assert_int_eq(route_find_entries(route, wire_bytes_of_text("a.b"), &entries, &count),
                     STATUS_OK);
    ck_assert_uint_eq(count, 3);
    bool seen[3] = {false};
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < 3; k++)
            seen[k] |= entries[i] == &all[k].entry;
    ck_assert(seen[0] && seen[1] && seen[2]);
}
END_TEST

/* --- many and bad -------------------------------------------------------------------------------
 */

/* Quadratic, this would take minutes. */
START_TEST(test_a_hundred_thousand_by_one_pattern)
{
    enum { MANY = 100000 };
    struct bound *all = calloc(MANY, sizeof *all);
    struct chance chance = {3};
    for (size_t i = 0; i < MANY; i++) {
        memcpy(all[i].pattern, "news.*", sizeof "news.*");
        bind(&all[i]);
    }
    ck_assert_uint_eq(find("news.eu", 1), MANY);
    for (size_t left = MANY; left > 0; left--) {
        /* In no order: one of those that are left changes places with the last of them. */
        size_t i = (size_t)chance_below(&chance, left);
        route_remove(route, &all[i].entry);
        if (i != left - 1) {
            struct bound *last = &all[left - 1];
            route_remove(route, &last->entry);
            bind(&all[i]);
        }
    }
    ck_assert_uint_eq(find("news.eu", 2), 0);
    free(all);
}
END_TEST

static void bind_spelled(struct bound *bound, size_t count, const char *front, const char *back)
{
    for (size_t i = 0; i < count; i++) {
        char middle[32];
        for (size_t bit = 0; bit < 16; bit++) {
            middle[2 * bit] = (i >> bit & 1) != 0 ? 'a' : '*';
            middle[2 * bit + 1] = '.';
        }
        middle[31] = '\0';
        (void)snprintf(bound[i].pattern, TEXT_BYTES, "%s%s%s", front, middle, back);
        bind(&bound[i]);
    }
}

/* Patterns made to have a key tried on as many ways as can be: no more steps than nodes, and with a
 * `#` in front, than nodes times words. */
START_TEST(test_bad_patterns_are_bounded)
{
    enum { MANY = 1 << 14, KEY_WORDS_MAX = 32 };
    struct bound *all = calloc(MANY, sizeof *all);
    char key[2 * KEY_WORDS_MAX];
    for (size_t i = 0; i < KEY_WORDS_MAX; i++) {
        key[2 * i] = 'a';
        key[2 * i + 1] = '.';
    }
    key[2 * KEY_WORDS_MAX - 1] = '\0';
    const char *fronts[] = {"", "#.", "#.a.#."};
    for (size_t i = 0; i < 3; i++) {
        bind_spelled(all, MANY, fronts[i], ".z");
        uint64_t before = router_step_count(router);
        ck_assert_uint_eq(find(key, 0), 0);
        uint64_t nodes = 5 * MANY + 64;
        ck_assert_uint_le(router_step_count(router) - before,
                          i == 0 ? nodes : nodes * KEY_WORDS_MAX);
        for (size_t k = 0; k < MANY; k++)
            route_remove(route, &all[k].entry);
    }
    free(all);
}
END_TEST

/* However often both `#` could take over from each other. */
START_TEST(test_two_hashes_take_each_word_once)
{
    static struct bound one = {.pattern = "#.a.#.a.z"};
    char key[64] = "a";
    bind(&one);
    for (int i = 1; i < 31; i++)
        strncat(key, ".a", sizeof key - strlen(key) - 1);
    uint64_t before = router_step_count(router);
    ck_assert_uint_eq(find(key, 1), 0);
    ck_assert_uint_le(router_step_count(router) - before, 5 * 31);
    strncat(key, ".z", sizeof key - strlen(key) - 1);
    ck_assert_uint_eq(find(key, 2), 1);
}
END_TEST

/* --- what is remembered -------------------------------------------------------------------------
 */

static bool is_searched(const char *key)
{
    uint64_t before = router_step_count(router);
    find(key, 0);
    return router_step_count(router) > before;
}

static struct bound hot = {.pattern = "a.*"};
static struct bound other = {.pattern = "b.*"};

START_TEST(test_a_key_is_remembered_until_a_binding_changes)
{
    bind(&hot);
    ck_assert(is_searched("a.b"));
    ck_assert(!is_searched("a.b"));
    ck_assert(is_searched("a.c"));
    bind(&other);
    ck_assert(is_searched("a.b"));
    ck_assert(!is_searched("a.b"));
    route_remove(route, &other.entry);
    ck_assert(is_searched("a.b"));
    ck_assert_uint_eq(find("a.b", 2), 1);
    route_remove(route, &hot.entry);
    ck_assert_uint_eq(find("a.b", 3), 0);
}
END_TEST

/* Keys that never come again, and bindings that change all the time: after a trial nothing is
 * looked up or kept, and after a rest it is tried again. */
static void check_rest(bool by_churn)
{
    enum { TRIAL = 4096, REST = 16 * TRIAL };
    bind(&hot);
    for (unsigned i = 0; i < TRIAL; i++) {
        char key[TEXT_BYTES];
        (void)snprintf(key, sizeof key, "a.%u", by_churn ? 0 : i);
        if (by_churn) {
            bind(&other);
            route_remove(route, &other.entry);
        }
        find(key, 0);
    }
    for (unsigned i = 0; i < REST; i++)
        if (!is_searched("a.b"))
            ck_abort_msg("asked although it does not help: %u", i);
    is_searched("a.b");
    ck_assert(!is_searched("a.b"));
}

START_TEST(test_what_does_not_help_is_not_asked)
{
    check_rest(_i == 1);
}
END_TEST

/* Two exchanges with the same patterns are two all the same. */
START_TEST(test_routes_do_not_mix)
{
    struct route *second = route_new(router);
    static struct bound one = {.pattern = "#"};
    void *const *targets;
    size_t count;
    bind(&one);
    ck_assert_uint_eq(find("a", 1), 1);
    ck_assert_int_eq(route_find(second, wire_bytes_of_text("a"), &targets, &count), STATUS_OK);
    ck_assert_uint_eq(count, 0);
    ck_assert_uint_eq(find("a", 2), 1);
    route_free(second);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route");
    TCase *tcase = tcase_create("route");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_all_short_patterns_and_keys);
    tcase_add_test(tcase, test_matching_two_texts_says_the_same);
    tcase_add_loop_test(tcase, test_while_bindings_come_and_go, 0, 4);
    tcase_add_test(tcase, test_entries_are_those_of_the_targets);
    tcase_add_test(tcase, test_a_hundred_thousand_by_one_pattern);
    tcase_add_test(tcase, test_bad_patterns_are_bounded);
    tcase_add_test(tcase, test_two_hashes_take_each_word_once);
    tcase_add_test(tcase, test_a_key_is_remembered_until_a_binding_changes);
    tcase_add_loop_test(tcase, test_what_does_not_help_is_not_asked, 0, 2);
    tcase_add_test(tcase, test_routes_do_not_mix);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
