/* Frames: every type there and back, every cut, every room, and who may send what and when. */
#include "protocol/frame.h"

#include "tests/support/check_main.h"
#include "tests/support/frame_chance.h"

enum { ROUNDS = 150 };

static struct frame_pool pool;
static unsigned char room[FRAME_CHANCE_BYTES_MAX];
static unsigned char again[FRAME_CHANCE_BYTES_MAX];

static void setup(void)
{
    struct chance chance = {1};
    frame_pool_init(&pool, &chance);
}

static size_t encode(struct frame *frame, unsigned char *at, size_t bytes)
{
    struct wire_writer w = wire_writer_of(at, bytes);
    ck_assert(frame_encode(&w, frame));
    return wire_written(&w);
}

static enum status decode(struct frame *frame, unsigned char *at, size_t bytes)
{
    wire_store_u32(at, (uint32_t)bytes);
    return frame_decode(frame, at);
}

/* True for types whose last field takes whatever is left. */
static bool has_rest(unsigned type)
{
    bool rest = false;
    switch (type) {
#define FIELD(kind, name, text) rest = sizeof #kind == sizeof "rest" && #kind[0] == 'r';
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text) case type:
#define FRAME_END(NAME, name) break;
#include "protocol/frames.def"
    default:
        ck_abort_msg("type %u", type);
    }
    return rest;
}

/* All types; the loop index is the place in frames.def. */
START_TEST(test_there_and_back)
{
    unsigned type = frame_types[_i];
    struct chance chance = {type};
    for (int round = 0; round < ROUNDS; round++) {
        struct frame frame;
        struct frame got;
        frame_chance(&frame, type, &chance, &pool);
        size_t bytes = encode(&frame, room, sizeof room);
        ck_assert_uint_eq(bytes, frame_encoded_bytes(&frame));
        ck_assert_uint_eq(bytes, frame.header.length);
        ck_assert_int_eq(frame_decode(&got, room), STATUS_OK);
        ck_assert_msg(frame_equal(&frame, &got), "%s round %d", frame_name(type), round);
        struct wire_writer w = wire_writer_of(again, sizeof again);
        ck_assert(frame_put(&w, &got));
        ck_assert_uint_eq(wire_written(&w), bytes);
        ck_assert_mem_eq(again, room, bytes);
    }
}
END_TEST

/* A frame whose own length is cut at any byte: refused, or, where the last field takes what is
 * left, another good frame of exactly those bytes. */
START_TEST(test_cut_at_every_byte)
{
    unsigned type = frame_types[_i];
    struct chance chance = {type + 1000U};
    for (int round = 0; round < 20; round++) {
        struct frame frame;
        struct frame got;
        frame_chance(&frame, type, &chance, &pool);
        size_t bytes = encode(&frame, room, sizeof room);
        if (bytes > 2000)
            continue;
        for (size_t cut = FRAME_HEADER_BYTES; cut < bytes; cut++) {
            if (decode(&got, room, cut) == STATUS_OK) {
                ck_assert(has_rest(type));
                ck_assert_uint_eq(encode(&got, again, sizeof again), cut);
                ck_assert_mem_eq(again, room, cut);
            }
        }
        memset(room + bytes, 0, 4);
        enum status longer = decode(&got, room, bytes + 1);
        ck_assert_int_eq(longer, has_rest(type) ? STATUS_OK : STATUS_MALFORMED);
    }
}
END_TEST

START_TEST(test_room_too_small)
{
    unsigned type = frame_types[_i];
    struct chance chance = {type + 2000U};
    for (int round = 0; round < 10; round++) {
        struct frame frame;
        frame_chance(&frame, type, &chance, &pool);
        size_t bytes = frame_encoded_bytes(&frame);
        if (bytes > 2000)
            continue;
        for (size_t small = 0; small < bytes; small++) {
            memset(room + small, 0x5a, 8);
            struct wire_writer w = wire_writer_of(room, small);
            ck_assert(!frame_encode(&w, &frame));
            for (size_t i = 0; i < 8; i++)
                ck_assert_uint_eq(room[small + i], 0x5a);
        }
    }
}
END_TEST

/* Byte fields one longer than their kind can say are refused by the encoder, not cut short. */
START_TEST(test_field_too_long_for_its_kind)
{
    struct wire_writer w = wire_writer_of(room, sizeof room);
    struct frame frame = {.header.type = FRAME_CANCEL};
    ck_assert(frame_encode(&w, &frame));
    frame = (struct frame){.header.type = FRAME_SEND};
    frame.as.send.queue = wire_bytes_of(pool.byte, UINT8_MAX + 1);
    ck_assert(!frame_encode(&w, &frame));
    w = wire_writer_of(room, sizeof room);
    frame.as.send.queue.bytes = UINT8_MAX;
    frame.as.send.headers = wire_bytes_of(pool.byte, UINT16_MAX + 1);
    ck_assert(!frame_encode(&w, &frame));
    w = wire_writer_of(room, sizeof room);
    frame.as.send.headers.bytes = UINT16_MAX;
    ck_assert(frame_encode(&w, &frame));
}
END_TEST

START_TEST(test_types_outside_the_table)
{
    bool known[256] = {false};
    for (size_t i = 0; i < frame_types_count; i++) {
        ck_assert_msg(!known[frame_types[i]], "type %u twice", frame_types[i]);
        known[frame_types[i]] = true;
    }
    for (unsigned type = 0; type < 256; type++) {
        struct frame frame = {.header.type = (uint8_t)type};
        struct wire_writer w = wire_writer_of(room, sizeof room);
        ck_assert_int_eq(frame_is_known(type), known[type]);
        if (known[type])
            continue;
        ck_assert_str_eq(frame_name(type), "UNKNOWN");
        ck_assert_int_eq(frame_line(type), FRAME_LINE_NONE);
        ck_assert_uint_eq(frame_encoded_bytes(&frame), 0);
        ck_assert(!frame_encode(&w, &frame));
        frame_header_store(room, &(struct frame_header){16, (uint8_t)type, 0, 0, 0});
        ck_assert_int_eq(frame_decode(&frame, room), STATUS_UNKNOWN_FRAME);
    }
    ck_assert(!frame_is_known(100000));
}
END_TEST

START_TEST(test_names_and_lines)
{
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    ck_assert_str_eq(frame_name(FRAME_##NAME), #NAME);                                             \
    ck_assert_int_eq(frame_line(FRAME_##NAME), FRAME_LINE_##line);
#include "protocol/frames.def"
}
END_TEST

START_TEST(test_header_layout)
{
    struct frame_header header = {0x04030201, 0x20, 0x03, 0x0605, 0x1716151413121110};
    unsigned char at[FRAME_HEADER_BYTES];
    frame_header_store(at, &header);
    ck_assert_mem_eq(at, "\x01\x02\x03\x04\x20\x03\x05\x06\x10\x11\x12\x13\x14\x15\x16\x17", 16);
    struct frame_header got = frame_header_load(at);
    ck_assert_uint_eq(got.length, header.length);
    ck_assert_uint_eq(got.type, header.type);
    ck_assert_uint_eq(got.flags, header.flags);
    ck_assert_uint_eq(got.zero, header.zero);
    ck_assert_uint_eq(got.tag, header.tag);
}
END_TEST

/* --- policy
 * --------------------------------------------------------------------------------------- */

static struct frame_header header_of(unsigned type)
{
    return (struct frame_header){100, (uint8_t)type, 0, 0, 0};
}

static enum status check(unsigned type, enum frame_sender sender, enum frame_phase phase)
{
    struct frame_header header = header_of(type);
    return frame_check(&header, sender, phase, 4096);
}

/* What the words in frames.def mean, said once more. */
static bool may_send(const char *who, enum frame_sender sender)
{
    if (who[0] == 'B' && who[1] == 'O')
        return true;
    return (who[0] == 'C') == (sender == FRAME_SENDER_CLIENT);
}

START_TEST(test_who_may_send_what_and_when)
{
    static const struct {
        uint8_t type;
        const char *sender;
        enum frame_phase phase;
    } table[] = {
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    {type, #sender, FRAME_PHASE_##phase},
#include "protocol/frames.def"
    };
    static const enum frame_sender senders[] = {FRAME_SENDER_CLIENT, FRAME_SENDER_BROKER};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        for (int s = 0; s < 2; s++)
            for (int phase = FRAME_PHASE_HELLO; phase <= FRAME_PHASE_OPEN; phase++) {
                bool is_close = table[i].type == FRAME_CLOSE;
                bool good = may_send(table[i].sender, senders[s]) &&
                            ((int)table[i].phase == phase || is_close);
                enum status status = check(table[i].type, senders[s], (enum frame_phase)phase);
                ck_assert_msg(good == (status == STATUS_OK), "%s: %s", frame_name(table[i].type),
                              status_name(status));
                if (!may_send(table[i].sender, senders[s]))
                    ck_assert_int_eq(status, STATUS_UNEXPECTED_FRAME);
            }
}
END_TEST

/* RELIABILITY d 14. */
START_TEST(test_frames_of_the_broker_sent_by_a_client)
{
    static const uint8_t types[] = {FRAME_HELLO_OK, FRAME_AUTH_OK, FRAME_CONFIRM,      FRAME_REFUSE,
                                    FRAME_OUTCOME,  FRAME_ROW,     FRAME_DELIVER,      FRAME_CREDIT,
                                    FRAME_GAP,      FRAME_DRAIN,   FRAME_CONSUMER_GONE};
    for (size_t i = 0; i < sizeof types; i++)
        for (int phase = FRAME_PHASE_HELLO; phase <= FRAME_PHASE_OPEN; phase++)
            ck_assert_int_eq(check(types[i], FRAME_SENDER_CLIENT, (enum frame_phase)phase),
                             STATUS_UNEXPECTED_FRAME);
}
END_TEST

/* RELIABILITY d 6 and 15. */
START_TEST(test_frames_at_the_wrong_time)
{
    enum frame_sender client = FRAME_SENDER_CLIENT;
    ck_assert_int_eq(check(FRAME_PUBLISH, client, FRAME_PHASE_HELLO), STATUS_NOT_AUTHENTICATED);
    ck_assert_int_eq(check(FRAME_PUBLISH, client, FRAME_PHASE_AUTH), STATUS_NOT_AUTHENTICATED);
    ck_assert_int_eq(check(FRAME_HEARTBEAT, client, FRAME_PHASE_AUTH), STATUS_NOT_AUTHENTICATED);
    ck_assert_int_eq(check(FRAME_AUTH, client, FRAME_PHASE_HELLO), STATUS_UNEXPECTED_FRAME);
    ck_assert_int_eq(check(FRAME_HELLO, client, FRAME_PHASE_AUTH), STATUS_UNEXPECTED_FRAME);
    ck_assert_int_eq(check(FRAME_HELLO, client, FRAME_PHASE_OPEN), STATUS_UNEXPECTED_FRAME);
    ck_assert_int_eq(check(FRAME_AUTH, client, FRAME_PHASE_OPEN), STATUS_UNEXPECTED_FRAME);
    for (int phase = FRAME_PHASE_HELLO; phase <= FRAME_PHASE_OPEN; phase++)
        ck_assert_int_eq(check(FRAME_CLOSE, client, (enum frame_phase)phase), STATUS_OK);
}
END_TEST

/* The connection's own rules come before its size: an unauthenticated giant is told to
 * authenticate, and neither is waited for. */
START_TEST(test_unauthenticated_giant)
{
    struct frame_header header = header_of(FRAME_PUBLISH);
    header.length = 256U << 20;
    ck_assert_int_eq(frame_check(&header, FRAME_SENDER_CLIENT, FRAME_PHASE_HELLO, 4096),
                     STATUS_NOT_AUTHENTICATED);
    header.type = FRAME_HELLO;
    ck_assert_int_eq(frame_check(&header, FRAME_SENDER_CLIENT, FRAME_PHASE_HELLO, 4096),
                     STATUS_FRAME_TOO_LARGE);
}
END_TEST

/* RELIABILITY d 13. */
START_TEST(test_reserved_bits)
{
    for (size_t i = 0; i < frame_types_count; i++) {
        unsigned type = frame_types[i];
        for (unsigned flags = 0; flags < 256; flags++) {
            struct frame_header header = header_of(type);
            header.flags = (uint8_t)flags;
            bool good = (flags & ~(unsigned)frame_flag_mask(type)) == 0;
            bool seen = false;
            for (int s = FRAME_SENDER_CLIENT; s <= FRAME_SENDER_BROKER; s++)
                for (int phase = FRAME_PHASE_HELLO; phase <= FRAME_PHASE_OPEN; phase++) {
                    enum frame_sender sender = (enum frame_sender)s;
                    enum frame_phase at = (enum frame_phase)phase;
                    if (check(type, sender, at) != STATUS_OK)
                        continue;
                    ck_assert_int_eq(frame_check(&header, sender, at, 4096),
                                     good ? STATUS_OK : STATUS_UNKNOWN_FRAME);
                    seen = true;
                }
            ck_assert(seen);
        }
    }
    struct frame_header header = header_of(FRAME_SEND);
    header.zero = 0x8000;
    ck_assert_int_eq(frame_check(&header, FRAME_SENDER_CLIENT, FRAME_PHASE_OPEN, 4096),
                     STATUS_UNKNOWN_FRAME);
    ck_assert_int_eq(check(0, FRAME_SENDER_CLIENT, FRAME_PHASE_OPEN), STATUS_UNKNOWN_FRAME);
    ck_assert_int_eq(check(0x5f, FRAME_SENDER_CLIENT, FRAME_PHASE_OPEN), STATUS_UNKNOWN_FRAME);
    ck_assert_int_eq(check(0xff, FRAME_SENDER_CLIENT, FRAME_PHASE_OPEN), STATUS_UNKNOWN_FRAME);
}
END_TEST

/* RELIABILITY d 7 and 8. */
START_TEST(test_lengths)
{
    static const struct {
        uint32_t length;
        enum status status;
    } table[] = {
        {0, STATUS_MALFORMED},
        {1, STATUS_MALFORMED},
        {15, STATUS_MALFORMED},
        {16, STATUS_OK},
        {4096, STATUS_OK},
        {4097, STATUS_FRAME_TOO_LARGE},
        {0x7fffffff, STATUS_FRAME_TOO_LARGE},
        {0x80000000, STATUS_FRAME_TOO_LARGE},
        {0xffffffff, STATUS_FRAME_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct frame_header header = header_of(FRAME_SEND);
        header.length = table[i].length;
        ck_assert_int_eq(frame_check(&header, FRAME_SENDER_CLIENT, FRAME_PHASE_OPEN, 4096),
                         table[i].status);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("frame");
    TCase *codec = tcase_create("codec");
    int types = (int)frame_types_count;
    tcase_add_unchecked_fixture(codec, setup, NULL);
    tcase_add_loop_test(codec, test_there_and_back, 0, types);
    tcase_add_loop_test(codec, test_cut_at_every_byte, 0, types);
    tcase_add_loop_test(codec, test_room_too_small, 0, types);
    tcase_add_test(codec, test_field_too_long_for_its_kind);
    tcase_add_test(codec, test_types_outside_the_table);
    tcase_add_test(codec, test_names_and_lines);
    tcase_add_test(codec, test_header_layout);
    suite_add_tcase(suite, codec);
    TCase *policy = tcase_create("policy");
    tcase_add_test(policy, test_who_may_send_what_and_when);
    tcase_add_test(policy, test_frames_of_the_broker_sent_by_a_client);
    tcase_add_test(policy, test_frames_at_the_wrong_time);
    tcase_add_test(policy, test_unauthenticated_giant);
    tcase_add_test(policy, test_reserved_bits);
    tcase_add_test(policy, test_lengths);
    suite_add_tcase(suite, policy);
    return check_main(suite);
}
