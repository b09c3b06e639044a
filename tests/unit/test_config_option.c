/* The table of options: every bound of every option is reached, and words that are nearly right are
 * found. */
#include <check.h>
#include <ctype.h>
#include <string.h>

#include "broker/config_option.h"
#include "tests/support/check_main.h"

static bool is_number(enum config_kind kind)
{
    return kind == CONFIG_COUNT || kind == CONFIG_SIZE || kind == CONFIG_DURATION ||
           kind == CONFIG_MODE;
}

static uint64_t number_of(const struct config_option *option, const char *text)
{
    uint64_t number = 0;
    const char *why = "";
    ck_assert_msg(config_number_parse(option->kind, text, &number, &why) == STATUS_OK, "%s: %s %s",
                  option->name, text, why);
    return number;
}

START_TEST(test_table)
{
    const struct config_option *option = &config_options[_i];
    char why[CONFIG_WHY_BYTES];
    struct config config;
    config_init(&config);
    ck_assert_ptr_eq(config_option_find(option->section, option->key), option);
    ck_assert_uint_eq(config_option_index(option), (unsigned)_i);
    ck_assert_int_eq(config_option_set(option, &config, option->preset, why), STATUS_OK);
    ck_assert_int_eq(is_number(option->kind), *option->min != '\0');
    ck_assert_int_eq(is_number(option->kind), *option->max != '\0');
    ck_assert_uint_gt(strlen(option->help), 5);
    ck_assert_int_eq(option->help[strlen(option->help) - 1], '.');
    ck_assert_uint_lt(strlen(option->key) + strlen(" = ") + CONFIG_TEXT_BYTES, 197);
    for (const char *at = option->field; *at != '\0'; at++)
        ck_assert(islower((unsigned char)*at) || *at == '_');
    /* Options of one section stand together. */
    if (_i > 0 && strcmp(option->section, config_options[_i - 1].section) != 0) {
        for (int i = 0; i < _i; i++)
            ck_assert_str_ne(config_options[i].section, option->section);
    }
}
END_TEST

/* Sets the option to a number and says how that went. */
static enum status set_number(const struct config_option *option, uint64_t number, char *why)
{
    char text[CONFIG_TEXT_BYTES];
    char printed[CONFIG_VALUE_BYTES];
    struct config config;
    enum status status;
    config_init(&config);
    config_number_print(option->kind, number, text, sizeof(text));
    status = config_option_set(option, &config, text, why);
    config_option_print(option, &config, printed, sizeof(printed));
    if (status == STATUS_OK)
        ck_assert_str_eq(printed, text);
    else
        ck_assert_uint_eq(number_of(option, printed), number_of(option, option->preset));
    return status;
}

START_TEST(test_bounds)
{
    const struct config_option *option = &config_options[_i];
    char why[CONFIG_WHY_BYTES] = "";
    if (!is_number(option->kind))
        return;
    uint64_t min = number_of(option, option->min);
    uint64_t max = number_of(option, option->max);
    ck_assert_uint_lt(min, max);
    ck_assert_int_eq(set_number(option, min, why), STATUS_OK);
    ck_assert_int_eq(set_number(option, max, why), STATUS_OK);
    ck_assert_int_eq(set_number(option, max + 1, why), STATUS_BAD_VALUE);
    ck_assert_ptr_nonnull(strstr(why, option->max));
    if (min > 0) {
        ck_assert_int_eq(set_number(option, min - 1, why), STATUS_BAD_VALUE);
        ck_assert_ptr_nonnull(strstr(why, option->min));
    }
    struct config config;
    config_init(&config);
    ck_assert_int_eq(config_option_set(option, &config, "-1", why), STATUS_BAD_VALUE);
    ck_assert_int_eq(config_option_set(option, &config, "", why), STATUS_BAD_VALUE);
    ck_assert_int_eq(config_option_set(option, &config, "many", why), STATUS_BAD_VALUE);
    ck_assert_int_eq(config_option_set(option, &config, "1x", why), STATUS_BAD_VALUE);
    ck_assert_int_eq(config_option_set(option, &config, "18446744073709551616", why),
                     STATUS_BAD_VALUE);
}
END_TEST

START_TEST(test_copy)
{
    const struct config_option *option = &config_options[_i];
    static const char *const others[] = {[CONFIG_BOOL] = "yes",
                                         [CONFIG_LEVEL] = "trace",
                                         [CONFIG_TEXT] = "a, b",
                                         [CONFIG_PATH] = "/x",
                                         [CONFIG_LISTEN] = "[::1]:9"};
    struct config changed;
    struct config config;
    char why[CONFIG_WHY_BYTES] = "";
    const char *other = is_number(option->kind) ? option->max : others[option->kind];
    config_init(&config);
    config_init(&changed);
    ck_assert_int_eq(config_option_set(option, &changed, other, why), STATUS_OK);
    ck_assert(!config_option_is_equal(option, &config, &changed));
    config_option_copy(option, &config, &changed);
    for (int i = 0; i < CONFIG_OPTION_COUNT; i++)
        ck_assert(config_option_is_equal(&config_options[i], &config, &changed));
}
END_TEST

START_TEST(test_suggest)
{
    ck_assert_str_eq(config_option_suggest("limits", "message_byte_max"), "message_bytes_max");
    ck_assert_str_eq(config_option_suggest("listen", "tpc"), "tcp");
    ck_assert_str_eq(config_section_suggest("limit"), "limits");
    ck_assert_str_eq(config_section_suggest("jurnal"), "journal");
    ck_assert_ptr_null(config_option_suggest("limits", "zzzzzzzzzzzz"));
    ck_assert_ptr_null(config_option_suggest("nowhere", "tcp"));
    ck_assert_ptr_null(config_section_suggest("mqtt-bridge"));
    ck_assert_ptr_null(config_option_suggest(
        "listen", "tcptcptcptcptcptcptcptcptcptcptcptcptcptcptcptcptcptcptcptcptcptcptcptcp"));
    ck_assert_ptr_null(config_option_find("listen", "TCP"));
    ck_assert_ptr_null(config_option_find("", ""));
    ck_assert(config_section_is_known("queue") && !config_section_is_known(""));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_option");
    TCase *tcase = tcase_create("config_option");
    tcase_add_loop_test(tcase, test_table, 0, CONFIG_OPTION_COUNT);
    tcase_add_loop_test(tcase, test_bounds, 0, CONFIG_OPTION_COUNT);
    tcase_add_loop_test(tcase, test_copy, 0, CONFIG_OPTION_COUNT);
    tcase_add_test(tcase, test_suggest);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
