/* The texts of help, made from the tables of verbs and options. */
#ifndef HERALD_CLI_HELP_H
#define HERALD_CLI_HELP_H

#include "client-lib/cli/output.h"

void help_print_verb(const struct verb *verb, struct output *output);
void help_print_all(struct output *output);

#endif
