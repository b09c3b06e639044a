/* herald send, herald publish: one message, or one for each line of standard input. */
#include "client-lib/cli/verbs.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/cli/content.h"
#include "client-lib/cli/input.h"
#include "client-lib/cli/outcome.h"
#include "client-lib/cli/output.h"
#include "client-lib/cli/report.h"
#include "client-lib/cli/contact.h"
#include "client-lib/cli/value.h"

/* Where the messages go: to a queue, or by a key through an exchange. With --keyed each line brings
 * its key. */
struct target {
    const char *queue;
    const char *exchange;
    const char *key;
};

/* Messages from lines: the hooks count, on the library's thread. What is known about the first
 * refusal is written before `refused` is more than 0 and not changed after. */
struct lines {
    struct contact contact;
    struct content content;
    struct target target;
    struct output output;
    bool is_keyed;
    uintptr_t sent;
    _Atomic uint64_t confirmed;
    _Atomic uint64_t refused;
    uintptr_t refused_line;
    char refused_name[32];
    char refused_text[256];
};

static enum herald_status put(struct contact *contact, const struct target *target,
                              const struct herald_content *content)
{
    if (target->queue != NULL)
        return herald_send(contact->client, target->queue, content);
    return herald_publish(contact->client, target->exchange, target->key, content);
}

/* For programs; people are told nothing when all is well. */
static int tell_counts(struct output *output, uint64_t sent, uint64_t confirmed, int code)
{
    if (output->format == OUTPUT_TABLE)
        return code;
    output_json_whole_take(output, json_pack("{s:I,s:I}", "sent", (json_int_t)sent, "confirmed",
                                             (json_int_t)confirmed));
    return output_finish(output, code);
}

/* The key was used before: the command is the one that came first, and that is no failure. */
static bool is_known(struct contact *contact, enum herald_status status, unsigned char id[16])
{
    struct herald_error error = herald_last_error(contact->client);
    return status == HERALD_EREFUSED && strcmp(error.name, "DUPLICATE") == 0 &&
           value_parse_id(error.text, id);
}

/* Prints the id to ask by, or with --wait what became of it. */
static int tell_tracked(struct contact *contact, const struct arguments *arguments,
                        struct output *output, const unsigned char id[16])
{
    char text[37];
    herald_id_print(id, text);
    if (!arguments_has(arguments, OPTION_WAIT)) {
        if (output->format == OUTPUT_TABLE)
            output_body(output, text, strlen(text));
        else
            output_json_whole_take(output, json_pack("{s:s}", "id", text));
        return output_finish(output, EXIT_OK);
    }
    struct herald_command *command;
    int timeout_ms = (int)arguments_number(arguments, OPTION_WAIT, -1);
    enum herald_status status =
        herald_command_wait(contact->client, id, timeout_ms == 0 ? -1 : timeout_ms, &command);
    int code = status == HERALD_OK ? outcome_print_command(contact, output, command)
                                   : report_status(contact->client, status, NULL);
    if (status == HERALD_ETIMEOUT)
        report_say("its id is %s", text);
    herald_command_free(command);
    return output_finish(output, code);
}

static bool make_content(struct content *content, const struct arguments *arguments)
{
    return content_init(content, arguments) && content_take_entity(content, arguments);
}

static int send_one(const struct arguments *arguments, const struct target *target,
                    const char *argument)
{
    struct contact contact;
    struct content content;
    struct output output;
    struct input_body body;
    if (!make_content(&content, arguments))
        return EXIT_USAGE;
    if (!input_read_body(&body, argument))
        return EXIT_FAILED;
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        goto out;
    content.content.body = body.bytes;
    content.content.body_bytes = body.count;
    enum herald_status status = put(&contact, target, &content.content);
    if (status == HERALD_OK)
        status = contact_flush(&contact);
    if (content.content.track && is_known(&contact, status, content.id))
        status = HERALD_OK;
    struct report_names names = {
        .queue = target->queue, .exchange = target->exchange, .other = content.content.reply_to};
    code = report_status(contact.client, status, &names);
    output_init(&output, arguments);
    if (code == EXIT_OK && content.content.track)
        code = tell_tracked(&contact, arguments, &output, content.id);
    else if (status == HERALD_ECONFLICT)
        code = output_version(&output, herald_last_error(contact.client).version, code);
    else
        code = tell_counts(&output, 1, code == EXIT_OK, code);
    contact_close(&contact);
out:
    input_body_deinit(&body);
    return code;
}

static void on_confirmed(struct herald_client *client, void *context, void *user)
{
    (void)client;
    (void)context;
    struct lines *lines = ((struct contact *)user)->context;
    atomic_fetch_add(&lines->confirmed, 1);
}

static void on_refused(struct herald_client *client, const struct herald_refusal *refusal,
                       void *user)
{
    (void)client;
    struct lines *lines = ((struct contact *)user)->context;
    if (refusal->kind != HERALD_REFUSED_SEND)
        return;
    if (atomic_load(&lines->refused) == 0) {
        lines->refused_line = (uintptr_t)refusal->context;
        snprintf(lines->refused_name, sizeof lines->refused_name, "%s", refusal->name);
        snprintf(lines->refused_text, sizeof lines->refused_text, "%s", refusal->text);
    }
    atomic_fetch_add(&lines->refused, 1);
}

/* A full buffer empties as the broker confirms; only a connection that stays away ends the wait. */
static enum herald_status put_line(struct lines *lines, char *line, size_t count)
{
    enum herald_status status = HERALD_EAGAIN;
    lines->sent++;
    if (lines->is_keyed) {
        char *space = memchr(line, ' ', count);
        size_t bytes = space != NULL ? (size_t)(space - line) + 1 : count;
        line[space != NULL ? bytes - 1 : count] = '\0';
        lines->target.key = line;
        line += bytes;
        count -= bytes;
    }
    lines->content.content.body = line;
    lines->content.content.body_bytes = count;
    lines->content.content.context = (void *)lines->sent;
    while (status == HERALD_EAGAIN) {
        if (contact_is_lost_for_good(&lines->contact))
            return HERALD_ELOST;
        status = put(&lines->contact, &lines->target, &lines->content.content);
    }
    return status;
}

/* Returns EXIT_OK at the end of the input or after a refusal, which is told later. */
static int send_lines(struct lines *lines)
{
    char *line = NULL;
    size_t room = 0;
    size_t count;
    int code = EXIT_OK;
    while (code == EXIT_OK && atomic_load(&lines->refused) == 0) {
        int got = input_read_line(stdin, &line, &room, &count);
        if (got <= 0) {
            code = got < 0 ? EXIT_FAILED : EXIT_OK;
            break;
        }
        enum herald_status status = put_line(lines, line, count);
        if (status == HERALD_OK)
            continue;
        report_say("line %" PRIuPTR ":", lines->sent);
        code = report_status(lines->contact.client, status, NULL);
    }
    free(line);
    return code;
}

static int tell_refused(const struct lines *lines)
{
    struct report_names names = {.queue = lines->target.queue,
                                 .exchange = lines->target.exchange,
                                 .other = lines->content.content.reply_to};
    report_say("line %" PRIuPTR " was refused; of %" PRIuPTR " lines sent, %" PRIu64
               " were confirmed and %" PRIu64 " refused",
               lines->refused_line, lines->sent, (uint64_t)lines->confirmed,
               (uint64_t)lines->refused);
    return report_refusal(HERALD_EREFUSED, lines->refused_name, lines->refused_text, &names);
}

static int run_lines(struct lines *lines)
{
    enum herald_status status = herald_start_thread(lines->contact.client);
    if (status != HERALD_OK)
        return report_status(lines->contact.client, status, NULL);
    int code = send_lines(lines);
    status = contact_flush(&lines->contact);
    if (atomic_load(&lines->refused) > 0)
        return tell_refused(lines);
    if (status == HERALD_OK)
        return code;
    report_say("of %" PRIuPTR " lines sent, %" PRIu64 " were confirmed", lines->sent,
               (uint64_t)lines->confirmed);
    return report_status(lines->contact.client, status, NULL);
}

static int send_all_lines(const struct arguments *arguments, const struct target *target)
{
    struct herald_options options;
    struct lines *lines = calloc(1, sizeof *lines);
    int code = EXIT_USAGE;
    if (lines == NULL) {
        report_say("out of memory");
        return EXIT_FAILED;
    }
    lines->target = *target;
    lines->is_keyed = arguments_has(arguments, OPTION_KEYED);
    lines->contact.context = lines;
    if (!make_content(&lines->content, arguments))
        goto out;
    if (!contact_options(&lines->contact, arguments, &options))
        goto out;
    options.on_confirmed = on_confirmed;
    options.on_refused = on_refused;
    code = contact_open(&lines->contact, &options);
    if (code != EXIT_OK)
        goto out;
    code = run_lines(lines);
    contact_close(&lines->contact);
    output_init(&lines->output, arguments);
    code = tell_counts(&lines->output, lines->sent, lines->confirmed, code);
out:
    free(lines);
    return code;
}

/* The body is the argument at `index`; with --lines it may be left out. */
static int send_body(const struct arguments *arguments, const struct target *target, size_t index)
{
    const char *body = arguments->words[index];
    if (arguments_has(arguments, OPTION_LINES)) {
        if (body != NULL && strcmp(body, "-") != 0) {
            report_say("--lines reads the messages from standard input; leave the body out");
            return EXIT_USAGE;
        }
        if (arguments_has(arguments, OPTION_ID) || arguments_has(arguments, OPTION_TRACK) ||
            arguments_has(arguments, OPTION_WAIT) || arguments_has(arguments, OPTION_KEY)) {
            report_say("--id, --track, --wait and --idempotency-key are about one message, "
                       "--lines sends many");
            return EXIT_USAGE;
        }
        if (arguments_has(arguments, OPTION_EXPECT) || arguments_has(arguments, OPTION_SNAPSHOT)) {
            report_say("--expect and --snapshot are about one event, --lines sends many; "
                       "see `herald help append`");
            return EXIT_USAGE;
        }
        return send_all_lines(arguments, target);
    }
    if (body == NULL) {
        report_say("the body is missing; - reads it from standard input\nusage: herald %s %s",
                   arguments->verb->words, arguments->verb->arguments);
        return EXIT_USAGE;
    }
    return send_one(arguments, target, body);
}

int verb_send(const struct arguments *arguments)
{
    struct target target = {.queue = arguments->words[0]};
    return send_body(arguments, &target, 1);
}

int verb_publish(const struct arguments *arguments)
{
    struct target target = {.exchange = arguments->words[0]};
    if (arguments_has(arguments, OPTION_KEYED)) {
        if (!arguments_has(arguments, OPTION_LINES) || arguments->word_count > 2) {
            report_say("--keyed is for --lines, and the lines bring the keys: "
                       "herald publish EXCHANGE --lines --keyed");
            return EXIT_USAGE;
        }
        return send_body(arguments, &target, 1);
    }
    target.key = arguments->words[1];
    if (target.key != NULL)
        return send_body(arguments, &target, 2);
    report_say("the key is missing\nusage: herald %s %s", arguments->verb->words,
               arguments->verb->arguments);
    return EXIT_USAGE;
}
