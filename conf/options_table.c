/* Writes what people read about the options, from config.def: `options_table man` the table of
 * herald.conf.5, `options_table sample` the file herald.conf. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct entry {
    const char *section;
    const char *key;
    const char *kind;
    const char *preset;
    const char *min;
    const char *max;
    const char *when;
    const char *help;
};

static const struct entry entries[] = {
#define OPTION(section, key, kind, preset, min, max, when, help)                                   \
    {#section, #key, #kind, preset, min, max, #when, help},
#include "broker/config.def"
};
#define ENTRY_COUNT (sizeof(entries) / sizeof(entries[0]))

/* Words on lines of at most 78 columns that begin with `margin`. */
static void print_filled(const char *margin, const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t bytes = strcspn(text, " ");
        bool fits = column > 0 && column + 1 + bytes <= 78;
        if (column > 0 && !fits)
            putchar('\n');
        printf("%s%.*s", fits ? " " : margin, (int)bytes, text);
        column = (fits ? column + 1 : strlen(margin)) + bytes;
        text += bytes;
        text += strspn(text, " ");
    }
    putchar('\n');
}

/* mdoc wants each sentence to begin a line of its own. */
static void print_sentences(const char *text)
{
    char sentence[512];
    for (const char *end; (end = strstr(text, ". ")) != NULL; text = end + 2) {
        snprintf(sentence, sizeof(sentence), "%.*s", (int)(end + 1 - text), text);
        print_filled("", sentence);
    }
    print_filled("", text);
}

static void print_man(void)
{
    const char *section = "";
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        const struct entry *entry = &entries[i];
        if (strcmp(section, entry->section) != 0) {
            printf("%s.Ss Section %s\n.Bl -tag -width Ds\n", i == 0 ? "" : ".El\n", entry->section);
            section = entry->section;
        }
        printf(".It Cm %s No = Ar %s\n", entry->key, entry->kind);
        print_sentences(entry->help);
        if (*entry->preset == '\0')
            printf("The default is empty");
        else
            printf("The default is %s", entry->preset);
        if (*entry->max != '\0')
            printf(", from %s to %s", entry->min, entry->max);
        printf(".\n%s", strcmp(entry->when, "RESTART") == 0 ? "Needs a restart.\n" : "");
    }
    printf(".El\n");
}

static void print_sample(void)
{
    const char *section = "";
    printf("# The configuration of heraldd; herald.conf(5) explains it.\n"
           "#\n"
           "# Every option stands here with its default. Remove the semicolon before a line to "
           "change it,\n"
           "# or put what differs into a file conf.d/NAME.conf beside this one.\n"
           "# `heraldd --check-config` says what is wrong, `heraldd --print-config` what takes "
           "effect.\n"
           "# SIGHUP makes the daemon read its configuration again.\n");
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        const struct entry *entry = &entries[i];
        if (strcmp(section, entry->section) != 0)
            printf("\n[%s]\n", entry->section);
        section = entry->section;
        putchar('\n');
        print_filled("# ", entry->help);
        if (*entry->max != '\0')
            printf("# From %s to %s.\n", entry->min, entry->max);
        if (strcmp(entry->when, "RESTART") == 0)
            printf("# Needs a restart.\n");
        printf(";%s =%s%s\n", entry->key, *entry->preset == '\0' ? "" : " ", entry->preset);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "man") == 0)
        print_man();
    else if (argc == 2 && strcmp(argv[1], "sample") == 0)
        print_sample();
    else
        return fprintf(stderr, "usage: options_table man|sample\n"), 2;
    return fflush(stdout) == 0 ? 0 : 1;
}
