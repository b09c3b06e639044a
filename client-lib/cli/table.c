/* An aligned table of texts, as wide as fits on 80 columns. */
#include "client-lib/cli/table.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/cli/report.h"

enum { GAP = 2 };

void table_init(struct table *table)
{
    memset(table, 0, sizeof *table);
}

void table_deinit(struct table *table)
{
    for (size_t i = 0; i < table->column_count; i++)
        free(table->columns[i].name);
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
}

/* Columns on a terminal: continuation bytes of UTF-8 take no room of their own. */
static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* Every row gets an empty cell at its end. */
static bool widen_rows(struct table *table)
{
    size_t before = table->column_count;
    size_t rows = before > 0 ? table->cell_count / before : 0;
    if (rows == 0)
        return true;
    char **cells = calloc(rows * (before + 1), sizeof *cells);
    if (cells == NULL)
        return false;
    for (size_t row = 0; row < rows; row++) {
        memcpy(cells + row * (before + 1), table->cells + row * before, before * sizeof *cells);
        cells[row * (before + 1) + before] = strdup("");
        table->is_short_of_memory |= cells[row * (before + 1) + before] == NULL;
    }
    free(table->cells);
    table->cells = cells;
    table->cell_count = table->cell_room = rows * (before + 1);
    return true;
}

void table_add_column(struct table *table, const char *name, enum table_align align)
{
    assert(table->column_count == 0 || table->cell_count % table->column_count == 0);
    if (table->column_count == TABLE_COLUMNS_MAX)
        return;
    char *copy = strdup(name);
    if (copy == NULL || !widen_rows(table)) {
        free(copy);
        table->is_short_of_memory = true;
        return;
    }
    table->columns[table->column_count++] =
        (struct table_column){.name = copy, .align = align, .width = text_width(name)};
}

size_t table_find_column(const struct table *table, const char *name, size_t bytes)
{
    for (size_t i = 0; i < table->column_count; i++) {
        if (strlen(table->columns[i].name) == bytes &&
            memcmp(table->columns[i].name, name, bytes) == 0)
            return i;
    }
    return table->column_count;
}

static bool make_room(struct table *table)
{
    if (table->cell_count < table->cell_room)
        return true;
    size_t room = table->cell_room == 0 ? 256 : table->cell_room * 2;
    char **cells = realloc(table->cells, room * sizeof *cells);
    if (cells == NULL)
        return false;
    table->cells = cells;
    table->cell_room = room;
    return true;
}

void table_add_cell(struct table *table, const char *text)
{
    if (table->is_short_of_memory || table->column_count == 0)
        return;
    char *copy = make_room(table) ? strdup(text) : NULL;
    if (copy == NULL) {
        table->is_short_of_memory = true;
        return;
    }
    for (char *c = copy; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    }
    struct table_column *column = &table->columns[table->cell_count % table->column_count];
    if (text_width(copy) > column->width)
        column->width = text_width(copy);
    table->cells[table->cell_count++] = copy;
}

/* Which columns are shown, in which order; returns how many. */
static size_t choose_columns(const struct table *table, const char *first, size_t *chosen)
{
    bool is_used[TABLE_COLUMNS_MAX] = {false};
    size_t order[TABLE_COLUMNS_MAX];
    size_t count = 0;
    while (*first != '\0') {
        size_t bytes = strcspn(first, " ");
        size_t column = table_find_column(table, first, bytes);
        if (column < table->column_count && !is_used[column]) {
            is_used[column] = true;
            order[count++] = column;
        }
        first += bytes + (first[bytes] == ' ');
    }
    for (size_t i = 0; i < table->column_count; i++) {
        if (!is_used[i])
            order[count++] = i;
    }
    size_t width = 0;
    size_t fitting = 0;
    for (; fitting < count; fitting++) {
        width += table->columns[order[fitting]].width + (fitting > 0 ? GAP : 0);
        if (width > TABLE_WIDTH && fitting > 0)
            break;
        chosen[fitting] = order[fitting];
    }
    return fitting;
}

static void pad(struct output *output, size_t count)
{
    while (count-- > 0)
        output_write(output, " ", 1);
}

static void print_cell(const struct table_column *column, const char *text, bool is_last,
                       struct output *output)
{
    size_t space = column->width - text_width(text);
    if (column->align == TABLE_RIGHT)
        pad(output, space);
    output_write(output, text, strlen(text));
    if (!is_last && column->align == TABLE_LEFT)
        pad(output, space);
    if (is_last)
        output_write(output, "\n", 1);
    else
        pad(output, GAP);
}

static void print_heading(const struct table_column *column, bool is_last, struct output *output)
{
    char text[256];
    snprintf(text, sizeof text, "%s", column->name);
    for (char *c = text; *c != '\0'; c++)
        *c = *c == '_' ? '-' : (char)toupper((unsigned char)*c);
    print_cell(column, text, is_last, output);
}

void table_print(const struct table *table, const char *first, struct output *output)
{
    size_t chosen[TABLE_COLUMNS_MAX];
    if (table->is_short_of_memory) {
        report_say("out of memory");
        output->state = OUTPUT_FAILED;
        return;
    }
    if (table->column_count == 0)
        return;
    size_t count = choose_columns(table, first, chosen);
    for (size_t i = 0; i < count; i++)
        print_heading(&table->columns[chosen[i]], i + 1 == count, output);
    for (size_t row = 0; row < table->cell_count; row += table->column_count) {
        for (size_t i = 0; i < count; i++)
            print_cell(&table->columns[chosen[i]], table->cells[row + chosen[i]], i + 1 == count,
                       output);
    }
}

void table_print_upright(const struct table *table, struct output *output)
{
    struct table_column column = {.align = TABLE_LEFT};
    for (size_t i = 0; i < table->column_count; i++) {
        size_t width = text_width(table->columns[i].name);
        column.width = width > column.width ? width : column.width;
    }
    for (size_t i = 0; i < table->cell_count && table->column_count > 0; i++) {
        print_cell(&column, table->columns[i % table->column_count].name, false, output);
        output_write(output, table->cells[i], strlen(table->cells[i]));
        output_write(output, "\n", 1);
    }
}
