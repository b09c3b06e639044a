/* The question before something is destroyed. */
#ifndef HERALD_CLI_CONFIRM_H
#define HERALD_CLI_CONFIRM_H

#include "client-lib/cli/arguments.h"
#include "client-lib/cli/contact.h"

/* Asks on a terminal unless --yes is given; elsewhere --yes must be given. Then connects, as
 * contact_open_plain does. Returns EXIT_OK to go on, else the exit code after it has said why not;
 * then nothing is open. */
int confirm_open(struct contact *contact, const struct arguments *arguments, const char *question);

#endif
