/* The command line: options anywhere, what is refused, and what the tables may hold. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/cli/arguments.h"
#include "client-lib/cli/suggest.h"
#include "tests/support/check_main.h"

enum { WORDS_MAX = 16 };

/* A command line cut at its spaces. */
struct line {
    char text[256];
    char *argv[WORDS_MAX + 1];
    int argc;
    struct arguments arguments;
};

static bool parse(struct line *line, const char *text)
{
    memset(line, 0, sizeof *line);
    snprintf(line->text, sizeof line->text, "herald %s", text);
    char *at = line->text;
    while (at != NULL && *at != '\0' && line->argc < WORDS_MAX) {
        line->argv[line->argc++] = at;
        at = strchr(at, ' ');
        if (at != NULL)
            *at++ = '\0';
    }
    return arguments_parse(&line->arguments, line->argc, line->argv);
}

START_TEST(test_options_anywhere)
{
    static const char *const lines[] = {
        "-o json queue list",       "queue -o json list",       "queue list -o json",
        "queue list --output=json", "queue list --output json", "queue list -ojson",
    };
    struct line line;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        ck_assert_msg(parse(&line, lines[i]), "%s", lines[i]);
        ck_assert_str_eq(line.arguments.verb->words, "queue list");
        ck_assert_str_eq(line.arguments.options[OPTION_OUTPUT].text, "json");
        ck_assert_uint_eq(line.arguments.word_count, 0);
        arguments_deinit(&line.arguments);
    }
}
END_TEST

START_TEST(test_dashes)
{
    struct line line;
    ck_assert(parse(&line, "send q -- -x"));
    ck_assert_uint_eq(line.arguments.word_count, 2);
    ck_assert_str_eq(line.arguments.words[1], "-x");
    ck_assert_ptr_null(line.arguments.words[2]);
    arguments_deinit(&line.arguments);
    ck_assert(parse(&line, "work q --count 2 -- sh -c x --count"));
    ck_assert_uint_eq(line.arguments.words_before_dashes, 1);
    ck_assert_uint_eq(line.arguments.word_count, 5);
    ck_assert_int_eq(arguments_number(&line.arguments, OPTION_COUNT, 0), 2);
    ck_assert_int_eq(arguments_number(&line.arguments, OPTION_PARALLEL, 9), 9);
    arguments_deinit(&line.arguments);
    ck_assert(parse(&line, "send q -"));
    ck_assert_str_eq(line.arguments.words[1], "-");
    arguments_deinit(&line.arguments);
}
END_TEST

START_TEST(test_values)
{
    struct line line;
    ck_assert(parse(&line, "queue create q --max-count none --max-bytes 1KiB"));
    ck_assert_int_eq(arguments_number(&line.arguments, OPTION_MAX_COUNT, 0), -1);
    ck_assert_int_eq(arguments_number(&line.arguments, OPTION_MAX_BYTES, 0), 1024);
    arguments_deinit(&line.arguments);
    ck_assert(parse(&line, "send q x -H a=1 --header b=2 --header=c"));
    ck_assert_uint_eq(line.arguments.text_count, 3);
    ck_assert_str_eq(line.arguments.texts[2], "c");
    arguments_deinit(&line.arguments);
    ck_assert(parse(&line, "subscribe e -vn3"));
    ck_assert(arguments_has(&line.arguments, OPTION_VERBOSE));
    ck_assert_int_eq(arguments_number(&line.arguments, OPTION_COUNT, 0), 3);
    arguments_deinit(&line.arguments);
    ck_assert(parse(&line, "--help"));
    ck_assert_ptr_null(line.arguments.verb);
    arguments_deinit(&line.arguments);
    ck_assert(parse(&line, "send --help"));
    ck_assert_str_eq(line.arguments.verb->words, "send");
    arguments_deinit(&line.arguments);
}
END_TEST

START_TEST(test_refused)
{
    static const char *const lines[] = {
        "",
        "sned q x",
        "queue",
        "queue lst",
        "send q x --nope",
        "send q x -Z",
        "send q x --yes",
        "send q x --transient=1",
        "send q x --header",
        "send",
        "queue list x",
        "queue list -o yaml",
        "work q --count 0",
        "work q --count 2147483648",
        "call q x --timeout 0",
        "queue create q --overflow maybe",
        "queue create q --max-bytes some",
    };
    struct line line;
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        ck_assert_msg(!parse(&line, lines[i]), "%s", lines[i]);
        arguments_deinit(&line.arguments);
    }
}
END_TEST

START_TEST(test_too_many_headers)
{
    char *argv[3 + 2 * (TEXTS_MAX + 1) + 1];
    int argc = 0;
    char words[][8] = {"herald", "send", "q", "-H", "a=b"};
    struct arguments arguments;
    for (int i = 0; i < 3; i++)
        argv[argc++] = words[i];
    for (int i = 0; i < TEXTS_MAX + 1; i++) {
        argv[argc++] = words[3];
        argv[argc++] = words[4];
    }
    argv[argc] = NULL;
    ck_assert(!arguments_parse(&arguments, argc, argv));
    arguments_deinit(&arguments);
    argc -= 2;
    argv[argc] = NULL;
    ck_assert(arguments_parse(&arguments, argc, argv));
    arguments_deinit(&arguments);
}
END_TEST

/* Every option that a verb names is there, no name or letter stands twice, and no verb's name
 * begins with the whole name of another. */
START_TEST(test_tables)
{
    for (size_t i = 0; verb_at(i) != NULL; i++) {
        const char *names = verb_at(i)->options;
        while (*names != '\0') {
            size_t bytes = strcspn(names, " ");
            ck_assert_msg(option_find(names, bytes) != NULL, "%s: %s", verb_at(i)->words, names);
            names += bytes + (names[bytes] == ' ');
        }
        for (size_t j = 0; j < i; j++) {
            size_t bytes = strlen(verb_at(j)->words);
            ck_assert_msg(strncmp(verb_at(i)->words, verb_at(j)->words, bytes) != 0 ||
                              verb_at(i)->words[bytes] > ' ',
                          "%s after %s", verb_at(i)->words, verb_at(j)->words);
        }
        ck_assert(verb_at(i)->least <= verb_at(i)->most);
    }
    for (int i = 0; i < OPTION_COUNT_OF; i++) {
        const struct option_row *row = option_get((enum option)i);
        ck_assert_ptr_eq(option_find(row->name, strlen(row->name)), row);
        if (row->letter != 0)
            ck_assert_ptr_eq(option_find_letter(row->letter), row);
        ck_assert_int_eq(row->kind == OPTION_KIND_FLAG, row->argument[0] == '\0');
    }
}
END_TEST

START_TEST(test_distance)
{
    char long_text[201];
    memset(long_text, 'x', 200);
    long_text[200] = '\0';
    ck_assert_uint_eq(suggest_distance("", ""), 0);
    ck_assert_uint_eq(suggest_distance("send", "send"), 0);
    ck_assert_uint_eq(suggest_distance("sned", "send"), 1);
    ck_assert_uint_eq(suggest_distance("snd", "send"), 1);
    ck_assert_uint_eq(suggest_distance("sendd", "send"), 1);
    ck_assert_uint_eq(suggest_distance("", "send"), 4);
    ck_assert_uint_eq(suggest_distance("call", "work"), 4);
    ck_assert_uint_eq(suggest_distance(long_text, ""), 63);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli arguments");
    TCase *arguments = tcase_create("arguments");
    tcase_add_test(arguments, test_options_anywhere);
    tcase_add_test(arguments, test_dashes);
    tcase_add_test(arguments, test_values);
    tcase_add_test(arguments, test_refused);
    tcase_add_test(arguments, test_too_many_headers);
    tcase_add_test(arguments, test_tables);
    tcase_add_test(arguments, test_distance);
    suite_add_tcase(suite, arguments);
    return check_main(suite);
}
