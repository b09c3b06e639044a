/* The trie as a data structure: nodes come and go, the table grows and shrinks. */
#include "broker/core/trie.h"

#include <stdio.h>

#include "tests/support/chance.h"
#include "tests/support/check_main.h"

static struct trie trie;

static void set_up(void)
{
    ck_assert(trie_init(&trie));
}

static void tear_down(void)
{
    trie_deinit(&trie);
}

static struct trie_node *reach(const char *pattern)
{
    struct trie_node *node = trie_reach(&trie, wire_bytes_of_text(pattern));
    ck_assert_ptr_nonnull(node);
    return node;
}

/* Every plain node is found where its hash says. */
static void check_table(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; trie.cells != NULL && i <= trie.mask; i++) {
        const struct trie_node *node = trie.cells[i].node;
        if (node == NULL)
            continue;
        struct wire_bytes word = trie_word(node);
        if (trie_find_plain(&trie, node->parent, node->edge, word) != node ||
            !trie_may_have(node->parent, hash_bytes(word)))
            ck_abort_msg("cell %u cannot be found", i);
        count++;
    }
    ck_assert_uint_eq(count, trie.plain_count);
}

START_TEST(test_a_pattern_has_one_node)
{
    static const char *const patterns[] = {"a",
                                           "b",
                                           "a.b",
                                           "a.*",
                                           "a.#",
                                           "*",
                                           "#",
                                           "*.*",
                                           "#.a.#",
                                           "a.b.c.d.e.f.g",
                                           "\xc3\xa4",
                                           "abcdefgh",
                                           "abcdefghi",
                                           "abcdefghijkl",
                                           "abcdefghijklm",
                                           "abcdefghijkln.*"};
    enum { COUNT = sizeof patterns / sizeof patterns[0] };
    struct trie_node *nodes[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        nodes[i] = reach(patterns[i]);
        nodes[i]->target_count = 1;
    }
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_ptr_eq(reach(patterns[i]), nodes[i]);
        for (size_t k = 0; k < i; k++)
            ck_assert_ptr_ne(nodes[k], nodes[i]);
    }
    check_table();
}
END_TEST

START_TEST(test_what_leads_nowhere_goes)
{
    struct trie_node *long_one = reach("a.b.*.c.#.d");
    struct trie_node *short_one = reach("a.b");
    long_one->target_count = 1;
    short_one->target_count = 1;
    long_one->target_count = 0;
    trie_prune(&trie, long_one);
    ck_assert_uint_eq(trie.plain_count, 2);
    ck_assert(!trie_goes_on(short_one));
    short_one->target_count = 0;
    trie_prune(&trie, short_one);
    ck_assert_uint_eq(trie.plain_count, 0);
    ck_assert_uint_eq(trie.root->plain_count, 0);
    ck_assert_uint_eq(trie.root->plain_bits, 0);
}
END_TEST

START_TEST(test_the_table_grows_and_shrinks)
{
    enum { MANY = 20000 };
    static struct trie_node *nodes[MANY];
    struct chance chance = {5};
    char pattern[64];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(pattern, sizeof pattern, "w%u.x%u", i % 300, i);
        nodes[i] = reach(pattern);
        nodes[i]->target_count = 1;
    }
    check_table();
    ck_assert_uint_gt(trie.mask, 2 * MANY);
    ck_assert_uint_lt(trie.mask, 8 * MANY);
    for (unsigned left = MANY; left > 0; left--) {
        unsigned i = (unsigned)chance_below(&chance, left);
        nodes[i]->target_count = 0;
        trie_prune(&trie, nodes[i]);
        nodes[i] = nodes[left - 1];
        if (left % 4000 == 1)
            check_table();
    }
    ck_assert_uint_eq(trie.plain_count, 0);
    ck_assert_uint_lt(trie.mask, 64);
}
END_TEST

START_TEST(test_room_for_targets)
{
    static int targets[5000];
    struct trie_node *node = reach("a.#");
    for (uint32_t i = 0; i < 5000; i++) {
        ck_assert(trie_reserve_target(node));
        trie_targets(node)[i] = &targets[i];
        trie_entries(node)[i] = &targets[i] + 1;
        node->target_count++;
    }
    for (uint32_t i = 0; i < 5000; i++)
        ck_assert(trie_targets(node)[i] == &targets[i] && trie_entries(node)[i] == &targets[i] + 1);
}
END_TEST

START_TEST(test_hash_takes_every_byte)
{
    unsigned char text[40];
    for (uint32_t bytes = 0; bytes <= sizeof text; bytes++) {
        memset(text, 'x', sizeof text);
        uint64_t whole = hash_bytes(wire_bytes_of(text, bytes));
        for (uint32_t i = 0; i < bytes; i++) {
            text[i] ^= 1;
            ck_assert_uint_ne(hash_bytes(wire_bytes_of(text, bytes)), whole);
            text[i] ^= 1;
        }
        if (bytes > 0)
            ck_assert_uint_ne(hash_bytes(wire_bytes_of(text, bytes - 1)), whole);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trie");
    TCase *tcase = tcase_create("trie");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_a_pattern_has_one_node);
    tcase_add_test(tcase, test_what_leads_nowhere_goes);
    tcase_add_test(tcase, test_the_table_grows_and_shrinks);
    tcase_add_test(tcase, test_room_for_targets);
    tcase_add_test(tcase, test_hash_takes_every_byte);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
