/* herald parked list|retry|drop */
#include "client-lib/cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "client-lib/cli/confirm.h"
#include "client-lib/cli/query.h"
#include "client-lib/cli/value.h"

int verb_parked_list(const struct arguments *arguments)
{
    struct query_print print = {
        .query = query_about(HERALD_PARKED, arguments->words[0], NULL),
        .shape = QUERY_LIST,
        .first_columns = "number attempts code text",
        .names = {.queue = arguments->words[0]},
    };
    return query_run(arguments, &print);
}

int verb_parked_show(const struct arguments *arguments)
{
    struct query_print print = {
        .query = query_about(HERALD_ATTEMPTS, arguments->words[0], arguments->words[1]),
        .shape = QUERY_LIST,
        .first_columns = "number time_ms code text",
        .names = {.queue = arguments->words[0]},
    };
    return query_run(arguments, &print);
}

/* The numbers that the words mean. */
static bool parse_numbers(const struct arguments *arguments, uint64_t *first, uint64_t *last)
{
    const char *text = arguments->words[1];
    int64_t number;
    *first = 0;
    *last = UINT64_MAX;
    if (strcmp(text, "all") == 0)
        return true;
    if (!value_parse_count(text, &number)) {
        report_say("give the number of a parked command, or 'all', not '%s'", text);
        return false;
    }
    *first = *last = (uint64_t)number;
    return true;
}

static int finish(struct contact *contact, enum herald_status status, const char *queue)
{
    struct report_names names = {.queue = queue};
    int code = report_status(contact->client, status, &names);
    contact_close(contact);
    return code;
}

int verb_parked_retry(const struct arguments *arguments)
{
    struct contact contact;
    uint64_t first;
    uint64_t last;
    const char *queue = arguments->words[0];
    if (!parse_numbers(arguments, &first, &last))
        return EXIT_USAGE;
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    return finish(&contact,
                  herald_parked_retry(contact.client, queue, first, last, CONTACT_ANSWER_MS),
                  queue);
}

int verb_parked_drop(const struct arguments *arguments)
{
    struct contact contact;
    char question[512];
    uint64_t first;
    uint64_t last;
    const char *queue = arguments->words[0];
    if (!parse_numbers(arguments, &first, &last))
        return EXIT_USAGE;
    snprintf(question, sizeof question, "Throw away parked commands (%s) of queue '%s'?",
             arguments->words[1], queue);
    int code = confirm_open(&contact, arguments, question);
    if (code != EXIT_OK)
        return code;
    return finish(&contact,
                  herald_parked_drop(contact.client, queue, first, last, CONTACT_ANSWER_MS), queue);
}
