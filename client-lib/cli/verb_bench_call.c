/* herald bench call: synchronous calls, one at a time, beside plain round trips over TCP. */
#include "client-lib/cli/verbs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "client-lib/cli/bench.h"
#include "client-lib/cli/contact.h"
#include "client-lib/cli/measure.h"
#include "client-lib/cli/pingpong.h"
#include "client-lib/cli/report.h"

enum { COUNT = 20000, BODY_BYTES = 128, CALL_TIMEOUT_MS = 30000, WORKER_WAIT_MS = 200 };

struct bench_call {
    struct contact caller;
    struct contact worker;
    char queue[BENCH_NAME_BYTES];
    int64_t count;
    char *body;
    size_t body_bytes;
    _Atomic bool is_over;
    struct histogram call_ns;
    struct histogram tcp_ns;
};

static void on_message(struct herald_message *message, void *context)
{
    (void)context;
    herald_result(message, herald_message_body(message), herald_message_body_bytes(message));
}

static void *work(void *context)
{
    struct bench_call *bench = context;
    enum herald_status status = HERALD_OK;
    while (!atomic_load(&bench->is_over) && (status == HERALD_OK || status == HERALD_ETIMEOUT))
        status = herald_wait(bench->worker.client, WORKER_WAIT_MS);
    return NULL;
}

static enum herald_status call_all(struct bench_call *bench)
{
    struct herald_content content = herald_content(bench->body, bench->body_bytes);
    enum herald_status status = HERALD_OK;
    for (int64_t i = 0; i < bench->count && status == HERALD_OK; i++) {
        struct herald_outcome *outcome = NULL;
        int64_t started_ns = measure_now_ns();
        status =
            herald_call(bench->caller.client, bench->queue, &content, CALL_TIMEOUT_MS, &outcome);
        histogram_add(&bench->call_ns, (uint64_t)(measure_now_ns() - started_ns));
        herald_outcome_free(outcome);
    }
    return status;
}

static int run(struct bench_call *bench, const struct arguments *arguments, struct figures *figures)
{
    struct measure measure;
    pthread_t thread;
    struct herald_service service = herald_service(bench->queue, on_message);
    int code =
        report_status(bench->worker.client,
                      herald_serve(bench->worker.client, &service, CONTACT_ANSWER_MS, NULL), NULL);
    if (code != EXIT_OK)
        return code;
    if (pthread_create(&thread, NULL, work, bench) != 0) {
        report_say("cannot start a thread");
        return EXIT_FAILED;
    }
    measure_start(&measure, arguments, NULL);
    code = report_status(bench->caller.client, call_all(bench), NULL);
    measure_stop(&measure, figures, bench->count);
    atomic_store(&bench->is_over, true);
    pthread_join(thread, NULL);
    return code;
}

static int run_connected(struct bench_call *bench, const struct arguments *arguments,
                         struct figures *figures)
{
    int code = contact_open_plain(&bench->caller, arguments);
    if (code != EXIT_OK)
        return code;
    code = bench_create_queue(&bench->caller, bench->queue);
    if (code != EXIT_OK)
        goto out;
    code = contact_open_plain(&bench->worker, arguments);
    if (code == EXIT_OK) {
        code = run(bench, arguments, figures);
        contact_close(&bench->worker);
    }
    bench_delete_queue(&bench->caller, bench->queue);
out:
    contact_close(&bench->caller);
    return code;
}

static void add_times(struct figures *figures, const struct bench_call *bench)
{
    double call_p50 = histogram_find(&bench->call_ns, 0.5) / 1e3;
    double tcp_p50 = histogram_find(&bench->tcp_ns, 0.5) / 1e3;
    figures_add(figures, FIGURE_MICROSECONDS, "call_p50_us", "call, median", call_p50);
    figures_add(figures, FIGURE_MICROSECONDS, "call_p99_us", "call, 99 of 100",
                histogram_find(&bench->call_ns, 0.99) / 1e3);
    figures_add(figures, FIGURE_MICROSECONDS, "tcp_p50_us", "two round trips over TCP, median",
                tcp_p50);
    figures_add(figures, FIGURE_MICROSECONDS, "tcp_p99_us", "two round trips over TCP, 99 of 100",
                histogram_find(&bench->tcp_ns, 0.99) / 1e3);
    figures_add(figures, FIGURE_RATIO, "tcp_ratio", "call to two round trips", call_p50 / tcp_p50);
}

int verb_bench_call(const struct arguments *arguments)
{
    struct output output;
    struct figures figures;
    struct bench_call *bench = calloc(1, sizeof *bench);
    int64_t size = arguments_number(arguments, OPTION_SIZE, BODY_BYTES);
    char *body = calloc(1, (size_t)size);
    int code = EXIT_FAILED;
    if (bench == NULL || body == NULL) {
        report_say("out of memory");
        goto out;
    }
    output_init(&output, arguments);
    figures_init(&figures, "bench call");
    bench->body = body;
    bench->body_bytes = (size_t)size;
    bench->count = arguments_number(arguments, OPTION_COUNT, COUNT);
    bench_make_name(bench->queue);
    if (pingpong_measure(&bench->tcp_ns, bench->body_bytes, bench->count) == 0)
        code = run_connected(bench, arguments, &figures);
    if (code == EXIT_OK)
        add_times(&figures, bench);
    code = bench_finish(&figures, &output, code);
out:
    free(body);
    free(bench);
    return code;
}
