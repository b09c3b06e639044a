/* What the offline tools print. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "broker/tool_report.h"
#include "tests/support/check_main.h"

START_TEST(test_sizes_and_times)
{
    char text[TOOL_TEXT_BYTES];
    tool_print_size(0, text);
    ck_assert_str_eq(text, "0 B");
    tool_print_size(1536, text);
    ck_assert_str_eq(text, "1.5 KiB");
    tool_print_size(1024 * 1024 - 1, text);
    ck_assert_str_eq(text, "1.0 MiB");
    tool_print_size(UINT64_MAX, text);
    ck_assert_str_eq(text, "16.0 EiB");
    tool_print_time(0, text);
    ck_assert_str_eq(text, "-");
    tool_print_time(1000000000123, text);
    ck_assert_str_eq(text, "2001-09-09 01:46:40.123 UTC");
    tool_print_time(UINT64_MAX, text);
    ck_assert_uint_lt(strlen(text), sizeof text);
}
END_TEST

START_TEST(test_damage)
{
    char *text = NULL;
    size_t bytes = 0;
    struct tool_damage *noted = calloc(1, sizeof *noted);
    struct inspect_damage damage = {.file = "segment-0000000000000001",
                                    .text = "batches are missing",
                                    .offset = 512,
                                    .first_position = 1000,
                                    .end_position = 2024,
                                    .first_sequence = 7,
                                    .end_sequence = 9,
                                    .before_ms = 1000000000123,
                                    .behind_ms = 1000000000124};
    for (unsigned i = 0; i < TOOL_DAMAGE_MAX + 2; i++)
        tool_note_damage(noted, &damage, 3);
    ck_assert_uint_eq(noted->lost_bytes, (TOOL_DAMAGE_MAX + 2) * 1024);
    FILE *out = open_memstream(&text, &bytes);
    tool_print_damage(out, noted, 10);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "  segment-0000000000000001 at offset 512\n"
                                       "      batches are missing\n"
                                       "      positions 1000 to 2024 (1.0 KiB)\n"
                                       "      2 batches are missing, 7 to 8\n"
                                       "      written between 2001-09-09 01:46:40.123 UTC\n"
                                       "                  and 2001-09-09 01:46:40.124 UTC\n"
                                       "      behind it 7 records verify\n"));
    ck_assert_ptr_nonnull(strstr(text, "  and 2 places more\n"));
    free(text);
    free(noted);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tool_report");
    TCase *tcase = tcase_create("tool_report");
    tcase_add_test(tcase, test_sizes_and_times);
    tcase_add_test(tcase, test_damage);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
