/* Consumers: starting, cancelling, being ended by the broker, durable subscriptions. */
#include <check.h>
#include <stdlib.h>

#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

struct seen {
    struct herald_consumer *consumer;
    unsigned count;
    unsigned gone;
    unsigned code;
    bool cancels;
};

static void on_message(struct herald_message *message, void *context)
{
    struct seen *seen = context;
    seen->count++;
    if (seen->cancels)
        ck_assert_int_eq(herald_cancel(seen->consumer), HERALD_OK);
    herald_done(message);
}

static void on_gone(struct herald_consumer *consumer, unsigned code, const char *text,
                    void *context)
{
    (void)consumer;
    ck_assert_ptr_nonnull(text);
    struct seen *seen = context;
    seen->gone++;
    seen->code = code;
}

static struct fake_broker *begin(struct seen *seen)
{
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, NULL);
    fake_open(fake);
    struct herald_service service = herald_service("work", on_message);
    service.context = seen;
    service.on_gone = on_gone;
    service.prefetch_messages = 10;
    service.prefetch_bytes = 1000;
    ck_assert_int_eq(herald_serve(client, &service, 0, &seen->consumer), HERALD_OK);
    ck_assert_ptr_nonnull(seen->consumer);
    return fake;
}

static void end(struct fake_broker *fake)
{
    herald_close(fake->client, 0);
    fake->client = NULL;
    fake_free(fake);
}

START_TEST(test_limits_are_told)
{
    struct seen seen = {0};
    struct fake_broker *fake = begin(&seen);
    struct frame frame;
    fake_take(fake, FRAME_CONSUME, &frame);
    ck_assert_uint_eq(frame.as.consume.prefetch_messages, 10);
    ck_assert_uint_eq(frame.as.consume.prefetch_bytes, 1000);
    end(fake);
}
END_TEST

START_TEST(test_cancel_gives_the_rest_back)
{
    struct seen seen = {.cancels = true};
    struct fake_broker *fake = begin(&seen);
    struct herald_client *client = fake->client;
    uint32_t consumer = fake_take_consumer(fake, FRAME_CONSUME);
    fake->client = NULL;
    fake_deliver(fake, consumer, 1, "a");
    fake_deliver(fake, consumer, 2, "b");
    fake->client = client;
    struct frame frame;
    fake_take(fake, FRAME_CANCEL, &frame);
    uint64_t tag = frame.header.tag;
    fake_take(fake, FRAME_RELEASE, &frame);
    ck_assert_uint_eq(frame.as.release.first, 2);
    fake_take(fake, FRAME_DONE, &frame);
    ck_assert_uint_eq(frame.as.done.last, 1);
    ck_assert_uint_eq(seen.count, 1);
    fake_confirm(fake, tag, tag + 2);
    fake_open(fake); /* a cancelled consumer does not come back */
    fake_expect_silence(fake);
    ck_assert_uint_eq(seen.gone, 0);
    end(fake);
}
END_TEST

START_TEST(test_broker_ends_it)
{
    struct seen seen = {0};
    struct fake_broker *fake = begin(&seen);
    uint32_t consumer = fake_take_consumer(fake, FRAME_CONSUME);
    struct frame gone = {.header.type = FRAME_CONSUMER_GONE,
                         .as.consumer_gone = {consumer, STATUS_NO_QUEUE}};
    fake_say(fake, &gone);
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.gone, 1);
    ck_assert_uint_eq(seen.code, STATUS_NO_QUEUE);
    fake_open(fake);
    fake_expect_silence(fake);
    end(fake);
}
END_TEST

/* Found by the fuzzer: the queue may go while the start is not on disk yet. */
START_TEST(test_ended_before_it_started)
{
    struct seen seen = {0};
    struct fake_broker *fake = begin(&seen);
    struct frame frame;
    fake_take(fake, FRAME_CONSUME, &frame);
    struct frame gone = {.header.type = FRAME_CONSUMER_GONE,
                         .as.consumer_gone = {frame.as.consume.consumer, STATUS_NO_QUEUE}};
    fake_say(fake, &gone);
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.gone, 0);
    fake_confirm(fake, frame.header.tag, frame.header.tag);
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.gone, 1);
    ck_assert_uint_eq(seen.code, STATUS_NO_QUEUE);
    end(fake);
}
END_TEST

/* Cancelled while its start is under way, and both are lost with the connection. */
START_TEST(test_start_and_cancel_lost)
{
    struct seen seen = {0};
    struct fake_broker *fake = begin(&seen);
    struct frame frame;
    fake_take(fake, FRAME_CONSUME, &frame);
    ck_assert_int_eq(herald_cancel(seen.consumer), HERALD_OK);
    fake_take(fake, FRAME_CANCEL, &frame);
    fake_open(fake);
    fake_expect_silence(fake);
    ck_assert_uint_eq(seen.gone, 0);
    end(fake);
}
END_TEST

START_TEST(test_refused_when_it_starts)
{
    struct seen seen = {0};
    struct fake_broker *fake = begin(&seen);
    struct frame frame;
    fake_take(fake, FRAME_CONSUME, &frame);
    fake_refuse(fake, frame.header.tag, STATUS_NO_QUEUE, "no queue work");
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.gone, 1);
    ck_assert_uint_eq(seen.code, STATUS_NO_QUEUE);
    end(fake);
}
END_TEST

START_TEST(test_refused_when_it_comes_back)
{
    struct seen seen = {0};
    struct fake_broker *fake = begin(&seen);
    uint32_t consumer = fake_take_consumer(fake, FRAME_CONSUME);
    fake_let_run(fake, 5);
    fake_open(fake);
    struct frame frame;
    fake_take(fake, FRAME_CONSUME, &frame);
    ck_assert_uint_eq(frame.as.consume.consumer, consumer);
    fake_open(fake); /* lost again before the answer */
    fake_take(fake, FRAME_CONSUME, &frame);
    fake_expect_silence(fake); /* once, not twice */
    fake_refuse(fake, frame.header.tag, STATUS_NO_QUEUE, "");
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.gone, 1);
    end(fake);
}
END_TEST

START_TEST(test_durable_subscription)
{
    struct seen seen = {0};
    struct fake_broker *fake = begin(&seen);
    fake_take_consumer(fake, FRAME_CONSUME);
    struct herald_subscription subscription = herald_subscription("orders", "a.#", on_message);
    subscription.queue = "mine";
    subscription.context = &seen;
    ck_assert_int_eq(herald_subscribe(fake->client, &subscription, 0, NULL), HERALD_OK);
    struct frame frame;
    fake_take(fake, FRAME_QUEUE_CREATE, &frame);
    ck_assert(wire_bytes_equal(frame.as.queue_create.queue, wire_bytes_of_text("mine")));
    uint64_t first = frame.header.tag;
    fake_take(fake, FRAME_BIND, &frame);
    ck_assert(wire_bytes_equal(frame.as.bind.exchange, wire_bytes_of_text("orders")));
    ck_assert(wire_bytes_equal(frame.as.bind.pattern, wire_bytes_of_text("a.#")));
    fake_take(fake, FRAME_CONSUME, &frame);
    ck_assert_uint_eq(frame.as.consume.consumer, 2);
    fake_refuse(fake, first, STATUS_MISMATCH, ""); /* made by somebody with limits: fine */
    fake_confirm(fake, first, first + 2);
    fake_deliver(fake, 2, 1, "x");
    fake_take(fake, FRAME_DONE, &frame);
    ck_assert_uint_eq(seen.count, 1);
    end(fake);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("consumer");
    TCase *consumer = tcase_create("consumer");
    tcase_add_test(consumer, test_limits_are_told);
    tcase_add_test(consumer, test_cancel_gives_the_rest_back);
    tcase_add_test(consumer, test_broker_ends_it);
    tcase_add_test(consumer, test_ended_before_it_started);
    tcase_add_test(consumer, test_start_and_cancel_lost);
    tcase_add_test(consumer, test_refused_when_it_starts);
    tcase_add_test(consumer, test_refused_when_it_comes_back);
    tcase_add_test(consumer, test_durable_subscription);
    suite_add_tcase(suite, consumer);
    return check_main(suite);
}
