/* Answers: confirms with holes, many at once, for what is not there. */
#include <check.h>
#include <stdlib.h>

#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

enum { COUNT = 1000 };

struct seen {
    unsigned confirmed;
    unsigned refused;
    unsigned lost;
    char *last;
};

static void on_confirmed(struct herald_client *client, void *context, void *user)
{
    (void)client;
    struct seen *seen = user;
    ck_assert((char *)context > seen->last); /* in order, each once */
    seen->last = context;
    seen->confirmed++;
}

static void on_refused(struct herald_client *client, const struct herald_refusal *refusal,
                       void *user)
{
    (void)client;
    (void)refusal;
    struct seen *seen = user;
    seen->refused++;
}

static void on_state(struct herald_client *client, enum herald_state state, void *user)
{
    (void)client;
    struct seen *seen = user;
    seen->lost += state == HERALD_STATE_LOST;
}

static struct fake_broker *begin(struct seen *seen, unsigned count)
{
    static char marks[COUNT + 1];
    struct herald_options options = herald_options_default();
    options.user = seen;
    options.on_confirmed = on_confirmed;
    options.on_refused = on_refused;
    options.on_state = on_state;
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, &options);
    fake_open(fake);
    for (unsigned i = 0; i < count; i++) {
        struct herald_content content = herald_text("x");
        content.context = &marks[i + 1];
        ck_assert_int_eq(herald_send(client, "q", &content), HERALD_OK);
    }
    struct frame frame;
    for (unsigned i = 0; i < count; i++)
        fake_take(fake, FRAME_SEND, &frame);
    return fake;
}

static void end(struct fake_broker *fake)
{
    herald_close(fake->client, 0);
    fake->client = NULL;
    fake_free(fake);
}

START_TEST(test_many_at_once)
{
    struct seen seen = {0};
    struct fake_broker *fake = begin(&seen, COUNT);
    fake_confirm(fake, 1, COUNT);
    fake_let_run(fake, 20);
    ck_assert_uint_eq(seen.confirmed, COUNT);
    ck_assert_uint_eq(herald_unconfirmed(fake->client), 0);
    end(fake);
}
END_TEST

/* What a confirm does not name is not confirmed, whatever the order. */
START_TEST(test_holes_stay_open)
{
    struct seen seen = {0};
    struct fake_broker *fake = begin(&seen, 5);
    fake_confirm(fake, 3, 4);
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.confirmed, 2);
    fake_confirm(fake, 3, 4); /* again: nothing new */
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.confirmed, 2);
    ck_assert_int_eq(herald_flush(fake->client, 10), HERALD_ETIMEOUT);
    fake_accept(fake);
    ck_assert_uint_eq(fake->hello.seen, 0);
    fake_greet(fake, 0, 10);
    struct frame frame;
    const uint64_t wanted[] = {1, 2, 5};
    for (int i = 0; i < 3; i++) {
        fake_take(fake, FRAME_SEND, &frame);
        ck_assert_uint_eq(frame.header.tag, wanted[i]);
    }
    fake_expect_silence(fake);
    seen.last = NULL;
    fake_confirm(fake, 1, 5);
    ck_assert_int_eq(herald_flush(fake->client, 1000), HERALD_OK);
    ck_assert_uint_eq(seen.confirmed, 5);
    end(fake);
}
END_TEST

START_TEST(test_answers_to_nothing)
{
    struct seen seen = {0};
    struct fake_broker *fake = begin(&seen, 1);
    fake_refuse(fake, 1, STATUS_OVERFLOW, "");
    fake_refuse(fake, 1, STATUS_OVERFLOW, ""); /* again, as for a transient one: told, no harm */
    fake_refuse(fake, 77, STATUS_OVERFLOW, "");
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.refused, 2);
    ck_assert_uint_eq(seen.lost, 0);
    struct frame row = {.header = {.type = FRAME_ROW, .flags = FLAG_LAST, .tag = 1}};
    fake_say(fake, &row);
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.lost, 1);
    end(fake);
}
END_TEST

START_TEST(test_backwards_confirm)
{
    struct seen seen = {0};
    struct fake_broker *fake = begin(&seen, 2);
    fake_confirm(fake, 2, 1);
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.lost, 1);
    ck_assert_uint_eq(seen.confirmed, 0);
    end(fake);
}
END_TEST

START_TEST(test_seen_is_told)
{
    struct seen seen = {0};
    struct fake_broker *fake = begin(&seen, COUNT);
    fake_confirm(fake, 1, COUNT);
    fake_let_run(fake, 20);
    struct herald_content content = herald_text("x");
    struct frame frame;
    for (int i = 0; i < 30; i++) {
        ck_assert_int_eq(herald_send(fake->client, "q", &content), HERALD_OK);
        fake_take(fake, FRAME_SEND, &frame);
        fake_confirm(fake, frame.header.tag, frame.header.tag);
    }
    fake_expect_silence(fake);
    ck_assert_uint_ge(fake->seen, 1024);
    end(fake);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("answer");
    TCase *answer = tcase_create("answer");
    tcase_add_test(answer, test_many_at_once);
    tcase_add_test(answer, test_holes_stay_open);
    tcase_add_test(answer, test_answers_to_nothing);
    tcase_add_test(answer, test_backwards_confirm);
    tcase_add_test(answer, test_seen_is_told);
    suite_add_tcase(suite, answer);
    return check_main(suite);
}
