/* Histories at their edges: cursors of many holes, readers who are many, what was retired or
 * deleted while somebody looked, and files that cannot be read or written. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/history.h"
#include "protocol/append.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

static uint64_t follow_cursor(struct actor *actor, uint32_t consumer, const char *pattern,
                              uint32_t prefetch)
{
    return say_follow_with(actor, &(struct frame_follow){.consumer = consumer,
                                                         .pattern = wire_bytes_of_text(pattern),
                                                         .cursor = wire_bytes_of_text("projection"),
                                                         .from = FOLLOW_FIRST,
                                                         .prefetch_messages = prefetch});
}

/* So much goes through a queue that segments of the journal come and go. */
static void fill_journal(unsigned bytes)
{
    static unsigned char body[8192];
    for (unsigned sent = 0; sent < bytes; sent += sizeof body) {
        hear_confirm(alice, say_send_bytes(alice, "filler", body, sizeof body));
        struct heard heard = hear_delivery(alice, NULL);
        hear_confirm(alice, say_done(alice, heard.delivery, heard.delivery));
    }
}

/* --- cursors ------------------------------------------------------------------------------------
 */

/* Each event that is done leaves a hole before the next one that matches: that must not be what the
 * cursor is full of. */
START_TEST(test_a_cursor_goes_on_behind_many_that_do_not_match)
{
    publish_events(1, 1400);
    hear_confirm(bob, follow_cursor(bob, 1, "even.*", 1000));
    scene_settle(scene);
    uint64_t first = hear_delivery(bob, "event 2").delivery;
    for (unsigned i = 4; i <= 1400; i += 2)
        ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, i);
    for (uint64_t i = 1; i < 700; i++)
        hear_confirm(bob, say_done(bob, first + i, first + i));
    hear_confirm(bob, say_done(bob, first, first));
    ck_assert_uint_ge(ask_queue(alice, "projection", "at"), 1400);
    publish_events(1401, 1402);
    hear_delivery(bob, "event 1402");
    crash_with(DISK_SIM_NONE);
    hear_confirm(bob, follow_cursor(bob, 1, "even.*", 1000));
    hear_delivery(bob, "event 1402");
    hear_nothing(bob);
}
END_TEST

/* What is done between events that are not is listed in one record, which must fit. */
START_TEST(test_a_cursor_of_many_ranges_is_stated_again)
{
    enum { EVENTS = 9000 };
    do_queue(alice, "filler");
    do_consume(alice, 9, "filler", 1);
    publish_events(1, EVENTS);
    hear_confirm(bob, follow_cursor(bob, 1, "#", EVENTS));
    scene_settle(scene);
    bool is_done[EVENTS + 1] = {false};
    struct frame frame;
    while (actor_next(bob, &frame))
        if (frame.header.type == FRAME_DELIVER && frame.as.deliver.number % 2 == 0) {
            is_done[frame.as.deliver.number] = true;
            (void)say_done(bob, frame.as.deliver.delivery, frame.as.deliver.delivery);
        }
    ck_assert(is_done[2000]);
    fill_journal(8 * SCENE_SEGMENT_BYTES);
    ck_assert_uint_le(journal_figures(scene->journal).segment_count, 6);
    crash_with(DISK_SIM_NONE);
    hear_confirm(bob, follow_cursor(bob, 1, "#", 100));
    for (unsigned i = 1, heard = 0; heard < 100; i++)
        if (!is_done[i]) {
            ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, i);
            heard++;
        }
}
END_TEST

/* Whoever moves a cursor wants all from there on, whatever was under way. */
START_TEST(test_what_was_out_before_a_seek_is_stale)
{
    publish_events(1, 20);
    hear_confirm(bob, follow_cursor(bob, 1, "#", 10));
    uint64_t first = hear_delivery(bob, "event 1").delivery;
    for (unsigned i = 2; i <= 10; i++)
        hear_delivery(bob, NULL);
    (void)say_done(bob, first, first + 4);
    struct actor *carol = enter_as(scene, "");
    (void)follow_cursor(carol, 1, "#", 3);
    (void)say_seek("projection", FOLLOW_FIRST, 0);
    hear_out(bob);
    hear_out(carol);
    hear_refuse(bob, say_done(bob, first + 5, first + 9), STATUS_STALE_DELIVERY);
    actor_cut(carol);
    actor_cut(bob);
    scene_settle(scene);
    ck_assert(actor_enter(bob));
    hear_confirm(bob, follow_cursor(bob, 1, "#", 30));
    bool is_seen[21] = {false};
    for (unsigned i = 1; i <= 20; i++) {
        struct heard heard = hear_delivery(bob, NULL);
        ck_assert(!is_seen[heard.sequence]);
        is_seen[heard.sequence] = true;
    }
    hear_nothing(bob);
}
END_TEST

/* It may have been seen before, whichever way it comes again. */
START_TEST(test_what_came_before_a_seek_is_flagged)
{
    publish_events(1, 20);
    hear_confirm(bob, follow_cursor(bob, 1, "#", 5));
    for (unsigned i = 1; i <= 5; i++)
        ck_assert(!hear_delivery(bob, NULL).is_redelivered);
    (void)say_seek("projection", FOLLOW_FIRST, 0);
    hear_confirm(bob, bob->tag);
    for (unsigned i = 1; i <= 5; i++) {
        struct heard heard = hear_delivery(bob, NULL);
        ck_assert_uint_eq(heard.sequence, i);
        ck_assert(heard.is_redelivered);
    }
}
END_TEST

/* A number of a queue must not be taken for the sequence of an event. */
START_TEST(test_nothing_but_events_enters_a_cursor)
{
    publish_events(1, 30);
    hear_confirm(bob, follow_cursor(bob, 1, "#", 1));
    struct heard heard = hear_delivery(bob, "event 1");
    do_queue(alice, "work");
    do_send(alice, "work", "x");
    do_consume(bob, 2, "work", 1);
    struct heard command = hear_delivery(bob, "x");
    hear_confirm(bob, say_fail(bob, command.delivery, "BROKEN"));
    struct frame frame = {.header.type = FRAME_PARKED_REPLACE};
    frame.as.parked_replace = (struct frame_parked_replace){.queue = wire_bytes_of_text("work"),
                                                            .number = command.number,
                                                            .to = wire_bytes_of_text("projection")};
    hear_refuse(alice, actor_say(alice, &frame), STATUS_MISMATCH);
    unsigned char list[64];
    struct wire_writer p = wire_writer_of(list, sizeof list);
    property_put(&p, PROPERTY_MESSAGE_REPLY_TO, wire_bytes_of_text("projection"));
    frame = (struct frame){.header.type = FRAME_SEND};
    frame.as.send =
        (struct frame_send){.queue = wire_bytes_of_text("work"),
                            .properties = wire_bytes_of(list, (uint32_t)wire_written(&p))};
    hear_refuse(alice, actor_say(alice, &frame), STATUS_NO_QUEUE);
    crash_with(DISK_SIM_NONE);
    hear_confirm(bob, follow_cursor(bob, 1, "#", 30));
    for (unsigned i = 1; i <= 30; i++)
        ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, i);
    (void)heard;
}
END_TEST

/* A copy of an event is one of the queue like any other, over a start, too, whatever its publisher
 * asked of queues. */
START_TEST(test_events_that_ask_for_more)
{
    static const struct {
        uint8_t kind;
        uint64_t value;
    } asked[] = {{PROPERTY_MESSAGE_PRIORITY, 9},      {PROPERTY_MESSAGE_PRIORITY, 0},
                 {PROPERTY_MESSAGE_DELAY, 3000},      {PROPERTY_MESSAGE_TTL, 20000},
                 {PROPERTY_MESSAGE_TIMEOUT, 20000},   {PROPERTY_MESSAGE_ATTEMPTS, 2},
                 {PROPERTY_MESSAGE_BACKOFF_MAX, 100}, {PROPERTY_MESSAGE_LANE, 0}};
    enum { COUNT = sizeof asked / sizeof asked[0] };
    hear_confirm(bob, follow_cursor(bob, 1, "#", 100));
    for (size_t i = 0; i < COUNT; i++) {
        unsigned char list[64];
        struct wire_writer p = wire_writer_of(list, sizeof list);
        if (asked[i].kind == PROPERTY_MESSAGE_LANE)
            property_put(&p, PROPERTY_MESSAGE_LANE, wire_bytes_of_text("lane"));
        else
            property_put_number(&p, asked[i].kind, asked[i].value);
        struct frame frame = {.header.type = FRAME_PUBLISH};
        frame.as.publish =
            (struct frame_publish){.exchange = wire_bytes_of_text("book"),
                                   .key = wire_bytes_of_text("k"),
                                   .properties = wire_bytes_of(list, (uint32_t)wire_written(&p))};
        hear_confirm(alice, actor_say(alice, &frame));
    }
    struct heard heard[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        heard[i] = hear_delivery(bob, NULL);
    for (size_t i = 0; i < COUNT; i++) {
        struct frame frame = {.header.type = FRAME_FAIL};
        frame.as.fail = (struct frame_fail){.start = bob->start,
                                            .delivery = heard[i].delivery,
                                            .code = wire_bytes_of_text("BAD"),
                                            .retry_after_ms = 1000};
        hear_confirm(bob, actor_say(bob, &frame));
    }
    let_move();
    hear_out(bob);
    for (int crash = 0; crash < 2; crash++) {
        crash_with(DISK_SIM_NONE);
        hear_confirm(bob, follow_cursor(bob, 1, "#", 100));
        let_move();
        bool is_there[COUNT + 1] = {false};
        struct frame frame;
        unsigned count = 0;
        while (actor_next(bob, &frame)) {
            if (frame.header.type != FRAME_DELIVER)
                continue;
            ck_assert(!is_there[frame.as.deliver.number]);
            is_there[frame.as.deliver.number] = true;
            count++;
        }
        ck_assert_uint_eq(count, COUNT);
    }
}
END_TEST

/* What the cursor was is in a segment that goes before the one that says how far it handed out. */
START_TEST(test_a_deleted_exchange_leaves_no_half_of_its_cursors)
{
    do_queue(alice, "filler");
    do_consume(alice, 9, "filler", 1);
    hear_confirm(bob, follow_cursor(bob, 1, "#", 10));
    fill_journal(SCENE_SEGMENT_BYTES + 32000);
    publish_events(1, 3);
    hear_events(1, 1, 3);
    hear_confirm(alice, say_exchange_delete(alice, "book", 0));
    for (int i = 0; i < 30; i++) {
        fill_journal(48000);
        scene_kill(scene);
        ck_assert(actor_enter(alice));
        do_consume(alice, 9, "filler", 1);
    }
    ck_assert_uint_eq(ask_rows(alice, QUERY_QUEUES, "", 0, 0, NULL), 1);
}
END_TEST

START_TEST(test_a_refused_follow_makes_no_cursor)
{
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    hear_refuse(bob, follow_cursor(bob, 1, "#", 10), STATUS_CONSUMER_EXISTS);
    ck_assert_uint_eq(ask_rows(alice, QUERY_QUEUES, "", 0, 0, NULL), 0);
}
END_TEST

/* --- reading ------------------------------------------------------------------------------------
 */

static void hear_kept(struct actor *actor, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i <= to; i++) {
        if (i % 200 == 0)
            scene_settle(scene);
        ck_assert_uint_eq(hear_delivery(actor, NULL).sequence, i);
    }
}

/* Readers who take nothing hold on to what was read for them, as long as nobody else needs it. */
START_TEST(test_a_reader_gets_what_idle_ones_hold)
{
    enum { IDLE = 12 };
    struct actor *idle[IDLE];
    histories_tear_down();
    struct core_limits limits = scene_limits();
    limits.history_file_bytes = 1 << 20;
    histories_set_up_with(&limits);
    publish_sized(1500, 2000);
    let_move();
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    bob->is_stalled = true;
    for (int i = 0; i < IDLE; i++) {
        idle[i] = enter_as(scene, "");
        idle[i]->is_stalled = true;
        (void)say_follow_with(
            idle[i], &(struct frame_follow){.consumer = 1, .from = FOLLOW_SEQUENCE, .at = 200});
    }
    scene_settle(scene);
    bob->is_stalled = false;
    scene_settle(scene);
    hear_kept(bob, 1, 1500);
    for (int i = 0; i < IDLE; i++) {
        idle[i]->is_stalled = false;
        scene_settle(scene);
        hear_confirm(idle[i], 1);
        hear_kept(idle[i], 200, 1500);
    }
}
END_TEST

/* What was picked may go before it is given out; then comes the next one picked, and not the oldest
 * that is there. */
START_TEST(test_the_last_of_each_key_while_retention_goes_on)
{
    static const char *const keys[] = {"a", "b"};
    char large[2000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    for (unsigned i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "large.%u", i);
        do_publish(alice, "book", key, large);
    }
    for (unsigned i = 0; i < 200; i++)
        do_publish(alice, "book", keys[i % 2], "old");
    for (unsigned i = 0; i < 2; i++)
        do_publish(alice, "book", keys[i], "new");
    bob->is_stalled = true;
    (void)say_follow(1, FOLLOW_LAST, 0);
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_COUNT_MAX, 10));
    bob->is_stalled = false;
    scene_settle(scene);
    hear_confirm(bob, 1);
    unsigned count = 0;
    struct frame frame;
    while (actor_next(bob, &frame)) {
        if (frame.header.type != FRAME_DELIVER)
            continue;
        count++;
        ck_assert(!wire_bytes_equal(frame.as.deliver.body, wire_bytes_of_text("old")));
    }
    ck_assert_uint_ge(count, 2 + 20);
    ck_assert_uint_lt(count, 2 + 100);
}
END_TEST

/* The disk cannot be read for once. */
static void break_read(void)
{
    disk_sim_fail_at(scene->sim, disk_sim_operations(scene->sim), DISK_SIM_READ, DISK_SIM_ONCE,
                     EIO);
}

START_TEST(test_a_cursor_can_be_read_again_after_an_error)
{
    publish_events(1, 1000);
    let_move();
    break_read();
    hear_confirm(bob, follow_cursor(bob, 1, "#", 10));
    hear_gone(bob, 1, STATUS_UNREADABLE);
    hear_confirm(bob, follow_cursor(bob, 1, "#", 10));
    scene_settle(scene);
    hear_events(1, 1, 10);
}
END_TEST

START_TEST(test_one_to_be_tried_again_while_files_cannot_be_read)
{
    publish_events(1, 1);
    hear_confirm(bob, follow_cursor(bob, 1, "#", 1));
    struct heard heard = hear_delivery(bob, "event 1");
    publish_events(2, 1000);
    let_move();
    struct frame frame = {.header.type = FRAME_FAIL};
    frame.as.fail = (struct frame_fail){.start = bob->start,
                                        .delivery = heard.delivery,
                                        .code = wire_bytes_of_text("BUSY"),
                                        .retry_after_ms = 100};
    (void)actor_write(bob, &frame);
    break_read();
    actor_flush(bob);
    scene_settle(scene);
    break_read();
    scene_advance_ms(scene, 200);
    hear_out(bob);
    disk_sim_fail_at(scene->sim, UINT64_MAX, DISK_SIM_ANY, DISK_SIM_ONCE, 0);
    (void)follow_cursor(bob, 1, "#", 1);
    (void)follow_cursor(bob, 2, "#", 1000);
    scene_settle(scene);
    ck_assert_uint_eq(ask_queue(alice, "projection", "running"), 1000);
}
END_TEST

/* --- entities -----------------------------------------------------------------------------------
 */

/* Retention overtakes the one who walks back over the events of an entity. */
START_TEST(test_a_read_that_retention_overtakes)
{
    for (unsigned i = 1; i <= 3000; i++) {
        char body[32];
        snprintf(body, sizeof body, "%u", i);
        hear_confirm(alice, say_entity(alice, "a", EXPECT_ANY, body));
    }
    struct frame frame = {.header.type = FRAME_READ, .header.tag = ++bob->tag};
    frame.as.read = (struct frame_read){wire_bytes_of_text("book"), wire_bytes_of_text("a"), 0, 0};
    (void)actor_write(bob, &frame);
    actor_flush(bob);
    for (int i = 0; i < 4; i++)
        scene_step(scene, 4);
    (void)say_exchange_set("book", PROPERTY_EXCHANGE_COUNT_MAX, 100);
    hear_out(alice);
    scene_settle(scene);
    for (unsigned i = 2901; i <= 3000; i++) {
        char body[32];
        snprintf(body, sizeof body, "%u", i);
        hear_event(bob, frame.header.tag, i, body, i == 3000);
    }
}
END_TEST

/* Not even with the value 0, which a start would have taken for the broker's word. */
START_TEST(test_what_only_the_broker_says)
{
    static const uint8_t kinds[] = {PROPERTY_MESSAGE_SEQUENCE, PROPERTY_MESSAGE_VERSION,
                                    PROPERTY_MESSAGE_PREVIOUS};
    static const char *const exchanges[] = {"book", "plain"};
    do_exchange(alice, "plain");
    for (size_t i = 0; i < 6; i++) {
        unsigned char list[64];
        unsigned char events[128];
        struct wire_writer p = wire_writer_of(list, sizeof list);
        property_put_number(&p, kinds[i % 3], 0);
        struct wire_bytes properties = wire_bytes_of(list, (uint32_t)wire_written(&p));
        struct frame frame = {.header.type = FRAME_PUBLISH};
        frame.as.publish = (struct frame_publish){.exchange = wire_bytes_of_text(exchanges[i / 3]),
                                                  .key = wire_bytes_of_text("k"),
                                                  .properties = properties};
        hear_refuse(alice, actor_say(alice, &frame), STATUS_BAD_PROPERTY);
        if (i >= 3)
            continue;
        struct wire_writer l = wire_writer_of(events, sizeof events);
        append_put(
            &l, &(struct append_event){.key = wire_bytes_of_text("k"), .properties = properties});
        frame = (struct frame){.header.type = FRAME_APPEND};
        frame.as.append =
            (struct frame_append){.exchange = wire_bytes_of_text("book"),
                                  .entity = wire_bytes_of_text("a"),
                                  .expect = EXPECT_ANY,
                                  .body_bytes = (uint32_t)wire_written(&l),
                                  .body = wire_bytes_of(events, (uint32_t)wire_written(&l))};
        hear_refuse(alice, actor_say(alice, &frame), STATUS_BAD_PROPERTY);
    }
    scene_kill(scene);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_exchange("book", "last"), 0);
}
END_TEST

/* --- files --------------------------------------------------------------------------------------
 */

/* All have gone by their age, and so has every record that named one of them: what goes on is told
 * by the record of the history alone. */
START_TEST(test_sequences_go_on_when_all_is_gone)
{
    do_queue(alice, "filler");
    do_consume(alice, 9, "filler", 1);
    publish_events(1, 300);
    hear_confirm(alice, say_entity(alice, "a", EXPECT_NONE, "x"));
    let_move();
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_AGE_MAX, 1000));
    let_move();
    ck_assert_uint_eq(ask_exchange("book", "first"), 302);
    fill_journal(8 * SCENE_SEGMENT_BYTES);
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(ask_exchange("book", "last"), 301);
    hear_refuse(alice, say_entity(alice, "a", EXPECT_NONE, "x"), STATUS_VERSION_CONFLICT);
    publish_events(302, 303);
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    hear_events(1, 302, 303);
}
END_TEST

static size_t count_files(const char *prefix)
{
    size_t count = 0;
    const char *name;
    for (size_t i = 0; (name = disk_sim_name(scene->sim, i)) != NULL; i++)
        count += strncmp(name, prefix, strlen(prefix)) == 0;
    return count;
}

/* A file of entities that did not fit must not keep the disk full. */
START_TEST(test_entities_that_could_not_be_saved_leave_no_file)
{
    for (unsigned i = 0; i < 900; i++) {
        char entity[32];
        snprintf(entity, sizeof entity, "entity %u", i);
        hear_confirm(alice, say_entity(alice, entity, EXPECT_NONE, "x"));
    }
    publish_sized(60, 2000);
    for (int i = 0; i < 20; i++) {
        publish_sized(10, 2000);
        disk_sim_set_room(scene->sim, disk_sim_used(scene->sim) + 16000);
        scene_advance_ms(scene, 1000);
        disk_sim_set_room(scene->sim, UINT64_MAX);
        ck_assert_uint_eq(count_files("entities-"), 0);
    }
    let_move();
    publish_sized(100, 2000);
    let_move();
    ck_assert_uint_eq(count_files("entities-"), 1);
    ck_assert_uint_gt(history_of("book")->entities_stated, 0);
}
END_TEST

/* Much is in the journal when the broker starts and saves entities; then that is moved to files,
 * and there is reason to save them again, although nothing has come. */
static void begin_with_much_to_move(void)
{
    struct core_limits limits = scene_limits();
    limits.history_save_bytes = 16 << 10;
    histories_tear_down();
    histories_set_up_with(&limits);
    hear_confirm(alice, say_entity(alice, "a", EXPECT_NONE, "x"));
    publish_sized(20, 1000);
    scene_step(scene, 1000);
    disk_sim_set_room(scene->sim, disk_sim_used(scene->sim));
    publish_sized(60, 1000);
    scene_die(scene);
    disk_sim_set_room(scene->sim, UINT64_MAX);
    disk_sim_kill(scene->sim);
}

/* Until all is there again, a crash would find neither the file that is stated nor a new one. */
START_TEST(test_saved_entities_are_there_at_any_moment)
{
    for (uint64_t crash = 0; crash < 300; crash++) {
        begin_with_much_to_move();
        disk_sim_crash_at(scene->sim, disk_sim_operations(scene->sim) + crash);
        if (scene_start(scene))
            for (int i = 0; i < 10; i++)
                scene_advance_ms(scene, 1000);
        bool is_over = !disk_sim_is_stopped(scene->sim);
        scene_die(scene);
        disk_sim_power_loss(scene->sim, (enum disk_sim_policy)(crash % DISK_SIM_POLICIES), crash);
        ck_assert_msg(scene_start(scene), "%s", scene->failure.text);
        if (is_over)
            return;
    }
    ck_abort_msg("it goes on and on");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history edges");
    TCase *tcase = tcase_create("history edges");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, histories_set_up, histories_tear_down);
    tcase_add_test(tcase, test_a_cursor_goes_on_behind_many_that_do_not_match);
    tcase_add_test(tcase, test_a_cursor_of_many_ranges_is_stated_again);
    tcase_add_test(tcase, test_what_was_out_before_a_seek_is_stale);
    tcase_add_test(tcase, test_what_came_before_a_seek_is_flagged);
    tcase_add_test(tcase, test_nothing_but_events_enters_a_cursor);
    tcase_add_test(tcase, test_events_that_ask_for_more);
    tcase_add_test(tcase, test_a_deleted_exchange_leaves_no_half_of_its_cursors);
    tcase_add_test(tcase, test_a_refused_follow_makes_no_cursor);
    tcase_add_test(tcase, test_a_reader_gets_what_idle_ones_hold);
    tcase_add_test(tcase, test_the_last_of_each_key_while_retention_goes_on);
    tcase_add_test(tcase, test_a_cursor_can_be_read_again_after_an_error);
    tcase_add_test(tcase, test_one_to_be_tried_again_while_files_cannot_be_read);
    tcase_add_test(tcase, test_a_read_that_retention_overtakes);
    tcase_add_test(tcase, test_what_only_the_broker_says);
    tcase_add_test(tcase, test_sequences_go_on_when_all_is_gone);
    tcase_add_test(tcase, test_entities_that_could_not_be_saved_leave_no_file);
    tcase_add_test(tcase, test_saved_entities_are_there_at_any_moment);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
