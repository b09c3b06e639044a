/* Attempts that fail, waits between them, what is parked and comes back, times and priorities. */
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

enum {
    BACKOFF_MS = 1000,
    BACKOFF_MAX_MS = 3000,
    ATTEMPTS = 3,
};

static struct scene *scene;
static struct actor *alice;
static struct actor *bob;

static void create(const char *queue, uint64_t attempts, uint64_t backoff_ms)
{
    unsigned char settings[64];
    struct wire_writer w = wire_writer_of(settings, sizeof settings);
    property_put_number(&w, PROPERTY_QUEUE_ATTEMPTS, attempts);
    property_put_number(&w, PROPERTY_QUEUE_BACKOFF, backoff_ms);
    property_put_number(&w, PROPERTY_QUEUE_BACKOFF_MAX, BACKOFF_MAX_MS);
    struct frame frame = {.header.type = FRAME_QUEUE_CREATE};
    frame.as.queue_create = (struct frame_queue_create){
        wire_bytes_of_text(queue), wire_bytes_of(settings, (uint32_t)wire_written(&w))};
    hear_confirm(alice, actor_say(alice, &frame));
}

static uint64_t say_send_for(const char *queue, const char *body, uint8_t kind, uint64_t value)
{
    unsigned char properties[16];
    struct wire_writer w = wire_writer_of(properties, sizeof properties);
    property_put_number(&w, kind, value);
    struct frame frame = {.header.type = FRAME_SEND};
    frame.as.send =
        (struct frame_send){.queue = wire_bytes_of_text(queue),
                            .properties = wire_bytes_of(properties, (uint32_t)wire_written(&w)),
                            .body_bytes = (uint32_t)strlen(body),
                            .body = wire_bytes_of_text(body)};
    return actor_say(alice, &frame);
}

static void send_with(const char *body, uint8_t kind, uint64_t value)
{
    hear_confirm(alice, say_send_for("work", body, kind, value));
}

static uint64_t say_fail_as(uint64_t delivery, unsigned class, uint64_t retry_after_ms)
{
    struct frame frame = {.header.type = FRAME_FAIL};
    frame.as.fail = (struct frame_fail){.start = bob->start,
                                        .delivery = delivery,
                                        .class = (uint8_t) class,
                                        .retry_after_ms = retry_after_ms,
                                        .code = wire_bytes_of_text("BROKEN"),
                                        .text = wire_bytes_of_text("because")};
    return actor_say(bob, &frame);
}

static void fail_as(uint64_t delivery, unsigned class, uint64_t retry_after_ms)
{
    hear_confirm(bob, say_fail_as(delivery, class, retry_after_ms));
}

static uint64_t say_parked(enum frame_type type, uint64_t first, uint64_t last)
{
    struct frame frame = {.header.type = type};
    /* Both frames have the same fields. */
    frame.as.parked_retry = (struct frame_parked_retry){wire_bytes_of_text("work"), first, last};
    return actor_say(alice, &frame);
}

static void set_up(void)
{
    scene = scene_new(13);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    create("work", ATTEMPTS, BACKOFF_MS);
}

static void tear_down(void)
{
    scene_free(scene);
}

static uint64_t count(const char *field)
{
    return ask_queue(alice, "work", field);
}

static void crash(void)
{
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
    ck_assert(actor_enter(bob));
}

START_TEST(test_a_failed_attempt_waits_and_comes_back_at_its_place)
{
    for (unsigned i = 0; i < 3; i++)
        do_send(alice, "work", (const char *[]){"0", "1", "2"}[i]);
    do_consume(bob, 1, "work", 1);
    struct heard heard = hear_delivery(bob, "0");
    uint64_t tag = say_fail_as(heard.delivery, FAIL_RETRYABLE, 500);
    uint64_t next = hear_delivery(bob, "1").delivery;
    hear_confirm(bob, tag);
    ck_assert_uint_eq(count("waiting"), 1);
    ck_assert_uint_eq(count("messages"), 3);
    ck_assert_uint_eq(count("ready"), 1);
    scene_advance_ms(scene, 490);
    scene_settle(scene);
    ck_assert_uint_eq(count("waiting"), 1);
    scene_advance_ms(scene, 20);
    scene_settle(scene);
    ck_assert_uint_eq(count("waiting"), 0);
    tag = say_done(bob, next, next);
    heard = hear_delivery(bob, "0"); /* before 2, where it stood */
    hear_confirm(bob, tag);
    ck_assert_uint_eq(heard.attempt, 2);
    tag = say_done(bob, heard.delivery, heard.delivery);
    next = hear_delivery(bob, "2").delivery;
    hear_confirm(bob, tag);
    do_done(bob, next);
    ck_assert_uint_eq(count("messages"), 0);
    ck_assert_uint_eq(count("bytes"), 0);
}
END_TEST

/* Full jitter, below a bound that doubles up to the longest. */
START_TEST(test_the_wait_is_bounded)
{
    create("other", 0, BACKOFF_MS);
    do_send(alice, "other", "0");
    do_consume(bob, 1, "other", 1);
    for (unsigned failed = 1; failed <= 6; failed++) {
        struct heard heard = hear_delivery(bob, "0");
        ck_assert_uint_eq(heard.attempt, failed);
        fail_as(heard.delivery, FAIL_RETRYABLE, 0);
        uint64_t bound = (uint64_t)BACKOFF_MS << (failed - 1);
        scene_advance_ms(scene, (bound < BACKOFF_MAX_MS ? bound : BACKOFF_MAX_MS) + 10);
        scene_settle(scene);
    }
    hear_delivery(bob, "0");
}
END_TEST

START_TEST(test_the_last_attempt_parks)
{
    do_send(alice, "work", "0");
    do_consume(bob, 1, "work", 1);
    for (unsigned i = 1; i <= ATTEMPTS; i++) {
        struct heard heard = hear_delivery(bob, "0");
        ck_assert_uint_eq(heard.attempt, i);
        fail_as(heard.delivery, FAIL_RETRYABLE, 1);
        scene_advance_ms(scene, 20);
        scene_settle(scene);
    }
    hear_nothing(bob);
    ck_assert_uint_eq(count("parked"), 1);
    ck_assert_uint_eq(count("messages"), 0);
    crash();
    ck_assert_uint_eq(count("parked"), 1);
}
END_TEST

START_TEST(test_a_permanent_failure_parks_at_once)
{
    do_send(alice, "work", "0");
    do_consume(bob, 1, "work", 1);
    fail_as(hear_delivery(bob, "0").delivery, FAIL_PERMANENT, 0);
    ck_assert_uint_eq(count("parked"), 1);
}
END_TEST

START_TEST(test_a_busy_worker_does_not_count)
{
    do_send(alice, "work", "0");
    do_consume(bob, 1, "work", 1);
    for (unsigned i = 0; i < 3 * ATTEMPTS; i++) {
        struct heard heard = hear_delivery(bob, "0");
        ck_assert_uint_eq(heard.attempt, 1);
        ck_assert_uint_eq(heard.is_redelivered, i > 0);
        fail_as(heard.delivery, FAIL_BUSY, 100);
        hear_nothing(bob);
        scene_advance_ms(scene, 110);
        scene_settle(scene);
    }
    hear_delivery(bob, "0");
}
END_TEST

/* What kills every worker that it meets does not go round for ever. */
START_TEST(test_lost_workers_count_until_it_is_parked)
{
    do_send(alice, "work", "0");
    for (unsigned i = 1; i <= ATTEMPTS; i++) {
        do_consume(bob, 1, "work", 1);
        ck_assert_uint_eq(hear_delivery(bob, "0").attempt, i);
        actor_cut(bob);
        ck_assert(actor_enter(bob)); /* and at once */
    }
    ck_assert_uint_eq(count("parked"), 1);
    ck_assert_uint_eq(count("messages"), 0);
}
END_TEST

START_TEST(test_a_wait_survives_a_crash)
{
    do_send(alice, "work", "0");
    do_consume(bob, 1, "work", 1);
    fail_as(hear_delivery(bob, "0").delivery, FAIL_RETRYABLE, 5000);
    crash();
    do_consume(bob, 1, "work", 1);
    hear_nothing(bob);
    ck_assert_uint_eq(count("waiting"), 1);
    scene_advance_ms(scene, 5010);
    scene_settle(scene);
    struct heard heard = hear_delivery(bob, "0");
    ck_assert_uint_eq(heard.attempt, 2);
    do_done(bob, heard.delivery);
    crash();
    ck_assert_uint_eq(count("messages"), 0);
}
END_TEST

/* A settlement of a range takes what stands in the index, now and when it is read again. */
START_TEST(test_a_range_leaves_out_what_stands_aside)
{
    for (unsigned i = 0; i < 3; i++)
        do_send(alice, "work", (const char *[]){"0", "1", "2"}[i]);
    do_consume(bob, 1, "work", 10);
    uint64_t first = hear_delivery(bob, "0").delivery;
    uint64_t middle = hear_delivery(bob, "1").delivery;
    uint64_t last = hear_delivery(bob, "2").delivery;
    fail_as(middle, FAIL_RETRYABLE, 5000);
    hear_confirm(bob, say_done(bob, first, last));
    ck_assert_uint_eq(count("messages"), 1);
    crash();
    ck_assert_uint_eq(count("messages"), 1);
    ck_assert_uint_eq(count("waiting"), 1);
}
END_TEST

START_TEST(test_parked_commands_come_back_or_go)
{
    for (unsigned i = 0; i < 4; i++)
        do_send(alice, "work", (const char *[]){"0", "1", "2", "3"}[i]);
    do_consume(bob, 1, "work", 4);
    struct heard heard[4];
    for (unsigned i = 0; i < 4; i++)
        heard[i] = hear_delivery(bob, (const char *[]){"0", "1", "2", "3"}[i]);
    for (unsigned i = 0; i < 3; i++)
        fail_as(heard[i].delivery, FAIL_PERMANENT, 0);
    ck_assert_uint_eq(count("parked"), 3);
    hear_refuse(alice, say_parked(FRAME_PARKED_RETRY, heard[3].number, UINT64_MAX),
                STATUS_NOT_PARKED);
    hear_refuse(alice, say_parked(FRAME_PARKED_DROP, 0, heard[0].number - 1), STATUS_NOT_PARKED);
    hear_confirm(alice, say_parked(FRAME_PARKED_DROP, heard[1].number, heard[1].number));
    hear_confirm(alice, say_parked(FRAME_PARKED_RETRY, heard[0].number, heard[0].number));
    struct heard again = hear_delivery(bob, "0");
    ck_assert_uint_eq(again.number, heard[0].number);
    ck_assert_uint_eq(again.attempt, 1);
    ck_assert(again.is_redelivered);
    crash();
    ck_assert_uint_eq(count("parked"), 1);
    ck_assert_uint_eq(count("messages"), 2);
    hear_confirm(alice, say_parked(FRAME_PARKED_RETRY, 0, UINT64_MAX));
    do_consume(bob, 1, "work", 4);
    uint64_t first = hear_delivery(bob, "0").delivery;
    hear_delivery(bob, "2");
    hear_confirm(bob, say_done(bob, first, hear_delivery(bob, "3").delivery));
    crash();
    ck_assert_uint_eq(count("parked") + count("messages") + count("bytes"), 0);
}
END_TEST

START_TEST(test_priorities_go_first_and_last)
{
    send_with("low", PROPERTY_MESSAGE_PRIORITY, 0);
    do_send(alice, "work", "plain");
    send_with("middle", PROPERTY_MESSAGE_PRIORITY, 4);
    do_send(alice, "work", "later");
    send_with("high", PROPERTY_MESSAGE_PRIORITY, 9);
    send_with("high too", PROPERTY_MESSAGE_PRIORITY, 9);
    for (unsigned i = 0; i < 2; i++) {
        do_consume(bob, 1, "work", 10);
        hear_delivery(bob, "high");
        hear_delivery(bob, "high too");
        hear_delivery(bob, "plain");
        hear_delivery(bob, "middle");
        hear_delivery(bob, "later");
        hear_delivery(bob, "low");
        crash();
    }
    hear_refuse(alice, say_send_for("work", "x", PROPERTY_MESSAGE_PRIORITY, 10), STATUS_BAD_VALUE);
}
END_TEST

START_TEST(test_delays_and_times_are_exact)
{
    do_consume(bob, 1, "work", 10);
    send_with("delayed", PROPERTY_MESSAGE_DELAY, 1000);
    send_with("due", PROPERTY_MESSAGE_DUE, scene->now_ms + 2000);
    send_with("past", PROPERTY_MESSAGE_DUE, 1);
    send_with("never", PROPERTY_MESSAGE_DELAY, UINT64_MAX);
    send_with("never", PROPERTY_MESSAGE_DUE, UINT64_MAX);
    do_done(bob, hear_delivery(bob, "past").delivery);
    scene_advance_ms(scene, 950);
    scene_settle(scene);
    hear_nothing(bob);
    scene_advance_ms(scene, 100);
    scene_settle(scene);
    do_done(bob, hear_delivery(bob, "delayed").delivery);
    crash();
    do_consume(bob, 1, "work", 10);
    hear_nothing(bob);
    scene_advance_ms(scene, 1000);
    scene_settle(scene);
    do_done(bob, hear_delivery(bob, "due").delivery);
    ck_assert_uint_eq(count("waiting"), 2);
}
END_TEST

/* Nothing is recorded of a queue that a start does not know. */
START_TEST(test_durable_events_of_a_transient_queue)
{
    hear_confirm(alice, say_queue_with(alice, "fast", FLAG_QUEUE_TRANSIENT, 0, 0));
    do_exchange(alice, "news");
    do_bind(alice, "fast", "news", "#");
    do_bind(alice, "work", "news", "#");
    do_publish(alice, "news", "a", "0");
    do_publish(alice, "news", "a", "1");
    do_consume(bob, 1, "fast", 2);
    uint64_t first = hear_delivery(bob, "0").delivery;
    uint64_t second = hear_delivery(bob, "1").delivery;
    fail_as(first, FAIL_RETRYABLE, 10);
    fail_as(second, FAIL_PERMANENT, 0);
    scene_advance_ms(scene, 20);
    scene_settle(scene);
    ck_assert_uint_eq(hear_delivery(bob, "0").attempt, 2);
    actor_cut(bob);
    ck_assert(actor_enter(bob));
    ck_assert_uint_eq(ask_queue(alice, "fast", "messages"), 1);
    crash();
    ck_assert_uint_eq(count("messages"), 2);
}
END_TEST

START_TEST(test_purge_and_deletion_take_what_waits)
{
    send_with("delayed", PROPERTY_MESSAGE_DELAY, 1000);
    send_with("high", PROPERTY_MESSAGE_PRIORITY, 9);
    struct frame purge = {.header.type = FRAME_QUEUE_PURGE};
    purge.as.queue_purge.queue = wire_bytes_of_text("work");
    hear_confirm(alice, actor_say(alice, &purge));
    ck_assert_uint_eq(count("messages") + count("bytes") + count("waiting"), 0);
    send_with("delayed", PROPERTY_MESSAGE_DELAY, 1000);
    struct frame delete = {.header.type = FRAME_QUEUE_DELETE};
    delete.as.queue_delete.queue = wire_bytes_of_text("work");
    hear_confirm(alice, actor_say(alice, &delete));
    scene_advance_ms(scene, 2000);
    scene_settle(scene);
    crash();
}
END_TEST

START_TEST(test_messages_with_a_time_are_limited)
{
    scene_free(scene);
    struct core_limits limits = scene_limits();
    limits.timers_max = 2;
    scene = scene_new_with(13, &limits);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    create("work", ATTEMPTS, BACKOFF_MS);
    send_with("0", PROPERTY_MESSAGE_DELAY, 1000);
    send_with("1", PROPERTY_MESSAGE_PRIORITY, 9);
    hear_refuse(alice, say_send_for("work", "x", PROPERTY_MESSAGE_DELAY, 1000), STATUS_LIMIT);
    do_send(alice, "work", "plain");
    do_consume(bob, 1, "work", 2);
    uint64_t delivery = hear_delivery(bob, "1").delivery;
    hear_delivery(bob, "plain");
    do_done(bob, delivery);
    send_with("2", PROPERTY_MESSAGE_PRIORITY, 9);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("13-retries");
    TCase *tcase = tcase_create("retries");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_a_failed_attempt_waits_and_comes_back_at_its_place);
    tcase_add_test(tcase, test_the_wait_is_bounded);
    tcase_add_test(tcase, test_the_last_attempt_parks);
    tcase_add_test(tcase, test_a_permanent_failure_parks_at_once);
    tcase_add_test(tcase, test_a_busy_worker_does_not_count);
    tcase_add_test(tcase, test_lost_workers_count_until_it_is_parked);
    tcase_add_test(tcase, test_a_wait_survives_a_crash);
    tcase_add_test(tcase, test_a_range_leaves_out_what_stands_aside);
    tcase_add_test(tcase, test_parked_commands_come_back_or_go);
    tcase_add_test(tcase, test_priorities_go_first_and_last);
    tcase_add_test(tcase, test_delays_and_times_are_exact);
    tcase_add_test(tcase, test_durable_events_of_a_transient_queue);
    tcase_add_test(tcase, test_purge_and_deletion_take_what_waits);
    tcase_add_test(tcase, test_messages_with_a_time_are_limited);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
