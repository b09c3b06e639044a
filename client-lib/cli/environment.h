/* The environment of a program that handles a message. */
#ifndef HERALD_CLI_ENVIRONMENT_H
#define HERALD_CLI_ENVIRONMENT_H

#include "client-lib/herald.h"

/* The environment of this process with HERALD_ID, HERALD_QUEUE and so on, see herald(1), with
 * HERALD_EXCHANGE and HERALD_KEY for an event, and with HERALD_HEADER_NAME for each header: letters
 * made capitals, other characters than A-Z, 0-9 made _; of two headers that become the same name
 * the first is kept. What this process has of these names itself is left out. NULL: no memory. To
 * be freed with environment_free. */
char **environment_new(struct herald_message *message, const char *queue);
void environment_free(char **environment);

/* Writes "HERALD_HEADER_NAME=value" and a NUL into memory to be freed; a value ends at a NUL of its
 * own. NULL: no memory. */
char *environment_make_header(const struct herald_header *header);

#endif
