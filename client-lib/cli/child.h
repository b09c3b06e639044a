/* A program that runs for one message: its standard input is fed, its output, its errors and what
 * it says of its progress are kept, each within bounds.
 *
 * The program is over when it has ended itself; what it has left running in the background is not
 * waited for. It runs in a process group of its own, so that Ctrl-C on the terminal reaches only
 * `herald`, which lets it finish.
 */
#ifndef HERALD_CLI_CHILD_H
#define HERALD_CLI_CHILD_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "client-lib/cli/progress.h"

enum {
    CHILD_FDS = 4,
    CHILD_PROGRESS_FD = 3,        /* the program's */
    CHILD_ERROR_BYTES_MAX = 4096, /* the last ones are kept */
};

/* No outcome can be larger. */
#define CHILD_RESULT_BYTES_MAX ((size_t)16 << 20)

struct child_input {
    const void *bytes; /* must live as long as the child */
    size_t count;
};

struct child {
    pid_t pid; /* 0: none */
    int in;    /* the pipes; -1: closed */
    int out;
    int err;
    int said; /* of its progress */
    struct child_input input;
    size_t written;
    char *result;
    size_t result_count;
    size_t result_room;
    bool is_result_too_large;
    char error[CHILD_ERROR_BYTES_MAX + 1];
    size_t error_count;
    struct progress progress;
    bool has_ended;
    int wait_status; /* of waitpid(2), once ended */
};

/* Starts a program, looked for in PATH. 0, or the errno why it could not be started. */
int child_start(struct child *child, char *const *argv, char *const *environment,
                struct child_input input);

/* Fills in CHILD_FDS entries. */
void child_watch(const struct child *child, struct pollfd *fds);

/* Feeds and reads what can be without waiting. */
void child_move_data(struct child *child, const struct pollfd *fds);

/* Looks whether it has ended, and takes what it has still written. */
void child_reap(struct child *child);

/* Sends a signal to all of its process group. */
void child_signal(const struct child *child, int signal);

/* What it wrote to standard error, as one text without NUL and trailing line ends. */
const char *child_error(struct child *child);

/* Frees everything; a program that still runs goes on without us. */
void child_deinit(struct child *child);

#endif
