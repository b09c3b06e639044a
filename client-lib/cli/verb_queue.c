/* herald queue create|set|list|show|peek|pause|resume|purge|delete */
#include "client-lib/cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "client-lib/cli/confirm.h"
#include "client-lib/cli/message.h"
#include "client-lib/cli/query.h"

static enum herald_lane_parked lane_parked(const struct arguments *arguments)
{
    if (!arguments_has(arguments, OPTION_LANE_PARKED))
        return HERALD_LANE_DEFAULT;
    const char *text = arguments->options[OPTION_LANE_PARKED].text;
    if (strcmp(text, "block") == 0)
        return HERALD_LANE_BLOCK;
    return strcmp(text, "park") == 0 ? HERALD_LANE_PARK : HERALD_LANE_GO_ON;
}

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
    options.single_active = arguments_has(arguments, OPTION_SINGLE_ACTIVE) ? 1
                            : arguments_has(arguments, OPTION_ALL_ACTIVE)  ? -1
                                                                           : 0;
    options.breaker = arguments_number(arguments, OPTION_BREAKER, 0);
    options.lane_parked = lane_parked(arguments);
    options.ttl_ms = arguments_number(arguments, OPTION_TTL, 0);
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
    static const enum option settings[] = {
        OPTION_MAX_COUNT, OPTION_MAX_BYTES,   OPTION_OVERFLOW,      OPTION_ATTEMPTS,
        OPTION_BACKOFF,   OPTION_BACKOFF_MAX, OPTION_RETRY_FOR,     OPTION_TTL,
        OPTION_LEASE,     OPTION_LANE_PARKED, OPTION_SINGLE_ACTIVE, OPTION_ALL_ACTIVE,
        OPTION_BREAKER};
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
    uint64_t count;
    struct output output;
    output_init(&output, arguments);
    enum herald_status status =
        herald_queue_purge(contact.client, queue, &count, CONTACT_ANSWER_MS);
    if (status == HERALD_OK)
        output_count(&output, "purged", count);
    return output_finish(&output, finish(&contact, status, queue));
}

static int set_paused(const struct arguments *arguments, int paused)
{
    struct contact contact;
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    struct herald_queue_options options = herald_queue_options_default();
    options.paused = paused;
    enum herald_status status =
        herald_queue_set(contact.client, arguments->words[0], &options, CONTACT_ANSWER_MS);
    return finish(&contact, status, arguments->words[0]);
}

int verb_queue_pause(const struct arguments *arguments)
{
    return set_paused(arguments, 1);
}

int verb_queue_resume(const struct arguments *arguments)
{
    return set_paused(arguments, -1);
}

enum { PEEK_COUNT = 10 };

/* Bodies one after the other; in JSON all that the messages hold. */
int verb_queue_peek(const struct arguments *arguments)
{
    struct contact contact;
    struct output output;
    const char *queue = arguments->words[0];
    int64_t count = arguments_number(arguments, OPTION_COUNT, PEEK_COUNT);
    uint64_t after = 0;
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    output_init(&output, arguments);
    enum herald_status status = HERALD_OK;
    for (int64_t i = 0; i < count && status == HERALD_OK && output_flush(&output); i++) {
        struct herald_message *message;
        status = herald_peek(contact.client, queue, after, &message, CONTACT_ANSWER_MS);
        if (status != HERALD_OK || message == NULL)
            break;
        after = herald_message_number(message);
        message_print(&output, message, MESSAGE_BODY);
        herald_message_free(message);
    }
    output_end_array(&output);
    return output_finish(&output, finish(&contact, status, queue));
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
