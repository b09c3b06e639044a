/* Hash tables with links of their own, beside a plain array. */
#include "broker/core/chains.h"

#include <stdbool.h>
#include <string.h>

#include "tests/support/check_main.h"

enum { ITEMS = 3000, STEPS = 200000 };

struct item {
    struct chain_link link;
    uint64_t number;
    bool is_held;
};

static struct item items[ITEMS];
static struct chains chains;
static uint64_t chance;

static uint64_t draw(uint64_t below)
{
    chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (chance >> 33) % below;
}

static uint64_t hash_of(const struct chain_link *link)
{
    return chains_hash_number(((const struct item *)link)->number);
}

static void set_up(void)
{
    chance = 5;
    chains = (struct chains){0};
    for (unsigned i = 0; i < ITEMS; i++)
        items[i] = (struct item){.number = (uint64_t)i << draw(20)};
}

static void tear_down(void)
{
    chains_deinit(&chains);
}

static void change(struct item *item)
{
    if (item->is_held) {
        chains_remove(&chains, hash_of(&item->link), &item->link);
    } else {
        ck_assert_int_eq(chains_reserve(&chains, 1, hash_of), STATUS_OK);
        chains_add(&chains, hash_of(&item->link), &item->link);
    }
    item->is_held = !item->is_held;
}

static bool is_found(const struct item *item)
{
    const struct chain_link *link = chains_find(&chains, hash_of(&item->link));
    while (link != NULL && link != &item->link)
        link = link->next;
    return link != NULL;
}

static unsigned count_held(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < ITEMS; i++)
        count += items[i].is_held;
    return count;
}

static unsigned count_walked(void)
{
    unsigned count = 0;
    struct chain_link *link = chains_next(&chains, 0, NULL);
    for (; link != NULL; link = chains_next(&chains, hash_of(link), link)) {
        ck_assert(((struct item *)link)->is_held);
        count++;
    }
    return count;
}

START_TEST(test_against_an_array)
{
    for (unsigned i = 0; i < STEPS; i++) {
        change(&items[draw(ITEMS)]);
        const struct item *item = &items[draw(ITEMS)];
        ck_assert(is_found(item) == item->is_held);
        if (i % 1000 == 0) {
            ck_assert_uint_eq(chains.count, count_held());
            ck_assert_uint_eq(count_walked(), chains.count);
        }
    }
}
END_TEST

START_TEST(test_all_may_be_removed_on_the_way)
{
    for (unsigned i = 0; i < ITEMS; i++)
        change(&items[i]);
    struct chain_link *link = chains_next(&chains, 0, NULL);
    while (link != NULL) {
        struct chain_link *next = chains_next(&chains, hash_of(link), link);
        change((struct item *)link);
        link = next;
    }
    ck_assert_uint_eq(chains.count, 0);
    ck_assert_ptr_null(chains_next(&chains, 0, NULL));
}
END_TEST

START_TEST(test_the_table_grows_and_shrinks)
{
    for (unsigned i = 0; i < ITEMS; i++)
        change(&items[i]);
    ck_assert_uint_eq(chains.room, 4096);
    for (unsigned i = 0; i + 1 < ITEMS; i++)
        change(&items[i]);
    change(&items[0]); /* what comes next sees that most is empty */
    ck_assert_uint_eq(chains.room, 1024);
    ck_assert(is_found(&items[ITEMS - 1]) && is_found(&items[0]));
}
END_TEST

/* Each queue of sixteen gets every sixteenth number, and of thousands every so manieth. */
START_TEST(test_numbers_with_gaps_are_spread)
{
    static const uint64_t steps[] = {1, 2, 16, 64, 1024, 4096, 65536, 1000003};
    uint64_t step = steps[_i];
    static uint32_t chain[4096];
    memset(chain, 0, sizeof chain);
    uint64_t squares = 0;
    for (uint64_t i = 0; i < 4096; i++)
        chain[chains_hash_number(123456 + i * step) & 4095]++;
    for (unsigned i = 0; i < 4096; i++)
        squares += (uint64_t)chain[i] * chain[i];
    ck_assert_uint_le(squares, UINT64_C(3) * 4096); /* at random: two for each */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chains");
    TCase *tcase = tcase_create("chains");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_against_an_array);
    tcase_add_test(tcase, test_all_may_be_removed_on_the_way);
    tcase_add_test(tcase, test_the_table_grows_and_shrinks);
    tcase_add_loop_test(tcase, test_numbers_with_gaps_are_spread, 0, 8);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
