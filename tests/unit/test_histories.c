/* Histories as tools see them: what each file is to the journal, and what is said of damage. */
#include "broker/histories.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/history.h"
#include "broker/core/saver.h"
#include "broker/tool_history.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"
#include "tests/support/surveyed.h"

#define FIRST_FILE "history-00000001-0000000000000001"

static struct surveyed surveyed;
static const struct history_view *view;
static char text[16384]; /* what the tools print of it */

static void set_up(void)
{
    histories_set_up();
    for (unsigned i = 1; i <= 5; i++)
        hear_confirm(alice, say_entity(alice, "account", i - 1, "x"));
    publish_events(6, 3000);
    let_move();
    saver_want(scene->core, history_of("book"));
    scene_settle(scene);
    publish_events(3001, 3005);
    scene_die(scene);
    disk_sim_kill(scene->sim);
    disk_sim_calm(scene->sim);
}

static void tear_down(void)
{
    surveyed_deinit(&surveyed);
    histories_tear_down();
}

static void survey(enum histories_scope scope)
{
    surveyed_init(&surveyed, scene->sim, scope);
    ck_assert_int_eq(surveyed.status, STATUS_OK);
    ck_assert_uint_eq(surveyed.histories->view_count, 1);
    view = histories_find(surveyed.histories, 1);
    ck_assert_ptr_nonnull(view);
    FILE *out = fmemopen(text, sizeof text, "w");
    tool_print_histories(out, surveyed.histories);
    tool_print_history_damage(out, surveyed.histories);
    (void)fclose(out);
}

static void says(const char *line)
{
    ck_assert_msg(strstr(text, line) != NULL, "no '%s' in:\n%s", line, text);
}

static const char *find_file(const char *prefix, unsigned number)
{
    static char names[32][64];
    const char *name;
    unsigned count = 0;
    for (size_t i = 0; (name = disk_sim_name(scene->sim, i)) != NULL; i++)
        if (strncmp(name, prefix, strlen(prefix)) == 0)
            snprintf(names[count++], sizeof names[0], "%s", name);
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = i + 1; j < count; j++)
            if (strcmp(names[j], names[i]) < 0) {
                char other[64];
                memcpy(other, names[i], 64);
                memcpy(names[i], names[j], 64);
                memcpy(names[j], other, 64);
            }
    ck_assert_uint_lt(number == UINT32_MAX ? 0 : number, count);
    return names[number == UINT32_MAX ? count - 1 : number];
}

START_TEST(test_whole)
{
    survey(HISTORIES_STATED);
    ck_assert(history_view_is_whole(view));
    ck_assert(histories_are_whole(surveyed.histories));
    ck_assert_ptr_null(histories_find(surveyed.histories, 2));
    ck_assert_uint_eq(view->stated.last, 3005);
    ck_assert_uint_eq(view->stated.entity_count, 1);
    ck_assert_uint_eq(runs_count(&view->filed, 1, 3000), 3000);
    unsigned roles[4] = {0};
    for (size_t i = 0; i < surveyed.histories->file_count; i++)
        roles[surveyed.histories->files[i].role]++;
    ck_assert_uint_ge(roles[HISTORY_FINISHED], 2);
    ck_assert_uint_eq(roles[HISTORY_OPEN], 1);
    ck_assert_uint_eq(roles[HISTORY_ENTITIES], 1);
    ck_assert_uint_eq(roles[HISTORY_LEFT_OVER], 0);
    says("  history     book\n");
    says("              events      1 to 3005\n");
    says("              in journal  5\n");
    says("              entities    1, saved up to event 3000\n");
}
END_TEST

/* Whatever a crash leaves is named and harmless. */
START_TEST(test_left_over)
{
    const char *open = find_file("history-", UINT32_MAX);
    size_t bytes;
    unsigned char longer[1 << 17] = {0};
    const unsigned char *at = disk_sim_bytes(scene->sim, open, &bytes);
    memcpy(longer, at, bytes);
    memset(longer + bytes, 0x55, 700);
    disk_sim_take_away(scene->sim, open);
    disk_sim_put(scene->sim, open, longer, bytes + 700);
    disk_sim_put(scene->sim, "history-00000001-00000000000fffff", "x", 1);
    disk_sim_put(scene->sim, "history-00000009-0000000000000001", "x", 1);
    disk_sim_put(scene->sim, "entities-00000001-0000000000000001", "x", 1);
    survey(HISTORIES_STATED);
    ck_assert(histories_are_whole(surveyed.histories));
    says("left over   history-00000001-00000000000fffff (1 B)");
    says("left over   history-00000009-0000000000000001 (1 B)");
    says("left over   entities-00000001-0000000000000001 (1 B)");
    says("left over   700 B behind the end of\n");
    says("harmless: a start removes it");
    ck_assert(scene_start(scene));
}
END_TEST

/* Each thing that may be wrong, by its words; a start that looks at it refuses, too. */
START_TEST(test_damage)
{
    char name[64];
    const char *expected = NULL;
    bool is_refused = true;
    snprintf(name, sizeof name, "%s", find_file("history-", _i < 6 ? 1 : UINT32_MAX));
    uint64_t size = disk_sim_size(scene->sim, name);
    switch (_i) {
    case 0:
        disk_sim_take_away(scene->sim, name);
        expected = "it is missing";
        break;
    case 1:
        disk_sim_flip(scene->sim, name, 9, 1);
        expected = "its header does not verify";
        break;
    case 2:
        disk_sim_flip(scene->sim, name, 600, 1);
        expected = "a block does not verify";
        is_refused = false;
        break;
    case 3:
        disk_sim_flip(scene->sim, name, 530, 1);
        expected = "no block stands where the index says that one does";
        is_refused = false;
        break;
    case 4:
        disk_sim_flip(scene->sim, name, size - 3, 1);
        expected = "it does not end with its index";
        break;
    case 5:
        disk_sim_take_away(scene->sim, FIRST_FILE);
        expected = "the file before this one is missing";
        break;
    case 6:
        disk_sim_take_away(scene->sim, name);
        expected = "it is missing";
        break;
    case 7:
        disk_sim_cut(scene->sim, name, size - 512);
        expected = "it ends before what the journal says it holds";
        break;
    case 8:
        disk_sim_flip(scene->sim, name, 530, 1);
        expected = "no block stands where one was written";
        break;
    case 9:
        snprintf(name, sizeof name, "%s", find_file("entities-", 0));
        disk_sim_take_away(scene->sim, name);
        expected = "it is missing";
        break;
    default:
        snprintf(name, sizeof name, "%s", find_file("entities-", 0));
        disk_sim_flip(scene->sim, name, 525, 1);
        expected = "entities do not verify";
        break;
    }
    survey(HISTORIES_STATED);
    ck_assert(!history_view_is_whole(view));
    says(expected);
    says(name);
    says("  the history of book\n");
    ck_assert_int_eq(scene_start(scene), !is_refused);
}
END_TEST

/* When the journal cannot be believed, all that verifies is looked at. */
START_TEST(test_all_that_there_is)
{
    survey(HISTORIES_ALL);
    ck_assert(histories_are_whole(surveyed.histories));
    ck_assert_uint_eq(runs_count(&view->filed, 1, UINT64_MAX), 3000);
}
END_TEST

START_TEST(test_the_disk_fails)
{
    static const enum disk_sim_operation kinds[] = {DISK_SIM_OPEN, DISK_SIM_LIST};
    uint64_t now = disk_sim_operations(scene->sim);
    bool has_failed = true;
    for (uint64_t n = 0; has_failed; n++) {
        disk_sim_fail_at(scene->sim, now + n, kinds[_i], DISK_SIM_ONCE, EACCES);
        surveyed_init(&surveyed, scene->sim, HISTORIES_STATED);
        has_failed = disk_sim_has_failed(scene->sim);
        ck_assert_int_eq(surveyed.status, has_failed ? STATUS_IO_ERROR : STATUS_OK);
        ck_assert_int_eq(surveyed.failure.error, has_failed ? EACCES : 0);
        if (has_failed)
            surveyed_deinit(&surveyed);
        now = disk_sim_operations(scene->sim);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("histories");
    TCase *tcase = tcase_create("histories");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_whole);
    tcase_add_test(tcase, test_left_over);
    tcase_add_loop_test(tcase, test_damage, 0, 11);
    tcase_add_test(tcase, test_all_that_there_is);
    tcase_add_loop_test(tcase, test_the_disk_fails, 0, 2);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
