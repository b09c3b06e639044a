/* herald call: sends a command and prints what became of it. */
#include "client-lib/cli/verbs.h"

#include "client-lib/cli/content.h"
#include "client-lib/cli/input.h"
#include "client-lib/cli/outcome.h"
#include "client-lib/cli/output.h"
#include "client-lib/cli/report.h"
#include "client-lib/cli/contact.h"

enum { TIMEOUT_MS = 30000 };

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
    if (arguments_has(arguments, OPTION_DURABLE))
        content_track(&content);
    enum herald_status status =
        herald_call(contact.client, queue, &content.content, timeout_ms, &outcome);
    code = output_finish(&output, outcome_print(&contact, &output, status, outcome, queue));
    herald_outcome_free(outcome);
    contact_close(&contact);
out:
    input_body_deinit(&body);
    return code;
}
