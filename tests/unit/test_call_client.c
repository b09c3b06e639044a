/* Calls: outcomes of every kind, timeouts, lost connections. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

struct seen {
    unsigned count;
    enum herald_status status;
    enum herald_ran ran;
    char code[64];
    char body[64];
};

static void on_outcome(const struct herald_outcome *outcome, void *context)
{
    struct seen *seen = context;
    seen->count++;
    seen->status = outcome->status;
    seen->ran = outcome->ran;
    snprintf(seen->code, sizeof seen->code, "%s", outcome->code);
    snprintf(seen->body, sizeof seen->body, "%s", (const char *)outcome->body);
}

static enum herald_status start(struct fake_broker *fake, struct seen *seen, int timeout_ms)
{
    struct herald_content content = herald_text("please");
    struct herald_call call = {
        .size = sizeof call,
        .queue = "q",
        .timeout_ms = timeout_ms,
        .on_outcome = on_outcome,
        .context = seen,
    };
    return herald_call_async(fake->client, &call, &content);
}

static struct fake_broker *begin(void)
{
    struct fake_broker *fake = fake_new();
    fake_client(fake, NULL);
    fake_open(fake);
    return fake;
}

static void end(struct fake_broker *fake)
{
    herald_close(fake->client, 0);
    fake->client = NULL;
    fake_free(fake);
}

START_TEST(test_outcomes)
{
    static const struct {
        const char *code;
        enum herald_status status;
    } cases[] = {
        {"", HERALD_OK},
        {"NO_QUEUE", HERALD_ENOTFOUND},
        {"DENIED", HERALD_EDENIED},
        {"EXPIRED", HERALD_ETIMEOUT},
        {"NO_HANDLER", HERALD_EFAILED},
        {"CARD_DECLINED", HERALD_EFAILED},
    };
    struct fake_broker *fake = begin();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen = {0};
        ck_assert_int_eq(start(fake, &seen, 1000), HERALD_OK);
        struct frame frame;
        fake_take(fake, FRAME_CALL, &frame);
        ck_assert_uint_eq(frame.as.call.timeout_ms, 1000);
        fake_outcome(fake, frame.header.tag, cases[i].code, "body");
        fake_let_run(fake, 5);
        ck_assert_uint_eq(seen.count, 1);
        ck_assert_int_eq(seen.status, cases[i].status);
        ck_assert_str_eq(seen.code, cases[i].code);
        ck_assert_str_eq(seen.body, "body");
    }
    end(fake);
}
END_TEST

START_TEST(test_out_of_order_and_unknown)
{
    struct fake_broker *fake = begin();
    struct seen seen[3] = {{0}};
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(start(fake, &seen[i], 1000), HERALD_OK);
    struct frame frame;
    for (int i = 0; i < 3; i++)
        fake_take(fake, FRAME_CALL, &frame);
    fake_outcome(fake, 3, "", "c");
    fake_outcome(fake, 1, "", "a");
    fake_outcome(fake, 1, "", "again");
    fake_outcome(fake, 99, "", "whose");
    fake_outcome(fake, 2, "", "b");
    fake_let_run(fake, 5);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(seen[i].count, 1);
        ck_assert_int_eq(seen[i].body[0], 'a' + i);
    }
    end(fake);
}
END_TEST

START_TEST(test_lost_connection)
{
    struct fake_broker *fake = begin();
    struct seen sent = {0};
    struct seen waiting = {0};
    ck_assert_int_eq(start(fake, &sent, 5000), HERALD_OK);
    struct frame frame;
    fake_take(fake, FRAME_CALL, &frame);
    fake_accept(fake);
    fake_let_run(fake, 5);
    ck_assert_uint_eq(sent.count, 1);
    ck_assert_int_eq(sent.status, HERALD_ELOST);
    ck_assert_int_eq(sent.ran, HERALD_MAYBE_RUN);
    ck_assert_str_eq(sent.code, "CONNECTION_LOST");
    ck_assert_int_eq(start(fake, &waiting, 5000), HERALD_OK);
    fake_greet(fake, 0, 10);
    fake_take(fake, FRAME_CALL, &frame); /* the one that had not left, and no other */
    fake_expect_silence(fake);
    fake_outcome(fake, frame.header.tag, "", "");
    fake_let_run(fake, 5);
    ck_assert_int_eq(waiting.status, HERALD_OK);
    end(fake);
}
END_TEST

START_TEST(test_no_outcome_in_time)
{
    struct fake_broker *fake = begin();
    struct seen seen = {0};
    ck_assert_int_eq(start(fake, &seen, 1), HERALD_OK);
    struct frame frame;
    fake_take(fake, FRAME_CALL, &frame);
    fake_let_run(fake, 1100);
    ck_assert_uint_eq(seen.count, 1);
    ck_assert_int_eq(seen.status, HERALD_ETIMEOUT);
    ck_assert_int_eq(seen.ran, HERALD_MAYBE_RUN);
    fake_outcome(fake, frame.header.tag, "", "too late");
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.count, 1);
    end(fake);
}
END_TEST

START_TEST(test_ended_by_close)
{
    struct fake_broker *fake = begin();
    struct seen sent = {0};
    struct seen unsent = {0};
    ck_assert_int_eq(start(fake, &sent, 5000), HERALD_OK);
    struct frame frame;
    fake_take(fake, FRAME_CALL, &frame);
    fake_drop(fake);
    fake_let_run(fake, 5);
    ck_assert_int_eq(start(fake, &unsent, 5000), HERALD_OK);
    end(fake);
    ck_assert_uint_eq(sent.count, 1);
    ck_assert_uint_eq(unsent.count, 1);
    ck_assert_int_eq(unsent.ran, HERALD_NOT_RUN);
}
END_TEST

struct waiter {
    struct herald_client *client;
    int timeout_ms;
    enum herald_status status;
    struct herald_outcome *outcome;
};

static void *wait_for_outcome(void *argument)
{
    struct waiter *waiter = argument;
    struct herald_content content = herald_text("please");
    waiter->status =
        herald_call(waiter->client, "q", &content, waiter->timeout_ms, &waiter->outcome);
    return NULL;
}

START_TEST(test_blocking)
{
    struct fake_broker *fake = begin();
    struct waiter waiter = {fake->client, 5000, HERALD_EINVAL, NULL};
    pthread_t thread;
    struct frame frame;
    fake->client = NULL; /* who waits drives */
    pthread_create(&thread, NULL, wait_for_outcome, &waiter);
    fake_take(fake, FRAME_CALL, &frame);
    fake_outcome(fake, frame.header.tag, "", "result");
    pthread_join(thread, NULL);
    ck_assert_int_eq(waiter.status, HERALD_OK);
    ck_assert_str_eq(waiter.outcome->body, "result");
    ck_assert_uint_eq(waiter.outcome->body_bytes, 6);
    herald_outcome_free(waiter.outcome);
    waiter.timeout_ms = 10;
    pthread_create(&thread, NULL, wait_for_outcome, &waiter);
    fake_take(fake, FRAME_CALL, &frame);
    pthread_join(thread, NULL);
    ck_assert_int_eq(waiter.status, HERALD_ETIMEOUT);
    ck_assert_ptr_null(waiter.outcome);
    fake_outcome(fake, frame.header.tag, "", "too late");
    fake->client = waiter.client;
    fake_let_run(fake, 5);
    end(fake);
}
END_TEST

static void *wait_for_tracked(void *argument)
{
    static const unsigned char id[16] = {1, 2, 3};
    struct waiter *waiter = argument;
    struct herald_content content = herald_text("please");
    content.track = 1;
    content.id = id;
    waiter->status =
        herald_call(waiter->client, "q", &content, waiter->timeout_ms, &waiter->outcome);
    return NULL;
}

/* The same properties, and so the same id and the same command. */
START_TEST(test_a_tracked_one_is_asked_for_again)
{
    struct fake_broker *fake = begin();
    struct waiter waiter = {fake->client, 10000, HERALD_EINVAL, NULL};
    unsigned char properties[256];
    uint32_t bytes = 0;
    pthread_t thread;
    struct frame frame;
    fake->client = NULL; /* who waits drives */
    pthread_create(&thread, NULL, wait_for_tracked, &waiter);
    for (unsigned i = 0; i < 3; i++) {
        fake_take(fake, FRAME_CALL, &frame);
        ck_assert_uint_eq(frame.header.flags, FLAG_DURABLE);
        ck_assert_uint_le(frame.as.call.timeout_ms, 10000);
        ck_assert_uint_gt(frame.as.call.timeout_ms, 1000);
        if (i == 0)
            bytes = frame.as.call.properties.bytes;
        ck_assert_uint_eq(frame.as.call.properties.bytes, bytes);
        if (i == 0)
            memcpy(properties, frame.as.call.properties.at, bytes);
        ck_assert_mem_eq(frame.as.call.properties.at, properties, bytes);
        if (i == 0) {
            fake_drop(fake);
            fake_open(fake);
        } else if (i == 1) {
            fake_outcome(fake, frame.header.tag, "DRAINING", "");
        }
    }
    fake_outcome(fake, frame.header.tag, "", "result");
    pthread_join(thread, NULL);
    ck_assert_int_eq(waiter.status, HERALD_OK);
    ck_assert_str_eq(waiter.outcome->body, "result");
    herald_outcome_free(waiter.outcome);
    fake->client = waiter.client;
    end(fake);
}
END_TEST

START_TEST(test_a_tracked_one_has_its_time)
{
    struct fake_broker *fake = begin();
    struct waiter waiter = {fake->client, 300, HERALD_EINVAL, NULL};
    pthread_t thread;
    struct frame frame;
    fake->client = NULL;
    pthread_create(&thread, NULL, wait_for_tracked, &waiter);
    fake_take(fake, FRAME_CALL, &frame);
    fake_drop(fake);
    pthread_join(thread, NULL);
    ck_assert_int_eq(waiter.status, HERALD_ETIMEOUT);
    fake->client = waiter.client;
    end(fake);
}
END_TEST

START_TEST(test_what_cannot_be_called)
{
    struct fake_broker *fake = begin();
    struct seen seen = {0};
    ck_assert_int_eq(start(fake, &seen, 0), HERALD_EINVAL);
    struct herald_content content = herald_text("x");
    ck_assert_int_eq(herald_call(fake->client, "", &content, 10, NULL), HERALD_EINVAL);
    herald_outcome_free(NULL);
    end(fake);
    ck_assert_uint_eq(seen.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("call");
    TCase *call = tcase_create("call");
    tcase_add_test(call, test_outcomes);
    tcase_add_test(call, test_out_of_order_and_unknown);
    tcase_add_test(call, test_lost_connection);
    tcase_add_test(call, test_no_outcome_in_time);
    tcase_add_test(call, test_ended_by_close);
    tcase_add_test(call, test_blocking);
    tcase_add_test(call, test_a_tracked_one_is_asked_for_again);
    tcase_add_test(call, test_a_tracked_one_has_its_time);
    tcase_add_test(call, test_what_cannot_be_called);
    suite_add_tcase(suite, call);
    return check_main(suite);
}
