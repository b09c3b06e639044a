/* herald help, and --help of every verb: made from the tables. */
#include "client-lib/cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "client-lib/cli/help.h"
#include "client-lib/cli/report.h"
#include "client-lib/cli/suggest.h"

enum { OPTION_WIDTH = 30, VERB_WIDTH = 34 };

static void print_option(const struct option_row *row, struct output *output)
{
    char left[128];
    char line[512];
    char letter[8] = "    ";
    if (row->letter != 0)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    if (row->kind == OPTION_KIND_OPTIONAL_DURATION)
        snprintf(left, sizeof left, "  %s--%s[=%s]", letter, row->name, row->argument);
    else
        snprintf(left, sizeof left, "  %s--%s%s%s", letter, row->name,
                 row->argument[0] != '\0' ? " " : "", row->argument);
    int bytes = strlen(left) < OPTION_WIDTH
                    ? snprintf(line, sizeof line, "%-*s%s\n", OPTION_WIDTH, left, row->text)
                    : snprintf(line, sizeof line, "%s\n%*s%s\n", left, OPTION_WIDTH, "", row->text);
    output_write(output, line, (size_t)bytes);
}

static void print_text(struct output *output, const char *text)
{
    output_write(output, text, strlen(text));
}

void help_print_verb(const struct verb *verb, struct output *output)
{
    char line[512];
    snprintf(line, sizeof line, "usage: herald %s%s%s%s\n\n%s\n", verb->words,
             verb->arguments[0] != '\0' ? " " : "", verb->arguments,
             verb->options[0] != '\0' ? " [OPTIONS]" : "", verb->text);
    print_text(output, line);
    if (verb->options[0] != '\0')
        print_text(output, "\noptions:\n");
    for (int i = OPTIONS_OF_ALL; i < OPTION_COUNT_OF; i++) {
        if (verb_has_option(verb, option_get((enum option)i)))
            print_option(option_get((enum option)i), output);
    }
    print_text(output, "\noptions of every verb:\n");
    for (int i = 0; i < OPTIONS_OF_ALL; i++)
        print_option(option_get((enum option)i), output);
}

/* A line for a verb; all the verbs of a family when `family` is not NULL. */
static size_t print_verbs(const char *family, struct output *output)
{
    char line[512];
    size_t count = 0;
    size_t bytes = family != NULL ? strlen(family) : 0;
    for (size_t i = 0; verb_at(i) != NULL; i++) {
        const struct verb *verb = verb_at(i);
        if (family != NULL &&
            (strncmp(verb->words, family, bytes) != 0 || verb->words[bytes] != ' '))
            continue;
        char left[128];
        snprintf(left, sizeof left, "  %s %s", verb->words, verb->arguments);
        if (strlen(left) < VERB_WIDTH)
            snprintf(line, sizeof line, "%-*s%s\n", VERB_WIDTH, left, verb->text);
        else
            snprintf(line, sizeof line, "%s\n%*s%s\n", left, VERB_WIDTH, "", verb->text);
        print_text(output, line);
        count++;
    }
    return count;
}

void help_print_all(struct output *output)
{
    print_text(output, "usage: herald VERB [ARGUMENTS] [OPTIONS]\n\n"
                       "Commands and events through a Herald broker.\n\n");
    print_verbs(NULL, output);
    print_text(output, "\noptions of every verb:\n");
    for (int i = 0; i < OPTIONS_OF_ALL; i++)
        print_option(option_get((enum option)i), output);
    print_text(output,
               "\nOptions may stand anywhere; -- ends them. BODY - is standard input.\n"
               "D is a duration like 500ms, 5s, 2m (a bare number is seconds), SIZE like 1GiB.\n"
               "\nexit codes: 0 ok, 1 failed or refused, 2 usage, 3 cannot connect,\n"
               "4 no such queue or exchange, 5 timeout, 6 denied\n"
               "\nA first try:\n"
               "  herald queue create mail\n"
               "  herald send mail 'hello'\n"
               "  herald work mail\n");
}

int verb_help(const struct arguments *arguments)
{
    struct output output;
    size_t used;
    output_init(&output, arguments);
    const struct verb *verb = verb_find(arguments->words, arguments->word_count, &used);
    if (verb != NULL)
        help_print_verb(verb, &output);
    else if (arguments->word_count == 0)
        help_print_all(&output);
    else if (print_verbs(arguments->words[0], &output) == 0) {
        suggest_verb(arguments->words, arguments->word_count);
        return EXIT_USAGE;
    }
    return output_finish(&output, EXIT_OK);
}
