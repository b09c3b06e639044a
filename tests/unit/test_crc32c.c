/* CRC32C against the vectors of RFC 3720, and its two ways against each other. */
#include <check.h>
#include <stdlib.h>

#include "broker/store/crc32c.h"

START_TEST(test_vectors)
{
    unsigned char bytes[32] = {0};
    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283u);
    ck_assert_uint_eq(crc32c(0, bytes, 32), 0x8a9136aau);
    for (size_t i = 0; i < 32; i++)
        bytes[i] = 0xff;
    ck_assert_uint_eq(crc32c(0, bytes, 32), 0x62a8ab43u);
    for (size_t i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    ck_assert_uint_eq(crc32c(0, bytes, 32), 0x46dd794eu);
    for (size_t i = 0; i < 32; i++)
        bytes[i] = (unsigned char)(31 - i);
    ck_assert_uint_eq(crc32c(0, bytes, 32), 0x113fdb5cu);
    ck_assert_uint_eq(crc32c(0, bytes, 0), 0);
}
END_TEST

/* Bit by bit, as the definition has it. */
static uint32_t crc32c_by_bit(const unsigned char *at, size_t bytes)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

START_TEST(test_every_length_and_alignment)
{
    unsigned char bytes[2600 + 16];
    srand(1);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)rand();
    for (size_t length = 0; length <= 2600; length++) {
        const unsigned char *at = bytes + length % 9;
        uint32_t expected = crc32c_by_bit(at, length);
        ck_assert_uint_eq(crc32c_by_table(0, at, length), expected);
        ck_assert_uint_eq(crc32c(0, at, length), expected);
        size_t cut = length / 3;
        ck_assert_uint_eq(crc32c(crc32c(0, at, cut), at + cut, length - cut), expected);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crc32c");
    TCase *tcase = tcase_create("crc32c");
    tcase_add_test(tcase, test_vectors);
    tcase_add_test(tcase, test_every_length_and_alignment);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
