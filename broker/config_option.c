/* The options of config.def as a table that can be searched, and their values as text. */
#include "broker/config_option.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const struct config_option config_options[CONFIG_OPTION_COUNT] = {
#define OPTION(section, key, kind, preset, min, max, when, help)                                   \
    {#section,                                                                                     \
     #key,                                                                                         \
     #section "." #key,                                                                            \
     #section "_" #key,                                                                            \
     offsetof(struct config, section##_##key),                                                     \
     CONFIG_##kind,                                                                                \
     CONFIG_##when,                                                                                \
     preset,                                                                                       \
     min,                                                                                          \
     max,                                                                                          \
     help},
#include "broker/config.def"
};

const struct config_option *config_option_find(const char *section, const char *key)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (strcmp(config_options[i].section, section) == 0 &&
            strcmp(config_options[i].key, key) == 0)
            return &config_options[i];
    }
    return NULL;
}

size_t config_option_index(const struct config_option *option)
{
    assert(option >= config_options && option < config_options + CONFIG_OPTION_COUNT);
    return (size_t)(option - config_options);
}

bool config_section_is_known(const char *section)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (strcmp(config_options[i].section, section) == 0)
            return true;
    }
    return false;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

#define WORD_BYTES_MAX 48

/* Insertions, deletions and replacements from one word to the other (Levenshtein), one row at a
 * time. */
static size_t edit_distance(const char *left, const char *right)
{
    size_t row[WORD_BYTES_MAX + 1];
    size_t bytes = strlen(right);
    if (strlen(left) > WORD_BYTES_MAX || bytes > WORD_BYTES_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= bytes; j++)
        row[j] = j;
    for (size_t i = 1; left[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= bytes; j++) {
            size_t above = row[j];
            size_t replaced = diagonal + (left[i - 1] != right[j - 1]);
            row[j] = min3(above + 1, row[j - 1] + 1, replaced);
            diagonal = above;
        }
    }
    return row[bytes];
}

/* The better of `best` and `word` for what was written, where one edit in three characters is
 * forgiven. */
static const char *closer(const char *written, const char *best, const char *word)
{
    size_t distance = edit_distance(written, word);
    if (distance == SIZE_MAX || distance > strlen(word) / 3 + 1)
        return best;
    return best == NULL || distance < edit_distance(written, best) ? word : best;
}

const char *config_option_suggest(const char *section, const char *key)
{
    const char *best = NULL;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (strcmp(config_options[i].section, section) == 0)
            best = closer(key, best, config_options[i].key);
    }
    return best;
}

const char *config_section_suggest(const char *section)
{
    const char *best = NULL;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        best = closer(section, best, config_options[i].section);
    return best;
}

/* The option's field. The struct is written by way of the table only here and read only below. */
static void *field(const struct config_option *option, struct config *config)
{
    return (char *)config + option->at;
}

static const void *const_field(const struct config_option *option, const struct config *config)
{
    return (const char *)config + option->at;
}

static uint64_t bound(const struct config_option *option, const char *text)
{
    uint64_t number = 0;
    const char *why;
    enum status status = config_number_parse(option->kind, text, &number, &why);
    assert(status == STATUS_OK); /* it stands in config.def */
    return number;
}

static enum status set_number(const struct config_option *option, struct config *config,
                              const char *text, char *why)
{
    uint64_t number = 0;
    const char *complaint;
    if (config_number_parse(option->kind, text, &number, &complaint) != STATUS_OK) {
        snprintf(why, CONFIG_WHY_BYTES, "%s", complaint);
        return STATUS_BAD_VALUE;
    }
    if (number < bound(option, option->min)) {
        snprintf(why, CONFIG_WHY_BYTES, "is below the minimum of %s", option->min);
        return STATUS_BAD_VALUE;
    }
    if (number > bound(option, option->max)) {
        snprintf(why, CONFIG_WHY_BYTES, "is above the maximum of %s", option->max);
        return STATUS_BAD_VALUE;
    }
    memcpy(field(option, config), &number, sizeof(number));
    return STATUS_OK;
}

static enum status set_level(const char *text, enum log_level *level, const char **why)
{
    if (log_level_parse(text, level))
        return STATUS_OK;
    *why = "is none of error, warning, notice, info, debug, trace";
    return STATUS_BAD_VALUE;
}

enum status config_option_set(const struct config_option *option, struct config *config,
                              const char *text, char *why)
{
    enum status status = STATUS_BAD_VALUE;
    const char *complaint = "";
    switch (option->kind) {
    case CONFIG_COUNT:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
    case CONFIG_MODE:
        return set_number(option, config, text, why);
    case CONFIG_BOOL:
        status = config_bool_parse(text, field(option, config), &complaint);
        break;
    case CONFIG_LEVEL:
        status = set_level(text, field(option, config), &complaint);
        break;
    case CONFIG_TEXT:
    case CONFIG_PATH:
        status = config_text_parse(option->kind, text, field(option, config), &complaint);
        break;
    case CONFIG_LISTEN:
        status = config_addresses_parse(text, field(option, config), &complaint);
        break;
    }
    if (status != STATUS_OK)
        snprintf(why, CONFIG_WHY_BYTES, "%s", complaint);
    return status;
}

static void print_number(const struct config_option *option, const struct config *config, char *out,
                         size_t out_bytes)
{
    uint64_t number;
    memcpy(&number, const_field(option, config), sizeof(number));
    config_number_print(option->kind, number, out, out_bytes);
}

static void print_level(const void *at, char *out, size_t out_bytes)
{
    enum log_level level;
    memcpy(&level, at, sizeof(level));
    snprintf(out, out_bytes, "%s", log_level_name(level));
}

static void print_bool(const void *at, char *out, size_t out_bytes)
{
    bool value;
    memcpy(&value, at, sizeof(value));
    snprintf(out, out_bytes, "%s", value ? "yes" : "no");
}

void config_option_print(const struct config_option *option, const struct config *config, char *out,
                         size_t out_bytes)
{
    const void *at = const_field(option, config);
    switch (option->kind) {
    case CONFIG_COUNT:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
    case CONFIG_MODE:
        print_number(option, config, out, out_bytes);
        break;
    case CONFIG_BOOL:
        print_bool(at, out, out_bytes);
        break;
    case CONFIG_LEVEL:
        print_level(at, out, out_bytes);
        break;
    case CONFIG_TEXT:
    case CONFIG_PATH:
        snprintf(out, out_bytes, "%s", (const char *)at);
        break;
    case CONFIG_LISTEN:
        config_addresses_print(at, out, out_bytes);
        break;
    }
}

bool config_option_is_equal(const struct config_option *option, const struct config *left,
                            const struct config *right)
{
    char left_text[CONFIG_VALUE_BYTES];
    char right_text[CONFIG_VALUE_BYTES];
    config_option_print(option, left, left_text, sizeof(left_text));
    config_option_print(option, right, right_text, sizeof(right_text));
    return strcmp(left_text, right_text) == 0;
}

static size_t field_bytes(enum config_kind kind)
{
    switch (kind) {
    case CONFIG_COUNT:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
    case CONFIG_MODE:
        return sizeof(uint64_t);
    case CONFIG_BOOL:
        return sizeof(bool);
    case CONFIG_LEVEL:
        return sizeof(enum log_level);
    case CONFIG_TEXT:
    case CONFIG_PATH:
        return CONFIG_TEXT_BYTES;
    case CONFIG_LISTEN:
        return sizeof(struct config_addresses);
    }
    assert(false && "an option's kind");
    return 0;
}

void config_option_copy(const struct config_option *option, struct config *to,
                        const struct config *from)
{
    size_t index = config_option_index(option);
    memcpy(field(option, to), const_field(option, from), field_bytes(option->kind));
    memcpy(to->where[index], from->where[index], sizeof(to->where[index]));
}
