/* Requests: refused, late, over a lost connection. */
#include <check.h>
#include <stdlib.h>

#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

static void end(struct fake_broker *fake, struct fake_asker *asker)
{
    herald_close(asker->client, 0);
    fake_free(fake);
}

static enum herald_status create(struct herald_client *client)
{
    struct herald_queue_options options = herald_queue_options_default();
    options.auto_delete = 1;
    options.count_max = 5;
    options.bytes_max = -1;
    options.overflow = HERALD_OVERFLOW_DROP_OLDEST;
    return herald_queue_create(client, "q", &options, 2000);
}

static enum herald_status purge(struct herald_client *client)
{
    return herald_queue_purge(client, "q", NULL, 2000);
}

static enum herald_status impatient(struct herald_client *client)
{
    return herald_queue_purge(client, "q", NULL, 10);
}

START_TEST(test_refused)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = fake_with_asker(&asker);
    struct frame frame;
    fake_begin_asking(&asker, purge);
    fake_take(fake, FRAME_QUEUE_PURGE, &frame);
    fake_refuse(fake, frame.header.tag, STATUS_NO_QUEUE, "no queue q");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ENOTFOUND);
    struct herald_error error = herald_last_error(asker.client);
    ck_assert_int_eq(error.status, HERALD_ENOTFOUND);
    ck_assert_uint_eq(error.code, STATUS_NO_QUEUE);
    ck_assert_str_eq(error.text, "no queue q");
    end(fake, &asker);
}
END_TEST

START_TEST(test_late_answer_harms_nobody)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = fake_with_asker(&asker);
    struct frame frame;
    fake_begin_asking(&asker, impatient);
    fake_take(fake, FRAME_QUEUE_PURGE, &frame);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ETIMEOUT);
    fake_confirm(fake, frame.header.tag, frame.header.tag);
    fake_begin_asking(&asker, purge);
    fake_take(fake, FRAME_QUEUE_PURGE, &frame);
    fake_confirm(fake, frame.header.tag, frame.header.tag);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    end(fake, &asker);
}
END_TEST

START_TEST(test_sent_again_under_its_tag)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = fake_with_asker(&asker);
    struct frame frame;
    fake_begin_asking(&asker, create);
    fake_take(fake, FRAME_QUEUE_CREATE, &frame);
    uint64_t tag = frame.header.tag;
    fake_accept(fake);
    ck_assert_uint_eq(fake->hello.resume, 1);
    fake_greet(fake, tag - 1, 10);
    fake_take(fake, FRAME_QUEUE_CREATE, &frame);
    ck_assert_uint_eq(frame.header.tag, tag);
    fake_accept(fake);
    fake_greet(fake, tag, 10); /* it arrived: only its answer comes */
    fake_confirm(fake, tag, tag);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    end(fake, &asker);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("request");
    TCase *request = tcase_create("request");
    tcase_add_test(request, test_refused);
    tcase_add_test(request, test_late_answer_harms_nobody);
    tcase_add_test(request, test_sent_again_under_its_tag);
    suite_add_tcase(suite, request);
    return check_main(suite);
}
