/* herald bench fill and herald bench drain: durable commands that nobody takes, and taking them.
 *
 * Two verbs, so that the broker can be stopped, killed and started between them. The first leaves
 * the queue bench-backlog behind, the second takes so many messages from it and deletes it.
 */
#include "client-lib/cli/verbs.h"

#include <stdlib.h>

#include "client-lib/cli/bench.h"
#include "client-lib/cli/contact.h"
#include "client-lib/cli/measure.h"
#include "client-lib/cli/report.h"

#define BACKLOG_QUEUE "bench-backlog"

enum {
    COUNT = 1000000,
    BODY_BYTES = 128,
    IN_FLIGHT = 10000,
    STALLED_MS = 60000,
    MESSAGE_BYTES_MORE = 512, /* room in the send buffer beside the body */
};

struct backlog {
    struct contact contact;
    struct figures figures;
    int64_t count;
    int64_t in_flight;
    int64_t body_bytes;
    int64_t settled;
    char *body;
};

static enum herald_status send_all(struct backlog *backlog)
{
    struct herald_client *client = backlog->contact.client;
    struct herald_content content = herald_content(backlog->body, (size_t)backlog->body_bytes);
    enum herald_status status = HERALD_OK;
    int64_t sent = 0;
    while (sent < backlog->count && status == HERALD_OK) {
        int64_t room = backlog->in_flight - (int64_t)herald_unconfirmed(client);
        for (; room > 0 && sent < backlog->count && status == HERALD_OK; room--, sent++)
            status = herald_send(client, BACKLOG_QUEUE, &content);
        if (status == HERALD_OK)
            status = herald_wait(client, STALLED_MS);
    }
    return status == HERALD_OK ? contact_flush(&backlog->contact) : status;
}

static int fill(struct backlog *backlog, const struct arguments *arguments)
{
    struct measure measure;
    int code = bench_create_queue(&backlog->contact, BACKLOG_QUEUE);
    if (code != EXIT_OK)
        return code;
    measure_start(&measure, arguments, NULL);
    code = report_status(backlog->contact.client, send_all(backlog), NULL);
    measure_stop(&measure, &backlog->figures, backlog->count);
    figures_add(&backlog->figures, FIGURE_BYTES, "broker_peak_bytes",
                "memory of the broker at its peak", measure_broker_peak(&measure));
    return code;
}

static void on_message(struct herald_message *message, void *context)
{
    (void)message;
    struct backlog *backlog = context;
    backlog->settled++;
}

static enum herald_status take_all(struct backlog *backlog, const struct arguments *arguments)
{
    struct herald_client *client = backlog->contact.client;
    struct herald_service service = herald_service(BACKLOG_QUEUE, on_message);
    service.context = backlog;
    service.auto_done = 1;
    service.prefetch_messages =
        (uint32_t)arguments_number(arguments, OPTION_PREFETCH, backlog->in_flight);
    enum herald_status status = herald_serve(client, &service, CONTACT_ANSWER_MS, NULL);
    while (backlog->settled < backlog->count && status == HERALD_OK)
        status = herald_wait(client, STALLED_MS);
    return status == HERALD_OK ? contact_flush(&backlog->contact) : status;
}

static int drain(struct backlog *backlog, const struct arguments *arguments)
{
    struct measure measure;
    measure_start(&measure, arguments, NULL);
    int code = report_status(backlog->contact.client, take_all(backlog, arguments), NULL);
    measure_stop(&measure, &backlog->figures, backlog->count);
    figures_add(&backlog->figures, FIGURE_BYTES, "broker_peak_bytes",
                "memory of the broker at its peak", measure_broker_peak(&measure));
    return code == EXIT_OK ? bench_delete_queue(&backlog->contact, BACKLOG_QUEUE) : code;
}

static int run(const char *name, const struct arguments *arguments,
               int (*measured)(struct backlog *, const struct arguments *))
{
    struct output output;
    struct herald_options options;
    struct backlog backlog = {
        .count = arguments_number(arguments, OPTION_COUNT, COUNT),
        .in_flight = arguments_number(arguments, OPTION_IN_FLIGHT, IN_FLIGHT),
        .body_bytes = arguments_number(arguments, OPTION_SIZE, BODY_BYTES),
    };
    backlog.body = calloc(1, (size_t)backlog.body_bytes);
    if (backlog.body == NULL) {
        report_say("out of memory");
        return EXIT_FAILED;
    }
    output_init(&output, arguments);
    figures_init(&backlog.figures, name);
    int code = EXIT_USAGE;
    if (contact_options(&backlog.contact, arguments, &options)) {
        options.buffer_bytes_max =
            (size_t)(backlog.in_flight * (backlog.body_bytes + MESSAGE_BYTES_MORE)) + (1u << 20);
        code = contact_open(&backlog.contact, &options);
    }
    if (code == EXIT_OK) {
        code = measured(&backlog, arguments);
        contact_close(&backlog.contact);
    }
    free(backlog.body);
    return bench_finish(&backlog.figures, &output, code);
}

int verb_bench_fill(const struct arguments *arguments)
{
    return run("bench fill", arguments, fill);
}

int verb_bench_drain(const struct arguments *arguments)
{
    return run("bench drain", arguments, drain);
}
