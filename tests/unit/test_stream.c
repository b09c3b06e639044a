/* The splitter: magic, whole frames out of any cut, and headers judged before the rest is there. */
#include "protocol/stream.h"

#include <stdlib.h>

#include "tests/support/check_main.h"
#include "tests/support/frame_chance.h"

static const struct stream client_open = {FRAME_SENDER_CLIENT, FRAME_PHASE_OPEN, 65536};

/* --- magic
 * ---------------------------------------------------------------------------------------- */

START_TEST(test_magic_byte_by_byte)
{
    for (size_t bytes = 0; bytes < FRAME_MAGIC_BYTES; bytes++)
        ck_assert_int_eq(stream_check_magic(frame_magic, bytes), STATUS_MORE);
    ck_assert_int_eq(stream_check_magic(frame_magic, FRAME_MAGIC_BYTES), STATUS_OK);
    unsigned char longer[64] = {0};
    memcpy(longer, frame_magic, FRAME_MAGIC_BYTES);
    ck_assert_int_eq(stream_check_magic(longer, sizeof longer), STATUS_OK);
}
END_TEST

static enum status judge(const char *text, size_t bytes)
{
    return stream_check_magic((const unsigned char *)text, bytes);
}

/* RELIABILITY d 3, 4, 5. */
START_TEST(test_what_is_not_herald)
{
    ck_assert_int_eq(judge("GET / HTTP/1.1\r\n", 16), STATUS_BAD_MAGIC);
    ck_assert_int_eq(judge("G", 1), STATUS_BAD_MAGIC);
    ck_assert_int_eq(judge("HEAD / HTTP/1.1\r\n", 17), STATUS_BAD_MAGIC);
    ck_assert_int_eq(judge("HE", 2), STATUS_MORE);
    ck_assert_int_eq(judge("AMQP\0\0\x09\x01", 8), STATUS_BAD_MAGIC);
    ck_assert_int_eq(judge("\x16", 1), STATUS_MORE);
    ck_assert_int_eq(judge("\x16\x03\x01\x02\x00", 5), STATUS_TLS_EXPECTED);
    ck_assert_int_eq(judge("\x16\x04", 2), STATUS_BAD_MAGIC);
}
END_TEST

START_TEST(test_other_versions)
{
    ck_assert_int_eq(judge("HERALD\x02", 7), STATUS_VERSION);
    ck_assert_int_eq(judge("HERALD\x01", 7), STATUS_MORE);
    ck_assert_int_eq(judge("HERALD\x00\x00", 8), STATUS_VERSION);
    ck_assert_int_eq(judge("HERALD\x01\x01", 8), STATUS_VERSION);
    ck_assert_int_eq(judge("HERALX\x01\x00", 8), STATUS_BAD_MAGIC);
}
END_TEST

/* Noise is known for what it is after eight bytes at the latest. */
START_TEST(test_noise)
{
    struct chance chance = {3};
    for (int round = 0; round < 100000; round++) {
        unsigned char noise[FRAME_MAGIC_BYTES];
        chance_fill(&chance, noise, sizeof noise);
        enum status status = stream_check_magic(noise, sizeof noise);
        ck_assert(status == STATUS_BAD_MAGIC || status == STATUS_TLS_EXPECTED);
    }
}
END_TEST

/* --- frames
 * --------------------------------------------------------------------------------------- */

static size_t put_send(unsigned char *at, size_t room, uint64_t tag, const char *body)
{
    struct wire_writer w = wire_writer_of(at, room);
    struct frame_send send = {.queue = wire_bytes_of_text("orders"),
                              .body_bytes = (uint32_t)strlen(body),
                              .body = wire_bytes_of_text(body)};
    ck_assert(frame_put_send(&w, 0, tag, &send));
    return wire_written(&w);
}

START_TEST(test_wanted_grows_to_the_frame)
{
    unsigned char byte[256];
    size_t bytes = put_send(byte, sizeof byte, 1, "hello");
    struct frame frame;
    for (size_t there = 0; there < bytes; there++) {
        size_t wanted = 0;
        ck_assert_int_eq(stream_next(&client_open, byte, there, &frame, &wanted), STATUS_MORE);
        ck_assert_uint_eq(wanted, there < FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES : bytes);
        ck_assert_uint_gt(wanted, there);
    }
    size_t wanted = 0;
    ck_assert_int_eq(stream_next(&client_open, byte, bytes, &frame, &wanted), STATUS_OK);
    ck_assert_uint_eq(frame.header.length, bytes);
    ck_assert_uint_eq(frame.header.tag, 1);
    ck_assert(wire_bytes_equal(frame.as.send.body, wire_bytes_of_text("hello")));
    ck_assert_ptr_eq(frame.as.send.body.at, byte + bytes - 5);
}
END_TEST

START_TEST(test_frame_after_frame)
{
    unsigned char byte[256];
    size_t first = put_send(byte, sizeof byte, 1, "one");
    size_t second = put_send(byte + first, sizeof byte - first, 2, "second");
    struct frame frame;
    size_t wanted;
    ck_assert_int_eq(stream_next(&client_open, byte, first + second, &frame, &wanted), STATUS_OK);
    ck_assert_uint_eq(frame.header.length, first);
    ck_assert_int_eq(stream_next(&client_open, byte + first, second, &frame, &wanted), STATUS_OK);
    ck_assert_uint_eq(frame.header.tag, 2);
    ck_assert_int_eq(stream_next(&client_open, byte + first + second, 0, &frame, &wanted),
                     STATUS_MORE);
}
END_TEST

/* RELIABILITY d 6, 7, 8, 13, 14: what the header alone says is said with the header alone. */
START_TEST(test_header_is_judged_before_the_rest)
{
    static const struct {
        struct frame_header header;
        enum frame_phase phase;
        enum status status;
    } table[] = {
        {{256U << 20, FRAME_PUBLISH, 0, 0, 1}, FRAME_PHASE_HELLO, STATUS_NOT_AUTHENTICATED},
        {{256U << 20, FRAME_PUBLISH, 0, 0, 1}, FRAME_PHASE_AUTH, STATUS_NOT_AUTHENTICATED},
        {{256U << 20, FRAME_PUBLISH, 0, 0, 1}, FRAME_PHASE_OPEN, STATUS_FRAME_TOO_LARGE},
        {{65537, FRAME_SEND, 0, 0, 1}, FRAME_PHASE_OPEN, STATUS_FRAME_TOO_LARGE},
        {{0xffffffff, FRAME_SEND, 0, 0, 1}, FRAME_PHASE_OPEN, STATUS_FRAME_TOO_LARGE},
        {{0x80000000, FRAME_SEND, 0, 0, 1}, FRAME_PHASE_OPEN, STATUS_FRAME_TOO_LARGE},
        {{0x7fffffff, FRAME_SEND, 0, 0, 1}, FRAME_PHASE_OPEN, STATUS_FRAME_TOO_LARGE},
        {{0, FRAME_SEND, 0, 0, 1}, FRAME_PHASE_OPEN, STATUS_MALFORMED},
        {{15, FRAME_SEND, 0, 0, 1}, FRAME_PHASE_OPEN, STATUS_MALFORMED},
        {{64, 0xee, 0, 0, 1}, FRAME_PHASE_OPEN, STATUS_UNKNOWN_FRAME},
        {{64, FRAME_SEND, 0x80, 0, 1}, FRAME_PHASE_OPEN, STATUS_UNKNOWN_FRAME},
        {{64, FRAME_SEND, 0, 1, 1}, FRAME_PHASE_OPEN, STATUS_UNKNOWN_FRAME},
        {{64, FRAME_CONFIRM, 0, 0, 0}, FRAME_PHASE_OPEN, STATUS_UNEXPECTED_FRAME},
        {{64, FRAME_HELLO, 0, 0, 0}, FRAME_PHASE_OPEN, STATUS_UNEXPECTED_FRAME},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        unsigned char byte[FRAME_HEADER_BYTES];
        frame_header_store(byte, &table[i].header);
        struct stream stream = {FRAME_SENDER_CLIENT, table[i].phase, 65536};
        struct frame frame;
        size_t wanted;
        ck_assert_int_eq(stream_next(&stream, byte, sizeof byte, &frame, &wanted), table[i].status);
    }
}
END_TEST

/* RELIABILITY d 10: a string inside the frame that says it is longer than what is left. */
START_TEST(test_string_beyond_the_frame)
{
    unsigned char byte[256];
    size_t bytes = put_send(byte, sizeof byte, 1, "");
    struct frame frame;
    size_t wanted;
    byte[FRAME_HEADER_BYTES] = 255;
    ck_assert_int_eq(stream_next(&client_open, byte, bytes, &frame, &wanted), STATUS_MALFORMED);
    bytes = put_send(byte, sizeof byte, 1, "");
    wire_store_u16(byte + FRAME_HEADER_BYTES + 7, UINT16_MAX);
    ck_assert_int_eq(stream_next(&client_open, byte, bytes, &frame, &wanted), STATUS_MALFORMED);
}
END_TEST

/* The bytes behind a broken frame's end are not looked at: with the sanitizer on, a read beyond
 * this allocation of exactly the frame would end the test. */
START_TEST(test_nothing_is_read_beyond_the_end)
{
    static unsigned char room[FRAME_CHANCE_BYTES_MAX];
    static struct frame_pool pool;
    struct chance chance = {9};
    frame_pool_init(&pool, &chance);
    for (int round = 0; round < 3000; round++) {
        unsigned type = frame_types[chance_below(&chance, frame_types_count)];
        struct frame frame;
        frame_chance(&frame, type, &chance, &pool);
        struct wire_writer w = wire_writer_of(room, sizeof room);
        ck_assert(frame_encode(&w, &frame));
        size_t bytes = wire_written(&w);
        size_t keep = FRAME_HEADER_BYTES + chance_below(&chance, bytes - FRAME_HEADER_BYTES + 1);
        unsigned char *exact = malloc(keep);
        memcpy(exact, room, keep);
        wire_store_u32(exact, (uint32_t)keep);
        struct frame got;
        enum status status = frame_decode(&got, exact);
        ck_assert(status == STATUS_OK || status == STATUS_MALFORMED);
        free(exact);
    }
}
END_TEST

/* RELIABILITY d 12: a long run of frames gives the same frames however it is cut. */
START_TEST(test_cuts_do_not_matter)
{
    static unsigned char run[4096];
    size_t bytes = 0;
    for (uint64_t tag = 1; tag <= 40; tag++)
        bytes += put_send(run + bytes, sizeof run - bytes, tag, tag % 3 == 0 ? "" : "some body");
    for (size_t step = 1; step <= bytes; step++) {
        size_t there = 0;
        size_t used = 0;
        uint64_t tag = 0;
        while (there < bytes) {
            there = there + step < bytes ? there + step : bytes;
            struct frame frame;
            size_t wanted;
            while (stream_next(&client_open, run + used, there - used, &frame, &wanted) ==
                   STATUS_OK) {
                ck_assert_uint_eq(frame.header.tag, ++tag);
                used += frame.header.length;
            }
        }
        ck_assert_uint_eq(tag, 40);
        ck_assert_uint_eq(used, bytes);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream");
    TCase *magic = tcase_create("magic");
    tcase_add_test(magic, test_magic_byte_by_byte);
    tcase_add_test(magic, test_what_is_not_herald);
    tcase_add_test(magic, test_other_versions);
    tcase_add_test(magic, test_noise);
    suite_add_tcase(suite, magic);
    TCase *frames = tcase_create("frames");
    tcase_add_test(frames, test_wanted_grows_to_the_frame);
    tcase_add_test(frames, test_frame_after_frame);
    tcase_add_test(frames, test_header_is_judged_before_the_rest);
    tcase_add_test(frames, test_string_beyond_the_frame);
    tcase_add_test(frames, test_nothing_is_read_beyond_the_end);
    tcase_add_test(frames, test_cuts_do_not_matter);
    suite_add_tcase(suite, frames);
    return check_main(suite);
}
