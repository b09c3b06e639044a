/* Bodies from the command line and from standard input. */
#ifndef HERALD_CLI_INPUT_H
#define HERALD_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* No broker takes larger messages. */
#define INPUT_BYTES_MAX ((size_t)16 << 20)

struct input_body {
    const void *bytes;
    size_t count;
    void *memory; /* NULL when the bytes are the caller's */
};

/* The body that an argument means: its own text, or all of standard input for "-". False after it
 * has said why not. input_body_deinit frees it. */
bool input_read_body(struct input_body *body, const char *argument);
void input_body_deinit(struct input_body *body);

/* Reads a line without its end. *line and *room are those of getline(3). 1: a line, 0: the end, -1:
 * an error, said on standard error. */
int input_read_line(FILE *file, char **line, size_t *room, size_t *count);

#endif
