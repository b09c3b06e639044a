/* Questions to the broker and their rows, printed. */
#include "client-lib/cli/query.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client-lib/cli/table.h"
#include "client-lib/cli/value.h"

/* What a row function is given: where the row goes. */
struct query_sink {
    struct table *table;   /* or */
    json_t *array;         /* or */
    struct output *output; /* as it comes */
    const char *only;      /* as in the print */
};

struct herald_query query_about(enum herald_subject subject, const char *name, const char *key)
{
    struct herald_query query = {
        .size = sizeof query, .subject = subject, .name = name, .key = key};
    return query;
}

static json_t *field_json(const struct herald_field *field)
{
    switch (field->kind) {
    case HERALD_FIELD_TEXT:
        return json_stringn(field->text, field->text_bytes);
    case HERALD_FIELD_FLAG:
        return json_boolean(field->number != 0);
    case HERALD_FIELD_NUMBER:
    case HERALD_FIELD_BYTES:
    case HERALD_FIELD_MILLISECONDS:
        return json_integer((json_int_t)field->number);
    }
    return json_integer((json_int_t)field->number);
}

static json_t *row_json(const struct herald_field *fields, size_t count)
{
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++)
        json_object_set_new(object, fields[i].name, field_json(&fields[i]));
    return object;
}

static void add_cell(struct table *table, const struct herald_field *field)
{
    char text[VALUE_TEXT_BYTES];
    switch (field->kind) {
    case HERALD_FIELD_TEXT:
        table_add_cell(table, field->text);
        return;
    case HERALD_FIELD_FLAG:
        table_add_cell(table, field->number != 0 ? "yes" : "no");
        return;
    case HERALD_FIELD_BYTES:
        value_print_size(field->number, text);
        break;
    case HERALD_FIELD_MILLISECONDS:
        value_print_duration(field->number, text);
        break;
    case HERALD_FIELD_NUMBER:
        if (strcmp(field->name, "time_ms") == 0)
            value_print_time(field->number, text);
        else
            snprintf(text, sizeof text, "%" PRIu64, field->number);
        break;
    }
    table_add_cell(table, text);
}

/* People read a time, where programs get milliseconds. */
static const char *heading(const char *name)
{
    return strcmp(name, "time_ms") == 0 ? "time" : name;
}

/* Rows need not have the same columns. */
static void add_row(struct table *table, const struct herald_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = heading(fields[i].name);
        if (table_find_column(table, name, strlen(name)) == table->column_count)
            table_add_column(table, name,
                             fields[i].kind == HERALD_FIELD_TEXT ? TABLE_LEFT : TABLE_RIGHT);
    }
    size_t columns = table->column_count;
    for (size_t c = 0; c < columns; c++) {
        size_t i = 0;
        while (i < count && strcmp(heading(fields[i].name), table->columns[c].name) != 0)
            i++;
        if (i < count)
            add_cell(table, &fields[i]);
        else
            table_add_cell(table, "");
    }
}

static bool has_text(const struct herald_field *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, name) == 0)
            return fields[i].text_bytes > 0;
    return false;
}

static void on_row(const struct herald_field *fields, size_t count, void *context)
{
    struct query_sink *sink = context;
    if (count == 0 || (sink->only != NULL && !has_text(fields, count, sink->only)))
        return;
    if (sink->table != NULL)
        add_row(sink->table, fields, count);
    else if (sink->array != NULL)
        json_array_append_new(sink->array, row_json(fields, count));
    else
        output_json_take(sink->output, row_json(fields, count));
}

static int ask(struct contact *contact, const struct query_print *print, struct query_sink *sink)
{
    struct herald_query query = print->query;
    sink->only = print->only;
    query.on_row = on_row;
    query.context = sink;
    enum herald_status status = herald_query(contact->client, &query, CONTACT_ANSWER_MS);
    return report_status(contact->client, status, &print->names);
}

json_t *query_fetch(struct contact *contact, const struct query_print *print, int *code)
{
    struct query_sink sink = {.array = json_array()};
    *code = ask(contact, print, &sink);
    if (*code == EXIT_OK)
        return sink.array;
    json_decref(sink.array);
    return NULL;
}

static int print_table(struct contact *contact, const struct query_print *print,
                       struct output *output)
{
    struct table table;
    table_init(&table);
    struct query_sink sink = {.table = &table};
    int code = ask(contact, print, &sink);
    if (code == EXIT_OK && print->shape == QUERY_ONE)
        table_print_upright(&table, output);
    else if (code == EXIT_OK)
        table_print(&table, print->first_columns, output);
    table_deinit(&table);
    return code;
}

int query_print(struct contact *contact, const struct query_print *print, struct output *output)
{
    int code;
    if (output->format == OUTPUT_TABLE)
        return print_table(contact, print, output);
    if (print->shape == QUERY_ONE) {
        json_t *rows = query_fetch(contact, print, &code);
        if (rows != NULL)
            output_json_whole_take(output, json_incref(json_array_get(rows, 0)));
        json_decref(rows);
        return code;
    }
    struct query_sink sink = {.output = output};
    code = ask(contact, print, &sink);
    if (code == EXIT_OK)
        output_end_array(output);
    return code;
}

int query_run(const struct arguments *arguments, const struct query_print *print)
{
    struct contact contact;
    struct output output;
    output_init(&output, arguments);
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    code = query_print(&contact, print, &output);
    contact_close(&contact);
    return output_finish(&output, code);
}
