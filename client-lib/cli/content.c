/* The content of a message as the options of the command line describe it. */
#include "client-lib/cli/content.h"

#include <stdlib.h>
#include <string.h>

#include "client-lib/cli/report.h"
#include "client-lib/cli/value.h"

static bool parse_header(struct herald_header *header, const char *option, const char *text)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        report_say("--%s takes NAME=VALUE, not '%s'", option, text);
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

bool content_headers(const struct arguments *arguments, const char *option,
                     struct herald_header headers[TEXTS_MAX])
{
    for (size_t i = 0; i < arguments->text_count; i++)
        if (!parse_header(&headers[i], option, arguments->texts[i]))
            return false;
    return true;
}

static bool parse_priority(const char *text, int *priority)
{
    if (text[0] < '0' || text[0] > '9' || text[1] != '\0') {
        report_say("--priority takes a number from 0 to 9, not '%s'", text);
        return false;
    }
    *priority = text[0] - '0';
    return true;
}

void content_track(struct content *content)
{
    content->content.track = 1;
    if (content->content.id != NULL)
        return;
    herald_id_make(content->id);
    content->content.id = content->id;
}

static const char *text_of(const struct arguments *arguments, enum option name)
{
    return arguments_has(arguments, name) ? arguments->options[name].text : NULL;
}

/* Sent by a program that `herald work` runs: for the command that it runs it for. */
static bool take_within(struct content *content, const struct arguments *arguments)
{
    const char *id = getenv("HERALD_ID");
    const char *deadline = getenv("HERALD_DEADLINE_MS");
    if (!arguments_has(arguments, OPTION_WITHIN))
        return true;
    if (id == NULL || (id[0] != '\0' && !value_parse_id(id, content->parent))) {
        report_say("--within is for programs that `herald work` runs: there is no HERALD_ID");
        return false;
    }
    if (id[0] != '\0')
        content->content.parent = content->parent;
    content->content.deadline_ms = deadline != NULL ? strtoull(deadline, NULL, 10) : 0;
    return true;
}

/* What a command asks for; other verbs do not have these options. */
static void take_terms(struct content *content, const struct arguments *arguments)
{
    struct herald_content *c = &content->content;
    c->timeout_ms = (uint64_t)arguments_number(arguments, OPTION_DEADLINE, 0);
    int64_t ttl_ms = arguments_number(arguments, OPTION_TTL, 0);
    c->ttl_ms = ttl_ms > 0 ? (uint64_t)ttl_ms : 0;
    c->attempts = arguments_number(arguments, OPTION_ATTEMPTS, 0);
    c->backoff_ms = arguments_number(arguments, OPTION_BACKOFF, 0);
    c->backoff_max_ms = arguments_number(arguments, OPTION_BACKOFF_MAX, 0);
    c->retry_for_ms = arguments_number(arguments, OPTION_RETRY_FOR, 0);
    c->key = text_of(arguments, OPTION_KEY);
    c->lane = text_of(arguments, OPTION_LANE);
    c->reply_to = text_of(arguments, OPTION_REPLY_TO);
    if (arguments_has(arguments, OPTION_TRACK) || arguments_has(arguments, OPTION_WAIT) ||
        c->key != NULL)
        content_track(content);
}

bool content_init(struct content *content, const struct arguments *arguments)
{
    content->content = herald_content(NULL, 0);
    if (!content_headers(arguments, "header", content->headers))
        return false;
    content->content.headers = content->headers;
    content->content.header_count = arguments->text_count;
    if (arguments_has(arguments, OPTION_ID)) {
        if (!value_parse_id(arguments->options[OPTION_ID].text, content->id)) {
            report_say("--id takes a UUID, not '%s'", arguments->options[OPTION_ID].text);
            return false;
        }
        content->content.id = content->id;
    }
    content->content.delay_ms = (uint64_t)arguments_number(arguments, OPTION_DELAY, 0);
    if (arguments_has(arguments, OPTION_DUE) &&
        !value_parse_time(arguments->options[OPTION_DUE].text, &content->content.due_ms)) {
        report_say("--due takes a time like 2026-01-31T12:00:00Z or @1769860800, not '%s'",
                   arguments->options[OPTION_DUE].text);
        return false;
    }
    if (arguments_has(arguments, OPTION_PRIORITY) &&
        !parse_priority(arguments->options[OPTION_PRIORITY].text, &content->content.priority))
        return false;
    take_terms(content, arguments);
    if (!take_within(content, arguments))
        return false;
    /* Even what need not survive the broker is confirmed: otherwise nobody would learn that the
     * queue does not exist. */
    content->content.transient = arguments_has(arguments, OPTION_TRANSIENT);
    content->content.confirm = content->content.transient;
    return true;
}

bool content_read_expect(const struct arguments *arguments, struct expectation *expectation)
{
    *expectation = (struct expectation){HERALD_EXPECT_ANY, 0};
    if (!arguments_has(arguments, OPTION_EXPECT) ||
        place_parse_expectation(arguments->options[OPTION_EXPECT].text, expectation))
        return true;
    report_say("--expect takes a version, none, exists or any, not '%s'",
               arguments->options[OPTION_EXPECT].text);
    return false;
}

bool content_take_entity(struct content *content, const struct arguments *arguments)
{
    struct herald_content *c = &content->content;
    struct expectation expectation;
    if (!content_read_expect(arguments, &expectation))
        return false;
    c->entity = text_of(arguments, OPTION_ENTITY);
    c->expect = expectation.expect;
    c->expect_version = expectation.version;
    c->snapshot = arguments_has(arguments, OPTION_SNAPSHOT);
    if (c->entity == NULL && (arguments_has(arguments, OPTION_EXPECT) || c->snapshot)) {
        report_say("--expect and --snapshot are about an entity: give --entity too");
        return false;
    }
    return true;
}
