/* Standard output: messages and rows as people or programs want them. */
#include "client-lib/cli/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client-lib/cli/report.h"
#include "client-lib/cli/value.h"

enum { JSON_FLAGS = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6) };

void output_init(struct output *output, const struct arguments *arguments)
{
    const char *format = arguments->options[OPTION_OUTPUT].text;
    *output = (struct output){.format = OUTPUT_TABLE};
    if (format != NULL && strcmp(format, "json") == 0)
        output->format = OUTPUT_JSON;
    if (format != NULL && strcmp(format, "jsonl") == 0)
        output->format = OUTPUT_JSONL;
}

static void note_failure(struct output *output)
{
    if (output->state != OUTPUT_OPEN)
        return;
    if (errno == EPIPE) {
        output->state = OUTPUT_GONE;
        return;
    }
    output->state = OUTPUT_FAILED;
    report_say("cannot write to standard output: %s", strerror(errno));
}

void output_write(struct output *output, const void *bytes, size_t count)
{
    if (output->state == OUTPUT_OPEN && count > 0 && fwrite(bytes, 1, count, stdout) != count)
        note_failure(output);
}

void output_body(struct output *output, const void *body, size_t count)
{
    const char *bytes = body;
    output_write(output, bytes, count);
    if (count == 0 || bytes[count - 1] != '\n')
        output_write(output, "\n", 1);
}

static void write_json_take(struct output *output, json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_FLAGS) : NULL;
    json_decref(value);
    if (text == NULL) {
        errno = ENOMEM;
        note_failure(output);
        return;
    }
    output_write(output, text, strlen(text));
    free(text);
}

void output_json_take(struct output *output, json_t *value)
{
    if (output->format == OUTPUT_JSON)
        output_write(output, output->is_array_begun ? ",\n " : "[", output->is_array_begun ? 3 : 1);
    output->is_array_begun = true;
    write_json_take(output, value);
    if (output->format == OUTPUT_JSONL)
        output_write(output, "\n", 1);
}

void output_json_whole_take(struct output *output, json_t *value)
{
    write_json_take(output, value);
    output_write(output, "\n", 1);
}

static char *base64(const unsigned char *bytes, size_t count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc((count + 2) / 3 * 4 + 1);
    char *to = text;
    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < count; i += 3) {
        unsigned second = i + 1 < count ? bytes[i + 1] : 0;
        unsigned third = i + 2 < count ? bytes[i + 2] : 0;
        unsigned group = (unsigned)bytes[i] << 16 | second << 8 | third;
        *to++ = digits[group >> 18];
        *to++ = digits[group >> 12 & 63];
        *to++ = i + 1 < count ? digits[group >> 6 & 63] : '=';
        *to++ = i + 2 < count ? digits[group & 63] : '=';
    }
    *to = '\0';
    return text;
}

void output_set_body(json_t *object, const void *body, size_t count)
{
    if (value_is_utf8(body, count)) {
        json_object_set_new(object, "body", json_stringn_nocheck(body, count));
        return;
    }
    char *text = base64(body, count);
    if (text != NULL)
        json_object_set_new(object, "body_base64", json_string(text));
    free(text);
}

bool output_flush(struct output *output)
{
    if (output->state == OUTPUT_OPEN && fflush(stdout) != 0)
        note_failure(output);
    return output->state == OUTPUT_OPEN;
}

int output_watch_fd(void)
{
    struct stat stat;
    if (fstat(STDOUT_FILENO, &stat) != 0)
        return -1;
    return S_ISFIFO(stat.st_mode) || S_ISSOCK(stat.st_mode) ? STDOUT_FILENO : -1;
}

void output_mark_gone(struct output *output)
{
    if (output->state == OUTPUT_OPEN)
        output->state = OUTPUT_GONE;
}

void output_end_array(struct output *output)
{
    if (output->format != OUTPUT_JSON)
        return;
    if (output->is_array_begun)
        output_write(output, "]\n", 2);
    else
        output_write(output, "[]\n", 3);
}

int output_finish(struct output *output, int code)
{
    output_flush(output);
    return output->state == OUTPUT_FAILED ? EXIT_FAILED : code;
}

void output_count(struct output *output, const char *what, uint64_t count)
{
    char line[64];
    if (output->format != OUTPUT_TABLE) {
        output_json_whole_take(output, json_pack("{s:I}", what, (json_int_t)count));
        return;
    }
    int bytes = snprintf(line, sizeof line, "%s %" PRIu64 "\n", what, count);
    output_write(output, line, (size_t)bytes);
}

int output_version(struct output *output, uint64_t version, int code)
{
    char line[32];
    if (output->format != OUTPUT_TABLE) {
        output_json_whole_take(output, json_pack("{s:I}", "version", (json_int_t)version));
    } else {
        int bytes = snprintf(line, sizeof line, "%" PRIu64 "\n", version);
        output_write(output, line, (size_t)bytes);
    }
    return output_finish(output, code);
}
