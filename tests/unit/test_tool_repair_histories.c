/* heraldd --repair on histories: what is kept is what was published, in order and without a hole,
 * versions do not go back, cursors hear all that comes. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/saver.h"
#include "broker/tool.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/dir_image.h"
#include "tests/support/histories.h"
#include "tests/support/sim_dir.h"

enum { BODY_BYTES = 400, FILES_MAX = 64 };

static char root[64];
static char data[96];
static char *said; /* what the tool printed */
static char names[FILES_MAX][64];
static unsigned name_count;
static unsigned published;

static void set_up(void)
{
    histories_set_up();
    published = 0;
    said = NULL;
    (void)snprintf(root, sizeof root, "/tmp/herald-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    (void)snprintf(data, sizeof data, "%s/data", root);
}

static void tear_down(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
    free(said);
    histories_tear_down();
}

/* --- a life -------------------------------------------------------------------------------------
 */

/* Every tenth event is the next one of the entity `account`. */
static void publish(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char body[BODY_BYTES];
        published++;
        snprintf(body, sizeof body, "event %u %0380d", published, 0);
        if (published % 10 == 0)
            hear_confirm(alice, say_entity(alice, "account", published / 10 - 1, body));
        else
            do_publish(alice, "book", "k", body);
    }
}

/* What was moved to files is in the journal no more. */
static void forget(void)
{
    static unsigned char body[8 << 10];
    let_move();
    do_queue(alice, "filler");
    for (int i = 0; i < 200; i++)
        say_send_bytes(alice, "filler", body, sizeof body);
    hear_out(alice);
    hear_confirm(alice, say_queue_delete(alice, "filler", 0));
    let_move();
}

static void save_entities(void)
{
    saver_want(scene->core, history_of("book"));
    scene_settle(scene);
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(left, right);
}

/* The process ends; names are those of the files of events, oldest first. */
static void go_down(void)
{
    scene_die(scene);
    disk_sim_kill(scene->sim);
    disk_sim_calm(scene->sim);
    const char *name;
    name_count = 0;
    for (size_t i = 0; (name = disk_sim_name(scene->sim, i)) != NULL; i++)
        if (strncmp(name, "history-", 8) == 0)
            snprintf(names[name_count++], sizeof names[0], "%s", name);
    qsort(names, name_count, sizeof names[0], compare_names);
}

static uint64_t first_of(const char *name)
{
    return strtoull(name + strlen("history-00000001-"), NULL, 16);
}

/* --- repairing ----------------------------------------------------------------------------------
 */

/* Runs a tool and keeps what it says. */
static int run(int (*tool)(void))
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/said", root);
    fflush(stdout);
    int before = dup(STDOUT_FILENO);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    ck_assert(before >= 0 && file >= 0 && dup2(file, STDOUT_FILENO) >= 0);
    int code = tool();
    fflush(stdout);
    ck_assert_int_ge(dup2(before, STDOUT_FILENO), 0);
    off_t bytes = lseek(file, 0, SEEK_END);
    free(said);
    said = calloc(1, (size_t)bytes + 1);
    ck_assert_int_eq(pread(file, said, (size_t)bytes, 0), bytes);
    (void)close(before);
    (void)close(file);
    return code;
}

static int verify(void)
{
    return tool_verify(data);
}

static int repair(void)
{
    return tool_repair(data, TOOL_CONSENTED);
}

static void says(const char *text)
{
    ck_assert_msg(strstr(said, text) != NULL, "no '%s' in:\n%s", text, said);
}

static void says_not(const char *text)
{
    ck_assert_msg(strstr(said, text) == NULL, "'%s' in:\n%s", text, said);
}

static void start(void)
{
    ck_assert_msg(scene_start(scene), "%s: %s", scene->failure.file, scene->failure.text);
    scene_settle(scene);
    ck_assert(actor_enter(alice));
    ck_assert(actor_enter(bob));
}

/* The damaged directory is seen to be so, is repaired, is whole then, and a broker starts. What
 * the repair said stays. */
static void repair_and_start(void)
{
    sim_dir_write(scene->sim, data);
    struct dir_image before = dir_image_take(data);
    ck_assert_int_eq(run(verify), 65);
    dir_image_expect(&before, data);
    ck_assert_int_eq(run(repair), 0);
    char *report = said;
    said = NULL;
    const char *kept = strstr(report, "kept whole as\n  ");
    ck_assert_ptr_nonnull(kept);
    char damaged[160];
    ck_assert_int_eq(sscanf(kept, "kept whole as\n  %150s", damaged), 1);
    dir_image_expect(&before, damaged);
    ck_assert_msg(run(verify) == 0, "%s\n%s", report, said);
    free(said);
    said = report;
    disk_sim_free(scene->sim);
    scene->sim = sim_dir_read(data);
    start();
}

/* Events from one to another are there, each what it was, and no other. */
static void expect_events(uint64_t first, uint64_t last)
{
    ck_assert_uint_eq(ask_exchange("book", "first"), first);
    ck_assert_uint_eq(ask_exchange("book", "last"), last);
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    scene_settle(scene);
    for (uint64_t i = first; i <= last; i++) {
        char body[32];
        snprintf(body, sizeof body, "event %u ", (unsigned)i);
        struct heard heard = hear_delivery(bob, NULL);
        ck_assert_uint_eq(heard.sequence, i);
        ck_assert_int_eq(strncmp(heard.body, body, strlen(body)), 0);
    }
    hear_nothing(bob);
    hear_confirm(bob, say_cancel(bob, 1));
}

/* The account can be read from the first of its versions that is kept. */
static void expect_account(uint64_t first, uint64_t last, uint64_t version)
{
    uint64_t tag = say_read(alice, "account", 0, 1, 0);
    scene_settle(scene);
    uint64_t from = (first + 9) / 10;
    uint64_t to = last / 10;
    struct frame frame;
    for (uint64_t i = from; i <= to; i++) {
        ck_assert(actor_next(alice, &frame));
        ck_assert_str_eq(frame_name(frame.header.type), "EVENT");
        ck_assert_uint_eq(frame.header.tag, tag);
        ck_assert_uint_eq(frame.as.event.version, i);
    }
    if (from > to)
        ck_assert(actor_next(alice, &frame));
    hear_nothing(alice);
    hear_refuse(alice, say_entity(alice, "account", version - 1, "x"), STATUS_VERSION_CONFLICT);
    hear_confirm(alice, say_entity(alice, "account", version, "x"));
}

static void spoil(const char *name, uint64_t offset)
{
    disk_sim_flip(scene->sim, name, offset, 0x40);
}

/* --- damage of files ----------------------------------------------------------------------------
 */

START_TEST(test_whole)
{
    publish(1000);
    forget();
    go_down();
    sim_dir_write(scene->sim, data);
    ck_assert_int_eq(run(verify), 0);
    says("events      1 to 1000\n");
    ck_assert_int_eq(run(repair), 0);
    says("nothing to repair");
}
END_TEST

START_TEST(test_an_old_block)
{
    publish(1000);
    save_entities();
    forget();
    go_down();
    ck_assert_uint_ge(name_count, 4);
    spoil(names[1], 700);
    repair_and_start();
    char text[64];
    snprintf(text, sizeof text, "events 1 to %u that are whole", (unsigned)first_of(names[1]) - 1);
    says(text);
    uint64_t first = ask_exchange("book", "first");
    ck_assert(first > first_of(names[1]) && first <= first_of(names[2]));
    expect_events(first, 1000);
    expect_account(first, 1000, 100);
    publish_events(1002, 1010);
    let_move();
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(ask_exchange("book", "first"), first);
    ck_assert_uint_eq(ask_exchange("book", "last"), 1010);
}
END_TEST

/* The larger part is the older one: sequences are given again, and a cursor hears the new events
 * and not what it has kept of the old ones. */
START_TEST(test_a_new_block)
{
    publish(1000);
    struct frame_follow follow = {.consumer = 7,
                                  .from = FOLLOW_SEQUENCE,
                                  .at = 990,
                                  .cursor = wire_bytes_of_text("projection"),
                                  .prefetch_messages = 100};
    hear_confirm(bob, say_follow_with(bob, &follow));
    struct heard heard = {0};
    for (unsigned i = 990; i <= 1000; i++)
        heard = hear_delivery(bob, NULL);
    say_fail(bob, heard.delivery, "broken"); /* of 1000: a copy is kept */
    say_done(bob, heard.delivery - 5, heard.delivery - 1);
    hear_out(bob);
    forget();
    go_down();
    spoil(names[name_count - 1], 700);
    uint64_t last = first_of(names[name_count - 1]) - 1;
    char text[64];
    repair_and_start();
    says("it is given again");
    snprintf(text, sizeof text, "be events 1 to %u.", (unsigned)last);
    says(text);
    expect_events(1, last);
    expect_account(1, last, 100); /* publishes one */
    ck_assert_uint_eq(ask_exchange("book", "last"), last + 1);
    publish_events((unsigned)last + 2, 1010);
    follow.from = FOLLOW_NEXT;
    follow.prefetch_messages = 1000;
    hear_confirm(bob, say_follow_with(bob, &follow));
    scene_settle(scene);
    for (uint64_t i = last + 1; i <= 1010; i++)
        ck_assert_uint_eq(hear_delivery(bob, NULL).sequence, i);
    hear_nothing(bob);
}
END_TEST

START_TEST(test_a_missing_file)
{
    publish(1000);
    forget();
    go_down();
    disk_sim_take_away(scene->sim, names[1]);
    repair_and_start();
    expect_events(first_of(names[2]), 1000);
    expect_account(first_of(names[2]), 1000, 100);
}
END_TEST

/* What holds no event is made anew. */
START_TEST(test_headers_and_indexes)
{
    publish(1000);
    forget();
    go_down();
    spoil(names[0], 3);
    spoil(names[1], disk_sim_size(scene->sim, names[1]) - 1);
    spoil(names[name_count - 1], 100);
    repair_and_start();
    says_not("damaged or missing");
    expect_events(1, 1000);
    expect_account(1, 1000, 100);
}
END_TEST

/* What was moved lately is in the journal, too. */
START_TEST(test_the_journal_helps)
{
    publish(100);
    let_move();
    go_down();
    spoil(names[name_count - 1], 700);
    repair_and_start();
    says("the journal still has");
    expect_events(1, 100);
    expect_account(1, 100, 10);
}
END_TEST

START_TEST(test_all_files_are_gone)
{
    publish(1000);
    save_entities();
    forget();
    go_down();
    for (unsigned i = 0; i < name_count; i++)
        disk_sim_take_away(scene->sim, names[i]);
    repair_and_start();
    says("Kept of it would be nothing");
    ck_assert_uint_eq(ask_exchange("book", "last"), 1000);
    expect_account(1001, 1000, 100);
    ck_assert_uint_eq(ask_exchange("book", "last"), 1001);
    ck_assert_uint_eq(ask_exchange("book", "first"), 1001);
}
END_TEST

/* Versions of entities whose events are gone are known by their file alone. */
START_TEST(test_the_file_of_entities)
{
    publish(1000);
    save_entities();
    forget();
    go_down();
    const char *name;
    for (size_t i = 0; (name = disk_sim_name(scene->sim, i)) != NULL; i++)
        if (strncmp(name, "entities-", 9) == 0)
            break;
    ck_assert_ptr_nonnull(name);
    spoil(name, (uint64_t[]){3, 514, 530}[_i]);
    repair_and_start();
    expect_events(1, 1000);
    expect_account(1, 1000, 100);
}
END_TEST

/* Retention took most events, and the version stays. */
START_TEST(test_versions_of_events_that_are_gone)
{
    publish(1000);
    save_entities();
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_COUNT_MAX, 300));
    forget();
    uint64_t first = ask_exchange("book", "first");
    ck_assert_uint_gt(first, 500);
    go_down();
    spoil(names[name_count - 1], 700);
    repair_and_start();
    expect_account(ask_exchange("book", "first"), ask_exchange("book", "last"), 100);
}
END_TEST

/* --- damage of the journal ----------------------------------------------------------------------
 */

/* Changes the body of an event that is in the journal. */
static void spoil_event(unsigned number)
{
    char body[32];
    snprintf(body, sizeof body, "event %u ", number);
    const char *name;
    bool is_found = false;
    for (size_t i = 0; (name = disk_sim_name(scene->sim, i)) != NULL; i++) {
        size_t bytes;
        const unsigned char *at = disk_sim_bytes(scene->sim, name, &bytes);
        const unsigned char *found =
            strncmp(name, "segment-", 8) == 0 ? memmem(at, bytes, body, strlen(body)) : NULL;
        if (found == NULL)
            continue;
        spoil(name, (uint64_t)(found - at));
        is_found = true;
    }
    ck_assert(is_found);
}

START_TEST(test_a_hole_in_the_journal)
{
    publish(1000);
    forget();
    publish(7);
    go_down();
    spoil_event(1004);
    repair_and_start();
    says("event 1004 that are damaged");
    says("events 1005 to 1007 that are whole");
    expect_events(1, 1003);
    expect_account(1, 1003, 100);
    crash_with(DISK_SIM_NONE);
}
END_TEST

START_TEST(test_the_newer_part_in_the_journal)
{
    publish(3);
    forget();
    publish(7);
    go_down();
    spoil_event(5);
    repair_and_start();
    says("events 1 to 4 that are whole");
    expect_events(6, 10);
    publish_events(11, 12);
    crash_with(DISK_SIM_NONE);
    ck_assert_uint_eq(ask_exchange("book", "first"), 6);
}
END_TEST

/* Its definition is lost, and the only thing that knows of it are its files. */
START_TEST(test_an_exchange_that_only_its_files_know)
{
    publish(1000);
    save_entities();
    forget();
    go_down();
    const char *name;
    for (size_t i = 0; (name = disk_sim_name(scene->sim, i)) != NULL; i++)
        if (strncmp(name, "segment-", 8) == 0)
            for (uint64_t offset = 4096; offset < SCENE_SEGMENT_BYTES; offset += 40)
                spoil(name, offset);
    sim_dir_write(scene->sim, data);
    ck_assert_int_eq(run(repair), 0);
    says("recovered-NUMBER, too");
    disk_sim_free(scene->sim);
    scene->sim = sim_dir_read(data);
    start();
    struct history *history = history_of("recovered-1");
    ck_assert_ptr_nonnull(history);
    ck_assert_uint_eq(history->first_stated, 1);
    ck_assert_uint_eq(history->last, 1000);
    ck_assert_uint_eq(history->entities.count, 1);
}
END_TEST

/* --- by chance ----------------------------------------------------------------------------------
 */

static void damage_by_chance(struct chance *chance)
{
    for (uint64_t n = 1 + chance_below(chance, 4); n > 0; n--) {
        size_t count = 0;
        while (disk_sim_name(scene->sim, count) != NULL)
            count++;
        const char *name = disk_sim_name(scene->sim, chance_below(chance, count));
        uint64_t bytes = disk_sim_size(scene->sim, name);
        if (bytes == 0)
            continue;
        uint64_t offset = chance_below(chance, bytes);
        switch (chance_below(chance, 8)) {
        case 0:
            if (strncmp(name, "segment-", 8) != 0)
                disk_sim_cut(scene->sim, name, offset);
            break;
        case 1:
            if (strncmp(name, "segment-", 8) != 0)
                disk_sim_take_away(scene->sim, name);
            break;
        case 2:
            for (uint64_t i = offset; i < bytes && i < offset + 2000; i++)
                spoil(name, i);
            break;
        default:
            spoil(name, offset);
        }
    }
}

/* Whatever is kept is what it was, the version of the account is not below that of any event that
 * can be read, and what comes goes on. */
static void judge(void)
{
    const struct exchange *exchange = exchange_find(scene->core, wire_bytes_of_text("book"));
    if (exchange == NULL) /* its definition is lost */
        exchange = exchange_find(scene->core, wire_bytes_of_text("recovered-1"));
    struct history *history = exchange != NULL ? exchange->history : NULL;
    if (history == NULL)
        return;
    uint64_t first = history_first(history);
    uint64_t last = history->last;
    ck_assert_uint_le(last, published + 1);
    struct frame_follow follow = {.consumer = 1,
                                  .exchange = wire_bytes_of_text(history->exchange->name),
                                  .from = FOLLOW_FIRST};
    hear_confirm(bob, say_follow_with(bob, &follow));
    scene_settle(scene);
    uint64_t version = 0;
    for (uint64_t i = first; i <= last; i++) {
        char body[32];
        snprintf(body, sizeof body, "event %u ", (unsigned)i);
        struct heard heard = hear_delivery(bob, NULL);
        ck_assert_uint_eq(heard.sequence, i);
        ck_assert_int_eq(strncmp(heard.body, body, strlen(body)), 0);
        version = heard.version > version ? heard.version : version;
    }
    hear_nothing(bob);
    struct entity_key key = entities_key(&history->entities, wire_bytes_of_text("account"));
    uint64_t known;
    uint64_t sequence;
    (void)entities_find(&history->entities, key, &known, &sequence);
    ck_assert_uint_ge(known, version);
    ck_assert_uint_le(sequence, last);
    do_publish(alice, history->exchange->name, "k", "one more");
    ck_assert_uint_eq(hear_delivery(bob, "one more").sequence, last + 1);
}

START_TEST(test_by_chance)
{
    struct chance chance = {(uint64_t)_i + 1};
    publish(1 + (unsigned)chance_below(&chance, 400));
    if (chance_below(&chance, 2) == 0)
        save_entities();
    if (chance_below(&chance, 2) == 0)
        forget();
    publish((unsigned)chance_below(&chance, 400));
    if (chance_below(&chance, 2) == 0)
        let_move();
    publish((unsigned)chance_below(&chance, 50));
    go_down();
    damage_by_chance(&chance);
    sim_dir_write(scene->sim, data);
    int before = run(verify);
    ck_assert_msg(before == 0 || before == 65, "%d: %s", before, said);
    int code = run(repair);
    ck_assert_msg(code == 0, "%d: %s", code, said);
    ck_assert_int_eq(before == 0, strstr(said, "nothing to repair") != NULL);
    char *report = said;
    said = NULL;
    ck_assert_msg(run(verify) == 0, "%s\n%s", report, said);
    free(report);
    disk_sim_free(scene->sim);
    scene->sim = sim_dir_read(data);
    start();
    judge();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("repair of histories");
    TCase *tcase = tcase_create("repair of histories");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_whole);
    tcase_add_test(tcase, test_an_old_block);
    tcase_add_test(tcase, test_a_new_block);
    tcase_add_test(tcase, test_a_missing_file);
    tcase_add_test(tcase, test_headers_and_indexes);
    tcase_add_test(tcase, test_the_journal_helps);
    tcase_add_test(tcase, test_all_files_are_gone);
    tcase_add_loop_test(tcase, test_the_file_of_entities, 0, 3);
    tcase_add_test(tcase, test_versions_of_events_that_are_gone);
    tcase_add_test(tcase, test_a_hole_in_the_journal);
    tcase_add_test(tcase, test_the_newer_part_in_the_journal);
    tcase_add_test(tcase, test_an_exchange_that_only_its_files_know);
    tcase_add_loop_test(tcase, test_by_chance, 0, 60);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
