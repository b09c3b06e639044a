/* herald append: several events of one entity, all of them or none. */
#include "client-lib/cli/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/cli/contact.h"
#include "client-lib/cli/content.h"
#include "client-lib/cli/input.h"
#include "client-lib/cli/output.h"
#include "client-lib/cli/report.h"

enum { EVENTS_MAX = 1024 };

struct batch {
    struct content content; /* what all of them have in common */
    struct herald_event events[EVENTS_MAX];
    struct input_body bodies[EVENTS_MAX];
    char *lines[EVENTS_MAX]; /* of standard input: a key, NUL, the body */
    size_t count;
};

static struct herald_event *add_event(struct batch *batch, const char *key, const void *body,
                                      size_t bytes)
{
    struct herald_event *event = &batch->events[batch->count++];
    event->key = key;
    event->content = batch->content.content;
    event->content.body = body;
    event->content.body_bytes = bytes;
    return event;
}

/* Keys and bodies in turn. Returns the exit code. */
static int take_words(struct batch *batch, char *const *words, size_t count)
{
    if (count == 0 || count % 2 != 0) {
        report_say("give a key and a body for each event\n"
                   "usage: herald append EXCHANGE ENTITY KEY BODY [KEY BODY]...");
        return EXIT_USAGE;
    }
    if (count / 2 > EVENTS_MAX) {
        report_say("at most %d events at once", EVENTS_MAX);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < count; i += 2) {
        struct input_body *body = &batch->bodies[i / 2];
        if (!input_read_body(body, words[i + 1]))
            return EXIT_FAILED;
        add_event(batch, words[i], body->bytes, body->count);
    }
    return EXIT_OK;
}

/* A line is a key, a space and the body. */
static int add_line(struct batch *batch, char *line, size_t bytes)
{
    const char *space = memchr(line, ' ', bytes);
    if (batch->count == EVENTS_MAX) {
        free(line);
        report_say("at most %d events at once", EVENTS_MAX);
        return EXIT_USAGE;
    }
    batch->lines[batch->count] = line;
    size_t key_bytes = space != NULL ? (size_t)(space - line) : bytes;
    line[key_bytes] = '\0';
    size_t used = space != NULL ? key_bytes + 1 : bytes;
    add_event(batch, line, line + used, bytes - used);
    return EXIT_OK;
}

static int take_lines(struct batch *batch)
{
    int code = EXIT_OK;
    for (;;) {
        char *line = NULL;
        size_t room = 0;
        size_t bytes;
        int got = input_read_line(stdin, &line, &room, &bytes);
        if (got <= 0) {
            free(line);
            code = got < 0 ? EXIT_FAILED : EXIT_OK;
            break;
        }
        code = add_line(batch, line, bytes);
        if (code != EXIT_OK)
            break;
    }
    if (code == EXIT_OK && batch->count == 0) {
        report_say("standard input has no events");
        return EXIT_USAGE;
    }
    return code;
}

static int take_events(struct batch *batch, const struct arguments *arguments)
{
    if (!content_init(&batch->content, arguments))
        return EXIT_USAGE;
    if (!arguments_has(arguments, OPTION_LINES))
        return take_words(batch, arguments->words + 2, arguments->word_count - 2);
    if (arguments->word_count == 2)
        return take_lines(batch);
    report_say("--lines reads the keys and bodies from standard input; leave them out");
    return EXIT_USAGE;
}

/* The version that the entity has, also where it is another one than was expected. */
static int tell(struct output *output, enum herald_status status,
                const struct herald_appended *appended, int code)
{
    if (status == HERALD_ECONFLICT || output->format == OUTPUT_TABLE)
        return status == HERALD_OK || status == HERALD_ECONFLICT
                   ? output_version(output, appended->version, code)
                   : code;
    if (status != HERALD_OK)
        return code;
    output_json_whole_take(output, json_pack("{s:I,s:I}", "version", (json_int_t)appended->version,
                                             "sequence", (json_int_t)appended->sequence));
    return output_finish(output, code);
}

static int append_all(const struct batch *batch, const struct arguments *arguments,
                      const struct expectation *expectation)
{
    struct contact contact;
    struct output output;
    struct herald_appended appended;
    const struct herald_append append = {.size = sizeof append,
                                         .exchange = arguments->words[0],
                                         .entity = arguments->words[1],
                                         .expect = expectation->expect,
                                         .expect_version = expectation->version,
                                         .events = batch->events,
                                         .event_count = batch->count};
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    struct report_names names = {.exchange = append.exchange};
    enum herald_status status =
        herald_append(contact.client, &append, CONTACT_ANSWER_MS, &appended);
    code = report_status(contact.client, status, &names);
    output_init(&output, arguments);
    code = tell(&output, status, &appended, code);
    contact_close(&contact);
    return code;
}

int verb_append(const struct arguments *arguments)
{
    struct expectation expectation;
    if (!content_read_expect(arguments, &expectation))
        return EXIT_USAGE;
    struct batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) {
        report_say("out of memory");
        return EXIT_FAILED;
    }
    int code = take_events(batch, arguments);
    if (code == EXIT_OK) {
        batch->events[batch->count - 1].content.snapshot =
            arguments_has(arguments, OPTION_SNAPSHOT);
        code = append_all(batch, arguments, &expectation);
    }
    for (size_t i = 0; i < EVENTS_MAX; i++) {
        input_body_deinit(&batch->bodies[i]);
        free(batch->lines[i]);
    }
    free(batch);
    return code;
}
