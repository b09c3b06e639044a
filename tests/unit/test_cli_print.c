/* Tables, figures, bodies in JSON and histograms, as they come out. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-lib/cli/figures.h"
#include "client-lib/cli/histogram.h"
#include "client-lib/cli/report.h"
#include "tests/support/check_main.h"

/* Standard output goes into a file while a test runs. */
struct capture {
    FILE *file;
    int saved;
    struct output output;
    char text[4096];
};

static void capture_start(struct capture *capture, enum output_format format)
{
    memset(capture, 0, sizeof *capture);
    capture->output.format = format;
    capture->file = tmpfile();
    ck_assert_ptr_nonnull(capture->file);
    fflush(stdout);
    capture->saved = dup(STDOUT_FILENO);
    ck_assert_int_ge(dup2(fileno(capture->file), STDOUT_FILENO), 0);
}

static const char *capture_stop(struct capture *capture)
{
    ck_assert_int_eq(output_finish(&capture->output, EXIT_OK), EXIT_OK);
    ck_assert_int_ge(dup2(capture->saved, STDOUT_FILENO), 0);
    close(capture->saved);
    rewind(capture->file);
    size_t count = fread(capture->text, 1, sizeof capture->text - 1, capture->file);
    capture->text[count] = '\0';
    fclose(capture->file);
    return capture->text;
}

static void fill(struct table *table, const char *const *cells)
{
    for (; *cells != NULL; cells++)
        table_add_cell(table, *cells);
}

START_TEST(test_table)
{
    static const char *const cells[] = {"1", "mail", "yes", "1000", "caf\xc3\xa9\n", "no", NULL};
    struct capture capture;
    struct table table;
    table_init(&table);
    table_add_column(&table, "number", TABLE_RIGHT);
    table_add_column(&table, "name", TABLE_LEFT);
    table_add_column(&table, "auto_delete", TABLE_RIGHT);
    fill(&table, cells);
    capture_start(&capture, OUTPUT_TABLE);
    table_print(&table, "name nothing", &capture.output);
    ck_assert_str_eq(capture_stop(&capture), "NAME   NUMBER  AUTO-DELETE\n"
                                             "mail        1          yes\n"
                                             "caf\xc3\xa9?    1000           no\n");
    table_deinit(&table);
}
END_TEST

/* Rows that are there when a column comes have an empty cell in it. */
START_TEST(test_table_grows_wider)
{
    static const char *const first[] = {"a", "1", "b", "2", NULL};
    static const char *const second[] = {"c", "3", "yes", NULL};
    struct capture capture;
    struct table table;
    table_init(&table);
    table_add_column(&table, "name", TABLE_LEFT);
    table_add_column(&table, "number", TABLE_RIGHT);
    fill(&table, first);
    ck_assert_uint_eq(table_find_column(&table, "late", 4), 2);
    table_add_column(&table, "late", TABLE_RIGHT);
    ck_assert_uint_eq(table_find_column(&table, "late", 4), 2);
    ck_assert_uint_eq(table_find_column(&table, "number of", 6), 1);
    fill(&table, second);
    capture_start(&capture, OUTPUT_TABLE);
    table_print(&table, "name", &capture.output);
    ck_assert_str_eq(capture_stop(&capture), "NAME  NUMBER  LATE\n"
                                             "a          1      \n"
                                             "b          2      \n"
                                             "c          3   yes\n");
    table_deinit(&table);
}
END_TEST

START_TEST(test_table_width)
{
    char wide[100];
    struct capture capture;
    struct table table;
    memset(wide, 'w', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    table_init(&table);
    for (int i = 0; i < TABLE_COLUMNS_MAX + 3; i++)
        table_add_column(&table, "columns", TABLE_LEFT);
    ck_assert_uint_eq(table.column_count, TABLE_COLUMNS_MAX);
    capture_start(&capture, OUTPUT_TABLE);
    table_print(&table, "", &capture.output);
    ck_assert_uint_le(strlen(capture_stop(&capture)), TABLE_WIDTH + 1);
    table_deinit(&table);
    table_init(&table);
    table_add_column(&table, wide, TABLE_LEFT);
    table_add_column(&table, "b", TABLE_LEFT);
    capture_start(&capture, OUTPUT_TABLE);
    table_print(&table, "", &capture.output);
    ck_assert_uint_eq(strlen(capture_stop(&capture)), sizeof wide);
    table_deinit(&table);
}
END_TEST

START_TEST(test_upright)
{
    static const char *const cells[] = {"1", "mail", NULL};
    struct capture capture;
    struct table table;
    table_init(&table);
    table_add_column(&table, "number", TABLE_RIGHT);
    table_add_column(&table, "name", TABLE_LEFT);
    fill(&table, cells);
    capture_start(&capture, OUTPUT_TABLE);
    table_print_upright(&table, &capture.output);
    ck_assert_str_eq(capture_stop(&capture), "number  1\nname    mail\n");
    table_deinit(&table);
}
END_TEST

START_TEST(test_bodies)
{
    struct capture capture;
    capture_start(&capture, OUTPUT_TABLE);
    output_body(&capture.output, "a", 1);
    output_body(&capture.output, "b\n", 2);
    output_body(&capture.output, NULL, 0);
    ck_assert_str_eq(capture_stop(&capture), "a\nb\n\n");
    capture_start(&capture, OUTPUT_JSONL);
    static const char *const bodies[] = {"t\"x", "\xff", "\xff\xfe", "\xff\xfe\xfd", ""};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        json_t *object = json_object();
        output_set_body(object, bodies[i], strlen(bodies[i]));
        output_json_take(&capture.output, object);
    }
    ck_assert_str_eq(capture_stop(&capture),
                     "{\"body\":\"t\\\"x\"}\n{\"body_base64\":\"/w==\"}\n"
                     "{\"body_base64\":\"//4=\"}\n{\"body_base64\":\"//79\"}\n{\"body\":\"\"}\n");
}
END_TEST

START_TEST(test_arrays)
{
    struct capture capture;
    capture_start(&capture, OUTPUT_JSON);
    output_end_array(&capture.output);
    ck_assert_str_eq(capture_stop(&capture), "[]\n");
    capture_start(&capture, OUTPUT_JSON);
    output_json_take(&capture.output, json_integer(1));
    output_json_take(&capture.output, json_integer(2));
    output_end_array(&capture.output);
    ck_assert_str_eq(capture_stop(&capture), "[1,\n 2]\n");
}
END_TEST

START_TEST(test_figures)
{
    struct capture capture;
    struct figures figures;
    capture_start(&capture, OUTPUT_TABLE);
    figures_init(&figures, "x");
    figures_add(&figures, FIGURE_PER_SECOND, "rate", "rate", 1234567.4);
    figures_add(&figures, FIGURE_BYTES, "size", "size", 2048);
    figures_add(&figures, FIGURE_MICROSECONDS, "time", "time", 1.256);
    figures_add(&figures, FIGURE_RATIO, "none", "none", -1);
    figures_print_deinit(&figures, &capture.output);
    ck_assert_str_eq(capture_stop(&capture), "X         VALUE\n"
                                             "rate  1,234,567\n"
                                             "size     2.0KiB\n"
                                             "time    1.26 us\n"
                                             "none          -\n");
    capture_start(&capture, OUTPUT_JSON);
    figures_init(&figures, "x");
    figures_add(&figures, FIGURE_COUNT, "count", "count", 3);
    figures_add(&figures, FIGURE_RATIO, "ratio", "ratio", 0.5);
    figures_add(&figures, FIGURE_RATIO, "none", "none", -1);
    figures_print_deinit(&figures, &capture.output);
    ck_assert_str_eq(capture_stop(&capture),
                     "{\"bench\":\"x\",\"count\":3,\"ratio\":0.5,\"none\":null}\n");
}
END_TEST

START_TEST(test_histogram)
{
    struct histogram *histogram = calloc(1, sizeof *histogram);
    ck_assert(histogram_find(histogram, 0.5) < 0);
    for (uint64_t i = 1; i <= 1000; i++)
        histogram_add(histogram, i * 1000);
    double p50 = histogram_find(histogram, 0.5);
    double p99 = histogram_find(histogram, 0.99);
    ck_assert(p50 > 490000 && p50 < 510000);
    ck_assert(p99 > 970000 && p99 < 1000000);
    histogram_add(histogram, UINT64_MAX);
    histogram_add(histogram, 0);
    ck_assert(histogram_find(histogram, 0) < 1);
    ck_assert(histogram_find(histogram, 1) > 1e19);
    free(histogram);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli print");
    TCase *print = tcase_create("print");
    tcase_add_test(print, test_table);
    tcase_add_test(print, test_table_grows_wider);
    tcase_add_test(print, test_table_width);
    tcase_add_test(print, test_upright);
    tcase_add_test(print, test_bodies);
    tcase_add_test(print, test_arrays);
    tcase_add_test(print, test_figures);
    tcase_add_test(print, test_histogram);
    suite_add_tcase(suite, print);
    return check_main(suite);
}
