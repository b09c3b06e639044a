/* The list of events of an APPEND frame: there and back, cut at every byte, its limits. */
#include "protocol/append.h"

#include <stdlib.h>

#include "tests/support/chance.h"
#include "tests/support/check_main.h"

enum { ROOM_BYTES = 200000 };

static unsigned char room[ROOM_BYTES];

static struct append_event make(const char *key, const char *properties, const char *headers,
                                const char *body)
{
    return (struct append_event){wire_bytes_of_text(key), wire_bytes_of_text(properties),
                                 wire_bytes_of_text(headers), wire_bytes_of_text(body)};
}

static bool is_same(const struct append_event *a, const struct append_event *b)
{
    return wire_bytes_equal(a->key, b->key) && wire_bytes_equal(a->properties, b->properties) &&
           wire_bytes_equal(a->headers, b->headers) && wire_bytes_equal(a->body, b->body);
}

static struct wire_bytes put(const struct append_event *events, size_t count)
{
    struct wire_writer w = wire_writer_of(room, sizeof room);
    for (size_t i = 0; i < count; i++) {
        size_t before = wire_written(&w);
        append_put(&w, &events[i]);
        ck_assert_uint_eq(wire_written(&w) - before, append_bytes(&events[i]));
    }
    ck_assert(!w.failed);
    return wire_bytes_of(room, (uint32_t)wire_written(&w));
}

START_TEST(test_there_and_back)
{
    const struct append_event events[] = {make("order.placed", "pp", "hhh", "a body"),
                                          make("k", "", "", ""), make("", "p", "", "x")};
    struct wire_bytes list = put(events, 3);
    struct append_event event;
    uint32_t count;
    ck_assert_int_eq(append_check(list, &count), STATUS_OK);
    ck_assert_uint_eq(count, 3);
    struct wire_reader r = wire_reader_of(list.at, list.bytes);
    for (size_t i = 0; i < 3; i++) {
        ck_assert(append_next(&r, &event));
        ck_assert(is_same(&event, &events[i]));
    }
    ck_assert(!append_next(&r, &event));
    ck_assert(wire_reader_is_done(&r));
}
END_TEST

/* A list that ends between two events is one of fewer events, any other cut is malformed. The bytes
 * stand at the end of their memory, so that a read beyond them is seen. */
START_TEST(test_cut_at_every_byte)
{
    const struct append_event events[] = {make("order.placed", "pp", "hhh", "a body"),
                                          make("order.paid", "", "h", "another")};
    size_t first = append_bytes(&events[0]);
    struct wire_bytes list = put(events, 2);
    for (uint32_t cut = 0; cut <= list.bytes; cut++) {
        unsigned char *exact = malloc(cut + 1);
        uint32_t count;
        memcpy(exact + 1, list.at, cut);
        enum status status = append_check(wire_bytes_of(exact + 1, cut), &count);
        if (cut == first || cut == list.bytes)
            ck_assert_int_eq(status, STATUS_OK);
        else
            ck_assert_int_eq(status, STATUS_MALFORMED);
        if (status == STATUS_OK)
            ck_assert_uint_eq(count, cut == first ? 1 : 2);
        free(exact);
    }
}
END_TEST

START_TEST(test_none_is_none)
{
    uint32_t count = 9;
    ck_assert_int_eq(append_check((struct wire_bytes){NULL, 0}, &count), STATUS_MALFORMED);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(test_most)
{
    static struct append_event events[APPEND_EVENTS_MAX + 1];
    uint32_t count;
    for (size_t i = 0; i <= APPEND_EVENTS_MAX; i++)
        events[i] = make("k", "", "", "b");
    ck_assert_int_eq(append_check(put(events, APPEND_EVENTS_MAX), &count), STATUS_OK);
    ck_assert_uint_eq(count, APPEND_EVENTS_MAX);
    ck_assert_int_eq(append_check(put(events, APPEND_EVENTS_MAX + 1), &count), STATUS_LIMIT);
}
END_TEST

START_TEST(test_longest)
{
    static unsigned char bytes[UINT16_MAX + 1];
    struct append_event event = {wire_bytes_of(bytes, UINT8_MAX), wire_bytes_of(bytes, UINT16_MAX),
                                 wire_bytes_of(bytes, UINT16_MAX), wire_bytes_of(bytes, 10)};
    uint32_t count;
    ck_assert_int_eq(append_check(put(&event, 1), &count), STATUS_OK);
    struct wire_writer w = wire_writer_of(room, sizeof room);
    event.key.bytes = UINT8_MAX + 1;
    append_put(&w, &event);
    ck_assert(w.failed);
    w = wire_writer_of(room, sizeof room);
    event.key.bytes = 1;
    event.headers.bytes = UINT16_MAX + 1;
    append_put(&w, &event);
    ck_assert(w.failed);
}
END_TEST

/* Any bytes: what is taken encodes to the same bytes, whatever was damaged. */
START_TEST(test_damage)
{
    struct chance chance = {7};
    static unsigned char again[1000];
    for (int i = 0; i < 200000; i++) {
        const struct append_event events[] = {make("order.placed", "pp", "hhh", "a body"),
                                              make("k", "", "", "x")};
        struct wire_bytes list = put(events, 2);
        for (uint64_t hits = chance_below(&chance, 4); hits > 0; hits--)
            room[chance_below(&chance, list.bytes)] = (unsigned char)chance_next(&chance);
        list.bytes = (uint32_t)chance_below(&chance, (uint64_t)list.bytes + 1);
        uint32_t count;
        if (append_check(list, &count) != STATUS_OK)
            continue;
        struct wire_reader r = wire_reader_of(list.at, list.bytes);
        struct wire_writer w = wire_writer_of(again, sizeof again);
        struct append_event event;
        while (append_next(&r, &event)) {
            append_put(&w, &event);
            count--;
        }
        ck_assert_uint_eq(count, 0);
        ck_assert_uint_eq(wire_written(&w), list.bytes);
        ck_assert_mem_eq(again, list.at, list.bytes);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("append");
    TCase *append = tcase_create("append");
    tcase_add_test(append, test_there_and_back);
    tcase_add_test(append, test_cut_at_every_byte);
    tcase_add_test(append, test_none_is_none);
    tcase_add_test(append, test_most);
    tcase_add_test(append, test_longest);
    tcase_add_test(append, test_damage);
    suite_add_tcase(suite, append);
    return check_main(suite);
}
