/* The question before something is destroyed. */
#ifndef HERALD_CLI_CONFIRM_H
#define HERALD_CLI_CONFIRM_H

#include "client-lib/cli/arguments.h"

/* Asks on a terminal unless --yes is given; elsewhere --yes must be given. Returns EXIT_OK to go
 * on, else the exit code after it has said why not. */
int confirm_ask(const struct arguments *arguments, const char *question);

#endif
