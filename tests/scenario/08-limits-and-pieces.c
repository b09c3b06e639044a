/* Every limit is reached and answered as stated; credit; bodies in pieces. O3, R1, R2;
 * RELIABILITY (d) 14 to 18, 20, 28, 29. */
#include <stdio.h>
#include <string.h>

#include "tests/support/check_main.h"
#include "tests/support/lines.h"

static struct scene *scene;
static struct actor *alice;

static void start(const struct core_limits *limits)
{
    scene = scene_new_with(8, limits);
    alice = enter_as(scene, "");
    do_queue(alice, "q");
}

static void tear_down(void)
{
    scene_free(scene);
}

static void start_plain(void)
{
    struct core_limits limits = scene_limits();
    start(&limits);
}

/* A SEND whose body is announced as so long, with a beginning. */
static uint64_t begin_body(struct actor *actor, uint32_t body_bytes, uint32_t now_bytes)
{
    static unsigned char body[SCENE_FRAME_BYTES_MAX];
    struct frame frame = {.header.type = FRAME_SEND};
    frame.as.send.queue = wire_bytes_of_text("q");
    frame.as.send.body_bytes = body_bytes;
    frame.as.send.body = wire_bytes_of(body, now_bytes);
    return actor_say(actor, &frame);
}

START_TEST(test_counts_of_things)
{
    struct core_limits limits = scene_limits();
    limits.queues_max = 2;
    limits.exchanges_max = 1;
    limits.bindings_max = 1;
    limits.consumers_max = 2;
    limits.calls_max = 1;
    start(&limits);
    do_queue(alice, "r");
    hear_refuse(alice, say_queue(alice, "s"), STATUS_LIMIT);
    do_exchange(alice, "x");
    hear_refuse(alice, say_exchange(alice, "y", 0), STATUS_LIMIT);
    do_bind(alice, "q", "x", "a");
    hear_refuse(alice, say_bind(alice, "q", "x", "b"), STATUS_LIMIT);
    do_consume(alice, 1, "q", 1);
    hear_confirm(alice, say_subscribe(alice, 2, "x", "#"));
    hear_refuse(alice, say_consume(alice, 3, "q", 1), STATUS_LIMIT);
    hear_refuse(alice, say_subscribe(alice, 3, "x", "#"), STATUS_LIMIT);
    say_call(alice, "q", "one", 1000);
    hear_delivery(alice, "one");
    hear_failure(alice, say_call(alice, "q", "two", 1000), "LIMIT", OUTCOME_NOT_RUN);
}
END_TEST

START_TEST(test_transient_bytes)
{
    struct core_limits limits = scene_limits();
    limits.transient_bytes_max = 10000;
    start(&limits);
    char body[1001];
    memset(body, 'x', 1000);
    body[1000] = '\0';
    uint64_t tag = 0;
    for (int i = 0; i < 9; i++)
        tag = say_send_with(alice, "q", body, FLAG_TRANSIENT | FLAG_CONFIRM);
    hear_confirm(alice, tag);
    hear_refuse(alice, say_send_with(alice, "q", body, FLAG_TRANSIENT), STATUS_LIMIT);
    do_send(alice, "q", body);
    hear_confirm(alice, say_queue_purge(alice, "q"));
    hear_confirm(alice, say_send_with(alice, "q", body, FLAG_TRANSIENT | FLAG_CONFIRM));
}
END_TEST

static uint64_t send_headers(const void *headers, size_t bytes)
{
    struct frame frame = {.header.type = FRAME_SEND};
    frame.as.send.queue = wire_bytes_of_text("q");
    frame.as.send.headers = wire_bytes_of(headers, (uint32_t)bytes);
    return actor_say(alice, &frame);
}

START_TEST(test_headers)
{
    start_plain();
    unsigned char headers[4000];
    struct wire_writer w = wire_writer_of(headers, sizeof headers);
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
    for (int i = 0; i < 8; i++) {
        wire_put_str8(&w, wire_bytes_of_text(names[i]));
        wire_put_str16(&w, wire_bytes_of_text("v"));
    }
    hear_confirm(alice, send_headers(headers, wire_written(&w)));
    wire_put_str8(&w, wire_bytes_of_text(names[8]));
    wire_put_str16(&w, wire_bytes_of_text("v"));
    hear_refuse(alice, send_headers(headers, wire_written(&w)), STATUS_BAD_HEADER);
    w = wire_writer_of(headers, sizeof headers);
    static const unsigned char value[2048];
    wire_put_str8(&w, wire_bytes_of_text("a"));
    wire_put_str16(&w, wire_bytes_of(value, 2044));
    hear_confirm(alice, send_headers(headers, wire_written(&w)));
    w = wire_writer_of(headers, sizeof headers);
    wire_put_str8(&w, wire_bytes_of_text("a"));
    wire_put_str16(&w, wire_bytes_of(value, 2045));
    hear_refuse(alice, send_headers(headers, wire_written(&w)), STATUS_BAD_HEADER);
    hear_refuse(alice, send_headers("\x01", 1), STATUS_BAD_HEADER);
    hear_refuse(alice, send_headers("\0\0\0", 3), STATUS_BAD_HEADER);
    hear_refuse(alice, send_headers("\1a\0\0\1a\0\0", 8), STATUS_BAD_HEADER);
}
END_TEST

START_TEST(test_a_message_that_is_too_large_is_swallowed)
{
    start_plain();
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX + 1];
    hear_confirm(alice, say_send_bytes(alice, "q", body, SCENE_MESSAGE_BYTES_MAX));
    hear_refuse(alice, say_send_bytes(alice, "q", body, sizeof body), STATUS_TOO_LARGE);
    do_send(alice, "q", "next");
    ck_assert_uint_eq(ask_queue(alice, "q", "messages"), 2);
}
END_TEST

START_TEST(test_more_body_than_was_announced)
{
    start_plain();
    begin_body(alice, 10, 11);
    hear_close(alice, STATUS_BODY_OVERFLOW);
    ck_assert(actor_enter(alice));
    begin_body(alice, 10, 4);
    say_piece(alice, "1234567", 7);
    hear_close(alice, STATUS_BODY_OVERFLOW);
    ck_assert(actor_enter(alice));
    say_piece(alice, "1", 1);
    hear_close(alice, STATUS_UNEXPECTED_FRAME);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_queue(alice, "q", "messages"), 0);
}
END_TEST

START_TEST(test_ten_thousand_messages_begun)
{
    start_plain();
    for (int i = 0; i < 10000 && !alice->last_close; i++) {
        begin_body(alice, 20000, 10);
        struct frame frame;
        if (actor_next(alice, &frame))
            alice->last_close = frame.as.close.code;
    }
    ck_assert_uint_eq(alice->last_close, STATUS_UNEXPECTED_FRAME);
    actor_cut(alice);
}
END_TEST

START_TEST(test_settlements_between_pieces)
{
    start_plain();
    do_send(alice, "q", "first");
    do_consume(alice, 1, "q", 1);
    uint64_t delivery = hear_delivery(alice, "first").delivery;
    uint64_t tag = begin_body(alice, 10, 4);
    uint64_t settled = say_done(alice, delivery, delivery);
    ck_assert_uint_eq(settled, tag + 1);
    hear_nothing(alice); /* nothing overtakes the message in the line */
    say_piece(alice, "56", 2);
    say_piece(alice, "7890", 4);
    struct frame frame;
    uint64_t last = 0;
    bool is_delivered = false;
    while (actor_next(alice, &frame)) {
        last = frame.header.type == FRAME_CONFIRM ? frame.as.confirm.last : last;
        is_delivered |= frame.header.type == FRAME_DELIVER;
    }
    ck_assert_uint_eq(last, settled);
    ck_assert(is_delivered);
    begin_body(alice, 10, 4);
    say_queue(alice, "other");
    hear_close(alice, STATUS_UNEXPECTED_FRAME);
}
END_TEST

START_TEST(test_credit_comes_back_and_may_not_be_overdrawn)
{
    struct core_limits limits = scene_limits();
    limits.credit_messages = 10;
    limits.pending_bytes_max = 1000;
    start(&limits);
    ck_assert_uint_eq(alice->credit_messages, 10);
    for (int i = 0; i < 20; i++)
        do_send(alice, "q", "x");
    ck_assert_uint_ge(alice->credit_messages, 25);
    /* Nothing gets to disk and too much is pending: no further credit, yet settlements flow. */
    do_consume(alice, 1, "q", 1);
    uint64_t delivery = hear_delivery(alice, "x").delivery;
    scene_hold_syncs(scene);
    uint64_t before = alice->credit_messages;
    static unsigned char body[900];
    for (int i = 0; i < 8; i++)
        say_send_bytes(alice, "q", body, sizeof body);
    say_done(alice, delivery, delivery);
    struct frame next;
    bool has_next = false;
    while (actor_next(alice, &next))
        has_next |= next.header.type == FRAME_DELIVER;
    ck_assert(has_next); /* what the settlement made room for */
    uint64_t during = alice->credit_messages;
    scene_release_syncs(scene);
    hear_out(alice);
    ck_assert_uint_le(during - before, 5);
    ck_assert_uint_gt(alice->credit_messages, during);
    scene_hold_syncs(scene);
    struct frame frame;
    bool is_closed = false;
    for (int i = 0; i < 40 && !is_closed; i++) {
        say_send_bytes(alice, "q", body, sizeof body);
        while (actor_next(alice, &frame))
            is_closed |=
                frame.header.type == FRAME_CLOSE && frame.as.close.code == STATUS_FLOW_VIOLATION;
    }
    ck_assert(is_closed);
}
END_TEST

START_TEST(test_a_prefetch_beyond_all_bounds)
{
    start_plain();
    do_consume(alice, 1, "q", UINT32_MAX);
    do_send(alice, "q", "x");
    struct frame frame;
    ck_assert(actor_next(alice, &frame));
    hear_refuse(alice, say_consume(alice, 1, "q", 1), STATUS_CONSUMER_EXISTS);
    hear_refuse(alice, say_consume(alice, 2, "none", 1), STATUS_NO_QUEUE);
    hear_refuse(alice, say_cancel(alice, 77), STATUS_UNKNOWN_CONSUMER);
}
END_TEST

/* Frames that nobody may send now. */
static void break_off(struct frame frame, enum status status)
{
    ck_assert(actor_enter(alice));
    actor_say(alice, &frame);
    hear_close(alice, status);
}

START_TEST(test_frames_out_of_place)
{
    start_plain();
    break_off((struct frame){.header.type = FRAME_CONFIRM}, STATUS_UNEXPECTED_FRAME);
    break_off((struct frame){.header.type = FRAME_HELLO, .as.hello.frame_bytes_max = 65536},
              STATUS_UNEXPECTED_FRAME);
    break_off((struct frame){.header.type = FRAME_AUTH}, STATUS_UNEXPECTED_FRAME);
    break_off((struct frame){.header.type = FRAME_SEND, .header.flags = 0x80},
              STATUS_UNKNOWN_FRAME);
    ck_assert(actor_enter(alice));
    static const unsigned char huge[16] = {0xff, 0xff, 0xff, 0xff, FRAME_SEND};
    actor_put(alice, huge, sizeof huge);
    actor_flush(alice);
    scene_settle(scene);
    hear_close(alice, STATUS_FRAME_TOO_LARGE);
    actor_connect(alice);
    actor_put(alice, frame_magic, FRAME_MAGIC_BYTES);
    actor_flush(alice);
    struct frame send = {.header.type = FRAME_SEND};
    actor_say(alice, &send);
    hear_close(alice, STATUS_NOT_AUTHENTICATED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("limits");
    TCase *tcase = tcase_create("limits");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, NULL, tear_down);
    tcase_add_test(tcase, test_counts_of_things);
    tcase_add_test(tcase, test_transient_bytes);
    tcase_add_test(tcase, test_headers);
    tcase_add_test(tcase, test_a_message_that_is_too_large_is_swallowed);
    tcase_add_test(tcase, test_more_body_than_was_announced);
    tcase_add_test(tcase, test_ten_thousand_messages_begun);
    tcase_add_test(tcase, test_settlements_between_pieces);
    tcase_add_test(tcase, test_credit_comes_back_and_may_not_be_overdrawn);
    tcase_add_test(tcase, test_a_prefetch_beyond_all_bounds);
    tcase_add_test(tcase, test_frames_out_of_place);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
