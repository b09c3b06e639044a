/* Looking into queues, and repairing what is parked: with other content, elsewhere, counted. */
#include "tests/support/check_main.h"
#include "tests/support/tracking.h"

static uint64_t numbers[4]; /* of parked commands, oldest first */

static void park(unsigned count)
{
    do_consume(bob, 1, "work", 1);
    for (unsigned i = 0; i < count; i++) {
        do_send(alice, "work", (const char *[]){"a", "b", "c", "d"}[i]);
        struct heard heard = hear_delivery(bob, NULL);
        numbers[i] = heard.number;
        hear_confirm(bob, say_fail_as(heard.delivery, FAIL_PERMANENT));
    }
    hear_confirm(bob, say_cancel(bob, 1));
}

static uint64_t say_peek(const char *queue, unsigned what, uint64_t after)
{
    struct frame frame = {.header.type = FRAME_PEEK};
    frame.as.peek = (struct frame_peek){wire_bytes_of_text(queue), (uint8_t)what, after};
    return actor_say(alice, &frame);
}

static struct frame_peeked peek(unsigned what, uint64_t after)
{
    uint64_t tag = say_peek("work", what, after);
    struct frame frame;
    ck_assert(actor_next(alice, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_PEEKED);
    ck_assert_uint_eq(frame.header.tag, tag);
    return frame.as.peeked;
}

static uint64_t say_replace(uint64_t number, const char *to, const char *body)
{
    struct frame frame = {.header.type = FRAME_PARKED_REPLACE};
    frame.as.parked_replace = (struct frame_parked_replace){.queue = wire_bytes_of_text("work"),
                                                            .number = number,
                                                            .to = wire_bytes_of_text(to),
                                                            .body_bytes = (uint32_t)strlen(body),
                                                            .body = wire_bytes_of_text(body)};
    return actor_say(alice, &frame);
}

static uint64_t say_parked(enum frame_type type, uint64_t first, uint64_t last)
{
    struct frame frame = {.header.type = type};
    frame.as.parked_retry = (struct frame_parked_retry){wire_bytes_of_text("work"), first, last};
    return actor_say(alice, &frame);
}

START_TEST(test_peeking_shows_all_and_changes_nothing)
{
    for (unsigned i = 0; i < 3; i++)
        do_send(alice, "work", (const char *[]){"a", "b", "c"}[i]);
    w = wire_writer_of(properties, sizeof properties);
    with(PROPERTY_MESSAGE_DELAY, 60000);
    do_tracked("later");
    (void)run("a");
    static const struct {
        const char *body;
        unsigned state;
    } expected[] = {
        {"a", PEEKED_RUNNING}, {"b", PEEKED_READY}, {"c", PEEKED_READY}, {"later", PEEKED_WAITING}};
    uint64_t after = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct frame_peeked peeked = peek(PEEK_WAITING, after);
        ck_assert(wire_bytes_equal(peeked.body, wire_bytes_of_text(expected[i].body)));
        ck_assert_uint_eq(peeked.state, expected[i].state);
        ck_assert_uint_gt(peeked.number, after);
        after = peeked.number;
    }
    ck_assert_uint_eq(peek(PEEK_WAITING, after).number, 0);
    ck_assert_uint_eq(peek(PEEK_WAITING, UINT64_MAX).number, 0);
    ck_assert_uint_eq(peek(PEEK_PARKED, 0).number, 0);
    crash_and_enter();
    struct heard heard = run("a"); /* what was peeked at is not redelivered for that */
    (void)say_done(bob, heard.delivery, heard.delivery);
    ck_assert(hear_delivery(bob, "b").number != 0);
    hear_refuse(alice, say_peek("work", 2, 0), STATUS_BAD_VALUE);
    hear_refuse(alice, say_peek("nowhere", 0, 0), STATUS_NO_QUEUE);
}
END_TEST

START_TEST(test_a_message_that_left_memory_is_read_for_a_peek)
{
    static char large[3000];
    memset(large, 'x', sizeof large - 1);
    for (unsigned i = 0; i < 300; i++)
        do_send(alice, "work", large);
    crash_and_enter();
    struct frame_peeked peeked = peek(PEEK_WAITING, 0);
    ck_assert_uint_eq(peeked.body.bytes, sizeof large - 1);
    (void)say_peek("work", PEEK_WAITING, peeked.number + 150);
    actor_cut(alice); /* nobody waits for the answer */
    scene_settle(scene);
}
END_TEST

START_TEST(test_a_parked_command_gets_other_content_and_its_place)
{
    park(2);
    do_send(alice, "work", "newer");
    hear_confirm(alice, say_replace(numbers[0], "", "better"));
    crash_and_enter();
    struct frame_peeked peeked = peek(PEEK_PARKED, 0);
    ck_assert_uint_eq(peeked.number, numbers[0]);
    ck_assert_uint_eq(peeked.attempts, 1);
    ck_assert(wire_bytes_equal(peeked.body, wire_bytes_of_text("better")));
    hear_confirm(alice, say_parked(FRAME_PARKED_RETRY, 0, UINT64_MAX));
    ck_assert_uint_eq(alice->counted, 2);
    do_consume(bob, 1, "work", 3);
    uint64_t first = hear_delivery(bob, "better").number;
    uint64_t second = hear_delivery(bob, "b").number;
    ck_assert_uint_eq(first, numbers[0]);
    ck_assert_uint_eq(second, numbers[1]);
    (void)hear_delivery(bob, "newer");
}
END_TEST

START_TEST(test_a_parked_command_goes_elsewhere_in_one_step)
{
    do_queue(alice, "manual");
    park(1);
    scene_hold_syncs(scene);
    (void)say_replace(numbers[0], "manual", "by hand");
    scene_crash(scene, DISK_SIM_NONE); /* neither has happened */
    ck_assert(actor_enter(alice));
    ck_assert(actor_enter(bob));
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 1);
    ck_assert_uint_eq(ask_queue(alice, "manual", "messages"), 0);
    hear_confirm(alice, say_replace(numbers[0], "manual", "by hand"));
    crash_and_enter(); /* both have */
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 0);
    ck_assert_uint_eq(ask_queue(alice, "manual", "messages"), 1);
    hear_refuse(alice, say_replace(numbers[0], "manual", "again"), STATUS_NOT_PARKED);
    do_consume(bob, 1, "manual", 1);
    (void)hear_delivery(bob, "by hand");
}
END_TEST

START_TEST(test_bad_replacements_are_refused)
{
    park(1);
    hear_refuse(alice, say_replace(numbers[0], "nowhere", "x"), STATUS_NO_QUEUE);
    hear_refuse(alice, say_replace(numbers[0] + 1, "", "x"), STATUS_NOT_PARKED);
    hear_confirm(alice, say_queue_with(alice, "fast", FLAG_QUEUE_TRANSIENT, 0, 0));
    hear_refuse(alice, say_replace(numbers[0], "fast", "x"), STATUS_MISMATCH);
    hear_confirm(alice, say_queue_with(alice, "full", 0, 1, 0));
    do_send(alice, "full", "first");
    hear_refuse(alice, say_replace(numbers[0], "full", "x"), STATUS_OVERFLOW);
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 1);
}
END_TEST

/* What is parked is durable, whatever else waits in its queue. */
START_TEST(test_what_is_thrown_away_beside_transient_messages_stays_away)
{
    park(1);
    say_send_with(alice, "work", "in memory", FLAG_TRANSIENT);
    say_parked(FRAME_PARKED_DROP, numbers[0], numbers[0]);
    hear_out(alice);
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 0);
}
END_TEST

START_TEST(test_what_is_thrown_away_is_counted)
{
    park(3);
    for (unsigned i = 0; i < 5; i++)
        do_send(alice, "work", "x");
    hear_confirm(alice, say_queue_purge(alice, "work"));
    ck_assert_uint_eq(alice->counted, 5);
    hear_confirm(alice, say_queue_purge(alice, "work"));
    ck_assert_uint_eq(alice->counted, 0);
    hear_confirm(alice, say_parked(FRAME_PARKED_DROP, numbers[1], UINT64_MAX));
    ck_assert_uint_eq(alice->counted, 2);
    hear_refuse(alice, say_parked(FRAME_PARKED_DROP, numbers[1], UINT64_MAX), STATUS_NOT_PARKED);
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("repair");
    TCase *tcase = tcase_create("repair");
    tcase_add_checked_fixture(tcase, tracking_set_up, tracking_tear_down);
    tcase_add_test(tcase, test_peeking_shows_all_and_changes_nothing);
    tcase_add_test(tcase, test_a_message_that_left_memory_is_read_for_a_peek);
    tcase_add_test(tcase, test_a_parked_command_gets_other_content_and_its_place);
    tcase_add_test(tcase, test_a_parked_command_goes_elsewhere_in_one_step);
    tcase_add_test(tcase, test_bad_replacements_are_refused);
    tcase_add_test(tcase, test_what_is_thrown_away_beside_transient_messages_stays_away);
    tcase_add_test(tcase, test_what_is_thrown_away_is_counted);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
