/* Which bindings an event would pass, and why it would not pass the others. */
#include <stdio.h>
#include <string.h>

#include "tests/support/check_main.h"
#include "tests/support/lines_route.h"

static struct scene *scene;
static struct actor *alice;
static struct route_row rows[400];

static void set_up(void)
{
    scene = scene_new(23);
    alice = enter_as(scene, "");
    do_exchange(alice, "shop");
    do_exchange(alice, "europe");
    do_exchange(alice, "asia");
    do_queue(alice, "mail");
    do_queue(alice, "audit");
}

static void tear_down(void)
{
    scene_free(scene);
}

static size_t route(uint8_t subject, const char *key, const char *headers)
{
    struct route_question question = {subject, "shop", key, headers, 0, 0};
    return ask_route(alice, question, rows, 400);
}

/* The row of this destination and pattern. */
static const struct route_row *row_of(size_t count, const char *to, const char *pattern)
{
    for (size_t i = 0; i < count; i++)
        if ((strcmp(rows[i].queue, to) == 0 || strcmp(rows[i].onward, to) == 0) &&
            strcmp(rows[i].pattern, pattern) == 0)
            return &rows[i];
    ck_abort_msg("no row of %s by %s", to, pattern);
    return NULL;
}

static void tie_all(void)
{
    do_bind(alice, "mail", "shop", "order.*.placed");
    do_bind(alice, "mail", "shop", "order.eu.#");
    do_tie(alice, (struct tie){"audit", "shop", "#", "tenant=acme kind=big", 0});
    do_relay(alice, "europe", "shop", "order.eu.*");
    do_relay(alice, "asia", "shop", "order.jp.*");
    do_bind(alice, "audit", "europe", "#.placed");
    do_bind(alice, "audit", "europe", "#.paid");
    do_bind(alice, "audit", "asia", "#");
    hear_confirm(alice, say_subscribe_where(alice, 1, "europe", "order.#", "tenant=acme"));
}

START_TEST(test_what_an_event_passes)
{
    tie_all();
    size_t count = route(QUERY_ROUTE, "order.eu.placed", "tenant=acme");
    ck_assert_uint_eq(count, 5);
    ck_assert_str_eq(row_of(count, "mail", "order.*.placed")->exchange, "shop");
    ck_assert_str_eq(row_of(count, "mail", "order.eu.#")->exchange, "shop");
    ck_assert_str_eq(row_of(count, "europe", "order.eu.*")->exchange, "shop");
    ck_assert_str_eq(row_of(count, "audit", "#.placed")->exchange, "europe");
    const struct route_row *live = row_of(count, "", "order.#");
    ck_assert(live->is_live);
    ck_assert_str_eq(live->filter, "tenant=acme");
    ck_assert_uint_eq(route(QUERY_ROUTE, "order.eu.placed", "tenant=acme kind=big"), 6);
    ck_assert_uint_eq(route(QUERY_ROUTE, "order.eu.placed", ""), 4);
    ck_assert_uint_eq(route(QUERY_ROUTE, "invoice", ""), 0);
}
END_TEST

START_TEST(test_why_not_the_others)
{
    tie_all();
    size_t count = route(QUERY_EXPLAIN, "order.eu.paid", "tenant=acme");
    ck_assert_uint_eq(count, 8); /* asia's own are out of reach */
    ck_assert_str_eq(row_of(count, "mail", "order.*.placed")->why, "word 3 is paid, not placed");
    ck_assert(!row_of(count, "mail", "order.*.placed")->passes);
    ck_assert(row_of(count, "mail", "order.eu.#")->passes);
    ck_assert_str_eq(row_of(count, "mail", "order.eu.#")->why, "");
    ck_assert_str_eq(row_of(count, "audit", "#")->why, "no header kind");
    ck_assert_str_eq(row_of(count, "audit", "#")->filter, "tenant=acme, kind=big");
    ck_assert_str_eq(row_of(count, "asia", "order.jp.*")->why, "word 2 is eu, not jp");
    ck_assert(row_of(count, "europe", "order.eu.*")->passes);
    ck_assert(row_of(count, "audit", "#.paid")->passes);
    ck_assert(!row_of(count, "audit", "#.placed")->passes);
    ck_assert(row_of(count, "", "order.#")->passes);
    count = route(QUERY_EXPLAIN, "order.eu.paid", "tenant=ajax");
    ck_assert_str_eq(row_of(count, "", "order.#")->why, "header tenant is ajax, not acme");
    /* What leads there is not passed, so what stands behind is not of interest. */
    ck_assert_uint_eq(route(QUERY_EXPLAIN, "order.us.paid", ""), 5);
}
END_TEST

START_TEST(test_in_pages)
{
    enum { EACH = 300 };
    char name[32];
    for (int i = 0; i < EACH; i++) {
        (void)snprintf(name, sizeof name, "w%d.#", i);
        do_bind(alice, "mail", "shop", name);
        do_bind(alice, "audit", "europe", name);
    }
    do_relay(alice, "europe", "shop", "#");
    for (uint32_t limit = 0; limit < 80; limit += 39) {
        struct route_question question = {QUERY_EXPLAIN, "shop", "w7.x", "", 0, limit};
        size_t all = 0;
        size_t passed = 0;
        size_t count;
        while ((count = ask_route(alice, question, rows, 400)) > 0) {
            ck_assert_uint_le(count, limit > 0 ? limit : 256);
            for (size_t i = 0; i < count; i++) {
                ck_assert_uint_eq(rows[i].number, ++all);
                passed += rows[i].passes;
            }
            question.after = rows[count - 1].number;
        }
        ck_assert_uint_eq(all, 2 * EACH + 1);
        ck_assert_uint_eq(passed, 3);
    }
    do_bind(alice, "mail", "shop", "#");
    struct route_question question = {QUERY_ROUTE, "shop", "w7.x", "", 0, 2};
    size_t all = 0;
    for (size_t count; (count = ask_route(alice, question, rows, 400)) > 0; all += count)
        question.after = rows[count - 1].number;
    ck_assert_uint_eq(all, 4);
}
END_TEST

/* Pages of the list itself go on where the last one ended, whatever has changed meanwhile. */
START_TEST(test_bindings_in_pages)
{
    enum { ALL = 600 };
    char name[32];
    for (int i = 0; i < ALL; i++) {
        (void)snprintf(name, sizeof name, "w%d", i);
        do_bind(alice, "mail", "shop", name);
    }
    uint64_t after = 0;
    size_t first = ask_rows(alice, QUERY_BINDINGS, "shop", after, 0, &after);
    ck_assert_uint_eq(first, 256);
    /* The last one that was shown goes, and so do one before and one behind it. */
    for (int i = 254; i <= 256; i++) {
        (void)snprintf(name, sizeof name, "w%d", i);
        hear_confirm(alice, say_unbind(alice, "mail", "shop", name));
    }
    size_t rest = 0;
    for (size_t count; (count = ask_rows(alice, QUERY_BINDINGS, "shop", after, 0, &after)) > 0;)
        rest += count;
    ck_assert_uint_eq(rest, ALL - 256 - 1);
    ck_assert_uint_eq(ask_rows(alice, QUERY_BINDINGS, "shop", 0, 10, NULL), 10);
}
END_TEST

START_TEST(test_bad_questions)
{
    struct route_question question = {QUERY_ROUTE, "none", "a", "", 0, 0};
    hear_refuse(alice, say_route(alice, question), STATUS_NO_EXCHANGE);
    question.exchange = "shop";
    question.key = "a..b";
    hear_refuse(alice, say_route(alice, question), STATUS_BAD_KEY);
    question.subject = QUERY_EXPLAIN;
    hear_refuse(alice, say_route(alice, question), STATUS_BAD_KEY);
    question.key = "a";
    question.headers = "x=1 x=2";
    hear_refuse(alice, say_route(alice, question), STATUS_BAD_HEADER);
    question.headers = "";
    ck_assert_uint_eq(ask_route(alice, question, rows, 1), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("query_route");
    TCase *tcase = tcase_create("query_route");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_what_an_event_passes);
    tcase_add_test(tcase, test_why_not_the_others);
    tcase_add_test(tcase, test_in_pages);
    tcase_add_test(tcase, test_bindings_in_pages);
    tcase_add_test(tcase, test_bad_questions);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
