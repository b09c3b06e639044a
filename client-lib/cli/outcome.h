/* What became of a command, printed: for herald call, herald wait and herald send --wait. */
#ifndef HERALD_CLI_OUTCOME_H
#define HERALD_CLI_OUTCOME_H

#include "client-lib/cli/contact.h"
#include "client-lib/cli/output.h"

/* "not_run", "maybe_run", "ran". */
const char *outcome_ran_name(enum herald_ran ran);

/* Prints the result; one that failed has its code and text on standard error, and that alone; in
 * JSON it is told on standard output too. `outcome` may be NULL: `status` says it all. Returns the
 * exit code. */
int outcome_print(struct contact *contact, struct output *output, enum herald_status status,
                  const struct herald_outcome *outcome, const char *queue);

/* The same for a tracked command that is done or has failed. */
int outcome_print_command(struct contact *contact, struct output *output,
                          const struct herald_command *command);

#endif
