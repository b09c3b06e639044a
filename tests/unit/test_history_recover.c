/* What a start makes of the files of histories: what is left over goes, what is wrong is refused
 * with its name, and then nothing is changed. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/saver.h"
#include "protocol/frame.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

#define FIRST_FILE "history-00000001-0000000000000001"

static struct kept {
    unsigned char *at;
    size_t bytes;
} kept;

static void keep(const char *name)
{
    const unsigned char *at = disk_sim_bytes(scene->sim, name, &kept.bytes);
    ck_assert_ptr_nonnull(at);
    kept.at = malloc(kept.bytes);
    ck_assert_ptr_nonnull(kept.at);
    memcpy(kept.at, at, kept.bytes);
}

static void put_back(const char *name)
{
    disk_sim_put(scene->sim, name, kept.at, kept.bytes);
    free(kept.at);
}

/* Retention took the file that was written to; a power failure brought its name back after the next
 * file was begun. */
START_TEST(test_a_retired_file_need_not_be_finished)
{
    publish_events(1, 10);
    let_move();
    keep(FIRST_FILE);
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_AGE_MAX, 5000));
    for (int i = 0; i < 10; i++)
        scene_advance_ms(scene, 1000);
    ck_assert(!disk_sim_has(scene->sim, FIRST_FILE));
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_AGE_MAX, 0));
    publish_events(11, 20);
    let_move();
    ck_assert(disk_sim_has(scene->sim, "history-00000001-000000000000000b"));
    put_back(FIRST_FILE);
    crash_with(DISK_SIM_ALL);
    ck_assert(!disk_sim_has(scene->sim, FIRST_FILE));
    ck_assert_uint_eq(ask_exchange("book", "first"), 11);
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    scene_settle(scene);
    hear_events(1, 11, 20);
}
END_TEST

/* --- what is wrong ------------------------------------------------------------------------------
 */

enum { FILES_MAX = 16 };

/* A history in several files, a file of entities, and events in the journal; the process has ended.
 */
static struct disk_sim *base;
static char names[FILES_MAX][64];
static unsigned name_count;

static int compare_names(const void *left, const void *right)
{
    return strcmp(left, right);
}

static void set_up_files(void)
{
    histories_set_up();
    for (unsigned i = 1; i <= 10; i++)
        hear_confirm(alice, say_entity(alice, "account", i - 1, "x"));
    publish_events(11, 3000);
    let_move();
    saver_want(scene->core, exchange_find(scene->core, wire_bytes_of_text("book"))->history);
    scene_settle(scene);
    publish_events(3001, 3010);
    scene_die(scene);
    disk_sim_kill(scene->sim);
    disk_sim_calm(scene->sim);
    base = scene->sim;
    const char *name;
    name_count = 0;
    for (size_t i = 0; (name = disk_sim_name(base, i)) != NULL; i++)
        if (strncmp(name, "segment-", 8) != 0 && strncmp(name, "spare-", 6) != 0)
            snprintf(names[name_count++], sizeof names[0], "%s", name);
    qsort(names, name_count, sizeof names[0], compare_names);
    ck_assert_uint_ge(name_count, 4);
    ck_assert_int_eq(strncmp(names[0], "entities-", 9), 0);
    ck_assert_str_eq(names[1], FIRST_FILE);
    scene->sim = disk_sim_clone(base);
}

static void tear_down_files(void)
{
    histories_tear_down();
    disk_sim_free(base);
}

static void begin_anew(void)
{
    disk_sim_free(scene->sim);
    scene->sim = disk_sim_clone(base);
}

/* The start is refused, names a file of the archive, and has changed nothing, but for trying to
 * remove the pages of the index of an earlier one. */
static void expect_refusal(const char *name)
{
    uint64_t changes = disk_sim_changes(scene->sim);
    ck_assert_msg(!scene_start(scene), "%s is not missed", name);
    ck_assert_msg(strncmp(scene->failure.file, "history-", 8) == 0 ||
                      strncmp(scene->failure.file, "entities-", 9) == 0,
                  "%s: no file is named: %s", name, scene->failure.text);
    ck_assert_uint_eq(disk_sim_changes(scene->sim), changes + 1);
    begin_anew();
}

/* Other bytes under a name. */
static void put_instead(const char *name, const void *at, size_t bytes)
{
    disk_sim_take_away(scene->sim, name);
    disk_sim_put(scene->sim, name, at, bytes);
}

START_TEST(test_the_whole_starts)
{
    ck_assert_msg(scene_start(scene), "%s", scene->failure.text);
    ck_assert(actor_enter(alice));
    ck_assert(actor_enter(bob));
    hear_confirm(bob, say_follow(1, FOLLOW_SEQUENCE, 11));
    scene_settle(scene);
    hear_events(1, 11, 3010);
}
END_TEST

START_TEST(test_missing)
{
    for (unsigned i = 0; i < name_count; i++) {
        disk_sim_take_away(scene->sim, names[i]);
        expect_refusal(names[i]);
    }
}
END_TEST

static void cut(const char *name, uint64_t bytes)
{
    if (bytes >= disk_sim_size(base, name))
        return;
    disk_sim_cut(scene->sim, name, bytes);
    expect_refusal(name);
}

START_TEST(test_cut)
{
    for (unsigned i = 0; i < name_count; i++)
        for (uint64_t bytes = 0; bytes < disk_sim_size(base, names[i]); bytes += 512) {
            cut(names[i], bytes);
            cut(names[i], bytes + 511);
            if (bytes > 8192)
                bytes += 16384; /* they are all alike */
        }
}
END_TEST

START_TEST(test_longer)
{
    for (unsigned i = 1; i + 1 < name_count; i++) {
        size_t bytes;
        const unsigned char *at = disk_sim_bytes(base, names[i], &bytes);
        unsigned char *longer = calloc(1, bytes + 512);
        memcpy(longer, at, bytes);
        put_instead(names[i], longer, bytes + 512);
        free(longer);
        expect_refusal(names[i]);
    }
}
END_TEST

/* Also what a copy from elsewhere does: one file under the name of another. */
START_TEST(test_swapped)
{
    for (unsigned i = 0; i < name_count; i++)
        for (unsigned j = 0; j < name_count; j++) {
            size_t bytes;
            const unsigned char *at = disk_sim_bytes(base, names[j], &bytes);
            if (i == j)
                continue;
            put_instead(names[i], at, bytes);
            expect_refusal(names[i]);
        }
}
END_TEST

START_TEST(test_irregular)
{
    for (unsigned i = 0; i < name_count; i++) {
        disk_sim_take_away(scene->sim, names[i]);
        disk_sim_put_irregular(scene->sim, names[i]);
        expect_refusal(names[i]);
    }
}
END_TEST

/* Every byte of the headers of the files, of the first blocks, and of the index. */
START_TEST(test_flipped)
{
    for (unsigned i = 0; i < name_count; i++) {
        bool is_finished = i > 0 && i + 1 < name_count;
        uint64_t size = disk_sim_size(base, names[i]);
        for (uint64_t offset = 0; offset < 512; offset++) {
            disk_sim_flip(scene->sim, names[i], offset, (unsigned char)(1 << offset % 8));
            expect_refusal(names[i]);
        }
        for (uint64_t back = 1; is_finished && back <= 16; back++) {
            disk_sim_flip(scene->sim, names[i], size - back, 1);
            expect_refusal(names[i]);
        }
        if (is_finished)
            continue;
        for (uint64_t offset = 512; offset < 576 && offset < size; offset++) {
            disk_sim_flip(scene->sim, names[i], offset, 128);
            expect_refusal(names[i]);
        }
    }
}
END_TEST

/* A file as it was before events were added to it, or before it was finished. */
START_TEST(test_older_copies)
{
    disk_sim_free(base);
    histories_tear_down();
    histories_set_up();
    publish_events(1, 100);
    let_move();
    keep(FIRST_FILE);
    publish_events(101, 200);
    let_move();
    scene_die(scene);
    disk_sim_kill(scene->sim);
    disk_sim_calm(scene->sim);
    base = disk_sim_clone(scene->sim);
    put_instead(FIRST_FILE, kept.at, kept.bytes);
    expect_refusal("an older copy");
    ck_assert(scene_start(scene));
    ck_assert(actor_enter(alice));
    publish_events(201, 3000);
    let_move();
    scene_die(scene);
    disk_sim_kill(scene->sim);
    disk_sim_calm(scene->sim);
    disk_sim_free(base);
    base = disk_sim_clone(scene->sim);
    put_instead(FIRST_FILE, kept.at, kept.bytes);
    free(kept.at);
    expect_refusal("an older copy of a finished file");
}
END_TEST

/* What would be left over is not, when it is the journal that is missing. */
START_TEST(test_the_journal_is_missing)
{
    const char *name;
    for (size_t i = 0; (name = disk_sim_name(scene->sim, i)) != NULL;)
        if (strncmp(name, "segment-", 8) == 0 || strncmp(name, "spare-", 6) == 0)
            disk_sim_take_away(scene->sim, name);
        else
            i++;
    expect_refusal("the journal");
}
END_TEST

/* One call fails once: the start is refused, or nothing came of it. */
START_TEST(test_the_disk_fails)
{
    static const enum disk_sim_operation kinds[] = {DISK_SIM_READ, DISK_SIM_OPEN, DISK_SIM_LIST};
    uint64_t now = disk_sim_operations(scene->sim);
    bool has_failed = true;
    for (uint64_t i = 0; has_failed; i++) {
        disk_sim_fail_at(scene->sim, now + i, kinds[_i], DISK_SIM_ONCE, EIO);
        bool has_started = scene_start(scene);
        has_failed = disk_sim_has_failed(scene->sim);
        ck_assert(has_started || has_failed);
        disk_sim_fail_at(scene->sim, UINT64_MAX, kinds[_i], DISK_SIM_ONCE, 0);
        if (has_started) {
            ck_assert(actor_enter(alice));
            ck_assert_uint_eq(ask_exchange("book", "last"), 3010);
            hear_confirm(alice, say_entity(alice, "account", 10, "x"));
            scene_die(scene);
        }
        begin_anew();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history_recover");
    TCase *tcase = tcase_create("history_recover");
    tcase_add_checked_fixture(tcase, histories_set_up, histories_tear_down);
    tcase_add_test(tcase, test_a_retired_file_need_not_be_finished);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("damage");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, set_up_files, tear_down_files);
    tcase_add_test(tcase, test_the_whole_starts);
    tcase_add_test(tcase, test_missing);
    tcase_add_test(tcase, test_cut);
    tcase_add_test(tcase, test_longer);
    tcase_add_test(tcase, test_swapped);
    tcase_add_test(tcase, test_irregular);
    tcase_add_test(tcase, test_flipped);
    tcase_add_test(tcase, test_older_copies);
    tcase_add_test(tcase, test_the_journal_is_missing);
    tcase_add_loop_test(tcase, test_the_disk_fails, 0, 3);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
