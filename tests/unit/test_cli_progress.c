/* What a program says of its progress. */
#include "client-lib/cli/progress.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/check_main.h"

static struct progress progress;

static void set_up(void)
{
    progress = (struct progress){0};
}

static void tear_down(void)
{
    progress_deinit(&progress);
}

static void take(const char *text)
{
    progress.is_new = progress.is_bad = false;
    progress_take(&progress, text, strlen(text));
}

static void is_said(uint64_t done, uint64_t total, const char *note)
{
    ck_assert(progress.is_new && !progress.is_bad);
    ck_assert_uint_eq(progress.done, done);
    ck_assert_uint_eq(progress.total, total);
    ck_assert_str_eq(progress.note, note);
}

START_TEST(test_numbers_and_notes)
{
    take("3\n");
    is_said(3, 0, "");
    take("3/10\n");
    is_said(3, 10, "");
    take("4/10 pages of  it\n");
    is_said(4, 10, "pages of  it");
    take("18446744073709551615/18446744073709551615 all\n");
    is_said(UINT64_MAX, UINT64_MAX, "all");
    take("5 \n");
    is_said(5, 0, "");
    ck_assert_ptr_null(progress.checkpoint);
}
END_TEST

START_TEST(test_the_newest_counts)
{
    take("1/3\ncheckpoint a\n2/3 two\ncheckpoint b c\n");
    is_said(2, 3, "two");
    ck_assert_uint_eq(progress.checkpoint_bytes, 3);
    ck_assert_mem_eq(progress.checkpoint, "b c", 3);
    take("3/3\n");
    ck_assert_mem_eq(progress.checkpoint, "b c", 3);
}
END_TEST

START_TEST(test_lines_come_in_any_pieces)
{
    static const char text[] = "7/9 pages\ncheckpoint page 7\n";
    for (size_t cut = 0; cut < sizeof text; cut++) {
        progress_deinit(&progress);
        progress_take(&progress, text, cut);
        progress_take(&progress, text + cut, sizeof text - 1 - cut);
        is_said(7, 9, "pages");
        ck_assert_uint_eq(progress.checkpoint_bytes, 6);
    }
    progress_deinit(&progress);
    take("7/9"); /* who knows how it goes on */
    ck_assert(!progress.is_new && !progress.is_bad);
}
END_TEST

START_TEST(test_what_makes_no_sense_is_said)
{
    static const char *const lines[] = {"x\n",    "-1\n",  "3/\n",        "3/x\n",
                                        "3x\n",   "/3\n",  " 3\n",        "checkpoint\n",
                                        "3//4\n", "1.5\n", "checkpt a\n", "18446744073709551616\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        take(lines[i]);
        ck_assert_msg(progress.is_bad && !progress.is_new, "%s", lines[i]);
    }
    take("\n"); /* an empty line is nothing */
    ck_assert(!progress.is_new && !progress.is_bad);
}
END_TEST

START_TEST(test_lines_have_a_limit)
{
    char *text = malloc(2 * PROGRESS_LINE_BYTES_MAX);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', 2 * PROGRESS_LINE_BYTES_MAX);
    memcpy(text, "checkpoint ", 11);
    text[2 * PROGRESS_LINE_BYTES_MAX - 1] = '\n';
    progress_take(&progress, text, 2 * PROGRESS_LINE_BYTES_MAX);
    ck_assert(progress.is_bad && !progress.is_new);
    take("4\n");
    is_said(4, 0, "");
    text[11 + 32 * 1024] = '\n'; /* as much as any broker takes */
    progress.is_new = progress.is_bad = false;
    progress_take(&progress, text, 11 + 32 * 1024 + 1);
    ck_assert(progress.is_new && !progress.is_bad);
    ck_assert_uint_eq(progress.checkpoint_bytes, 32 * 1024);
    memset(text, 'n', 1000);
    memcpy(text, "5 ", 2);
    text[999] = '\n';
    progress_take(&progress, text, 1000);
    ck_assert_uint_eq(strlen(progress.note), PROGRESS_NOTE_BYTES_MAX); /* is cut */
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("progress");
    TCase *tcase = tcase_create("progress");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_numbers_and_notes);
    tcase_add_test(tcase, test_the_newest_counts);
    tcase_add_test(tcase, test_lines_come_in_any_pieces);
    tcase_add_test(tcase, test_what_makes_no_sense_is_said);
    tcase_add_test(tcase, test_lines_have_a_limit);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
