/* A worker that runs a program for each command of a queue.
 *
 *             worker_enter(FINISHING)              worker_enter(STOPPING)
 *   TAKING  --------------------------> FINISHING -----------------------> STOPPING
 *      \__________________________________________________________________/
 *
 * TAKING     commands come, programs are started.
 * FINISHING  the count is reached: what has come is still run.
 * STOPPING   a signal, a program that cannot be started, or a queue that is gone: what has come and
 *            is not running is given back; what runs is let finish.
 *
 * A command that came is in `waiting`, then in one of `runs`; it leaves by a settlement. After the
 * connection was lost the broker has taken all of them back: those waiting are dropped, those
 * running finish, and their settlement comes too late.
 */
#include "client-lib/cli/worker.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "client-lib/cli/child.h"
#include "client-lib/cli/environment.h"
#include "client-lib/cli/receive.h"

enum {
    RENEW_MS = 10000, /* a third of any lease that makes sense */
    PARALLEL_MAX = 256,
    /* The exit codes of a program that asks for another try, as in sysexits.h. */
    EXIT_BUSY = 69,
    EXIT_RETRY = 75,
};

enum worker_state { WORKER_TAKING, WORKER_FINISHING, WORKER_STOPPING };

/* A program at work on a command; message NULL: free. */
struct run {
    struct herald_message *message;
    bool is_stopping; /* nobody wants its outcome, and it was told */
    struct child child;
};

struct waiting {
    struct herald_message *message;
    struct waiting *next;
};

struct worker {
    struct contact contact;
    struct output output;
    enum worker_state state;
    int code;
    const char *queue;
    char *const *command;
    int64_t count; /* commands to take; 0: no end */
    int64_t taken;
    int64_t idle_ms;
    int64_t last_ms;
    unsigned losses_seen;
    struct herald_consumer *consumer;
    struct waiting *first;
    struct waiting **last;
    size_t running;
    size_t parallel;
    struct run *runs;   /* parallel of them */
    struct pollfd *fds; /* the contact's and CHILD_FDS for each run */
};

static struct herald_message *pop_waiting(struct worker *worker)
{
    struct waiting *waiting = worker->first;
    struct herald_message *message = waiting->message;
    worker->first = waiting->next;
    if (worker->first == NULL)
        worker->last = &worker->first;
    free(waiting);
    return message;
}

/* Freeing an unsettled message gives it back. */
static void release_waiting(struct worker *worker)
{
    while (worker->first != NULL)
        herald_message_free(pop_waiting(worker));
}

static void worker_enter(struct worker *worker, enum worker_state state)
{
    assert(state >= worker->state);
    worker->state = state;
    if (worker->consumer != NULL)
        herald_cancel(worker->consumer);
    worker->consumer = NULL;
    if (state == WORKER_STOPPING)
        release_waiting(worker);
}

static void drop_taken_back(struct worker *worker)
{
    unsigned losses = atomic_load(&worker->contact.losses);
    if (losses == worker->losses_seen)
        return;
    worker->losses_seen = losses;
    release_waiting(worker);
}

static void on_message(struct herald_message *message, void *context)
{
    struct worker *worker = context;
    drop_taken_back(worker);
    struct waiting *waiting = worker->state == WORKER_TAKING ? malloc(sizeof *waiting) : NULL;
    struct herald_message *kept = waiting != NULL ? herald_message_retain(message) : NULL;
    if (kept == NULL) {
        free(waiting);
        herald_release(message);
        return;
    }
    *waiting = (struct waiting){.message = kept};
    *worker->last = waiting;
    worker->last = &waiting->next;
    worker->taken++;
    if (worker->taken == worker->count)
        worker_enter(worker, WORKER_FINISHING);
}

static void on_gone(struct herald_consumer *consumer, unsigned code, const char *text,
                    void *context)
{
    (void)consumer;
    (void)code;
    struct worker *worker = context;
    worker->consumer = NULL;
    worker->code = EXIT_NOT_FOUND;
    report_say("nothing more comes: %s", text);
    worker_enter(worker, WORKER_STOPPING);
}

static void start_run(struct worker *worker, struct run *run)
{
    struct herald_message *message = pop_waiting(worker);
    char **environment = environment_new(message, worker->queue);
    struct child_input input = {herald_message_body(message), herald_message_body_bytes(message)};
    int error = ENOMEM;
    if (environment != NULL)
        error = child_start(&run->child, worker->command, environment, input);
    environment_free(environment);
    if (error == 0) {
        run->message = message;
        run->is_stopping = false;
        worker->running++;
        return;
    }
    report_say("cannot start %s: %s", worker->command[0], strerror(error));
    herald_release(message);
    herald_message_free(message);
    worker->code = EXIT_USAGE;
    worker_enter(worker, WORKER_STOPPING);
}

static void start_runs(struct worker *worker)
{
    for (size_t i = 0; i < worker->parallel && worker->first != NULL; i++) {
        if (worker->runs[i].message == NULL)
            start_run(worker, &worker->runs[i]);
    }
}

static enum herald_status fail_run(struct run *run, enum herald_fail_class class, const char *code,
                                   const char *text)
{
    if (!run->is_stopping)
        report_say("command %" PRIu64 " failed: %s%s%s", herald_message_number(run->message), code,
                   text[0] != '\0' ? ": " : "", text);
    return herald_fail(run->message, class, code, text);
}

/* With nobody waiting for the outcome, what the program printed goes where this one prints. */
static enum herald_status settle_done(struct worker *worker, struct run *run)
{
    struct child *child = &run->child;
    enum herald_status status = HERALD_ETOOLARGE;
    if (!herald_message_is_call(run->message)) {
        output_write(&worker->output, child->result, child->result_count);
        if (!output_flush(&worker->output) && worker->state != WORKER_STOPPING)
            worker_enter(worker, WORKER_STOPPING);
        return herald_done(run->message);
    }
    if (child->result_count == 0 && !child->is_result_too_large)
        return herald_done(run->message);
    if (!child->is_result_too_large)
        status = herald_result(run->message, child->result, child->result_count);
    if (status == HERALD_ETOOLARGE)
        return fail_run(run, HERALD_FAIL_PERMANENT, "RESULT_TOO_LARGE",
                        "the output is larger than a result may be");
    return status;
}

static enum herald_status settle_failed(struct run *run)
{
    int status = run->child.wait_status;
    char code[24];
    enum herald_fail_class class = HERALD_FAIL_PERMANENT;
    if (WIFSIGNALED(status) || WEXITSTATUS(status) == EXIT_RETRY)
        class = HERALD_FAIL_RETRYABLE;
    else if (WEXITSTATUS(status) == EXIT_BUSY)
        class = HERALD_FAIL_BUSY;
    if (WIFSIGNALED(status))
        snprintf(code, sizeof code, "SIGNAL_%d", WTERMSIG(status));
    else
        snprintf(code, sizeof code, "EXIT_%d", WEXITSTATUS(status));
    return fail_run(run, class, code, child_error(&run->child));
}

static void free_run(struct worker *worker, struct run *run, enum herald_status status)
{
    if (status == HERALD_ESTALE)
        report_say("command %" PRIu64 " was taken back while its program ran; it comes again",
                   herald_message_number(run->message));
    herald_message_free(run->message);
    child_deinit(&run->child);
    run->message = NULL;
    worker->running--;
    worker->last_ms = contact_now_ms();
}

/* The program has ended. One that was killed because this one stops has not failed. */
static void finish_run(struct worker *worker, struct run *run)
{
    int status = run->child.wait_status;
    if (WIFSIGNALED(status) && worker->state == WORKER_STOPPING)
        free_run(worker, run, herald_release(run->message));
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        free_run(worker, run, settle_done(worker, run));
    else
        free_run(worker, run, settle_failed(run));
}

/* What the program said since the last look, for whoever watches the command. */
static void tell_progress(struct run *run)
{
    struct progress *said = &run->child.progress;
    if (said->is_bad)
        report_say("command %" PRIu64 ": its program says no progress: write lines like "
                   "'3/10 pages' or 'checkpoint TEXT'",
                   herald_message_number(run->message));
    if (said->is_new) {
        struct herald_progress progress = {.size = sizeof progress,
                                           .done = said->done,
                                           .total = said->total,
                                           .note = said->note,
                                           .checkpoint = said->checkpoint,
                                           .checkpoint_bytes = said->checkpoint_bytes};
        (void)herald_progress(run->message, &progress); /* stale: its settlement will be, too */
    }
    said->is_new = said->is_bad = false;
}

/* A program that runs for nobody any more is asked to end; what it says then does not matter. */
static void stop_unwanted(struct run *run)
{
    if (run->is_stopping || !herald_message_is_unwanted(run->message))
        return;
    run->is_stopping = true;
    report_say("command %" PRIu64 " is not wanted any more: its program is told to stop",
               herald_message_number(run->message));
    child_signal(&run->child, SIGTERM);
}

static void look_after_runs(struct worker *worker)
{
    bool has_news = worker->contact.has_child_news;
    worker->contact.has_child_news = false;
    for (size_t i = 0; i < worker->parallel; i++) {
        struct run *run = &worker->runs[i];
        if (run->message == NULL)
            continue;
        child_move_data(&run->child, &worker->fds[CONTACT_FDS + i * CHILD_FDS]);
        if (has_news)
            child_reap(&run->child);
        tell_progress(run);
        if (run->child.has_ended)
            finish_run(worker, run);
        else
            stop_unwanted(run);
    }
}

static int wait_ms(const struct worker *worker)
{
    bool is_idle = worker->running == 0 && worker->first == NULL;
    return is_idle ? receive_idle_left_ms(worker->idle_ms, worker->last_ms) : -1;
}

static void watch_runs(struct worker *worker)
{
    for (size_t i = 0; i < worker->parallel; i++) {
        struct pollfd *fds = &worker->fds[CONTACT_FDS + i * CHILD_FDS];
        if (worker->runs[i].message != NULL) {
            child_watch(&worker->runs[i].child, fds);
            continue;
        }
        for (size_t j = 0; j < CHILD_FDS; j++)
            fds[j] = (struct pollfd){.fd = -1};
    }
}

static void signal_runs(struct worker *worker, int signal)
{
    for (size_t i = 0; i < worker->parallel; i++) {
        if (worker->runs[i].message != NULL)
            child_signal(&worker->runs[i].child, signal);
    }
}

static void obey_signals(struct worker *worker)
{
    if (worker->contact.stops_seen > 0 && worker->state != WORKER_STOPPING) {
        if (worker->running > 0)
            report_say("stopping when the programs that run have ended; once more kills them");
        worker_enter(worker, WORKER_STOPPING);
    }
    if (worker->contact.stops_seen > 1)
        signal_runs(worker, SIGKILL);
}

/* One wait and what it brought; false when the connection is over. */
static bool step(struct worker *worker)
{
    watch_runs(worker);
    enum herald_status status = contact_wait(
        &worker->contact, worker->fds, CONTACT_FDS + worker->parallel * CHILD_FDS, wait_ms(worker));
    drop_taken_back(worker);
    obey_signals(worker);
    look_after_runs(worker);
    if (status != HERALD_OK) {
        worker->code = report_status(worker->contact.client, status, NULL);
        return false;
    }
    bool is_idle = worker->state == WORKER_TAKING && worker->running == 0 && worker->first == NULL;
    if (is_idle && receive_idle_left_ms(worker->idle_ms, worker->last_ms) == 0) {
        if (worker->count > 0)
            worker->code = EXIT_TIMEOUT;
        worker_enter(worker, WORKER_STOPPING);
    }
    return true;
}

static bool is_finished(const struct worker *worker)
{
    return worker->state != WORKER_TAKING && worker->running == 0 && worker->first == NULL;
}

static void work(struct worker *worker)
{
    worker->last_ms = contact_now_ms();
    for (;;) {
        start_runs(worker);
        if (is_finished(worker))
            break;
        if (!step(worker)) {
            /* Nobody takes the results any more. */
            signal_runs(worker, SIGTERM);
            worker_enter(worker, WORKER_STOPPING);
            return;
        }
    }
    enum herald_status status = contact_flush_settled(&worker->contact);
    if (worker->code == EXIT_OK)
        worker->code = report_status(worker->contact.client, status, NULL);
}

/* What was refused besides settlements that come too late, like a checkpoint that is too large. */
static void on_refused(struct herald_client *client, const struct herald_refusal *refusal,
                       void *user)
{
    (void)client;
    (void)user;
    if (strcmp(refusal->name, "STALE_DELIVERY") != 0)
        report_say("%s: %s", refusal->name, refusal->text);
}

static int serve(struct worker *worker, const struct arguments *arguments)
{
    struct herald_options options;
    if (!contact_options(&worker->contact, arguments, &options))
        return EXIT_USAGE;
    options.renew_ms = (uint32_t)arguments_number(arguments, OPTION_RENEW, RENEW_MS);
    options.on_refused = on_refused;
    int code = contact_open(&worker->contact, &options);
    if (code != EXIT_OK)
        return code;
    contact_catch_signals(&worker->contact);
    struct herald_service service = herald_service(worker->queue, on_message);
    int64_t prefetch = arguments_number(arguments, OPTION_PREFETCH, (int64_t)worker->parallel);
    if (worker->count > 0 && prefetch > worker->count)
        prefetch = worker->count;
    service.context = worker;
    service.prefetch_messages = (uint32_t)prefetch;
    service.on_gone = on_gone;
    enum herald_status status =
        herald_serve(worker->contact.client, &service, CONTACT_ANSWER_MS, &worker->consumer);
    struct report_names names = {.queue = worker->queue};
    if (status != HERALD_OK)
        worker->code = report_status(worker->contact.client, status, &names);
    /* A count can be reached, or the queue go, before the consumer is known here. */
    if (worker->code == EXIT_OK && worker->state != WORKER_TAKING)
        worker_enter(worker, worker->state);
    if (status == HERALD_OK)
        work(worker);
    release_waiting(worker);
    for (size_t i = 0; i < worker->parallel; i++) {
        if (worker->runs[i].message != NULL)
            free_run(worker, &worker->runs[i], HERALD_OK);
    }
    contact_close(&worker->contact);
    return worker->code;
}

int worker_run(const struct arguments *arguments)
{
    struct worker worker = {
        .queue = arguments->words[0],
        .command = arguments->words + 1,
        .count = arguments_number(arguments, OPTION_COUNT, 0),
        .idle_ms = arguments_number(arguments, OPTION_IDLE, 0),
        .last = &worker.first,
    };
    int64_t parallel = arguments_number(arguments, OPTION_PARALLEL, 1);
    if (parallel > PARALLEL_MAX) {
        report_say("--parallel takes at most %d", PARALLEL_MAX);
        return EXIT_USAGE;
    }
    worker.parallel = (size_t)parallel;
    worker.runs = calloc(worker.parallel, sizeof *worker.runs);
    worker.fds = calloc(CONTACT_FDS + worker.parallel * CHILD_FDS, sizeof *worker.fds);
    output_init(&worker.output, arguments);
    int code = EXIT_FAILED;
    if (worker.runs != NULL && worker.fds != NULL)
        code = serve(&worker, arguments);
    else
        report_say("out of memory");
    free(worker.runs);
    free(worker.fds);
    return output_finish(&worker.output, code);
}
