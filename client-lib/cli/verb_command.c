/* herald status|wait|watch|cancel: tracked commands by their ids. */
#include "client-lib/cli/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client-lib/cli/contact.h"
#include "client-lib/cli/outcome.h"
#include "client-lib/cli/output.h"
#include "client-lib/cli/report.h"
#include "client-lib/cli/value.h"

static const char *const state_names[] = {"scheduled", "ready", "running",
                                          "retrying",  "done",  "failed"};

static void put_time(json_t *object, const char *name, uint64_t ms)
{
    char text[VALUE_TEXT_BYTES];
    value_print_time(ms, text);
    json_object_set_new(object, name, json_string(text));
}

static void put_id(json_t *object, const char *name, const unsigned char *id)
{
    char text[37];
    if (id == NULL)
        return;
    herald_id_print(id, text);
    json_object_set_new(object, name, json_string(text));
}

/* What its worker said last. */
static bool has_progress(const struct herald_command *command)
{
    return command->done > 0 || command->total > 0 || command->note[0] != '\0';
}

static void put_progress(json_t *object, const struct herald_command *command)
{
    if (!has_progress(command))
        return;
    json_object_set_new(object, "done", json_integer((json_int_t)command->done));
    if (command->total > 0)
        json_object_set_new(object, "total", json_integer((json_int_t)command->total));
    json_object_set_new(object, "note", json_string(command->note));
}

static json_t *command_json(const struct herald_command *command)
{
    json_t *object = json_object();
    bool is_finished = command->state >= HERALD_COMMAND_DONE;
    put_id(object, "id", command->id);
    json_object_set_new(object, "state", json_string(state_names[command->state]));
    json_object_set_new(object, "queue", json_string(command->queue));
    json_object_set_new(object, "number", json_integer((json_int_t)command->number));
    json_object_set_new(object, "attempts", json_integer((json_int_t)command->attempts));
    put_time(object, "accepted", command->accepted_ms);
    if (command->time_ms > 0)
        put_time(object, is_finished ? "finished" : "due", command->time_ms);
    put_progress(object, command);
    if (command->is_cancelled)
        json_object_set_new(object, "cancelled", json_true());
    put_id(object, "repairs", command->repairs);
    put_id(object, "repaired_by", command->repaired_by);
    if (command->state == HERALD_COMMAND_FAILED) {
        json_object_set_new(object, "ran", json_string(outcome_ran_name(command->ran)));
        json_object_set_new(object, "code", json_string(command->code));
        json_object_set_new(object, "text", json_string(command->text));
    }
    if (is_finished)
        output_set_body(object, command->body, command->body_bytes);
    return object;
}

/* One line for each field of the object. */
static void print_fields(struct output *output, const struct herald_command *command)
{
    json_t *object = command_json(command);
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        char line[512];
        int bytes;
        if (json_is_string(value))
            bytes = snprintf(line, sizeof line, "%-11s  %s\n", name, json_string_value(value));
        else if (json_is_integer(value))
            bytes = snprintf(line, sizeof line, "%-11s  %" JSON_INTEGER_FORMAT "\n", name,
                             json_integer_value(value));
        else
            bytes = snprintf(line, sizeof line, "%-11s  yes\n", name);
        size_t count = bytes < (int)sizeof line ? (size_t)bytes : sizeof line - 1;
        output_write(output, line, count);
        if (count > 0 && line[count - 1] != '\n')
            output_write(output, "\n", 1);
    }
    json_decref(object);
}

static bool parse_id(const struct arguments *arguments, unsigned char id[16])
{
    if (value_parse_id(arguments->words[0], id))
        return true;
    report_say("give the id of a command, a UUID, not '%s'", arguments->words[0]);
    return false;
}

int verb_status(const struct arguments *arguments)
{
    struct contact contact;
    struct output output;
    struct herald_command *command;
    unsigned char id[16];
    output_init(&output, arguments);
    if (!parse_id(arguments, id))
        return EXIT_USAGE;
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    enum herald_status status =
        herald_command_status(contact.client, id, CONTACT_ANSWER_MS, &command);
    code = report_status(contact.client, status, NULL);
    if (code == EXIT_OK && output.format == OUTPUT_TABLE)
        print_fields(&output, command);
    else if (code == EXIT_OK)
        output_json_whole_take(&output, command_json(command));
    code = output_finish(&output, code);
    herald_command_free(command);
    contact_close(&contact);
    return code;
}

int verb_wait(const struct arguments *arguments)
{
    struct contact contact;
    struct output output;
    struct herald_command *command;
    unsigned char id[16];
    output_init(&output, arguments);
    if (!parse_id(arguments, id))
        return EXIT_USAGE;
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    int timeout_ms = (int)arguments_number(arguments, OPTION_TIMEOUT, -1);
    enum herald_status status = herald_command_wait(contact.client, id, timeout_ms, &command);
    code = status == HERALD_OK ? outcome_print_command(&contact, &output, command)
                               : report_status(contact.client, status, NULL);
    code = output_finish(&output, code);
    herald_command_free(command);
    contact_close(&contact);
    return code;
}

/* --- watching -----------------------------------------------------------------------------------
 */

struct watch {
    struct output output;
    enum herald_command_state state; /* the last one told */
};

/* "running 3/10 pages" */
static void print_progress(const struct herald_command *command, char *line, size_t bytes)
{
    char total[32] = "";
    if (command->total > 0)
        (void)snprintf(total, sizeof total, "/%" PRIu64, command->total);
    (void)snprintf(line, bytes, "running %" PRIu64 "%s%s%s\n", command->done, total,
                   command->note[0] != '\0' ? " " : "", command->note);
}

static void tell_change(const struct herald_command *command, void *context)
{
    struct watch *watch = context;
    char line[512];
    char time[VALUE_TEXT_BYTES];
    watch->state = command->state;
    if (watch->output.format != OUTPUT_TABLE) {
        output_json_take(&watch->output, command_json(command));
        (void)output_flush(&watch->output);
        return;
    }
    value_print_time(command->time_ms, time);
    const char *name = state_names[command->state];
    if (command->state == HERALD_COMMAND_RETRYING)
        (void)snprintf(line, sizeof line, "%s after %u failed, at %s\n", name, command->attempts,
                       time);
    else if (command->state == HERALD_COMMAND_SCHEDULED)
        (void)snprintf(line, sizeof line, "%s for %s\n", name, time);
    else if (command->state == HERALD_COMMAND_FAILED)
        (void)snprintf(line, sizeof line, "%s %s: %.300s\n", name, command->code, command->text);
    else if (command->state == HERALD_COMMAND_RUNNING && has_progress(command))
        print_progress(command, line, sizeof line);
    else
        (void)snprintf(line, sizeof line, "%s\n", name);
    output_write(&watch->output, line, strlen(line));
    (void)output_flush(&watch->output);
}

int verb_watch(const struct arguments *arguments)
{
    struct contact contact;
    struct watch watch = {0};
    unsigned char id[16];
    output_init(&watch.output, arguments);
    if (!parse_id(arguments, id))
        return EXIT_USAGE;
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    int timeout_ms = (int)arguments_number(arguments, OPTION_TIMEOUT, -1);
    enum herald_status status =
        herald_command_watch(contact.client, id, timeout_ms, tell_change, &watch);
    code = report_status(contact.client, status, NULL);
    if (status == HERALD_OK && watch.state == HERALD_COMMAND_FAILED)
        code = EXIT_FAILED;
    output_end_array(&watch.output);
    code = output_finish(&watch.output, code);
    contact_close(&contact);
    return code;
}

int verb_cancel(const struct arguments *arguments)
{
    struct contact contact;
    unsigned char id[16];
    if (!parse_id(arguments, id))
        return EXIT_USAGE;
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    enum herald_status status = herald_command_cancel(contact.client, id, CONTACT_ANSWER_MS);
    code = report_status(contact.client, status, NULL);
    contact_close(&contact);
    return code;
}
