/* The command line: options anywhere, `--` ends them, the first words name the verb. */
#include "client-lib/cli/arguments.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/cli/suggest.h"
#include "client-lib/cli/value.h"
#include "client-lib/cli/verbs.h"

static const struct option_row option_rows[] = {
#define OPTION(NAME, name, letter, kind, argument, text)                                           \
    {name, letter, OPTION_KIND_##kind, argument, text},
#include "client-lib/cli/options.def"
};

static const struct verb verb_rows[] = {
#define VERB(function, words, arguments, least, most, options, text)                               \
    {function, words, arguments, least, most, options, text},
#include "client-lib/cli/verbs.def"
};

enum { VERB_COUNT = sizeof verb_rows / sizeof verb_rows[0] };

const struct option_row *option_get(enum option option)
{
    return &option_rows[option];
}

const struct option_row *option_find(const char *name, size_t bytes)
{
    for (size_t i = 0; i < OPTION_COUNT_OF; i++) {
        const char *known = option_rows[i].name;
        if (strlen(known) == bytes && memcmp(known, name, bytes) == 0)
            return &option_rows[i];
    }
    return NULL;
}

const struct option_row *option_find_letter(char letter)
{
    for (size_t i = 0; i < OPTION_COUNT_OF; i++) {
        if (letter != 0 && option_rows[i].letter == letter)
            return &option_rows[i];
    }
    return NULL;
}

const struct verb *verb_at(size_t index)
{
    return index < VERB_COUNT ? &verb_rows[index] : NULL;
}

/* How many of the words the name of a verb takes, 0 if it is not what they name. */
static size_t match_verb(const char *name, char *const *words, size_t count)
{
    size_t used = 0;
    while (used < count && words[used] != NULL) {
        size_t bytes = strcspn(name, " ");
        if (strlen(words[used]) != bytes || memcmp(words[used], name, bytes) != 0)
            return 0;
        used++;
        if (name[bytes] == '\0')
            return used;
        name += bytes + 1;
    }
    return 0;
}

const struct verb *verb_find(char *const *words, size_t count, size_t *used)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        *used = match_verb(verb_rows[i].words, words, count);
        if (*used > 0)
            return &verb_rows[i];
    }
    return NULL;
}

bool verb_has_option(const struct verb *verb, const struct option_row *row)
{
    if (row < option_rows + OPTIONS_OF_ALL)
        return true;
    size_t bytes = strlen(row->name);
    const char *names = verb->options;
    while (*names != '\0') {
        size_t length = strcspn(names, " ");
        if (length == bytes && memcmp(names, row->name, bytes) == 0)
            return true;
        names += length + (names[length] == ' ');
    }
    return false;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t bytes = strlen(text);
    while (*choices != '\0') {
        size_t length = strcspn(choices, "|");
        if (length == bytes && memcmp(choices, text, bytes) == 0)
            return true;
        choices += length + (choices[length] == '|');
    }
    return false;
}

static bool parse_limit(enum option_kind kind, const char *text, int64_t *number)
{
    if (strcmp(text, "none") == 0) {
        *number = -1;
        return true;
    }
    if (kind == OPTION_KIND_PERIOD_LIMIT)
        return value_parse_period(text, number);
    return kind == OPTION_KIND_SIZE_LIMIT ? value_parse_size(text, number)
                                          : value_parse_count(text, number);
}

static bool parse_value(const struct option_row *row, const char *text, int64_t *number)
{
    switch (row->kind) {
    case OPTION_KIND_FLAG:
    case OPTION_KIND_TEXT:
    case OPTION_KIND_TEXTS:
        return true;
    case OPTION_KIND_CHOICE:
        return is_choice(row->argument, text);
    case OPTION_KIND_COUNT:
        return value_parse_count(text, number) && *number <= INT_MAX;
    case OPTION_KIND_SIZE:
        return value_parse_size(text, number);
    case OPTION_KIND_DURATION:
        return value_parse_duration(text, number);
    case OPTION_KIND_OPTIONAL_DURATION:
        return text[0] == '\0' || value_parse_duration(text, number);
    case OPTION_KIND_PERIOD:
        return value_parse_period(text, number);
    case OPTION_KIND_COUNT_LIMIT:
    case OPTION_KIND_SIZE_LIMIT:
    case OPTION_KIND_PERIOD_LIMIT:
        return parse_limit(row->kind, text, number);
    }
    return false;
}

static bool add_option(struct arguments *arguments, const struct option_row *row, const char *text)
{
    struct option_value *value = &arguments->options[row - option_rows];
    if (!parse_value(row, text, &value->number)) {
        fprintf(stderr, "herald: --%s takes %s%s, not '%s'\n", row->name, row->argument,
                row->kind == OPTION_KIND_DURATION ? " (like 500ms, 5s or 2m)" : "", text);
        return false;
    }
    if (row->kind == OPTION_KIND_TEXTS) {
        if (arguments->text_count == TEXTS_MAX) {
            fprintf(stderr, "herald: --%s is given more than %d times\n", row->name, TEXTS_MAX);
            return false;
        }
        arguments->texts[arguments->text_count++] = text;
    }
    value->is_given = true;
    value->text = text;
    return true;
}

/* The argument of an option stands with it or after it. *argv is the option's own word and is moved
 * on to the last word used. */
static bool parse_argument(struct arguments *arguments, const struct option_row *row,
                           const char *attached, char ***argv)
{
    if (row->kind == OPTION_KIND_FLAG) {
        if (attached == NULL)
            return add_option(arguments, row, "");
        fprintf(stderr, "herald: --%s takes no argument\n", row->name);
        return false;
    }
    if (attached != NULL)
        return add_option(arguments, row, attached);
    if (row->kind == OPTION_KIND_OPTIONAL_DURATION)
        return add_option(arguments, row, "");
    if ((*argv)[1] == NULL) {
        fprintf(stderr, "herald: --%s needs %s\n", row->name, row->argument);
        return false;
    }
    (*argv)++;
    return add_option(arguments, row, **argv);
}

static bool parse_long(struct arguments *arguments, char ***argv)
{
    const char *name = **argv + 2;
    size_t bytes = strcspn(name, "=");
    const struct option_row *row = option_find(name, bytes);
    if (row == NULL) {
        fprintf(stderr, "herald: unknown option '%s'\n", **argv);
        suggest_option(name, bytes);
        return false;
    }
    return parse_argument(arguments, row, name[bytes] == '=' ? name + bytes + 1 : NULL, argv);
}

static bool parse_short(struct arguments *arguments, char ***argv)
{
    const char *letters = **argv + 1;
    while (*letters != '\0') {
        const struct option_row *row = option_find_letter(*letters);
        if (row == NULL) {
            fprintf(stderr, "herald: unknown option '-%c'; put -- before what begins with a dash\n",
                    *letters);
            return false;
        }
        letters++;
        if (row->kind != OPTION_KIND_FLAG)
            return parse_argument(arguments, row, *letters != '\0' ? letters : NULL, argv);
        if (!add_option(arguments, row, ""))
            return false;
    }
    return true;
}

/* Sorts the words of the command line into options and others. */
static bool sort_words(struct arguments *arguments, char **argv)
{
    arguments->words_before_dashes = SIZE_MAX;
    for (argv++; *argv != NULL; argv++) {
        bool is_over = arguments->words_before_dashes != SIZE_MAX;
        if (is_over || (*argv)[0] != '-' || (*argv)[1] == '\0') {
            arguments->memory[arguments->word_count++] = *argv;
        } else if (strcmp(*argv, "--") == 0) {
            arguments->words_before_dashes = arguments->word_count;
        } else if ((*argv)[1] == '-' ? !parse_long(arguments, &argv)
                                     : !parse_short(arguments, &argv)) {
            return false;
        }
    }
    if (arguments->words_before_dashes == SIZE_MAX)
        arguments->words_before_dashes = arguments->word_count;
    return true;
}

static bool check_options(const struct arguments *arguments)
{
    for (size_t i = 0; i < OPTION_COUNT_OF; i++) {
        if (arguments->options[i].is_given && !verb_has_option(arguments->verb, &option_rows[i])) {
            fprintf(stderr, "herald: `herald %s` has no option --%s\n", arguments->verb->words,
                    option_rows[i].name);
            return false;
        }
    }
    return true;
}

static bool check_words(const struct arguments *arguments)
{
    const struct verb *verb = arguments->verb;
    if (arguments->word_count >= verb->least && arguments->word_count <= verb->most)
        return true;
    fprintf(stderr, "herald: too %s arguments\nusage: herald %s %s\n",
            arguments->word_count < verb->least ? "few" : "many", verb->words, verb->arguments);
    return false;
}

static bool name_verb(struct arguments *arguments)
{
    size_t used;
    bool is_asking =
        arguments_has(arguments, OPTION_HELP) || arguments_has(arguments, OPTION_VERSION);
    if (arguments->word_count == 0) {
        if (!is_asking)
            fprintf(stderr, "herald: a verb is missing; `herald help` lists them\n");
        return is_asking;
    }
    arguments->verb = verb_find(arguments->words, arguments->word_count, &used);
    if (arguments->verb == NULL) {
        /* `herald queue --help` names only a part, which help can show as well. */
        if (is_asking)
            return true;
        suggest_verb(arguments->words, arguments->word_count);
        return false;
    }
    arguments->words += used;
    arguments->word_count -= used;
    arguments->words_before_dashes -=
        used < arguments->words_before_dashes ? used : arguments->words_before_dashes;
    return is_asking || (check_options(arguments) && check_words(arguments));
}

bool arguments_parse(struct arguments *arguments, int argc, char **argv)
{
    memset(arguments, 0, sizeof *arguments);
    arguments->memory = calloc((size_t)argc + 1, sizeof *arguments->memory);
    if (arguments->memory == NULL) {
        fprintf(stderr, "herald: out of memory\n");
        return false;
    }
    arguments->words = arguments->memory;
    return sort_words(arguments, argv) && name_verb(arguments);
}

void arguments_deinit(struct arguments *arguments)
{
    free(arguments->memory);
}
