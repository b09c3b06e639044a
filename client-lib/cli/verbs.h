/* The functions that run the verbs; each returns the exit code. */
#ifndef HERALD_CLI_VERBS_H
#define HERALD_CLI_VERBS_H

#include "client-lib/cli/arguments.h"

#define VERB(function, words, arguments, least, most, options, text) verb_fn function;
#include "client-lib/cli/verbs.def"

#endif
