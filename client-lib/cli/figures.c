/* The figures of a measurement, printed for people or as one object of JSON. */
#include "client-lib/cli/figures.h"

#include <stdio.h>

#include "client-lib/cli/value.h"

void figures_init(struct figures *figures, const char *bench)
{
    figures->object = json_object();
    json_object_set_new(figures->object, "bench", json_string(bench));
    table_init(&figures->table);
    table_add_column(&figures->table, bench, TABLE_LEFT);
    table_add_column(&figures->table, "value", TABLE_RIGHT);
}

/* A whole number with a comma between thousands. */
static void print_grouped(double value, char text[VALUE_TEXT_BYTES])
{
    char digits[VALUE_TEXT_BYTES];
    int count = snprintf(digits, sizeof digits, "%.0f", value);
    size_t to = 0;
    for (int i = 0; i < count && to + 2 < VALUE_TEXT_BYTES; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            text[to++] = ',';
        text[to++] = digits[i];
    }
    text[to] = '\0';
}

static void print_value(enum figure_kind kind, double value, char text[VALUE_TEXT_BYTES])
{
    switch (kind) {
    case FIGURE_COUNT:
    case FIGURE_PER_SECOND:
        print_grouped(value, text);
        return;
    case FIGURE_BYTES:
        value_print_size((uint64_t)value, text);
        return;
    case FIGURE_SECONDS:
        snprintf(text, VALUE_TEXT_BYTES, "%.3f s", value);
        return;
    case FIGURE_MICROSECONDS:
        snprintf(text, VALUE_TEXT_BYTES, value < 100 ? "%.2f us" : "%.0f us", value);
        return;
    case FIGURE_RATIO:
        snprintf(text, VALUE_TEXT_BYTES, "%.2f", value);
        return;
    }
}

void figures_add(struct figures *figures, enum figure_kind kind, const char *name, const char *text,
                 double value)
{
    char printed[VALUE_TEXT_BYTES] = "-";
    bool is_whole = kind == FIGURE_COUNT || kind == FIGURE_BYTES;
    if (value >= 0)
        print_value(kind, value, printed);
    table_add_cell(&figures->table, text);
    table_add_cell(&figures->table, printed);
    json_t *number = is_whole ? json_integer((json_int_t)value) : json_real(value);
    if (value < 0) {
        json_decref(number);
        number = json_null();
    }
    json_object_set_new(figures->object, name, number);
}

void figures_print_deinit(struct figures *figures, struct output *output)
{
    if (output->format == OUTPUT_TABLE) {
        table_print(&figures->table, "", output);
        json_decref(figures->object);
    } else {
        output_json_whole_take(output, figures->object);
    }
    table_deinit(&figures->table);
}
