/* Cursors over bytes: order of bytes, bounds, and what happens after the first failure. */
#include "protocol/wire.h"

#include "tests/support/check_main.h"

START_TEST(test_integers_are_little_endian)
{
    unsigned char byte[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    wire_store_u16(byte, 0x1234);
    ck_assert_mem_eq(byte, "\x34\x12\xff", 3);
    wire_store_u32(byte, 0xfedcba98);
    ck_assert_mem_eq(byte, "\x98\xba\xdc\xfe\xff", 5);
    wire_store_u64(byte, 0x0123456789abcdef);
    ck_assert_mem_eq(byte, "\xef\xcd\xab\x89\x67\x45\x23\x01", 8);
    ck_assert_uint_eq(wire_load_u16(byte), 0xcdef);
    ck_assert_uint_eq(wire_load_u32(byte), 0x89abcdef);
    ck_assert_uint_eq(wire_load_u64(byte), 0x0123456789abcdef);
}
END_TEST

START_TEST(test_what_is_put_is_got)
{
    unsigned char room[256];
    struct wire_id id = {"0123456789abcde"};
    struct wire_bytes text = wire_bytes_of_text("herald");
    struct wire_writer w = wire_writer_of(room, sizeof room);
    wire_put_u8(&w, 0x12);
    wire_put_u16(&w, 0x3456);
    wire_put_u32(&w, 0x789abcde);
    wire_put_u64(&w, UINT64_MAX);
    wire_put_id(&w, id);
    wire_put_str8(&w, text);
    wire_put_str16(&w, text);
    wire_put_str32(&w, text);
    wire_put_rest(&w, text);
    ck_assert(!w.failed);
    size_t size = wire_size_u8(0) + wire_size_u16(0) + wire_size_u32(0) + wire_size_u64(0) +
                  wire_size_id(id) + wire_size_str8(text) + wire_size_str16(text) +
                  wire_size_str32(text) + wire_size_rest(text);
    ck_assert_uint_eq(wire_written(&w), size);

    struct wire_reader r = wire_reader_of(room, wire_written(&w));
    ck_assert_uint_eq(wire_get_u8(&r), 0x12);
    ck_assert_uint_eq(wire_get_u16(&r), 0x3456);
    ck_assert_uint_eq(wire_get_u32(&r), 0x789abcde);
    ck_assert_uint_eq(wire_get_u64(&r), UINT64_MAX);
    struct wire_id got = wire_get_id(&r);
    ck_assert_mem_eq(got.byte, id.byte, sizeof id.byte);
    ck_assert(wire_bytes_equal(wire_get_str8(&r), text));
    ck_assert(wire_bytes_equal(wire_get_str16(&r), text));
    ck_assert(wire_bytes_equal(wire_get_str32(&r), text));
    ck_assert(!wire_reader_is_done(&r));
    ck_assert(wire_bytes_equal(wire_get_rest(&r), text));
    ck_assert(wire_reader_is_done(&r));
}
END_TEST

/* Reads one value of kind number `kind`; true when it is all zero and empty. */
static bool get_is_zero(struct wire_reader *r, int kind)
{
    struct wire_id id;
    switch (kind) {
    case 0:
        return wire_get_u8(r) == 0;
    case 1:
        return wire_get_u16(r) == 0;
    case 2:
        return wire_get_u32(r) == 0;
    case 3:
        return wire_get_u64(r) == 0;
    case 4:
        id = wire_get_id(r);
        return wire_id_is_zero(&id);
    case 5:
        return wire_get_str8(r).bytes == 0;
    case 6:
        return wire_get_str16(r).bytes == 0;
    case 7:
        return wire_get_str32(r).bytes == 0;
    default:
        return wire_get_rest(r).bytes == 0;
    }
}

START_TEST(test_reader_stops_at_its_end)
{
    static const size_t size[] = {1, 2, 4, 8, 16};
    unsigned char byte[16];
    memset(byte, 0xff, sizeof byte);
    for (int kind = 0; kind < 5; kind++) {
        for (size_t bytes = 0; bytes < size[kind]; bytes++) {
            struct wire_reader r = wire_reader_of(byte, bytes);
            ck_assert(get_is_zero(&r, kind));
            ck_assert(r.failed);
            ck_assert(!wire_reader_is_done(&r));
        }
        struct wire_reader r = wire_reader_of(byte, size[kind]);
        ck_assert(!get_is_zero(&r, kind));
        ck_assert(wire_reader_is_done(&r));
    }
}
END_TEST

START_TEST(test_reader_fails_once_and_for_all)
{
    unsigned char byte[64];
    memset(byte, 0x01, sizeof byte);
    struct wire_reader r = wire_reader_of(byte, sizeof byte);
    ck_assert_ptr_null(wire_take(&r, sizeof byte + 1));
    for (int kind = 0; kind < 9; kind++)
        ck_assert(get_is_zero(&r, kind));
    ck_assert(!wire_reader_is_done(&r));
    ck_assert_ptr_eq(r.at, byte);
}
END_TEST

/* RELIABILITY d 10 at its root: a length inside that points beyond the end. */
START_TEST(test_string_beyond_the_end)
{
    for (uint32_t there = 0; there < 4; there++) {
        unsigned char byte[16] = {4, 0, 0, 0};
        struct wire_reader r8 = wire_reader_of(byte, 1 + there);
        ck_assert_uint_eq(wire_get_str8(&r8).bytes, 0);
        ck_assert(r8.failed);
        struct wire_reader r16 = wire_reader_of(byte, 2 + there);
        ck_assert_uint_eq(wire_get_str16(&r16).bytes, 0);
        ck_assert(r16.failed);
        struct wire_reader r32 = wire_reader_of(byte, 4 + there);
        ck_assert_uint_eq(wire_get_str32(&r32).bytes, 0);
        ck_assert(r32.failed);
    }
}
END_TEST

START_TEST(test_huge_length_does_not_wrap)
{
    unsigned char byte[8];
    memset(byte, 0xff, sizeof byte);
    struct wire_reader r = wire_reader_of(byte, sizeof byte);
    ck_assert_uint_eq(wire_get_str32(&r).bytes, 0);
    ck_assert(r.failed);
    struct wire_reader s = wire_reader_of(byte, sizeof byte);
    ck_assert_ptr_null(wire_take(&s, SIZE_MAX));
}
END_TEST

static void put(struct wire_writer *w, int kind)
{
    struct wire_bytes text = wire_bytes_of_text("abc");
    struct wire_id id = {{1}};
    switch (kind) {
    case 0:
        wire_put_u8(w, 1);
        return;
    case 1:
        wire_put_u16(w, 1);
        return;
    case 2:
        wire_put_u32(w, 1);
        return;
    case 3:
        wire_put_u64(w, 1);
        return;
    case 4:
        wire_put_id(w, id);
        return;
    case 5:
        wire_put_str8(w, text);
        return;
    case 6:
        wire_put_str16(w, text);
        return;
    case 7:
        wire_put_str32(w, text);
        return;
    default:
        wire_put_rest(w, text);
        return;
    }
}

START_TEST(test_writer_stops_at_its_end)
{
    static const size_t size[] = {1, 2, 4, 8, 16, 4, 5, 7, 3};
    for (int kind = 0; kind < 9; kind++) {
        for (size_t room = 0; room <= size[kind]; room++) {
            unsigned char byte[24];
            memset(byte, 0xee, sizeof byte);
            struct wire_writer w = wire_writer_of(byte, room);
            put(&w, kind);
            ck_assert_int_eq(w.failed, room < size[kind]);
            ck_assert_uint_le(wire_written(&w), room);
            for (size_t i = room; i < sizeof byte; i++)
                ck_assert_uint_eq(byte[i], 0xee);
            size_t written = wire_written(&w);
            if (!w.failed)
                continue;
            put(&w, 0);
            ck_assert_uint_eq(wire_written(&w), written);
        }
    }
}
END_TEST

START_TEST(test_string_too_long_for_its_kind)
{
    static unsigned char text[UINT16_MAX + 1];
    static unsigned char room[2 * UINT16_MAX];
    struct wire_writer w = wire_writer_of(room, sizeof room);
    wire_put_str8(&w, wire_bytes_of(text, UINT8_MAX));
    wire_put_str16(&w, wire_bytes_of(text, UINT16_MAX));
    ck_assert(!w.failed);
    wire_put_str8(&w, wire_bytes_of(text, UINT8_MAX + 1));
    ck_assert(w.failed);
    w = wire_writer_of(room, sizeof room);
    wire_put_str16(&w, wire_bytes_of(text, UINT16_MAX + 1));
    ck_assert(w.failed);
    ck_assert_uint_eq(wire_written(&w), 0);
}
END_TEST

START_TEST(test_empty_bytes_need_no_memory)
{
    struct wire_bytes none = {NULL, 0};
    unsigned char room[4];
    struct wire_writer w = wire_writer_of(room, sizeof room);
    wire_put_str8(&w, none);
    wire_put_rest(&w, none);
    ck_assert(!w.failed);
    ck_assert_uint_eq(wire_written(&w), 1);
    struct wire_reader r = wire_reader_of(NULL, 0);
    ck_assert(wire_reader_is_done(&r));
    ck_assert_uint_eq(wire_get_rest(&r).bytes, 0);
    ck_assert(wire_bytes_equal(none, wire_bytes_of("", 0)));
    ck_assert(!wire_bytes_equal(none, wire_bytes_of_text("a")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wire");
    TCase *cases = tcase_create("wire");
    tcase_add_test(cases, test_integers_are_little_endian);
    tcase_add_test(cases, test_what_is_put_is_got);
    tcase_add_test(cases, test_reader_stops_at_its_end);
    tcase_add_test(cases, test_reader_fails_once_and_for_all);
    tcase_add_test(cases, test_string_beyond_the_end);
    tcase_add_test(cases, test_huge_length_does_not_wrap);
    tcase_add_test(cases, test_writer_stops_at_its_end);
    tcase_add_test(cases, test_string_too_long_for_its_kind);
    tcase_add_test(cases, test_empty_bytes_need_no_memory);
    suite_add_tcase(suite, cases);
    return check_main(suite);
}
