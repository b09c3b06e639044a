/* Lists: properties and settings, headers, fields of rows; every refusal and every limit. */
#include "protocol/property.h"

#include <stdio.h>

#include "tests/support/check_main.h"

static unsigned char room[80000];

static struct wire_bytes written(const struct wire_writer *w)
{
    ck_assert(!w->failed);
    return wire_bytes_of(room, (uint32_t)wire_written(w));
}

static struct wire_writer writer(void)
{
    return wire_writer_of(room, sizeof room);
}

/* --- properties and settings
 * ---------------------------------------------------------------------- */

enum { NUMBER = 8, ID = 16, TEXT = -1 };

static const struct {
    enum property_scope scope;
    uint8_t kind;
    int bytes;
} known[] = {
#define PROPERTY(NAME, name, scope, kind, type, text) {PROPERTY_SCOPE_##scope, kind, type},
#include "protocol/properties.def"
};

enum { KNOWN_COUNT = sizeof known / sizeof known[0] };

static int known_bytes(enum property_scope scope, unsigned kind)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        if (known[i].scope == scope && known[i].kind == kind)
            return known[i].bytes;
    return 0;
}

/* Every scope, every kind, every length. */
START_TEST(test_kinds_and_lengths)
{
    static const char text[UINT8_MAX] = {'x'};
    for (int s = PROPERTY_SCOPE_MESSAGE; s <= PROPERTY_SCOPE_EXCHANGE; s++)
        for (unsigned kind = 0; kind < 256; kind++)
            for (unsigned bytes = 0; bytes <= UINT8_MAX; bytes++) {
                enum property_scope scope = (enum property_scope)s;
                int wanted = known_bytes(scope, kind);
                bool good = wanted == 0 ? kind >= 128 : wanted == TEXT || wanted == (int)bytes;
                struct wire_writer w = writer();
                property_put(&w, (uint8_t)kind, wire_bytes_of(text, bytes));
                struct wire_bytes list = wire_bytes_of(room, (uint32_t)wire_written(&w));
                if (property_check(list, scope) != (good ? STATUS_OK : STATUS_BAD_PROPERTY))
                    ck_abort_msg("scope %d kind %u bytes %u", s, kind, bytes);
            }
}
END_TEST

START_TEST(test_empty_list_is_good)
{
    ck_assert_int_eq(property_check(wire_bytes_of("", 0), PROPERTY_SCOPE_MESSAGE), STATUS_OK);
    ck_assert_int_eq(property_check(wire_bytes_of(NULL, 0), PROPERTY_SCOPE_QUEUE), STATUS_OK);
    ck_assert_ptr_null(property_find(wire_bytes_of(NULL, 0), 1).at);
}
END_TEST

START_TEST(test_a_kind_stands_once)
{
    for (unsigned kind = 1; kind < 256; kind++) {
        if (kind < 128 && known_bytes(PROPERTY_SCOPE_QUEUE, kind) == 0)
            continue;
        struct wire_writer w = writer();
        property_put_number(&w, (uint8_t)kind, 1);
        property_put_number(&w, kind == 255 ? 254 : 255, 2);
        ck_assert_int_eq(property_check(written(&w), PROPERTY_SCOPE_QUEUE), STATUS_OK);
        property_put_number(&w, (uint8_t)kind, 1);
        ck_assert_int_eq(property_check(written(&w), PROPERTY_SCOPE_QUEUE), STATUS_BAD_PROPERTY);
    }
}
END_TEST

START_TEST(test_list_cut_at_every_byte)
{
    struct wire_writer w = writer();
    struct wire_id id = {{1, 2, 3}};
    property_put(&w, PROPERTY_MESSAGE_ID, wire_bytes_of(id.byte, sizeof id.byte));
    size_t first = wire_written(&w);
    property_put(&w, PROPERTY_MESSAGE_CONTENT_TYPE, wire_bytes_of_text("text/plain"));
    struct wire_bytes list = written(&w);
    for (uint32_t cut = 0; cut <= list.bytes; cut++) {
        bool whole = cut == 0 || cut == first || cut == list.bytes;
        ck_assert_int_eq(property_check(wire_bytes_of(room, cut), PROPERTY_SCOPE_MESSAGE),
                         whole ? STATUS_OK : STATUS_BAD_PROPERTY);
    }
}
END_TEST

START_TEST(test_find)
{
    struct wire_writer w = writer();
    property_put_number(&w, PROPERTY_QUEUE_COUNT_MAX, 1000);
    property_put_number(&w, 200, 7);
    property_put_number(&w, PROPERTY_QUEUE_OVERFLOW, UINT64_MAX);
    struct wire_bytes list = written(&w);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_QUEUE_COUNT_MAX, 5), 1000);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_QUEUE_OVERFLOW, 5), UINT64_MAX);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_QUEUE_BYTES_MAX, 5), 5);
    ck_assert_uint_eq(property_find(list, 200).bytes, 8);
    ck_assert_ptr_null(property_find(list, 201).at);
}
END_TEST

START_TEST(test_text_is_utf8)
{
    struct wire_writer w = writer();
    property_put(&w, PROPERTY_MESSAGE_CORRELATION, wire_bytes_of_text("\xc3\x28"));
    ck_assert_int_eq(property_check(written(&w), PROPERTY_SCOPE_MESSAGE), STATUS_BAD_PROPERTY);
    w = writer();
    property_put(&w, PROPERTY_MESSAGE_CORRELATION, wire_bytes_of_text("\xc3\xa9"));
    ck_assert_int_eq(property_check(written(&w), PROPERTY_SCOPE_MESSAGE), STATUS_OK);
}
END_TEST

/* --- headers
 * -------------------------------------------------------------------------------------- */

enum { COUNT = 64, BYTES = 16384 };

static struct wire_bytes headers_of(uint32_t count)
{
    struct wire_writer w = writer();
    for (uint32_t i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "h%u", i);
        header_put(&w, wire_bytes_of_text(name), wire_bytes_of_text("v"));
    }
    return written(&w);
}

static enum status check_one(struct wire_bytes name)
{
    struct wire_writer w = writer();
    header_put(&w, name, wire_bytes_of_text("value"));
    return header_check(written(&w), COUNT, BYTES);
}

START_TEST(test_headers_there_and_back)
{
    struct wire_bytes list = headers_of(COUNT);
    ck_assert_int_eq(header_check(list, COUNT, BYTES), STATUS_OK);
    struct wire_reader r = wire_reader_of(list.at, list.bytes);
    struct header header;
    uint32_t count = 0;
    while (header_next(&r, &header)) {
        ck_assert_uint_eq(header.name.at[0], 'h');
        ck_assert(wire_bytes_equal(header.value, wire_bytes_of_text("v")));
        count++;
    }
    ck_assert(wire_reader_is_done(&r));
    ck_assert_uint_eq(count, COUNT);
    ck_assert_int_eq(header_check(wire_bytes_of(NULL, 0), COUNT, BYTES), STATUS_OK);
}
END_TEST

/* RELIABILITY d 18, the counts: 64 and not 65, 16 KiB and not one byte more. */
START_TEST(test_limits_of_headers)
{
    ck_assert_int_eq(header_check(headers_of(65), COUNT, 65536), STATUS_BAD_HEADER);
    ck_assert_int_eq(header_check(headers_of(1), 0, BYTES), STATUS_BAD_HEADER);
    ck_assert_int_eq(header_check(headers_of(HEADER_COUNT_MAX), 1000, 65536), STATUS_OK);
    ck_assert_int_eq(header_check(headers_of(HEADER_COUNT_MAX + 1), 1000, 65536),
                     STATUS_BAD_HEADER);
    static unsigned char value[BYTES];
    for (uint32_t over = 0; over < 2; over++) {
        struct wire_writer w = writer();
        header_put(&w, wire_bytes_of_text("n"), wire_bytes_of(value, BYTES - 4 + over));
        ck_assert_int_eq(header_check(written(&w), COUNT, BYTES),
                         over == 0 ? STATUS_OK : STATUS_BAD_HEADER);
    }
}
END_TEST

/* RELIABILITY d 18, the names. */
START_TEST(test_names_of_headers)
{
    char name[UINT8_MAX];
    memset(name, 'n', sizeof name);
    ck_assert_int_eq(check_one(wire_bytes_of(name, sizeof name)), STATUS_OK);
    ck_assert_int_eq(check_one(wire_bytes_of_text("trace-\xc3\xa9")), STATUS_OK);
    ck_assert_int_eq(check_one(wire_bytes_of("", 0)), STATUS_BAD_HEADER);
    ck_assert_int_eq(check_one(wire_bytes_of("a\0b", 3)), STATUS_BAD_HEADER);
    ck_assert_int_eq(check_one(wire_bytes_of("\0", 1)), STATUS_BAD_HEADER);
    ck_assert_int_eq(check_one(wire_bytes_of_text("\xff")), STATUS_BAD_HEADER);
    ck_assert_int_eq(check_one(wire_bytes_of_text("\xc0\xaf")), STATUS_BAD_HEADER);
}
END_TEST

START_TEST(test_doubled_header)
{
    for (uint32_t between = 0; between < 60; between++) {
        struct wire_writer w = writer();
        header_put(&w, wire_bytes_of_text("twice"), wire_bytes_of_text("1"));
        for (uint32_t i = 0; i < between; i++) {
            char name[16];
            snprintf(name, sizeof name, "h%u", i);
            header_put(&w, wire_bytes_of_text(name), wire_bytes_of_text("v"));
        }
        ck_assert_int_eq(header_check(written(&w), COUNT, BYTES), STATUS_OK);
        header_put(&w, wire_bytes_of_text("twice"), wire_bytes_of_text("2"));
        ck_assert_int_eq(header_check(written(&w), COUNT, BYTES), STATUS_BAD_HEADER);
    }
}
END_TEST

START_TEST(test_headers_cut_at_every_byte)
{
    struct wire_bytes list = headers_of(3);
    uint32_t entry = list.bytes / 3;
    for (uint32_t cut = 0; cut <= list.bytes; cut++)
        ck_assert_int_eq(header_check(wire_bytes_of(room, cut), COUNT, BYTES),
                         cut % entry == 0 ? STATUS_OK : STATUS_BAD_HEADER);
}
END_TEST

/* --- rows
 * ----------------------------------------------------------------------------------------- */

START_TEST(test_row_there_and_back)
{
    struct wire_writer w = writer();
    row_put_text(&w, "name", wire_bytes_of_text("orders"));
    row_put_number(&w, "messages", ROW_NUMBER, 41);
    row_put_number(&w, "transient", ROW_FLAG, 2);
    row_put_number(&w, "bytes", ROW_BYTES, UINT64_MAX);
    row_put_number(&w, "oldest", ROW_MILLISECONDS, 1500);
    struct wire_bytes row = written(&w);
    struct wire_reader r = wire_reader_of(row.at, row.bytes);
    struct row_field field;
    ck_assert(row_next(&r, &field));
    ck_assert_int_eq(field.kind, ROW_TEXT);
    ck_assert(wire_bytes_equal(field.name, wire_bytes_of_text("name")));
    ck_assert(wire_bytes_equal(field.text, wire_bytes_of_text("orders")));
    static const struct {
        enum row_kind kind;
        uint64_t number;
    } expected[] = {
        {ROW_NUMBER, 41}, {ROW_FLAG, 1}, {ROW_BYTES, UINT64_MAX}, {ROW_MILLISECONDS, 1500}};
    for (size_t i = 0; i < 4; i++) {
        ck_assert(row_next(&r, &field));
        ck_assert_int_eq(field.kind, expected[i].kind);
        ck_assert_uint_eq(field.number, expected[i].number);
        ck_assert_uint_eq(field.text.bytes, 0);
    }
    ck_assert(!row_next(&r, &field));
    ck_assert(wire_reader_is_done(&r));
}
END_TEST

START_TEST(test_row_cut_at_every_byte)
{
    struct wire_writer w = writer();
    row_put_text(&w, "name", wire_bytes_of_text("orders"));
    size_t first = wire_written(&w);
    row_put_number(&w, "messages", ROW_NUMBER, 41);
    size_t second = wire_written(&w);
    row_put_number(&w, "paused", ROW_FLAG, 0);
    struct wire_bytes row = written(&w);
    for (uint32_t cut = 0; cut <= row.bytes; cut++) {
        struct wire_reader r = wire_reader_of(row.at, cut);
        struct row_field field;
        while (row_next(&r, &field))
            ck_assert_uint_gt(field.name.bytes, 0);
        bool whole = cut == 0 || cut == first || cut == second || cut == row.bytes;
        ck_assert_int_eq(r.failed, !whole);
    }
}
END_TEST

START_TEST(test_row_of_an_unknown_kind)
{
    for (unsigned kind = 0; kind < 256; kind++) {
        unsigned char row[16] = {1, 'n', (unsigned char)kind};
        struct wire_reader r = wire_reader_of(row, sizeof row);
        struct row_field field;
        ck_assert_int_eq(row_next(&r, &field), kind <= ROW_MILLISECONDS);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("property");
    TCase *properties = tcase_create("properties");
    tcase_add_test(properties, test_kinds_and_lengths);
    tcase_add_test(properties, test_empty_list_is_good);
    tcase_add_test(properties, test_a_kind_stands_once);
    tcase_add_test(properties, test_list_cut_at_every_byte);
    tcase_add_test(properties, test_find);
    tcase_add_test(properties, test_text_is_utf8);
    suite_add_tcase(suite, properties);
    TCase *headers = tcase_create("headers");
    tcase_add_test(headers, test_headers_there_and_back);
    tcase_add_test(headers, test_limits_of_headers);
    tcase_add_test(headers, test_names_of_headers);
    tcase_add_test(headers, test_doubled_header);
    tcase_add_test(headers, test_headers_cut_at_every_byte);
    suite_add_tcase(suite, headers);
    TCase *rows = tcase_create("rows");
    tcase_add_test(rows, test_row_there_and_back);
    tcase_add_test(rows, test_row_cut_at_every_byte);
    tcase_add_test(rows, test_row_of_an_unknown_kind);
    suite_add_tcase(suite, rows);
    return check_main(suite);
}
