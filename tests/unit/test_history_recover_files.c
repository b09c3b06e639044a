/* Histories at a start: every file that may be missing, damaged or left over, and that nothing is
 * changed when something is wrong. */
#include "broker/core/history_recover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/history.h"
#include "broker/store/crc32c.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

enum { EVENTS = 400, FILES_MAX = 64, NAME_BYTES = 48 };

/* A file as it was. */
struct kept_file {
    char name[NAME_BYTES];
    unsigned char *at;
    size_t bytes;
};

static struct kept_file files[FILES_MAX]; /* of the history, oldest first; then the entities */
static size_t file_count;                 /* of events */
static uint32_t number;                   /* of the exchange */
static uint64_t moved;
static struct disk_sim *base; /* the disk as it was */

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct kept_file *)left)->name, ((const struct kept_file *)right)->name);
}

static size_t take_files(const char *prefix, struct kept_file *out)
{
    const char *name;
    size_t count = 0;
    for (size_t i = 0; (name = disk_sim_name(scene->sim, i)) != NULL; i++) {
        if (strncmp(name, prefix, strlen(prefix)) != 0)
            continue;
        size_t bytes;
        const unsigned char *at = disk_sim_bytes(scene->sim, name, &bytes);
        ck_assert_uint_lt(count, FILES_MAX - 1);
        snprintf(out[count].name, NAME_BYTES, "%s", name);
        out[count].bytes = bytes;
        out[count].at = malloc(bytes + 1);
        memcpy(out[count++].at, at, bytes);
    }
    qsort(out, count, sizeof *out, compare);
    return count;
}

static struct kept_file *entities_file(void)
{
    return &files[file_count];
}

static struct kept_file *open_file(void)
{
    return &files[file_count - 1];
}

/* Four hundred events, each of an entity, in finished files, an open one and the journal, and a
 * file of entities; the broker is down. */
static void set_up(void)
{
    histories_set_up();
    struct core_limits limits = scene->limits;
    limits.history_save_bytes = 32 << 10;
    core_set_limits(scene->core, &limits);
    scene->limits = limits;
    for (unsigned i = 1; i <= EVENTS; i++) {
        char entity[32];
        char body[480];
        snprintf(entity, sizeof entity, "entity %u", i);
        memset(body, 'x', sizeof body - 1);
        body[sizeof body - 1] = '\0';
        hear_confirm(alice, say_entity(alice, entity, EXPECT_NONE, body));
        if (i % 40 == 0 && i < EVENTS)
            let_move();
    }
    const struct history *history = history_of("book");
    number = history->number;
    moved = history->moved;
    ck_assert_uint_gt(history->entities_stated, 0);
    ck_assert_uint_lt(history->entities_stated, moved);
    ck_assert_uint_lt(moved, EVENTS);
    scene_die(scene);
    disk_sim_kill(scene->sim);
    disk_sim_calm(scene->sim);
    file_count = take_files("history-", files);
    ck_assert_uint_ge(file_count, 4);
    ck_assert_uint_eq(take_files("entities-", entities_file()), 1);
    base = disk_sim_clone(scene->sim);
}

static void tear_down(void)
{
    for (size_t i = 0; i <= file_count; i++)
        free(files[i].at);
    disk_sim_free(base);
    histories_tear_down();
}

/* Whatever a broker has done since. The broker is down. */
static void reset(void)
{
    disk_sim_free(scene->sim);
    scene->sim = disk_sim_clone(base);
}

static void put(const char *name, const void *at, size_t bytes)
{
    if (disk_sim_has(scene->sim, name))
        disk_sim_take_away(scene->sim, name);
    disk_sim_put(scene->sim, name, at, bytes);
}

static void restore(const struct kept_file *file)
{
    put(file->name, file->at, file->bytes);
}

static void down(void)
{
    scene_die(scene);
    disk_sim_kill(scene->sim);
}

/* All is there: the events, and the versions of their entities. */
static void expect_whole(void)
{
    ck_assert_msg(scene_start(scene), "%s: %s", scene->failure.file, scene->failure.text);
    scene_settle(scene);
    ck_assert(actor_enter(alice));
    ck_assert(actor_enter(bob));
    ck_assert_uint_eq(ask_exchange("book", "first"), 1);
    ck_assert_uint_eq(ask_exchange("book", "last"), EVENTS);
    ck_assert_uint_eq(ask_exchange("book", "entities"), EVENTS);
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    scene_settle(scene);
    for (unsigned i = 1; i <= EVENTS; i++) {
        if (i % 64 == 0)
            scene_settle(scene);
        ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, i);
    }
    for (unsigned i = 1; i <= EVENTS; i += 57) {
        char entity[32];
        snprintf(entity, sizeof entity, "entity %u", i);
        hear_refuse(alice, say_entity(alice, entity, EXPECT_NONE, "x"), STATUS_VERSION_CONFLICT);
    }
    down();
}

/* The start is refused, says why, and leaves all files of histories as they are. */
static void expect_refused(const char *file, const char *text)
{
    struct kept_file before[FILES_MAX];
    struct kept_file after[FILES_MAX];
    static const char *const prefixes[] = {"history-", "entities-"};
    scene->failure = (struct journal_failure){.text = ""};
    for (int i = 0; i < 2; i++) {
        size_t count = take_files(prefixes[i], before);
        bool has_started = scene_start(scene);
        ck_assert(!has_started);
        ck_assert_uint_eq(take_files(prefixes[i], after), count);
        for (size_t k = 0; k < count; k++) {
            ck_assert_str_eq(before[k].name, after[k].name);
            ck_assert_uint_eq(before[k].bytes, after[k].bytes);
            ck_assert_mem_eq(before[k].at, after[k].at, before[k].bytes);
            free(before[k].at);
            free(after[k].at);
        }
        disk_sim_kill(scene->sim);
    }
    if (strstr(scene->failure.text, text) == NULL || strstr(scene->failure.file, file) == NULL)
        ck_abort_msg("'%s' of '%s' expected, '%s' of '%s' came", text, file, scene->failure.text,
                     scene->failure.file);
}

/* --- missing ------------------------------------------------------------------------------------
 */

START_TEST(test_all_is_well)
{
    expect_whole();
    expect_whole();
}
END_TEST

START_TEST(test_each_file_of_events_is_missed)
{
    for (size_t i = 0; i < file_count; i++) {
        disk_sim_take_away(scene->sim, files[i].name);
        expect_refused("", "missing");
        restore(&files[i]);
    }
    expect_whole();
}
END_TEST

START_TEST(test_all_files_are_missed)
{
    for (size_t i = 0; i < file_count; i++)
        disk_sim_take_away(scene->sim, files[i].name);
    expect_refused("", "missing");
    for (size_t i = 0; i < file_count; i++)
        restore(&files[i]);
    expect_whole();
}
END_TEST

START_TEST(test_the_entities_are_missed)
{
    disk_sim_take_away(scene->sim, entities_file()->name);
    expect_refused(entities_file()->name, "it is missing");
    restore(entities_file());
    expect_whole();
}
END_TEST

/* --- damaged ------------------------------------------------------------------------------------
 */

START_TEST(test_files_that_are_cut)
{
    for (size_t i = 0; i <= file_count; i++) {
        disk_sim_cut(scene->sim, files[i].name, files[i].bytes - 1);
        if (i == file_count - 1)
            expect_refused(files[i].name, "it ends before what the journal says it holds");
        else if (i == file_count)
            expect_refused(files[i].name, "it ends before what it must hold");
        else
            expect_refused(files[i].name, "it does not end with its index");
        disk_sim_cut(scene->sim, files[i].name, 100);
        expect_refused(files[i].name, i == file_count ? "it is shorter than its header" : "it ");
        disk_sim_cut(scene->sim, files[i].name, 0);
        expect_refused(files[i].name, "it is shorter than its header");
        restore(&files[i]);
    }
    expect_whole();
}
END_TEST

static void expect_flip_refused(const struct kept_file *file, uint64_t offset, const char *text)
{
    disk_sim_flip(scene->sim, file->name, offset, 0x10);
    expect_refused(file->name, text);
    disk_sim_flip(scene->sim, file->name, offset, 0x10);
}

START_TEST(test_bytes_that_are_wrong)
{
    for (size_t i = 0; i <= file_count; i++)
        for (uint64_t offset = 0; offset < ARCHIVE_HEADER_BYTES; offset += 37)
            expect_flip_refused(&files[i], offset, "its header does not verify");
    expect_flip_refused(&files[0], files[0].bytes - 10, "it does not end with its index");
    /* The header of the first block is looked at in the open file; its payload when it is read. */
    expect_flip_refused(open_file(), ARCHIVE_HEADER_BYTES + 0x10, "no block stands where one");
    expect_flip_refused(entities_file(), ARCHIVE_HEADER_BYTES, "entities do not verify");
    expect_flip_refused(entities_file(), ARCHIVE_HEADER_BYTES + 20, "entities do not verify");
    expect_flip_refused(entities_file(), entities_file()->bytes - 1, "entities do not verify");
    expect_whole();
}
END_TEST

/* The events that came after the entities were saved are read at the start. */
START_TEST(test_events_that_cannot_be_read)
{
    expect_flip_refused(open_file(), ARCHIVE_HEADER_BYTES + ARCHIVE_BLOCK_HEADER_BYTES + 5,
                        "a block does not verify");
    expect_whole();
}
END_TEST

/* What an older one need not understand. */
START_TEST(test_files_of_a_newer_version)
{
    for (size_t i = 0; i <= file_count; i++) {
        unsigned char *at = malloc(files[i].bytes);
        memcpy(at, files[i].at, files[i].bytes);
        wire_store_u32(at + 0x08, ARCHIVE_FORMAT + 1);
        uint32_t crc = crc32c(0, at, 0x0c);
        wire_store_u32(at + 0x0c, crc32c(crc, at + 0x10, ARCHIVE_HEADER_BYTES - 0x10));
        put(files[i].name, at, files[i].bytes);
        free(at);
        expect_refused(files[i].name, "newer version");
        restore(&files[i]);
    }
    expect_whole();
}
END_TEST

START_TEST(test_files_under_wrong_names)
{
    put(files[1].name, files[2].at, files[2].bytes);
    expect_refused(files[1].name, "its header does not verify");
    restore(&files[1]);
    put(open_file()->name, files[1].at, files[1].bytes);
    expect_refused(open_file()->name, "its header does not verify");
    restore(open_file());
    expect_whole();
}
END_TEST

/* --- left over ----------------------------------------------------------------------------------
 */

static void name_print(char *name, const char *prefix, uint32_t exchange, uint64_t first)
{
    snprintf(name, NAME_BYTES, "%s-%08" PRIx32 "-%016" PRIx64, prefix, exchange, first);
}

/* Whatever it holds, it goes. */
static void expect_gone(const char *prefix, uint32_t exchange, uint64_t first)
{
    char name[NAME_BYTES];
    name_print(name, prefix, exchange, first);
    for (int i = 0; i < 3; i++) {
        reset();
        put(name, i == 2 ? files[0].at : (const void *)"garbage",
            i == 2 ? files[0].bytes : 7 * (size_t)i);
        expect_whole();
        ck_assert_msg(!disk_sim_has(scene->sim, name), "%s is still there", name);
    }
}

START_TEST(test_what_a_crash_has_left)
{
    expect_gone("history", number, moved + 1);
    expect_gone("history", number, 1 << 20);
    expect_gone("history", number + 7, 1);
    expect_gone("entities", number + 7, 1);
    expect_gone("entities", number, 3);
    expect_gone("entities", number, EVENTS - 1);
}
END_TEST

/* The file was to be ended by another one, and that was not recorded any more; or the next piece.
 */
START_TEST(test_what_stands_behind_the_end)
{
    size_t end = open_file()->bytes;
    unsigned char *at = calloc(1, end + 9000);
    memcpy(at, open_file()->at, end);
    memcpy(at + end, files[0].at + files[0].bytes - 512, 512);
    for (size_t more = 1; more < 9000; more = more * 3 + 7) {
        reset();
        put(open_file()->name, at, end + more);
        expect_whole();
    }
    free(at);
}
END_TEST

START_TEST(test_what_is_not_ours)
{
    static const char *const names[] = {
        "history-1-1", "history-00000001-000000000000000g", "history-00000001-00000000000000001",
        "entities-",   "HISTORY-00000001-0000000000000009", "history-00000001-000000000000000A",
        "notes"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        put(names[i], "x", 1);
    expect_whole();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(disk_sim_has(scene->sim, names[i]), "%s", names[i]);
}
END_TEST

/* A start behind what is wrong is refused before anything that is left over goes. */
START_TEST(test_nothing_goes_when_something_is_wrong)
{
    char name[NAME_BYTES];
    name_print(name, "history", number, 1 << 20);
    put(name, "x", 1);
    put("history-00000099-0000000000000001", "x", 1);
    disk_sim_take_away(scene->sim, entities_file()->name);
    expect_refused(entities_file()->name, "it is missing");
    ck_assert(disk_sim_has(scene->sim, name));
    restore(entities_file());
    expect_whole();
    ck_assert(!disk_sim_has(scene->sim, name));
}
END_TEST

/* --- what retention had done with ---------------------------------------------------------------
 */

static void retire(uint64_t count_max)
{
    ck_assert(scene_start(scene));
    scene_settle(scene);
    ck_assert(actor_enter(alice));
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_COUNT_MAX, count_max));
    let_move();
    down();
    disk_sim_calm(scene->sim);
}

/* The removal of a file is not durable when the next file is; and whatever the old one is, it does
 * not matter any more. */
START_TEST(test_retired_files_that_are_back)
{
    retire(10);
    ck_assert(!disk_sim_has(scene->sim, files[0].name));
    for (int damage = 0; damage < 3; damage++) {
        restore(&files[0]);
        restore(&files[1]);
        if (damage == 1)
            disk_sim_cut(scene->sim, files[0].name, files[0].bytes - 600); /* it has no index */
        if (damage == 2)
            disk_sim_flip(scene->sim, files[1].name, 3, 1);
        ck_assert_msg(scene_start(scene), "%s", scene->failure.text);
        ck_assert(!disk_sim_has(scene->sim, files[0].name));
        ck_assert(!disk_sim_has(scene->sim, files[1].name));
        down();
    }
}
END_TEST

/* All events are gone, by their age; the file that was written to was among them. */
START_TEST(test_the_retired_open_file_that_is_back)
{
    ck_assert(scene_start(scene));
    scene_settle(scene);
    ck_assert(actor_enter(alice));
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_AGE_MAX, 60000));
    let_move();
    scene_advance_ms(scene, 100000);
    let_move();
    ck_assert_uint_eq(ask_exchange("book", "first"), EVENTS + 1);
    ck_assert_uint_eq(history_of("book")->file_count, 0);
    publish_events(1, 3);
    let_move();
    ck_assert_uint_eq(history_of("book")->file_count, 1);
    down();
    disk_sim_calm(scene->sim);
    restore(open_file()); /* it has no index */
    ck_assert_msg(scene_start(scene), "%s: %s", scene->failure.file, scene->failure.text);
    ck_assert(!disk_sim_has(scene->sim, open_file()->name));
    scene_settle(scene);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_exchange("book", "first"), EVENTS + 1);
    ck_assert_uint_eq(ask_exchange("book", "last"), EVENTS + 3);
}
END_TEST

/* --- secrets ------------------------------------------------------------------------------------
 */

START_TEST(test_secrets)
{
    ck_assert(scene_start(scene));
    const struct core *core = scene->core;
    const unsigned char *secret = history_secret(core, number);
    ck_assert_mem_eq(secret, history_of("book")->entities.secret, ARCHIVE_SECRET_BYTES);
    ck_assert_mem_ne(secret, core->secret, ARCHIVE_SECRET_BYTES); /* of an earlier start */
    ck_assert_mem_eq(history_secret(core, number + 1), core->secret, ARCHIVE_SECRET_BYTES);
    unsigned char before[ARCHIVE_SECRET_BYTES];
    memcpy(before, secret, sizeof before);
    down();
    ck_assert(scene_start(scene));
    ck_assert_mem_eq(history_secret(scene->core, number), before, sizeof before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history_recover");
    TCase *tcase = tcase_create("history_recover");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_all_is_well);
    tcase_add_test(tcase, test_each_file_of_events_is_missed);
    tcase_add_test(tcase, test_all_files_are_missed);
    tcase_add_test(tcase, test_the_entities_are_missed);
    tcase_add_test(tcase, test_files_that_are_cut);
    tcase_add_test(tcase, test_bytes_that_are_wrong);
    tcase_add_test(tcase, test_events_that_cannot_be_read);
    tcase_add_test(tcase, test_files_of_a_newer_version);
    tcase_add_test(tcase, test_files_under_wrong_names);
    tcase_add_test(tcase, test_what_a_crash_has_left);
    tcase_add_test(tcase, test_what_stands_behind_the_end);
    tcase_add_test(tcase, test_what_is_not_ours);
    tcase_add_test(tcase, test_nothing_goes_when_something_is_wrong);
    tcase_add_test(tcase, test_retired_files_that_are_back);
    tcase_add_test(tcase, test_the_retired_open_file_that_is_back);
    tcase_add_test(tcase, test_secrets);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
