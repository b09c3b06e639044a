/* Entities: versions from 1 without a hole, what is expected of them, several events at once,
 * reading one entity forward and backward; in the journal, in files, and over crashes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/append.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

static void do_entity(const char *entity, uint64_t expect, const char *body)
{
    hear_confirm(alice, say_entity(alice, entity, expect, body));
}

/* A refusal whose text is the version. */
static void hear_conflict(struct actor *actor, uint64_t tag, const char *version)
{
    struct frame frame;
    ck_assert(actor_next(actor, &frame));
    ck_assert_str_eq(frame_name(frame.header.type), "REFUSE");
    ck_assert_uint_eq(frame.header.tag, tag);
    ck_assert_str_eq(status_name((enum status)frame.as.refuse.code), "VERSION_CONFLICT");
    ck_assert(wire_bytes_equal(frame.as.refuse.text, wire_bytes_of_text(version)));
}

static void read_all(const char *entity, unsigned count)
{
    uint64_t tag = say_read(alice, entity, 0, 0, 0);
    scene_settle(scene);
    for (unsigned i = 1; i <= count; i++) {
        char body[32];
        snprintf(body, sizeof body, "%u", i);
        hear_event(alice, tag, i, body, i == count);
    }
    hear_nothing(alice);
}

static void write_versions(const char *entity, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        char body[32];
        snprintf(body, sizeof body, "%u", i);
        do_entity(entity, i - 1, body);
    }
}

START_TEST(test_versions_are_counted_and_expected)
{
    hear_conflict(alice, say_entity(alice, "a", 1, "x"), "0");
    hear_conflict(alice, say_entity(alice, "a", EXPECT_EXISTS, "x"), "0");
    do_entity("a", EXPECT_NONE, "1");
    hear_conflict(alice, say_entity(alice, "a", EXPECT_NONE, "x"), "1");
    do_entity("a", EXPECT_EXISTS, "2");
    do_entity("a", EXPECT_ANY, "3");
    do_entity("a", 3, "4");
    hear_conflict(alice, say_entity(alice, "a", 3, "x"), "4");
    do_entity("b", EXPECT_ANY, "1");
    read_all("a", 4);
    read_all("b", 1);
    ck_assert_uint_eq(ask_exchange("book", "entities"), 2);
    ck_assert_uint_eq(ask_exchange("book", "last"), 5);
}
END_TEST

START_TEST(test_versions_survive_crashes_and_files)
{
    unsigned next = 1;
    for (int i = 0; i < DISK_SIM_POLICIES; i++) {
        write_versions("a", next, next + 99);
        publish_events(1, 200);
        if (i % 2 == 1)
            let_move();
        crash_with((enum disk_sim_policy)i);
        next += 100;
        char version[32];
        snprintf(version, sizeof version, "%u", next - 1);
        hear_conflict(alice, say_entity(alice, "a", 7777, "x"), version);
    }
    read_all("a", next - 1);
}
END_TEST

/* So much is moved that entities are saved, and old events go. */
START_TEST(test_versions_outlive_their_events)
{
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_BYTES_MAX, 200 << 10));
    for (unsigned i = 0; i < 50; i++) {
        char entity[32];
        snprintf(entity, sizeof entity, "old %u", i);
        do_entity(entity, EXPECT_NONE, "1");
    }
    for (unsigned i = 0; i < 10; i++) {
        publish_events(1, 1000);
        let_move();
    }
    ck_assert_uint_gt(ask_exchange("book", "first"), 50);
    hear_conflict(alice, say_entity(alice, "old 7", EXPECT_NONE, "x"), "1");
    crash_with(DISK_SIM_NONE);
    hear_conflict(alice, say_entity(alice, "old 49", EXPECT_NONE, "x"), "1");
    do_entity("old 49", 1, "2");
    uint64_t tag = say_read(alice, "old 49", 0, 0, 0);
    hear_event(alice, tag, 2, "2", true);
    tag = say_read(alice, "old 7", 0, 0, 0);
    hear_event(alice, tag, 0, "", true);
    ck_assert_uint_eq(ask_exchange("book", "entities"), 50);
}
END_TEST

START_TEST(test_reading_forward_and_backward)
{
    write_versions("a", 1, 20);
    let_move();
    write_versions("a", 21, 30);
    read_all("a", 30);
    uint64_t tag = say_read(alice, "a", FLAG_BACKWARD, 0, 0);
    scene_settle(scene);
    for (unsigned i = 30; i >= 1; i--) {
        char body[32];
        snprintf(body, sizeof body, "%u", i);
        hear_event(alice, tag, i, body, i == 1);
    }
    tag = say_read(alice, "a", 0, 28, 2);
    hear_event(alice, tag, 28, "28", false);
    hear_event(alice, tag, 29, "29", true);
    tag = say_read(alice, "a", FLAG_BACKWARD, 3, 2);
    hear_event(alice, tag, 3, "3", false);
    hear_event(alice, tag, 2, "2", true);
    tag = say_read(alice, "a", 0, 31, 0);
    hear_event(alice, tag, 0, "", true);
    tag = say_read(alice, "a", FLAG_BACKWARD, UINT64_MAX, 1);
    hear_event(alice, tag, 30, "30", true);
    hear_refuse(alice, say_read(alice, "nobody", 0, 0, 0), STATUS_NO_ENTITY);
}
END_TEST

START_TEST(test_readers_may_begin_at_a_snapshot)
{
    write_versions("a", 1, 3);
    hear_confirm(alice, say_snapshot(alice, "a", "whole"));
    do_entity("a", 4, "5");
    do_entity("a", 5, "6");
    uint64_t tag = say_read(alice, "a", FLAG_FROM_SNAPSHOT, 0, 0);
    hear_event(alice, tag, 4, "whole", false);
    hear_event(alice, tag, 5, "5", false);
    hear_event(alice, tag, 6, "6", true);
    tag = say_read(alice, "a", FLAG_FROM_SNAPSHOT | FLAG_BACKWARD, 0, 0);
    hear_event(alice, tag, 6, "6", false);
    hear_event(alice, tag, 5, "5", false);
    hear_event(alice, tag, 4, "whole", true);
}
END_TEST

START_TEST(test_several_events_are_all_there_or_none)
{
    uint64_t tag = say_append(alice, "a", EXPECT_NONE, 1, 5);
    hear_confirm(alice, tag);
    ck_assert_uint_eq(alice->appended.version, 5);
    ck_assert_uint_eq(alice->appended.sequence, 5);
    hear_conflict(alice, say_append(alice, "a", 4, 6, 5), "5");
    hear_confirm(alice, say_append(alice, "a", 5, 6, 3));
    ck_assert_uint_eq(alice->appended.version, 8);
    tag = say_read(alice, "a", 0, 0, 0);
    for (unsigned i = 1; i <= 8; i++) {
        char body[32];
        snprintf(body, sizeof body, "append %u", i);
        hear_event(alice, tag, i, body, i == 8);
    }
}
END_TEST

/* Whatever of a batch arrives: all of the events or none. */
START_TEST(test_a_crash_leaves_no_half_of_several_events)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        histories_tear_down();
        histories_set_up();
        say_append(alice, "a", EXPECT_ANY, 1, 50);
        hear_out(alice);
        scene_hold_syncs(scene);
        say_append(alice, "a", EXPECT_ANY, 51, 60);
        scene_step(scene, seed % 3);
        crash_with((enum disk_sim_policy)(seed % DISK_SIM_POLICIES));
        uint64_t last = ask_exchange("book", "last");
        ck_assert(last == 50 || last == 110);
    }
}
END_TEST

START_TEST(test_a_full_queue_refuses_all_of_them)
{
    hear_confirm(alice, say_queue_with(alice, "small", 0, 4, 0));
    hear_confirm(alice, say_queue_with(alice, "dropping", 0, 4, 1));
    do_bind(alice, "small", "book", "#");
    do_bind(alice, "dropping", "book", "#");
    hear_refuse(alice, say_append(alice, "a", EXPECT_ANY, 1, 5), STATUS_OVERFLOW);
    ck_assert_uint_eq(ask_exchange("book", "last"), 0);
    ck_assert_uint_eq(ask_queue(alice, "small", "messages"), 0);
    hear_confirm(alice, say_append(alice, "a", EXPECT_NONE, 1, 4));
    hear_confirm(alice, say_unbind(alice, "small", "book", "#"));
    hear_confirm(alice, say_append(alice, "a", 4, 5, 6));
    ck_assert_uint_eq(ask_queue(alice, "dropping", "messages"), 4);
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(ask_queue(alice, "dropping", "messages"), 4);
    do_consume(bob, 1, "dropping", 10);
    for (uint64_t i = 7; i <= 10; i++)
        ck_assert_uint_eq(hear_delivery(bob, NULL).version, i);
}
END_TEST

static uint64_t say_append_list(struct wire_bytes list)
{
    struct frame frame = {.header.type = FRAME_APPEND};
    frame.as.append = (struct frame_append){.exchange = wire_bytes_of_text("book"),
                                            .entity = wire_bytes_of_text("a"),
                                            .expect = EXPECT_ANY,
                                            .body_bytes = list.bytes,
                                            .body = list};
    return actor_say(alice, &frame);
}

START_TEST(test_what_is_no_list_of_events_is_refused)
{
    unsigned char list[256];
    unsigned char properties[64];
    struct wire_writer p = wire_writer_of(properties, sizeof properties);
    struct wire_writer l = wire_writer_of(list, sizeof list);
    hear_refuse(alice, say_append_list(wire_bytes_of(list, 0)), STATUS_BAD_VALUE);
    append_put(&l, &(struct append_event){.key = wire_bytes_of_text("k")});
    hear_refuse(alice, say_append_list(wire_bytes_of(list, (uint32_t)wire_written(&l) - 1)),
                STATUS_BAD_VALUE);
    l = wire_writer_of(list, sizeof list);
    append_put(&l, &(struct append_event){.key = wire_bytes_of_text("a..b")});
    hear_refuse(alice, say_append_list(wire_bytes_of(list, (uint32_t)wire_written(&l))),
                STATUS_BAD_KEY);
    property_put_number(&p, PROPERTY_MESSAGE_PRIORITY, 3);
    l = wire_writer_of(list, sizeof list);
    append_put(&l, &(struct append_event){
                       .key = wire_bytes_of_text("k"),
                       .properties = wire_bytes_of(properties, (uint32_t)wire_written(&p))});
    hear_refuse(alice, say_append_list(wire_bytes_of(list, (uint32_t)wire_written(&l))),
                STATUS_BAD_PROPERTY);
    ck_assert_uint_eq(ask_exchange("book", "last"), 0);
}
END_TEST

/* --- names and limits ---------------------------------------------------------------------------
 */

START_TEST(test_names_of_entities)
{
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    do_entity(name, EXPECT_NONE, "1");
    do_entity("ä ö/ü#*", EXPECT_NONE, "1");
    hear_refuse(alice, say_entity(alice, "", EXPECT_ANY, "x"), STATUS_BAD_NAME);
    hear_refuse(alice, say_entity(alice, "a\nb", EXPECT_ANY, "x"), STATUS_BAD_NAME);
    hear_refuse(alice, say_entity(alice, "\xff", EXPECT_ANY, "x"), STATUS_BAD_PROPERTY);
    hear_refuse(alice, say_read(alice, "", 0, 0, 0), STATUS_BAD_NAME);
    read_all(name, 1);
}
END_TEST

static uint64_t say_with_property(const char *exchange, uint8_t kind, uint64_t value, uint8_t flags)
{
    unsigned char list[64];
    struct wire_writer p = wire_writer_of(list, sizeof list);
    if (kind == PROPERTY_MESSAGE_ENTITY)
        property_put(&p, kind, wire_bytes_of_text("a"));
    else
        property_put_number(&p, kind, value);
    struct frame frame = {.header = {.type = FRAME_PUBLISH, .flags = flags}};
    frame.as.publish =
        (struct frame_publish){.exchange = wire_bytes_of_text(exchange),
                               .key = wire_bytes_of_text("k"),
                               .properties = wire_bytes_of(list, (uint32_t)wire_written(&p))};
    return actor_say(alice, &frame);
}

START_TEST(test_what_makes_no_sense_is_refused)
{
    do_exchange(alice, "plain");
    hear_refuse(alice, say_with_property("plain", PROPERTY_MESSAGE_ENTITY, 0, 0),
                STATUS_NO_HISTORY);
    hear_refuse(alice, say_with_property("book", PROPERTY_MESSAGE_EXPECT, 0, 0),
                STATUS_BAD_PROPERTY);
    hear_refuse(alice, say_with_property("book", PROPERTY_MESSAGE_SNAPSHOT, 1, 0),
                STATUS_BAD_PROPERTY);
    hear_refuse(alice, say_with_property("book", PROPERTY_MESSAGE_SEQUENCE, 7, 0),
                STATUS_BAD_PROPERTY);
    hear_refuse(alice, say_with_property("book", PROPERTY_MESSAGE_VERSION, 7, 0),
                STATUS_BAD_PROPERTY);
    hear_refuse(alice, say_with_property("book", PROPERTY_MESSAGE_ENTITY, 0, FLAG_TRANSIENT),
                STATUS_BAD_PROPERTY);
    ck_assert_uint_eq(ask_exchange("book", "last"), 0);
}
END_TEST

START_TEST(test_the_limit_of_entities)
{
    histories_tear_down();
    struct core_limits limits = scene_limits();
    limits.entities_max = 2;
    histories_set_up_with(&limits);
    do_entity("a", EXPECT_NONE, "1");
    do_entity("b", EXPECT_NONE, "1");
    hear_refuse(alice, say_entity(alice, "c", EXPECT_ANY, "x"), STATUS_LIMIT);
    do_entity("a", 1, "2");
    hear_confirm(alice, say_exchange_delete(alice, "book", 0));
    hear_confirm(alice, say_create(alice, "book", PROPERTY_EXCHANGE_HISTORY, 1));
    do_entity("c", EXPECT_NONE, "1");
}
END_TEST

/* A hundred thousand appends to one entity by two writers, each of whom believes what it was told:
 * every version is given exactly once. */
START_TEST(test_two_writers_race_for_one_entity)
{
    struct actor *writers[2] = {alice, bob};
    uint64_t known[2] = {0, 0};
    uint64_t tags[2];
    uint64_t version = 0;
    struct frame frame;
    while (version < 100000) {
        for (int i = 0; i < 2; i++)
            tags[i] = say_entity(writers[i], "raced", known[i], "x");
        for (int i = 0; i < 2; i++) {
            ck_assert(actor_next(writers[i], &frame));
            if (frame.header.type == FRAME_CONFIRM) {
                ck_assert_uint_eq(frame.as.confirm.last, tags[i]);
                ck_assert_uint_eq(known[i], version);
                known[i] = ++version;
                continue;
            }
            ck_assert_str_eq(status_name((enum status)frame.as.refuse.code), "VERSION_CONFLICT");
            char text[32] = "";
            memcpy(text, frame.as.refuse.text.at, frame.as.refuse.text.bytes);
            known[i] = strtoull(text, NULL, 10);
            ck_assert_uint_eq(known[i], version);
        }
        if (version % 20000 == 0 && version > 0) {
            crash_with(DISK_SIM_NONE);
            known[0] = known[1] = version;
        }
    }
    ck_assert_uint_eq(ask_exchange("book", "last"), version);
    let_move();
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    for (uint64_t i = 1; i <= version; i++) {
        if (i % 500 == 1)
            scene_settle(scene);
        ck_assert_uint_eq(hear_delivery(bob, NULL).version, i);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("entities");
    TCase *tcase = tcase_create("entities");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, histories_set_up, histories_tear_down);
    tcase_add_test(tcase, test_versions_are_counted_and_expected);
    tcase_add_test(tcase, test_versions_survive_crashes_and_files);
    tcase_add_test(tcase, test_versions_outlive_their_events);
    tcase_add_test(tcase, test_reading_forward_and_backward);
    tcase_add_test(tcase, test_readers_may_begin_at_a_snapshot);
    tcase_add_test(tcase, test_several_events_are_all_there_or_none);
    tcase_add_test(tcase, test_a_crash_leaves_no_half_of_several_events);
    tcase_add_test(tcase, test_a_full_queue_refuses_all_of_them);
    tcase_add_test(tcase, test_what_is_no_list_of_events_is_refused);
    tcase_add_test(tcase, test_names_of_entities);
    tcase_add_test(tcase, test_what_makes_no_sense_is_refused);
    tcase_add_test(tcase, test_the_limit_of_entities);
    tcase_add_test(tcase, test_two_writers_race_for_one_entity);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
