/* herald bench idle: how much memory of the broker a connection that does nothing costs. */
#include "client-lib/cli/verbs.h"

#include <inttypes.h>

#include "client-lib/cli/bench.h"
#include "client-lib/cli/contact.h"
#include "client-lib/cli/group.h"
#include "client-lib/cli/measure.h"
#include "client-lib/cli/report.h"

enum {
    CONNECTIONS = 10000,
    AT_A_TIME = 100, /* a listener's queue holds no more than a few hundred */
    OPEN_MS_MAX = 60000,
    SETTLE_MS = 500,
};

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

static bool start_one(struct bench_idle *bench, struct herald_options *options)
{
    struct herald_client *client = herald_new(options);
    if (!group_add_take(&bench->group, client))
        return false;
    return herald_connect(client, 0) != HERALD_EINVAL;
}

static int open_all(struct bench_idle *bench, struct herald_options *options)
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
    int64_t settled_ms = contact_now_ms() + SETTLE_MS;
    while (contact_now_ms() < settled_ms)
        group_wait(&bench->group, 50);
    return EXIT_OK;
}

static int run(struct bench_idle *bench, struct contact *contact, const struct arguments *arguments,
               struct figures *figures)
{
    struct herald_options options;
    struct measure measure;
    if (!contact_options(contact, arguments, &options))
        return EXIT_USAGE;
    options.user = bench;
    options.on_state = on_state;
    measure_start(&measure, arguments);
    double before = measure_broker_memory(&measure);
    int code = open_all(bench, &options);
    double after = measure_broker_memory(&measure);
    bool is_known = before >= 0 && after >= 0;
    figures_add(figures, FIGURE_COUNT, "connections", "idle connections", (double)bench->open);
    figures_add(figures, FIGURE_SECONDS, "elapsed_s", "time to open them",
                (double)(measure_now_ns() - measure.started_ns) / 1e9);
    figures_add(figures, FIGURE_BYTES, "broker_bytes_before", "memory of the broker before",
                before);
    figures_add(figures, FIGURE_BYTES, "broker_bytes_after", "memory of the broker with them",
                after);
    figures_add(figures, FIGURE_BYTES, "bytes_per_connection", "memory per connection",
                is_known && after > before ? (after - before) / (double)bench->wanted : -1);
    return code;
}

int verb_bench_idle(const struct arguments *arguments)
{
    struct output output;
    struct figures figures;
    struct contact contact;
    struct bench_idle bench = {.wanted =
                                   arguments_number(arguments, OPTION_CONNECTIONS, CONNECTIONS)};
    int code = contact_open_plain(&contact, arguments);
    if (code != EXIT_OK)
        return code;
    code = EXIT_FAILED;
    output_init(&output, arguments);
    figures_init(&figures, "bench idle");
    if (group_init(&bench.group, (size_t)bench.wanted)) {
        code = run(&bench, &contact, arguments, &figures);
        group_deinit(&bench.group);
    }
    contact_close(&contact);
    return bench_finish(&figures, &output, code);
}
