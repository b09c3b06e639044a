/* herald bench idle: how much memory of the broker a connection that does nothing costs.
 *
 * The connections are made by helper processes, as many as the limit on open files asks for: a
 * handle of the library holds three descriptors. They keep them alive.
 */
#include "client-lib/cli/verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "client-lib/cli/bench.h"
#include "client-lib/cli/contact.h"
#include "client-lib/cli/group.h"
#include "client-lib/cli/measure.h"
#include "client-lib/cli/report.h"

enum {
    CONNECTIONS = 10000,
    AT_A_TIME = 100, /* a listener's queue holds no more than a few hundred */
    OPEN_MS_MAX = 60000,
    KEEP_MS = 50,
    SETTLE_US = 500000,
};

/* What a helper does. */
struct bench_idle {
    struct group group;
    int64_t wanted;
    int64_t open;
    bool is_refused;
};

static void on_state(struct herald_client *client, enum herald_state state, void *user)
{
    (void)client;
    struct bench_idle *bench = user;
    if (state == HERALD_STATE_OPEN)
        bench->open++;
    if (state == HERALD_STATE_LOST)
        bench->open--;
    if (state == HERALD_STATE_CLOSED)
        bench->is_refused = true;
}

static bool start_one(struct bench_idle *bench, const struct herald_options *options)
{
    struct herald_client *client = herald_new(options);
    if (!group_add_take(&bench->group, client))
        return false;
    return herald_connect(client, 0) != HERALD_EINVAL;
}

static int open_all(struct bench_idle *bench, const struct herald_options *options)
{
    int64_t until_ms = contact_now_ms() + OPEN_MS_MAX;
    int64_t started = 0;
    while (bench->open < bench->wanted) {
        for (; started < bench->wanted && started - bench->open < AT_A_TIME; started++) {
            if (!start_one(bench, options))
                return EXIT_FAILED;
        }
        group_wait(&bench->group, 10);
        if (bench->is_refused || contact_now_ms() > until_ms) {
            report_say("only %" PRId64 " of %" PRId64 " connections came about", bench->open,
                       bench->wanted);
            return EXIT_FAILED;
        }
    }
    return EXIT_OK;
}

/* What all helpers are told. */
struct order {
    const struct herald_options *options;
    int64_t connections;
    int64_t most; /* of one helper */
};

static int help(int fd, size_t index, void *context)
{
    const struct order *order = context;
    int64_t left = order->connections - (int64_t)index * order->most;
    struct bench_idle bench = {.wanted = left < order->most ? left : order->most};
    struct herald_options options = *order->options;
    options.user = &bench;
    options.on_state = on_state;
    if (!group_init(&bench.group, (size_t)bench.wanted))
        return EXIT_FAILED;
    int code = open_all(&bench, &options);
    if (code == EXIT_OK && helper_say_ready(fd)) {
        while (helper_is_wanted(fd))
            group_wait(&bench.group, KEEP_MS);
    }
    group_deinit(&bench.group);
    return code;
}

static int start_helpers(struct helpers *helpers, int64_t connections,
                         const struct herald_options *options)
{
    struct order order = {options, connections, helpers_connections_each()};
    int64_t count = (connections + order.most - 1) / order.most;
    if (count > HELPERS_MAX) {
        report_say("at most %" PRId64 " connections can be made from here",
                   order.most * HELPERS_MAX);
        return EXIT_FAILED;
    }
    return helpers_start(helpers, (size_t)count, help, &order);
}

static int run(const struct arguments *arguments, const struct herald_options *options,
               struct figures *figures)
{
    struct helpers helpers = {.count = 0};
    struct measure measure;
    int64_t connections = arguments_number(arguments, OPTION_CONNECTIONS, CONNECTIONS);
    measure_start(&measure, arguments, NULL);
    double before = measure_broker_memory(&measure);
    int code = start_helpers(&helpers, connections, options);
    double elapsed_s = (double)(measure_now_ns() - measure.started_ns) / 1e9;
    usleep(SETTLE_US);
    double after = measure_broker_memory(&measure);
    helpers_stop(&helpers);
    bool is_known = before >= 0 && after >= 0;
    figures_add(figures, FIGURE_COUNT, "connections", "idle connections", (double)connections);
    figures_add(figures, FIGURE_SECONDS, "elapsed_s", "time to open them", elapsed_s);
    figures_add(figures, FIGURE_BYTES, "broker_bytes_before", "memory of the broker before",
                before);
    figures_add(figures, FIGURE_BYTES, "broker_bytes_after", "memory of the broker with them",
                after);
    figures_add(figures, FIGURE_BYTES, "bytes_per_connection", "memory per connection",
                is_known && after > before ? (after - before) / (double)connections : -1);
    return code;
}

int verb_bench_idle(const struct arguments *arguments)
{
    struct output output;
    struct figures figures;
    struct contact contact;
    struct herald_options options;
    /* One try beforehand: a helper could not say so well that there is no broker. */
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    contact_close(&contact);
    if (!contact_options(&contact, arguments, &options))
        return EXIT_USAGE;
    output_init(&output, arguments);
    figures_init(&figures, "bench idle");
    return bench_finish(&figures, &output, run(arguments, &options, &figures));
}
