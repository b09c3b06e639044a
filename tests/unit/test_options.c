/* The command line of heraldd. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "broker/options.h"
#include "tests/support/check_main.h"

struct options_case {
    const char *words[6];
    const char *error; /* NULL: accepted */
    enum options_action action;
    const char *config;
    const char *dev;
};

static const struct options_case cases[] = {
    {{NULL}, NULL, OPTIONS_RUN, NULL, NULL},
    {{"-c", "/x"}, NULL, OPTIONS_RUN, "/x", NULL},
    {{"-c/x"}, NULL, OPTIONS_RUN, "/x", NULL},
    {{"--config=/x", "--dev", "d"}, NULL, OPTIONS_RUN, "/x", "d"},
    {{"--dev=d"}, NULL, OPTIONS_RUN, NULL, "d"},
    {{"--check-config", "-c", "/x"}, NULL, OPTIONS_CHECK_CONFIG, "/x", NULL},
    {{"--print-config"}, NULL, OPTIONS_PRINT_CONFIG, NULL, NULL},
    {{"--help"}, NULL, OPTIONS_HELP, NULL, NULL},
    {{"-h"}, NULL, OPTIONS_HELP, NULL, NULL},
    {{"--version"}, NULL, OPTIONS_VERSION, NULL, NULL},
    {{"--version", "--version"}, NULL, OPTIONS_VERSION, NULL, NULL},
    {{"--verify", "d"}, NULL, OPTIONS_VERIFY, NULL, NULL},
    {{"--dump=d"}, NULL, OPTIONS_DUMP, NULL, NULL},
    {{"--repair", "d"}, NULL, OPTIONS_REPAIR, NULL, NULL},
    {{"--yes", "--repair", "d"}, NULL, OPTIONS_REPAIR, NULL, NULL},
    {{"--"}, NULL, OPTIONS_RUN, NULL, NULL},
    {{"--nothing"}, "unknown option --nothing", 0, NULL, NULL},
    {{"--nothing=1"}, "unknown option --nothing=1", 0, NULL, NULL},
    {{"-x"}, "unknown option -x", 0, NULL, NULL},
    {{"--dev=d", "-hx"}, "unknown option -hx", 0, NULL, NULL},
    {{"--help=yes"}, "unknown option --help=yes", 0, NULL, NULL},
    {{"--c"}, "unknown option --c", 0, NULL, NULL}, /* --config or --check-config */
    {{"-c"}, "an argument is missing after -c", 0, NULL, NULL},
    {{"--dev"}, "an argument is missing after --dev", 0, NULL, NULL},
    {{"--dev", ""}, "an empty path for --dev", 0, NULL, NULL},
    {{"-c", ""}, "an empty path for -c", 0, NULL, NULL},
    {{"-c", "a", "-c", "b"}, "given twice: -c", 0, NULL, NULL},
    {{"--dev=a", "--dev=b"}, "given twice: --dev", 0, NULL, NULL},
    {{"--check-config", "--print-config"}, "only one of --check-config,", 0, NULL, NULL},
    {{"--verify"}, "an argument is missing after --verify", 0, NULL, NULL},
    {{"--dump", ""}, "an empty path for --dump", 0, NULL, NULL},
    {{"--verify", "d", "--verify", "e"}, "given twice: --verify", 0, NULL, NULL},
    {{"--verify", "d", "--repair", "d"}, "only one of --check-config,", 0, NULL, NULL},
    {{"--verify", "d", "--yes"}, "only --repair takes --yes", 0, NULL, NULL},
    {{"--yes"}, "only --repair takes --yes", 0, NULL, NULL},
    {{"--dump", "d", "-c", "f"}, "--verify, --dump and --repair take no -c", 0, NULL, NULL},
    {{"--dump", "d", "--dev", "f"}, "--verify, --dump and --repair take no --dev", 0, NULL, NULL},
    {{"extra"}, "unexpected argument extra", 0, NULL, NULL},
    {{"--", "--help"}, "unexpected argument --help", 0, NULL, NULL},
    {{"a\nb"}, "unexpected argument a\\x0ab", 0, NULL, NULL},
};

START_TEST(test_case)
{
    const struct options_case *c = &cases[_i];
    struct options options;
    char words[6][32];
    char *argv[8] = {(char[]){"heraldd"}};
    char *text = NULL;
    size_t bytes = 0;
    int argc = 1;
    for (; argc <= 6 && c->words[argc - 1] != NULL; argc++) {
        snprintf(words[argc - 1], sizeof words[0], "%s", c->words[argc - 1]);
        argv[argc] = words[argc - 1];
    }
    FILE *err = open_memstream(&text, &bytes);
    enum status status = options_parse(&options, argc, argv, err);
    ck_assert_int_eq(fclose(err), 0);
    if (c->error != NULL) {
        ck_assert_int_eq(status, STATUS_BAD_VALUE);
        ck_assert_ptr_eq(strstr(text, "heraldd: "), text);
        ck_assert_msg(strstr(text, c->error) == text + 9, "%s", text);
        ck_assert_ptr_nonnull(strstr(text, "; try heraldd --help\n"));
        ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
    } else {
        ck_assert_msg(status == STATUS_OK, "%s", text);
        ck_assert_str_eq(text, "");
        ck_assert_int_eq(options.action, c->action);
        ck_assert_pstr_eq(options.config_path, c->config);
        ck_assert_pstr_eq(options.dev_directory, c->dev);
    }
    free(text);
}
END_TEST

START_TEST(test_texts)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    options_print_help(out);
    options_print_version(out);
    ck_assert_int_eq(fclose(out), 0);
    static const char *const wanted[] = {"-c, --config",
                                         "--dev",
                                         "--check-config",
                                         "--print-config",
                                         "--help",
                                         "--version",
                                         "\nheraldd " HERALD_VERSION "\n"};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        ck_assert_ptr_nonnull(strstr(text, wanted[i]));
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tcase = tcase_create("options");
    tcase_add_loop_test(tcase, test_case, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(tcase, test_texts);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
