/* The connection: handshake, reconnect, resend under the same tags, heartbeats, being thrown out.
 */
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

enum { STATES_MAX = 16 };

struct states {
    enum herald_state state[STATES_MAX];
    unsigned count;
    unsigned settle_refusals;
    unsigned gone;
};

static void on_state(struct herald_client *client, enum herald_state state, void *user)
{
    (void)client;
    struct states *states = user;
    states->state[states->count++ % STATES_MAX] = state;
}

static void on_refused(struct herald_client *client, const struct herald_refusal *refusal,
                       void *user)
{
    (void)client;
    struct states *states = user;
    states->settle_refusals += refusal->kind == HERALD_REFUSED_SETTLE;
}

static struct herald_options with_hooks(struct states *states)
{
    struct herald_options options = herald_options_default();
    options.client = "tester";
    options.user = states;
    options.on_state = on_state;
    options.on_refused = on_refused;
    return options;
}

static bool has_state(const struct states *states, enum herald_state state)
{
    for (unsigned i = 0; i < states->count; i++)
        if (states->state[i] == state)
            return true;
    return false;
}

static void send_text(struct herald_client *client, const char *text)
{
    struct herald_content content = herald_text(text);
    ck_assert_int_eq(herald_send(client, "q", &content), HERALD_OK);
}

static void take_send(struct fake_broker *fake, uint64_t tag, const char *text)
{
    struct frame frame;
    fake_take(fake, FRAME_SEND, &frame);
    ck_assert_uint_eq(frame.header.tag, tag);
    ck_assert(wire_bytes_equal(frame.as.send.body, wire_bytes_of_text(text)));
}

START_TEST(test_resend_keeps_tags_and_order)
{
    struct states states = {0};
    struct herald_options options = with_hooks(&states);
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, &options);
    fake_open(fake);
    ck_assert_str_eq(fake->name, "tester");
    ck_assert_uint_eq(fake->hello.resume, 0);
    ck_assert_uint_eq(fake->hello.seen, 0);
    for (int i = 1; i <= 5; i++)
        send_text(client, (const char *[]){"", "1", "2", "3", "4", "5"}[i]);
    for (uint64_t tag = 1; tag <= 5; tag++)
        take_send(fake, tag, (const char *[]){"", "1", "2", "3", "4", "5"}[tag]);
    fake_confirm(fake, 1, 1);
    fake_let_run(fake, 5);
    send_text(client, "6");
    fake_accept(fake); /* drops the old connection */
    ck_assert_uint_eq(fake->hello.resume, 1);
    ck_assert_uint_eq(fake->hello.seen, 1);
    ck_assert(has_state(&states, HERALD_STATE_LOST));
    fake_greet(fake, 3, 100); /* 2 and 3 are taken, their answers are repeated */
    fake_refuse(fake, 2, STATUS_OVERFLOW, "");
    fake_confirm(fake, 2, 3);
    take_send(fake, 4, "4");
    take_send(fake, 5, "5");
    take_send(fake, 6, "6");
    fake_expect_silence(fake);
    fake_confirm(fake, 4, 6);
    ck_assert_int_eq(herald_flush(client, 1000), HERALD_EREFUSED);
    ck_assert_uint_eq(herald_unconfirmed(client), 0);
    herald_close(client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

START_TEST(test_resend_waits_for_credit_and_leads)
{
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, NULL);
    fake_open(fake);
    send_text(client, "1");
    send_text(client, "2");
    take_send(fake, 1, "1");
    take_send(fake, 2, "2");
    struct herald_service service = herald_service("work", (herald_message_fn *)abort);
    ck_assert_int_eq(herald_serve(client, &service, 0, NULL), HERALD_OK);
    uint32_t consumer = fake_take_consumer(fake, FRAME_CONSUME);
    fake_let_run(fake, 5);
    fake_accept(fake);
    fake_greet(fake, 0, 0);
    fake_expect_silence(fake);
    fake_credit(fake, 100, 100000);
    take_send(fake, 1, "1");
    take_send(fake, 2, "2");
    struct frame frame;
    fake_take(fake, FRAME_CONSUME, &frame);
    ck_assert_uint_gt(frame.header.tag, 3);
    ck_assert_uint_eq(frame.as.consume.consumer, consumer);
    herald_close(client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

START_TEST(test_forgotten_client_starts_anew)
{
    struct states states = {0};
    struct herald_options options = with_hooks(&states);
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, &options);
    fake_open(fake);
    send_text(client, "1");
    send_text(client, "2");
    take_send(fake, 1, "1");
    take_send(fake, 2, "2");
    fake_accept(fake);
    fake_close_with(fake, STATUS_CLIENT_UNKNOWN);
    fake_let_run(fake, 5);
    ck_assert(has_state(&states, HERALD_STATE_FORGOTTEN));
    fake_accept(fake);
    ck_assert_uint_eq(fake->hello.resume, 0);
    fake_greet(fake, 9, 100);
    take_send(fake, 10, "1");
    take_send(fake, 11, "2");
    fake_confirm(fake, 10, 11);
    ck_assert_int_eq(herald_flush(client, 1000), HERALD_OK);
    herald_close(client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

static struct herald_message *kept;

static void keep(struct herald_message *message, void *context)
{
    (void)context;
    kept = herald_message_retain(message);
}

START_TEST(test_old_deliveries_are_stale)
{
    struct states states = {0};
    struct herald_options options = with_hooks(&states);
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, &options);
    fake_open(fake);
    struct herald_service service = herald_service("work", keep);
    ck_assert_int_eq(herald_serve(client, &service, 0, NULL), HERALD_OK);
    uint32_t consumer = fake_take_consumer(fake, FRAME_CONSUME);
    fake_deliver(fake, consumer, 1, "a");
    fake_let_run(fake, 5);
    struct herald_message *first = kept;
    ck_assert_int_eq(herald_done(first), HERALD_OK);
    struct frame frame;
    fake_take(fake, FRAME_DONE, &frame);
    fake_deliver(fake, consumer, 2, "b");
    fake_let_run(fake, 5);
    fake_open(fake); /* the settlement of 1 was not confirmed, 2 not settled */
    fake_let_run(fake, 5);
    ck_assert_uint_eq(states.settle_refusals, 1);
    ck_assert_int_eq(herald_done(kept), HERALD_ESTALE);
    fake_take_consumer(fake, FRAME_CONSUME);
    fake_expect_silence(fake);
    ck_assert_int_eq(herald_flush(client, 1000), HERALD_ESTALE);
    herald_message_free(first);
    herald_message_free(kept);
    herald_close(client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

START_TEST(test_heartbeats_and_silence)
{
    struct states states = {0};
    struct herald_options options = with_hooks(&states);
    struct fake_broker *fake = fake_new();
    fake->heartbeat_ms = 40;
    struct herald_client *client = fake_client(fake, &options);
    fake_open(fake);
    fake_let_run(fake, 30);
    ck_assert(has_state(&states, HERALD_STATE_OPEN));
    ck_assert(!has_state(&states, HERALD_STATE_LOST));
    fake_let_run(fake, 120);
    ck_assert(has_state(&states, HERALD_STATE_LOST));
    unsigned char beats[512];
    ck_assert_int_gt(recv(fake->file, beats, sizeof beats, 0), FRAME_HEADER_BYTES);
    ck_assert_int_eq(beats[4], FRAME_HEARTBEAT);
    herald_close(client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

START_TEST(test_thrown_out_for_good)
{
    const unsigned codes[] = {STATUS_AUTHENTICATION_FAILED, STATUS_VERSION, STATUS_REPLACED};
    const enum herald_status wanted[] = {HERALD_EDENIED, HERALD_ECLOSED, HERALD_ECLOSED};
    for (int i = 0; i < 3; i++) {
        struct states states = {0};
        struct herald_options options = with_hooks(&states);
        struct fake_broker *fake = fake_new();
        struct herald_client *client = fake_client(fake, &options);
        fake_accept(fake);
        fake_close_with(fake, codes[i]);
        fake_let_run(fake, 5);
        ck_assert(has_state(&states, HERALD_STATE_CLOSED));
        ck_assert_int_eq(herald_wait(client, 100), HERALD_ECLOSED);
        ck_assert_int_eq(herald_connect(client, 100), wanted[i]);
        ck_assert_uint_eq(herald_last_error(client).code, codes[i]);
        herald_close(client, 0);
        fake->client = NULL;
        fake_free(fake);
    }
}
END_TEST

START_TEST(test_nobody_there)
{
    struct herald_options options = herald_options_default();
    options.url = "unix:/nonexistent/herald.sock";
    struct herald_client *client = herald_new(&options);
    ck_assert_int_eq(herald_connect(client, 20), HERALD_ECONNECT);
    ck_assert_ptr_nonnull(strstr(herald_last_error(client).text, "/nonexistent/herald.sock"));
    ck_assert_int_eq(herald_flush(client, 10), HERALD_OK);
    ck_assert_int_eq(herald_queue_create(client, "q", NULL, 10), HERALD_ETIMEOUT);
    herald_close(client, 10);
    options.url = "heralds://localhost";
    client = herald_new(&options);
    ck_assert_int_eq(herald_connect(client, 20), HERALD_EUNSUPPORTED);
    herald_close(client, 0);
    options.url = "http://localhost";
    client = herald_new(&options);
    ck_assert_int_eq(herald_connect(client, 20), HERALD_EINVAL);
    herald_close(client, 0);
}
END_TEST

START_TEST(test_nonsense_is_hung_up_on)
{
    struct states states = {0};
    struct herald_options options = with_hooks(&states);
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, &options);
    fake_open(fake);
    fake_confirm(fake, 1, 100); /* nothing was sent */
    fake_let_run(fake, 5);
    ck_assert(has_state(&states, HERALD_STATE_LOST));
    fake_open(fake);
    fake_say_bytes(fake, "GET / HTTP/1.1\r\n\r\n", 18);
    fake_let_run(fake, 5);
    fake_open(fake); /* came back */
    send_text(client, "x");
    take_send(fake, 1, "x");
    herald_close(client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

START_TEST(test_goodbye_releases_and_says_so)
{
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, NULL);
    fake_open(fake);
    struct herald_service service = herald_service("work", keep);
    ck_assert_int_eq(herald_serve(client, &service, 0, NULL), HERALD_OK);
    uint32_t consumer = fake_take_consumer(fake, FRAME_CONSUME);
    fake_deliver(fake, consumer, 5, "a");
    fake_let_run(fake, 5);
    ck_assert_int_eq(herald_close(client, 0), HERALD_ETIMEOUT);
    fake->client = NULL;
    struct frame frame;
    fake_take(fake, FRAME_CANCEL, &frame);
    fake_take(fake, FRAME_RELEASE, &frame);
    ck_assert_uint_eq(frame.as.release.first, 5);
    ck_assert_uint_eq(frame.as.release.last, 5);
    fake_take(fake, FRAME_CLOSE, &frame);
    ck_assert_uint_eq(frame.as.close.code, STATUS_GOODBYE);
    ck_assert_int_eq(herald_done(kept), HERALD_ECLOSED);
    ck_assert_ptr_null(herald_message_client(kept));
    herald_message_free(kept);
    fake_free(fake);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *session = tcase_create("session");
    tcase_add_test(session, test_resend_keeps_tags_and_order);
    tcase_add_test(session, test_resend_waits_for_credit_and_leads);
    tcase_add_test(session, test_forgotten_client_starts_anew);
    tcase_add_test(session, test_old_deliveries_are_stale);
    tcase_add_test(session, test_heartbeats_and_silence);
    tcase_add_test(session, test_thrown_out_for_good);
    tcase_add_test(session, test_nobody_there);
    tcase_add_test(session, test_nonsense_is_hung_up_on);
    tcase_add_test(session, test_goodbye_releases_and_says_so);
    suite_add_tcase(suite, session);
    return check_main(suite);
}
