/* The files of a salvage in a new directory: linked or copied, written anew, and every call of
 * either disk that fails. tests/unit/test_tool_repair_histories.c has what becomes of them. */
#include "broker/salvage_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/history.h"
#include "broker/core/saver.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"
#include "tests/support/surveyed.h"

static struct surveyed surveyed;
static struct salvage_files files;
static struct disk_sim *to;
static struct journal_failure failure;
static unsigned link_count;
static char names[32][64]; /* of the files of events, oldest first */
static unsigned name_count;

static int compare_names(const void *left, const void *right)
{
    return strcmp(left, right);
}

static void set_up(void)
{
    histories_set_up();
    hear_confirm(alice, say_entity(alice, "account", EXPECT_ANY, "x"));
    publish_events(2, 3000);
    let_move();
    saver_want(scene->core, history_of("book"));
    scene_settle(scene);
    scene_die(scene);
    disk_sim_kill(scene->sim);
    disk_sim_calm(scene->sim);
    to = disk_sim_new(2);
    link_count = 0;
    name_count = 0;
    const char *name;
    for (size_t i = 0; (name = disk_sim_name(scene->sim, i)) != NULL; i++)
        if (strncmp(name, "history-", 8) == 0)
            snprintf(names[name_count++], sizeof names[0], "%s", name);
    qsort(names, name_count, sizeof names[0], compare_names);
    ck_assert_uint_ge(name_count, 4);
}

static void tear_down(void)
{
    surveyed_deinit(&surveyed);
    disk_sim_free(to);
    histories_tear_down();
}

static bool link_file(void *context, const char *name)
{
    size_t bytes;
    const unsigned char *at = disk_sim_bytes(scene->sim, name, &bytes);
    (void)context;
    link_count++;
    disk_sim_put(to, name, at, bytes);
    return true;
}

static void plan(void)
{
    failure = (struct journal_failure){.text = ""};
    surveyed_init(&surveyed, scene->sim, HISTORIES_STATED);
    ck_assert_int_eq(surveyed.status, STATUS_OK);
    ck_assert_int_eq(salvage_decide(surveyed.salvage, surveyed.histories, surveyed.core),
                     STATUS_OK);
    files = (struct salvage_files){.salvage = surveyed.salvage,
                                   .histories = surveyed.histories,
                                   .core = surveyed.core,
                                   .from = disk_sim_disk(scene->sim),
                                   .to = disk_sim_disk(to),
                                   .failure = &failure};
}

static bool is_same(const char *name)
{
    size_t left;
    size_t right;
    const unsigned char *a = disk_sim_bytes(scene->sim, name, &left);
    const unsigned char *b = disk_sim_bytes(to, name, &right);
    return a != NULL && b != NULL && left == right && memcmp(a, b, left) == 0;
}

static size_t file_count(void)
{
    size_t count = 0;
    while (disk_sim_name(to, count) != NULL)
        count++;
    return count;
}

/* All but the open one, which is written to, may be links. */
START_TEST(test_a_whole_history_stays_as_it_is)
{
    plan();
    ck_assert_uint_eq(salvage_count(surveyed.salvage), 0);
    files.link = _i == 0 ? link_file : NULL;
    ck_assert_int_eq(salvage_files_write(&files), STATUS_OK);
    ck_assert_int_eq(salvage_files_write_entities(&files), STATUS_OK);
    ck_assert_uint_eq(link_count, _i == 0 ? name_count - 1 + 1 : 0);
    ck_assert_uint_eq(file_count(), name_count + 1);
    for (unsigned i = 0; i < name_count; i++)
        ck_assert(is_same(names[i]));
    disk_sim_power_loss(to, DISK_SIM_NONE, 1);
    ck_assert_uint_eq(file_count(), name_count + 1);
}
END_TEST

/* What stands behind the end of the open file is not the journal's. */
START_TEST(test_the_open_file_ends_where_it_should)
{
    const char *open = names[name_count - 1];
    size_t bytes;
    static unsigned char longer[1 << 18];
    const unsigned char *at = disk_sim_bytes(scene->sim, open, &bytes);
    memcpy(longer, at, bytes);
    disk_sim_take_away(scene->sim, open);
    disk_sim_put(scene->sim, open, longer, bytes + 1000);
    plan();
    ck_assert_int_eq(salvage_files_write(&files), STATUS_OK);
    ck_assert_uint_eq(disk_sim_size(to, open), bytes);
}
END_TEST

/* A damaged file, and with it what is before; what is behind stays whole. */
START_TEST(test_a_plan)
{
    disk_sim_flip(scene->sim, names[1], 700, 1);
    plan();
    files.link = link_file;
    const struct salvage_plan *found = salvage_find(surveyed.salvage, 1);
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(salvage_files_write(&files), STATUS_OK);
    ck_assert_int_eq(salvage_files_write_entities(&files), STATUS_OK);
    ck_assert(!disk_sim_has(to, names[0]) && !disk_sim_has(to, names[1]));
    for (unsigned i = 2; i + 1 < name_count; i++)
        ck_assert(is_same(names[i]));
    ck_assert_uint_eq(link_count, name_count - 3);
    ck_assert_uint_eq(found->last, 3000);
    ck_assert_uint_eq(found->moved, 3000);
    ck_assert_uint_eq(found->entities, 3000);
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, &(struct archive_name){.exchange = 1, .first = found->file});
    ck_assert_uint_eq(disk_sim_size(to, text), found->end);
    /* The open file is written anew, and has no link. */
    ck_assert_str_eq(text, names[name_count - 1]);
    struct archive *archive = archive_new(disk_sim_disk(to), NULL, NULL);
    struct archive_list list;
    ck_assert_int_eq(archive_list(archive, &list, &failure), STATUS_OK);
    for (size_t i = 0; i + 2 < list.count; i++) {
        struct archive_file file;
        ck_assert_int_eq(archive_check_finished(archive, &list.names[i], &file, &failure),
                         STATUS_OK);
        ck_assert_uint_eq(file.last + 1, list.names[i + 1].first);
    }
    ck_assert_uint_eq(list.names[0].first, found->first);
    ck_assert(list.names[list.count - 1].is_entities);
    free(list.names);
    archive_free(archive);
}
END_TEST

/* Any call of the new disk, or a read of the old one. */
START_TEST(test_failures)
{
    bool has_failed = true;
    disk_sim_flip(scene->sim, names[1], 700, 1);
    for (uint64_t n = 0; has_failed; n += _i == 0 ? 1 : 7) {
        disk_sim_free(to);
        to = disk_sim_new(2);
        plan();
        struct disk_sim *sim = _i == 2 ? scene->sim : to;
        disk_sim_fail_at(sim, disk_sim_operations(sim) + n, _i == 2 ? DISK_SIM_OPEN : DISK_SIM_ANY,
                         DISK_SIM_ONCE, _i == 1 ? ENOSPC : EIO);
        enum status status = salvage_files_write(&files);
        if (status == STATUS_OK)
            status = salvage_files_write_entities(&files);
        has_failed = disk_sim_has_failed(sim);
        ck_assert_int_eq(status == STATUS_OK, !has_failed);
        disk_sim_fail_at(sim, UINT64_MAX, DISK_SIM_ANY, DISK_SIM_ONCE, 0);
        if (has_failed)
            surveyed_deinit(&surveyed);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("salvage_files");
    TCase *tcase = tcase_create("salvage_files");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, test_a_whole_history_stays_as_it_is, 0, 2);
    tcase_add_test(tcase, test_the_open_file_ends_where_it_should);
    tcase_add_test(tcase, test_a_plan);
    tcase_add_loop_test(tcase, test_failures, 0, 3);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
