/* herald bench send: durable commands, confirmed and settled, with one producer and one consumer.
 *
 * The producer keeps so many messages unconfirmed; the consumer, on a thread and a connection of
 * its own, settles each when it comes. The time ends when the last one is confirmed and its
 * settlement, too. One message in 16 is timed: a clock read for each would be part of what is
 * measured.
 */
#include "client-lib/cli/verbs.h"

#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-lib/cli/append.h"
#include "client-lib/cli/bench.h"
#include "client-lib/cli/contact.h"
#include "client-lib/cli/histogram.h"
#include "client-lib/cli/measure.h"
#include "client-lib/cli/report.h"

enum {
    COUNT = 1000000,
    BODY_BYTES = 128,
    IN_FLIGHT = 10000,
    SAMPLE = 16,
    APPEND_MS = 500, /* before and after, so that a slow minute of the disk shows in both */
    STALLED_MS = 30000,
    LANE_BYTES = 32,
    MESSAGE_BYTES_MORE = 512, /* room in the send buffer beside the body */
};

struct bench_send {
    struct contact producer;
    struct contact consumer;
    char queue[BENCH_NAME_BYTES];
    int64_t count;
    int64_t settled;
    int64_t in_flight;
    int64_t lanes;   /* 0: none */
    int64_t workers; /* consumers, all on one connection */
    bool is_tracked;
    const char *body;
    size_t body_bytes;
    int consumer_code;
    struct histogram confirm_ns;
};

static void on_message(struct herald_message *message, void *context)
{
    (void)message;
    struct bench_send *bench = context;
    bench->settled++;
}

static void on_confirmed(struct herald_client *client, void *context, void *user)
{
    (void)client;
    struct bench_send *bench = ((struct contact *)user)->context;
    int64_t sent_ns = (int64_t)(intptr_t)context;
    histogram_add(&bench->confirm_ns, (uint64_t)(measure_now_ns() - sent_ns));
}

static void *consume(void *context)
{
    struct bench_send *bench = context;
    struct contact *contact = &bench->consumer;
    enum herald_status status = HERALD_OK;
    while (bench->settled < bench->count && status == HERALD_OK)
        status = herald_wait(contact->client, STALLED_MS);
    if (status == HERALD_OK)
        status = contact_flush(contact);
    bench->consumer_code = report_status(contact->client, status, NULL);
    return NULL;
}

/* What is not the same for all of them. */
static void shape(const struct bench_send *bench, struct herald_content *content, int64_t number,
                  char lane[LANE_BYTES], unsigned char id[16])
{
    if (bench->lanes > 0) {
        snprintf(lane, LANE_BYTES, "lane-%" PRId64, number % bench->lanes);
        content->lane = lane;
    }
    if (bench->is_tracked) {
        herald_id_make(id);
        content->id = id;
        content->track = 1;
    }
}

/* Tops up, then waits for confirms. */
static enum herald_status produce(struct bench_send *bench)
{
    struct herald_client *client = bench->producer.client;
    struct herald_content content = herald_content(bench->body, bench->body_bytes);
    enum herald_status status = HERALD_OK;
    int64_t sent = 0;
    char lane[LANE_BYTES];
    unsigned char id[16];
    while (sent < bench->count) {
        int64_t room = bench->in_flight - (int64_t)herald_unconfirmed(client);
        for (; room > 0 && sent < bench->count && status == HERALD_OK; room--, sent++) {
            content.context = sent % SAMPLE == 0 ? (void *)(intptr_t)measure_now_ns() : NULL;
            shape(bench, &content, sent, lane, id);
            status = herald_send(client, bench->queue, &content);
        }
        if (status == HERALD_OK)
            status = herald_wait(client, STALLED_MS);
        if (status != HERALD_OK)
            return status;
    }
    return contact_flush(&bench->producer);
}

static int start_consumer(struct bench_send *bench, const struct arguments *arguments)
{
    struct herald_service service = herald_service(bench->queue, on_message);
    service.context = bench;
    service.auto_done = 1;
    service.prefetch_messages = (uint32_t)arguments_number(
        arguments, OPTION_PREFETCH, (bench->in_flight + bench->workers - 1) / bench->workers);
    enum herald_status status = HERALD_OK;
    for (int64_t i = 0; i < bench->workers && status == HERALD_OK; i++)
        status = herald_serve(bench->consumer.client, &service, CONTACT_ANSWER_MS, NULL);
    return report_status(bench->consumer.client, status, NULL);
}

/* Returns the exit code; the figures are complete when it is EXIT_OK. */
static int run(struct bench_send *bench, const struct arguments *arguments, struct figures *figures,
               double *rate)
{
    struct measure measure;
    pthread_t thread;
    int code = start_consumer(bench, arguments);
    if (code != EXIT_OK)
        return code;
    measure_start(&measure, arguments, NULL);
    if (pthread_create(&thread, NULL, consume, bench) != 0) {
        report_say("cannot start a thread");
        return EXIT_FAILED;
    }
    code = report_status(bench->producer.client, produce(bench), NULL);
    pthread_join(thread, NULL);
    *rate = measure_stop(&measure, figures, bench->count);
    return code != EXIT_OK ? code : bench->consumer_code;
}

static int run_connected(struct bench_send *bench, const struct arguments *arguments,
                         struct figures *figures, double *rate)
{
    struct herald_options options;
    if (!contact_options(&bench->producer, arguments, &options))
        return EXIT_USAGE;
    options.on_confirmed = on_confirmed;
    options.buffer_bytes_max =
        (size_t)bench->in_flight * (bench->body_bytes + MESSAGE_BYTES_MORE) + (1u << 20);
    bench->producer.context = bench;
    int code = contact_open(&bench->producer, &options);
    if (code != EXIT_OK)
        return code;
    code = bench_create_queue(&bench->producer, bench->queue);
    if (code != EXIT_OK)
        goto out;
    code = contact_open_plain(&bench->consumer, arguments);
    if (code == EXIT_OK) {
        code = run(bench, arguments, figures, rate);
        contact_close(&bench->consumer);
    }
    bench_delete_queue(&bench->producer, bench->queue);
out:
    contact_close(&bench->producer);
    return code;
}

/* Beside the broker's own files when its socket stands there (heraldd --dev), else here. */
static const char *append_directory(const struct arguments *arguments, char path[PATH_MAX])
{
    char lock[PATH_MAX + 8];
    const char *socket = measure_socket_path(arguments);
    if (arguments_has(arguments, OPTION_JOURNAL_DIRECTORY))
        return arguments->options[OPTION_JOURNAL_DIRECTORY].text;
    if (socket == NULL || strlen(socket) >= PATH_MAX)
        return ".";
    memcpy(path, socket, strlen(socket) + 1);
    const char *directory = dirname(path);
    snprintf(lock, sizeof lock, "%s/lock", directory);
    return access(lock, F_OK) == 0 && access(directory, W_OK) == 0 ? directory : ".";
}

static void add_append(struct figures *figures, double rate, double before, double after)
{
    double append = before > 0 && after > 0 ? (before + after) / 2 : -1;
    figures_add(figures, FIGURE_PER_SECOND, "append_records_per_s",
                "plain appends of 1,024 records, records per second", append);
    figures_add(figures, FIGURE_RATIO, "append_ratio", "messages to plain appends",
                append > 0 ? rate / append : -1);
}

int verb_bench_send(const struct arguments *arguments)
{
    struct output output;
    struct figures figures;
    char path[PATH_MAX];
    double rate = 0;
    struct bench_send *bench = calloc(1, sizeof *bench);
    int64_t size = arguments_number(arguments, OPTION_SIZE, BODY_BYTES);
    char *body = calloc(1, (size_t)size);
    int code = EXIT_FAILED;
    if (bench == NULL || body == NULL) {
        report_say("out of memory");
        goto out;
    }
    output_init(&output, arguments);
    bench->body = body;
    bench->body_bytes = (size_t)size;
    bench->count = arguments_number(arguments, OPTION_COUNT, COUNT);
    bench->in_flight = arguments_number(arguments, OPTION_IN_FLIGHT, IN_FLIGHT);
    bench->lanes = arguments_number(arguments, OPTION_LANES, 0);
    bench->workers = arguments_number(arguments, OPTION_WORKERS, 1);
    bench->is_tracked = arguments_has(arguments, OPTION_TRACK);
    bench_make_name(bench->queue);
    const char *directory = append_directory(arguments, path);
    figures_init(&figures, "bench send");
    double before = append_measure(directory, size, APPEND_MS);
    code = run_connected(bench, arguments, &figures, &rate);
    double p50 = histogram_find(&bench->confirm_ns, 0.5);
    double p99 = histogram_find(&bench->confirm_ns, 0.99);
    figures_add(&figures, FIGURE_MICROSECONDS, "confirm_p50_us", "confirm after, median",
                p50 < 0 ? -1 : p50 / 1e3);
    figures_add(&figures, FIGURE_MICROSECONDS, "confirm_p99_us", "confirm after, 99 of 100",
                p99 < 0 ? -1 : p99 / 1e3);
    add_append(&figures, rate, before,
               before > 0 ? append_measure(directory, size, APPEND_MS) : -1);
    code = bench_finish(&figures, &output, code);
out:
    free(body);
    free(bench);
    return code;
}
