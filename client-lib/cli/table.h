/* An aligned table of texts, as wide as fits on 80 columns: what does not fit is left out from the
 * right, whole columns at a time; cells are never cut. */
#ifndef HERALD_CLI_TABLE_H
#define HERALD_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "client-lib/cli/output.h"

enum { TABLE_COLUMNS_MAX = 64, TABLE_WIDTH = 80 };

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table_column {
    char *name;
    enum table_align align;
    size_t width;
};

struct table {
    struct table_column columns[TABLE_COLUMNS_MAX];
    size_t column_count;
    char **cells; /* row after row */
    size_t cell_count;
    size_t cell_room;
    bool is_short_of_memory; /* nothing is printed then */
};

void table_init(struct table *table);
void table_deinit(struct table *table);

/* Columns are added between rows; rows that are there already have an empty cell in a later one.
 * More than TABLE_COLUMNS_MAX are left out. */
void table_add_column(struct table *table, const char *name, enum table_align align);

/* The index of a column; column_count: there is none. `bytes` of the name count. */
size_t table_find_column(const struct table *table, const char *name, size_t bytes);

/* The next cell from left to right; the text is copied. */
void table_add_cell(struct table *table, const char *text);

/* Prints the columns whose names stand in `first` in that order, then the others, as far as they
 * fit. `first` is a list of names separated by spaces. */
void table_print(const struct table *table, const char *first, struct output *output);

/* Prints the table the other way round: a line for each column, for tables of one row. */
void table_print_upright(const struct table *table, struct output *output);

#endif
