/* The command line: which verb, which options, which arguments. */
#ifndef HERALD_CLI_ARGUMENTS_H
#define HERALD_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option {
#define OPTION(NAME, name, letter, kind, argument, text) OPTION_##NAME,
#include "client-lib/cli/options.def"
    OPTION_COUNT_OF
};

enum option_kind {
    OPTION_KIND_FLAG,
    OPTION_KIND_TEXT,
    OPTION_KIND_TEXTS,
    OPTION_KIND_CHOICE,
    OPTION_KIND_COUNT,
    OPTION_KIND_SIZE,
    OPTION_KIND_DURATION,
    OPTION_KIND_OPTIONAL_DURATION, /* --name or --name=D */
    OPTION_KIND_PERIOD,            /* a duration of any length */
    OPTION_KIND_COUNT_LIMIT,
    OPTION_KIND_SIZE_LIMIT,
    OPTION_KIND_PERIOD_LIMIT,
};

enum {
    ARGUMENTS_MAX = 4096, /* after the verb; most are those of a command to run */
    TEXTS_MAX = 64,       /* how often an option may be repeated */
    OPTIONS_OF_ALL = OPTION_VERSION + 1,
};

struct option_row {
    const char *name;
    char letter; /* 0: none */
    enum option_kind kind;
    const char *argument;
    const char *text;
};

struct arguments;

/* Runs a verb; returns the exit code. */
typedef int verb_fn(const struct arguments *arguments);

struct verb {
    verb_fn *run;
    const char *words;
    const char *arguments;
    size_t least;
    size_t most;
    const char *options; /* names, separated by spaces */
    const char *text;
};

struct option_value {
    bool is_given;
    const char *text; /* as it was written */
    int64_t number;   /* count, bytes or ms; < 0: none */
};

struct arguments {
    const struct verb *verb; /* NULL: none was given, see arguments_parse */
    struct option_value options[OPTION_COUNT_OF];
    const char *texts[TEXTS_MAX]; /* of the option of kind TEXTS */
    size_t text_count;
    char *const *words; /* after the verb; NULL after the last */
    size_t word_count;
    size_t words_before_dashes; /* how many of them stand before `--`; all, without it */
    char **memory;
};

const struct option_row *option_get(enum option option);

/* The option of a long name or of a letter; NULL if there is none. */
const struct option_row *option_find(const char *name, size_t bytes);
const struct option_row *option_find_letter(char letter);

/* The verbs in the order of the table; NULL after the last. */
const struct verb *verb_at(size_t index);

/* The verb that the first words name; *used is then how many words its name has. */
const struct verb *verb_find(char *const *words, size_t count, size_t *used);

/* Whether the option is one of the verb's own or of every verb. */
bool verb_has_option(const struct verb *verb, const struct option_row *row);

/* Reads the command line. Returns false after it has said on standard error what is wrong: usage.
 * With --help or --version given the verb may be missing and the arguments are not counted.
 * arguments_deinit must be called in any case. The texts point into argv. */
bool arguments_parse(struct arguments *arguments, int argc, char **argv);
void arguments_deinit(struct arguments *arguments);

static inline bool arguments_has(const struct arguments *arguments, enum option option)
{
    return arguments->options[option].is_given;
}

/* What was given, or the default. */
static inline int64_t arguments_number(const struct arguments *arguments, enum option option,
                                       int64_t number)
{
    return arguments->options[option].is_given ? arguments->options[option].number : number;
}

#endif
