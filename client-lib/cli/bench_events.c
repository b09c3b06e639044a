/* What the benches of events have in common. */
#include "client-lib/cli/bench_events.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-lib/cli/bench.h"
#include "client-lib/cli/contact.h"
#include "client-lib/cli/measure.h"
#include "client-lib/cli/query.h"
#include "client-lib/cli/report.h"

enum {
    BODY_BYTES = 128,
    IN_FLIGHT = 10000,
    STALLED_MS = 10000,
    LOOK_US = 2000,
    LOOK_MS = 1,
    MESSAGE_BYTES_MORE = 512,
};

struct bench_run {
    const struct bench_events *bench;
    const struct arguments *arguments;
    struct contact publisher;
    struct audience audience;
    char exchange[BENCH_NAME_BYTES];
    int64_t count;
    int64_t in_flight;
    int64_t wanted; /* events to be heard */
    char *body;
    size_t body_bytes;
};

/* How many events more may be under way: so many are neither confirmed nor heard by all. Without
 * the latter the subscribers would have to be told of gaps, as the broker takes more than it gives.
 */
static int64_t room_for(const struct bench_run *run, int64_t sent, int64_t wanted)
{
    int64_t unconfirmed = (int64_t)herald_unconfirmed(run->publisher.client);
    int64_t seen = audience_heard(&run->audience) + audience_missed(&run->audience);
    int64_t unheard = sent > 0 ? (wanted - seen) / (wanted / sent + 1) : 0;
    return run->in_flight - (unconfirmed > unheard ? unconfirmed : unheard);
}

static enum herald_status publish_all(struct bench_run *run)
{
    struct herald_client *client = run->publisher.client;
    struct herald_content content = herald_content(run->body, run->body_bytes);
    const struct bench_events *bench = run->bench;
    enum herald_status status = HERALD_OK;
    int64_t moved_ms = contact_now_ms();
    int64_t sent = 0;
    int64_t wanted = 0;
    while (sent < run->count && status == HERALD_OK) {
        int64_t room = room_for(run, sent, wanted);
        int64_t now_ns = measure_now_ns();
        if (room > 0)
            moved_ms = contact_now_ms();
        memcpy(run->body, &now_ns, sizeof now_ns);
        for (; room > 0 && sent < run->count && status == HERALD_OK; room--, sent++) {
            wanted += bench->wanted_of(bench->context, sent);
            status = herald_publish(client, run->exchange, bench->key_of(bench->context, sent),
                                    &content);
        }
        if (status == HERALD_OK)
            status = herald_wait(client, LOOK_MS);
        if (status == HERALD_ETIMEOUT && contact_now_ms() - moved_ms < STALLED_MS)
            status = HERALD_OK;
    }
    return status == HERALD_OK ? contact_flush(&run->publisher) : status;
}

/* Until all is heard of, or nothing more comes. */
static void wait_for_audience(const struct bench_run *run)
{
    int64_t seen = 0;
    int64_t moved_ms = contact_now_ms();
    while (seen < run->wanted && contact_now_ms() - moved_ms < STALLED_MS) {
        int64_t now = audience_heard(&run->audience) + audience_missed(&run->audience);
        if (now != seen)
            moved_ms = contact_now_ms();
        seen = now;
        if (seen < run->wanted)
            usleep(LOOK_US);
    }
}

static void on_stat(const struct herald_field *fields, size_t count, void *context)
{
    double *longest_us = context;
    bool is_it = false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i].name, "name") == 0)
            is_it = strcmp(fields[i].text, "round_us_max") == 0;
        else if (is_it && strcmp(fields[i].name, "value") == 0)
            *longest_us = (double)fields[i].number;
    }
}

static double longest_round_us(struct bench_run *run)
{
    double longest_us = -1;
    struct herald_query query = query_about(HERALD_STATS, NULL, NULL);
    query.on_row = on_stat;
    query.context = &longest_us;
    (void)herald_query(run->publisher.client, &query, CONTACT_ANSWER_MS);
    return longest_us;
}

static void add_heard(struct figures *figures, struct bench_run *run, double rate)
{
    struct histogram heard_ns;
    double heard = (double)audience_heard(&run->audience);
    audience_times(&run->audience, &heard_ns);
    double p50 = histogram_find(&heard_ns, 0.5);
    double p99 = histogram_find(&heard_ns, 0.99);
    figures_add(figures, FIGURE_COUNT, "subscribers", "subscribers",
                (double)run->bench->connections);
    figures_add(figures, FIGURE_COUNT, "subscriptions", "live subscriptions of all of them",
                (double)run->bench->subscriptions);
    figures_add(figures, FIGURE_COUNT, "heard", "events heard", heard);
    figures_add(figures, FIGURE_COUNT, "missed", "events missed by slow subscribers",
                (double)audience_missed(&run->audience));
    figures_add(figures, FIGURE_PER_SECOND, "heard_per_s", "events heard per second",
                rate * heard / (double)run->count);
    figures_add(figures, FIGURE_MICROSECONDS, "heard_p50_us", "heard after, median",
                p50 < 0 ? -1 : p50 / 1e3);
    figures_add(figures, FIGURE_MICROSECONDS, "heard_p99_us", "heard after, 99 of 100",
                p99 < 0 ? -1 : p99 / 1e3);
    figures_add(figures, FIGURE_MICROSECONDS, "longest_round_us",
                "longest round of the broker in the last 10 s", longest_round_us(run));
}

static int run_with_audience(struct bench_run *run, struct figures *figures)
{
    struct measure measure;
    measure_start(&measure, run->arguments, &run->audience.helpers);
    int code = report_status(run->publisher.client, publish_all(run), NULL);
    if (code == EXIT_OK)
        wait_for_audience(run);
    double rate = measure_stop(&measure, figures, run->count);
    if (run->bench->connections > 0)
        add_heard(figures, run, rate);
    if (code == EXIT_OK &&
        audience_heard(&run->audience) + audience_missed(&run->audience) < run->wanted) {
        report_say("events were lost without a word: %lld of %lld heard, %lld missed",
                   (long long)audience_heard(&run->audience), (long long)run->wanted,
                   (long long)audience_missed(&run->audience));
        return EXIT_FAILED;
    }
    return code;
}

/* The helpers come first: what is open here would be open there, too. */
static int run_connected(struct bench_run *run, struct figures *figures)
{
    struct herald_options options;
    struct contact contact;
    const struct bench_events *bench = run->bench;
    if (!contact_options(&contact, run->arguments, &options))
        return EXIT_USAGE;
    const struct audience_plan plan = {
        .options = &options,
        .exchange = run->exchange,
        .connections = bench->connections,
        .subscriptions = bench->subscriptions,
        .make_pattern = bench->make_pattern,
    };
    int code = bench->connections > 0 ? audience_start(&run->audience, &plan) : EXIT_OK;
    if (code == EXIT_OK) {
        if (!contact_options(&run->publisher, run->arguments, &options))
            return EXIT_USAGE;
        options.buffer_bytes_max =
            (size_t)run->in_flight * (run->body_bytes + MESSAGE_BYTES_MORE) + (1u << 20);
        code = contact_open(&run->publisher, &options);
    }
    if (code == EXIT_OK) {
        code = run_with_audience(run, figures);
        contact_close(&run->publisher);
    }
    audience_stop(&run->audience);
    return code;
}

/* The exchange is made and removed by a contact of its own. */
static int run_with_exchange(struct bench_run *run, struct figures *figures)
{
    struct contact contact;
    int code = contact_open_plain(&contact, run->arguments);
    if (code != EXIT_OK)
        return code;
    struct herald_exchange_options options = herald_exchange_options_default();
    options.history = run->bench->is_kept;
    enum herald_status status =
        herald_exchange_create(contact.client, run->exchange, &options, CONTACT_ANSWER_MS);
    code = report_status(contact.client, status, NULL);
    contact_close(&contact);
    if (code == EXIT_OK)
        code = run_connected(run, figures);
    if (status == HERALD_OK && contact_open_plain(&contact, run->arguments) == EXIT_OK) {
        (void)herald_exchange_delete(contact.client, run->exchange, HERALD_DELETE_ANYWAY,
                                     CONTACT_ANSWER_MS);
        contact_close(&contact);
    }
    return code;
}

int bench_events_run(const struct bench_events *bench, const struct arguments *arguments)
{
    struct output output;
    struct figures figures;
    struct bench_run run = {
        .bench = bench,
        .arguments = arguments,
        .count = arguments_number(arguments, OPTION_COUNT, bench->count),
        .in_flight = arguments_number(arguments, OPTION_IN_FLIGHT,
                                      bench->in_flight > 0 ? bench->in_flight : IN_FLIGHT),
    };
    int64_t size = arguments_number(arguments, OPTION_SIZE, BODY_BYTES);
    if (size < (int64_t)sizeof(int64_t))
        size = sizeof(int64_t); /* room for the time */
    run.body_bytes = (size_t)size;
    run.body = calloc(1, run.body_bytes);
    if (run.body == NULL) {
        report_say("out of memory");
        return EXIT_FAILED;
    }
    for (int64_t i = 0; i < run.count; i++)
        run.wanted += bench->wanted_of(bench->context, i);
    output_init(&output, arguments);
    figures_init(&figures, bench->name);
    bench_make_name(run.exchange);
    int code = bench_finish(&figures, &output, run_with_exchange(&run, &figures));
    free(run.body);
    return code;
}
