/* The figures of a measurement, printed for people or as one object of JSON. */
#ifndef HERALD_CLI_FIGURES_H
#define HERALD_CLI_FIGURES_H

#include <jansson.h>

#include "client-lib/cli/table.h"

enum figure_kind {
    FIGURE_COUNT,
    FIGURE_BYTES,
    FIGURE_SECONDS,
    FIGURE_MICROSECONDS,
    FIGURE_PER_SECOND,
    FIGURE_RATIO,
};

struct figures {
    json_t *object;
    struct table table;
};

void figures_init(struct figures *figures, const char *bench);

/* `name` is for programs and says the unit, `text` for people. A negative value is one that could
 * not be measured: null, or a dash. */
void figures_add(struct figures *figures, enum figure_kind kind, const char *name, const char *text,
                 double value);

/* Prints and frees. */
void figures_print_deinit(struct figures *figures, struct output *output);

#endif
