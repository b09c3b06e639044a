/* Feeds: every source of events, skipping and seeking, windows that are given up, and ends while
 * something is read. */
#include "broker/core/feed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "broker/core/history.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

enum { WINDOW_BYTES = 256 << 10 };

static const struct feed_terms all = {.pattern = {(const unsigned char *)"#", 1}};

static unsigned woken;

static void on_wake(void *argument)
{
    ck_assert_ptr_eq(argument, &woken);
    woken++;
}

static struct feed *open_feed(const struct feed_terms *terms)
{
    struct feed *feed = feed_new(history_of("book"), terms, on_wake, &woken);
    ck_assert_ptr_nonnull(feed);
    return feed;
}

/* Looks until there is an event or nothing that waiting would bring. */
static enum feed_result look(struct feed *feed, struct operation_message *event)
{
    for (int i = 0; i < 1000; i++) {
        unsigned before = woken;
        enum feed_result result = feed_peek(feed, event);
        if (result == FEED_READING) {
            scene_settle(scene);
            ck_assert_uint_gt(woken, before);
        } else if (result != FEED_AGAIN) {
            return result;
        }
    }
    ck_abort_msg("it reads and reads");
}

static uint64_t sequence_of(const struct operation_message *event)
{
    return property_find_number(event->properties, PROPERTY_MESSAGE_SEQUENCE, 0);
}

/* The next event is this one. */
static void expect(struct feed *feed, uint64_t sequence)
{
    struct operation_message event;
    ck_assert_int_eq(look(feed, &event), FEED_EVENT);
    ck_assert_uint_eq(sequence_of(&event), sequence);
    ck_assert_uint_eq(feed_sequence(feed), sequence);
    feed_pass(feed);
}

static void expect_range(struct feed *feed, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i <= to; i++)
        expect(feed, i);
}

static void expect_end(struct feed *feed)
{
    struct operation_message event;
    ck_assert_int_eq(look(feed, &event), FEED_END);
}

/* Files of this size at most. */
static void set_up_with_files(uint32_t file_bytes)
{
    histories_tear_down();
    struct core_limits limits = scene_limits();
    limits.history_file_bytes = file_bytes;
    histories_set_up_with(&limits);
}

/* --- sources ------------------------------------------------------------------------------------
 */

START_TEST(test_events_in_the_journal)
{
    publish_events(1, 5);
    struct feed *feed = open_feed(&all);
    ck_assert_ptr_eq(feed_history(feed), history_of("book"));
    expect_range(feed, 1, 5);
    expect_end(feed);
    woken = 0;
    publish_events(6, 7);
    ck_assert_uint_eq(woken, 1); /* the first one; it does not wait for the second */
    expect_range(feed, 6, 7);
    expect_end(feed);
    feed_free(feed);
}
END_TEST

/* What is not durable is not given out, whatever it is asked for. */
START_TEST(test_events_that_are_not_on_disk)
{
    struct feed *feed = open_feed(&all);
    struct operation_message event;
    scene_hold_syncs(scene);
    say_publish(alice, "book", "k", "x");
    ck_assert_int_eq(feed_peek(feed, &event), FEED_HELD);
    scene_release_syncs(scene);
    hear_out(alice);
    expect(feed, 1);
    feed_free(feed);
}
END_TEST

START_TEST(test_events_in_the_open_file_and_in_finished_ones)
{
    publish_sized(500, 1000);
    let_move();
    publish_events(501, 520);
    const struct history *history = history_of("book");
    ck_assert_uint_gt(history->file_count, 3);
    ck_assert_uint_eq(history->tail_count, 20);
    struct feed *feed = open_feed(&all);
    expect_range(feed, 1, 520);
    expect_end(feed);
    /* From each place that is the first or the last of a file or of a block, or beside one. */
    for (uint32_t i = 0; i < history->file_count; i++)
        for (int beside = -1; beside <= 1; beside++) {
            uint64_t at = history->files[i].first + (uint64_t)beside;
            feed_seek(feed, at);
            expect_range(feed, at == 0 ? 1 : at, at + 3);
        }
    for (uint32_t i = 0; i < history->spot_count; i++) {
        feed_seek(feed, history->spots[i].sequence - 1);
        expect_range(feed, history->spots[i].sequence - 1, history->spots[i].sequence + 1);
    }
    feed_free(feed);
}
END_TEST

/* An event may be moved between two looks at it. */
START_TEST(test_events_that_are_moved_meanwhile)
{
    struct feed *feed = open_feed(&all);
    publish_events(1, 300);
    expect_range(feed, 1, 100);
    let_move();
    ck_assert_uint_eq(history_of("book")->tail_count, 0);
    expect_range(feed, 101, 200);
    publish_events(301, 310);
    expect_range(feed, 201, 305);
    let_move();
    expect_range(feed, 306, 310);
    expect_end(feed);
    feed_free(feed);
}
END_TEST

/* They have left the journal's memory, too. */
START_TEST(test_events_that_are_fetched)
{
    histories_tear_down();
    scene = scene_new(19);
    scene->options.cache_bytes_max = 1;
    scene_restart(scene);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    hear_confirm(alice, say_create(alice, "book", PROPERTY_EXCHANGE_HISTORY, 1));
    publish_sized(100, 1000);
    do_queue(alice, "other");
    for (int i = 0; i < 30; i++) {
        static const unsigned char large[8192];
        hear_confirm(alice, say_send_bytes(alice, "other", large, sizeof large));
    }
    struct feed *feed = open_feed(&all);
    expect_range(feed, 1, 100);
    feed_free(feed);
}
END_TEST

/* --- what is wanted -----------------------------------------------------------------------------
 */

START_TEST(test_a_pattern)
{
    struct feed_terms terms = {.pattern = wire_bytes_of_text("even.*")};
    publish_events(1, 3000);
    let_move();
    publish_events(3001, 3100);
    struct feed *feed = open_feed(&terms);
    for (uint64_t i = 2; i <= 3100; i += 2)
        expect(feed, i);
    expect_end(feed);
    ck_assert_uint_eq(feed_sequence(feed), 3101);
    feed_free(feed);
}
END_TEST

/* Others have their turn while nothing matches. */
START_TEST(test_many_that_do_not_match)
{
    struct feed_terms terms = {.pattern = wire_bytes_of_text("nothing")};
    struct operation_message event;
    set_up_with_files(1 << 20);
    publish_events(1, 3000);
    let_move();
    struct feed *feed = open_feed(&terms);
    unsigned again = 0;
    enum feed_result result;
    while ((result = feed_peek(feed, &event)) == FEED_AGAIN || result == FEED_READING) {
        again += result == FEED_AGAIN;
        scene_settle(scene);
    }
    ck_assert_int_eq(result, FEED_END);
    ck_assert_uint_ge(again, 2);
    feed_free(feed);
}
END_TEST

START_TEST(test_from_a_time_on)
{
    uint64_t times[40];
    for (int i = 0; i < 40; i++) {
        scene_advance_ms(scene, 700);
        times[i] = scene->now_ms;
        publish_sized(30, 1000);
    }
    for (int moved = 0; moved < 2; moved++) {
        for (int i = 0; i < 40; i++)
            for (int beside = 0; beside <= 1; beside++) {
                struct feed_terms terms = {.pattern = all.pattern,
                                           .from_ms = times[i] + (uint64_t)beside};
                uint64_t first = 30 * (uint64_t)(i + beside) + 1;
                struct feed *feed = open_feed(&terms);
                feed_seek(feed, 1);
                if (first > 1200)
                    expect_end(feed);
                else
                    expect_range(feed, first, first + 2);
                ck_assert_uint_eq(feed_take_missed(feed), 0);
                feed_free(feed);
            }
        let_move();
    }
}
END_TEST

START_TEST(test_skipping_and_seeking_at_random)
{
    set_up_with_files(256 << 10);
    publish_sized(1500, 1000);
    let_move();
    publish_events(1501, 1520);
    struct chance chance = {7};
    struct feed *feed = open_feed(&all);
    uint64_t next = 1;
    for (int i = 0; i < 3000; i++) {
        uint64_t what = chance_below(&chance, 8);
        if (what == 0) {
            next = 1 + chance_below(&chance, 1520);
            feed_seek(feed, next);
        } else if (what == 1 && next < 1510) {
            next += chance_below(&chance, 1520 - next);
            feed_skip(feed, next);
        } else if (next <= 1520) {
            expect(feed, next++);
        } else {
            expect_end(feed);
        }
    }
    feed_free(feed);
}
END_TEST

START_TEST(test_what_retention_took_is_told_once)
{
    publish_events(1, 1000);
    let_move();
    struct feed *feed = open_feed(&all);
    expect_range(feed, 1, 10);
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_COUNT_MAX, 100));
    let_move();
    expect(feed, 901);
    ck_assert_uint_eq(feed_take_missed(feed), 890);
    ck_assert_uint_eq(feed_take_missed(feed), 0);
    expect_range(feed, 902, 1000);
    expect_end(feed);
    publish_events(1001, 1200); /* it waits: it is not behind */
    expect(feed, 1101);
    ck_assert_uint_eq(feed_take_missed(feed), 100);
    feed_free(feed);
}
END_TEST

/* --- windows ------------------------------------------------------------------------------------
 */

/* All of them get on, and together they keep within what windows may take. */
START_TEST(test_many_feeds_share_what_memory_there_is)
{
    enum { FEEDS = 40, EVENTS = 1500 };
    struct feed *feeds[FEEDS];
    uint64_t next[FEEDS];
    struct chance chance = {3};
    unsigned left = FEEDS;
    set_up_with_files(512 << 10);
    publish_sized(EVENTS, 1000);
    let_move();
    for (int i = 0; i < FEEDS; i++) {
        feeds[i] = open_feed(&all);
        next[i] = 1 + chance_below(&chance, EVENTS);
        feed_seek(feeds[i], next[i]);
        if (i % 3 == 0)
            feed_be_random(feeds[i]);
    }
    while (left > 0) {
        unsigned i = (unsigned)chance_below(&chance, FEEDS);
        for (uint64_t count = chance_below(&chance, 300); count > 0 && next[i] <= EVENTS; count--) {
            expect(feeds[i], next[i]++);
            left -= next[i] > EVENTS;
        }
        ck_assert_uint_le(scene->core->feed_bytes, scene->limits.history_read_bytes_max);
    }
    for (int i = 0; i < FEEDS; i++)
        feed_free(feeds[i]);
    ck_assert_uint_eq(scene->core->feed_bytes, 0);
}
END_TEST

/* The one that has read longest ago needs more, and others that do nothing have the memory. */
START_TEST(test_idle_feeds_give_up_their_windows)
{
    set_up_with_files(1 << 20);
    scene->core->limits.history_read_bytes_max = 330 << 10;
    publish_sized(900, 1000);
    let_move();
    struct feed *feed = open_feed(&all);
    feed_be_random(feed);
    expect(feed, 1);
    struct feed *idle = open_feed(&all);
    feed_seek(idle, 900 - 250);
    expect(idle, 900 - 250);
    ck_assert_uint_gt(scene->core->feed_bytes, 190 << 10);
    expect_range(feed, 2, 500);
    expect_range(idle, 900 - 249, 900);
    expect_end(idle);
    feed_free(feed);
    feed_free(idle);
}
END_TEST

/* All memory is on its way to others: when it is there, who waits may have it. */
START_TEST(test_a_feed_waits_while_all_is_being_read)
{
    set_up_with_files(1 << 20);
    scene->core->limits.history_read_bytes_max = WINDOW_BYTES;
    publish_sized(900, 1000);
    let_move();
    struct operation_message event;
    struct feed *first = open_feed(&all);
    struct feed *second = open_feed(&all);
    ck_assert_int_eq(feed_peek(first, &event), FEED_READING);
    ck_assert_int_eq(feed_peek(second, &event), FEED_READING);
    woken = 0;
    scene_settle(scene);
    ck_assert_uint_eq(woken, 2); /* both may look again */
    expect(second, 1);
    expect(first, 1);
    expect_range(second, 2, 900);
    expect_range(first, 2, 900);
    feed_free(first);
    feed_free(second);
}
END_TEST

/* --- ends ---------------------------------------------------------------------------------------
 */

START_TEST(test_a_feed_that_is_freed_while_it_reads)
{
    publish_events(1, 1000);
    let_move();
    struct operation_message event;
    struct feed *feed = open_feed(&all);
    ck_assert_int_eq(feed_peek(feed, &event), FEED_READING);
    woken = 0;
    feed_free(feed);
    struct feed *other = open_feed(&all);
    ck_assert_int_eq(feed_peek(other, &event), FEED_READING);
    hear_confirm(alice, say_exchange_delete(alice, "book", 0));
    feed_free(other);
    scene_settle(scene);
    ck_assert_uint_le(woken, 1);
    ck_assert_uint_eq(scene->core->feed_bytes, 0);
}
END_TEST

START_TEST(test_a_file_that_cannot_be_read)
{
    publish_events(1, 1000);
    let_move();
    struct operation_message event;
    struct feed *feed = open_feed(&all);
    disk_sim_fail_at(scene->sim, disk_sim_operations(scene->sim), DISK_SIM_READ, DISK_SIM_ONCE,
                     EIO);
    ck_assert_int_eq(look(feed, &event), FEED_BROKEN);
    ck_assert_uint_eq(scene->core->feed_bytes, 0);
    expect_range(feed, 1, 1000); /* it was the disk's mood */
    feed_free(feed);
}
END_TEST

START_TEST(test_a_block_that_is_damaged)
{
    publish_sized(200, 1000);
    let_move();
    const struct history *history = history_of("book");
    char name[64];
    snprintf(name, sizeof name, "history-%08" PRIx32 "-%016" PRIx64, history->number,
             history->files[1].first);
    disk_sim_flip(scene->sim, name, ARCHIVE_HEADER_BYTES + ARCHIVE_BLOCK_HEADER_BYTES + 20, 1);
    struct operation_message event;
    struct feed *feed = open_feed(&all);
    expect_range(feed, 1, history->files[0].last);
    ck_assert_int_eq(look(feed, &event), FEED_BROKEN);
    ck_assert_int_eq(look(feed, &event), FEED_BROKEN);
    feed_seek(feed, history->files[2].first); /* beyond it all is well */
    expect_range(feed, history->files[2].first, 200);
    feed_free(feed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("feed");
    TCase *tcase = tcase_create("feed");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, histories_set_up, histories_tear_down);
    tcase_add_test(tcase, test_events_in_the_journal);
    tcase_add_test(tcase, test_events_that_are_not_on_disk);
    tcase_add_test(tcase, test_events_in_the_open_file_and_in_finished_ones);
    tcase_add_test(tcase, test_events_that_are_moved_meanwhile);
    tcase_add_test(tcase, test_events_that_are_fetched);
    tcase_add_test(tcase, test_a_pattern);
    tcase_add_test(tcase, test_many_that_do_not_match);
    tcase_add_test(tcase, test_from_a_time_on);
    tcase_add_test(tcase, test_skipping_and_seeking_at_random);
    tcase_add_test(tcase, test_what_retention_took_is_told_once);
    tcase_add_test(tcase, test_many_feeds_share_what_memory_there_is);
    tcase_add_test(tcase, test_idle_feeds_give_up_their_windows);
    tcase_add_test(tcase, test_a_feed_waits_while_all_is_being_read);
    tcase_add_test(tcase, test_a_feed_that_is_freed_while_it_reads);
    tcase_add_test(tcase, test_a_file_that_cannot_be_read);
    tcase_add_test(tcase, test_a_block_that_is_damaged);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
