/* Bodies from the command line and from standard input. */
#include "client-lib/cli/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/cli/report.h"

static bool read_all(struct input_body *body)
{
    size_t room = 65536;
    char *bytes = malloc(room);
    size_t count = 0;
    while (bytes != NULL) {
        size_t got = fread(bytes + count, 1, room - count, stdin);
        count += got;
        if (count < room || count > INPUT_BYTES_MAX)
            break;
        room *= 2;
        char *more = realloc(bytes, room);
        if (more == NULL)
            free(bytes);
        bytes = more;
    }
    body->memory = bytes;
    body->bytes = bytes;
    body->count = count;
    if (bytes == NULL)
        report_say("out of memory");
    else if (ferror(stdin))
        report_say("cannot read standard input: %s", strerror(errno));
    else if (count > INPUT_BYTES_MAX)
        report_say("standard input holds more than the 16 MiB that a message can have");
    else
        return true;
    input_body_deinit(body);
    return false;
}

bool input_read_body(struct input_body *body, const char *argument)
{
    if (strcmp(argument, "-") == 0)
        return read_all(body);
    *body = (struct input_body){.bytes = argument, .count = strlen(argument)};
    return true;
}

void input_body_deinit(struct input_body *body)
{
    free(body->memory);
    body->memory = NULL;
}

int input_read_line(FILE *file, char **line, size_t *room, size_t *count)
{
    errno = 0;
    ssize_t got = getline(line, room, file);
    if (got < 0) {
        if (feof(file))
            return 0;
        report_say("cannot read standard input: %s", strerror(errno));
        return -1;
    }
    *count = (size_t)got;
    if (*count > 0 && (*line)[*count - 1] == '\n')
        (*count)--;
    if (*count <= INPUT_BYTES_MAX)
        return 1;
    report_say("a line is longer than the 16 MiB that a message can have");
    return -1;
}
