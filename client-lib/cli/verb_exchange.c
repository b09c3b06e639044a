/* herald exchange create|set|list|show|delete, bind, unbind, route, stats */
#include "client-lib/cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "client-lib/cli/confirm.h"
#include "client-lib/cli/content.h"
#include "client-lib/cli/query.h"

static struct herald_exchange_options exchange_options(const struct arguments *arguments)
{
    struct herald_exchange_options options = herald_exchange_options_default();
    options.transient = arguments_has(arguments, OPTION_TRANSIENT);
    options.history = arguments_has(arguments, OPTION_HISTORY);
    options.age_max_ms = arguments_number(arguments, OPTION_MAX_AGE, 0);
    options.bytes_max = arguments_number(arguments, OPTION_MAX_BYTES, 0);
    options.count_max = arguments_number(arguments, OPTION_MAX_COUNT, 0);
    return options;
}

static bool has_limits(const struct arguments *arguments)
{
    return arguments_has(arguments, OPTION_MAX_AGE) || arguments_has(arguments, OPTION_MAX_BYTES) ||
           arguments_has(arguments, OPTION_MAX_COUNT);
}

int verb_exchange_create(const struct arguments *arguments)
{
    struct contact contact;
    struct herald_exchange_options options = exchange_options(arguments);
    if (has_limits(arguments) && !options.history) {
        report_say("the limits say how many events are kept: give --history too");
        return EXIT_USAGE;
    }
    if (options.transient && options.history) {
        report_say("a transient exchange keeps no history");
        return EXIT_USAGE;
    }
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    enum herald_status status =
        herald_exchange_create(contact.client, arguments->words[0], &options, CONTACT_ANSWER_MS);
    code = report_status(contact.client, status, NULL);
    contact_close(&contact);
    return code;
}

int verb_exchange_set(const struct arguments *arguments)
{
    struct contact contact;
    struct herald_exchange_options options = exchange_options(arguments);
    if (!has_limits(arguments)) {
        report_say("nothing to set: give one of the options, see `herald help exchange set`");
        return EXIT_USAGE;
    }
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    struct report_names names = {.exchange = arguments->words[0]};
    enum herald_status status =
        herald_exchange_set(contact.client, arguments->words[0], &options, CONTACT_ANSWER_MS);
    code = report_status(contact.client, status, &names);
    contact_close(&contact);
    return code;
}

int verb_exchange_list(const struct arguments *arguments)
{
    struct query_print print = {
        .query = query_about(HERALD_EXCHANGES, NULL, NULL),
        .shape = QUERY_LIST,
        .first_columns = "name bindings durable history first last entities history_bytes",
    };
    return query_run(arguments, &print);
}

static int show_as_table(struct contact *contact, const struct query_print *exchange,
                         const struct query_print *bindings, struct output *output)
{
    int code = query_print(contact, exchange, output);
    if (code != EXIT_OK)
        return code;
    output_write(output, "\n", 1);
    return query_print(contact, bindings, output);
}

static int show_as_json(struct contact *contact, const struct query_print *exchange,
                        const struct query_print *bindings, struct output *output)
{
    int code;
    json_t *rows = query_fetch(contact, exchange, &code);
    json_t *bound = rows != NULL ? query_fetch(contact, bindings, &code) : NULL;
    if (bound != NULL) {
        json_t *object = json_incref(json_array_get(rows, 0));
        json_object_set_new(object, "bindings", bound);
        output_json_whole_take(output, object);
    }
    json_decref(rows);
    return code;
}

int verb_exchange_show(const struct arguments *arguments)
{
    struct contact contact;
    struct output output;
    const char *name = arguments->words[0];
    struct query_print exchange = {
        .query = query_about(HERALD_EXCHANGE, name, NULL),
        .shape = QUERY_ONE,
        .names = {.exchange = name},
    };
    struct query_print bindings = {
        .query = query_about(HERALD_BINDINGS, name, NULL),
        .shape = QUERY_LIST,
        .first_columns = "pattern queue onward filter",
        .names = {.exchange = name},
    };
    output_init(&output, arguments);
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    code = output.format == OUTPUT_TABLE ? show_as_table(&contact, &exchange, &bindings, &output)
                                         : show_as_json(&contact, &exchange, &bindings, &output);
    contact_close(&contact);
    return output_finish(&output, code);
}

int verb_exchange_delete(const struct arguments *arguments)
{
    struct contact contact;
    char question[512];
    const char *exchange = arguments->words[0];
    snprintf(question, sizeof question, "Delete exchange '%s' and its bindings?", exchange);
    int code = confirm_open(&contact, arguments, question);
    if (code != EXIT_OK)
        return code;
    enum herald_delete condition =
        arguments_has(arguments, OPTION_IF_UNUSED) ? HERALD_DELETE_IF_UNUSED : HERALD_DELETE_ANYWAY;
    struct report_names names = {.exchange = exchange};
    code = report_status(
        contact.client,
        herald_exchange_delete(contact.client, exchange, condition, CONTACT_ANSWER_MS), &names);
    contact_close(&contact);
    return code;
}

typedef enum herald_status bind_fn(struct herald_client *client,
                                   const struct herald_binding *binding, int timeout_ms);

static int change_binding(const struct arguments *arguments, bind_fn *change)
{
    struct contact contact;
    struct herald_header filter[TEXTS_MAX];
    char *const *words = arguments->words;
    if (!content_headers(arguments, "where", filter))
        return EXIT_USAGE;
    struct herald_binding binding = herald_binding(words[0], words[1], words[2]);
    binding.to_exchange = arguments_has(arguments, OPTION_EXCHANGE);
    binding.filter = filter;
    binding.filter_count = arguments->text_count;
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    /* Of two exchanges the broker says which one is missing. */
    struct report_names names = {.queue = words[0],
                                 .exchange = binding.to_exchange ? NULL : words[1]};
    code =
        report_status(contact.client, change(contact.client, &binding, CONTACT_ANSWER_MS), &names);
    contact_close(&contact);
    return code;
}

int verb_bind(const struct arguments *arguments)
{
    return change_binding(arguments, herald_bind_with);
}

int verb_unbind(const struct arguments *arguments)
{
    return change_binding(arguments, herald_unbind_with);
}

int verb_route(const struct arguments *arguments)
{
    struct herald_header headers[TEXTS_MAX];
    bool is_all = arguments_has(arguments, OPTION_ALL);
    struct query_print print = {
        .query = query_about(is_all ? HERALD_EXPLAIN : HERALD_ROUTE, arguments->words[0],
                             arguments->words[1]),
        .shape = QUERY_LIST,
        .first_columns = is_all ? "queue pattern passes why exchange onward filter"
                                : "queue pattern exchange onward filter live",
        .names = {.exchange = arguments->words[0]},
    };
    if (!content_headers(arguments, "header", headers))
        return EXIT_USAGE;
    print.query.headers = headers;
    print.query.header_count = arguments->text_count;
    return query_run(arguments, &print);
}

int verb_stats(const struct arguments *arguments)
{
    struct query_print print = {
        .query = query_about(HERALD_STATS, NULL, NULL),
        .shape = QUERY_LIST,
        .first_columns = "name value",
    };
    return query_run(arguments, &print);
}
