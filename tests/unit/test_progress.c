/* What passes between a worker and the broker while a message is worked on. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

static struct fake_broker *fake;
static struct herald_client *client;
static struct herald_message *kept[4]; /* what came, oldest first */
static unsigned kept_count;
static uint32_t consumer;

static void on_message(struct herald_message *message, void *context)
{
    (void)context;
    kept[kept_count++] = herald_message_retain(message);
}

static void begin(uint32_t renew_ms)
{
    struct herald_options options = herald_options_default();
    options.renew_ms = renew_ms;
    fake = fake_new();
    client = fake_client(fake, &options);
    fake_open(fake);
    struct herald_service service = herald_service("work", on_message);
    ck_assert_int_eq(herald_serve(client, &service, 0, NULL), HERALD_OK);
    consumer = fake_take_consumer(fake, FRAME_CONSUME);
    kept_count = 0;
}

static void end(void)
{
    herald_close(client, 0);
    for (unsigned i = 0; i < kept_count; i++)
        herald_message_free(kept[i]);
    fake_free(fake);
}

static void deliver(uint64_t delivery)
{
    fake_deliver(fake, consumer, delivery, "job");
    unsigned count = kept_count;
    for (unsigned i = 0; i < 100 && kept_count == count; i++)
        fake_let_run(fake, 5);
    ck_assert_uint_eq(kept_count, count + 1);
}

static bool is_text(const char *text, size_t bytes, const char *expected)
{
    return bytes == strlen(expected) && memcmp(text, expected, bytes) == 0;
}

START_TEST(test_progress_says_how_far_it_is)
{
    begin(0);
    deliver(9);
    struct herald_progress progress = {.size = sizeof progress,
                                       .done = 3,
                                       .total = 10,
                                       .note = "pages",
                                       .checkpoint = "p3",
                                       .checkpoint_bytes = 2};
    ck_assert_int_eq(herald_progress(kept[0], &progress), HERALD_OK);
    struct frame frame;
    fake_take(fake, FRAME_PROGRESS, &frame);
    const struct frame_progress *said = &frame.as.progress;
    ck_assert_uint_eq(said->start, FAKE_START);
    ck_assert_uint_eq(said->delivery, 9);
    ck_assert_uint_eq(said->done, 3);
    ck_assert_uint_eq(said->total, 10);
    ck_assert(wire_bytes_equal(said->note, wire_bytes_of_text("pages")));
    ck_assert(wire_bytes_equal(said->checkpoint, wire_bytes_of_text("p3")));
    uint64_t tag = frame.header.tag;
    fake_refuse(fake, tag, STATUS_TOO_LARGE, "a checkpoint of 2 bytes");
    ck_assert_int_eq(herald_flush(client, 1000), HERALD_ETOOLARGE);
    ck_assert_int_eq(herald_done(kept[0]), HERALD_OK);
    ck_assert_int_eq(herald_progress(kept[0], &progress), HERALD_ESTALE);
    end();
}
END_TEST

START_TEST(test_progress_that_cannot_be_is_refused_here)
{
    char note[300];
    memset(note, 'x', sizeof note - 1);
    note[sizeof note - 1] = '\0';
    begin(0);
    deliver(9);
    struct herald_progress progress = {.size = sizeof progress, .note = note};
    ck_assert_int_eq(herald_progress(kept[0], &progress), HERALD_EINVAL);
    progress = (struct herald_progress){.size = sizeof progress - 1};
    ck_assert_int_eq(herald_progress(kept[0], &progress), HERALD_EINVAL);
    progress = (struct herald_progress){
        .size = sizeof progress, .checkpoint = note, .checkpoint_bytes = (size_t)UINT16_MAX + 1};
    ck_assert_int_eq(herald_progress(kept[0], &progress), HERALD_EINVAL);
    fake_expect_silence(fake);
    end();
}
END_TEST

START_TEST(test_what_an_earlier_attempt_left_comes_with_its_message_alone)
{
    begin(0);
    struct frame frame = {.header.type = FRAME_EARLIER};
    frame.as.earlier = (struct frame_earlier){.consumer = consumer,
                                              .number = 107, /* of delivery 7, see fake_deliver */
                                              .checkpoint = wire_bytes_of_text("page 3"),
                                              .code = wire_bytes_of_text("EXIT_75"),
                                              .text = wire_bytes_of_text("no paper")};
    fake_say(fake, &frame);
    deliver(7);
    deliver(8);
    size_t bytes;
    const char *text = herald_message_checkpoint(kept[0], &bytes);
    ck_assert(is_text(text, bytes, "page 3"));
    text = herald_message_last_code(kept[0], &bytes);
    ck_assert(is_text(text, bytes, "EXIT_75"));
    text = herald_message_last_text(kept[0], &bytes);
    ck_assert(is_text(text, bytes, "no paper"));
    ck_assert_ptr_null(herald_message_checkpoint(kept[1], &bytes));
    ck_assert_uint_eq(bytes, 0);
    ck_assert_ptr_null(herald_message_last_code(kept[1], &bytes));
    ck_assert_ptr_null(herald_message_last_text(kept[1], &bytes));
    end();
}
END_TEST

START_TEST(test_the_fence_of_the_active_consumer_comes_with_messages)
{
    begin(0);
    deliver(1);
    struct frame frame = {.header.type = FRAME_CONSUMER_ACTIVE};
    frame.as.consumer_active = (struct frame_consumer_active){consumer, 77};
    fake_say(fake, &frame);
    deliver(2);
    ck_assert_uint_eq(herald_message_fence(kept[0]), 0);
    ck_assert_uint_eq(herald_message_fence(kept[1]), 77);
    end();
}
END_TEST

START_TEST(test_what_nobody_wants_is_known_until_the_connection_ends)
{
    begin(0);
    deliver(1);
    deliver(2);
    struct frame frame = {.header.type = FRAME_UNWANTED};
    frame.as.unwanted = (struct frame_unwanted){2, STATUS_CANCELLED};
    fake_say(fake, &frame);
    fake_let_run(fake, 20);
    ck_assert_int_eq(herald_message_is_unwanted(kept[0]), 0);
    ck_assert_int_eq(herald_message_is_unwanted(kept[1]), 1);
    fake_drop(fake);
    fake_open(fake);
    consumer = fake_take_consumer(fake, FRAME_CONSUME);
    deliver(2); /* another one of that name */
    ck_assert_int_eq(herald_message_is_unwanted(kept[1]), 0);
    ck_assert_int_eq(herald_message_is_unwanted(kept[2]), 0);
    frame.as.unwanted = (struct frame_unwanted){2, STATUS_EXPIRED};
    fake_say(fake, &frame);
    fake_let_run(fake, 20);
    ck_assert_int_eq(herald_message_is_unwanted(kept[1]), 0);
    ck_assert_int_eq(herald_message_is_unwanted(kept[2]), 1);
    end();
}
END_TEST

START_TEST(test_leases_are_renewed_while_something_is_unsettled)
{
    begin(50);
    struct frame frame;
    fake_expect_silence(fake);
    deliver(1);
    for (unsigned i = 0; i < 3; i++) {
        fake_take(fake, FRAME_RENEW, &frame);
        ck_assert_uint_eq(frame.as.renew.first, 0);
        ck_assert_uint_eq(frame.as.renew.last, UINT64_MAX);
    }
    herald_done(kept[0]);
    fake_take(fake, FRAME_DONE, &frame);
    fake_confirm(fake, frame.header.tag, frame.header.tag);
    fake_let_run(fake, 100);
    fake_expect_silence(fake);
    end();
}
END_TEST

START_TEST(test_a_program_that_does_not_ask_renews_nothing)
{
    begin(0);
    deliver(1);
    fake_let_run(fake, 100);
    fake_expect_silence(fake);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("progress");
    TCase *tcase = tcase_create("progress");
    tcase_add_test(tcase, test_progress_says_how_far_it_is);
    tcase_add_test(tcase, test_progress_that_cannot_be_is_refused_here);
    tcase_add_test(tcase, test_what_an_earlier_attempt_left_comes_with_its_message_alone);
    tcase_add_test(tcase, test_the_fence_of_the_active_consumer_comes_with_messages);
    tcase_add_test(tcase, test_what_nobody_wants_is_known_until_the_connection_ends);
    tcase_add_test(tcase, test_leases_are_renewed_while_something_is_unsettled);
    tcase_add_test(tcase, test_a_program_that_does_not_ask_renews_nothing);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
