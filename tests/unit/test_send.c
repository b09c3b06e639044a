/* Sending: encoding, credit, confirms, refusals, flushing, limits. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

struct heard {
    unsigned confirmed;
    unsigned refused;
    void *contexts[16];
    struct herald_refusal refusal;
    char text[256];
};

static void on_confirmed(struct herald_client *client, void *context, void *user)
{
    (void)client;
    struct heard *heard = user;
    heard->contexts[heard->confirmed++ % 16] = context;
}

static void on_refused(struct herald_client *client, const struct herald_refusal *refusal,
                       void *user)
{
    (void)client;
    struct heard *heard = user;
    heard->refusal = *refusal;
    snprintf(heard->text, sizeof heard->text, "%s %s", refusal->name, refusal->text);
    heard->refused++;
}

static struct herald_options with_hooks(struct heard *heard)
{
    struct herald_options options = herald_options_default();
    options.user = heard;
    options.on_confirmed = on_confirmed;
    options.on_refused = on_refused;
    return options;
}

START_TEST(test_content_arrives_whole)
{
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, NULL);
    fake_open(fake);
    const struct herald_header headers[] = {{"a", 0, "1", 1}, {"long-name", 4, "", 0}};
    unsigned char id[16];
    herald_id_make(id);
    struct herald_content content = herald_text("hello");
    content.headers = headers;
    content.header_count = 2;
    content.id = id;
    content.content_type = "text/plain";
    content.correlation = "c1";
    ck_assert_int_eq(herald_publish(client, "orders", "order.eu", &content), HERALD_OK);
    struct frame frame;
    fake_take(fake, FRAME_PUBLISH, &frame);
    const struct frame_publish *publish = &frame.as.publish;
    ck_assert_uint_eq(frame.header.tag, 1);
    ck_assert_uint_eq(frame.header.flags, 0);
    ck_assert(wire_bytes_equal(publish->exchange, wire_bytes_of_text("orders")));
    ck_assert(wire_bytes_equal(publish->key, wire_bytes_of_text("order.eu")));
    ck_assert(wire_bytes_equal(publish->body, wire_bytes_of_text("hello")));
    ck_assert_int_eq(property_check(publish->properties, PROPERTY_SCOPE_MESSAGE), STATUS_OK);
    ck_assert_mem_eq(property_find(publish->properties, PROPERTY_MESSAGE_ID).at, id, 16);
    struct wire_reader r = wire_reader_of(publish->headers.at, publish->headers.bytes);
    struct header header;
    ck_assert(header_next(&r, &header));
    ck_assert(wire_bytes_equal(header.value, wire_bytes_of_text("1")));
    ck_assert(header_next(&r, &header));
    ck_assert(wire_bytes_equal(header.name, wire_bytes_of_text("long")));
    ck_assert(!header_next(&r, &header));
    herald_close(client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

START_TEST(test_confirms_and_refusals_name_the_content)
{
    struct heard heard = {0};
    struct herald_options options = with_hooks(&heard);
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, &options);
    int marks[4];
    for (int i = 0; i < 4; i++) {
        struct herald_content content = herald_text("x");
        content.context = &marks[i];
        ck_assert_int_eq(herald_send(client, "q", &content), HERALD_OK);
    }
    ck_assert_uint_eq(herald_unconfirmed(client), 4);
    fake_open(fake);
    struct frame frame;
    for (uint64_t tag = 1; tag <= 4; tag++) {
        fake_take(fake, FRAME_SEND, &frame);
        ck_assert_uint_eq(frame.header.tag, tag);
    }
    fake_refuse(fake, 2, STATUS_OVERFLOW, "q is full");
    fake_confirm(fake, 1, 3);
    fake_let_run(fake, 10);
    ck_assert_uint_eq(heard.confirmed, 2);
    ck_assert_ptr_eq(heard.contexts[0], &marks[0]);
    ck_assert_ptr_eq(heard.contexts[1], &marks[2]);
    ck_assert_uint_eq(heard.refused, 1);
    ck_assert_int_eq(heard.refusal.kind, HERALD_REFUSED_SEND);
    ck_assert_ptr_eq(heard.refusal.context, &marks[1]);
    ck_assert_str_eq(heard.text, "OVERFLOW q is full");
    ck_assert_uint_eq(herald_unconfirmed(client), 1);
    ck_assert_int_eq(herald_flush(client, 10), HERALD_ETIMEOUT);
    fake_confirm(fake, 4, 4);
    ck_assert_int_eq(herald_flush(client, 1000), HERALD_EREFUSED);
    struct herald_error error = herald_last_error(client);
    ck_assert_str_eq(error.name, "OVERFLOW");
    ck_assert_str_eq(error.text, "q is full");
    ck_assert_int_eq(herald_flush(client, 1000), HERALD_OK);
    herald_close(client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

START_TEST(test_credit_holds_messages_but_not_requests)
{
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, NULL);
    fake_accept(fake);
    fake_greet(fake, 0, 0);
    struct herald_content content = herald_text("0123456789");
    for (int i = 0; i < 3; i++)
        herald_send(client, "q", &content);
    fake_expect_silence(fake);
    struct herald_service service = herald_service("work", (herald_message_fn *)abort);
    ck_assert_int_eq(herald_serve(client, &service, 0, NULL), HERALD_OK);
    struct frame frame;
    fake_take(fake, FRAME_CONSUME, &frame);
    ck_assert_uint_eq(frame.header.tag, 1);
    fake_credit(fake, 2, 1); /* the bytes allow one, and go below zero by it */
    fake_take(fake, FRAME_SEND, &frame);
    ck_assert_uint_eq(frame.header.tag, 2);
    fake_expect_silence(fake);
    fake_credit(fake, 0, 1000);
    fake_take(fake, FRAME_SEND, &frame);
    fake_expect_silence(fake);
    fake_credit(fake, 1, 0);
    fake_take(fake, FRAME_SEND, &frame);
    ck_assert_uint_eq(frame.header.tag, 4);
    herald_close(client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

START_TEST(test_large_body_goes_in_pieces)
{
    struct fake_broker *fake = fake_new();
    fake->frame_bytes_max = FRAME_BYTES_MIN;
    struct herald_client *client = fake_client(fake, NULL);
    enum { BODY_BYTES = 10000 };
    unsigned char body[BODY_BYTES];
    unsigned char got[BODY_BYTES];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (unsigned char)(i * 7);
    struct herald_content small = herald_text("small");
    struct herald_content large = herald_content(body, sizeof body);
    herald_send(client, "q", &small);
    herald_send(client, "q", &large);
    herald_send(client, "q", &small);
    fake_open(fake);
    struct frame frame;
    fake_take(fake, FRAME_SEND, &frame);
    fake_take(fake, FRAME_SEND, &frame);
    ck_assert_uint_eq(frame.header.tag, 2);
    ck_assert_uint_eq(frame.header.length, FRAME_BYTES_MIN);
    ck_assert_uint_eq(frame.as.send.body_bytes, BODY_BYTES);
    size_t count = frame.as.send.body.bytes;
    memcpy(got, frame.as.send.body.at, count);
    while (count < BODY_BYTES) {
        fake_take(fake, FRAME_PIECE, &frame);
        ck_assert_uint_eq(frame.header.tag, 0);
        memcpy(got + count, frame.as.piece.body.at, frame.as.piece.body.bytes);
        count += frame.as.piece.body.bytes;
    }
    ck_assert_mem_eq(got, body, BODY_BYTES);
    fake_take(fake, FRAME_SEND, &frame);
    ck_assert_uint_eq(frame.header.tag, 3);
    fake_confirm(fake, 1, 3);
    ck_assert_int_eq(herald_flush(client, 1000), HERALD_OK);
    herald_close(client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

START_TEST(test_full_buffer_says_so)
{
    struct herald_options options = herald_options_default();
    options.buffer_bytes_max = 4096;
    options.send_timeout_ms = -1;
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, &options);
    struct herald_content content = herald_text("some body");
    enum herald_status status;
    int count = 0;
    while ((status = herald_send(client, "q", &content)) == HERALD_OK)
        count++;
    ck_assert_int_eq(status, HERALD_EAGAIN);
    ck_assert_int_gt(count, 10);
    fake_open(fake);
    struct frame frame;
    for (int i = 0; i < count; i++)
        fake_take(fake, FRAME_SEND, &frame);
    fake_confirm(fake, 1, (uint64_t)count);
    ck_assert_int_eq(herald_flush(client, 1000), HERALD_OK);
    ck_assert_int_eq(herald_send(client, "q", &content), HERALD_OK);
    herald_close(client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

START_TEST(test_transient_is_not_waited_for)
{
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, NULL);
    fake_open(fake);
    struct herald_content content = herald_text("x");
    content.transient = 1;
    herald_send(client, "q", &content);
    struct frame frame;
    fake_take(fake, FRAME_SEND, &frame);
    ck_assert_uint_eq(frame.header.flags, FLAG_TRANSIENT);
    ck_assert_int_eq(herald_flush(client, 1000), HERALD_OK);
    content.confirm = 1;
    herald_send(client, "q", &content);
    fake_take(fake, FRAME_SEND, &frame);
    ck_assert_uint_eq(frame.header.flags, FLAG_TRANSIENT | FLAG_CONFIRM);
    ck_assert_int_eq(herald_flush(client, 10), HERALD_ETIMEOUT);
    fake_confirm(fake, 2, 2);
    ck_assert_int_eq(herald_flush(client, 1000), HERALD_OK);
    herald_close(client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

START_TEST(test_what_cannot_be_sent)
{
    struct fake_broker *fake = fake_new();
    fake->message_bytes_max = 100;
    struct herald_client *client = fake_client(fake, NULL);
    fake_open(fake);
    ck_assert_int_eq(herald_connect(client, 1000), HERALD_OK);
    char name[300];
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    struct herald_content content = herald_text("x");
    ck_assert_int_eq(herald_send(client, name, &content), HERALD_EINVAL);
    ck_assert_int_eq(herald_send(client, "", &content), HERALD_EINVAL);
    ck_assert_int_eq(herald_send(client, NULL, &content), HERALD_EINVAL);
    ck_assert_int_eq(herald_publish(client, "e", "", &content), HERALD_EINVAL);
    content.correlation = name;
    ck_assert_int_eq(herald_send(client, "q", &content), HERALD_EINVAL);
    content = herald_content(name, 101);
    ck_assert_int_eq(herald_send(client, "q", &content), HERALD_ETOOLARGE);
    const struct herald_header header = {"", 0, "", 0};
    content = herald_text("x");
    content.headers = &header;
    content.header_count = 1;
    ck_assert_int_eq(herald_send(client, "q", &content), HERALD_EINVAL);
    content.size = 1;
    ck_assert_int_eq(herald_send(client, "q", &content), HERALD_EINVAL);
    static const int priorities[] = {-1, 10, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof priorities / sizeof priorities[0]; i++) {
        content = herald_text("x");
        content.priority = priorities[i];
        ck_assert_int_eq(herald_send(client, "q", &content), HERALD_EINVAL);
    }
    content = herald_text("x");
    content.lane = name;
    ck_assert_int_eq(herald_send(client, "q", &content), HERALD_EINVAL);
    content.lane = NULL;
    content.reply_to = name;
    ck_assert_int_eq(herald_send(client, "q", &content), HERALD_EINVAL);
    fake_expect_silence(fake);
    herald_close(client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("send");
    TCase *send = tcase_create("send");
    tcase_add_test(send, test_content_arrives_whole);
    tcase_add_test(send, test_confirms_and_refusals_name_the_content);
    tcase_add_test(send, test_credit_holds_messages_but_not_requests);
    tcase_add_test(send, test_large_body_goes_in_pieces);
    tcase_add_test(send, test_full_buffer_says_so);
    tcase_add_test(send, test_transient_is_not_waited_for);
    tcase_add_test(send, test_what_cannot_be_sent);
    suite_add_tcase(suite, send);
    return check_main(suite);
}
