/* What a program says of its progress: lines that it writes to a descriptor of its own.
 *
 *     3            so much is done
 *     3/10         of so much
 *     3/10 pages   with a note for people
 *     checkpoint page 3      for the next attempt, if there is one
 *
 * What comes between two looks counts as one: the newest numbers, the newest checkpoint.
 */
#ifndef HERALD_CLI_PROGRESS_H
#define HERALD_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROGRESS_LINE_BYTES_MAX = 32 * 1024 + 16, /* a checkpoint of any limit fits */
    PROGRESS_NOTE_BYTES_MAX = 255,
};

struct progress {
    bool is_new; /* something was said; who has told it makes it false again */
    bool is_bad; /* a line that makes no sense, likewise */
    uint64_t done;
    uint64_t total; /* 0: not known */
    char note[PROGRESS_NOTE_BYTES_MAX + 1];
    char *checkpoint; /* the newest; NULL: none */
    size_t checkpoint_bytes;
    char *line; /* what has come of the next one */
    size_t line_bytes;
    size_t line_room;
    bool is_too_long;
};

/* Reads what the program has written next. Begin with a zeroed one. */
void progress_take(struct progress *progress, const char *bytes, size_t count);

void progress_deinit(struct progress *progress);

#endif
