/* Events of `$sys` are JSON whatever workers and queues call things. */
#include "broker/core/sys.h"

#include <stdio.h>

#include "broker/core/state.h"
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

static struct scene *scene;
static struct actor *alice;
static struct actor *bob;

static void set_up(void)
{
    scene = scene_new(1);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    do_queue(alice, "work");
}

static void tear_down(void)
{
    scene_free(scene);
}

/* Bob's attempt fails for good, with this text. */
static void park(const char *text)
{
    do_send(alice, "work", "a");
    struct frame frame = {.header.type = FRAME_FAIL};
    frame.as.fail = (struct frame_fail){.start = bob->start,
                                        .delivery = hear_delivery(bob, "a").delivery,
                                        .class = FAIL_PERMANENT,
                                        .code = wire_bytes_of_text("NO"),
                                        .text = wire_bytes_of_text(text)};
    hear_confirm(bob, actor_say(bob, &frame));
}

/* Its body, from the member `code` on. */
static void hear_event(const char *key, const char *expected)
{
    struct frame frame;
    char body[4096];
    ck_assert(actor_next(alice, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_DELIVER);
    ck_assert(wire_bytes_equal(frame.as.deliver.key, wire_bytes_of_text(key)));
    (void)snprintf(body, sizeof body, "%.*s", (int)frame.as.deliver.body.bytes,
                   (const char *)frame.as.deliver.body.at);
    const char *end = strstr(body, "\"code\":");
    ck_assert_str_eq(end != NULL ? end : body, expected);
}

START_TEST(test_texts_are_escaped)
{
    static char long_text[514];
    memset(long_text, 'x', sizeof long_text - 1);
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"say \"no\"", "say \\\"no\\\""},
        {"C:\\dir", "C:\\\\dir"},
        {"a\nb\tc\x01", "a\\u000ab\\u0009c\\u0001"},
        {"\x7f\xc3\xa9", "\x7f\xc3\xa9"},
        {"\xff\xfe", ""},
        {long_text, ""},
    };
    hear_confirm(alice, say_subscribe(alice, 1, SYS_EXCHANGE, "#"));
    do_consume(bob, 1, "work", 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char expected[1024];
        park(rows[i].text);
        (void)snprintf(expected, sizeof expected, "\"code\":\"NO\",\"text\":\"%s\"}",
                       rows[i].expected);
        hear_event("command.parked", expected);
    }
}
END_TEST

START_TEST(test_nothing_is_made_until_somebody_asks)
{
    do_consume(bob, 1, "work", 1);
    park("early");
    ck_assert_uint_eq(scene->core->next_exchange, 1);
    hear_confirm(alice, say_subscribe(alice, 1, SYS_EXCHANGE, "queue.#"));
    ck_assert_uint_eq(scene->core->next_exchange, 2);
    park("nobody listens to commands");
    hear_nothing(alice);
    ck_assert_uint_eq(ask_stat(alice, "sys_events_lost"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sys");
    TCase *tcase = tcase_create("sys");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_texts_are_escaped);
    tcase_add_test(tcase, test_nothing_is_made_until_somebody_asks);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
