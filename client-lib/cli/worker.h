/* A worker that runs a program for each command of a queue. */
#ifndef HERALD_CLI_WORKER_H
#define HERALD_CLI_WORKER_H

#include "client-lib/cli/arguments.h"

/* The verb `work` with a command: words[0] is the queue, the rest the program and its arguments.
 * Returns the exit code. */
int worker_run(const struct arguments *arguments);

#endif
