/* herald read: the events of one entity. */
#include "client-lib/cli/verbs.h"

#include "client-lib/cli/contact.h"
#include "client-lib/cli/message.h"
#include "client-lib/cli/report.h"
#include "client-lib/cli/value.h"

struct printer {
    struct output output;
    enum message_style style;
};

static int on_event(struct herald_message *event, void *context)
{
    struct printer *printer = context;
    message_print(&printer->output, event, printer->style);
    return !output_flush(&printer->output);
}

static int read_all(const struct herald_read *read, const struct arguments *arguments)
{
    struct contact contact;
    struct printer *printer = read->context;
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    /* Whoever reads the output may take all the time there is. */
    enum herald_status status = herald_read(contact.client, read, -1);
    if (status == HERALD_ESTOPPED)
        status = HERALD_OK;
    struct report_names names = {.exchange = read->exchange};
    code = report_status(contact.client, status, &names);
    if (code == EXIT_OK)
        output_end_array(&printer->output);
    contact_close(&contact);
    return output_finish(&printer->output, code);
}

int verb_read(const struct arguments *arguments)
{
    struct printer printer = {.style = arguments_has(arguments, OPTION_VERBOSE)
                                           ? MESSAGE_VERSION_KEY_AND_BODY
                                           : MESSAGE_BODY};
    struct herald_read read = {
        .size = sizeof read,
        .exchange = arguments->words[0],
        .entity = arguments->options[OPTION_ENTITY].text,
        .backward = arguments_has(arguments, OPTION_BACKWARD),
        .from_snapshot = arguments_has(arguments, OPTION_SNAPSHOT),
        .limit = (uint32_t)arguments_number(arguments, OPTION_COUNT, 0),
        .on_event = on_event,
        .context = &printer,
    };
    int64_t from = 0;
    if (read.entity == NULL) {
        report_say("which entity? give --entity");
        return EXIT_USAGE;
    }
    if (arguments_has(arguments, OPTION_FROM) &&
        !value_parse_count(arguments->options[OPTION_FROM].text, &from)) {
        report_say("--from takes a version here, not '%s'", arguments->options[OPTION_FROM].text);
        return EXIT_USAGE;
    }
    read.from = (uint64_t)from;
    output_init(&printer.output, arguments);
    return read_all(&read, arguments);
}
