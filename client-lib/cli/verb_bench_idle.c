/* herald bench idle: how much memory of the broker a connection that does nothing costs.
 *
 * The connections are made by helper processes, as many as the limit on open files asks for: a
 * handle of the library holds three descriptors. A helper says on a socket when all of its
 * connections are open, keeps them alive, and ends when the other end of the socket is closed.
 */
#include "client-lib/cli/verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
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
    FILES_PER_HANDLE = 3,
    FILES_BESIDE = 64,
    FILES_LEAST = 128,
    HELPERS_MAX = 64,
};

/* What a helper does. */
struct bench_idle {
    struct group group;
    int64_t wanted;
    int64_t open;
    bool is_refused;
};

struct helper {
    pid_t pid;
    int fd;
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

/* Returns the exit code of the helper. */
static int help(int fd, int64_t count, const struct herald_options *given)
{
    char byte = 0;
    struct bench_idle bench = {.wanted = count};
    struct herald_options options = *given;
    options.user = &bench;
    options.on_state = on_state;
    if (!group_init(&bench.group, (size_t)count))
        return EXIT_FAILED;
    int code = open_all(&bench, &options);
    if (code == EXIT_OK && write(fd, &byte, 1) == 1) {
        while (recv(fd, &byte, 1, MSG_DONTWAIT) != 0)
            group_wait(&bench.group, KEEP_MS);
    }
    group_deinit(&bench.group);
    return code;
}

static bool start_helper(struct helper *helper, int64_t count, const struct herald_options *options)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    helper->fd = pair[0];
    helper->pid = fork();
    if (helper->pid == 0) {
        close(pair[0]);
        _exit(help(pair[1], count, options));
    }
    close(pair[1]);
    return helper->pid > 0;
}

/* How many connections one process can hold. */
static int64_t connections_per_process(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max == RLIM_INFINITY)
        return CONNECTIONS;
    int64_t files = (int64_t)limit.rlim_max;
    return files > FILES_LEAST ? (files - FILES_BESIDE) / FILES_PER_HANDLE : 1;
}

/* Starts helpers for all connections and waits until they are open. *count is how many were
 * started, also after a failure. */
static int start_helpers(struct helper *helpers, size_t *count, int64_t connections,
                         const struct herald_options *options)
{
    int64_t most = connections_per_process();
    char byte;
    int64_t all = most * HELPERS_MAX;
    if (connections > all) {
        report_say("at most %" PRId64 " connections can be made from here", all);
        return EXIT_FAILED;
    }
    for (int64_t left = connections; left > 0; left -= most) {
        if (!start_helper(&helpers[(*count)++], left < most ? left : most, options)) {
            report_say("cannot start a process");
            return EXIT_FAILED;
        }
    }
    for (size_t i = 0; i < *count; i++) {
        if (read(helpers[i].fd, &byte, 1) != 1)
            return EXIT_FAILED;
    }
    return EXIT_OK;
}

static void stop_helpers(struct helper *helpers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(helpers[i].fd);
    for (size_t i = 0; i < count; i++) {
        if (helpers[i].pid > 0)
            waitpid(helpers[i].pid, NULL, 0);
    }
}

static int run(const struct arguments *arguments, const struct herald_options *options,
               struct figures *figures)
{
    struct helper helpers[HELPERS_MAX] = {{0}};
    struct measure measure;
    size_t count = 0;
    int64_t connections = arguments_number(arguments, OPTION_CONNECTIONS, CONNECTIONS);
    measure_start(&measure, arguments);
    double before = measure_broker_memory(&measure);
    int code = start_helpers(helpers, &count, connections, options);
    double elapsed_s = (double)(measure_now_ns() - measure.started_ns) / 1e9;
    usleep(SETTLE_US);
    double after = measure_broker_memory(&measure);
    stop_helpers(helpers, count);
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
