/* The ring of what is under way: order, growth around its seam, finding by tag. */
#include <check.h>
#include <stdlib.h>

#include "client-lib/ring.h"
#include "tests/support/check_main.h"

START_TEST(test_grows_around_the_seam)
{
    struct ring ring;
    ring_init(&ring);
    uint64_t in = 0;
    uint64_t out = 0;
    for (unsigned round = 0; round < 500; round++) {
        for (unsigned i = 0; i < 3; i++) {
            struct entry entry = {.tag = ++in};
            ck_assert(ring_push(&ring, &entry));
        }
        for (unsigned i = 0; i < 2; i++) {
            ck_assert_uint_eq(ring_at(&ring, 0)->tag, ++out);
            ring_pop(&ring);
        }
    }
    ck_assert_uint_eq(ring.count, 500);
    for (size_t i = 0; i < ring.count; i++)
        ck_assert_uint_eq(ring_at(&ring, i)->tag, out + i + 1);
    ring_deinit(&ring);
}
END_TEST

START_TEST(test_finds_by_tag)
{
    struct ring ring;
    ring_init(&ring);
    ck_assert_ptr_null(ring_find(&ring, 1));
    ck_assert_uint_eq(ring_index_above(&ring, 0), 0);
    for (uint64_t tag = 10; tag <= 100; tag += 10) {
        struct entry entry = {.tag = tag};
        ck_assert(ring_push(&ring, &entry));
    }
    ck_assert_ptr_null(ring_find(&ring, 5));
    ck_assert_ptr_null(ring_find(&ring, 15));
    ck_assert_ptr_null(ring_find(&ring, 110));
    ck_assert_ptr_eq(ring_find(&ring, 10), ring_at(&ring, 0));
    ck_assert_ptr_eq(ring_find(&ring, 100), ring_at(&ring, 9));
    ck_assert_uint_eq(ring_index_above(&ring, 9), 0);
    ck_assert_uint_eq(ring_index_above(&ring, 10), 1);
    ck_assert_uint_eq(ring_index_above(&ring, 100), 10);
    ring_find(&ring, 10)->answered = true;
    ring_find(&ring, 30)->answered = true;
    ck_assert_ptr_null(ring_find(&ring, 10));
    ring_pop_answered(&ring);
    ck_assert_uint_eq(ring_at(&ring, 0)->tag, 20);
    ring_deinit(&ring);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring");
    TCase *ring = tcase_create("ring");
    tcase_add_test(ring, test_grows_around_the_seam);
    tcase_add_test(ring, test_finds_by_tag);
    suite_add_tcase(suite, ring);
    return check_main(suite);
}
