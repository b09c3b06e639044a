/* The golden vectors: every frame decoded, encoded again, cut, damaged and fed in pieces. */
#include <glob.h>
#include <stdlib.h>

#include "protocol/stream.h"
#include "tests/support/check_main.h"
#include "tests/support/frame_chance.h"
#include "tests/support/vector.h"

enum { RUN_BYTES_MAX = 65536, FRAME_BYTES_MAX = 65536 };

static glob_t paths;
static struct vector_file file;

static bool is_conversation(void)
{
    return strstr(file.path, "/conversation-") != NULL;
}

static bool is_magic(const struct vector *vector)
{
    return strcmp(vector->name, "magic") == 0;
}

/* The phase in which the frame may be sent. */
static enum frame_phase phase_of(const struct vector *vector)
{
    struct frame_header header = frame_header_load(vector->hex);
    for (int phase = FRAME_PHASE_HELLO; phase < FRAME_PHASE_OPEN; phase++)
        if (frame_check(&header, vector->sender, (enum frame_phase)phase, FRAME_BYTES_MAX) ==
            STATUS_OK)
            return (enum frame_phase)phase;
    return FRAME_PHASE_OPEN;
}

static struct stream stream_for(const struct vector *vector)
{
    return (struct stream){vector->sender, phase_of(vector), FRAME_BYTES_MAX};
}

static enum status next(const struct vector *vector, const unsigned char *at, size_t bytes,
                        struct frame *frame)
{
    struct stream stream = stream_for(vector);
    size_t wanted;
    return stream_next(&stream, at, bytes, frame, &wanted);
}

/* --- frame by frame
 * ------------------------------------------------------------------------------- */

static void check_there_and_back(const struct vector *vector)
{
    static unsigned char again[VECTOR_HEX_MAX];
    struct frame frame;
    ck_assert_msg(next(vector, vector->hex, vector->hex_bytes, &frame) == STATUS_OK, "%s in %s",
                  vector->name, file.path);
    ck_assert_uint_eq(frame.header.length, vector->hex_bytes);
    vector_check(vector, &frame);
    struct wire_writer w = wire_writer_of(again, sizeof again);
    ck_assert(frame_encode(&w, &frame));
    ck_assert_uint_eq(wire_written(&w), vector->hex_bytes);
    ck_assert_mem_eq(again, vector->hex, vector->hex_bytes);
}

/* Fewer bytes than the frame has: more are wanted. A frame that says it has fewer: refused, or
 * another frame of exactly those bytes. RELIABILITY d 11. */
static void check_cut(const struct vector *vector)
{
    static unsigned char again[VECTOR_HEX_MAX];
    struct frame frame;
    for (size_t cut = 0; cut < vector->hex_bytes; cut++) {
        unsigned char *exact = malloc(cut + 1);
        memcpy(exact, vector->hex, cut);
        ck_assert_int_eq(next(vector, exact, cut, &frame), STATUS_MORE);
        if (cut >= FRAME_HEADER_BYTES) {
            wire_store_u32(exact, (uint32_t)cut);
            if (next(vector, exact, cut, &frame) == STATUS_OK) {
                struct wire_writer w = wire_writer_of(again, sizeof again);
                ck_assert(frame_encode(&w, &frame));
                ck_assert_uint_eq(wire_written(&w), cut);
            }
        }
        free(exact);
    }
}

/* Every byte set to other values: whatever is still accepted encodes to the bytes it came from. */
static void check_damage(const struct vector *vector)
{
    static const unsigned char damage[] = {0x01, 0x02, 0x80, 0xff, 0x55};
    static unsigned char again[RUN_BYTES_MAX + VECTOR_HEX_MAX];
    unsigned char *bytes = malloc(vector->hex_bytes);
    memcpy(bytes, vector->hex, vector->hex_bytes);
    for (size_t at = 0; at < vector->hex_bytes; at++) {
        for (size_t i = 0; i < sizeof damage; i++) {
            struct frame frame;
            bytes[at] ^= damage[i];
            if (next(vector, bytes, vector->hex_bytes, &frame) == STATUS_OK) {
                struct wire_writer w = wire_writer_of(again, sizeof again);
                bool encoded = frame_encode(&w, &frame);
                if (!encoded || memcmp(again, bytes, wire_written(&w)) != 0)
                    ck_abort_msg("%s byte %zu", vector->name, at);
            }
            bytes[at] ^= damage[i];
        }
    }
    free(bytes);
}

START_TEST(test_frames)
{
    vector_file_read(&file, paths.gl_pathv[_i]);
    ck_assert_uint_gt(file.count, 0);
    for (size_t i = 0; i < file.count; i++) {
        const struct vector *vector = &file.vector[i];
        if (is_magic(vector)) {
            ck_assert_uint_eq(vector->hex_bytes, FRAME_MAGIC_BYTES);
            ck_assert_mem_eq(vector->hex, frame_magic, FRAME_MAGIC_BYTES);
            continue;
        }
        check_there_and_back(vector);
        check_cut(vector);
        check_damage(vector);
    }
}
END_TEST

/* --- whole conversations
 * -------------------------------------------------------------------------- */

struct side {
    enum frame_sender sender;
    size_t bytes;
    unsigned char run[RUN_BYTES_MAX];
    size_t vector; /* next one to come */
    bool has_magic;
    struct stream stream;
};

static void side_init(struct side *side, enum frame_sender sender)
{
    side->sender = sender;
    side->bytes = 0;
    for (size_t i = 0; i < file.count; i++) {
        const struct vector *vector = &file.vector[i];
        if (vector->sender != sender)
            continue;
        ck_assert_uint_le(side->bytes + vector->hex_bytes, RUN_BYTES_MAX);
        memcpy(side->run + side->bytes, vector->hex, vector->hex_bytes);
        side->bytes += vector->hex_bytes;
    }
}

static const struct vector *side_next(struct side *side)
{
    while (side->vector < file.count && file.vector[side->vector].sender != side->sender)
        side->vector++;
    ck_assert_uint_lt(side->vector, file.count);
    return &file.vector[side->vector++];
}

/* A side's phase moves on with what it sends: the mechanisms here need one step. */
static void side_move_on(struct side *side, unsigned type)
{
    if (!is_conversation())
        return;
    if (type == FRAME_HELLO || type == FRAME_HELLO_OK)
        side->stream.phase = FRAME_PHASE_AUTH;
    if (type == FRAME_AUTH || type == FRAME_AUTH_OK)
        side->stream.phase = FRAME_PHASE_OPEN;
}

/* Takes one frame, or the magic, from the front; the bytes used, 0 when more are needed. */
static size_t side_take(struct side *side, const unsigned char *at, size_t bytes)
{
    if (side->sender == FRAME_SENDER_CLIENT && is_conversation() && !side->has_magic) {
        enum status status = stream_check_magic(at, bytes);
        if (status == STATUS_MORE)
            return 0;
        ck_assert_int_eq(status, STATUS_OK);
        ck_assert(is_magic(side_next(side)));
        side->has_magic = true;
        return FRAME_MAGIC_BYTES;
    }
    struct frame frame;
    size_t wanted;
    if (bytes == 0)
        return 0;
    size_t before = side->vector;
    const struct vector *vector = side_next(side);
    if (!is_conversation())
        side->stream.phase = phase_of(vector);
    enum status status = stream_next(&side->stream, at, bytes, &frame, &wanted);
    if (status == STATUS_MORE) {
        ck_assert_uint_gt(wanted, bytes);
        side->vector = before;
        return 0;
    }
    ck_assert_msg(status == STATUS_OK, "%s: %s", vector->name, status_name(status));
    vector_check(vector, &frame);
    side_move_on(side, frame.header.type);
    return frame.header.length;
}

static void side_feed(struct side *side, size_t step)
{
    side->vector = 0;
    side->has_magic = false;
    side->stream = (struct stream){side->sender, FRAME_PHASE_HELLO, FRAME_BYTES_MAX};
    size_t there = 0;
    size_t used = 0;
    while (there < side->bytes) {
        there = there + step < side->bytes ? there + step : side->bytes;
        for (size_t took = 1; took > 0; used += took)
            took = side_take(side, side->run + used, there - used);
    }
    ck_assert_uint_eq(used, side->bytes);
}

/* RELIABILITY d 12: each side's bytes in pieces of every size. */
START_TEST(test_pieces)
{
    static struct side side;
    vector_file_read(&file, paths.gl_pathv[_i]);
    for (int s = FRAME_SENDER_CLIENT; s <= FRAME_SENDER_BROKER; s++) {
        side_init(&side, (enum frame_sender)s);
        for (size_t step = 1; step <= side.bytes; step++)
            side_feed(&side, step);
    }
}
END_TEST

/* --- the collection
 * ------------------------------------------------------------------------------- */

START_TEST(test_every_type_has_a_vector)
{
    bool seen[256] = {false};
    for (size_t p = 0; p < paths.gl_pathc; p++) {
        vector_file_read(&file, paths.gl_pathv[p]);
        for (size_t i = 0; i < file.count; i++)
            if (!is_magic(&file.vector[i]))
                seen[file.vector[i].hex[4]] = true;
    }
    for (size_t i = 0; i < frame_types_count; i++)
        ck_assert_msg(seen[frame_types[i]], "no vector of %s", frame_name(frame_types[i]));
}
END_TEST

int main(void)
{
    if (glob("tests/vectors/*.txt", 0, NULL, &paths) != 0)
        return 1;
    Suite *suite = suite_create("vectors");
    TCase *cases = tcase_create("vectors");
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, test_frames, 0, (int)paths.gl_pathc);
    tcase_add_loop_test(cases, test_pieces, 0, (int)paths.gl_pathc);
    tcase_add_test(cases, test_every_type_has_a_vector);
    suite_add_tcase(suite, cases);
    int result = check_main(suite);
    globfree(&paths);
    return result;
}
