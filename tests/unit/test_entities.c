/* The table of entities: against a plain one, its memory, names that look alike, and what was made
 * sure of. */
#include "broker/core/entities.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/chance.h"
#include "tests/support/check_main.h"

#define NUMBER_MAX ((UINT64_C(1) << 48) - 1)

enum {
    PLAIN_COUNT = 50000,
    OPERATIONS = 1000000,
    ENTITY_BYTES_MAX = 32,
};

static const unsigned char secret[SIPHASH_SECRET_BYTES] = "a secret of ours";
static struct entities entities;

static void set_up(void)
{
    entities_init(&entities, secret);
}

static void tear_down(void)
{
    entities_deinit(&entities);
}

static struct entity_key key_of(uint64_t number)
{
    unsigned char name[8];
    wire_store_u64(name, number);
    return entities_key(&entities, wire_bytes_of(name, sizeof name));
}

/* Millions of times: Check's assertions are only made where they fail. */
static void set(struct entity_key key, uint64_t version, uint64_t sequence)
{
    if (entities_reserve(&entities, key) != STATUS_OK)
        ck_abort_msg("no memory");
    entities_set(&entities, key, version, sequence);
}

static void expect(struct entity_key key, uint64_t version, uint64_t sequence)
{
    uint64_t found_version;
    uint64_t found_sequence;
    bool is_there = entities_find(&entities, key, &found_version, &found_sequence);
    if (is_there == (version != 0) && found_version == version && found_sequence == sequence)
        return;
    ck_assert_int_eq(is_there, version != 0);
    ck_assert_uint_eq(found_version, version);
    ck_assert_uint_eq(found_sequence, sequence);
}

/* --- what is in it ------------------------------------------------------------------------------
 */

struct plain {
    uint64_t version; /* 0: not there */
    uint64_t sequence;
};

static struct plain plain[PLAIN_COUNT];

START_TEST(test_nothing_is_there_at_first)
{
    struct entity_key from = {{0, 0}};
    struct archive_entity out[4];
    expect(key_of(1), 0, 0);
    ck_assert_uint_eq(entities_slice(&entities, &from, out, 4), 0);
    ck_assert_uint_eq(entities.memory_bytes, 0);
}
END_TEST

START_TEST(test_a_million_random_operations_against_a_plain_table)
{
    struct chance chance = {1};
    uint64_t count = 0;
    memset(plain, 0, sizeof plain);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        uint64_t number = chance_below(&chance, 1 + i % PLAIN_COUNT);
        struct entity_key key = key_of(number);
        struct plain *one = &plain[number];
        switch (chance_below(&chance, 4)) {
        case 0:
            expect(key, one->version, one->sequence);
            break;
        case 1: /* it is made sure, and nothing comes of it */
            if (entities_reserve(&entities, key) != STATUS_OK)
                ck_abort_msg("no memory");
            expect(key, one->version, one->sequence);
            break;
        default: {
            uint64_t version = chance_below(&chance, 3) == 0 ? chance_below(&chance, NUMBER_MAX) + 1
                                                             : one->version + 1;
            uint64_t sequence = chance_below(&chance, NUMBER_MAX) + 1;
            set(key, version, sequence);
            count += one->version == 0;
            if (version > one->version)
                *one = (struct plain){version, sequence};
            break;
        }
        }
    }
    ck_assert_uint_eq(entities.count, count);
    for (uint64_t i = 0; i < PLAIN_COUNT; i++)
        expect(key_of(i), plain[i].version, plain[i].sequence);
}
END_TEST

START_TEST(test_numbers_up_to_their_end)
{
    set(key_of(1), NUMBER_MAX, NUMBER_MAX);
    set(key_of(2), 1, NUMBER_MAX);
    set(key_of(3), NUMBER_MAX, 1);
    expect(key_of(1), NUMBER_MAX, NUMBER_MAX);
    expect(key_of(2), 1, NUMBER_MAX);
    expect(key_of(3), NUMBER_MAX, 1);
    set(key_of(1), 5, 6); /* older */
    expect(key_of(1), NUMBER_MAX, NUMBER_MAX);
}
END_TEST

/* The 96 bits of a key count, all of them and no others. */
START_TEST(test_every_bit_of_a_key_counts)
{
    struct entity_key whole = key_of(1);
    ck_assert_uint_le(whole.hash[1], UINT32_MAX);
    set(whole, 1, 1);
    for (unsigned bit = 0; bit < 96; bit++) {
        struct entity_key key = whole;
        key.hash[bit / 64] ^= UINT64_C(1) << bit % 64;
        expect(key, 0, 0);
        set(key, bit + 2, bit + 7);
    }
    expect(whole, 1, 1);
    for (unsigned bit = 0; bit < 96; bit++) {
        struct entity_key key = whole;
        key.hash[bit / 64] ^= UINT64_C(1) << bit % 64;
        expect(key, bit + 2, bit + 7);
    }
    ck_assert_uint_eq(entities.count, 97);
}
END_TEST

START_TEST(test_another_secret_gives_other_keys)
{
    struct entities other;
    entities_init(&other, (const unsigned char *)"another of theirs");
    struct wire_bytes name = wire_bytes_of_text("name");
    struct entity_key a = entities_key(&entities, name);
    struct entity_key b = entities_key(&other, name);
    ck_assert(a.hash[0] != b.hash[0] && a.hash[1] != b.hash[1]);
    entities_deinit(&other);
}
END_TEST

/* Hashes that begin alike, so that one bucket is divided again and again. */
START_TEST(test_hashes_that_begin_alike)
{
    for (unsigned alike = 1; alike <= 12; alike++) {
        const uint64_t begin = UINT64_C(0xabcdef0123456789) >> (64 - alike) << (64 - alike);
        tear_down();
        set_up();
        for (uint64_t i = 1; i <= 3000; i++)
            set((struct entity_key){{begin | (i * UINT64_C(0x9e3779b97f4a7c15)) >> alike, i}}, i,
                i);
        for (uint64_t i = 1; i <= 3000; i++)
            expect((struct entity_key){{begin | (i * UINT64_C(0x9e3779b97f4a7c15)) >> alike, i}}, i,
                   i);
        ck_assert_uint_eq(entities.count, 3000);
        ck_assert_uint_ge(entities.depth, alike + 3);
        ck_assert_uint_le(entities.depth, alike + 6);
        expect((struct entity_key){{~begin, 1}}, 0, 0);
    }
}
END_TEST

/* Only the 32 bits behind differ: they share a bucket. */
START_TEST(test_hashes_that_are_alike)
{
    for (uint64_t i = 0; i < 200; i++)
        set((struct entity_key){{77, i * 7}}, 1, i + 1);
    for (uint64_t i = 0; i < 200; i++)
        expect((struct entity_key){{77, i * 7}}, 1, i + 1);
    expect((struct entity_key){{77, 1}}, 0, 0);
}
END_TEST

/* --- all of them --------------------------------------------------------------------------------
 */

/* Whatever comes while they are looked at in slices: those that were there before are all seen,
 * once, and as they were at least. */
START_TEST(test_slices_see_all_while_others_come)
{
    enum { BEFORE = 20000, MEANWHILE = 20000, SLICE = 777 };
    static bool is_seen[BEFORE + MEANWHILE];
    static struct archive_entity out[SLICE];
    struct chance chance = {5};
    memset(is_seen, 0, sizeof is_seen);
    for (uint64_t i = 0; i < BEFORE; i++)
        set(key_of(i), 1, i + 1);
    struct entity_key from = {{0, 0}};
    struct entity_key before = {{0, 0}};
    uint64_t next = BEFORE;
    uint32_t count;
    do {
        uint32_t count_max = 1 + (uint32_t)chance_below(&chance, SLICE);
        count = entities_slice(&entities, &from, out, count_max);
        ck_assert_uint_le(count, count_max);
        for (uint32_t i = 0; i < count; i++) {
            struct entity_key key = {{out[i].hash[0], out[i].hash[1]}};
            uint64_t number = out[i].sequence - 1;
            if ((key.hash[0] < before.hash[0] ||
                 (key.hash[0] == before.hash[0] && key.hash[1] <= before.hash[1])) ||
                number >= next || is_seen[number] || out[i].version == 0)
                ck_abort_msg("%u of a slice is seen twice, or out of order", i);
            before = key;
            is_seen[number] = true;
            expect(key, out[i].version, out[i].sequence);
        }
        for (uint64_t i = chance_below(&chance, 600); i > 0 && next < BEFORE + MEANWHILE; i--) {
            set(key_of(next), 1, next + 1);
            next++;
            uint64_t old = chance_below(&chance, BEFORE);
            set(key_of(old), 2 + i, old + 1);
        }
    } while (count > 0);
    for (uint64_t i = 0; i < BEFORE; i++)
        if (!is_seen[i])
            ck_abort_msg("one of those before was not seen");
}
END_TEST

START_TEST(test_a_slice_ends_anywhere)
{
    enum { COUNT = 1000 };
    static struct archive_entity all[COUNT];
    static struct archive_entity out[COUNT];
    for (uint64_t i = 0; i < COUNT; i++)
        set(key_of(i), 1, i + 1);
    struct entity_key from = {{0, 0}};
    ck_assert_uint_eq(entities_slice(&entities, &from, all, COUNT), COUNT);
    for (uint32_t at = 0; at < COUNT; at += 13) {
        from = (struct entity_key){{0, 0}};
        uint32_t first = at > 0 ? entities_slice(&entities, &from, out, at) : 0;
        ck_assert_uint_eq(first, at);
        uint32_t left = entities_slice(&entities, &from, out + at, COUNT - at);
        ck_assert_uint_eq(left, COUNT - at);
        ck_assert_mem_eq(all, out, sizeof all);
        ck_assert_uint_eq(entities_slice(&entities, &from, out, COUNT), 0);
    }
}
END_TEST

/* --- memory -------------------------------------------------------------------------------------
 */

/* What the table says it takes, and what the allocator gives it with all its own, at many sizes. */
START_TEST(test_an_entity_takes_32_bytes_at_most)
{
    enum { COUNT = 1000000, COUNT_MIN = 500 };
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 30); /* so that all is counted in one place */
    size_t before = mallinfo2().uordblks;
    uint64_t next = COUNT_MIN;
    for (uint64_t i = 1; i <= COUNT; i++) {
        set(key_of(i), 1, i);
        if (i < next)
            continue;
        next = i + i / 61 + 1;
        size_t taken = mallinfo2().uordblks - before;
        ck_assert_msg(entities.memory_bytes <= i * ENTITY_BYTES_MAX, "%zu for %zu entities",
                      (size_t)entities.memory_bytes, (size_t)i);
        /* Under a sanitizer the allocator says nothing of itself. */
        ck_assert_msg(taken <= i * ENTITY_BYTES_MAX, "%zu for %zu entities", taken, (size_t)i);
    }
}
END_TEST

/* Nothing is allocated between making sure and setting, whatever the bucket: the directory and the
 * memory are as they were. */
START_TEST(test_what_was_reserved_cannot_fail)
{
    struct chance chance = {9};
    for (int i = 0; i < 100000; i++) {
        struct entity_key key = key_of(chance_below(&chance, 60000));
        if (entities_reserve(&entities, key) != STATUS_OK)
            ck_abort_msg("no memory");
        const struct entities before = entities;
        size_t in_use = mallinfo2().uordblks;
        entities_set(&entities, key, (uint64_t)i + 1, 1);
        if (mallinfo2().uordblks != in_use || entities.directory != before.directory ||
            entities.memory_bytes != before.memory_bytes || entities.depth != before.depth)
            ck_abort_msg("memory was taken");
    }
}
END_TEST

/* A sanitizer sees whether all is given back. */
START_TEST(test_it_can_be_used_again)
{
    for (uint64_t i = 0; i < 30000; i++)
        set(key_of(i), 1, 1);
    tear_down();
    ck_assert_uint_eq(entities.memory_bytes, 0);
    ck_assert_uint_eq(entities.count, 0);
    set(key_of(1), 1, 1);
    expect(key_of(1), 1, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("entities");
    TCase *tcase = tcase_create("entities");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_nothing_is_there_at_first);
    tcase_add_test(tcase, test_a_million_random_operations_against_a_plain_table);
    tcase_add_test(tcase, test_numbers_up_to_their_end);
    tcase_add_test(tcase, test_every_bit_of_a_key_counts);
    tcase_add_test(tcase, test_another_secret_gives_other_keys);
    tcase_add_test(tcase, test_hashes_that_begin_alike);
    tcase_add_test(tcase, test_hashes_that_are_alike);
    tcase_add_test(tcase, test_slices_see_all_while_others_come);
    tcase_add_test(tcase, test_a_slice_ends_anywhere);
    tcase_add_test(tcase, test_an_entity_takes_32_bytes_at_most);
    tcase_add_test(tcase, test_what_was_reserved_cannot_fail);
    tcase_add_test(tcase, test_it_can_be_used_again);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
