/* SipHash-2-4 with 128 bits: the vectors that its authors publish, and a slow one beside it. */
#include "broker/core/siphash.h"

#include <string.h>

#include "tests/support/chance.h"
#include "tests/support/check_main.h"

enum { TEXT_BYTES_MAX = 300 };

/* Written from the paper alone, one byte and one bit at a time where that is possible. */
struct slow {
    uint64_t v0, v1, v2, v3;
};

static uint64_t turn_left(uint64_t value, int bits)
{
    for (int i = 0; i < bits; i++) {
        uint64_t top = value >> 63;
        value = (value * 2) | top;
    }
    return value;
}

static void slow_round(struct slow *s)
{
    s->v0 = s->v0 + s->v1;
    s->v2 = s->v2 + s->v3;
    s->v1 = turn_left(s->v1, 13);
    s->v3 = turn_left(s->v3, 16);
    s->v1 = s->v1 ^ s->v0;
    s->v3 = s->v3 ^ s->v2;
    s->v0 = turn_left(s->v0, 32);
    s->v2 = s->v2 + s->v1;
    s->v0 = s->v0 + s->v3;
    s->v1 = turn_left(s->v1, 17);
    s->v3 = turn_left(s->v3, 21);
    s->v1 = s->v1 ^ s->v2;
    s->v3 = s->v3 ^ s->v0;
    s->v2 = turn_left(s->v2, 32);
}

static uint64_t slow_word(const unsigned char *at)
{
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--)
        word = word * 256 + at[i];
    return word;
}

static void slow_siphash(const unsigned char *secret, const unsigned char *text, size_t bytes,
                         uint64_t hash[2])
{
    unsigned char padded[TEXT_BYTES_MAX + 8] = {0};
    size_t words = bytes / 8 + 1;
    memcpy(padded, text, bytes);
    padded[words * 8 - 1] = (unsigned char)(bytes % 256);
    uint64_t k0 = slow_word(secret);
    uint64_t k1 = slow_word(secret + 8);
    struct slow s = {k0 ^ slow_word((const unsigned char *)"uespemos"),
                     k1 ^ slow_word((const unsigned char *)"modnarod") ^ 0xee,
                     k0 ^ slow_word((const unsigned char *)"arenegyl"),
                     k1 ^ slow_word((const unsigned char *)"setybdet")};
    for (size_t i = 0; i < words; i++) {
        uint64_t word = slow_word(padded + 8 * i);
        s.v3 ^= word;
        slow_round(&s);
        slow_round(&s);
        s.v0 ^= word;
    }
    s.v2 ^= 0xee;
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < 4; i++)
            slow_round(&s);
        hash[half] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
        s.v1 ^= 0xdd;
    }
}

static void expect_bytes(const unsigned char *secret, const unsigned char *text, uint32_t bytes,
                         const unsigned char expected[16])
{
    uint64_t hash[2];
    unsigned char got[16];
    siphash(secret, wire_bytes_of(text, bytes), hash);
    wire_store_u64(got, hash[0]);
    wire_store_u64(got + 8, hash[1]);
    ck_assert_mem_eq(got, expected, 16);
}

static void count_up(unsigned char *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (unsigned char)i;
}

START_TEST(test_the_published_vectors)
{
    static const unsigned char of_nothing[16] = {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
                                                 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93};
    static const unsigned char of_one_byte[16] = {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44,
                                                  0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45};
    unsigned char secret[16];
    unsigned char text[1];
    count_up(secret, sizeof secret);
    count_up(text, sizeof text);
    expect_bytes(secret, text, 0, of_nothing);
    expect_bytes(secret, text, 1, of_one_byte);
}
END_TEST

START_TEST(test_every_length)
{
    unsigned char secret[16];
    unsigned char text[TEXT_BYTES_MAX];
    count_up(secret, sizeof secret);
    count_up(text, sizeof text);
    for (uint32_t bytes = 0; bytes <= TEXT_BYTES_MAX; bytes++) {
        uint64_t slow[2];
        uint64_t fast[2];
        slow_siphash(secret, text, bytes, slow);
        siphash(secret, wire_bytes_of(text, bytes), fast);
        ck_assert_uint_eq(slow[0], fast[0]);
        ck_assert_uint_eq(slow[1], fast[1]);
    }
}
END_TEST

START_TEST(test_random_secrets_and_texts)
{
    struct chance chance = {11};
    for (int i = 0; i < 20000; i++) {
        unsigned char bytes[16 + TEXT_BYTES_MAX];
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (unsigned char)chance_next(&chance);
        uint32_t count = (uint32_t)chance_below(&chance, TEXT_BYTES_MAX + 1);
        uint64_t slow[2];
        uint64_t fast[2];
        slow_siphash(bytes, bytes + 16, count, slow);
        siphash(bytes, wire_bytes_of(bytes + 16, count), fast);
        ck_assert_uint_eq(slow[0], fast[0]);
        ck_assert_uint_eq(slow[1], fast[1]);
    }
}
END_TEST

/* Each bit of the secret and of the text matters: about half of the hash changes. */
START_TEST(test_every_bit_matters)
{
    unsigned char bytes[16 + 20];
    uint64_t whole[2];
    count_up(bytes, sizeof bytes);
    siphash(bytes, wire_bytes_of(bytes + 16, 20), whole);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        uint64_t hash[2];
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        siphash(bytes, wire_bytes_of(bytes + 16, 20), hash);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        int changed =
            __builtin_popcountll(hash[0] ^ whole[0]) + __builtin_popcountll(hash[1] ^ whole[1]);
        ck_assert_int_gt(changed, 30);
        ck_assert_int_lt(changed, 98);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("siphash");
    TCase *tcase = tcase_create("siphash");
    tcase_add_test(tcase, test_the_published_vectors);
    tcase_add_test(tcase, test_every_length);
    tcase_add_test(tcase, test_random_secrets_and_texts);
    tcase_add_test(tcase, test_every_bit_matters);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
