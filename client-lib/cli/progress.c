/* What a program says of its progress. */
#include "client-lib/cli/progress.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char checkpoint_word[] = "checkpoint ";

static bool parse_number(const char **at, uint64_t *number)
{
    char *end;
    if (!isdigit((unsigned char)**at))
        return false;
    errno = 0;
    unsigned long long value = strtoull(*at, &end, 10);
    if (errno != 0)
        return false;
    *number = value;
    *at = end;
    return true;
}

/* The line ends in a NUL. */
static bool parse_numbers(struct progress *progress, const char *line)
{
    uint64_t done;
    uint64_t total = 0;
    if (!parse_number(&line, &done))
        return false;
    if (*line == '/') {
        line++;
        if (!parse_number(&line, &total))
            return false;
    }
    if (*line != '\0' && *line != ' ')
        return false;
    size_t note_bytes = *line == ' ' ? strlen(++line) : 0;
    if (note_bytes > PROGRESS_NOTE_BYTES_MAX)
        note_bytes = PROGRESS_NOTE_BYTES_MAX;
    progress->done = done;
    progress->total = total;
    memcpy(progress->note, line, note_bytes);
    progress->note[note_bytes] = '\0';
    return true;
}

/* The checkpoint keeps the memory of its line. */
static bool take_checkpoint(struct progress *progress)
{
    size_t word = sizeof checkpoint_word - 1;
    if (progress->line_bytes <= word || memcmp(progress->line, checkpoint_word, word) != 0)
        return false;
    free(progress->checkpoint);
    progress->checkpoint_bytes = progress->line_bytes - word;
    memmove(progress->line, progress->line + word, progress->checkpoint_bytes);
    progress->checkpoint = progress->line;
    progress->line = NULL;
    progress->line_room = 0;
    return true;
}

static void end_line(struct progress *progress)
{
    bool is_good = !progress->is_too_long;
    if (is_good && progress->line_bytes > 0) {
        progress->line[progress->line_bytes] = '\0';
        is_good = take_checkpoint(progress) || parse_numbers(progress, progress->line);
        progress->is_new |= is_good;
    }
    progress->is_bad |= !is_good;
    progress->line_bytes = 0;
    progress->is_too_long = false;
}

/* Room for the byte and a NUL behind it. */
static bool make_room(struct progress *progress)
{
    if (progress->line_bytes + 1 < progress->line_room)
        return true;
    size_t room = progress->line_room == 0 ? 128 : 2 * progress->line_room;
    char *more =
        progress->line_bytes < PROGRESS_LINE_BYTES_MAX ? realloc(progress->line, room) : NULL;
    if (more == NULL)
        return false;
    progress->line = more;
    progress->line_room = room;
    return true;
}

void progress_take(struct progress *progress, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '\n')
            end_line(progress);
        else if (make_room(progress))
            progress->line[progress->line_bytes++] = bytes[i];
        else
            progress->is_too_long = true;
    }
}

void progress_deinit(struct progress *progress)
{
    free(progress->line);
    free(progress->checkpoint);
    *progress = (struct progress){0};
}
