/* Processes that help a bench: as many connections as one process can hold are not enough for some.
 *
 * A helper says on a socket when it is ready, and ends when the other end of the socket is closed.
 */
#ifndef HERALD_CLI_HELPERS_H
#define HERALD_CLI_HELPERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { HELPERS_MAX = 64 };

struct helper {
    pid_t pid;
    int fd;
};

struct helpers {
    struct helper all[HELPERS_MAX];
    size_t count;
};

/* What a helper does; returns its exit code. */
typedef int helper_fn(int fd, size_t index, void *context);

/* In a helper: it is ready, or, false, nobody is there any more. And: whether it is to go on. */
bool helper_say_ready(int fd);
bool helper_is_wanted(int fd);

/* How many connections of the library one process can hold. */
int64_t helpers_connections_each(void);

/* Starts so many and waits until all are ready. Returns the exit code, which it or a helper has
 * explained; helpers_stop must be called in any case. */
int helpers_start(struct helpers *helpers, size_t count, helper_fn *help, void *context);

/* Ends them and waits for that. */
void helpers_stop(struct helpers *helpers);

#endif
