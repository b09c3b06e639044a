/* What could stand next on the command line, for the completion of shells. */
#ifndef HERALD_CLI_COMPLETE_H
#define HERALD_CLI_COMPLETE_H

#include <stddef.h>

/* Prints one candidate a line for the last of the words, which may be empty; the words follow
 * "herald". Asks a broker for names if it answers quickly, and is silent about everything that goes
 * wrong. Returns the exit code. */
int complete_print(char *const *words, size_t count);

#endif
