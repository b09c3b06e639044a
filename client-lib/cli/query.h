/* Questions to the broker and their rows, printed. */
#ifndef HERALD_CLI_QUERY_H
#define HERALD_CLI_QUERY_H

#include <jansson.h>

#include "client-lib/cli/output.h"
#include "client-lib/cli/report.h"
#include "client-lib/cli/contact.h"

enum query_shape {
    QUERY_LIST, /* many rows: a table, or values */
    QUERY_ONE,  /* one row: a line for each field, or one value */
};

struct query_print {
    struct herald_query query;
    enum query_shape shape;
    const char *first_columns; /* those that a table shows first */
    const char *only;          /* only rows that have a text under this name; NULL: all */
    struct report_names names;
};

struct herald_query query_about(enum herald_subject subject, const char *name, const char *key);

/* A whole verb: connects, asks, prints and returns the exit code. */
int query_run(const struct arguments *arguments, const struct query_print *print);

/* Asks and prints. Returns the exit code, which it has explained. */
int query_print(struct contact *contact, const struct query_print *print, struct output *output);

/* Asks and gives the rows as an array of objects; NULL after it has said why not, with the exit
 * code in *code. */
json_t *query_fetch(struct contact *contact, const struct query_print *print, int *code);

#endif
