/* Bindings with filters and between exchanges: they hold, outlive what they must, and change while
 * events come. D1, D3, Q9; RELIABILITY (d) 22 to 26. */
#include <stdio.h>
#include <string.h>

#include "broker/core/filter.h"
#include "protocol/property.h"
#include "protocol/topic.h"
#include "tests/support/check_main.h"
#include "tests/support/lines_route.h"

static struct scene *scene;
static struct actor *alice;
static struct actor *bob;

static void set_up(void)
{
    scene = scene_new(29);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    do_exchange(alice, "news");
    do_exchange(alice, "europe");
    do_queue(alice, "q");
}

static void tear_down(void)
{
    scene_free(scene);
}

static void publish(const char *key, const char *headers)
{
    hear_confirm(alice, say_publish_headers(alice, "news", key, headers));
}

static uint64_t count_in(const char *queue)
{
    return ask_queue(alice, queue, "messages");
}

/* --- filters ------------------------------------------------------------------------------------
 */

START_TEST(test_only_events_with_all_the_headers)
{
    do_tie(alice, (struct tie){"q", "news", "a.#", "tenant=acme kind=big", 0});
    hear_confirm(bob, say_subscribe_where(bob, 1, "news", "#", "tenant=acme"));
    publish("a.b", "kind=big tenant=acme other=x");
    publish("a.b", "tenant=acme");
    publish("a.b", "tenant=acme kind=bigger");
    publish("a.b", "");
    publish("b", "tenant=acme kind=big");
    ck_assert_uint_eq(count_in("q"), 1);
    hear_delivery(bob, "kind=big tenant=acme other=x");
    hear_delivery(bob, "tenant=acme");
    hear_delivery(bob, "tenant=acme kind=bigger");
    hear_delivery(bob, "tenant=acme kind=big");
    hear_nothing(bob);
}
END_TEST

START_TEST(test_one_binding_has_one_filter)
{
    struct tie tie = {"q", "news", "#", "tenant=acme kind=big", 0};
    do_tie(alice, tie);
    tie.filter = "kind=big tenant=acme";
    do_tie(alice, tie);
    ck_assert_uint_eq(ask_stat(alice, "bindings"), 1);
    static const char *const others[] = {"", "tenant=acme", "tenant=acme kind=bi", "kind=big a=b",
                                         "tenant=acme kind=big x=y"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        tie.filter = others[i];
        hear_refuse(alice, say_tie(alice, tie), STATUS_MISMATCH);
    }
    /* Another pattern is another binding: one of both suffices. */
    do_tie(alice, (struct tie){"q", "news", "*", "tenant=ajax", 0});
    publish("a", "tenant=ajax");
    publish("a", "tenant=acme");
    ck_assert_uint_eq(count_in("q"), 1);
    hear_confirm(alice, say_untie(alice, tie));
    hear_refuse(alice, say_untie(alice, tie), STATUS_NO_BINDING);
    do_tie(alice, tie);
    publish("a", "kind=big tenant=acme x=y");
    ck_assert_uint_eq(count_in("q"), 2);
}
END_TEST

static void refuse_filter(const void *at, uint32_t bytes)
{
    struct frame frame = {.header.type = FRAME_BIND};
    frame.as.bind = (struct frame_bind){wire_bytes_of_text("q"), wire_bytes_of_text("news"),
                                        wire_bytes_of_text("#"), wire_bytes_of(at, bytes)};
    hear_refuse(alice, actor_say(alice, &frame), STATUS_BAD_HEADER);
    frame = (struct frame){.header.type = FRAME_SUBSCRIBE};
    frame.as.subscribe = (struct frame_subscribe){
        1, wire_bytes_of_text("news"), wire_bytes_of_text("#"), wire_bytes_of(at, bytes)};
    hear_refuse(alice, actor_say(alice, &frame), STATUS_BAD_HEADER);
}

START_TEST(test_filters_that_are_none)
{
    refuse_filter("\1", 1);
    refuse_filter("\1a\5\0abc", 7);
    refuse_filter("\0\1\0x", 4);
    refuse_filter("\1\xff\1\0x", 5);
    refuse_filter("\1\0\1\0x", 5);
    refuse_filter("\1a\1\0x\1a\1\0y", 10);
    refuse_filter("\1a\0\0\1b\0\0\1c\0\0\1d\0\0\1e\0\0\1f\0\0\1g\0\0\1h\0\0\1i\0\0",
                  4 * (FILTER_COUNT_MAX + 1));
    static unsigned char large[FILTER_BYTES_MAX + 1] = {1, 'a', (FILTER_BYTES_MAX - 3) & 0xff,
                                                        (FILTER_BYTES_MAX - 3) >> 8};
    refuse_filter(large, sizeof large);
    ck_assert_uint_eq(ask_stat(alice, "bindings"), 0);
    hear_confirm(alice,
                 say_subscribe_where(alice, 1, "news", "#", "a=1 b=2 c=3 d=4 e=5 f=6 g=7 h=8"));
}
END_TEST

/* --- what outlives what -------------------------------------------------------------------------
 */

static void check_ties(void)
{
    hear_confirm(alice, say_queue_purge(alice, "q"));
    publish("a.b", "tenant=acme");
    publish("a.b", "tenant=ajax");
    publish("c", "tenant=acme");
    ck_assert_uint_eq(count_in("q"), 1);
    hear_refuse(alice, say_relay(alice, "news", "europe", "x"), STATUS_CYCLE);
    hear_refuse(alice, say_tie(alice, (struct tie){"europe", "news", "a.#", "", FLAG_TO_EXCHANGE}),
                STATUS_MISMATCH);
    ck_assert_uint_eq(ask_stat(alice, "bindings"), 2);
}

static void tie_both(void)
{
    do_tie(alice, (struct tie){"europe", "news", "a.#", "tenant=acme", FLAG_TO_EXCHANGE});
    do_tie(alice, (struct tie){"q", "europe", "*.b", "tenant=acme", 0});
    do_relay(alice, "europe", "news", "gone");
    hear_confirm(alice, say_unrelay(alice, "europe", "news", "gone"));
    check_ties();
}

START_TEST(test_bindings_outlive_crashes_and_stops)
{
    tie_both();
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
    check_ties();
    scene_restart(scene);
    ck_assert(actor_enter(alice));
    check_ties();
    hear_confirm(alice, say_unrelay(alice, "europe", "news", "a.#"));
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_stat(alice, "bindings"), 1);
    do_relay(alice, "news", "europe", "#");
}
END_TEST

/* The journal goes round until nothing of what was first written is left. */
START_TEST(test_bindings_go_round)
{
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX];
    tie_both();
    do_queue(bob, "waste");
    do_consume(bob, 9, "waste", 100);
    for (int i = 0; i < 400; i++) {
        say_send_bytes(bob, "waste", body, sizeof body);
        struct frame frame;
        while (actor_next(bob, &frame))
            if (frame.header.type == FRAME_DELIVER)
                say_done(bob, frame.as.deliver.delivery, frame.as.deliver.delivery);
        scene_advance_ms(scene, 20);
    }
    ck_assert_uint_gt(ask_stat(alice, "bytes_restated"), 0);
    ck_assert_uint_le(journal_figures(scene->journal).segment_count, 8);
    check_ties();
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert_uint_gt(journal_recovery(scene->journal).first_position, 10 * SCENE_SEGMENT_BYTES);
    ck_assert(actor_enter(alice));
    check_ties();
}
END_TEST

START_TEST(test_a_filter_ends_with_its_subscription)
{
    hear_confirm(bob, say_subscribe_where(bob, 1, "news", "#", "tenant=acme"));
    hear_confirm(bob, say_cancel(bob, 1));
    hear_confirm(bob, say_subscribe(bob, 1, "news", "#"));
    publish("a", "tenant=ajax");
    hear_delivery(bob, "tenant=ajax");
    actor_cut(bob);
    publish("a", "tenant=acme");
    ck_assert(actor_enter(bob));
    hear_confirm(bob, say_subscribe_where(bob, 1, "news", "#", "tenant=acme"));
    hear_confirm(alice, say_exchange_delete(alice, "news", 0));
    hear_gone(bob, 1, STATUS_NO_EXCHANGE);
}
END_TEST

/* --- while events come --------------------------------------------------------------------------
 */

enum { QUEUES = 8, PATTERNS = 6, TURNS = 1500 };

static const char *const patterns[PATTERNS] = {"#", "a.*", "a.#", "*.b", "#.b.#", "a.b"};
static const char *const keys[] = {"a", "b", "a.b", "a.c", "b.b", "a.b.c"};
static const char *const specs[] = {"", "x=1", "x=2", "x=1 y=1"};

struct tied {
    bool is_there;
    const char *filter;
};

static bool passes(const struct tied *tied, const char *pattern, const char *key,
                   const char *headers)
{
    unsigned char filter[64];
    struct wire_bytes list = headers_of(tied->filter);
    if (list.bytes > 0)
        memcpy(filter, list.at, list.bytes);
    return tied->is_there && topic_match(wire_bytes_of_text(pattern), wire_bytes_of_text(key)) &&
           filter_matches(wire_bytes_of(filter, list.bytes), headers_of(headers));
}

/* Each event goes where the bindings of that moment say, whatever is bound and unbound around it.
 */
START_TEST(test_bindings_change_while_events_come)
{
    static struct tied tied[QUEUES][PATTERNS];
    uint64_t expected[QUEUES] = {0};
    struct chance chance = {(uint64_t)_i + 1};
    char name[16];
    memset(tied, 0, sizeof tied);
    for (int q = 0; q < QUEUES; q++) {
        (void)snprintf(name, sizeof name, "q%d", q);
        do_queue(alice, name);
    }
    for (int turn = 0; turn < TURNS; turn++) {
        size_t q = chance_below(&chance, QUEUES);
        size_t p = chance_below(&chance, PATTERNS);
        (void)snprintf(name, sizeof name, "q%zu", q);
        if (chance_below(&chance, 2) == 0 && !tied[q][p].is_there) {
            tied[q][p] = (struct tied){true, specs[chance_below(&chance, 4)]};
            do_tie(bob, (struct tie){name, "news", patterns[p], tied[q][p].filter, 0});
        } else if (tied[q][p].is_there) {
            tied[q][p].is_there = false;
            hear_confirm(bob, say_unbind(bob, name, "news", patterns[p]));
        }
        const char *key = keys[chance_below(&chance, 6)];
        const char *headers = specs[chance_below(&chance, 4)];
        publish(key, headers);
        for (q = 0; q < QUEUES; q++) {
            bool is_hit = false;
            for (p = 0; p < PATTERNS; p++)
                is_hit |= passes(&tied[q][p], patterns[p], key, headers);
            expected[q] += is_hit;
        }
        if (turn == TURNS / 2) {
            scene_crash(scene, DISK_SIM_NONE);
            ck_assert(actor_enter(alice) && actor_enter(bob));
        }
    }
    for (int q = 0; q < QUEUES; q++) {
        (void)snprintf(name, sizeof name, "q%d", q);
        ck_assert_uint_eq(count_in(name), expected[q]);
    }
}
END_TEST

/* --- limits -------------------------------------------------------------------------------------
 */

START_TEST(test_there_is_a_limit_of_bindings)
{
    scene_free(scene);
    struct core_limits limits = scene_limits();
    limits.bindings_max = 2;
    scene = scene_new_with(31, &limits);
    alice = enter_as(scene, "");
    do_exchange(alice, "news");
    do_exchange(alice, "europe");
    do_queue(alice, "q");
    do_bind(alice, "q", "news", "a");
    do_relay(alice, "europe", "news", "a");
    hear_refuse(alice, say_bind(alice, "q", "news", "b"), STATUS_LIMIT);
    hear_refuse(alice, say_relay(alice, "europe", "news", "b"), STATUS_LIMIT);
    do_bind(alice, "q", "news", "a");
    hear_confirm(alice, say_unbind(alice, "q", "news", "a"));
    do_relay(alice, "europe", "news", "b");
}
END_TEST

START_TEST(test_keys_and_patterns_of_many_words)
{
    char text[2 * 33 + 1];
    for (size_t i = 0; i < 33; i++) {
        text[2 * i] = 'a';
        text[2 * i + 1] = '.';
    }
    text[2 * 33 - 1] = '\0';
    hear_refuse(alice, say_publish(alice, "news", text, "x"), STATUS_BAD_KEY);
    hear_refuse(alice, say_bind(alice, "q", "news", text), STATUS_BAD_PATTERN);
    hear_refuse(alice, say_bind(alice, "q", "news", "#.a.#.a.#.a.#.z"), STATUS_BAD_PATTERN);
    text[2 * 32 - 1] = '\0';
    do_bind(alice, "q", "news", text);
    do_publish(alice, "news", text, "x");
    do_bind(alice, "q", "news", "#.a.#.z");
    do_publish(alice, "news", text, "x");
    ck_assert_uint_eq(count_in("q"), 2);
    hear_refuse(alice, say_publish(alice, "$sys", "a", "x"), STATUS_DENIED);
    hear_refuse(alice, say_publish(alice, "../../etc/passwd", "a", "x"), STATUS_NO_EXCHANGE);
}
END_TEST

/* --- sharing ------------------------------------------------------------------------------------
 */

/* A durable subscription with several workers: each event goes to one of them, and what one leaves
 * behind the others get. */
START_TEST(test_workers_share_a_durable_subscription)
{
    struct actor *carol = enter_as(scene, "");
    do_tie(alice, (struct tie){"q", "news", "#", "tenant=acme", 0});
    do_consume(bob, 1, "q", 2);
    do_consume(carol, 1, "q", 2);
    for (int i = 0; i < 4; i++)
        publish("a", "tenant=acme");
    publish("a", "tenant=ajax");
    struct heard first = hear_delivery(bob, "tenant=acme");
    struct heard second = hear_delivery(bob, "tenant=acme");
    hear_nothing(bob);
    struct heard third = hear_delivery(carol, "tenant=acme");
    struct heard last = hear_delivery(carol, "tenant=acme");
    hear_nothing(carol);
    ck_assert_uint_ne(first.number, third.number);
    ck_assert_uint_ne(second.number, last.number);
    do_done(bob, first.delivery);
    actor_cut(bob);
    scene_settle(scene);
    uint64_t tag = say_done(carol, third.delivery, third.delivery);
    struct heard again = hear_delivery(carol, "tenant=acme");
    hear_confirm(carol, tag);
    ck_assert_uint_eq(again.number, second.number);
    ck_assert(again.is_redelivered);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("routing");
    TCase *tcase = tcase_create("routing");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_only_events_with_all_the_headers);
    tcase_add_test(tcase, test_one_binding_has_one_filter);
    tcase_add_test(tcase, test_filters_that_are_none);
    tcase_add_test(tcase, test_bindings_outlive_crashes_and_stops);
    tcase_add_test(tcase, test_bindings_go_round);
    tcase_add_test(tcase, test_a_filter_ends_with_its_subscription);
    tcase_add_loop_test(tcase, test_bindings_change_while_events_come, 0, 3);
    tcase_add_test(tcase, test_there_is_a_limit_of_bindings);
    tcase_add_test(tcase, test_keys_and_patterns_of_many_words);
    tcase_add_test(tcase, test_workers_share_a_durable_subscription);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
