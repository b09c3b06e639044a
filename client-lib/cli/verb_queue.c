/* herald queue create|set|list|show|purge|delete */
#include "client-lib/cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "client-lib/cli/confirm.h"
#include "client-lib/cli/query.h"

static struct herald_queue_options queue_options(const struct arguments *arguments)
{
    struct herald_queue_options options = herald_queue_options_default();
    options.transient = arguments_has(arguments, OPTION_TRANSIENT);
    options.auto_delete = arguments_has(arguments, OPTION_AUTO_DELETE);
    options.count_max = arguments_number(arguments, OPTION_MAX_COUNT, 0);
    options.bytes_max = arguments_number(arguments, OPTION_MAX_BYTES, 0);
    if (arguments_has(arguments, OPTION_OVERFLOW))
        options.overflow = strcmp(arguments->options[OPTION_OVERFLOW].text, "refuse") == 0
                               ? HERALD_OVERFLOW_REFUSE
                               : HERALD_OVERFLOW_DROP_OLDEST;
    options.attempts = arguments_number(arguments, OPTION_ATTEMPTS, 0);
    options.backoff_ms = arguments_number(arguments, OPTION_BACKOFF, 0);
    options.backoff_max_ms = arguments_number(arguments, OPTION_BACKOFF_MAX, 0);
    options.lease_ms = arguments_number(arguments, OPTION_LEASE, 0);
    options.retry_for_ms = arguments_number(arguments, OPTION_RETRY_FOR, 0);
    return options;
}

/* What the verbs that change something have in common: the last status tells how it went. */
static int finish(struct contact *contact, enum herald_status status, const char *queue)
{
    struct report_names names = {.queue = queue};
    int code = report_status(contact->client, status, &names);
    contact_close(contact);
    return code;
}

int verb_queue_create(const struct arguments *arguments)
{
    struct contact contact;
    if (arguments_has(arguments, OPTION_EXCLUSIVE)) {
        report_say("an exclusive queue goes with the connection that makes it, and this program's "
                   "would end at once;\nmake one from a program that stays connected, or use "
                   "--auto-delete");
        return EXIT_USAGE;
    }
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    struct herald_queue_options options = queue_options(arguments);
    enum herald_status status =
        herald_queue_create(contact.client, arguments->words[0], &options, CONTACT_ANSWER_MS);
    return finish(&contact, status, NULL);
}

int verb_queue_set(const struct arguments *arguments)
{
    struct contact contact;
    static const enum option settings[] = {OPTION_MAX_COUNT, OPTION_MAX_BYTES, OPTION_OVERFLOW,
                                           OPTION_ATTEMPTS,  OPTION_BACKOFF,   OPTION_BACKOFF_MAX};
    bool has_any = false;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        has_any |= arguments_has(arguments, settings[i]);
    if (!has_any) {
        report_say("nothing to set: give one of the options, see `herald help queue set`");
        return EXIT_USAGE;
    }
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    struct herald_queue_options options = queue_options(arguments);
    enum herald_status status =
        herald_queue_set(contact.client, arguments->words[0], &options, CONTACT_ANSWER_MS);
    return finish(&contact, status, arguments->words[0]);
}

int verb_queue_list(const struct arguments *arguments)
{
    struct query_print print = {
        .query = query_about(HERALD_QUEUES, NULL, NULL),
        .shape = QUERY_LIST,
        .first_columns = "name messages ready running parked consumers bytes",
    };
    return query_run(arguments, &print);
}

int verb_queue_show(const struct arguments *arguments)
{
    struct query_print print = {
        .query = query_about(HERALD_QUEUE, arguments->words[0], NULL),
        .shape = QUERY_ONE,
        .names = {.queue = arguments->words[0]},
    };
    return query_run(arguments, &print);
}

int verb_queue_purge(const struct arguments *arguments)
{
    struct contact contact;
    char question[512];
    const char *queue = arguments->words[0];
    snprintf(question, sizeof question, "Throw away all waiting messages of queue '%s'?", queue);
    int code = confirm_open(&contact, arguments, question);
    if (code != EXIT_OK)
        return code;
    return finish(&contact, herald_queue_purge(contact.client, queue, CONTACT_ANSWER_MS), queue);
}

static enum herald_delete delete_condition(const struct arguments *arguments)
{
    bool if_empty = arguments_has(arguments, OPTION_IF_EMPTY);
    bool if_unused = arguments_has(arguments, OPTION_IF_UNUSED);
    if (if_empty && if_unused)
        return HERALD_DELETE_IF_EMPTY_AND_UNUSED;
    if (if_empty)
        return HERALD_DELETE_IF_EMPTY;
    return if_unused ? HERALD_DELETE_IF_UNUSED : HERALD_DELETE_ANYWAY;
}

int verb_queue_delete(const struct arguments *arguments)
{
    struct contact contact;
    char question[512];
    const char *queue = arguments->words[0];
    snprintf(question, sizeof question, "Delete queue '%s' with all that is in it?", queue);
    int code = confirm_open(&contact, arguments, question);
    if (code != EXIT_OK)
        return code;
    enum herald_status status =
        herald_queue_delete(contact.client, queue, delete_condition(arguments), CONTACT_ANSWER_MS);
    return finish(&contact, status, queue);
}
