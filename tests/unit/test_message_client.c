/* Received messages: what they hold, each way of settling, keeping them, pieces. */
#include <check.h>
#include <stdlib.h>

#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

struct seen {
    unsigned count;
    enum { DO_NOTHING, DO_DONE, DO_RESULT, DO_FAIL, DO_RELEASE, DO_RETAIN, DO_TWICE } what;
    enum herald_status status;
    struct herald_message *kept;
    size_t body_bytes;
    unsigned char body[20000];
};

static void on_message(struct herald_message *message, void *context)
{
    struct seen *seen = context;
    seen->count++;
    seen->body_bytes = herald_message_body_bytes(message);
    memcpy(seen->body, herald_message_body(message), seen->body_bytes);
    switch (seen->what) {
    case DO_NOTHING:
        break;
    case DO_DONE:
        seen->status = herald_done(message);
        break;
    case DO_RESULT:
        seen->status = herald_result(message, "res", 3);
        break;
    case DO_FAIL:
        seen->status = herald_fail(message, HERALD_FAIL_BUSY, "LATER", "come back");
        break;
    case DO_RELEASE:
        seen->status = herald_release(message);
        break;
    case DO_RETAIN:
        seen->kept = herald_message_retain(message);
        seen->status = herald_done(message);
        break;
    case DO_TWICE:
        herald_done(message);
        seen->status = herald_release(message);
        break;
    }
}

struct scene {
    struct fake_broker *fake;
    struct herald_client *client;
    struct seen seen;
    uint32_t consumer;
};

static struct scene *begin(int auto_done)
{
    struct scene *scene = calloc(1, sizeof *scene);
    scene->fake = fake_new();
    scene->fake->frame_bytes_max = FRAME_BYTES_MIN;
    scene->client = fake_client(scene->fake, NULL);
    fake_open(scene->fake);
    struct herald_service service = herald_service("work", on_message);
    service.context = &scene->seen;
    service.auto_done = auto_done;
    ck_assert_int_eq(herald_serve(scene->client, &service, 0, NULL), HERALD_OK);
    scene->consumer = fake_take_consumer(scene->fake, FRAME_CONSUME);
    return scene;
}

static void end(struct scene *scene)
{
    if (scene->client != NULL)
        herald_close(scene->client, 0);
    scene->fake->client = NULL;
    fake_free(scene->fake);
    free(scene);
}

START_TEST(test_ways_to_settle)
{
    struct scene *scene = begin(0);
    struct frame frame;
    scene->seen.what = DO_DONE;
    fake_deliver(scene->fake, scene->consumer, 4, "a");
    fake_take(scene->fake, FRAME_DONE, &frame);
    ck_assert_uint_eq(frame.as.done.start, FAKE_START);
    ck_assert_uint_eq(frame.as.done.first, 4);
    ck_assert_uint_eq(frame.as.done.last, 4);
    scene->seen.what = DO_RESULT;
    fake_deliver(scene->fake, scene->consumer, 5, "a");
    fake_take(scene->fake, FRAME_RESULT, &frame);
    ck_assert_uint_eq(frame.as.result.delivery, 5);
    ck_assert(wire_bytes_equal(frame.as.result.body, wire_bytes_of_text("res")));
    scene->seen.what = DO_FAIL;
    fake_deliver(scene->fake, scene->consumer, 6, "a");
    fake_take(scene->fake, FRAME_FAIL, &frame);
    ck_assert_uint_eq(frame.as.fail.class, FAIL_BUSY);
    ck_assert(wire_bytes_equal(frame.as.fail.code, wire_bytes_of_text("LATER")));
    ck_assert(wire_bytes_equal(frame.as.fail.text, wire_bytes_of_text("come back")));
    scene->seen.what = DO_RELEASE;
    fake_deliver(scene->fake, scene->consumer, 7, "a");
    fake_take(scene->fake, FRAME_RELEASE, &frame);
    ck_assert_uint_eq(frame.as.release.first, 7);
    ck_assert_uint_eq(frame.as.release.last, 7);
    scene->seen.what = DO_TWICE;
    fake_deliver(scene->fake, scene->consumer, 8, "a");
    fake_take(scene->fake, FRAME_DONE, &frame);
    ck_assert_int_eq(scene->seen.status, HERALD_ESTALE);
    end(scene);
}
END_TEST

START_TEST(test_forgotten_message_fails_loudly)
{
    struct scene *scene = begin(0);
    struct frame frame;
    fake_deliver(scene->fake, scene->consumer, 1, "a");
    fake_take(scene->fake, FRAME_FAIL, &frame);
    ck_assert(wire_bytes_equal(frame.as.fail.code, wire_bytes_of_text("NOT_SETTLED")));
    end(scene);
}
END_TEST

START_TEST(test_auto_done_in_one_range)
{
    struct scene *scene = begin(1);
    struct frame frame;
    scene->fake->client = NULL; /* all arrive before the client looks */
    for (uint64_t delivery = 1; delivery <= 50; delivery++)
        fake_deliver(scene->fake, scene->consumer, delivery, "a");
    scene->fake->client = scene->client;
    fake_take(scene->fake, FRAME_DONE, &frame);
    ck_assert_uint_eq(frame.as.done.first, 1);
    ck_assert_uint_eq(frame.as.done.last, 50);
    ck_assert_uint_eq(scene->seen.count, 50);
    end(scene);
}
END_TEST

START_TEST(test_retained_outlives_all)
{
    struct scene *scene = begin(1);
    struct frame frame;
    scene->seen.what = DO_RETAIN;
    fake_deliver(scene->fake, scene->consumer, 1, "first");
    fake_let_run(scene->fake, 5);
    struct herald_message *first = scene->seen.kept;
    ck_assert_int_eq(scene->seen.status, HERALD_ESTALE); /* the duty is the copy's */
    fake_deliver(scene->fake, scene->consumer, 2, "second");
    fake_let_run(scene->fake, 5);
    struct herald_message *second = scene->seen.kept;
    fake_expect_silence(scene->fake);
    ck_assert_mem_eq(herald_message_body(first), "first", 5);
    ck_assert_int_eq(herald_done(first), HERALD_OK);
    ck_assert_int_eq(herald_done(first), HERALD_ESTALE);
    fake_take(scene->fake, FRAME_DONE, &frame);
    herald_message_free(first);
    herald_message_free(second); /* not settled: given back */
    fake_take(scene->fake, FRAME_RELEASE, &frame);
    ck_assert_uint_eq(frame.as.release.first, 2);
    fake_deliver(scene->fake, scene->consumer, 3, "third");
    fake_let_run(scene->fake, 5);
    herald_close(scene->client, 0);
    scene->client = NULL;
    ck_assert_mem_eq(herald_message_body(scene->seen.kept), "third", 5);
    ck_assert_int_eq(herald_done(scene->seen.kept), HERALD_ECLOSED);
    herald_message_free(scene->seen.kept);
    end(scene);
}
END_TEST

static void check_fields(struct herald_message *message, void *context)
{
    struct seen *seen = context;
    size_t bytes;
    seen->count++;
    ck_assert_str_eq(herald_message_exchange(message), "orders");
    ck_assert_str_eq(herald_message_key(message), "order.eu");
    ck_assert_str_eq(herald_message_key(message), "order.eu");
    ck_assert_uint_eq(herald_message_number(message), 77);
    ck_assert_uint_eq(herald_message_attempt(message), 3);
    ck_assert_uint_eq(herald_message_time_ms(message), 123456);
    ck_assert_int_eq(herald_message_is_redelivered(message), 1);
    ck_assert_int_eq(herald_message_is_call(message), 0);
    ck_assert_mem_eq(herald_message_id(message), "0123456789abcdef", 16);
    ck_assert_ptr_nonnull(herald_message_correlation(message, &bytes));
    ck_assert_uint_eq(bytes, 2);
    ck_assert_ptr_null(herald_message_content_type(message, &bytes));
    ck_assert_uint_eq(bytes, 0);
    ck_assert_mem_eq(herald_message_header(message, "b", &bytes), "two", 3);
    ck_assert_uint_eq(bytes, 3);
    ck_assert_ptr_null(herald_message_header(message, "c", &bytes));
    struct herald_header header;
    ck_assert_int_eq(herald_message_header_at(message, 1, &header), 1);
    ck_assert_uint_eq(header.name_bytes, 1);
    ck_assert_mem_eq(header.name, "b", 1);
    ck_assert_int_eq(herald_message_header_at(message, 2, &header), 0);
    ck_assert_int_eq(herald_done(message), HERALD_ESTALE); /* a live event */
}

START_TEST(test_fields)
{
    struct scene *scene = begin(0);
    struct herald_subscription subscription = herald_subscription("orders", "#", check_fields);
    subscription.context = &scene->seen;
    ck_assert_int_eq(herald_subscribe(scene->client, &subscription, 0, NULL), HERALD_OK);
    uint32_t consumer = fake_take_consumer(scene->fake, FRAME_SUBSCRIBE);
    unsigned char properties[64];
    unsigned char headers[64];
    struct wire_writer p = wire_writer_of(properties, sizeof properties);
    struct wire_writer h = wire_writer_of(headers, sizeof headers);
    property_put(&p, PROPERTY_MESSAGE_ID, wire_bytes_of_text("0123456789abcdef"));
    property_put(&p, PROPERTY_MESSAGE_CORRELATION, wire_bytes_of_text("c1"));
    header_put(&h, wire_bytes_of_text("a"), wire_bytes_of_text("one"));
    header_put(&h, wire_bytes_of_text("b"), wire_bytes_of_text("two"));
    struct frame frame = {
        .header = {.type = FRAME_DELIVER, .flags = FLAG_REDELIVERED},
        .as.deliver = {.consumer = consumer,
                       .number = 77,
                       .attempt = 3,
                       .time_ms = 123456,
                       .exchange = wire_bytes_of_text("orders"),
                       .key = wire_bytes_of_text("order.eu"),
                       .properties = wire_bytes_of(properties, (uint32_t)wire_written(&p)),
                       .headers = wire_bytes_of(headers, (uint32_t)wire_written(&h))},
    };
    fake_say(scene->fake, &frame);
    fake_let_run(scene->fake, 5);
    ck_assert_uint_eq(scene->seen.count, 1);
    end(scene);
}
END_TEST

START_TEST(test_result_larger_than_a_frame)
{
    struct scene *scene = begin(0);
    scene->seen.what = DO_RETAIN;
    fake_deliver(scene->fake, scene->consumer, 1, "a");
    fake_let_run(scene->fake, 5);
    static unsigned char result[10000];
    memset(result, 'r', sizeof result);
    ck_assert_int_eq(herald_result(scene->seen.kept, result, 2 * 1024 * 1024), HERALD_ETOOLARGE);
    ck_assert_int_eq(herald_result(scene->seen.kept, result, sizeof result), HERALD_OK);
    herald_message_free(scene->seen.kept);
    struct frame frame;
    fake_take(scene->fake, FRAME_RESULT, &frame);
    size_t bytes = frame.as.result.body.bytes;
    while (bytes < sizeof result) {
        fake_take(scene->fake, FRAME_PIECE, &frame);
        bytes += frame.as.piece.body.bytes;
    }
    ck_assert_uint_eq(bytes, sizeof result);
    end(scene);
}
END_TEST

START_TEST(test_failures_that_cannot_be_said)
{
    struct scene *scene = begin(0);
    scene->seen.what = DO_RETAIN;
    fake_deliver(scene->fake, scene->consumer, 1, "a");
    fake_let_run(scene->fake, 5);
    struct herald_message *kept = scene->seen.kept;
    char code[300];
    memset(code, 'c', sizeof code);
    code[256] = '\0';
    ck_assert_int_eq(herald_fail(kept, HERALD_FAIL_PERMANENT, code, NULL), HERALD_EINVAL);
    ck_assert_int_eq(herald_fail(kept, HERALD_FAIL_PERMANENT, "", NULL), HERALD_EINVAL);
    ck_assert_int_eq(herald_fail(kept, HERALD_FAIL_PERMANENT, NULL, NULL), HERALD_EINVAL);
    /* Not even those that look like another one in the byte that is sent. */
    static const unsigned classes[] = {3, 255, 256, 258, UINT32_MAX};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        ck_assert_int_eq(herald_fail(kept, (enum herald_fail_class)classes[i], "X", NULL),
                         HERALD_EINVAL);
    static unsigned char detail[60000];
    struct herald_failure failure = {.size = sizeof failure, .code = "X", .detail = detail};
    failure.detail_bytes = sizeof detail;
    ck_assert_int_eq(herald_fail_with(kept, &failure), HERALD_ETOOLARGE);
    failure.detail_bytes = 100;
    ck_assert_int_eq(herald_fail_with(kept, &failure), HERALD_OK);
    struct frame frame;
    fake_take(scene->fake, FRAME_FAIL, &frame);
    ck_assert_uint_eq(frame.as.fail.detail.bytes, 100);
    herald_message_free(kept);
    end(scene);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("message");
    TCase *message = tcase_create("message");
    tcase_add_test(message, test_ways_to_settle);
    tcase_add_test(message, test_forgotten_message_fails_loudly);
    tcase_add_test(message, test_auto_done_in_one_range);
    tcase_add_test(message, test_retained_outlives_all);
    tcase_add_test(message, test_fields);
    tcase_add_test(message, test_result_larger_than_a_frame);
    tcase_add_test(message, test_failures_that_cannot_be_said);
    suite_add_tcase(suite, message);
    return check_main(suite);
}
