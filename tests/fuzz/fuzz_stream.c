/* Fuzzes the splitter: the same bytes whole, byte by byte and in pieces of any size give the same
 * frames and the same end, and what was decoded encodes to the bytes it came from.
 *
 * The first byte of the input says who speaks (bit 0: the broker), the phase (bits 1 and 2),
 * whether the magic comes first (bit 3) and the largest frame (bits 4 to 7).
 */
#include <stdlib.h>

#include "protocol/stream.h"
#include "tests/support/chance.h"

enum { EVENTS_MAX = 8192 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a reader saw: the frames by their places, and how it ended. */
struct events {
    size_t count;
    size_t at[EVENTS_MAX];
    enum status end;
};

struct reader {
    struct stream stream;
    bool needs_magic;
    size_t used;
};

static void fail_unless(bool good)
{
    if (!good)
        abort();
}

static void check_again(const unsigned char *at, const struct frame *frame)
{
    static unsigned char again[1 << 20];
    struct frame copy = *frame;
    struct wire_writer w = wire_writer_of(again, sizeof again);
    fail_unless(frame_encode(&w, &copy));
    fail_unless(wire_written(&w) == frame->header.length);
    fail_unless(memcmp(again, at, frame->header.length) == 0);
}

static void move_on(struct stream *stream, unsigned type)
{
    if (type == FRAME_HELLO || type == FRAME_HELLO_OK)
        stream->phase = FRAME_PHASE_AUTH;
    if (type == FRAME_AUTH || type == FRAME_AUTH_OK)
        stream->phase = FRAME_PHASE_OPEN;
}

/* Takes what can be taken from the first `there` bytes; the status that stopped it. */
static enum status read_on(struct reader *reader, const unsigned char *at, size_t there,
                           struct events *events)
{
    if (reader->needs_magic) {
        enum status status = stream_check_magic(at, there);
        if (status != STATUS_OK)
            return status;
        reader->needs_magic = false;
        reader->used = FRAME_MAGIC_BYTES;
    }
    for (;;) {
        struct frame frame;
        size_t wanted = 0;
        const unsigned char *from = at + reader->used;
        size_t left = there - reader->used;
        enum status status = stream_next(&reader->stream, from, left, &frame, &wanted);
        if (status == STATUS_MORE)
            fail_unless(wanted > left && wanted <= reader->stream.frame_bytes_max);
        if (status != STATUS_OK)
            return status;
        check_again(from, &frame);
        if (events->count < EVENTS_MAX)
            events->at[events->count] = reader->used;
        events->count++;
        reader->used += frame.header.length;
        move_on(&reader->stream, frame.header.type);
    }
}

static struct reader reader_of(uint8_t choice)
{
    struct reader reader = {
        .stream.sender = (choice & 1) != 0 ? FRAME_SENDER_BROKER : FRAME_SENDER_CLIENT,
        .stream.phase = (enum frame_phase)((choice >> 1 & 3) % 3),
        .stream.frame_bytes_max = FRAME_BYTES_MIN << (choice >> 4),
        .needs_magic = (choice & 8) != 0,
    };
    if (reader.stream.frame_bytes_max > 1 << 20)
        reader.stream.frame_bytes_max = 1 << 20;
    return reader;
}

/* Pieces of 1 to step_max bytes. */
static void read_in_pieces(uint8_t choice, const unsigned char *at, size_t bytes, size_t step_max,
                           struct events *events)
{
    struct reader reader = reader_of(choice);
    struct chance chance = {bytes};
    size_t there = 0;
    events->count = 0;
    events->end = STATUS_MORE;
    while (there < bytes && events->end == STATUS_MORE) {
        size_t step = 1 + (size_t)chance_below(&chance, step_max);
        there = step < bytes - there ? there + step : bytes;
        events->end = read_on(&reader, at, there, events);
    }
}

static void fail_unless_same(const struct events *a, const struct events *b)
{
    fail_unless(a->count == b->count && a->end == b->end);
    size_t count = a->count < EVENTS_MAX ? a->count : EVENTS_MAX;
    fail_unless(memcmp(a->at, b->at, count * sizeof a->at[0]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct events whole;
    static struct events pieces;
    if (size < 2)
        return 0;
    struct reader reader = reader_of(data[0]);
    whole.count = 0;
    whole.end = read_on(&reader, data + 1, size - 1, &whole);
    read_in_pieces(data[0], data + 1, size - 1, 1, &pieces);
    fail_unless_same(&whole, &pieces);
    read_in_pieces(data[0], data + 1, size - 1, 64, &pieces);
    fail_unless_same(&whole, &pieces);
    return 0;
}
