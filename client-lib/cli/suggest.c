/* Did you mean: the nearest verb or option by edit distance. */
#include "client-lib/cli/suggest.h"

#include <stdio.h>
#include <string.h>

#include "client-lib/cli/arguments.h"

enum {
    TEXT_MAX = 63,
    NEAR_MAX = 3, /* farther apart, a suggestion is a guess */
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment with three rows of the table. */
size_t suggest_distance(const char *a, const char *b)
{
    size_t rows[3][TEXT_MAX + 1];
    size_t a_count = least(strlen(a), TEXT_MAX);
    size_t b_count = least(strlen(b), TEXT_MAX);
    for (size_t j = 0; j <= b_count; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_count; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_count; j++) {
            size_t change = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(change, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[a_count % 3][b_count];
}

static const char *nearest_verb(const char *text)
{
    const char *found = NULL;
    size_t best = NEAR_MAX;
    for (size_t i = 0; verb_at(i) != NULL; i++) {
        size_t distance = suggest_distance(text, verb_at(i)->words);
        if (distance < best) {
            best = distance;
            found = verb_at(i)->words;
        }
    }
    return found;
}

/* `herald queue` alone names a family of verbs. */
static void print_family(const char *word)
{
    size_t bytes = strlen(word);
    const char *separator = "; there are: ";
    for (size_t i = 0; verb_at(i) != NULL; i++) {
        const char *words = verb_at(i)->words;
        if (strncmp(words, word, bytes) == 0 && words[bytes] == ' ') {
            fprintf(stderr, "%s%s", separator, words);
            separator = ", ";
        }
    }
}

void suggest_verb(char *const *words, size_t count)
{
    char two[2 * TEXT_MAX + 2];
    snprintf(two, sizeof two, "%.*s %.*s", (int)TEXT_MAX, words[0], (int)TEXT_MAX,
             count > 1 ? words[1] : "");
    const char *found = count > 1 ? nearest_verb(two) : NULL;
    if (found == NULL)
        found = nearest_verb(words[0]);
    if (found != NULL) {
        fprintf(stderr, "herald: '%.*s' is not a verb; did you mean `herald %s`?\n", (int)TEXT_MAX,
                count > 1 && strchr(found, ' ') != NULL ? two : words[0], found);
        return;
    }
    fprintf(stderr, "herald: '%.*s' is not a verb", (int)TEXT_MAX, words[0]);
    print_family(words[0]);
    fprintf(stderr, "; `herald help` lists them\n");
}

void suggest_option(const char *name, size_t bytes)
{
    char text[TEXT_MAX + 1];
    snprintf(text, sizeof text, "%.*s", (int)least(bytes, TEXT_MAX), name);
    const struct option_row *found = NULL;
    size_t best = NEAR_MAX;
    for (int i = 0; i < OPTION_COUNT_OF; i++) {
        const struct option_row *row = option_get((enum option)i);
        size_t distance = suggest_distance(text, row->name);
        if (distance < best) {
            best = distance;
            found = row;
        }
    }
    if (found != NULL)
        fprintf(stderr, "did you mean --%s?\n", found->name);
}
