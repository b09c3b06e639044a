/* Lanes, single active consumers, pausing, the breaker, and what `$sys` tells of them. */
#include <stdio.h>

#include "tests/support/check_main.h"
#include "tests/support/tracking.h"

static uint64_t deliveries[16]; /* by body, a digit or a letter's place */

static void lane(const char *key, const char *body)
{
    w = wire_writer_of(properties, sizeof properties);
    with_text(PROPERTY_MESSAGE_LANE, key);
    do_tracked(body);
}

static void set(uint8_t property, uint64_t value)
{
    hear_confirm(alice, say_queue_set(alice, "work", property, value));
}

static void pass(uint64_t ms)
{
    scene_advance_ms(scene, ms);
    scene_settle(scene);
}

/* Takes the deliveries that are there; their bodies, one letter each, in order. */
static const char *taken(struct actor *actor)
{
    static char bodies[16];
    struct frame frame;
    size_t count = 0;
    while (actor_next(actor, &frame)) {
        if (frame.header.type != FRAME_DELIVER)
            continue;
        unsigned char letter = frame.as.deliver.body.at[0];
        bodies[count++] = (char)letter;
        deliveries[letter - 'a'] = frame.as.deliver.delivery;
    }
    bodies[count] = '\0';
    return bodies;
}

static void done(char letter)
{
    (void)say_done(bob, deliveries[letter - 'a'], deliveries[letter - 'a']);
}

START_TEST(test_one_of_a_lane_is_out_at_a_time)
{
    lane("1", "a");
    lane("1", "b");
    lane("2", "c");
    lane("1", "d");
    do_send(alice, "work", "e");
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "ace");
    ck_assert_uint_eq(ask_queue(alice, "work", "blocked"), 2);
    ck_assert_uint_eq(ask_queue(alice, "work", "lanes"), 2);
    done('c');
    ck_assert_str_eq(taken(bob), "");
    done('a');
    ck_assert_str_eq(taken(bob), "b");
    done('b');
    ck_assert_str_eq(taken(bob), "d");
    done('d');
    done('e');
    ck_assert_str_eq(taken(bob), "");
    ck_assert_uint_eq(ask_queue(alice, "work", "lanes"), 0);
}
END_TEST

START_TEST(test_a_retrying_head_blocks_its_lane_only)
{
    lane("1", "a");
    lane("1", "b");
    lane("2", "c");
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "ac");
    (void)say_fail_as(deliveries[0], FAIL_RETRYABLE); /* again in 100 ms */
    done('c');
    ck_assert_str_eq(taken(bob), "");
    crash_and_enter();
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "");
    pass(110);
    ck_assert_str_eq(taken(bob), "a");
    done('a');
    ck_assert_str_eq(taken(bob), "b");
}
END_TEST

START_TEST(test_one_that_is_not_due_does_not_hold_its_lane)
{
    w = wire_writer_of(properties, sizeof properties);
    with_text(PROPERTY_MESSAGE_LANE, "1");
    with(PROPERTY_MESSAGE_DELAY, 1000);
    do_tracked("a");
    lane("1", "b");
    lane("1", "c");
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "b");
    pass(1010);
    ck_assert_str_eq(taken(bob), "");
    done('b');
    ck_assert_str_eq(taken(bob), "a"); /* its number goes before */
    done('a');
    ck_assert_str_eq(taken(bob), "c");
}
END_TEST

START_TEST(test_what_is_given_back_keeps_its_place_in_the_lane)
{
    lane("1", "a");
    lane("1", "b");
    (void)say_consume(bob, 1, "work", 1);
    ck_assert_str_eq(taken(bob), "a");
    (void)say_release(bob, deliveries[0], deliveries[0]);
    ck_assert_str_eq(taken(bob), "a");
    actor_cut(bob); /* lost: counted, and first again */
    scene_settle(scene);
    ck_assert(actor_enter(bob));
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "a");
    done('a');
    ck_assert_str_eq(taken(bob), "b");
}
END_TEST

/* Whatever stands between them: each that was named, and nothing else, also after a start. */
START_TEST(test_many_are_settled_at_once)
{
    static const struct {
        char last;
        const char *left;
    } cases[] = {{'c', "def"}, {'d', "ef"}, {'f', "e"}};
    lane("1", "a");
    lane("2", "b");
    do_send(alice, "work", "c");
    lane("3", "d");
    lane("1", "e");
    lane("4", "f");
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "abcdf");
    (void)say_done(bob, deliveries[0], deliveries[cases[_i].last - 'a']);
    crash_and_enter();
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), cases[_i].left);
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), strlen(cases[_i].left));
}
END_TEST

/* As the first of its lane it did not stand aside, and does now. */
START_TEST(test_a_checkpoint_leaves_the_lane_held)
{
    struct frame frame = {.header.type = FRAME_PROGRESS};
    lane("1", "a");
    lane("1", "b");
    lane("2", "c");
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "ac");
    frame.as.progress.start = bob->start;
    frame.as.progress.delivery = deliveries[0];
    frame.as.progress.checkpoint = wire_bytes_of_text("half");
    hear_confirm(bob, actor_say(bob, &frame));
    ck_assert_str_eq(taken(bob), "");
    ck_assert_uint_eq(ask_queue(alice, "work", "blocked"), 1);
    done('a');
    ck_assert_str_eq(taken(bob), "b");
    done('b');
    done('c');
    ck_assert_uint_eq(ask_queue(alice, "work", "lanes"), 0);
}
END_TEST

START_TEST(test_a_purge_takes_lanes_along)
{
    lane("1", "a");
    lane("2", "b");
    (void)say_consume(bob, 1, "work", 1);
    ck_assert_str_eq(taken(bob), "a");
    do_send(alice, "work", "c");
    lane("1", "d");
    lane("3", "e");
    hear_confirm(alice, say_queue_purge(alice, "work"));
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 1);
    ck_assert_uint_eq(ask_queue(alice, "work", "lanes"), 1);
    crash_and_enter();
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "a");
    done('a');
    ck_assert_uint_eq(ask_queue(alice, "work", "lanes"), 0);
}
END_TEST

/* Lanes are of queues; whoever hears an event as it comes has none. */
START_TEST(test_an_event_in_a_lane_goes_to_live_subscribers_too)
{
    struct frame frame = {.header.type = FRAME_PUBLISH};
    do_exchange(alice, "news");
    do_bind(alice, "work", "news", "#");
    hear_confirm(bob, say_subscribe(bob, 7, "news", "#"));
    w = wire_writer_of(properties, sizeof properties);
    with_text(PROPERTY_MESSAGE_LANE, "1");
    frame.as.publish.exchange = wire_bytes_of_text("news");
    frame.as.publish.key = wire_bytes_of_text("weather");
    frame.as.publish.properties = wire_bytes_of(properties, (uint32_t)wire_written(&w));
    frame.as.publish.body = wire_bytes_of_text("a");
    frame.as.publish.body_bytes = 1;
    hear_confirm(alice, actor_say(alice, &frame));
    ck_assert_str_eq(taken(bob), "a");
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 1);
    ck_assert_uint_eq(ask_queue(alice, "work", "lanes"), 1);
}
END_TEST

START_TEST(test_a_lane_without_a_name_is_none)
{
    lane("", "a");
    lane("", "b");
    ck_assert_uint_eq(ask_queue(alice, "work", "lanes"), 0);
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "ab");
}
END_TEST

static uint64_t say_parked_retry(void)
{
    struct frame frame = {.header.type = FRAME_PARKED_RETRY};
    frame.as.parked_retry = (struct frame_parked_retry){wire_bytes_of_text("work"), 0, UINT64_MAX};
    return actor_say(alice, &frame);
}

START_TEST(test_a_lane_waits_for_its_repair)
{
    lane("1", "a");
    lane("1", "b");
    lane("2", "c");
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "ac");
    (void)say_fail_as(deliveries[0], FAIL_PERMANENT);
    ck_assert_str_eq(taken(bob), "");
    lane("1", "d");
    crash_and_enter();
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "c");
    hear_confirm(alice, say_parked_retry());
    ck_assert_str_eq(taken(bob), "a");
    done('a');
    ck_assert_str_eq(taken(bob), "b");
    done('b');
    ck_assert_str_eq(taken(bob), "d");
}
END_TEST

START_TEST(test_dropping_the_parked_one_lets_the_lane_go_on)
{
    lane("1", "a");
    lane("1", "b");
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "a");
    (void)say_fail_as(deliveries[0], FAIL_PERMANENT);
    ck_assert_str_eq(taken(bob), "");
    struct frame frame = {.header.type = FRAME_PARKED_DROP};
    frame.as.parked_drop = (struct frame_parked_drop){wire_bytes_of_text("work"), 0, UINT64_MAX};
    hear_confirm(alice, actor_say(alice, &frame));
    ck_assert_str_eq(taken(bob), "b");
}
END_TEST

START_TEST(test_or_goes_on)
{
    set(PROPERTY_QUEUE_LANE_PARKED, 2);
    lane("1", "a");
    lane("1", "b");
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "a");
    (void)say_fail_as(deliveries[0], FAIL_PERMANENT);
    ck_assert_str_eq(taken(bob), "b");
}
END_TEST

START_TEST(test_or_has_what_follows_parked_and_replayed_in_order)
{
    set(PROPERTY_QUEUE_LANE_PARKED, 1);
    for (unsigned i = 0; i < 4; i++)
        lane("1", (const char *[]){"a", "b", "c", "d"}[i]);
    lane("2", "e");
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "ae");
    (void)say_fail_as(deliveries[0], FAIL_PERMANENT);
    ck_assert_str_eq(taken(bob), "");
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 4);
    lane("1", "f"); /* and what comes later */
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 5);
    crash_and_enter();
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "e");
    hear_confirm(alice, say_parked_retry());
    for (unsigned i = 0; i < 5; i++) {
        const char *letter = (const char *[]){"a", "b", "c", "d", "f"}[i];
        ck_assert_str_eq(taken(bob), letter);
        done(letter[0]);
    }
    ck_assert_str_eq(taken(bob), "");
}
END_TEST

static uint64_t parked_number(unsigned index)
{
    uint64_t number = 0;
    for (unsigned i = 0; i <= index; i++)
        ck_assert_uint_eq(ask_rows(alice, QUERY_PARKED, "work", number, 1, &number), 1);
    return number;
}

static void retry_one(uint64_t number)
{
    struct frame frame = {.header.type = FRAME_PARKED_RETRY};
    frame.as.parked_retry = (struct frame_parked_retry){wire_bytes_of_text("work"), number, number};
    hear_confirm(alice, actor_say(alice, &frame));
}

/* What has none before it in its lane that is parked may go, and nothing else. */
START_TEST(test_a_lane_is_replayed_one_by_one)
{
    set(PROPERTY_QUEUE_LANE_PARKED, (uint64_t)_i);
    for (unsigned i = 0; i < 4; i++)
        lane("1", (const char *[]){"a", "b", "c", "d"}[i]);
    set(PROPERTY_QUEUE_LANE_PARKED, 1);
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "a");
    (void)say_fail_as(deliveries[0], FAIL_PERMANENT);
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 4);
    set(PROPERTY_QUEUE_LANE_PARKED, (uint64_t)_i);
    retry_one(parked_number(0));
    ck_assert_str_eq(taken(bob), "a");
    retry_one(parked_number(0));
    ck_assert_str_eq(taken(bob), "");
    done('a');
    ck_assert_str_eq(taken(bob), "b");
    retry_one(parked_number(1)); /* c is still parked */
    done('b');
    ck_assert_str_eq(taken(bob), "");
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), _i == 1 ? 2 : 1);
    crash_and_enter();
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "");
    hear_confirm(alice, say_parked_retry());
    ck_assert_str_eq(taken(bob), "c");
    done('c');
    ck_assert_str_eq(taken(bob), "d");
}
END_TEST

START_TEST(test_lanes_have_a_limit)
{
    scene->limits.lane_window = 2;
    core_set_limits(scene->core, &scene->limits);
    lane("1", "a");
    lane("1", "b");
    w = wire_writer_of(properties, sizeof properties);
    with_text(PROPERTY_MESSAGE_LANE, "1");
    hear_refuse(alice, say_tracked("work", "c", 0), STATUS_LIMIT);
    hear_confirm(alice, say_queue_purge(alice, "work"));
    lane("1", "c");
    hear_refuse(alice, say_queue_set(alice, "work", PROPERTY_QUEUE_LANE_PARKED, 3),
                STATUS_BAD_VALUE);
}
END_TEST

START_TEST(test_a_deadline_does_not_break_the_lane)
{
    w = wire_writer_of(properties, sizeof properties);
    with_text(PROPERTY_MESSAGE_LANE, "1");
    with(PROPERTY_MESSAGE_TIMEOUT, 500);
    do_tracked("a");
    lane("1", "b");
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "a");
    pass(510);
    hear_unwanted(deliveries[0], STATUS_EXPIRED);
    ck_assert_str_eq(taken(bob), "");
    (void)say_fail_as(deliveries[0], FAIL_RETRYABLE);
    ck_assert_str_eq(taken(bob), "b");
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 1);
}
END_TEST

/* --- one consumer at a time ---------------------------------------------------------------------
 */

static uint64_t hear_active(struct actor *actor)
{
    struct frame frame;
    do
        ck_assert(actor_next(actor, &frame));
    while (frame.header.type != FRAME_CONSUMER_ACTIVE);
    return frame.as.consumer_active.fence;
}

START_TEST(test_one_consumer_at_a_time_is_active)
{
    set(PROPERTY_QUEUE_SINGLE_ACTIVE, 1);
    (void)say_consume(bob, 1, "work", 10);
    uint64_t first = hear_active(bob);
    struct actor *carol = enter_as(scene, "");
    (void)say_consume(carol, 1, "work", 10);
    do_send(alice, "work", "a");
    do_send(alice, "work", "b");
    ck_assert_str_eq(taken(bob), "ab");
    ck_assert_str_eq(taken(carol), "");
    (void)say_cancel(bob, 1);
    do_send(alice, "work", "c");
    ck_assert_str_eq(taken(carol), ""); /* bob still holds something */
    done('a');
    actor_cut(bob);
    scene_settle(scene);
    uint64_t second = hear_active(carol);
    ck_assert_uint_gt(second, first);
    ck_assert_str_eq(taken(carol), "bc");
    crash_and_enter();
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_uint_gt(hear_active(bob), second);
}
END_TEST

START_TEST(test_a_paused_queue_hands_nothing_out)
{
    set(PROPERTY_QUEUE_PAUSED, 1);
    do_send(alice, "work", "a");
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "");
    crash_and_enter();
    ck_assert_uint_eq(ask_queue(alice, "work", "paused"), 1);
    (void)say_consume(bob, 1, "work", 10);
    ck_assert_str_eq(taken(bob), "");
    set(PROPERTY_QUEUE_PAUSED, 0);
    ck_assert_str_eq(taken(bob), "a");
}
END_TEST

/* --- the breaker and $sys -----------------------------------------------------------------------
 */

static void hear_event(struct actor *actor, const char *key, const char *part)
{
    struct frame frame;
    ck_assert(actor_next(actor, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_DELIVER);
    ck_assert(wire_bytes_equal(frame.as.deliver.key, wire_bytes_of_text(key)));
    char body[256];
    (void)snprintf(body, sizeof body, "%.*s", (int)frame.as.deliver.body.bytes,
                   (const char *)frame.as.deliver.body.at);
    ck_assert_msg(strstr(body, part) != NULL, "%s is not in %s", part, body);
}

START_TEST(test_failures_in_a_row_trip_the_queue)
{
    struct actor *carol = enter_as(scene, "");
    hear_confirm(carol, say_subscribe(carol, 1, "$sys", "queue.*"));
    set(PROPERTY_QUEUE_BREAKER, 3);
    set(PROPERTY_QUEUE_BACKOFF, 1000);
    set(PROPERTY_QUEUE_BACKOFF_MAX, 60000);
    for (unsigned i = 0; i < 5; i++)
        do_send(alice, "work", (const char *[]){"a", "b", "c", "d", "e"}[i]);
    (void)say_consume(bob, 1, "work", 1);
    for (unsigned i = 0; i < 3; i++) {
        const char *letter = (const char *[]){"a", "b", "c"}[i];
        ck_assert_str_eq(taken(bob), letter);
        hear_nothing(carol);
        (void)say_fail_as(deliveries[i], FAIL_RETRYABLE);
    }
    hear_event(carol, "queue.tripped", "\"queue\":\"work\"");
    ck_assert_uint_eq(ask_queue(alice, "work", "tripped"), 1);
    ck_assert_str_eq(taken(bob), "");
    pass(1010);
    ck_assert_str_eq(taken(bob), "a"); /* the probe */
    (void)say_fail_as(deliveries[0], FAIL_RETRYABLE);
    pass(1010);
    ck_assert_str_eq(taken(bob), ""); /* the next one waits twice as long */
    pass(1010);
    ck_assert_str_eq(taken(bob), "a");
    hear_nothing(carol);
    done('a');
    hear_event(carol, "queue.recovered", "\"queue\":\"work\"");
    ck_assert_str_eq(taken(bob), "b");
    ck_assert_uint_eq(ask_queue(alice, "work", "tripped"), 0);
}
END_TEST

START_TEST(test_without_a_breaker_nothing_stays_tripped)
{
    set(PROPERTY_QUEUE_BREAKER, 1);
    for (unsigned i = 0; i < 3; i++)
        do_send(alice, "work", (const char *[]){"a", "b", "c"}[i]);
    (void)say_consume(bob, 1, "work", 1);
    ck_assert_str_eq(taken(bob), "a");
    (void)say_fail_as(deliveries[0], FAIL_RETRYABLE);
    ck_assert_str_eq(taken(bob), "");
    ck_assert_uint_eq(ask_queue(alice, "work", "tripped"), 1);
    set(PROPERTY_QUEUE_BREAKER, 0);
    ck_assert_uint_eq(ask_queue(alice, "work", "tripped"), 0);
    ck_assert_str_eq(taken(bob), "b");
}
END_TEST

START_TEST(test_one_message_alone_does_not_trip_it)
{
    set(PROPERTY_QUEUE_BREAKER, 2);
    do_send(alice, "work", "a");
    (void)say_consume(bob, 1, "work", 1);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_str_eq(taken(bob), "a");
        (void)say_fail_as(deliveries[0], FAIL_RETRYABLE);
        pass(110);
    }
    ck_assert_uint_eq(ask_queue(alice, "work", "tripped"), 0);
}
END_TEST

START_TEST(test_sys_tells_what_is_parked_and_belongs_to_the_broker)
{
    do_queue(alice, "audit");
    do_bind(alice, "audit", "$sys", "command.#");
    do_send(alice, "work", "a");
    (void)say_consume(bob, 1, "work", 1);
    ck_assert_str_eq(taken(bob), "a");
    (void)say_fail_as(deliveries[0], FAIL_PERMANENT);
    crash_and_enter();
    (void)say_consume(bob, 1, "audit", 1);
    hear_out(alice);
    struct frame frame;
    while (actor_next(bob, &frame) && frame.header.type != FRAME_DELIVER)
        continue;
    ck_assert(wire_bytes_equal(frame.as.deliver.key, wire_bytes_of_text("command.parked")));
    hear_refuse(alice, say_publish(alice, "$sys", "command.parked", "x"), STATUS_DENIED);
    hear_refuse(alice, say_exchange_delete(alice, "$sys", 0), STATUS_BAD_NAME);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lanes");
    TCase *tcase = tcase_create("lanes");
    tcase_add_checked_fixture(tcase, tracking_set_up, tracking_tear_down);
    tcase_add_test(tcase, test_one_of_a_lane_is_out_at_a_time);
    tcase_add_test(tcase, test_a_retrying_head_blocks_its_lane_only);
    tcase_add_test(tcase, test_one_that_is_not_due_does_not_hold_its_lane);
    tcase_add_test(tcase, test_what_is_given_back_keeps_its_place_in_the_lane);
    tcase_add_loop_test(tcase, test_many_are_settled_at_once, 0, 3);
    tcase_add_test(tcase, test_a_checkpoint_leaves_the_lane_held);
    tcase_add_test(tcase, test_a_purge_takes_lanes_along);
    tcase_add_test(tcase, test_an_event_in_a_lane_goes_to_live_subscribers_too);
    tcase_add_test(tcase, test_a_lane_without_a_name_is_none);
    tcase_add_test(tcase, test_a_lane_waits_for_its_repair);
    tcase_add_test(tcase, test_dropping_the_parked_one_lets_the_lane_go_on);
    tcase_add_test(tcase, test_or_goes_on);
    tcase_add_test(tcase, test_or_has_what_follows_parked_and_replayed_in_order);
    tcase_add_loop_test(tcase, test_a_lane_is_replayed_one_by_one, 0, 2);
    tcase_add_test(tcase, test_lanes_have_a_limit);
    tcase_add_test(tcase, test_a_deadline_does_not_break_the_lane);
    tcase_add_test(tcase, test_one_consumer_at_a_time_is_active);
    tcase_add_test(tcase, test_a_paused_queue_hands_nothing_out);
    tcase_add_test(tcase, test_failures_in_a_row_trip_the_queue);
    tcase_add_test(tcase, test_without_a_breaker_nothing_stays_tripped);
    tcase_add_test(tcase, test_one_message_alone_does_not_trip_it);
    tcase_add_test(tcase, test_sys_tells_what_is_parked_and_belongs_to_the_broker);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
