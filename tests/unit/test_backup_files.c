/* Which files belong to a backup, by chance: whatever is published, moved, retired and saved before
 * and while the copy is made, a broker that starts on it has what there was when it began. */
#include <stdio.h>
#include <string.h>

#include "broker/core/backup_files.h"
#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/saver.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"
#include "tests/support/taken.h"

static struct actor *carol;
static struct taken copy;

static void set_up(void)
{
    histories_set_up();
    carol = enter_as(scene, "");
    copy = (struct taken){0};
}

static void tear_down(void)
{
    taken_drop(&copy);
    histories_tear_down();
}

static void go_over_to_the_copy(void)
{
    struct scene *other = taken_start(&copy, 11, &scene->limits);
    scene_free(scene);
    scene = other;
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    carol = enter_as(scene, "");
}

static void save_entities(void)
{
    saver_want(scene->core, history_of("book"));
    scene_settle(scene);
}

/* --- one piece after the other ------------------------------------------------------------------
 */

static enum status listed;
static uint64_t copied_bytes;
static char last_name[64];

static void on_listed(struct core *core, enum status status)
{
    (void)core;
    listed = status;
}

static void on_piece(struct core *core, const struct backup_files_piece *piece, enum status status)
{
    (void)core;
    ck_assert_int_eq(status, STATUS_OK);
    ck_assert_uint_le(piece->offset + piece->bytes.bytes, piece->file_bytes);
    ck_assert(piece->offset == 0 || strcmp(piece->name, last_name) == 0);
    copied_bytes += piece->bytes.bytes;
    snprintf(last_name, sizeof last_name, "%s", piece->name);
}

START_TEST(test_pieces)
{
    publish_events(1, 2000);
    let_move();
    save_entities();
    disk_sim_put(scene->sim, "history-00000001-00000000000fffff", "being made", 10);
    disk_sim_put(scene->sim, "entities-00000001-00000000000fffff", "being made", 10);
    struct backup_files *files = backup_files_new(scene->core, 1000);
    ck_assert(scene->core->are_files_held);
    listed = STATUS_MORE;
    copied_bytes = 0;
    ck_assert(backup_files_list(scene->core, files, on_listed));
    scene_settle(scene);
    ck_assert_int_eq(listed, STATUS_OK);
    uint64_t count = 0;
    while (backup_files_read(scene->core, files, 1000, on_piece)) {
        scene_settle(scene);
        count++;
    }
    ck_assert_uint_eq(copied_bytes, backup_files_bytes(files));
    ck_assert_uint_ge(count, copied_bytes / 1000);
    uint64_t bytes = 0;
    const char *name;
    for (size_t i = 0; (name = disk_sim_name(scene->sim, i)) != NULL; i++)
        if (strncmp(name, "history-", 8) == 0 || strncmp(name, "entities-", 9) == 0)
            bytes += disk_sim_size(scene->sim, name);
    ck_assert_uint_eq(copied_bytes, bytes - 20);
    backup_files_free(scene->core, files);
    ck_assert(!scene->core->are_files_held);
}
END_TEST

/* --- by chance ----------------------------------------------------------------------------------
 */

static unsigned published; /* and confirmed */

static void do_something(void)
{
    unsigned count = 1 + (unsigned)chance_below(&scene->chance, 300);
    switch (chance_below(&scene->chance, 6)) {
    case 0:
        let_move();
        break;
    case 1:
        save_entities();
        break;
    case 2:
        hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_COUNT_MAX,
                                             1000 + chance_below(&scene->chance, 1000)));
        break;
    case 3:
        scene_advance_ms(scene, chance_below(&scene->chance, 3000));
        break;
    case 4:
        hear_confirm(alice, say_entity(alice, "account", EXPECT_ANY, "event"));
        published++;
        break;
    default:
        for (unsigned i = 0; i < count; i++) {
            char body[300];
            snprintf(body, sizeof body, "event %u %0200d", ++published, 0);
            do_publish(alice, "book", "k", body);
        }
    }
}

struct expected {
    uint64_t first;
    uint64_t last;
    uint64_t version;
    uint64_t sequence;
};

static struct expected look(void)
{
    struct history *book = history_of("book");
    struct expected found = {.first = history_first(book), .last = book->last};
    struct entity_key key = entities_key(&book->entities, wire_bytes_of_text("account"));
    (void)entities_find(&book->entities, key, &found.version, &found.sequence);
    return found;
}

START_TEST(test_by_chance)
{
    published = 0;
    scene->chance.state = (uint64_t)_i + 1;
    for (uint64_t i = chance_below(&scene->chance, 30); i > 0; i--)
        do_something();
    struct expected before = look();
    carol->is_stalled = true;
    uint64_t tag = say_backup(carol, BACKUP_ALL);
    for (uint64_t i = chance_below(&scene->chance, 30); i > 0; i--) {
        do_something();
        if (chance_below(&scene->chance, 3) == 0) {
            carol->is_stalled = false;
            scene_step(scene, 1 + chance_below(&scene->chance, 5));
            (void)taken_hear(&copy, carol, tag);
            carol->is_stalled = true;
        }
    }
    carol->is_stalled = false;
    scene_settle(scene);
    (void)taken_hear(&copy, carol, tag);
    ck_assert_uint_eq(copy.files_bytes, copy.begin.files_bytes);
    go_over_to_the_copy();
    struct expected found = look();
    ck_assert_uint_eq(found.first, before.first);
    ck_assert_uint_eq(found.last, before.last);
    ck_assert_uint_eq(found.version, before.version);
    ck_assert_uint_eq(found.sequence, before.sequence);
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    scene_settle(scene);
    for (uint64_t i = before.first; i <= before.last; i++) {
        struct heard heard = hear_delivery(bob, NULL);
        char body[32];
        snprintf(body, sizeof body, "event %u ", (unsigned)i);
        ck_assert_uint_eq(heard.sequence, i);
        ck_assert(heard.version != 0 || strncmp(heard.body, body, strlen(body)) == 0);
    }
    hear_nothing(bob);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backup_files");
    TCase *tcase = tcase_create("backup_files");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_pieces);
    tcase_add_loop_test(tcase, test_by_chance, 0, 40);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
