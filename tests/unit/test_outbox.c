/* The outbox without a connection: chance sends, settles, loses and resumes; a model checks that
 * every message arrives, tags grow, credit is kept, and nothing is written from freed memory. */
#include <check.h>
#include <stdlib.h>

#include "client-lib/outbox.h"
#include "tests/support/check_main.h"

enum { MESSAGES_MAX = 3000, FRAME_MAX = 4096 };

struct world {
    struct outbox outbox;
    uint64_t sent;      /* numbers given to messages */
    uint64_t next;      /* the first that the broker has not taken */
    uint64_t taken_tag; /* highest */
    uint64_t wire_tag;  /* last on this connection */
    uint64_t body_left;
    unsigned char wire[8 * 1024 * 1024];
    size_t wire_bytes;
};

static void append(struct world *world)
{
    size_t body_bytes = 8 + (rand() % 50 == 0 ? (size_t)rand() % 20000 : (size_t)rand() % 200);
    static unsigned char body[20008];
    wire_store_u64(body, ++world->sent);
    const struct frame_send fields = {
        .queue = wire_bytes_of_text("q"),
        .body_bytes = (uint32_t)body_bytes,
        .body = wire_bytes_of(body, (uint32_t)body_bytes),
    };
    unsigned char *room = outbox_reserve(&world->outbox, body_bytes + 64);
    ck_assert_ptr_nonnull(room);
    struct wire_writer w = wire_writer_of(room, body_bytes + 64);
    ck_assert(frame_put_send(&w, 0, 0, &fields));
    ck_assert(outbox_commit(&world->outbox, wire_written(&w), ENTRY_MESSAGE, NULL));
}

/* The broker's side of one whole frame. */
static void take_frame(struct world *world, const struct frame *frame)
{
    if (frame->header.type == FRAME_PIECE) {
        ck_assert_uint_ge(world->body_left, frame->as.piece.body.bytes);
        world->body_left -= frame->as.piece.body.bytes;
        return;
    }
    ck_assert_uint_eq(world->body_left, 0);
    ck_assert_uint_gt(frame->header.tag, world->wire_tag);
    world->wire_tag = frame->header.tag;
    if (frame->header.type != FRAME_SEND)
        return;
    uint64_t number = wire_load_u64(frame->as.send.body.at);
    ck_assert_uint_eq(number, world->next);
    world->next++;
    world->taken_tag = frame->header.tag;
    world->body_left = frame->as.send.body_bytes - frame->as.send.body.bytes;
}

static void take_wire(struct world *world)
{
    size_t at = 0;
    while (world->wire_bytes - at >= FRAME_HEADER_BYTES) {
        uint32_t length = wire_load_u32(world->wire + at);
        ck_assert_uint_le(length, FRAME_MAX);
        if (world->wire_bytes - at < length)
            break;
        struct frame frame;
        ck_assert_int_eq(frame_decode(&frame, world->wire + at), STATUS_OK);
        take_frame(world, &frame);
        at += length;
    }
    world->wire_bytes -= at;
    memmove(world->wire, world->wire + at, world->wire_bytes);
}

/* The socket takes any part of what is offered. */
static void write_some(struct world *world)
{
    struct iovec parts[2];
    int count = outbox_gather(&world->outbox, parts);
    size_t offered = 0;
    for (int i = 0; i < count; i++)
        offered += parts[i].iov_len;
    if (offered == 0)
        return;
    size_t wanted = rand() % 3 == 0 ? offered : (size_t)rand() % (offered + 1);
    size_t left = wanted;
    for (int i = 0; i < count && left > 0; i++) {
        size_t bytes = parts[i].iov_len < left ? parts[i].iov_len : left;
        memcpy(world->wire + world->wire_bytes, parts[i].iov_base, bytes);
        world->wire_bytes += bytes;
        left -= bytes;
    }
    outbox_written(&world->outbox, wanted);
    take_wire(world);
}

static void confirm(struct world *world)
{
    struct ring *ring = &world->outbox.inflight;
    for (size_t i = 0; i < ring->count; i++)
        if (ring_at(ring, i)->tag <= world->wire_tag && world->body_left == 0)
            ring_at(ring, i)->answered = true;
    outbox_trim(&world->outbox);
}

/* What had arrived whole is taken; the rest must come again. */
static void reconnect(struct world *world)
{
    world->wire_bytes = 0;
    if (world->body_left > 0) {
        world->body_left = 0;
        world->next--;
        world->taken_tag--;
    }
    for (size_t i = 0; i < world->outbox.inflight.count; i++) {
        struct entry *entry = ring_at(&world->outbox.inflight, i);
        entry->answered = entry->answered || entry->kind == ENTRY_SETTLE;
    }
    outbox_reset(&world->outbox);
    world->wire_tag = 0;
    uint64_t answered = world->taken_tag;
    outbox_resume(&world->outbox, answered);
    for (size_t i = 0; i < world->outbox.inflight.count; i++)
        if (ring_at(&world->outbox.inflight, i)->tag <= answered)
            ring_at(&world->outbox.inflight, i)->answered = true;
    outbox_trim(&world->outbox);
}

START_TEST(test_by_chance)
{
    static struct world world;
    memset(&world, 0, sizeof world);
    srand((unsigned)_i);
    outbox_init(&world.outbox);
    world.outbox.frame_bytes_max = FRAME_MAX;
    world.next = 1;
    outbox_restart(&world.outbox, 0);
    uint64_t delivery = 0;
    for (int step = 0; world.sent < MESSAGES_MAX || world.next <= world.sent; step++) {
        ck_assert_int_lt(step, 200000);
        int what = rand() % 100;
        if (what < 40 && world.sent < MESSAGES_MAX)
            append(&world);
        else if (what < 80)
            write_some(&world);
        else if (what < 88)
            confirm(&world);
        else if (what < 93) {
            delivery++;
            ck_assert(outbox_add_done(&world.outbox, delivery, delivery * 3));
        } else if (what < 99) {
            world.outbox.credit_messages += rand() % 20;
            world.outbox.credit_bytes += rand() % 5000;
        } else if (rand() % 4 == 0)
            reconnect(&world);
    }
    while (world.body_left > 0 || outbox_unsent_bytes(&world.outbox) > 0)
        write_some(&world);
    confirm(&world);
    ck_assert_uint_eq(world.outbox.inflight_messages, 0);
    ck_assert_uint_eq(outbox_log_bytes(&world.outbox), 0);
    outbox_deinit(&world.outbox);
}
END_TEST

START_TEST(test_done_ranges)
{
    struct outbox outbox;
    outbox_init(&outbox);
    outbox.frame_bytes_max = FRAME_MAX;
    outbox_restart(&outbox, 0);
    /* 1 2 3 in order, 6 5 backwards, 9 alone; the broker's names have holes. */
    const uint64_t order[] = {1, 2, 3, 6, 5, 9};
    for (size_t i = 0; i < 6; i++)
        ck_assert(outbox_add_done(&outbox, order[i], order[i] * 10));
    struct outbox_mark mark = outbox_mark(&outbox);
    struct iovec parts[2];
    ck_assert_int_eq(outbox_gather(&outbox, parts), 1);
    const uint64_t wanted[][2] = {{10, 30}, {50, 60}, {90, 90}};
    const unsigned char *at = parts[0].iov_base;
    for (size_t i = 0; i < 3; i++) {
        struct frame frame;
        ck_assert_int_eq(frame_decode(&frame, at), STATUS_OK);
        ck_assert_int_eq(frame.header.type, FRAME_DONE);
        ck_assert_uint_eq(frame.header.tag, i + 1);
        ck_assert_uint_eq(frame.as.done.first, wanted[i][0]);
        ck_assert_uint_eq(frame.as.done.last, wanted[i][1]);
        at += frame.header.length;
    }
    outbox_written(&outbox, parts[0].iov_len);
    ck_assert(!outbox_has_passed(&outbox, mark));
    for (size_t i = 0; i < 3; i++)
        ring_at(&outbox.inflight, i)->answered = true;
    outbox_trim(&outbox);
    ck_assert(outbox_has_passed(&outbox, mark));
    ck_assert_uint_eq(outbox_seen(&outbox), 3);
    outbox_deinit(&outbox);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outbox");
    TCase *outbox = tcase_create("outbox");
    tcase_add_loop_test(outbox, test_by_chance, 1, 30);
    tcase_add_test(outbox, test_done_ranges);
    tcase_set_timeout(outbox, 60);
    suite_add_tcase(suite, outbox);
    return check_main(suite);
}
