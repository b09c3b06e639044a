/* The command line of heraldd. */
#ifndef HERALD_OPTIONS_H
#define HERALD_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "protocol/status.h"

enum options_action {
    OPTIONS_RUN,
    OPTIONS_CHECK_CONFIG,
    OPTIONS_PRINT_CONFIG,
    OPTIONS_VERIFY,
    OPTIONS_DUMP,
    OPTIONS_REPAIR,
    OPTIONS_HELP,
    OPTIONS_VERSION,
};

struct options {
    enum options_action action;
    const char *config_path;   /* NULL without -c; points into argv, as the next */
    const char *dev_directory; /* NULL without --dev */
    const char *directory;     /* of --verify, --dump and --repair, else NULL */
    bool is_consented;         /* --yes */
};

/* The exit code of a wrong command line. */
#define OPTIONS_EXIT_USAGE 2

/* Reads the command line. STATUS_BAD_VALUE: one line that says what is wrong was written to `err`.
 */
enum status options_parse(struct options *options, int argc, char **argv, FILE *err);

void options_print_help(FILE *out);
void options_print_version(FILE *out);

#endif
