/* The format of a file of entities: its bytes, as HISTORY.md has them, and that nothing else is
 * taken for it. */
#include "broker/store/archive_entities.h"

#include <string.h>

#include "broker/store/crc32c.h"
#include "protocol/wire.h"
#include "tests/support/check_main.h"

static unsigned char at[1024];

static const struct archive_entities_header made = {
    .exchange = 3,
    .sequence = UINT64_C(0x0102030405060708),
    .count = 9,
    .secret = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
};

static void seal_header(void)
{
    uint32_t checksum = crc32c(crc32c(0, at, 12), at + 16, ARCHIVE_HEADER_BYTES - 16);
    wire_store_u32(at + 12, checksum);
}

START_TEST(test_header_bytes)
{
    static const unsigned char golden[56] = {
        'H', 'R', 'L', 'D', 'E', 'N', 'T', '\n', /* 00 magic */
        1,   0,   0,   0,                        /* 08 version */
        0,   0,   0,   0,                        /* 0c checksum: below */
        3,   0,   0,   0,   0,   0,   0,   0,    /* 10 exchange */
        8,   7,   6,   5,   4,   3,   2,   1,    /* 18 sequence */
        9,   0,   0,   0,   0,   0,   0,   0,    /* 20 entities */
        1,   2,   3,   4,   5,   6,   7,   8,    /* 28 secret */
        9,   10,  11,  12,  13,  14,  15,  16,
    };
    archive_entities_header_encode(at, &made);
    ck_assert_uint_eq(wire_load_u32(at + 12),
                      crc32c(crc32c(0, at, 12), at + 16, ARCHIVE_HEADER_BYTES - 16));
    wire_store_u32(at + 12, 0);
    ck_assert_mem_eq(at, golden, sizeof golden);
    for (size_t i = sizeof golden; i < ARCHIVE_HEADER_BYTES; i++)
        ck_assert_uint_eq(at[i], 0);
}
END_TEST

START_TEST(test_header)
{
    struct archive_entities_header header;
    archive_entities_header_encode(at, &made);
    ck_assert_int_eq(archive_entities_header_decode(at, &header), STATUS_OK);
    ck_assert_uint_eq(header.exchange, made.exchange);
    ck_assert_uint_eq(header.sequence, made.sequence);
    ck_assert_uint_eq(header.count, made.count);
    ck_assert_mem_eq(header.secret, made.secret, sizeof made.secret);
    for (unsigned i = 0; i < ARCHIVE_HEADER_BYTES * 8; i++) {
        at[i / 8] ^= (unsigned char)(1u << i % 8);
        ck_assert_int_eq(archive_entities_header_decode(at, &header), STATUS_CORRUPT);
        at[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    wire_store_u32(at + 8, 2);
    seal_header();
    ck_assert_int_eq(archive_entities_header_decode(at, &header), STATUS_NEWER_FORMAT);
}
END_TEST

static const struct archive_entity entities[2] = {
    {{UINT64_C(0x1122334455667788), 0x99aabbcc}, UINT64_C(0x0000060504030201), 7},
    {{UINT64_MAX, UINT32_MAX}, (UINT64_C(1) << 48) - 1, (UINT64_C(1) << 48) - 1},
};

static void make_piece(void)
{
    memset(at, 0, sizeof at);
    for (size_t i = 0; i < 2; i++)
        archive_entity_put(at + ARCHIVE_ENTITIES_HEADER_BYTES + i * ARCHIVE_ENTITY_BYTES,
                           &entities[i]);
    archive_entities_seal(at, 2);
}

START_TEST(test_piece_bytes)
{
    static const unsigned char golden[] = {
        2,    0,    0,    0,                                  /* entities */
        0,    0,    0,    0,                                  /* checksum: below */
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,       /* the first: 12 bytes of hash, */
        0xcc, 0xbb, 0xaa, 0x99, 1,    2,    3,    4,    5, 6, /* 6 of its version, */
        7,    0,    0,    0,    0,    0,                      /* 6 of its last sequence */
    };
    make_piece();
    ck_assert_uint_eq(wire_load_u32(at + 4), crc32c(0, at + 8, 2 * ARCHIVE_ENTITY_BYTES));
    wire_store_u32(at + 4, 0);
    ck_assert_mem_eq(at, golden, sizeof golden);
    for (size_t i = sizeof golden; i < sizeof golden + 24; i++)
        ck_assert_uint_eq(at[i], 0xff);
}
END_TEST

START_TEST(test_piece)
{
    make_piece();
    ck_assert_uint_eq(archive_entities_count(at), 2);
    ck_assert(archive_entities_check(at, 2));
    ck_assert(!archive_entities_check(at, 1));
    for (uint32_t i = 0; i < 2; i++) {
        struct archive_entity entity = archive_entity_get(at, i);
        ck_assert_uint_eq(entity.hash[0], entities[i].hash[0]);
        ck_assert_uint_eq(entity.hash[1], entities[i].hash[1]);
        ck_assert_uint_eq(entity.version, entities[i].version);
        ck_assert_uint_eq(entity.sequence, entities[i].sequence);
    }
    for (unsigned i = 0; i < (8 + 48) * 8; i++) {
        at[i / 8] ^= (unsigned char)(1u << i % 8);
        ck_assert(archive_entities_count(at) != 2 || !archive_entities_check(at, 2));
        at[i / 8] ^= (unsigned char)(1u << i % 8);
    }
}
END_TEST

START_TEST(test_counts_that_cannot_be)
{
    make_piece();
    wire_store_u32(at, 0);
    ck_assert_uint_eq(archive_entities_count(at), 0);
    wire_store_u32(at, ARCHIVE_ENTITIES_MAX);
    ck_assert_uint_eq(archive_entities_count(at), ARCHIVE_ENTITIES_MAX);
    wire_store_u32(at, ARCHIVE_ENTITIES_MAX + 1);
    ck_assert_uint_eq(archive_entities_count(at), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive_entities");
    TCase *tcase = tcase_create("archive_entities");
    tcase_add_test(tcase, test_header_bytes);
    tcase_add_test(tcase, test_header);
    tcase_add_test(tcase, test_piece_bytes);
    tcase_add_test(tcase, test_piece);
    tcase_add_test(tcase, test_counts_that_cannot_be);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
