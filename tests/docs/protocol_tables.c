/* Writes the parts of PROTOCOL.md that come from tables, and checks that they are up to date.
 *
 *   protocol_tables --check FILE     "1 passed, 0 failed" when the file is what it should be
 *   protocol_tables --write FILE     makes it so
 *
 * A part stands between the lines "<!-- made: NAME -->" and "<!-- end -->"; NAME is frames, fields,
 * properties, statuses, sys, or the path of a file that is shown as it is.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/frame.h"

enum { LINE_BYTES_MAX = 4096 };

static const char begin_mark[] = "<!-- made: ";
static const char end_mark[] = "<!-- end -->";

/* --- the words of the tables
 * ---------------------------------------------------------------------- */

static const char *sender_word(enum frame_sender sender)
{
    switch (sender) {
    case FRAME_SENDER_CLIENT:
        return "client";
    case FRAME_SENDER_BROKER:
        return "broker";
    case FRAME_SENDER_BOTH:
        break;
    }
    return "both";
}

static const char *phase_word(enum frame_phase phase)
{
    switch (phase) {
    case FRAME_PHASE_HELLO:
        return "hello";
    case FRAME_PHASE_AUTH:
        return "authentication";
    case FRAME_PHASE_OPEN:
        break;
    }
    return "open";
}

static const char *line_word(enum frame_line line)
{
    switch (line) {
    case FRAME_LINE_NONE:
        return "no tag";
    case FRAME_LINE_LINE:
        return "tagged: CONFIRM or REFUSE";
    case FRAME_LINE_CALL:
        return "tagged: OUTCOME";
    case FRAME_LINE_QUERY:
        return "tagged: ROWs, a copy or REFUSE";
    case FRAME_LINE_ANSWER:
        break;
    }
    return "carries the tag it answers";
}

static void write_frames(FILE *out)
{
    fputs("| type | frame | from | phase | tag and answer | flags |\n"
          "|---|---|---|---|---|---|\n",
          out);
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    fprintf(out, "| 0x%02x | %s | %s | %s | %s | 0x%02x |\n", type, #NAME,                         \
            sender_word(FRAME_SENDER_##sender), phase_word(FRAME_PHASE_##phase),                   \
            line_word(FRAME_LINE_##line), flag_mask);
#include "protocol/frames.def"
}

static void write_fields(FILE *out)
{
    const char *gap = "";
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    fprintf(out, "%s**%s** (0x%02x, from %s): %s.\n\n| field | kind | |\n|---|---|---|\n", gap,    \
            #NAME, type, sender_word(FRAME_SENDER_##sender), text);                                \
    gap = "\n";
#define FIELD(kind, name, text) fprintf(out, "| %s | %s | %s |\n", #name, #kind, text);
#include "protocol/frames.def"
}

static const char *scope_word(const char *scope)
{
    if (strcmp(scope, "MESSAGE") == 0)
        return "message";
    return strcmp(scope, "QUEUE") == 0 ? "queue setting" : "exchange setting";
}

static const char *type_word(const char *type)
{
    if (strcmp(type, "NUMBER") == 0)
        return "number, 8 bytes";
    return strcmp(type, "ID") == 0 ? "id, 16 bytes" : "text, 0 to 255 bytes of UTF-8";
}

static void write_properties(FILE *out)
{
    fputs("| scope | kind | name | value | what it says |\n|---|---|---|---|---|\n", out);
#define PROPERTY(NAME, name, scope, kind, type, text)                                              \
    fprintf(out, "| %s | %d | %s | %s | %s |\n", scope_word(#scope), kind, #name,                  \
            type_word(#type), text);
#include "protocol/properties.def"
}

static void write_statuses(FILE *out)
{
    fputs("| code | name | what it says | |\n|---|---|---|---|\n", out);
#define STATUS(NAME, code, text)                                                                   \
    if (status_is_public(code))                                                                    \
        fprintf(out, "| %d | %s | %s | %s |\n", code, #NAME, text,                                 \
                (code) >= STATUS_BAD_MAGIC ? "closes the connection" : "");
#include "protocol/status.def"
}

static void write_sys(FILE *out)
{
    fputs("| key | when | fields |\n|---|---|---|\n", out);
#define SYS(NAME, name, key, text) fprintf(out, "| %s | %s |", key, text), gap = " ";
#define SYS_NUMBER(field, text) fprintf(out, "%s`%s` (%s)", gap, #field, text), gap = ", ";
#define SYS_TEXT(field, text) SYS_NUMBER(field, text)
#define SYS_END(NAME, name) fputs(" |\n", out);
    const char *gap;
#include "broker/core/sys.def"
}

/* The file's text as a block of code. */
static bool write_file(FILE *out, const char *path)
{
    char line[LINE_BYTES_MAX];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "%s: cannot be opened\n", path);
        return false;
    }
    fputs("```\n", out);
    while (fgets(line, sizeof line, file) != NULL)
        fputs(line, out);
    fputs("```\n", out);
    fclose(file);
    return true;
}

static bool write_part(FILE *out, const char *name)
{
    if (strcmp(name, "frames") == 0)
        write_frames(out);
    else if (strcmp(name, "fields") == 0)
        write_fields(out);
    else if (strcmp(name, "properties") == 0)
        write_properties(out);
    else if (strcmp(name, "statuses") == 0)
        write_statuses(out);
    else if (strcmp(name, "sys") == 0)
        write_sys(out);
    else
        return write_file(out, name);
    return true;
}

/* --- the document
 * --------------------------------------------------------------------------------- */

struct document {
    char *text;
    size_t bytes;
};

static bool document_read(struct document *document, const char *path)
{
    char line[LINE_BYTES_MAX];
    FILE *file = fopen(path, "r");
    FILE *copy = open_memstream(&document->text, &document->bytes);
    if (file == NULL || copy == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL)
        fputs(line, copy);
    fclose(file);
    return fclose(copy) == 0;
}

static bool starts_with(const char *text, const char *begin)
{
    return strncmp(text, begin, strlen(begin)) == 0;
}

/* The document as it should be: everything outside of the parts as it is. */
static bool document_make(const struct document *old, struct document *fresh)
{
    FILE *in = fmemopen(old->text, old->bytes, "r");
    FILE *out = open_memstream(&fresh->text, &fresh->bytes);
    char line[LINE_BYTES_MAX];
    bool is_inside = false;
    bool is_good = in != NULL && out != NULL;
    while (is_good && fgets(line, sizeof line, in) != NULL) {
        if (starts_with(line, end_mark))
            is_inside = false;
        if (!is_inside)
            fputs(line, out);
        if (!starts_with(line, begin_mark))
            continue;
        char name[256];
        is_inside = true;
        is_good = sscanf(line, "<!-- made: %255s -->", name) == 1 && write_part(out, name);
    }
    if (in != NULL)
        fclose(in);
    return out != NULL && fclose(out) == 0 && is_good && !is_inside;
}

static bool document_write(const struct document *document, const char *path)
{
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *file = fopen(temporary, "w");
    if (file == NULL)
        return false;
    bool is_written = fwrite(document->text, 1, document->bytes, file) == document->bytes;
    return fclose(file) == 0 && is_written && rename(temporary, path) == 0;
}

int main(int argc, char **argv)
{
    struct document old = {NULL, 0};
    struct document fresh = {NULL, 0};
    if (argc != 3 || !document_read(&old, argv[2]) || !document_make(&old, &fresh)) {
        fprintf(stderr, "usage: %s --check|--write FILE\n", argv[0]);
        return 2;
    }
    bool is_same = old.bytes == fresh.bytes && memcmp(old.text, fresh.text, old.bytes) == 0;
    bool is_good = is_same;
    if (strcmp(argv[1], "--write") == 0)
        is_good = is_same || document_write(&fresh, argv[2]);
    else if (!is_same)
        printf("%s is not up to date: make docs\n", argv[2]);
    if (strcmp(argv[1], "--check") == 0)
        printf("%d passed, %d failed\n", is_same, !is_same);
    free(old.text);
    free(fresh.text);
    return is_good ? 0 : 1;
}
