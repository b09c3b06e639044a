/* The format of a file of events: its bytes, as HISTORY.md has them, and that nothing else is taken
 * for it. */
#include "broker/store/archive_block.h"

#include <stdlib.h>
#include <string.h>

#include "broker/store/crc32c.h"
#include "protocol/wire.h"
#include "tests/support/check_main.h"

enum { BLOCK_OFFSET = 512, BLOCK_BYTES = 512, EVENTS = 2 };

static unsigned char at[4096];

/* A block of two events of exchange 3, with sequences 7 and 8, at offset 512. */
static void make_block(void)
{
    struct archive_block block = {.exchange = 3,
                                  .offset = BLOCK_OFFSET,
                                  .first = 7,
                                  .first_ms = 1000,
                                  .last_ms = 1001,
                                  .count = EVENTS,
                                  .payload_bytes = 15};
    memset(at, 0xee, sizeof at);
    memcpy(at + ARCHIVE_BLOCK_HEADER_BYTES, "\4\0\0\0abcd\3\0\0\0efg", 15);
    archive_block_encode(at, &block);
    archive_block_seal(at);
}

static bool decodes(struct archive_block *block)
{
    return archive_block_decode(at, 3, BLOCK_OFFSET, block) &&
           archive_block_bytes(block->payload_bytes) <= sizeof at &&
           archive_block_check(at, BLOCK_BYTES, block);
}

/* --- bytes --------------------------------------------------------------------------------------
 */

START_TEST(test_header_bytes)
{
    static const unsigned char golden[32] = {
        'H', 'R', 'L', 'D', 'H', 'I', 'S', '\n', /* magic */
        1,   0,   0,   0,                        /* version */
        0,   0,   0,   0,                        /* checksum: below */
        3,   0,   0,   0,   0,   0,   0,   0,    /* exchange */
        8,   7,   6,   5,   4,   3,   2,   1,    /* sequence of the first event */
    };
    archive_header_encode(at, 3, UINT64_C(0x0102030405060708));
    uint32_t checksum = crc32c(crc32c(0, at, 12), at + 16, ARCHIVE_HEADER_BYTES - 16);
    ck_assert_uint_eq(wire_load_u32(at + 12), checksum);
    wire_store_u32(at + 12, 0);
    ck_assert_mem_eq(at, golden, sizeof golden);
    for (size_t i = sizeof golden; i < ARCHIVE_HEADER_BYTES; i++)
        ck_assert_uint_eq(at[i], 0);
}
END_TEST

START_TEST(test_block_bytes)
{
    static const unsigned char golden[64 + 15] = {
        'H',  'R', 'H', 'B',                     /* 00 magic */
        0,    0,   0,   0,                       /* 04 checksum of what follows here: below */
        3,    0,   0,   0,                       /* 08 exchange */
        0,    2,   0,   0,                       /* 0c offset in the file */
        7,    0,   0,   0,   0,   0,   0,   0,   /* 10 sequence of the first event */
        0xe8, 3,   0,   0,   0,   0,   0,   0,   /* 18 when that was accepted */
        0xe9, 3,   0,   0,   0,   0,   0,   0,   /* 20 and the last */
        2,    0,   0,   0,                       /* 28 events */
        15,   0,   0,   0,                       /* 2c bytes of the payload */
        0,    0,   0,   0,                       /* 30 its checksum: below */
        0,    0,   0,   0,                       /* 34 zero */
        0,    0,   0,   0,   0,   0,   0,   0,   /* 38 zero */
        4,    0,   0,   0,   'a', 'b', 'c', 'd', /* 40 the events */
        3,    0,   0,   0,   'e', 'f', 'g',
    };
    make_block();
    ck_assert_uint_eq(wire_load_u32(at + 0x30), crc32c(0, at + 64, 15));
    ck_assert_uint_eq(wire_load_u32(at + 0x04), crc32c(0, at + 8, 56));
    wire_store_u32(at + 0x04, 0);
    wire_store_u32(at + 0x30, 0);
    ck_assert_mem_eq(at, golden, sizeof golden);
    for (size_t i = sizeof golden; i < BLOCK_BYTES; i++)
        ck_assert_uint_eq(at[i], 0);
    ck_assert_uint_eq(at[BLOCK_BYTES], 0xee);
    ck_assert_uint_eq(archive_block_bytes(15), BLOCK_BYTES);
    ck_assert_uint_eq(archive_block_bytes(512 - 64), 512);
    ck_assert_uint_eq(archive_block_bytes(512 - 63), 1024);
    ck_assert_uint_eq(archive_block_bytes(UINT32_MAX), (UINT64_C(1) << 32) + 512);
}
END_TEST

static const struct archive_spot spots[2] = {{7, 1000, 512}, {9, 1002, 1024}};
static const struct archive_index index_made = {.exchange = 3,
                                                .offset = 1536,
                                                .first = 7,
                                                .last = 12,
                                                .first_ms = 1000,
                                                .last_ms = 1005,
                                                .count = 2};

START_TEST(test_index_bytes)
{
    static const unsigned char golden[64 + 48] = {
        'H',  'R', 'H', 'X',             /* 00 magic */
        0,    0,   0,   0,               /* 04 checksum: below */
        3,    0,   0,   0,               /* 08 exchange */
        0,    6,   0,   0,               /* 0c offset of the index in the file */
        7,    0,   0,   0,   0, 0, 0, 0, /* 10 sequence of the first event */
        0xe8, 3,   0,   0,   0, 0, 0, 0, /* 18 its time */
        0xed, 3,   0,   0,   0, 0, 0, 0, /* 20 time of the last */
        2,    0,   0,   0,               /* 28 blocks */
        48,   0,   0,   0,               /* 2c bytes of the payload */
        0,    0,   0,   0,               /* 30 its checksum: below */
        0,    0,   0,   0,               /* 34 zero */
        12,   0,   0,   0,   0, 0, 0, 0, /* 38 sequence of the last event */
        7,    0,   0,   0,   0, 0, 0, 0, /* the first block: its first event, */
        0xe8, 3,   0,   0,   0, 0, 0, 0, /* that one's time, */
        0,    2,   0,   0,   0, 0, 0, 0, /* its offset, and zero */
        9,    0,   0,   0,   0, 0, 0, 0, /* the second */
        0xea, 3,   0,   0,   0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0,
    };
    size_t bytes = archive_index_bytes(2);
    ck_assert_uint_eq(bytes, 512);
    archive_index_encode(at, &index_made, spots);
    unsigned char *tail = at + bytes - ARCHIVE_TAIL_BYTES;
    ck_assert_mem_eq(tail, "HRHT", 4);
    ck_assert_uint_eq(wire_load_u32(tail + 8), 1536);
    ck_assert_uint_eq(wire_load_u32(tail + 12), 0);
    ck_assert_uint_eq(wire_load_u32(tail + 4), crc32c(0, tail + 8, 8));
    ck_assert_uint_eq(wire_load_u32(at + 0x30), crc32c(0, at + 64, 48));
    ck_assert_uint_eq(wire_load_u32(at + 0x04), crc32c(0, at + 8, 56));
    wire_store_u32(at + 0x04, 0);
    wire_store_u32(at + 0x30, 0);
    ck_assert_mem_eq(at, golden, sizeof golden);
    for (size_t i = sizeof golden; i < bytes - ARCHIVE_TAIL_BYTES; i++)
        ck_assert_uint_eq(at[i], 0);
}
END_TEST

/* --- there and back -----------------------------------------------------------------------------
 */

START_TEST(test_header)
{
    archive_header_encode(at, 3, 77);
    ck_assert_int_eq(archive_header_decode(at, 3, 77), STATUS_OK);
    ck_assert_int_eq(archive_header_decode(at, 4, 77), STATUS_CORRUPT);
    ck_assert_int_eq(archive_header_decode(at, 3, 78), STATUS_CORRUPT);
    for (unsigned i = 0; i < ARCHIVE_HEADER_BYTES * 8; i++) {
        at[i / 8] ^= (unsigned char)(1u << i % 8);
        ck_assert_int_eq(archive_header_decode(at, 3, 77), STATUS_CORRUPT);
        at[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    wire_store_u32(at + 8, 2);
    wire_store_u32(at + 12, crc32c(crc32c(0, at, 12), at + 16, ARCHIVE_HEADER_BYTES - 16));
    ck_assert_int_eq(archive_header_decode(at, 3, 77), STATUS_NEWER_FORMAT);
}
END_TEST

START_TEST(test_block)
{
    struct archive_block block;
    make_block();
    ck_assert(decodes(&block));
    ck_assert_uint_eq(block.exchange, 3);
    ck_assert_uint_eq(block.offset, BLOCK_OFFSET);
    ck_assert_uint_eq(block.first, 7);
    ck_assert_uint_eq(block.first_ms, 1000);
    ck_assert_uint_eq(block.last_ms, 1001);
    ck_assert_uint_eq(block.count, EVENTS);
    ck_assert_uint_eq(block.payload_bytes, 15);
    ck_assert(!archive_block_decode(at, 4, BLOCK_OFFSET, &block));
    ck_assert(!archive_block_decode(at, 3, BLOCK_OFFSET + 512, &block));
    ck_assert(archive_block_decode(at, 3, BLOCK_OFFSET, &block));
    for (size_t bytes = 0; bytes < 64 + 15; bytes++)
        ck_assert(!archive_block_check(at, bytes, &block));
    ck_assert(archive_block_check(at, 64 + 15, &block));
}
END_TEST

/* Every bit of header and payload; what stands behind them is nobody's. */
START_TEST(test_every_bit_of_a_block)
{
    struct archive_block block;
    make_block();
    for (unsigned i = 0; i < BLOCK_BYTES * 8; i++) {
        at[i / 8] ^= (unsigned char)(1u << i % 8);
        ck_assert_int_eq(decodes(&block), i / 8 >= 64 + 15);
        at[i / 8] ^= (unsigned char)(1u << i % 8);
    }
}
END_TEST

START_TEST(test_a_block_without_events_is_none)
{
    struct archive_block block = {.exchange = 3, .offset = BLOCK_OFFSET};
    archive_block_encode(at, &block);
    archive_block_seal(at);
    ck_assert(!archive_block_decode(at, 3, BLOCK_OFFSET, &block));
}
END_TEST

START_TEST(test_index)
{
    struct archive_index index;
    uint32_t offset;
    uint32_t count;
    size_t bytes = archive_index_bytes(2);
    archive_index_encode(at, &index_made, spots);
    ck_assert(archive_tail_decode(at + bytes - ARCHIVE_TAIL_BYTES, &offset));
    ck_assert_uint_eq(offset, 1536);
    ck_assert(archive_index_count(at, 3, 1536, &count));
    ck_assert_uint_eq(count, 2);
    ck_assert(!archive_index_count(at, 4, 1536, &count));
    ck_assert(!archive_index_count(at, 3, 1024, &count));
    for (size_t i = 0; i < 64 + 48; i++)
        ck_assert(!archive_index_decode(at, i, 3, &index));
    ck_assert(archive_index_decode(at, 64 + 48, 3, &index));
    ck_assert_uint_eq(index.offset, 1536);
    ck_assert_uint_eq(index.first, 7);
    ck_assert_uint_eq(index.last, 12);
    ck_assert_uint_eq(index.first_ms, 1000);
    ck_assert_uint_eq(index.last_ms, 1005);
    ck_assert_uint_eq(index.count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct archive_spot spot = archive_index_spot(at, i);
        ck_assert_uint_eq(spot.sequence, spots[i].sequence);
        ck_assert_uint_eq(spot.time_ms, spots[i].time_ms);
        ck_assert_uint_eq(spot.offset, spots[i].offset);
    }
    for (unsigned i = 0; i < (64 + 48) * 8; i++) {
        at[i / 8] ^= (unsigned char)(1u << i % 8);
        ck_assert(!archive_index_decode(at, bytes, 3, &index));
        at[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    unsigned char *tail = at + bytes - ARCHIVE_TAIL_BYTES;
    for (unsigned i = 0; i < ARCHIVE_TAIL_BYTES * 8; i++) {
        tail[i / 8] ^= (unsigned char)(1u << i % 8);
        ck_assert(!archive_tail_decode(tail, &offset));
        tail[i / 8] ^= (unsigned char)(1u << i % 8);
    }
}
END_TEST

/* A count that is not that of the payload is none, also where the sum overflows. */
START_TEST(test_counts_that_cannot_be)
{
    static const uint32_t counts[] = {0, 1, 3, UINT32_MAX, 0x10000002};
    uint32_t count;
    archive_index_encode(at, &index_made, spots);
    wire_store_u32(at + 0x28, counts[_i]);
    wire_store_u32(at + 0x04, crc32c(0, at + 8, 56));
    ck_assert(!archive_index_count(at, 3, 1536, &count));
}
END_TEST

/* --- walking ------------------------------------------------------------------------------------
 */

START_TEST(test_walk)
{
    struct archive_event event;
    uint64_t first;
    uint64_t last;
    make_block();
    memcpy(at + BLOCK_BYTES, at, BLOCK_BYTES);
    wire_store_u64(at + BLOCK_BYTES + 0x10, 9);
    archive_walk_range(at, 2 * BLOCK_BYTES, &first, &last);
    ck_assert_uint_eq(first, 7);
    ck_assert_uint_eq(last, 10);
    struct archive_walk walk = archive_walk_of(at, 2 * BLOCK_BYTES);
    for (uint64_t i = 7; i <= 10; i++) {
        ck_assert_int_eq(archive_walk_next(&walk, &event), STATUS_OK);
        ck_assert_uint_eq(event.sequence, i);
        ck_assert_uint_eq(event.bytes, i % 2 == 1 ? 4 : 3);
        ck_assert_mem_eq(event.at, i % 2 == 1 ? "abcd" : "efg", event.bytes);
    }
    ck_assert_int_eq(archive_walk_next(&walk, &event), STATUS_MORE);
    ck_assert_int_eq(archive_walk_next(&walk, &event), STATUS_MORE);
}
END_TEST

/* Lengths that do not fit the block, and counts that promise more than there is. */
START_TEST(test_walks_that_end)
{
    struct archive_event event;
    make_block();
    if (_i == 0)
        wire_store_u32(at + 64, 0);
    else if (_i == 1)
        wire_store_u32(at + 64, UINT32_MAX);
    else if (_i == 2)
        wire_store_u32(at + 64, BLOCK_BYTES - 64 - 3);
    else
        wire_store_u32(at + 0x28, UINT32_MAX);
    struct archive_walk walk = archive_walk_of(at, BLOCK_BYTES);
    enum status status = STATUS_OK;
    for (unsigned i = 0; i < 10 && status == STATUS_OK; i++)
        status = archive_walk_next(&walk, &event);
    ck_assert_int_eq(status, STATUS_CORRUPT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive_block");
    TCase *tcase = tcase_create("archive_block");
    tcase_add_test(tcase, test_header_bytes);
    tcase_add_test(tcase, test_block_bytes);
    tcase_add_test(tcase, test_index_bytes);
    tcase_add_test(tcase, test_header);
    tcase_add_test(tcase, test_block);
    tcase_add_test(tcase, test_every_bit_of_a_block);
    tcase_add_test(tcase, test_a_block_without_events_is_none);
    tcase_add_test(tcase, test_index);
    tcase_add_loop_test(tcase, test_counts_that_cannot_be, 0, 5);
    tcase_add_test(tcase, test_walk);
    tcase_add_loop_test(tcase, test_walks_that_end, 0, 4);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
