/* What lives does not pin what is dead: D1, D3, D11, D13, Q2, Q3. Every test lets the journal go
 * round several times, then looks at what is still there, before and after a crash. */
#include <stdio.h>
#include <string.h>

#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

enum {
    ROUNDS = 40,        /* of 8 bodies: more than a segment each */
    SEGMENTS_BOUND = 8, /* of so few live bytes: floor, spares, one on its way */
    STRAGGLERS = 30,
};

static struct scene *scene;
static struct actor *alice;

static void set_up(void)
{
    scene = scene_new(11);
    alice = enter_as(scene, "");
    do_queue(alice, "waste");
}

static void tear_down(void)
{
    scene_free(scene);
}

/* A round's worth of messages that are settled as soon as they come. */
static void waste(struct actor *actor)
{
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX];
    do_consume(actor, 9, "waste", 100);
    for (int i = 0; i < 9; i++) {
        say_send_bytes(actor, "waste", body, sizeof body);
        struct frame frame;
        while (actor_next(actor, &frame))
            if (frame.header.type == FRAME_DELIVER)
                say_done(actor, frame.as.deliver.delivery, frame.as.deliver.delivery);
        scene_advance_ms(scene, 20);
    }
    hear_out(actor);
    hear_confirm(actor, say_cancel(actor, 9));
}

static void go_round(void)
{
    struct actor *waster = enter_as(scene, "");
    for (int i = 0; i < ROUNDS; i++)
        waste(waster);
    actor_cut(waster);
    scene_advance_ms(scene, 1000);
    ck_assert_uint_le(journal_figures(scene->journal).segment_count, SEGMENTS_BOUND);
    ck_assert_uint_gt(journal_recovery(scene->journal).first_position +
                          journal_end_position(scene->journal),
                      (uint64_t)ROUNDS * SCENE_SEGMENT_BYTES);
}

static void crash(void)
{
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
}

static void send_stragglers(const char *queue, int from)
{
    for (int i = 0; i < STRAGGLERS; i++) {
        char body[32];
        snprintf(body, sizeof body, "straggler %d", from + i);
        do_send(alice, queue, body);
    }
}

static void take_stragglers(const char *queue, int from, int count)
{
    do_consume(alice, 1, queue, 1000);
    struct heard heard = {0};
    for (int i = 0; i < count; i++) {
        char body[32];
        snprintf(body, sizeof body, "straggler %d", from + i);
        heard = hear_delivery(alice, body);
    }
    hear_nothing(alice);
    hear_confirm(alice, say_done(alice, heard.delivery - (uint64_t)count + 1, heard.delivery));
    hear_confirm(alice, say_cancel(alice, 1));
}

START_TEST(test_stragglers_do_not_pin_segments)
{
    do_queue(alice, "slow");
    send_stragglers("slow", 0);
    go_round();
    ck_assert_uint_ge(ask_stat(alice, "messages_restated"), STRAGGLERS);
    ck_assert_uint_eq(ask_queue(alice, "slow", "messages"), STRAGGLERS);
    take_stragglers("slow", 0, STRAGGLERS);
    go_round();
    crash();
    ck_assert_uint_eq(ask_queue(alice, "slow", "messages"), 0);
}
END_TEST

/* Later numbers stand earlier in the journal then. */
START_TEST(test_order_outlives_restating_and_crashes)
{
    do_queue(alice, "slow");
    for (int i = 0; i < 3; i++) {
        send_stragglers("slow", i * STRAGGLERS);
        go_round();
        crash();
    }
    scene_restart(scene);
    ck_assert(actor_enter(alice));
    take_stragglers("slow", 0, 3 * STRAGGLERS);
}
END_TEST

START_TEST(test_definitions_go_round)
{
    do_queue(alice, "orders");
    do_exchange(alice, "news");
    do_bind(alice, "orders", "news", "order.*");
    do_send(alice, "orders", "before");
    go_round();
    hear_confirm(alice, say_queue_set(alice, "orders", PROPERTY_QUEUE_COUNT_MAX, 77));
    go_round();
    crash();
    ck_assert_uint_eq(ask_queue(alice, "orders", "max_count"), 77);
    ck_assert_uint_eq(ask_rows(alice, QUERY_BINDINGS, "news", 0, 0, NULL), 1);
    do_publish(alice, "news", "order.new", "behind");
    do_consume(alice, 1, "orders", 2);
    hear_delivery(alice, "before");
    hear_delivery(alice, "behind");
}
END_TEST

START_TEST(test_what_is_gone_stays_gone)
{
    do_queue(alice, "orders");
    do_queue(alice, "other");
    do_exchange(alice, "news");
    do_bind(alice, "orders", "news", "#");
    do_bind(alice, "other", "news", "#");
    do_publish(alice, "news", "a", "one");
    do_publish(alice, "news", "a", "two");
    do_consume(alice, 1, "orders", 1);
    uint64_t one = hear_delivery(alice, "one").delivery;
    uint64_t tag = say_done(alice, one, one);
    hear_delivery(alice, "two");
    hear_confirm(alice, tag);
    hear_confirm(alice, say_cancel(alice, 1));
    go_round();
    hear_confirm(alice, say_queue_delete(alice, "other", 0));
    go_round();
    crash();
    ck_assert_uint_eq(ask_rows(alice, QUERY_QUEUES, "", 0, 0, NULL), 2);
    ck_assert_uint_eq(ask_queue(alice, "orders", "messages"), 1);
    do_consume(alice, 1, "orders", 2);
    ck_assert(hear_delivery(alice, "two").is_redelivered);
    hear_nothing(alice);
}
END_TEST

START_TEST(test_attempts_marks_and_parked_go_round)
{
    do_queue(alice, "work");
    do_send(alice, "work", "hard");
    do_send(alice, "work", "never");
    do_consume(alice, 1, "work", 1);
    struct heard heard = hear_delivery(alice, "hard");
    hear_confirm(alice, say_cancel(alice, 1));
    say_fail(alice, heard.delivery, "later");
    hear_out(alice);
    uint64_t parked = ask_queue(alice, "work", "parked");
    uint64_t waiting = ask_queue(alice, "work", "messages");
    go_round();
    crash();
    go_round();
    scene_restart(scene);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), parked);
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), waiting);
    ck_assert_uint_eq(parked + waiting, 2);
}
END_TEST

/* A range of settlements must not reach over what is parked: the message is stated again behind it
 * before its parking is, and a replay that meets them in that order would settle it, too. */
static void park_between(bool is_purged, int rounds_behind)
{
    struct actor *waster = enter_as(scene, "");
    do_queue(alice, "work");
    do_send(alice, "work", "before");
    do_send(alice, "work", "never");
    do_send(alice, "work", "behind");
    do_consume(alice, 1, "work", 3);
    uint64_t before = hear_delivery(alice, "before").delivery;
    uint64_t never = hear_delivery(alice, "never").delivery;
    uint64_t behind = hear_delivery(alice, "behind").delivery;
    waste(waster);
    hear_confirm(alice, say_fail(alice, never, "never"));
    uint64_t restated = ask_stat(alice, "messages_restated");
    for (int i = 0; i < ROUNDS && ask_stat(alice, "messages_restated") < restated + 3; i++)
        waste(waster);
    if (is_purged) {
        hear_confirm(alice, say_cancel(alice, 1));
        hear_confirm(alice, say_release(alice, before, behind));
        say_queue_purge(alice, "work");
        hear_out(alice);
    } else {
        hear_confirm(alice, say_done(alice, before, behind));
    }
    for (int i = 0; i < rounds_behind; i++)
        waste(waster);
    actor_cut(waster);
    crash();
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 1);
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 0);
}

START_TEST(test_settling_does_not_reach_over_what_is_parked)
{
    park_between(false, _i);
}
END_TEST

START_TEST(test_purging_does_not_reach_over_what_is_parked)
{
    park_between(true, _i);
}
END_TEST

/* Parking moves nothing: the message lives where it was, as much as before. */
START_TEST(test_parked_commands_count_as_before)
{
    do_queue(alice, "work");
    send_stragglers("work", 0);
    scene_advance_ms(scene, 100);
    uint64_t live_bytes = journal_space(scene->journal).live_bytes;
    do_consume(alice, 1, "work", STRAGGLERS);
    for (int i = 0; i < STRAGGLERS; i++) {
        char body[32];
        snprintf(body, sizeof body, "straggler %d", i);
        say_fail(alice, hear_delivery(alice, body).delivery, "never");
    }
    hear_out(alice);
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), STRAGGLERS);
    ck_assert_uint_ge(journal_space(scene->journal).live_bytes, live_bytes);
}
END_TEST

START_TEST(test_clients_and_their_refusals_go_round)
{
    struct actor *bob = enter_as(scene, "bob");
    do_queue(bob, "orders");
    uint64_t refused = say_send(bob, "nowhere", "x");
    hear_refuse(bob, refused, STATUS_NO_QUEUE);
    do_send(bob, "orders", "y");
    actor_cut(bob);
    go_round();
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
    ck_assert(actor_resume(bob, refused - 1));
    hear_refuse(bob, refused, STATUS_NO_QUEUE);
    hear_confirm(bob, refused + 1);
    ck_assert_uint_eq(ask_queue(alice, "orders", "messages"), 1);
}
END_TEST

/* A place without a record of its own rests on the bytes of the others'. */
START_TEST(test_volatile_queues_do_not_pin_segments)
{
    do_queue(alice, "kept");
    hear_confirm(alice, say_queue_with(alice, "fast", FLAG_QUEUE_TRANSIENT, 0, 0));
    do_exchange(alice, "news");
    do_bind(alice, "kept", "news", "#");
    do_bind(alice, "fast", "news", "#");
    do_publish(alice, "news", "a", "one");
    do_publish(alice, "news", "a", "two");
    do_consume(alice, 1, "kept", 2);
    uint64_t first = hear_delivery(alice, "one").delivery;
    hear_confirm(alice, say_done(alice, first, hear_delivery(alice, "two").delivery));
    hear_confirm(alice, say_cancel(alice, 1));
    go_round();
    ck_assert_uint_eq(ask_queue(alice, "fast", "messages"), 2);
    do_consume(alice, 2, "fast", 2);
    first = hear_delivery(alice, "one").delivery;
    hear_confirm(alice, say_done(alice, first, hear_delivery(alice, "two").delivery));
}
END_TEST

/* Small batches waste most of their blocks: copying packs them. */
START_TEST(test_padding_is_no_excuse)
{
    do_queue(alice, "slow");
    static unsigned char body[200];
    for (int i = 0; i < 4000; i++)
        hear_confirm(alice, say_send_bytes(alice, "slow", body, sizeof body));
    scene_advance_ms(scene, 5000);
    uint64_t live_bytes = 4000 * (sizeof body + 35);
    ck_assert_uint_le(journal_figures(scene->journal).segment_count * SCENE_SEGMENT_BYTES,
                      2 * live_bytes + 4 * SCENE_SEGMENT_BYTES);
    crash();
    ck_assert_uint_eq(ask_queue(alice, "slow", "messages"), 4000);
}
END_TEST

/* The same with most of the index away: copying waits for pages, and still packs. */
START_TEST(test_padding_is_packed_with_pages_away)
{
    scene_free(scene);
    struct core_limits limits = scene_limits();
    limits.index_bytes_max = 512 << 10;
    scene = scene_new_with(11, &limits);
    alice = enter_as(scene, "");
    do_queue(alice, "slow");
    do_queue(alice, "other");
    static unsigned char body[100];
    for (int i = 0; i < 60000; i++)
        hear_confirm(alice,
                     say_send_bytes(alice, i % 3 == 0 ? "other" : "slow", body, sizeof body));
    scene_advance_ms(scene, 5000);
    uint64_t live_bytes = 60000 * (sizeof body + 35);
    ck_assert_uint_le(journal_figures(scene->journal).segment_count * SCENE_SEGMENT_BYTES,
                      2 * live_bytes + 4 * SCENE_SEGMENT_BYTES);
    ck_assert_uint_lt(ask_stat(alice, "bytes_restated"), 10 * live_bytes);
    crash();
    ck_assert_uint_eq(ask_queue(alice, "slow", "messages"), 40000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("restate");
    TCase *tcase = tcase_create("restate");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_stragglers_do_not_pin_segments);
    tcase_add_test(tcase, test_order_outlives_restating_and_crashes);
    tcase_add_test(tcase, test_definitions_go_round);
    tcase_add_test(tcase, test_what_is_gone_stays_gone);
    tcase_add_test(tcase, test_attempts_marks_and_parked_go_round);
    tcase_add_loop_test(tcase, test_settling_does_not_reach_over_what_is_parked, 0, 6);
    tcase_add_loop_test(tcase, test_purging_does_not_reach_over_what_is_parked, 0, 6);
    tcase_add_test(tcase, test_parked_commands_count_as_before);
    tcase_add_test(tcase, test_clients_and_their_refusals_go_round);
    tcase_add_test(tcase, test_volatile_queues_do_not_pin_segments);
    tcase_add_test(tcase, test_padding_is_no_excuse);
    tcase_add_test(tcase, test_padding_is_packed_with_pages_away);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
