/* Standard output: messages and rows as people or programs want them.
 *
 * A reader that has gone (`| head`) ends the output quietly; any other failure of writing is said
 * once and makes the exit code 1.
 */
#ifndef HERALD_CLI_OUTPUT_H
#define HERALD_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "client-lib/cli/arguments.h"

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JSONL };

enum output_state {
    OUTPUT_OPEN,
    OUTPUT_GONE,   /* the reader has gone: stop, all is well */
    OUTPUT_FAILED, /* it could not be written; said on standard error */
};

struct output {
    enum output_format format;
    enum output_state state;
    bool is_array_begun; /* of JSON: the first value is out */
};

void output_init(struct output *output, const struct arguments *arguments);

/* Writes bytes as they are. */
void output_write(struct output *output, const void *bytes, size_t count);

/* Writes a body with a line end unless it has one. */
void output_body(struct output *output, const void *body, size_t count);

/* Writes a value as one line of JSON lines, or as the next element of the one array; takes the
 * reference, and a NULL as out of memory. */
void output_json_take(struct output *output, json_t *value);

/* Writes a value that is the whole output. */
void output_json_whole_take(struct output *output, json_t *value);

/* Sets "body" to the text, or "body_base64" when it is not UTF-8. */
void output_set_body(json_t *object, const void *body, size_t count);

/* Lets everything written so far out. False: stop, see the state. */
bool output_flush(struct output *output);

/* A descriptor for poll(2) that shows POLLERR when the reader has gone, -1 if that cannot be seen;
 * and what to do when it does. */
int output_watch_fd(void);
void output_mark_gone(struct output *output);

/* Says how much something was: "purged 3", or as one object. */
void output_count(struct output *output, const char *what, uint64_t count);

/* Says at which version an entity is: the number alone, or as one object. Returns what
 * output_finish makes of the code. */
int output_version(struct output *output, uint64_t version, int code);

/* Ends the array of JSON that single values were put into. */
void output_end_array(struct output *output);

/* Flushes and returns the exit code: `code`, or EXIT_FAILED if the output could not be written. */
int output_finish(struct output *output, int code);

#endif
