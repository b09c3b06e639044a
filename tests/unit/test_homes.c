/* Counting homes: segments without one go, oldest first, and what lives is estimated. */
#include "broker/store/homes.h"

#include "tests/support/check_main.h"

enum { SEGMENT_BYTES = 65536 };

static struct homes homes;

static uint64_t at(uint64_t segment)
{
    return segment * SEGMENT_BYTES + 4096;
}

static void setup(void)
{
    homes_init(&homes, SEGMENT_BYTES, 5);
    ck_assert_int_eq(homes_reserve(&homes, 9), STATUS_OK);
}

static void teardown(void)
{
    homes_deinit(&homes);
}

START_TEST(test_only_the_oldest_go)
{
    homes_state(&homes, at(6), 1, 1, 100);
    homes_state(&homes, at(8), 2, 2, 200);
    ck_assert_uint_eq(homes_trim(&homes, 9), 6);
    homes_remove(&homes, at(8), 2, 2);
    ck_assert_uint_eq(homes_trim(&homes, 9), 6);
    homes_remove(&homes, at(6), 1, 1);
    ck_assert_uint_eq(homes_trim(&homes, 8), 8);
    ck_assert_uint_eq(homes_trim(&homes, 9), 9);
}
END_TEST

START_TEST(test_a_pin_keeps_and_weighs_nothing)
{
    homes_state(&homes, at(5), 1, 1, 100);
    homes_pin(&homes, at(5));
    homes_remove(&homes, at(5), 1, 1);
    ck_assert_uint_eq(homes_live_bytes(&homes), 0);
    ck_assert_uint_eq(homes_trim(&homes, 9), 5);
    homes_unpin(&homes, at(5));
    ck_assert_uint_eq(homes_trim(&homes, 9), 9);
    ck_assert(!homes_may_pin(&homes, at(8)));
    ck_assert(homes_may_pin(&homes, at(9)));
    ck_assert(!homes_may_pin(&homes, at(10)));
}
END_TEST

/* What lives is the share of the weight that is left, in each segment for itself. */
START_TEST(test_what_lives)
{
    homes_state(&homes, at(5), 2, 10, 1000);
    homes_state(&homes, at(7), 1, 1, 500);
    homes_remove(&homes, at(5), 1, 4);
    ck_assert_uint_eq(homes_oldest_live_bytes(&homes), 600);
    ck_assert_uint_eq(homes_live_bytes(&homes), 1100);
    homes_remove(&homes, at(5), 1, 6);
    ck_assert_uint_eq(homes_trim(&homes, 9), 7);
    ck_assert_uint_eq(homes_oldest_live_bytes(&homes), 500);
    ck_assert_uint_eq(homes_live_bytes(&homes), 500);
}
END_TEST

/* Products that do not fit 64 bits, and more bytes than a segment has. */
START_TEST(test_large_weights)
{
    homes_state(&homes, at(5), 2, UINT64_MAX / 2 - 1, 1000);
    homes_remove(&homes, at(5), 1, UINT64_MAX / 4);
    ck_assert_uint_ge(homes_live_bytes(&homes), 499);
    ck_assert_uint_le(homes_live_bytes(&homes), 501);
    homes_state(&homes, at(6), 1, 8, 10 * SEGMENT_BYTES);
    ck_assert_uint_le(homes_live_bytes(&homes), 501 + SEGMENT_BYTES);
}
END_TEST

/* The ring grows while its first segment is not at its beginning. */
START_TEST(test_the_ring_grows)
{
    for (uint64_t n = 5; n < 500; n++) {
        ck_assert_int_eq(homes_reserve(&homes, n), STATUS_OK);
        homes_state(&homes, at(n), 1, 1, n);
        if (n % 2 == 1 && n > 40)
            homes_remove(&homes, at(n / 2), 1, 1);
    }
    ck_assert_uint_eq(homes_trim(&homes, 499), 5);
    for (uint64_t n = 5; n < 20; n++)
        homes_remove(&homes, at(n), 1, 1);
    ck_assert_uint_eq(homes_trim(&homes, 499), 250);
    uint64_t live_bytes = 0;
    for (uint64_t n = 250; n < 500; n++)
        live_bytes += n;
    ck_assert_uint_eq(homes_live_bytes(&homes), live_bytes);
}
END_TEST

/* A segment size that is no power of two divides as well. */
START_TEST(test_odd_sizes)
{
    struct homes odd;
    homes_init(&odd, 69632, 1);
    ck_assert_int_eq(homes_reserve(&odd, 3), STATUS_OK);
    homes_state(&odd, 2 * 69632, 1, 1, 7);
    ck_assert_uint_eq(homes_trim(&odd, 3), 2);
    homes_remove(&odd, 3 * 69632 - 1, 1, 1);
    ck_assert_uint_eq(homes_trim(&odd, 3), 3);
    homes_deinit(&odd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("homes");
    TCase *tcase = tcase_create("homes");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_only_the_oldest_go);
    tcase_add_test(tcase, test_a_pin_keeps_and_weighs_nothing);
    tcase_add_test(tcase, test_what_lives);
    tcase_add_test(tcase, test_large_weights);
    tcase_add_test(tcase, test_the_ring_grows);
    tcase_add_test(tcase, test_odd_sizes);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
