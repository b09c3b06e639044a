/* Which queues are cursors. */
#ifndef HERALD_CLI_CURSOR_H
#define HERALD_CLI_CURSOR_H

#include <stdbool.h>

#include "client-lib/cli/contact.h"

enum { CURSOR_TEXT_BYTES = 256 };

struct cursor {
    bool is_there; /* a cursor of this name; what follows is "" otherwise */
    char exchange[CURSOR_TEXT_BYTES];
    char pattern[CURSOR_TEXT_BYTES];
};

/* Asks the broker what stands under a name. Returns EXIT_OK, also when there is nothing or a plain
 * queue, or the exit code after it has said why it cannot know. */
int cursor_find(struct contact *contact, const char *name, struct cursor *cursor);

/* EXIT_OK if there is a cursor of this name, else the exit code after it has said so. */
int cursor_must_be(struct contact *contact, const char *name);

#endif
