/* What became of a command, printed. */
#include "client-lib/cli/outcome.h"

#include "client-lib/cli/report.h"

const char *outcome_ran_name(enum herald_ran ran)
{
    switch (ran) {
    case HERALD_NOT_RUN:
        return "not_run";
    case HERALD_MAYBE_RUN:
        return "maybe_run";
    case HERALD_RAN:
        return "ran";
    }
    return "maybe_run";
}

static void print_json(struct output *output, const struct herald_outcome *outcome)
{
    json_t *object = json_object();
    bool is_done = outcome->status == HERALD_OK;
    json_object_set_new(object, "state", json_string(is_done ? "done" : "failed"));
    json_object_set_new(object, "ran", json_string(outcome_ran_name(outcome->ran)));
    if (!is_done) {
        json_object_set_new(object, "code", json_string(outcome->code));
        json_object_set_new(object, "text", json_string(outcome->text));
    }
    output_set_body(object, outcome->body, outcome->body_bytes);
    output_json_whole_take(output, object);
}

int outcome_print(struct contact *contact, struct output *output, enum herald_status status,
                  const struct herald_outcome *outcome, const char *queue)
{
    struct report_names names = {.queue = queue};
    if (outcome != NULL && output->format != OUTPUT_TABLE)
        print_json(output, outcome);
    else if (status == HERALD_OK && outcome != NULL)
        output_body(output, outcome->body, outcome->body_bytes);
    if (status == HERALD_OK)
        return EXIT_OK;
    if (outcome == NULL || outcome->code[0] == '\0')
        return report_status(contact->client, status, &names);
    int code = report_refusal(status, outcome->code, outcome->text, &names);
    if (outcome->ran == HERALD_MAYBE_RUN)
        report_say("it may have run");
    return code;
}

int outcome_print_command(struct contact *contact, struct output *output,
                          const struct herald_command *command)
{
    bool is_done = command->state == HERALD_COMMAND_DONE;
    const struct herald_outcome outcome = {
        .status = is_done ? HERALD_OK : HERALD_EFAILED,
        .ran = is_done ? HERALD_RAN : command->ran,
        .code = command->code,
        .text = command->text,
        .body = command->body,
        .body_bytes = command->body_bytes,
    };
    return outcome_print(contact, output, outcome.status, &outcome, command->queue);
}
