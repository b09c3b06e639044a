/* herald cursor list|show|seek|delete */
#include "client-lib/cli/verbs.h"

#include <stdio.h>

#include "client-lib/cli/confirm.h"
#include "client-lib/cli/cursor.h"
#include "client-lib/cli/place.h"
#include "client-lib/cli/query.h"

int verb_cursor_list(const struct arguments *arguments)
{
    struct query_print print = {
        .query = query_about(HERALD_QUEUES, NULL, NULL),
        .shape = QUERY_LIST,
        .first_columns = "name exchange pattern at lag running parked consumers",
        .only = "exchange",
    };
    return query_run(arguments, &print);
}

int verb_cursor_show(const struct arguments *arguments)
{
    struct contact contact;
    struct output output;
    struct query_print print = {
        .query = query_about(HERALD_QUEUE, arguments->words[0], NULL),
        .shape = QUERY_ONE,
    };
    output_init(&output, arguments);
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    code = cursor_must_be(&contact, arguments->words[0]);
    if (code == EXIT_OK)
        code = query_print(&contact, &print, &output);
    contact_close(&contact);
    return output_finish(&output, code);
}

int verb_cursor_seek(const struct arguments *arguments)
{
    struct contact contact;
    struct place place;
    const char *cursor = arguments->words[0];
    if (!place_parse(arguments->words[1], &place) || place.from == HERALD_FROM_LAST) {
        report_say("a cursor goes on from first, next, a sequence or a time like "
                   "2026-01-31T12:00:00Z, not '%s'",
                   arguments->words[1]);
        return EXIT_USAGE;
    }
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    code = cursor_must_be(&contact, cursor);
    if (code == EXIT_OK)
        code = report_status(
            contact.client,
            herald_cursor_seek(contact.client, cursor, place.from, place.at, CONTACT_ANSWER_MS),
            NULL);
    contact_close(&contact);
    return code;
}

int verb_cursor_delete(const struct arguments *arguments)
{
    struct contact contact;
    char question[512];
    const char *cursor = arguments->words[0];
    snprintf(question, sizeof question, "Delete cursor '%s' and what is parked in it?", cursor);
    int code = confirm_open(&contact, arguments, question);
    if (code != EXIT_OK)
        return code;
    code = cursor_must_be(&contact, cursor);
    if (code == EXIT_OK)
        code = report_status(
            contact.client,
            herald_queue_delete(contact.client, cursor, HERALD_DELETE_ANYWAY, CONTACT_ANSWER_MS),
            NULL);
    contact_close(&contact);
    return code;
}
