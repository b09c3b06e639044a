/* What the properties of an event say of its place, names of entities, what is expected, and what
 * the broker adds. */
#include "broker/core/event.h"

#include <stdio.h>
#include <string.h>

#include "broker/core/accept.h"
#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "protocol/frame.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

static unsigned char list[1024];

static struct wire_bytes text(const char *at)
{
    return wire_bytes_of_text(at);
}

/* --- reading properties -------------------------------------------------------------------------
 */

START_TEST(test_an_empty_list_says_nothing)
{
    struct event_terms terms = event_terms((struct wire_bytes){NULL, 0});
    ck_assert_uint_eq(terms.sequence, 0);
    ck_assert_uint_eq(terms.version, 0);
    ck_assert_uint_eq(terms.previous, 0);
    ck_assert_ptr_null(terms.entity.at);
    ck_assert_uint_eq(terms.expect, EXPECT_ANY);
    ck_assert(!terms.has_expect && !terms.is_snapshot && !terms.has_own);
}
END_TEST

START_TEST(test_every_term)
{
    struct wire_writer w = wire_writer_of(list, sizeof list);
    property_put_number(&w, PROPERTY_MESSAGE_SEQUENCE, 11);
    property_put_number(&w, PROPERTY_MESSAGE_VERSION, 12);
    property_put_number(&w, PROPERTY_MESSAGE_PREVIOUS, 13);
    property_put(&w, PROPERTY_MESSAGE_CONTENT_TYPE, text("text/plain"));
    property_put(&w, PROPERTY_MESSAGE_ENTITY, text("e"));
    property_put_number(&w, PROPERTY_MESSAGE_EXPECT, 14);
    property_put_number(&w, PROPERTY_MESSAGE_SNAPSHOT, 1);
    property_put_number(&w, PROPERTY_MESSAGE_DELAY, 99);
    struct event_terms terms = event_terms(wire_bytes_of(list, (uint32_t)wire_written(&w)));
    ck_assert_uint_eq(terms.sequence, 11);
    ck_assert_uint_eq(terms.version, 12);
    ck_assert_uint_eq(terms.previous, 13);
    ck_assert(wire_bytes_equal(terms.entity, text("e")));
    ck_assert_uint_eq(terms.expect, 14);
    ck_assert(terms.has_expect && terms.is_snapshot && terms.has_own);
}
END_TEST

START_TEST(test_values_at_their_ends)
{
    static const uint64_t values[] = {0, 1, EXPECT_EXISTS, EXPECT_ANY, UINT64_C(1) << 48};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct wire_writer w = wire_writer_of(list, sizeof list);
        property_put_number(&w, PROPERTY_MESSAGE_EXPECT, values[i]);
        property_put_number(&w, PROPERTY_MESSAGE_SNAPSHOT, values[i]);
        struct event_terms terms = event_terms(wire_bytes_of(list, (uint32_t)wire_written(&w)));
        ck_assert_uint_eq(terms.expect, values[i]);
        ck_assert(terms.has_expect && !terms.has_own);
        ck_assert_int_eq(terms.is_snapshot, values[i] != 0);
    }
    struct wire_writer w = wire_writer_of(list, sizeof list);
    property_put_number(&w, PROPERTY_MESSAGE_VERSION, 0);
    property_put(&w, PROPERTY_MESSAGE_ENTITY, wire_bytes_of(list, 0));
    struct event_terms terms = event_terms(wire_bytes_of(list, (uint32_t)wire_written(&w)));
    ck_assert(terms.has_own);
    ck_assert_ptr_nonnull(terms.entity.at);
    ck_assert_uint_eq(terms.entity.bytes, 0);
}
END_TEST

/* Numbers of a wrong length are none, and a list that ends in the middle says what it said before.
 */
START_TEST(test_strange_lists)
{
    struct wire_writer w = wire_writer_of(list, sizeof list);
    property_put(&w, PROPERTY_MESSAGE_VERSION, text("1234567"));
    property_put(&w, PROPERTY_MESSAGE_EXPECT, text("123456789"));
    property_put(&w, 250, text("from the future"));
    property_put_number(&w, PROPERTY_MESSAGE_SEQUENCE, 5);
    uint32_t whole = (uint32_t)wire_written(&w);
    struct event_terms terms = event_terms(wire_bytes_of(list, whole));
    ck_assert_uint_eq(terms.version, 0);
    ck_assert_uint_eq(terms.expect, EXPECT_ANY);
    ck_assert_uint_eq(terms.sequence, 5);
    for (uint32_t bytes = 0; bytes < whole; bytes++)
        ck_assert_uint_eq(event_terms(wire_bytes_of(list, bytes)).sequence, 0);
    memset(list, 0xff, sizeof list);
    for (uint32_t bytes = 0; bytes < sizeof list; bytes += 7)
        ck_assert_uint_eq(event_terms(wire_bytes_of(list, bytes)).sequence, 0);
}
END_TEST

/* --- names --------------------------------------------------------------------------------------
 */

START_TEST(test_names)
{
    static const char *const good[] = {"a",     "order-4711", " ",      "a b",
                                       "#*.:/", "ä",          "日本語", "\U0001F600"};
    static const char *const bad[] = {
        "",     "\n",       "a\tb",     "\x7f",         "a\x1f",
        "\xff", "\xc0\x80", "a\xe4",    "\xed\xa0\x80", "\xf5\x80\x80\x80",
        "\xc3", "x\x01",    "\x1b[31m", "\xe2\x82"};
    char name[256];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(event_entity_is_good(text(good[i])), "%zu", i);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!event_entity_is_good(text(bad[i])), "%zu", i);
    ck_assert(!event_entity_is_good(wire_bytes_of("a\0b", 3)));
    ck_assert(!event_entity_is_good((struct wire_bytes){NULL, 0}));
    memset(name, 'x', sizeof name);
    ck_assert(event_entity_is_good(wire_bytes_of(name, 255)));
}
END_TEST

/* --- deciding -----------------------------------------------------------------------------------
 */

static struct accept accept_of(const char *entity, uint64_t expect)
{
    struct wire_writer w = wire_writer_of(list, sizeof list);
    if (entity != NULL)
        property_put(&w, PROPERTY_MESSAGE_ENTITY, text(entity));
    if (expect != EXPECT_ANY)
        property_put_number(&w, PROPERTY_MESSAGE_EXPECT, expect);
    return (struct accept){.core = scene->core,
                           .is_event = true,
                           .history = history_of("book"),
                           .message.properties = wire_bytes_of(list, (uint32_t)wire_written(&w))};
}

static enum status prepare(const char *entity, uint64_t expect)
{
    struct accept accept = accept_of(entity, expect);
    return event_prepare(&accept);
}

START_TEST(test_what_is_expected_at_every_version)
{
    for (uint64_t version = 0; version < 4; version++) {
        for (uint64_t expect = 0; expect < 6; expect++)
            ck_assert_int_eq(prepare("e", expect),
                             expect == version ? STATUS_OK : STATUS_VERSION_CONFLICT);
        ck_assert_int_eq(prepare("e", EXPECT_ANY), STATUS_OK);
        ck_assert_int_eq(prepare("e", EXPECT_EXISTS),
                         version > 0 ? STATUS_OK : STATUS_VERSION_CONFLICT);
        ck_assert_int_eq(prepare("e", UINT64_MAX - 2), STATUS_VERSION_CONFLICT);
        char expected[32];
        snprintf(expected, sizeof expected, "%u", (unsigned)version);
        ck_assert_str_eq(scene->core->explanation, expected);
        hear_confirm(alice, say_entity(alice, "e", version, "x"));
    }
    ck_assert_uint_eq(history_of("book")->last, 4); /* looking changes nothing */
    ck_assert_uint_eq(history_of("book")->entities.count, 1);
}
END_TEST

/* The broker's own come first, then the sender's, but for what it expects. */
START_TEST(test_the_properties_that_are_recorded)
{
    hear_confirm(alice, say_entity(alice, "e", 0, "x"));
    struct wire_writer w = wire_writer_of(list, sizeof list);
    property_put(&w, PROPERTY_MESSAGE_CONTENT_TYPE, text("a/b"));
    property_put_number(&w, PROPERTY_MESSAGE_EXPECT, 1);
    property_put(&w, PROPERTY_MESSAGE_ENTITY, text("e"));
    struct accept accept = accept_of(NULL, EXPECT_ANY);
    accept.message.properties = wire_bytes_of(list, (uint32_t)wire_written(&w));
    ck_assert_int_eq(event_prepare(&accept), STATUS_OK);
    ck_assert_int_eq(property_check(accept.message.properties, PROPERTY_SCOPE_MESSAGE), STATUS_OK);
    static const uint8_t kinds[] = {PROPERTY_MESSAGE_SEQUENCE, PROPERTY_MESSAGE_VERSION,
                                    PROPERTY_MESSAGE_PREVIOUS, PROPERTY_MESSAGE_CONTENT_TYPE,
                                    PROPERTY_MESSAGE_ENTITY};
    struct wire_reader r =
        wire_reader_of(accept.message.properties.at, accept.message.properties.bytes);
    struct property property;
    for (size_t i = 0; i < sizeof kinds; i++) {
        ck_assert(property_next(&r, &property));
        ck_assert_uint_eq(property.kind, kinds[i]);
    }
    ck_assert(!property_next(&r, &property));
    struct event_terms terms = event_terms(accept.message.properties);
    ck_assert_uint_eq(terms.sequence, 2);
    ck_assert_uint_eq(terms.version, 2);
    ck_assert_uint_eq(terms.previous, 1);
}
END_TEST

/* As many properties as a message may have, and the broker's beside them. */
START_TEST(test_the_largest_properties)
{
    unsigned char large[ACCEPT_PROPERTIES_BYTES_MAX];
    unsigned char filler[255] = {0};
    char entity[256];
    memset(entity, 'e', 255);
    entity[255] = '\0';
    struct wire_writer w = wire_writer_of(large, sizeof large);
    uint8_t kind = 140;
    while (wire_written(&w) + 2 + sizeof filler <= sizeof large)
        property_put(&w, kind++, wire_bytes_of(filler, sizeof filler));
    struct append_terms append = {text(entity), EXPECT_NONE};
    struct accept accept = accept_of(NULL, EXPECT_ANY);
    accept.append = &append;
    accept.message.properties = wire_bytes_of(large, (uint32_t)wire_written(&w));
    ck_assert_uint_gt(wire_written(&w), sizeof large - 2 - sizeof filler);
    ck_assert_int_eq(event_prepare(&accept), STATUS_OK);
    ck_assert_uint_eq(event_terms(accept.message.properties).sequence, 1);
    ck_assert(wire_bytes_equal(event_terms(accept.message.properties).entity, text(entity)));
}
END_TEST

START_TEST(test_without_a_history)
{
    struct accept accept = accept_of("e", EXPECT_ANY);
    accept.history = NULL;
    ck_assert_int_eq(event_prepare(&accept), STATUS_NO_HISTORY);
    accept = accept_of(NULL, EXPECT_ANY);
    accept.history = NULL;
    ck_assert_int_eq(event_prepare(&accept), STATUS_OK);
    ck_assert_uint_eq(accept.message.properties.bytes, 0);
    accept = accept_of("e", EXPECT_ANY);
    accept.is_transient = true;
    ck_assert_int_eq(event_prepare(&accept), STATUS_BAD_PROPERTY);
    accept = accept_of(NULL, EXPECT_ANY);
    accept.is_transient = true;
    ck_assert_int_eq(event_prepare(&accept), STATUS_OK);
    ck_assert_ptr_null(accept.history); /* it is not kept */
    ck_assert_int_eq(prepare(NULL, 3), STATUS_BAD_PROPERTY);
    ck_assert_int_eq(prepare("", EXPECT_ANY), STATUS_BAD_NAME);
}
END_TEST

START_TEST(test_at_the_end_of_numbers)
{
    struct history *history = history_of("book");
    history->last = (UINT64_C(1) << 48) - 2;
    ck_assert_int_eq(prepare(NULL, EXPECT_ANY), STATUS_OK);
    history->last++;
    ck_assert_int_eq(prepare(NULL, EXPECT_ANY), STATUS_LIMIT);
    history->last = 0;
}
END_TEST

START_TEST(test_as_many_entities_as_may_be)
{
    scene->core->limits.entities_max = 2;
    hear_confirm(alice, say_entity(alice, "a", 0, "x"));
    hear_confirm(alice, say_entity(alice, "b", 0, "x"));
    ck_assert_int_eq(prepare("c", EXPECT_ANY), STATUS_LIMIT);
    ck_assert_int_eq(prepare("a", EXPECT_ANY), STATUS_OK);
    ck_assert_uint_eq(scene->core->entity_count, 2);
}
END_TEST

/* --- a start ------------------------------------------------------------------------------------
 */

static enum status apply(uint64_t version, uint64_t sequence, const char *entity)
{
    struct wire_writer w = wire_writer_of(list, sizeof list);
    property_put_number(&w, PROPERTY_MESSAGE_SEQUENCE, sequence);
    property_put_number(&w, PROPERTY_MESSAGE_VERSION, version);
    if (entity != NULL)
        property_put(&w, PROPERTY_MESSAGE_ENTITY, text(entity));
    return event_apply_entity(scene->core, history_of("book"),
                              wire_bytes_of(list, (uint32_t)wire_written(&w)));
}

/* In whatever order they are found. */
START_TEST(test_the_newest_version_counts)
{
    uint64_t version;
    uint64_t sequence;
    struct entities *entities = &history_of("book")->entities;
    ck_assert_int_eq(apply(3, 30, "e"), STATUS_OK);
    ck_assert_int_eq(apply(1, 10, "e"), STATUS_OK);
    ck_assert_int_eq(apply(4, 40, "e"), STATUS_OK);
    ck_assert_int_eq(apply(2, 20, "e"), STATUS_OK);
    ck_assert(entities_find(entities, entities_key(entities, text("e")), &version, &sequence));
    ck_assert_uint_eq(version, 4);
    ck_assert_uint_eq(sequence, 40);
    ck_assert_uint_eq(scene->core->entity_count, 1);
    ck_assert_int_eq(apply(0, 50, "e"), STATUS_OK); /* no event of it */
    ck_assert_int_eq(apply(5, 50, NULL), STATUS_OK);
    ck_assert_int_eq(apply(UINT64_C(1) << 48, 50, "e"), STATUS_CORRUPT);
    ck_assert_int_eq(apply(5, UINT64_C(1) << 48, "e"), STATUS_CORRUPT);
    ck_assert(entities_find(entities, entities_key(entities, text("e")), &version, &sequence));
    ck_assert_uint_eq(version, 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("event");
    TCase *tcase = tcase_create("event");
    tcase_add_checked_fixture(tcase, histories_set_up, histories_tear_down);
    tcase_add_test(tcase, test_an_empty_list_says_nothing);
    tcase_add_test(tcase, test_every_term);
    tcase_add_test(tcase, test_values_at_their_ends);
    tcase_add_test(tcase, test_strange_lists);
    tcase_add_test(tcase, test_names);
    tcase_add_test(tcase, test_what_is_expected_at_every_version);
    tcase_add_test(tcase, test_the_properties_that_are_recorded);
    tcase_add_test(tcase, test_the_largest_properties);
    tcase_add_test(tcase, test_without_a_history);
    tcase_add_test(tcase, test_at_the_end_of_numbers);
    tcase_add_test(tcase, test_as_many_entities_as_may_be);
    tcase_add_test(tcase, test_the_newest_version_counts);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
