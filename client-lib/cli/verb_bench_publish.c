/* herald bench publish: durable events, confirmed, to many live subscribers.
 *
 * The subscribers share a thread. Each event carries the time it was sent at in its first bytes;
 * the time ends when every subscriber has heard of every event, be it that it was too slow and
 * missed it. With --history the exchange keeps the events, and nobody listens unless asked to.
 */
#include "client-lib/cli/verbs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/cli/bench.h"
#include "client-lib/cli/contact.h"
#include "client-lib/cli/group.h"
#include "client-lib/cli/histogram.h"
#include "client-lib/cli/measure.h"
#include "client-lib/cli/report.h"

enum {
    COUNT = 200000,
    BODY_BYTES = 128,
    IN_FLIGHT = 10000,
    SUBSCRIBERS = 10,
    HISTORY_IN_FLIGHT = 1024,
    SAMPLE = 16,
    STALLED_MS = 10000,
    MESSAGE_BYTES_MORE = 512,
};

struct bench_publish {
    struct contact publisher;
    struct group group;
    char exchange[BENCH_NAME_BYTES];
    int64_t count;
    int64_t in_flight;
    int64_t subscribers; /* 0: none */
    bool is_kept;
    int64_t heard;
    int64_t missed;
    char *body;
    size_t body_bytes;
    struct histogram heard_ns;
};

static void on_message(struct herald_message *message, void *context)
{
    struct bench_publish *bench = context;
    int64_t sent_ns;
    if (bench->heard++ % SAMPLE != 0)
        return;
    memcpy(&sent_ns, herald_message_body(message), sizeof sent_ns);
    histogram_add(&bench->heard_ns, (uint64_t)(measure_now_ns() - sent_ns));
}

static void on_gap(struct herald_consumer *consumer, uint64_t missed, void *context)
{
    (void)consumer;
    struct bench_publish *bench = context;
    bench->missed += (int64_t)missed;
}

static void *hear(void *context)
{
    struct bench_publish *bench = context;
    int64_t wanted = bench->count * bench->subscribers;
    int64_t seen = 0;
    int64_t moved_ms = contact_now_ms();
    while (seen < wanted && contact_now_ms() - moved_ms < STALLED_MS) {
        group_wait(&bench->group, 100);
        if (bench->heard + bench->missed != seen)
            moved_ms = contact_now_ms();
        seen = bench->heard + bench->missed;
    }
    return NULL;
}

static enum herald_status publish_all(struct bench_publish *bench)
{
    struct herald_client *client = bench->publisher.client;
    struct herald_content content = herald_content(bench->body, bench->body_bytes);
    enum herald_status status = HERALD_OK;
    int64_t sent = 0;
    while (sent < bench->count && status == HERALD_OK) {
        int64_t room = bench->in_flight - (int64_t)herald_unconfirmed(client);
        int64_t now_ns = measure_now_ns();
        memcpy(bench->body, &now_ns, sizeof now_ns);
        for (; room > 0 && sent < bench->count && status == HERALD_OK; room--, sent++)
            status = herald_publish(client, bench->exchange, "bench.event", &content);
        if (status == HERALD_OK)
            status = herald_wait(client, STALLED_MS);
    }
    return status == HERALD_OK ? contact_flush(&bench->publisher) : status;
}

static int subscribe_all(struct bench_publish *bench, const struct arguments *arguments)
{
    struct herald_options options;
    if (!contact_options(&bench->publisher, arguments, &options))
        return EXIT_USAGE;
    struct herald_subscription subscription =
        herald_subscription(bench->exchange, "bench.#", on_message);
    subscription.context = bench;
    subscription.on_gap = on_gap;
    for (int64_t i = 0; i < bench->subscribers; i++) {
        struct herald_client *client = herald_new(&options);
        if (!group_add_take(&bench->group, client))
            return EXIT_FAILED;
        enum herald_status status = herald_connect(client, CONTACT_CONNECT_MS);
        if (status == HERALD_OK)
            status = herald_subscribe(client, &subscription, CONTACT_ANSWER_MS, NULL);
        if (status != HERALD_OK)
            return report_status(client, status, NULL);
    }
    return EXIT_OK;
}

static void add_heard(struct figures *figures, const struct bench_publish *bench, double rate)
{
    double p50 = histogram_find(&bench->heard_ns, 0.5);
    double p99 = histogram_find(&bench->heard_ns, 0.99);
    figures_add(figures, FIGURE_COUNT, "subscribers", "live subscribers",
                (double)bench->subscribers);
    figures_add(figures, FIGURE_COUNT, "heard", "events heard", (double)bench->heard);
    figures_add(figures, FIGURE_COUNT, "missed", "events missed by slow subscribers",
                (double)bench->missed);
    figures_add(figures, FIGURE_PER_SECOND, "heard_per_s", "events heard per second",
                rate * (double)bench->heard / (double)bench->count);
    figures_add(figures, FIGURE_MICROSECONDS, "heard_p50_us", "heard after, median",
                p50 < 0 ? -1 : p50 / 1e3);
    figures_add(figures, FIGURE_MICROSECONDS, "heard_p99_us", "heard after, 99 of 100",
                p99 < 0 ? -1 : p99 / 1e3);
}

static int run(struct bench_publish *bench, const struct arguments *arguments,
               struct figures *figures)
{
    struct measure measure;
    pthread_t thread;
    int code = subscribe_all(bench, arguments);
    if (code != EXIT_OK)
        return code;
    measure_start(&measure, arguments);
    if (pthread_create(&thread, NULL, hear, bench) != 0) {
        report_say("cannot start a thread");
        return EXIT_FAILED;
    }
    code = report_status(bench->publisher.client, publish_all(bench), NULL);
    pthread_join(thread, NULL);
    double rate = measure_stop(&measure, figures, bench->count);
    if (bench->subscribers > 0)
        add_heard(figures, bench, rate);
    if (code == EXIT_OK && bench->heard + bench->missed < bench->count * bench->subscribers) {
        report_say("events were lost without a word");
        return EXIT_FAILED;
    }
    return code;
}

static int run_connected(struct bench_publish *bench, const struct arguments *arguments,
                         struct figures *figures)
{
    struct herald_options options;
    if (!contact_options(&bench->publisher, arguments, &options))
        return EXIT_USAGE;
    options.buffer_bytes_max =
        (size_t)bench->in_flight * (bench->body_bytes + MESSAGE_BYTES_MORE) + (1u << 20);
    int code = contact_open(&bench->publisher, &options);
    if (code != EXIT_OK)
        return code;
    struct herald_client *client = bench->publisher.client;
    struct herald_exchange_options exchange = herald_exchange_options_default();
    exchange.history = bench->is_kept;
    enum herald_status status =
        herald_exchange_create(client, bench->exchange, &exchange, CONTACT_ANSWER_MS);
    code = report_status(client, status, NULL);
    if (status == HERALD_OK && group_init(&bench->group, (size_t)bench->subscribers + 1)) {
        code = run(bench, arguments, figures);
        group_deinit(&bench->group);
    }
    if (status == HERALD_OK)
        (void)herald_exchange_delete(client, bench->exchange, HERALD_DELETE_ANYWAY,
                                     CONTACT_ANSWER_MS);
    contact_close(&bench->publisher);
    return code;
}

int verb_bench_publish(const struct arguments *arguments)
{
    struct output output;
    struct figures figures;
    struct bench_publish *bench = calloc(1, sizeof *bench);
    int64_t size = arguments_number(arguments, OPTION_SIZE, BODY_BYTES);
    if (size < (int64_t)sizeof(int64_t))
        size = sizeof(int64_t); /* room for the time */
    char *body = calloc(1, (size_t)size);
    int code = EXIT_FAILED;
    if (bench == NULL || body == NULL) {
        report_say("out of memory");
        goto out;
    }
    output_init(&output, arguments);
    figures_init(&figures, "bench publish");
    bench->body = body;
    bench->body_bytes = (size_t)size;
    bench->count = arguments_number(arguments, OPTION_COUNT, COUNT);
    bench->is_kept = arguments_has(arguments, OPTION_HISTORY);
    bench->in_flight = arguments_number(arguments, OPTION_IN_FLIGHT,
                                        bench->is_kept ? HISTORY_IN_FLIGHT : IN_FLIGHT);
    bench->subscribers =
        arguments_number(arguments, OPTION_SUBSCRIBERS, bench->is_kept ? 0 : SUBSCRIBERS);
    bench_make_name(bench->exchange);
    code = bench_finish(&figures, &output, run_connected(bench, arguments, &figures));
out:
    free(body);
    free(bench);
    return code;
}
