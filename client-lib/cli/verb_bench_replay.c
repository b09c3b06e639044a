/* herald bench replay: a reader that begins at the first event of a history.
 *
 * The events are published before, as fast as the broker confirms them; what is measured begins
 * when all are on disk. The reader checks that no sequence is left out or comes twice.
 */
#include "client-lib/cli/verbs.h"

#include <inttypes.h>
#include <stdlib.h>

#include "client-lib/cli/bench.h"
#include "client-lib/cli/contact.h"
#include "client-lib/cli/measure.h"
#include "client-lib/cli/report.h"

enum {
    COUNT = 1000000,
    BODY_BYTES = 128,
    IN_FLIGHT = 10000,
    STALLED_MS = 60000,
    MESSAGE_BYTES_MORE = 512, /* room in the send buffer beside the body */
};

struct replay {
    struct contact contact;
    struct figures figures;
    char exchange[BENCH_NAME_BYTES];
    int64_t count;
    int64_t in_flight;
    int64_t body_bytes;
    char *body;
    uint64_t last; /* sequence of the last event that was read */
    uint64_t missing;
};

static void on_message(struct herald_message *message, void *context)
{
    struct replay *replay = context;
    uint64_t sequence = herald_message_sequence(message);
    replay->missing += sequence != replay->last + 1;
    replay->last = sequence;
}

static void on_gap(struct herald_consumer *consumer, uint64_t missed, void *context)
{
    (void)consumer;
    struct replay *replay = context;
    replay->missing += missed;
}

static enum herald_status publish_all(struct replay *replay)
{
    struct herald_client *client = replay->contact.client;
    struct herald_content content = herald_content(replay->body, (size_t)replay->body_bytes);
    enum herald_status status = HERALD_OK;
    int64_t sent = 0;
    while (sent < replay->count && status == HERALD_OK) {
        int64_t room = replay->in_flight - (int64_t)herald_unconfirmed(client);
        for (; room > 0 && sent < replay->count && status == HERALD_OK; room--, sent++)
            status = herald_publish(client, replay->exchange, "bench.event", &content);
        if (status == HERALD_OK)
            status = herald_wait(client, STALLED_MS);
    }
    return status == HERALD_OK ? contact_flush(&replay->contact) : status;
}

static enum herald_status read_all(struct replay *replay, struct herald_client *client)
{
    struct herald_reading reading = herald_reading(replay->exchange, "#", on_message);
    reading.from = HERALD_FROM_FIRST;
    reading.context = replay;
    reading.on_gap = on_gap;
    enum herald_status status = herald_follow(client, &reading, CONTACT_ANSWER_MS, NULL);
    while (status == HERALD_OK && replay->last < (uint64_t)replay->count)
        status = herald_wait(client, STALLED_MS);
    return status;
}

static int measure_reading(struct replay *replay, const struct arguments *arguments)
{
    struct measure measure;
    struct contact reader;
    int code = contact_open_plain(&reader, arguments);
    if (code != EXIT_OK)
        return code;
    measure_start(&measure, arguments, NULL);
    code = report_status(reader.client, read_all(replay, reader.client), NULL);
    measure_stop(&measure, &replay->figures, replay->count);
    figures_add(&replay->figures, FIGURE_BYTES, "broker_peak_bytes",
                "memory of the broker at its peak", measure_broker_peak(&measure));
    contact_close(&reader);
    if (code == EXIT_OK && replay->missing > 0) {
        report_say("%" PRIu64 " events were missing or out of order", replay->missing);
        return EXIT_FAILED;
    }
    return code;
}

static int run(struct replay *replay, const struct arguments *arguments)
{
    int64_t started_ns = measure_now_ns();
    int code = report_status(replay->contact.client, publish_all(replay), NULL);
    if (code != EXIT_OK)
        return code;
    double elapsed_s = (double)(measure_now_ns() - started_ns) / 1e9;
    code = measure_reading(replay, arguments);
    figures_add(&replay->figures, FIGURE_PER_SECOND, "published_per_s",
                "events published per second before", (double)replay->count / elapsed_s);
    return code;
}

static int run_connected(struct replay *replay, const struct arguments *arguments)
{
    struct herald_options options;
    if (!contact_options(&replay->contact, arguments, &options))
        return EXIT_USAGE;
    options.buffer_bytes_max =
        (size_t)(replay->in_flight * (replay->body_bytes + MESSAGE_BYTES_MORE)) + (1u << 20);
    int code = contact_open(&replay->contact, &options);
    if (code != EXIT_OK)
        return code;
    struct herald_client *client = replay->contact.client;
    struct herald_exchange_options exchange = herald_exchange_options_default();
    exchange.history = 1;
    enum herald_status status =
        herald_exchange_create(client, replay->exchange, &exchange, CONTACT_ANSWER_MS);
    code = report_status(client, status, NULL);
    if (status == HERALD_OK) {
        code = run(replay, arguments);
        (void)herald_exchange_delete(client, replay->exchange, HERALD_DELETE_ANYWAY,
                                     CONTACT_ANSWER_MS);
    }
    contact_close(&replay->contact);
    return code;
}

int verb_bench_replay(const struct arguments *arguments)
{
    struct output output;
    struct replay *replay = calloc(1, sizeof *replay);
    int64_t size = arguments_number(arguments, OPTION_SIZE, BODY_BYTES);
    char *body = calloc(1, (size_t)size);
    int code = EXIT_FAILED;
    if (replay == NULL || body == NULL) {
        report_say("out of memory");
        goto out;
    }
    output_init(&output, arguments);
    figures_init(&replay->figures, "bench replay");
    replay->body = body;
    replay->body_bytes = size;
    replay->count = arguments_number(arguments, OPTION_COUNT, COUNT);
    replay->in_flight = arguments_number(arguments, OPTION_IN_FLIGHT, IN_FLIGHT);
    bench_make_name(replay->exchange);
    code = bench_finish(&replay->figures, &output, run_connected(replay, arguments));
out:
    free(body);
    free(replay);
    return code;
}
