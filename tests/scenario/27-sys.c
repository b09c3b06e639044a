/* What the broker tells of itself on `$sys`: each row of the table by what brings it about, with
 * all the fields that it has there; once for a state that lasts; and nothing while nobody listens.
 */
#include <stdio.h>
#include <string.h>

#include "broker/core/state.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

enum {
    BODY_BYTES = 3000,
    TRANSIENT_BYTES_MAX = 200000, /* less than a stalled subscriber may leave behind */
};

static struct scene *scene;
static struct actor *alice;
static struct actor *bob;
static struct actor *watcher;

static const char *const fields[][8] = {
#define SYS(NAME, name, key, text) [SYS_##NAME] = {"\"time_ms\":",
#define SYS_NUMBER(field, text) "\"" #field "\":",
#define SYS_TEXT(field, text) "\"" #field "\":\"",
#define SYS_END(NAME, name)                                                                        \
    NULL                                                                                           \
    }                                                                                              \
    ,
#include "broker/core/sys.def"
};

static const char *const keys[] = {
#define SYS(NAME, name, key, text) [SYS_##NAME] = key,
#include "broker/core/sys.def"
};

static void set_up(void)
{
    struct core_limits limits = scene_limits();
    limits.transient_bytes_max = TRANSIENT_BYTES_MAX;
    limits.lane_window = 8;
    scene = scene_new_with(23, &limits);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    watcher = enter_as(scene, "");
}

static void tear_down(void)
{
    scene_free(scene);
}

static void watch(const char *pattern)
{
    hear_confirm(watcher, say_subscribe(watcher, 1, SYS_EXCHANGE, pattern));
}

/* The next event that the watcher has: of this type, with the fields of the table in their order,
 * and with this part. */
static void hear_sys(enum sys_type type, const char *part)
{
    struct frame frame;
    char body[SCENE_MESSAGE_BYTES_MAX];
    ck_assert_msg(actor_next(watcher, &frame), "%s did not come", keys[type]);
    ck_assert_uint_eq(frame.header.type, FRAME_DELIVER);
    ck_assert_msg(wire_bytes_equal(frame.as.deliver.key, wire_bytes_of_text(keys[type])),
                  "%.*s came instead of %s", (int)frame.as.deliver.key.bytes,
                  (const char *)frame.as.deliver.key.at, keys[type]);
    (void)snprintf(body, sizeof body, "%.*s", (int)frame.as.deliver.body.bytes,
                   (const char *)frame.as.deliver.body.at);
    const char *at = body;
    for (size_t i = 0; fields[type][i] != NULL; i++) {
        at = strstr(at, fields[type][i]);
        ck_assert_msg(at != NULL, "%s is not in its place in %s", fields[type][i], body);
    }
    ck_assert_msg(strstr(body, part) != NULL, "%s is not in %s", part, body);
    ck_assert_int_eq(body[0], '{');
    ck_assert_int_eq(body[strlen(body) - 1], '}');
}

static const char *large_body(void)
{
    static char body[BODY_BYTES + 1];
    memset(body, 'x', BODY_BYTES);
    return body;
}

START_TEST(test_connections)
{
    watch("connection.*");
    struct actor *carol = enter_as(scene, "carol-1");
    hear_sys(SYS_CONNECTION_OPENED, "\"client\":\"carol-1\"");
    say_goodbye(carol);
    hear_sys(SYS_CONNECTION_CLOSED, "\"code\":\"GOODBYE\"");
    hear_out(carol);
    actor_cut(carol);
    hear_nothing(watcher);
    struct actor *dave = enter_as(scene, "");
    hear_sys(SYS_CONNECTION_OPENED, "\"client\":\"\"");
    actor_cut(dave);
    scene_settle(scene);
    hear_sys(SYS_CONNECTION_CLOSED, "\"code\":\"\"");
    struct actor *stranger = scene_actor(scene, "");
    actor_connect(stranger);
    actor_cut(stranger);
    scene_settle(scene);
    hear_nothing(watcher); /* it was never let in */
}
END_TEST

START_TEST(test_queues_and_exchanges)
{
    watch("#");
    do_queue(alice, "work");
    hear_sys(SYS_QUEUE_CREATED, "\"queue\":\"work\"");
    do_queue(alice, "work"); /* the same again */
    hear_nothing(watcher);
    do_send(alice, "work", "a");
    hear_confirm(alice, say_queue_delete(alice, "work", 0));
    hear_sys(SYS_QUEUE_DELETED, "\"queue\":\"work\",\"messages\":1");
    hear_confirm(bob, say_queue_with(bob, "own", FLAG_QUEUE_EXCLUSIVE, 0, 0));
    hear_sys(SYS_QUEUE_CREATED, "\"queue\":\"own\"");
    do_exchange(alice, "news");
    hear_sys(SYS_EXCHANGE_CREATED, "\"exchange\":\"news\"");
    hear_confirm(alice, say_subscribe(alice, 7, "news", "#")); /* no queue to tell of */
    hear_confirm(bob, say_exchange_delete(bob, "news", 0));
    hear_sys(SYS_EXCHANGE_DELETED, "\"exchange\":\"news\"");
    hear_gone(alice, 7, STATUS_NO_EXCHANGE);
    hear_confirm(alice, say_exchange(alice, "light", FLAG_TRANSIENT));
    hear_sys(SYS_EXCHANGE_CREATED, "\"exchange\":\"light\"");
    hear_confirm(alice, say_exchange_delete(alice, "light", 0));
    hear_sys(SYS_EXCHANGE_DELETED, "\"exchange\":\"light\"");
    actor_cut(bob);
    scene_settle(scene);
    hear_sys(SYS_CONNECTION_CLOSED, "");
    hear_sys(SYS_QUEUE_DELETED, "\"queue\":\"own\"");
    hear_nothing(watcher);
}
END_TEST

/* What it tells of is on disk before. */
START_TEST(test_nothing_is_told_before_it_is_sure)
{
    watch("queue.*");
    scene_hold_syncs(scene);
    uint64_t tag = say_queue(alice, "work");
    hear_nothing(watcher);
    scene_release_syncs(scene);
    hear_confirm(alice, tag);
    hear_sys(SYS_QUEUE_CREATED, "\"queue\":\"work\"");
}
END_TEST

START_TEST(test_a_queue_that_refuses_overflows_once)
{
    hear_confirm(alice, say_queue_with(alice, "work", 0, 16, 0));
    watch("queue.*");
    for (int i = 0; i < 16; i++)
        do_send(alice, "work", "x");
    hear_nothing(watcher);
    for (int i = 0; i < 3; i++)
        hear_refuse(alice, say_send(alice, "work", "x"), STATUS_OVERFLOW);
    hear_sys(SYS_QUEUE_OVERFLOW, "\"queue\":\"work\",\"messages\":16,\"bytes\":16");
    do_consume(bob, 1, "work", 16);
    (void)say_done(bob, 1, 1);
    do_send(alice, "work", "x");
    hear_refuse(alice, say_send(alice, "work", "x"), STATUS_OVERFLOW);
    hear_nothing(watcher); /* it never got far from its limit */
    (void)say_done(bob, 2, 3);
    hear_sys(SYS_QUEUE_HAS_ROOM, "\"messages\":14");
    hear_out(alice);
    for (int i = 0; i < 3; i++)
        (void)say_send(alice, "work", "x");
    hear_sys(SYS_QUEUE_OVERFLOW, "\"queue\":\"work\"");
    hear_out(alice);
    hear_confirm(alice, say_queue_delete(alice, "work", 0));
    hear_sys(SYS_QUEUE_DELETED, "\"queue\":\"work\"");
    hear_nothing(watcher);
}
END_TEST

START_TEST(test_queues_that_drop_overflow_too)
{
    struct frame frame = {.header.type = FRAME_QUEUE_CREATE};
    unsigned char settings[64];
    struct wire_writer w = wire_writer_of(settings, sizeof settings);
    property_put_number(&w, PROPERTY_QUEUE_COUNT_MAX, 4);
    property_put_number(&w, PROPERTY_QUEUE_OVERFLOW, QUEUE_DROP_OLDEST);
    frame.as.queue_create.queue = wire_bytes_of_text("newest");
    frame.as.queue_create.settings = wire_bytes_of(settings, (uint32_t)wire_written(&w));
    hear_confirm(alice, actor_say(alice, &frame));
    hear_confirm(alice, say_queue_with(alice, "light", FLAG_QUEUE_TRANSIENT, 4, 0));
    do_exchange(alice, "news");
    do_bind(alice, "light", "news", "#");
    watch("queue.*");
    for (int i = 0; i < 10; i++)
        do_send(alice, "newest", "x");
    hear_sys(SYS_QUEUE_OVERFLOW, "\"queue\":\"newest\",\"messages\":4");
    hear_nothing(watcher);
    for (int i = 0; i < 10; i++)
        do_publish(alice, "news", "a", "x");
    hear_sys(SYS_QUEUE_OVERFLOW, "\"queue\":\"light\",\"messages\":4");
    hear_nothing(watcher);
    hear_confirm(alice, say_queue_purge(alice, "newest"));
    hear_sys(SYS_QUEUE_HAS_ROOM, "\"queue\":\"newest\",\"messages\":0");
}
END_TEST

/* The queue that overflows is the one that hears of it. */
START_TEST(test_what_sys_brings_about_does_not_keep_it_going)
{
    struct frame frame = {.header.type = FRAME_QUEUE_CREATE};
    unsigned char settings[64];
    struct wire_writer w = wire_writer_of(settings, sizeof settings);
    property_put_number(&w, PROPERTY_QUEUE_COUNT_MAX, 1);
    property_put_number(&w, PROPERTY_QUEUE_OVERFLOW, QUEUE_DROP_OLDEST);
    frame.as.queue_create.queue = wire_bytes_of_text("audit");
    frame.as.queue_create.settings = wire_bytes_of(settings, (uint32_t)wire_written(&w));
    hear_confirm(alice, actor_say(alice, &frame));
    do_bind(alice, "audit", SYS_EXCHANGE, "#");
    uint64_t before = ask_queue(alice, "audit", "accepted");
    for (int i = 0; i < 10; i++)
        do_exchange(alice, (const char *[]){"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}[i]);
    scene_advance_ms(scene, 1000);
    ck_assert_uint_eq(ask_queue(alice, "audit", "accepted") - before, 11); /* and one overflow */
    hear_confirm(bob, say_queue_with(bob, "strict", 0, 1, 0));
    do_bind(alice, "strict", SYS_EXCHANGE, "exchange.*");
    do_exchange(alice, "k");
    do_exchange(alice, "l");
    scene_advance_ms(scene, 1000);
    ck_assert_uint_eq(ask_queue(alice, "strict", "messages"), 1);
    ck_assert_uint_ge(ask_stat(alice, "sys_events_lost"), 1);
}
END_TEST

START_TEST(test_slow_subscribers)
{
    struct actor *carol = enter_as(scene, "carol-1");
    do_exchange(alice, "news");
    hear_confirm(carol, say_subscribe(carol, 9, "news", "#"));
    watch("subscriber.*");
    carol->is_stalled = true;
    int count = 0;
    do {
        ck_assert_int_lt(count++, 200);
        (void)say_publish_with(alice, "news", "a", large_body(), FLAG_TRANSIENT);
    } while (ask_stat(alice, "events_missed") < 3);
    hear_sys(SYS_SUBSCRIBER_SLOW, "\"consumer\":9,\"client\":\"carol-1\"");
    hear_nothing(watcher);
    carol->is_stalled = false;
    scene_settle(scene);
    hear_sys(SYS_SUBSCRIBER_CAUGHT_UP, "\"missed\":3");
    hear_nothing(watcher);
}
END_TEST

START_TEST(test_memory)
{
    hear_confirm(alice, say_queue_with(alice, "light", FLAG_QUEUE_TRANSIENT, 0, 0));
    watch("memory.*");
    int taken = 0;
    struct frame frame;
    for (bool is_refused = false; !is_refused; taken++) {
        (void)say_send_with(alice, "light", large_body(), FLAG_TRANSIENT | FLAG_CONFIRM);
        while (actor_next(alice, &frame))
            is_refused |= frame.header.type == FRAME_REFUSE;
        ck_assert_int_lt(taken, 100);
    }
    hear_sys(SYS_MEMORY_FULL, "\"bytes\":1");
    (void)say_send_with(alice, "light", large_body(), FLAG_TRANSIENT | FLAG_CONFIRM);
    hear_nothing(watcher);
    hear_confirm(bob, say_queue_purge(bob, "light"));
    hear_sys(SYS_MEMORY_HAS_ROOM, "\"bytes\":");
    hear_nothing(watcher);
}
END_TEST

static uint64_t say_laned(const char *lane)
{
    unsigned char properties[64];
    struct wire_writer w = wire_writer_of(properties, sizeof properties);
    property_put(&w, PROPERTY_MESSAGE_LANE, wire_bytes_of_text(lane));
    struct frame frame = {.header.type = FRAME_SEND};
    frame.as.send.queue = wire_bytes_of_text("work");
    frame.as.send.properties = wire_bytes_of(properties, (uint32_t)wire_written(&w));
    frame.as.send.body = wire_bytes_of_text("x");
    frame.as.send.body_bytes = 1;
    return actor_say(alice, &frame);
}

START_TEST(test_lanes)
{
    do_queue(alice, "work");
    watch("lanes.*");
    for (int i = 0; i < 8; i++)
        hear_confirm(alice, say_laned("a"));
    hear_nothing(watcher);
    hear_refuse(alice, say_laned("a"), STATUS_LIMIT);
    hear_refuse(alice, say_laned("b"), STATUS_LIMIT);
    hear_sys(SYS_LANES_FULL, "\"messages\":8");
    do_consume(bob, 1, "work", 1);
    (void)say_done(bob, 1, 1);
    hear_sys(SYS_LANES_HAVE_ROOM, "\"messages\":7");
    hear_nothing(watcher);
}
END_TEST

/* The alarm gets out although nothing can be written; a durable queue of alarms misses it. */
START_TEST(test_the_disk)
{
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX];
    do_queue(alice, "work");
    watch("disk.*");
    disk_sim_set_room(scene->sim, 6 * (uint64_t)SCENE_SEGMENT_BYTES);
    struct frame frame;
    for (bool is_full = false; !is_full;) {
        (void)say_send_bytes(alice, "work", body, sizeof body);
        scene_advance_ms(scene, 20);
        while (actor_next(alice, &frame))
            is_full |= frame.header.type == FRAME_REFUSE;
    }
    hear_sys(SYS_DISK_FULL, "\"live_bytes\":");
    hear_nothing(watcher);
    disk_sim_set_room(scene->sim, 60 * (uint64_t)SCENE_SEGMENT_BYTES);
    for (int i = 0; i < 100 && journal_is_full(scene->journal); i++) {
        (void)say_send_bytes(alice, "work", body, sizeof body);
        scene_advance_ms(scene, 20);
    }
    hear_sys(SYS_DISK_HAS_ROOM, "\"live_bytes\":");
    hear_nothing(watcher);
}
END_TEST

START_TEST(test_nobody_listens)
{
    do_queue(alice, "work");
    hear_confirm(alice, say_queue_delete(alice, "work", 0));
    watch("command.parked");
    hear_confirm(watcher, say_cancel(watcher, 1));
    do_queue(alice, "work");
    hear_confirm(alice, say_queue_delete(alice, "work", 0));
    ck_assert_uint_eq(scene->core->sys.waiting_count, 0);
    ck_assert_uint_eq(ask_stat(alice, "events_unrouted"), 0);
    ck_assert_uint_eq(ask_stat(alice, "sys_events_lost"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sys");
    TCase *tcase = tcase_create("sys");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_connections);
    tcase_add_test(tcase, test_queues_and_exchanges);
    tcase_add_test(tcase, test_nothing_is_told_before_it_is_sure);
    tcase_add_test(tcase, test_a_queue_that_refuses_overflows_once);
    tcase_add_test(tcase, test_queues_that_drop_overflow_too);
    tcase_add_test(tcase, test_what_sys_brings_about_does_not_keep_it_going);
    tcase_add_test(tcase, test_slow_subscribers);
    tcase_add_test(tcase, test_memory);
    tcase_add_test(tcase, test_lanes);
    tcase_add_test(tcase, test_the_disk);
    tcase_add_test(tcase, test_nobody_listens);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
