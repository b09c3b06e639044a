/* Reading the events of an entity, in the broker: every beginning and direction against a plain
 * list, and how it ends. */
#include "broker/core/entity_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/history.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

enum { VERSIONS = 40, SNAPSHOT_EVERY = 9 };

/* Versions 1 to 40 of "a", every ninth a snapshot, among events of others; some in files, some not.
 */
static void write_versions(void)
{
    for (unsigned i = 1; i <= VERSIONS; i++) {
        char body[32];
        snprintf(body, sizeof body, "%u", i);
        hear_confirm(alice, i % SNAPSHOT_EVERY == 0 ? say_snapshot(alice, "a", body)
                                                    : say_entity(alice, "a", i - 1, body));
        publish_sized(i % 4, 900);
        hear_confirm(alice, say_entity(alice, "other", EXPECT_ANY, "x"));
        if (i == 30)
            let_move();
    }
}

static uint64_t read_without_waiting(struct actor *actor, const char *entity, uint8_t flags)
{
    struct frame frame = {.header = {.type = FRAME_READ, .flags = flags}};
    frame.as.read =
        (struct frame_read){wire_bytes_of_text("book"), wire_bytes_of_text(entity), 0, 0};
    uint64_t tag = actor_write(actor, &frame);
    actor_flush(actor);
    return tag;
}

static void hear_end(struct actor *actor, uint64_t tag, enum status status)
{
    struct frame frame;
    do
        ck_assert(actor_next(actor, &frame));
    while (frame.header.type == FRAME_EVENT);
    ck_assert_str_eq(frame_name(frame.header.type), "REFUSE");
    ck_assert_uint_eq(frame.header.tag, tag);
    ck_assert_str_eq(status_name((enum status)frame.as.refuse.code), status_name(status));
}

/* --- what is given ------------------------------------------------------------------------------
 */

/* What the plain list says; returns how many. */
static unsigned expected_of(uint8_t flags, uint64_t from, uint32_t limit,
                            unsigned versions[VERSIONS])
{
    bool is_backward = (flags & FLAG_BACKWARD) != 0;
    unsigned lowest = 1;
    unsigned count = 0;
    if ((flags & FLAG_FROM_SNAPSHOT) != 0)
        lowest = VERSIONS / SNAPSHOT_EVERY * SNAPSHOT_EVERY;
    uint64_t at = from != 0 ? from : is_backward ? VERSIONS : 1;
    if (is_backward && at > VERSIONS)
        at = VERSIONS;
    if (!is_backward && at < lowest)
        at = lowest;
    while (at >= lowest && at <= VERSIONS && (limit == 0 || count < limit)) {
        versions[count++] = (unsigned)at;
        at = is_backward ? at - 1 : at + 1;
    }
    return count;
}

START_TEST(test_every_beginning_against_a_plain_list)
{
    static const uint64_t froms[] = {0, 1, 2, 17, 35, 36, 37, 39, 40, 41, 1000, UINT64_MAX};
    static const uint32_t limits[] = {0, 1, 3, 39, 40, 41, UINT32_MAX};
    write_versions();
    for (int moved = 0; moved < 2; moved++) {
        for (uint8_t flags = 0; flags < 4; flags++)
            for (size_t i = 0; i < sizeof froms / sizeof froms[0]; i++)
                for (size_t k = 0; k < sizeof limits / sizeof limits[0]; k++) {
                    unsigned versions[VERSIONS];
                    unsigned count = expected_of(flags, froms[i], limits[k], versions);
                    uint64_t tag = say_read(bob, "a", flags, froms[i], limits[k]);
                    scene_settle(scene);
                    for (unsigned v = 0; v < count; v++) {
                        char body[32];
                        snprintf(body, sizeof body, "%u", versions[v]);
                        hear_event(bob, tag, versions[v], body, v + 1 == count);
                    }
                    if (count == 0)
                        hear_event(bob, tag, 0, "", true);
                    hear_nothing(bob);
                }
        let_move();
        crash_with(DISK_SIM_NONE);
    }
    ck_assert_uint_eq(scene->core->call_count, 0);
}
END_TEST

START_TEST(test_what_an_event_says)
{
    hear_confirm(alice, say_entity(alice, "a", 0, "first"));
    scene_advance_ms(scene, 77);
    uint64_t then = scene->now_ms;
    hear_confirm(alice, say_entity(alice, "a", 1, "second"));
    uint64_t tag = say_read(bob, "a", 0, 2, 0);
    struct frame frame;
    ck_assert(actor_next(bob, &frame));
    ck_assert_str_eq(frame_name(frame.header.type), "EVENT");
    ck_assert_uint_eq(frame.header.tag, tag);
    const struct frame_event *event = &frame.as.event;
    ck_assert_uint_eq(event->sequence, 2);
    ck_assert_uint_eq(event->version, 2);
    ck_assert_uint_eq(event->time_ms, then);
    ck_assert(wire_bytes_equal(event->key, wire_bytes_of_text("entity")));
    ck_assert_uint_eq(property_find_number(event->properties, PROPERTY_MESSAGE_PREVIOUS, 0), 1);
}
END_TEST

/* More than one round looks at. */
START_TEST(test_very_many)
{
    for (unsigned i = 0; i < 60; i++)
        hear_confirm(alice, say_append(alice, "a", i * 50, i * 50 + 1, 50));
    for (uint8_t flags = 0; flags <= FLAG_BACKWARD; flags += FLAG_BACKWARD) {
        uint64_t tag = say_read(bob, "a", flags, 0, 0);
        scene_settle(scene);
        for (unsigned i = 1; i <= 3000; i++) {
            unsigned version = flags == 0 ? i : 3001 - i;
            char body[32];
            snprintf(body, sizeof body, "append %u", version);
            hear_event(bob, tag, version, body, i == 3000);
        }
        let_move();
    }
}
END_TEST

/* A reader that takes nothing is waited for; others go on. */
START_TEST(test_a_slow_reader)
{
    for (unsigned i = 0; i < 40; i++)
        hear_confirm(alice, say_append(alice, "a", i * 50, i * 50 + 1, 50));
    bob->is_stalled = true;
    uint64_t tag = read_without_waiting(bob, "a", 0);
    scene_settle(scene);
    ck_assert_uint_le(actor_unsent(bob), scene->limits.unsent_bytes_max + 4096);
    ck_assert_uint_eq(scene->core->call_count, 1);
    uint64_t other = say_read(alice, "a", FLAG_BACKWARD, 0, 1);
    hear_event(alice, other, 2000, "append 2000", true);
    bob->is_stalled = false;
    scene_settle(scene);
    for (unsigned i = 1; i <= 2000; i++) {
        char body[32];
        snprintf(body, sizeof body, "append %u", i);
        hear_event(bob, tag, i, body, i == 2000);
    }
}
END_TEST

/* What is not durable is not told, and what comes meanwhile belongs to the next reader. */
START_TEST(test_while_it_is_written_to)
{
    hear_confirm(alice, say_entity(alice, "a", 0, "1"));
    scene_hold_syncs(scene);
    (void)say_entity(alice, "a", 1, "2");
    uint64_t tag = read_without_waiting(bob, "a", 0);
    scene_settle(scene);
    hear_nothing(bob);
    (void)say_entity(alice, "a", 2, "3");
    scene_release_syncs(scene);
    hear_event(bob, tag, 1, "1", false);
    hear_event(bob, tag, 2, "2", true);
    hear_nothing(bob);
}
END_TEST

/* --- how it ends --------------------------------------------------------------------------------
 */

START_TEST(test_what_is_refused_at_once)
{
    struct frame frame = {.header.type = FRAME_READ};
    hear_confirm(alice, say_entity(alice, "a", 0, "x"));
    hear_refuse(bob, say_read(bob, "A", 0, 0, 0), STATUS_NO_ENTITY);
    hear_refuse(bob, say_read(bob, "", 0, 0, 0), STATUS_BAD_NAME);
    frame.as.read.exchange = wire_bytes_of_text("none");
    frame.as.read.entity = wire_bytes_of_text("a");
    hear_refuse(bob, actor_say(bob, &frame), STATUS_NO_EXCHANGE);
    do_exchange(alice, "plain");
    frame.as.read.exchange = wire_bytes_of_text("plain");
    frame.header.tag = 0;
    hear_refuse(bob, actor_say(bob, &frame), STATUS_NO_HISTORY);
    scene->core->limits.calls_max = 0;
    hear_refuse(bob, say_read(bob, "a", 0, 0, 0), STATUS_LIMIT);
    ck_assert_uint_eq(scene->core->call_count, 0);
}
END_TEST

START_TEST(test_the_reader_goes)
{
    write_versions();
    let_move();
    (void)read_without_waiting(bob, "a", 0);
    (void)read_without_waiting(alice, "a", 0);
    scene_round(scene); /* a read is out */
    ck_assert_uint_eq(scene->core->call_count, 2);
    actor_cut(bob);
    ck_assert_uint_eq(scene->core->call_count, 1);
    scene_settle(scene);
    for (unsigned i = 1; i <= VERSIONS; i++)
        hear_event(alice, alice->tag, i, NULL, i == VERSIONS);
    ck_assert_uint_eq(scene->core->call_count, 0);
    ck_assert_uint_eq(scene->core->feed_bytes, 0);
}
END_TEST

START_TEST(test_the_exchange_goes)
{
    write_versions();
    let_move();
    uint64_t tag = read_without_waiting(bob, "a", 0);
    scene_round(scene);
    (void)say_exchange_delete(alice, "book", 0);
    hear_end(bob, tag, STATUS_NO_EXCHANGE);
    ck_assert_uint_eq(scene->core->call_count, 0);
}
END_TEST

START_TEST(test_a_file_that_cannot_be_read)
{
    write_versions();
    let_move();
    disk_sim_fail_at(scene->sim, disk_sim_operations(scene->sim), DISK_SIM_READ, DISK_SIM_ONCE,
                     EIO);
    hear_end(bob, say_read(bob, "a", 0, 0, 0), STATUS_UNREADABLE);
    uint64_t tag = say_read(bob, "a", 0, 40, 0); /* the next one has more luck */
    hear_event(bob, tag, 40, "40", true);
}
END_TEST

/* The table and the events do not fit: another entity of the same hash, say. */
START_TEST(test_what_does_not_fit)
{
    write_versions();
    struct entities *entities = &history_of("book")->entities;
    struct entity_key key = entities_key(entities, wire_bytes_of_text("strange"));
    ck_assert_int_eq(entities_reserve(entities, key), STATUS_OK);
    entities_set(entities, key, 1, 1);
    hear_end(bob, say_read(bob, "strange", 0, 0, 0), STATUS_UNREADABLE);
    hear_end(bob, say_read(bob, "strange", FLAG_BACKWARD, 0, 0), STATUS_UNREADABLE);
}
END_TEST

/* All of its events have gone, or the older ones. */
START_TEST(test_what_retention_has_left)
{
    write_versions();
    publish_sized(100, 900);
    hear_confirm(alice, say_entity(alice, "a", 40, "41"));
    let_move();
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_COUNT_MAX, 50));
    uint64_t tag = say_read(bob, "a", 0, 0, 0);
    hear_event(bob, tag, 41, "41", true);
    tag = say_read(bob, "a", FLAG_BACKWARD, 0, 0);
    hear_event(bob, tag, 41, "41", true);
    tag = say_read(bob, "a", FLAG_BACKWARD, 40, 0);
    hear_event(bob, tag, 0, "", true);
    tag = say_read(bob, "other", 0, 0, 0);
    hear_event(bob, tag, 0, "", true);
    tag = say_read(bob, "other", FLAG_BACKWARD | FLAG_FROM_SNAPSHOT, 0, 0);
    hear_event(bob, tag, 0, "", true);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("entity_read");
    TCase *tcase = tcase_create("entity_read");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, histories_set_up, histories_tear_down);
    tcase_add_test(tcase, test_every_beginning_against_a_plain_list);
    tcase_add_test(tcase, test_what_an_event_says);
    tcase_add_test(tcase, test_very_many);
    tcase_add_test(tcase, test_a_slow_reader);
    tcase_add_test(tcase, test_while_it_is_written_to);
    tcase_add_test(tcase, test_what_is_refused_at_once);
    tcase_add_test(tcase, test_the_reader_goes);
    tcase_add_test(tcase, test_the_exchange_goes);
    tcase_add_test(tcase, test_a_file_that_cannot_be_read);
    tcase_add_test(tcase, test_what_does_not_fit);
    tcase_add_test(tcase, test_what_retention_has_left);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
