/* Flushing: waiting for what was sent before, and for nothing else. */
#include <check.h>
#include <stdlib.h>

#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

static void end(struct fake_broker *fake)
{
    herald_close(fake->client, 0);
    fake->client = NULL;
    fake_free(fake);
}

START_TEST(test_nothing_to_wait_for)
{
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, NULL);
    ck_assert_int_eq(herald_flush_start(client), HERALD_OK);
    ck_assert_int_eq(herald_flush(client, 0), HERALD_OK);
    ck_assert_uint_eq(herald_unconfirmed(client), 0);
    end(fake);
}
END_TEST

/* What is not sent yet is waited for, too. */
START_TEST(test_unsent_counts)
{
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, NULL);
    struct herald_content content = herald_text("x");
    ck_assert_int_eq(herald_send(client, "q", &content), HERALD_OK);
    ck_assert_uint_eq(herald_unconfirmed(client), 1);
    ck_assert_int_eq(herald_flush(client, 10), HERALD_ETIMEOUT);
    fake_open(fake);
    struct frame frame;
    fake_take(fake, FRAME_SEND, &frame);
    ck_assert_int_eq(herald_flush(client, 10), HERALD_ETIMEOUT);
    fake_confirm(fake, 1, 1);
    ck_assert_int_eq(herald_flush(client, 1000), HERALD_OK);
    ck_assert_uint_eq(herald_unconfirmed(client), 0);
    end(fake);
}
END_TEST

START_TEST(test_first_refusal_once)
{
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, NULL);
    struct herald_content content = herald_text("x");
    struct frame frame;
    fake_open(fake);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(herald_send(client, "q", &content), HERALD_OK);
    for (int i = 0; i < 3; i++)
        fake_take(fake, FRAME_SEND, &frame);
    fake_refuse(fake, 1, STATUS_NO_QUEUE, "first");
    fake_refuse(fake, 3, STATUS_OVERFLOW, "second");
    fake_confirm(fake, 1, 3);
    ck_assert_int_eq(herald_flush(client, 1000), HERALD_ENOTFOUND);
    ck_assert_str_eq(herald_last_error(client).text, "first");
    ck_assert_int_eq(herald_flush(client, 1000), HERALD_OK);
    end(fake);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("flush");
    TCase *flush = tcase_create("flush");
    tcase_add_test(flush, test_nothing_to_wait_for);
    tcase_add_test(flush, test_unsent_counts);
    tcase_add_test(flush, test_first_refusal_once);
    suite_add_tcase(suite, flush);
    return check_main(suite);
}
