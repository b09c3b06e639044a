/* What went wrong: the words on standard error and the exit code. */
#ifndef HERALD_CLI_REPORT_H
#define HERALD_CLI_REPORT_H

#include <stddef.h>

#include "client-lib/herald.h"

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1, /* failed or refused */
    EXIT_USAGE = 2,
    EXIT_CONNECT = 3,
    EXIT_NOT_FOUND = 4,
    EXIT_TIMEOUT = 5,
    EXIT_DENIED = 6,
};

/* What a verb was about, for the hint how to make it. Each may be NULL. */
struct report_names {
    const char *queue;
    const char *exchange;
    const char *other; /* another queue, to reply or to move to; then the broker's text names it */
};

/* The exit code that goes with a status. */
int report_exit_code(enum herald_status status);

/* Prints "herald: ..." and a line end on standard error. Control characters are printed as '?':
 * parts of the text may come from the broker or a worker. */
void report_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says what the broker or the library has against something, with the line that would help where a
 * queue or an exchange is missing. `code` is the broker's name for it or "". Returns the exit code
 * for it. */
int report_refusal(enum herald_status status, const char *code, const char *text,
                   const struct report_names *names);

/* The same for the most recent failure of the handle; says nothing for HERALD_OK. */
int report_status(struct herald_client *client, enum herald_status status,
                  const struct report_names *names);

#endif
