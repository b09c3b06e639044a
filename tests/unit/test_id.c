/* Ids: the bits that RFC 9562 fixes, order in time, printing. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client-lib/herald.h"
#include "tests/support/check_main.h"

START_TEST(test_bits_and_time)
{
    unsigned char id[16];
    uint64_t before_ms = (uint64_t)time(NULL) * 1000;
    herald_id_make(id);
    uint64_t time_ms = 0;
    for (int i = 0; i < 6; i++)
        time_ms = time_ms << 8 | id[i];
    ck_assert_uint_ge(time_ms, before_ms);
    ck_assert_uint_le(time_ms, before_ms + 5000);
    ck_assert_uint_eq(id[6] >> 4, 7);
    ck_assert_uint_eq(id[8] >> 6, 2);
}
END_TEST

START_TEST(test_all_differ)
{
    enum { COUNT = 1000 };
    static unsigned char ids[COUNT][16];
    for (int i = 0; i < COUNT; i++) {
        herald_id_make(ids[i]);
        for (int j = 0; j < i; j++)
            ck_assert(memcmp(ids[i], ids[j], 16) != 0);
    }
}
END_TEST

START_TEST(test_print)
{
    const unsigned char id[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                  0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
    char text[37];
    herald_id_print(id, text);
    ck_assert_str_eq(text, "01234567-89ab-cdef-fedc-ba9876543210");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("id");
    TCase *id = tcase_create("id");
    tcase_add_test(id, test_bits_and_time);
    tcase_add_test(id, test_all_differ);
    tcase_add_test(id, test_print);
    suite_add_tcase(suite, id);
    return check_main(suite);
}
