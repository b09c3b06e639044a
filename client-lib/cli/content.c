/* The content of a message as the options of the command line describe it. */
#include "client-lib/cli/content.h"

#include <string.h>

#include "client-lib/cli/report.h"
#include "client-lib/cli/value.h"

static bool parse_header(struct herald_header *header, const char *text)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        report_say("--header takes NAME=VALUE, not '%s'", text);
        return false;
    }
    *header = (struct herald_header){
        .name = text,
        .name_bytes = (size_t)(equals - text),
        .value = equals + 1,
        .value_bytes = strlen(equals + 1),
    };
    return true;
}

bool content_init(struct content *content, const struct arguments *arguments)
{
    content->content = herald_content(NULL, 0);
    for (size_t i = 0; i < arguments->text_count; i++) {
        if (!parse_header(&content->headers[i], arguments->texts[i]))
            return false;
    }
    content->content.headers = content->headers;
    content->content.header_count = arguments->text_count;
    if (arguments_has(arguments, OPTION_ID)) {
        if (!value_parse_id(arguments->options[OPTION_ID].text, content->id)) {
            report_say("--id takes a UUID, not '%s'", arguments->options[OPTION_ID].text);
            return false;
        }
        content->content.id = content->id;
    }
    /* Even what need not survive the broker is confirmed: otherwise nobody would learn that the
     * queue does not exist. */
    content->content.transient = arguments_has(arguments, OPTION_TRANSIENT);
    content->content.confirm = content->content.transient;
    return true;
}
