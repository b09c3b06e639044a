/* herald parked list|show|edit|move|retry|drop */
#include "client-lib/cli/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client-lib/cli/confirm.h"
#include "client-lib/cli/input.h"
#include "client-lib/cli/message.h"
#include "client-lib/cli/query.h"
#include "client-lib/cli/table.h"
#include "client-lib/cli/value.h"

static struct query_print parked_of(const char *queue)
{
    return (struct query_print){
        .query = query_about(HERALD_PARKED, queue, NULL),
        .shape = QUERY_LIST,
        .first_columns = "number attempts code text",
        .names = {.queue = queue},
    };
}

/* --- list ------------------------------------------------------------------------------
 */

static void print_groups(struct output *output, json_t *groups)
{
    struct table table;
    const char *code;
    json_t *count;
    table_init(&table);
    table_add_column(&table, "COUNT", TABLE_RIGHT);
    table_add_column(&table, "CODE", TABLE_LEFT);
    json_object_foreach(groups, code, count)
    {
        char number[24];
        (void)snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(count));
        if (output->format != OUTPUT_TABLE)
            output_json_take(output, json_pack("{s:s,s:O}", "code", code, "count", count));
        table_add_cell(&table, number);
        table_add_cell(&table, code);
    }
    if (output->format == OUTPUT_TABLE)
        table_print(&table, "", output);
    table_deinit(&table);
}

/* How many failed with which code. */
static int list_groups(const struct arguments *arguments)
{
    struct contact contact;
    struct output output;
    struct query_print print = parked_of(arguments->words[0]);
    output_init(&output, arguments);
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    json_t *rows = query_fetch(&contact, &print, &code);
    json_t *groups = json_object();
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        const char *name = json_string_value(json_object_get(row, "code"));
        json_int_t count = json_integer_value(json_object_get(groups, name));
        json_object_set_new(groups, name, json_integer(count + 1));
    }
    print_groups(&output, groups);
    output_end_array(&output);
    json_decref(groups);
    json_decref(rows);
    contact_close(&contact);
    return output_finish(&output, code);
}

int verb_parked_list(const struct arguments *arguments)
{
    struct query_print print = parked_of(arguments->words[0]);
    return arguments_has(arguments, OPTION_GROUP) ? list_groups(arguments)
                                                  : query_run(arguments, &print);
}

/* --- one or many --------------------------------------------------------------------------------
 */

/* What is done to each parked command that was chosen; *count is how many it were. */
typedef enum herald_status parked_fn(struct herald_client *client, const char *queue,
                                     uint64_t number, const char *to, uint64_t *count);

struct choice {
    const char *queue;
    const char *to;
    const char *code; /* only those that failed with it; NULL: all */
    const char *lane; /* only those of it; NULL: all */
    int64_t rate;     /* a second at most; 0: no limit */
    uint64_t number;  /* 0: all */
    parked_fn *act;
    uint64_t count;
};

static bool choose(struct choice *choice, const struct arguments *arguments)
{
    const char *text = arguments->words[1];
    int64_t number;
    choice->queue = arguments->words[0];
    choice->code = arguments->options[OPTION_CODE].text;
    choice->lane = arguments->options[OPTION_LANE].text;
    choice->rate = arguments_number(arguments, OPTION_RATE, 0);
    choice->number = 0;
    choice->count = 0;
    if (strcmp(text, "all") == 0)
        return true;
    if (!value_parse_count(text, &number)) {
        report_say("give the number of a parked command, or 'all', not '%s'", text);
        return false;
    }
    choice->number = (uint64_t)number;
    return true;
}

static bool choose_one(struct choice *choice, const struct arguments *arguments)
{
    if (!choose(choice, arguments))
        return false;
    if (choice->number == 0)
        report_say("give the number of one parked command");
    return choice->number != 0;
}

static void pause_between(const struct choice *choice)
{
    if (choice->rate <= 0)
        return;
    int64_t ns = 1000000000 / choice->rate;
    struct timespec time = {ns / 1000000000, ns % 1000000000};
    (void)nanosleep(&time, NULL);
}

static enum herald_status act_on(struct contact *contact, struct choice *choice, uint64_t number)
{
    uint64_t count = 0;
    enum herald_status status =
        choice->act(contact->client, choice->queue, number, choice->to, &count);
    choice->count += count;
    return status;
}

static bool has_text(json_t *row, const char *name, const char *wanted)
{
    const char *text = json_string_value(json_object_get(row, name));
    return wanted == NULL || (text != NULL && strcmp(text, wanted) == 0);
}

/* Rather than that the queue to move to is not there. */
static bool is_not_parked(const struct contact *contact, enum herald_status status)
{
    struct herald_error error = herald_last_error(contact->client);
    return status == HERALD_ENOTFOUND &&
           (error.status != status || strcmp(error.name, "NOT_PARKED") == 0);
}

/* One by one, in their order; what is no longer parked is no failure. */
static int act_on_all(struct contact *contact, struct choice *choice)
{
    struct query_print print = parked_of(choice->queue);
    print.names.other = choice->to;
    int code;
    json_t *rows = query_fetch(contact, &print, &code);
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (!has_text(row, "code", choice->code) || !has_text(row, "lane", choice->lane))
            continue;
        if (choice->count > 0)
            pause_between(choice);
        uint64_t number = (uint64_t)json_integer_value(json_object_get(row, "number"));
        enum herald_status status = act_on(contact, choice, number);
        if (status != HERALD_OK && !is_not_parked(contact, status)) {
            code = report_status(contact->client, status, &print.names);
            break;
        }
    }
    json_decref(rows);
    if (code == EXIT_OK && choice->count == 0) {
        report_say("no such command is parked in queue '%s'", choice->queue);
        return EXIT_NOT_FOUND;
    }
    return code;
}

static int report_missing(struct contact *contact, enum herald_status status,
                          const struct choice *choice)
{
    struct report_names names = {.queue = choice->queue, .other = choice->to};
    if (!is_not_parked(contact, status))
        return report_status(contact->client, status, &names);
    report_say("no command of number %" PRIu64 " is parked in queue '%s'", choice->number,
               choice->queue);
    return EXIT_NOT_FOUND;
}

static int run(struct contact *contact, const struct arguments *arguments, struct choice *choice,
               const char *what)
{
    struct output output;
    output_init(&output, arguments);
    int code = choice->number == 0
                   ? act_on_all(contact, choice)
                   : report_missing(contact, act_on(contact, choice, choice->number), choice);
    if (code == EXIT_OK)
        output_count(&output, what, choice->count);
    contact_close(contact);
    return output_finish(&output, code);
}

static enum herald_status retry(struct herald_client *client, const char *queue, uint64_t number,
                                const char *to, uint64_t *count)
{
    (void)to;
    struct herald_parked parked = {queue, number, number, 0};
    enum herald_status status = herald_parked_retry(client, &parked, CONTACT_ANSWER_MS);
    *count = parked.count;
    return status;
}

int verb_parked_retry(const struct arguments *arguments)
{
    struct contact contact;
    struct choice choice = {.act = retry};
    if (!choose(&choice, arguments))
        return EXIT_USAGE;
    int code = contact_open_plain(&contact, arguments);
    return code == EXIT_OK ? run(&contact, arguments, &choice, "retried") : code;
}

static enum herald_status drop(struct herald_client *client, const char *queue, uint64_t number,
                               const char *to, uint64_t *count)
{
    (void)to;
    struct herald_parked parked = {queue, number, number, 0};
    enum herald_status status = herald_parked_drop(client, &parked, CONTACT_ANSWER_MS);
    *count = parked.count;
    return status;
}

int verb_parked_drop(const struct arguments *arguments)
{
    struct contact contact;
    char question[512];
    struct choice choice = {.act = drop};
    if (!choose(&choice, arguments))
        return EXIT_USAGE;
    snprintf(question, sizeof question, "Throw away parked commands (%s) of queue '%s'?",
             arguments->words[1], choice.queue);
    int code = confirm_open(&contact, arguments, question);
    return code == EXIT_OK ? run(&contact, arguments, &choice, "dropped") : code;
}

/* --- as they are, with another body, or elsewhere
 * ------------------------------------------------------------
 */

/* The parked command of this number; NULL after a failure, or when there is none: then
 * HERALD_ENOTFOUND. */
static enum herald_status look(struct herald_client *client, const char *queue, uint64_t number,
                               struct herald_message **message)
{
    enum herald_status status =
        herald_peek_parked(client, queue, number - 1, message, CONTACT_ANSWER_MS);
    if (status != HERALD_OK)
        return status;
    if (*message != NULL && herald_message_number(*message) == number)
        return HERALD_OK;
    herald_message_free(*message);
    *message = NULL;
    return HERALD_ENOTFOUND;
}

static void print_line(struct output *output, const char *name, const char *text, size_t bytes)
{
    char line[320];
    int count = snprintf(line, sizeof line, "%-10s  %.*s\n", name, (int)bytes, text);
    output_write(output, line, count < (int)sizeof line ? (size_t)count : sizeof line - 1);
}

/* What a reader of the table wants to know of the message: who it is, its headers. */
static void print_fields(struct output *output, const struct herald_message *message)
{
    char text[40];
    struct herald_header header;
    int bytes = snprintf(text, sizeof text, "%" PRIu64, herald_message_number(message));
    print_line(output, "number", text, (size_t)bytes);
    if (herald_message_id(message) != NULL) {
        herald_id_print(herald_message_id(message), text);
        print_line(output, "id", text, strlen(text));
    }
    if (herald_message_repairs(message) != NULL) {
        herald_id_print(herald_message_repairs(message), text);
        print_line(output, "repairs", text, strlen(text));
    }
    for (size_t i = 0; herald_message_header_at(message, i, &header) != 0; i++) {
        char name[64];
        snprintf(name, sizeof name, "%.*s:", (int)header.name_bytes, header.name);
        print_line(output, name, header.value, header.value_bytes);
    }
}

/* The message and the attempts that it had; in JSON one object of both. */
static int show(struct contact *contact, const struct arguments *arguments,
                struct herald_message *message)
{
    struct output output;
    int code = EXIT_OK;
    struct query_print print = {
        .query = query_about(HERALD_ATTEMPTS, arguments->words[0], arguments->words[1]),
        .shape = QUERY_LIST,
        .first_columns = "number time code text",
        .names = {.queue = arguments->words[0]},
    };
    output_init(&output, arguments);
    if (output.format == OUTPUT_TABLE) {
        print_fields(&output, message);
        output_write(&output, "\n", 1);
        code = query_print(contact, &print, &output);
        output_write(&output, "\n", 1);
        output_body(&output, herald_message_body(message), herald_message_body_bytes(message));
    } else {
        json_t *object = message_json(message);
        json_t *rows = query_fetch(contact, &print, &code);
        json_object_del(object, "attempt");
        json_object_set_new(object, "attempts", rows != NULL ? rows : json_array());
        output_json_whole_take(&output, object);
    }
    return output_finish(&output, code);
}

int verb_parked_show(const struct arguments *arguments)
{
    struct contact contact;
    struct choice choice = {0};
    struct herald_message *message;
    if (!choose_one(&choice, arguments))
        return EXIT_USAGE;
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    enum herald_status status = look(contact.client, choice.queue, choice.number, &message);
    code = status == HERALD_OK ? show(&contact, arguments, message)
                               : report_missing(&contact, status, &choice);
    if (status == HERALD_OK)
        herald_message_free(message);
    contact_close(&contact);
    return code;
}

/* With an id of its own, by which it may be asked for if the other one was. */
static enum herald_status move(struct herald_client *client, const char *queue, uint64_t number,
                               const char *to, uint64_t *count)
{
    unsigned char id[16];
    struct herald_message *message;
    enum herald_status status = look(client, queue, number, &message);
    if (status != HERALD_OK)
        return status;
    struct herald_content content =
        herald_content(herald_message_body(message), herald_message_body_bytes(message));
    herald_id_make(id);
    content.id = id;
    content.like = message;
    struct herald_parked parked = {queue, number, number, 0};
    status = herald_parked_move(client, &parked, to, &content, CONTACT_ANSWER_MS);
    herald_message_free(message);
    *count = status == HERALD_OK;
    return status;
}

int verb_parked_move(const struct arguments *arguments)
{
    struct contact contact;
    struct choice choice = {.act = move, .to = arguments->words[2]};
    if (!choose(&choice, arguments))
        return EXIT_USAGE;
    int code = contact_open_plain(&contact, arguments);
    return code == EXIT_OK ? run(&contact, arguments, &choice, "moved") : code;
}

static enum herald_status edit(struct herald_client *client, const struct choice *choice,
                               const struct input_body *body)
{
    struct herald_message *message;
    enum herald_status status = look(client, choice->queue, choice->number, &message);
    if (status != HERALD_OK)
        return status;
    struct herald_content content = herald_content(body->bytes, body->count);
    content.like = message;
    content.id = herald_message_id(message);
    struct herald_parked parked = {choice->queue, choice->number, choice->number, 0};
    status = herald_parked_edit(client, &parked, &content, CONTACT_ANSWER_MS);
    herald_message_free(message);
    return status;
}

int verb_parked_edit(const struct arguments *arguments)
{
    struct contact contact;
    struct input_body body;
    struct choice choice = {0};
    if (!choose_one(&choice, arguments))
        return EXIT_USAGE;
    if (!input_read_body(&body, arguments->words[2]))
        return EXIT_FAILED;
    int code = contact_open_plain(&contact, arguments);
    if (code == EXIT_OK) {
        code = report_missing(&contact, edit(contact.client, &choice, &body), &choice);
        contact_close(&contact);
    }
    input_body_deinit(&body);
    return code;
}
