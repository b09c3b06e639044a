/* The order of what is ready, beside one that is looked through. */
#include "broker/core/ready.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/aside.h"
#include "tests/support/chance.h"
#include "tests/support/check_main.h"

enum { COUNT = 500, STEPS = 20000 };

static struct ready ready;
static struct aside asides[COUNT];
static bool is_in[COUNT];
static struct chance chance;

static void set_up(void)
{
    memset(&ready, 0, sizeof ready);
    memset(asides, 0, sizeof asides);
    memset(is_in, 0, sizeof is_in);
    chance.state = 5;
}

static void add(size_t i, uint64_t number, unsigned priority)
{
    asides[i].number = number;
    asides[i].priority = (uint8_t)priority;
    ready_add(&ready, &asides[i]);
    is_in[i] = true;
}

static void take(size_t i)
{
    ready_remove(&ready, &asides[i]);
    is_in[i] = false;
}

/* The best, or the worst, of those that are in; NULL: none. */
static struct aside *look_for(bool is_best)
{
    struct aside *found = NULL;
    for (size_t i = 0; i < COUNT; i++)
        if (is_in[i] && (found == NULL || ready_comes_before(&asides[i], found) == is_best))
            found = &asides[i];
    return found;
}

/* How many nodes stand on the way to the deepest one, looked for from each node upwards. */
static unsigned depth(void)
{
    unsigned deepest = 0;
    for (size_t i = 0; i < COUNT; i++) {
        unsigned above = 0;
        for (struct aside *aside = &asides[i]; is_in[i] && aside != NULL;
             aside = aside->as.links.parent)
            above++;
        deepest = above > deepest ? above : deepest;
    }
    return deepest;
}

START_TEST(test_the_first_and_the_last_are_known)
{
    for (unsigned step = 0; step < STEPS; step++) {
        size_t i = chance_below(&chance, COUNT);
        if (is_in[i])
            take(i);
        else
            add(i, 1 + i, (unsigned)chance_below(&chance, 10));
        ck_assert_ptr_eq(ready.first, look_for(true));
        ck_assert_ptr_eq(ready.last, look_for(false));
    }
    while (ready.first != NULL)
        take((size_t)(ready.first - asides));
    ck_assert_ptr_null(ready.root);
    ck_assert_ptr_null(ready.last);
}
END_TEST

START_TEST(test_all_come_out_in_order)
{
    for (size_t i = 0; i < COUNT; i++)
        add(i, 1 + (i * 7919) % COUNT, (unsigned)(i % 3));
    struct aside before = {.priority = 10};
    for (size_t i = 0; i < COUNT; i++) {
        struct aside *first = ready.first;
        ck_assert(ready_comes_before(&before, first));
        before = *first;
        take((size_t)(first - asides));
    }
    ck_assert_ptr_null(ready.first);
}
END_TEST

/* As commands do that stand aside because they are tracked, and as they do after a start. */
START_TEST(test_it_stays_flat_whatever_comes)
{
    for (int order = 0; order < 3; order++) {
        set_up();
        for (size_t i = 0; i < COUNT; i++)
            add(i, order == 0 ? 1 + i : order == 1 ? COUNT - i : 1 + (i * 7919) % COUNT, 4);
        ck_assert_uint_le(depth(), 40);
        for (size_t i = 0; i < COUNT / 2; i++)
            take((size_t)(ready.first - asides));
        ck_assert_uint_le(depth(), 40);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ready");
    TCase *tcase = tcase_create("ready");
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, test_the_first_and_the_last_are_known);
    tcase_add_test(tcase, test_all_come_out_in_order);
    tcase_add_test(tcase, test_it_stays_flat_whatever_comes);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
