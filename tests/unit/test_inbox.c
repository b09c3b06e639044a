/* What arrives: cut anywhere, in pieces, and against the rules. */
#include <check.h>
#include <stdlib.h>

#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

enum { BODY_BYTES = 150000 };

struct seen {
    unsigned count;
    unsigned lost;
    uint64_t missed;
    unsigned draining;
    bool is_right;
};

static unsigned char body[BODY_BYTES];

static void on_message(struct herald_message *message, void *context)
{
    struct seen *seen = context;
    size_t bytes = herald_message_body_bytes(message);
    seen->count++;
    seen->is_right = bytes <= BODY_BYTES && memcmp(herald_message_body(message), body, bytes) == 0;
    herald_done(message);
}

static void on_state(struct herald_client *client, enum herald_state state, void *user)
{
    (void)client;
    struct seen *seen = user;
    seen->lost += state == HERALD_STATE_LOST;
    seen->draining += state == HERALD_STATE_DRAINING;
}

static void on_gap(struct herald_consumer *consumer, uint64_t missed, void *context)
{
    (void)consumer;
    struct seen *seen = context;
    seen->missed += missed;
}

static struct fake_broker *begin(struct seen *seen, uint32_t *consumer)
{
    struct herald_options options = herald_options_default();
    options.user = seen;
    options.on_state = on_state;
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, &options);
    fake_open(fake);
    struct herald_service service = herald_service("work", on_message);
    service.context = seen;
    ck_assert_int_eq(herald_serve(client, &service, 0, NULL), HERALD_OK);
    *consumer = fake_take_consumer(fake, FRAME_CONSUME);
    for (size_t i = 0; i < BODY_BYTES; i++)
        body[i] = (unsigned char)(i * 13);
    return fake;
}

static void end(struct fake_broker *fake)
{
    herald_close(fake->client, 0);
    fake->client = NULL;
    fake_free(fake);
}

static void say_head(struct fake_broker *fake, uint32_t consumer, uint32_t whole, uint32_t part)
{
    struct frame frame = {
        .header.type = FRAME_DELIVER,
        .as.deliver = {.consumer = consumer,
                       .delivery = 1,
                       .key = wire_bytes_of_text("k"),
                       .body_bytes = whole,
                       .body = wire_bytes_of(body, part)},
    };
    fake_say(fake, &frame);
}

static void say_piece(struct fake_broker *fake, uint32_t at, uint32_t bytes)
{
    struct frame frame = {.header.type = FRAME_PIECE,
                          .as.piece.body = wire_bytes_of(body + at, bytes)};
    fake_say(fake, &frame);
}

START_TEST(test_pieces)
{
    struct seen seen = {0};
    uint32_t consumer;
    struct fake_broker *fake = begin(&seen, &consumer);
    say_head(fake, consumer, BODY_BYTES, 20000);
    for (uint32_t at = 20000; at < BODY_BYTES; at += 10000) {
        ck_assert_uint_eq(seen.count, 0);
        struct frame heartbeat = {.header.type = FRAME_HEARTBEAT};
        fake_say(fake, &heartbeat); /* other frames may come between */
        say_piece(fake, at, 10000);
    }
    fake_let_run(fake, 10);
    ck_assert_uint_eq(seen.count, 1);
    ck_assert(seen.is_right);
    struct frame frame;
    fake_take(fake, FRAME_DONE, &frame);
    end(fake);
}
END_TEST

START_TEST(test_one_byte_at_a_time)
{
    struct seen seen = {0};
    uint32_t consumer;
    struct fake_broker *fake = begin(&seen, &consumer);
    struct frame frame = {
        .header.type = FRAME_DELIVER,
        .as.deliver = {.consumer = consumer,
                       .delivery = 1,
                       .body_bytes = 5,
                       .body = wire_bytes_of(body, 5)},
    };
    unsigned char bytes[256];
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    ck_assert(frame_encode(&w, &frame));
    for (size_t i = 0; i < wire_written(&w); i++) {
        ck_assert_uint_eq(seen.count, 0);
        fake_say_bytes(fake, bytes + i, 1);
        herald_process(fake->client);
    }
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.count, 1);
    ck_assert(seen.is_right);
    end(fake);
}
END_TEST

START_TEST(test_bodies_against_the_rules)
{
    struct seen seen = {0};
    uint32_t consumer;
    struct fake_broker *fake = begin(&seen, &consumer);
    for (int i = 0; i < 5; i++) {
        switch (i) {
        case 0: /* a piece of nothing */
            say_piece(fake, 0, 10);
            break;
        case 1: /* more than announced */
            say_head(fake, consumer, 100, 50);
            say_piece(fake, 50, 51);
            break;
        case 2: /* more in the frame than announced */
            say_head(fake, consumer, 10, 20);
            break;
        case 3: /* two at a time */
            say_head(fake, consumer, 100, 50);
            say_head(fake, consumer, 100, 50);
            break;
        case 4: /* more than anybody wants */
            say_head(fake, consumer, UINT32_MAX, 10);
            break;
        }
        fake_let_run(fake, 5);
        ck_assert_uint_eq(seen.lost, (unsigned)i + 1);
        ck_assert_uint_eq(seen.count, 0);
        fake_open(fake);
        consumer = fake_take_consumer(fake, FRAME_CONSUME);
    }
    end(fake);
}
END_TEST

START_TEST(test_notices)
{
    struct seen seen = {0};
    uint32_t consumer;
    struct fake_broker *fake = begin(&seen, &consumer);
    struct herald_subscription subscription = herald_subscription("e", "a.#", on_message);
    subscription.context = &seen;
    subscription.on_gap = on_gap;
    ck_assert_int_eq(herald_subscribe(fake->client, &subscription, 0, NULL), HERALD_OK);
    uint32_t live = fake_take_consumer(fake, FRAME_SUBSCRIBE);
    struct frame gap = {.header.type = FRAME_GAP, .as.gap = {live, 12}};
    struct frame stray = {.header.type = FRAME_GAP, .as.gap = {99, 1}};
    struct frame drain = {.header.type = FRAME_DRAIN, .as.drain.within_ms = 100};
    fake_say(fake, &gap);
    fake_say(fake, &stray);
    fake_say(fake, &drain);
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.missed, 12);
    ck_assert_uint_eq(seen.draining, 1);
    ck_assert_uint_eq(seen.lost, 0);
    end(fake);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inbox");
    TCase *inbox = tcase_create("inbox");
    tcase_add_test(inbox, test_pieces);
    tcase_add_test(inbox, test_one_byte_at_a_time);
    tcase_add_test(inbox, test_bodies_against_the_rules);
    tcase_add_test(inbox, test_notices);
    suite_add_tcase(suite, inbox);
    return check_main(suite);
}
