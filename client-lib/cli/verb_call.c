/* herald call: sends a command and prints what became of it. */
#include "client-lib/cli/verbs.h"

#include <string.h>

#include "client-lib/cli/content.h"
#include "client-lib/cli/input.h"
#include "client-lib/cli/output.h"
#include "client-lib/cli/report.h"
#include "client-lib/cli/contact.h"

enum { TIMEOUT_MS = 30000 };

static const char *ran_name(enum herald_ran ran)
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
    json_object_set_new(object, "ran", json_string(ran_name(outcome->ran)));
    if (!is_done) {
        json_object_set_new(object, "code", json_string(outcome->code));
        json_object_set_new(object, "text", json_string(outcome->text));
    }
    output_set_body(object, outcome->body, outcome->body_bytes);
    output_json_whole_take(output, object);
}

/* A command that failed has its code and text on standard error, and that alone; in JSON it is told
 * on standard output too. */
static int tell(struct contact *contact, struct output *output, enum herald_status status,
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

int verb_call(const struct arguments *arguments)
{
    struct contact contact;
    struct output output;
    struct content content;
    struct input_body body;
    struct herald_outcome *outcome = NULL;
    const char *queue = arguments->words[0];
    output_init(&output, arguments);
    if (!content_init(&content, arguments))
        return EXIT_USAGE;
    if (!input_read_body(&body, arguments->words[1]))
        return EXIT_FAILED;
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        goto out;
    content.content.body = body.bytes;
    content.content.body_bytes = body.count;
    int timeout_ms = (int)arguments_number(arguments, OPTION_TIMEOUT, TIMEOUT_MS);
    enum herald_status status =
        herald_call(contact.client, queue, &content.content, timeout_ms, &outcome);
    code = output_finish(&output, tell(&contact, &output, status, outcome, queue));
    herald_outcome_free(outcome);
    contact_close(&contact);
out:
    input_body_deinit(&body);
    return code;
}
