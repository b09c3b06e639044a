/* What the tools say about histories; tests/unit/test_histories.c has real ones. */
#include "broker/tool_history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check_main.h"

static char *text;
static size_t bytes;
static struct history_view view;
static struct histories histories;

static void set_up(void)
{
    static char name[] = "bo\x1bok";
    view = (struct history_view){.name = name};
    view.stated = (struct core_history){.exchange = 7,
                                        .name = wire_bytes_of_text(view.name),
                                        .first = 11,
                                        .moved = 30,
                                        .last = 32,
                                        .entity_count = 3,
                                        .cursor_count = 2};
    view.file_count = 1;
    view.file_bytes = 1536;
    histories = (struct histories){.views = &view, .view_count = 1};
}

static void tear_down(void)
{
    runs_deinit(&view.filed);
    runs_deinit(&view.tail);
    free(view.damage);
    free(text);
    text = NULL;
}

static void print(void (*print_all)(FILE *, const struct histories *))
{
    free(text);
    FILE *out = open_memstream(&text, &bytes);
    print_all(out, &histories);
    (void)fclose(out);
}

START_TEST(test_a_history)
{
    (void)runs_add(&view.filed, 11, 30);
    (void)runs_add(&view.tail, 31, 32);
    print(tool_print_histories);
    ck_assert_str_eq(text, "  history     bo\\x1bok\n"
                           "              events      11 to 32\n"
                           "              in files    20, 1 file, 1.5 KiB\n"
                           "              in journal  2\n"
                           "              entities    3\n"
                           "              cursors     2\n");
    print(tool_print_history_damage);
    ck_assert_str_eq(text, "");
    view.stated.entities = 25;
    view.stated.first = 33;
    view.stated.name = wire_bytes_of(NULL, 0);
    print(tool_print_histories);
    ck_assert_ptr_nonnull(strstr(text, "history     exchange 7\n"));
    ck_assert_ptr_nonnull(strstr(text, "events      none, the next is 33\n"));
    ck_assert_ptr_nonnull(strstr(text, "entities    3, saved up to event 25\n"));
}
END_TEST

START_TEST(test_damage)
{
    view.damage = calloc(60, sizeof *view.damage);
    view.damage_count = 60;
    snprintf(view.damage[0].file, sizeof view.damage[0].file, "history-00000007-1");
    snprintf(view.damage[0].text, sizeof view.damage[0].text, "a block does not verify");
    view.damage[0].offset = 512;
    snprintf(view.damage[1].text, sizeof view.damage[1].text, "events are missing");
    view.lost_entities = 4;
    (void)runs_add(&view.filed, 12, 30);
    print(tool_print_history_damage);
    ck_assert_ptr_nonnull(strstr(text, "  the history of bo\\x1bok\n"
                                       "      history-00000007-1 at offset 512\n"
                                       "          a block does not verify\n"
                                       "      events are missing\n"));
    ck_assert_ptr_nonnull(strstr(text, "      and 10 places more\n"
                                       "      event 11 cannot be read\n"
                                       "      events 31 to 32 cannot be read\n"
                                       "      4 saved versions of entities cannot be read\n"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tool_history");
    TCase *tcase = tcase_create("tool_history");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_a_history);
    tcase_add_test(tcase, test_damage);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
