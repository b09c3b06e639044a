/* What could stand next on the command line, for the completion of shells. */
#include "client-lib/cli/complete.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/cli/arguments.h"
#include "client-lib/cli/report.h"
#include "client-lib/herald.h"

/* A shell that waits for a broker is worse than one that does not know names. */
enum { COMPLETE_MS = 400, WORDS_MAX = 64 };

/* What the words before the last one say. */
struct context {
    char *words[WORDS_MAX]; /* without options and their arguments */
    size_t word_count;
    const char *server;            /* NULL: none given */
    const struct option_row *open; /* an option that waits for its argument; NULL: none */
    const char *last;
    const char *only; /* names of rows that have a text under this name; NULL: all */
};

static void offer(const struct context *context, const char *text, size_t bytes)
{
    size_t typed = strlen(context->last);
    if (bytes >= typed && memcmp(text, context->last, typed) == 0)
        printf("%.*s\n", (int)bytes, text);
}

static const struct option_row *find_option(const char *word)
{
    if (word[1] == '-')
        return option_find(word + 2, strlen(word + 2));
    return word[1] != '\0' && word[2] == '\0' ? option_find_letter(word[1]) : NULL;
}

static void read_words(struct context *context, char *const *words, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        char *word = words[i];
        if (context->open != NULL) {
            if (context->open == option_get(OPTION_SERVER))
                context->server = word;
            context->open = NULL;
        } else if (word[0] == '-' && word[1] != '\0') {
            const struct option_row *row = find_option(word);
            if (row != NULL && row->kind != OPTION_KIND_FLAG &&
                row->kind != OPTION_KIND_OPTIONAL_DURATION)
                context->open = row;
        } else if (context->word_count < WORDS_MAX) {
            context->words[context->word_count++] = word;
        }
    }
    context->last = count > 0 ? words[count - 1] : "";
}

/* The next word of every verb that begins with the words so far. */
static void offer_verbs(const struct context *context)
{
    const char *previous = "";
    for (size_t i = 0; verb_at(i) != NULL; i++) {
        const char *words = verb_at(i)->words;
        if (context->word_count == 1) {
            size_t bytes = strlen(context->words[0]);
            if (strncmp(words, context->words[0], bytes) != 0 || words[bytes] != ' ')
                continue;
            words += bytes + 1;
        }
        size_t bytes = strcspn(words, " ");
        bool is_again = strncmp(previous, words, bytes) == 0 && strcspn(previous, " ") == bytes;
        if (!is_again)
            offer(context, words, bytes);
        previous = words;
    }
}

static void offer_options(const struct context *context, const struct verb *verb)
{
    for (int i = 0; i < OPTION_COUNT_OF; i++) {
        const struct option_row *row = option_get((enum option)i);
        char text[64];
        if (verb == NULL ? i >= OPTIONS_OF_ALL : !verb_has_option(verb, row))
            continue;
        int bytes = snprintf(text, sizeof text, "--%s", row->name);
        offer(context, text, (size_t)bytes);
    }
}

static void on_row(const struct herald_field *fields, size_t count, void *user)
{
    const struct context *context = user;
    bool is_wanted = context->only == NULL;
    for (size_t i = 0; i < count && !is_wanted; i++)
        is_wanted = strcmp(fields[i].name, context->only) == 0 && fields[i].text_bytes > 0;
    for (size_t i = 0; i < count && is_wanted; i++) {
        if (strcmp(fields[i].name, "name") == 0)
            offer(context, fields[i].text, fields[i].text_bytes);
    }
}

static void offer_names(struct context *context, enum herald_subject subject)
{
    struct herald_options options = herald_options_default();
    options.url = context->server;
    struct herald_client *client = herald_new(&options);
    if (client == NULL)
        return;
    struct herald_query query = {
        .size = sizeof query, .subject = subject, .on_row = on_row, .context = context};
    if (herald_connect(client, COMPLETE_MS) == HERALD_OK)
        (void)herald_query(client, &query, COMPLETE_MS);
    herald_close(client, 0);
}

/* What may stand for a word of a synopsis: a live name, or one of several words. */
static void offer_for(struct context *context, const char *synopsis, size_t bytes)
{
    if (bytes == 5 && memcmp(synopsis, "QUEUE", 5) == 0) {
        offer_names(context, HERALD_QUEUES);
    } else if (bytes == 8 && memcmp(synopsis, "EXCHANGE", 8) == 0) {
        offer_names(context, HERALD_EXCHANGES);
    } else if (bytes == 6 && memcmp(synopsis, "CURSOR", 6) == 0) {
        context->only = "exchange";
        offer_names(context, HERALD_QUEUES);
    } else if (synopsis[0] >= 'a' && synopsis[0] <= 'z') {
        const char *end = synopsis + bytes;
        while (synopsis < end) {
            size_t length = strcspn(synopsis, "| ");
            if (synopsis[0] >= 'a' && synopsis[0] <= 'z')
                offer(context, synopsis, length);
            synopsis += length + 1;
        }
    }
}

static void offer_argument(struct context *context, const struct verb *verb, size_t index)
{
    const char *synopsis = verb->arguments;
    while (index > 0 && *synopsis != '\0') {
        synopsis += strcspn(synopsis, " ");
        synopsis += *synopsis == ' ';
        index--;
    }
    if (*synopsis != '\0')
        offer_for(context, synopsis, strcspn(synopsis, " "));
}

int complete_print(char *const *words, size_t count)
{
    struct context context = {.last = ""};
    size_t used = 0;
    read_words(&context, words, count);
    const struct verb *verb = verb_find(context.words, context.word_count, &used);
    if (context.open != NULL)
        offer_for(&context, context.open->argument, strlen(context.open->argument));
    else if (context.last[0] == '-')
        offer_options(&context, verb);
    else if (verb != NULL)
        offer_argument(&context, verb, context.word_count - used);
    else
        offer_verbs(&context);
    return EXIT_OK;
}
