/* Definitions last as messages do, however old their records are: D1, D11. */
#include <stdio.h>
#include <string.h>

#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

static struct scene *scene;
static struct actor *alice;

static void set_up(void)
{
    scene = scene_new(3);
    alice = enter_as(scene, "");
}

static void tear_down(void)
{
    scene_free(scene);
}

static void restart(void)
{
    scene_restart(scene);
    ck_assert(actor_enter(alice));
}

/* Fills more than a segment with messages that are settled at once. */
static void use_up_a_segment(void)
{
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX];
    do_queue(alice, "waste");
    do_consume(alice, 9, "waste", 100);
    for (int i = 0; i < 12; i++) {
        say_send_bytes(alice, "waste", body, sizeof body);
        struct frame frame;
        while (actor_next(alice, &frame))
            if (frame.header.type == FRAME_DELIVER)
                say_done(alice, frame.as.deliver.delivery, frame.as.deliver.delivery);
    }
    hear_out(alice);
    hear_confirm(alice, say_cancel(alice, 9));
}

START_TEST(test_definitions_outlive_a_crash)
{
    do_queue(alice, "orders");
    do_exchange(alice, "news");
    do_bind(alice, "orders", "news", "order.*");
    do_bind(alice, "orders", "news", "other");
    hear_confirm(alice, say_unbind(alice, "orders", "news", "other"));
    do_queue(alice, "gone");
    hear_confirm(alice, say_queue_delete(alice, "gone", 0));
    hear_confirm(alice, say_queue_set(alice, "orders", PROPERTY_QUEUE_COUNT_MAX, 77));
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_rows(alice, QUERY_QUEUES, "", 0, 0, NULL), 1);
    ck_assert_uint_eq(ask_rows(alice, QUERY_BINDINGS, "news", 0, 0, NULL), 1);
    ck_assert_uint_eq(ask_queue(alice, "orders", "max_count"), 77);
    do_publish(alice, "news", "order.new", "x");
    ck_assert_uint_eq(ask_queue(alice, "orders", "messages"), 1);
}
END_TEST

/* The operation that made a queue may not go before the messages that name its number. */
START_TEST(test_changed_settings_do_not_cost_older_messages)
{
    do_queue(alice, "orders");
    use_up_a_segment();
    do_send(alice, "orders", "kept");
    use_up_a_segment();
    restart();
    hear_confirm(alice, say_queue_set(alice, "orders", PROPERTY_QUEUE_COUNT_MAX, 100));
    hear_confirm(alice, say_queue_delete(alice, "waste", 0));
    use_up_a_segment();
    for (int i = 0; i < 3; i++) {
        scene_advance_ms(scene, 500);
        restart();
    }
    do_consume(alice, 1, "orders", 1);
    hear_delivery(alice, "kept");
    ck_assert_uint_eq(ask_queue(alice, "orders", "max_count"), 100);
}
END_TEST

START_TEST(test_segments_that_nobody_needs_are_used_again)
{
    do_queue(alice, "orders");
    for (int i = 0; i < 10; i++) {
        use_up_a_segment();
        hear_confirm(alice, say_queue_delete(alice, "waste", 0));
        hear_confirm(alice, say_queue_delete(alice, "orders", 0));
        do_queue(alice, "orders");
        restart();
    }
    scene_advance_ms(scene, 1000);
    ck_assert_uint_le(ask_stat(alice, "journal_segments"), 4);
}
END_TEST

START_TEST(test_transient_things_end_with_the_broker)
{
    hear_confirm(alice, say_queue_with(alice, "fast", FLAG_QUEUE_TRANSIENT, 0, 0));
    hear_confirm(alice, say_exchange(alice, "quick", FLAG_TRANSIENT));
    do_queue(alice, "orders");
    do_send(alice, "fast", "x");
    hear_confirm(alice, say_send_with(alice, "orders", "y", FLAG_TRANSIENT | FLAG_CONFIRM));
    restart();
    ck_assert_uint_eq(ask_rows(alice, QUERY_QUEUES, "", 0, 0, NULL), 1);
    ck_assert_uint_eq(ask_rows(alice, QUERY_EXCHANGES, "", 0, 0, NULL), 0);
    ck_assert_uint_eq(ask_queue(alice, "orders", "messages"), 0);
}
END_TEST

START_TEST(test_the_same_again_is_fine_and_another_is_not)
{
    do_queue(alice, "orders");
    do_queue(alice, "orders");
    hear_refuse(alice, say_queue_with(alice, "orders", 0, 5, 0), STATUS_MISMATCH);
    hear_refuse(alice, say_queue_with(alice, "orders", FLAG_QUEUE_TRANSIENT, 0, 0),
                STATUS_MISMATCH);
    do_exchange(alice, "news");
    do_exchange(alice, "news");
    hear_refuse(alice, say_exchange(alice, "news", FLAG_TRANSIENT), STATUS_MISMATCH);
    do_bind(alice, "orders", "news", "#");
    do_bind(alice, "orders", "news", "#");
    hear_refuse(alice, say_unbind(alice, "orders", "news", "a"), STATUS_NO_BINDING);
}
END_TEST

START_TEST(test_deleting_asks_what_it_is_told_to)
{
    do_queue(alice, "orders");
    do_send(alice, "orders", "x");
    hear_refuse(alice, say_queue_delete(alice, "orders", FLAG_IF_EMPTY), STATUS_NOT_EMPTY);
    do_consume(alice, 1, "orders", 1);
    hear_delivery(alice, "x");
    hear_refuse(alice, say_queue_delete(alice, "orders", FLAG_IF_UNUSED), STATUS_IN_USE);
    uint64_t tag = say_queue_delete(alice, "orders", 0);
    hear_gone(alice, 1, STATUS_NO_QUEUE);
    hear_confirm(alice, tag);
    hear_refuse(alice, say_queue_delete(alice, "orders", 0), STATUS_NO_QUEUE);
    do_exchange(alice, "news");
    do_queue(alice, "orders");
    do_bind(alice, "orders", "news", "#");
    hear_refuse(alice, say_exchange_delete(alice, "news", FLAG_IF_UNUSED), STATUS_IN_USE);
    hear_confirm(alice, say_exchange_delete(alice, "news", 0));
    hear_refuse(alice, say_publish(alice, "news", "a", "x"), STATUS_NO_EXCHANGE);
    ck_assert_uint_eq(ask_queue(alice, "orders", "bindings"), 0);
    ck_assert_uint_eq(ask_queue(alice, "orders", "messages"), 0);
}
END_TEST

/* R1, RELIABILITY (d) 22 to 25. */
START_TEST(test_names_keys_and_patterns_are_checked)
{
    static const char *const names[] = {"",    "a b", "a\n[err] fake", "$sys", "\xff\xfe",
                                        "a;b", "{}",  "\xe2\x80\xae",  "a\tb", "a*"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        hear_refuse(alice, say_queue(alice, names[i]), STATUS_BAD_NAME);
        hear_refuse(alice, say_exchange(alice, names[i], 0), STATUS_BAD_NAME);
    }
    do_queue(alice, "orders");
    do_exchange(alice, "news");
    static const char *const patterns[] = {"a.*b", "a.#b", "**", "a..b", "", "#.a.#.a.#", "a."};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        hear_refuse(alice, say_bind(alice, "orders", "news", patterns[i]), STATUS_BAD_PATTERN);
        hear_refuse(alice, say_subscribe(alice, 1, "news", patterns[i]), STATUS_BAD_PATTERN);
    }
    char dots[256];
    memset(dots, '.', 255);
    dots[255] = '\0';
    static const char *const keys[] = {"", "a..b", "a.*", "#", "a b", ".a"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        hear_refuse(alice, say_publish(alice, "news", keys[i], "x"), STATUS_BAD_KEY);
    hear_refuse(alice, say_publish(alice, "news", dots, "x"), STATUS_BAD_KEY);
    hear_refuse(alice, say_queue_with(alice, "q", 0, 0, 2), STATUS_BAD_VALUE);
}
END_TEST

START_TEST(test_queries_come_in_pages)
{
    char name[16];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof name, "q%d", i);
        do_queue(alice, name);
    }
    uint64_t last;
    ck_assert_uint_eq(ask_rows(alice, QUERY_QUEUES, "", 0, 0, &last), 256);
    ck_assert_uint_eq(ask_rows(alice, QUERY_QUEUES, "", last, 0, &last), 44);
    ck_assert_uint_eq(ask_rows(alice, QUERY_QUEUES, "", last, 0, &last), 0);
    ck_assert_uint_eq(ask_rows(alice, QUERY_QUEUES, "", 0, 7, &last), 7);
    do_exchange(alice, "news");
    ck_assert_uint_eq(ask_rows(alice, QUERY_EXCHANGES, "", 0, 0, NULL), 1);
    ck_assert_uint_eq(ask_rows(alice, QUERY_EXCHANGE, "news", 0, 0, NULL), 1);
    do_bind(alice, "q1", "news", "a");
    do_bind(alice, "q2", "news", "#");
    ck_assert_uint_eq(ask_rows(alice, QUERY_BINDINGS, "news", 0, 0, NULL), 2);
    ck_assert_uint_eq(ask_rows(alice, QUERY_BINDINGS, "news", 1, 0, NULL), 1);
    ck_assert_uint_eq(ask_rows(alice, QUERY_CONNECTIONS, "", 0, 0, NULL), 1);
    hear_refuse(alice, say_query(alice, QUERY_QUEUE, "none", 0, 0), STATUS_NO_QUEUE);
    hear_refuse(alice, say_query(alice, QUERY_EXCHANGE, "none", 0, 0), STATUS_NO_EXCHANGE);
    hear_refuse(alice, say_query(alice, QUERY_BINDINGS, "none", 0, 0), STATUS_NO_EXCHANGE);
    hear_refuse(alice, say_query(alice, 99, "", 0, 0), STATUS_UNKNOWN_QUERY);
    struct frame frame = {.header.type = FRAME_QUERY};
    frame.as.query = (struct frame_query){
        .subject = QUERY_ROUTE, .name = wire_bytes_of_text("news"), .key = wire_bytes_of_text("a")};
    actor_say(alice, &frame);
    size_t count = 0;
    while (actor_next(alice, &frame))
        count += frame.header.type == FRAME_ROW;
    ck_assert_uint_eq(count, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("definitions");
    TCase *tcase = tcase_create("definitions");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_definitions_outlive_a_crash);
    tcase_add_test(tcase, test_changed_settings_do_not_cost_older_messages);
    tcase_add_test(tcase, test_segments_that_nobody_needs_are_used_again);
    tcase_add_test(tcase, test_transient_things_end_with_the_broker);
    tcase_add_test(tcase, test_the_same_again_is_fine_and_another_is_not);
    tcase_add_test(tcase, test_deleting_asks_what_it_is_told_to);
    tcase_add_test(tcase, test_names_keys_and_patterns_are_checked);
    tcase_add_test(tcase, test_queries_come_in_pages);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
