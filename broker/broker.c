/* The broker: all floors put together, and the loop that drives them. */
#include "broker/broker.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>

#include "broker/clock.h"
#include "broker/core/core.h"
#include "broker/core/peer.h"
#include "broker/crew.h"
#include "broker/net/loop.h"
#include "broker/net/net.h"
#include "broker/notify.h"
#include "broker/settings.h"
#include "broker/startup.h"

/* Upkeep (the log's counts, the watchdog) is done about this often, and so the loop turns at least
 * so often. */
#define UPKEEP_MS 1000
/* The journal ends a burst with a mark after 100 ms of rest, and wants a round for it. */
#define JOURNAL_REST_MS 120
/* A full disk is tried again about this often. */
#define JOURNAL_RETRY_MS 250

/* What a stop may take beyond its own timeouts: the last writes of the journal. */
#define STOP_EXTRA_MS 10000

enum broker_state {
    BROKER_RUNNING,
    BROKER_DRAINING, /* no new messages and hand-outs; settlements go on */
    BROKER_SETTLING, /* nothing is read; the journal becomes durable to its end */
    BROKER_CLOSING,  /* everybody was told goodbye */
    BROKER_STOPPED,
};

enum { SIGNAL_COUNT = 5 };

struct broker {
    struct broker_options options;
    struct log *log;
    struct config *config;
    struct clock clock;
    struct loop *loop;
    struct crew *crew;
    struct disk *disk;
    struct journal *journal;
    struct core *core;
    struct net *net;
    struct loop_watch *crew_watches[CREW_WORKER_COUNT];
    struct loop_watch *signal_watches[SIGNAL_COUNT];
    enum broker_state state;
    int exit_code;
    uint32_t connections_most; /* that the limit of open files allows */
    bool has_failed;           /* the disk: nothing more is said */
    bool is_in_round;          /* the core knows this round's time */
    bool has_more;             /* the next round must not wait */
    bool has_settled;          /* stopped in good order: the journal may be marked clean */
    uint64_t now_ms;           /* of this round */
    uint64_t round_us;         /* when it began, by the machine's clock */
    uint64_t state_due_ms;     /* when the state ends at the latest */
    uint64_t upkeep_due_ms;
    uint64_t rest_due_ms; /* when the journal wants a round */
    uint64_t watchdog_ms; /* between two signs of life; 0: nobody watches */
    uint64_t watchdog_due_ms;
};

/* --- rounds
 * --------------------------------------------------------------------------------------- */

/* The first thing that happens in a round reads the clock for all of it. */
static uint64_t broker_begin(void *context)
{
    struct broker *broker = context;
    if (!broker->is_in_round) {
        broker->is_in_round = true;
        broker->round_us = clock_machine_us();
        broker->now_ms = clock_now_ms(&broker->clock);
        core_set_time(broker->core, broker->now_ms);
    }
    return broker->now_ms;
}

static void broker_note(void *context, enum core_note level, const char *area, const char *text)
{
    static const enum log_level levels[] = {
        [CORE_NOTE_WARNING] = LOG_LEVEL_WARNING,
        [CORE_NOTE_INFO] = LOG_LEVEL_INFO,
        [CORE_NOTE_DEBUG] = LOG_LEVEL_DEBUG,
    };
    const struct broker *broker = context;
    log_write(broker->log, levels[level], area, "%s", text);
}

static const char *const state_names[] = {
    [BROKER_RUNNING] = "running",   [BROKER_DRAINING] = "draining",
    [BROKER_SETTLING] = "settling", [BROKER_CLOSING] = "closing connections",
    [BROKER_STOPPED] = "stopped",
};

static void broker_enter(struct broker *broker, enum broker_state state)
{
    assert(state > broker->state);
    log_write(broker->log, LOG_LEVEL_INFO, "broker", "%s", state_names[state]);
    broker->state = state;
    broker->state_due_ms = UINT64_MAX;
    broker->has_more = true;
}

/* The disk failed: what is confirmed is safe, and nothing else will be said. */
static void broker_fail(struct broker *broker, enum status status)
{
    if (broker->state == BROKER_STOPPED)
        return;
    const struct journal_failure *failure = core_failure(broker->core);
    if (failure == NULL)
        failure = journal_failure(broker->journal);
    startup_log_failure(broker->log, broker->config->data_directory, failure);
    broker->exit_code = startup_exit_code(status);
    broker->has_failed = true;
    broker_enter(broker, BROKER_STOPPED);
}

static void broker_take_errands(struct broker *broker, enum errand_worker worker)
{
    struct errand *errand = crew_collect(broker->crew, worker);
    while (errand != NULL) {
        struct errand *next = errand->next;
        enum status status = core_on_errand(broker->core, errand);
        if (status != STATUS_OK)
            broker_fail(broker, status);
        errand = next;
    }
}

static void on_commit(void *argument)
{
    struct broker *broker = argument;
    broker->rest_due_ms = broker_begin(broker) + JOURNAL_REST_MS;
    broker_take_errands(broker, ERRAND_COMMIT);
}

static void on_background(void *argument)
{
    struct broker *broker = argument;
    (void)broker_begin(broker);
    broker_take_errands(broker, ERRAND_BACKGROUND);
}

static void broker_upkeep(struct broker *broker)
{
    if (broker->now_ms >= broker->upkeep_due_ms) {
        broker->upkeep_due_ms = broker->now_ms + UPKEEP_MS;
        log_tick(broker->log);
    }
    if (broker->watchdog_ms > 0 && broker->now_ms >= broker->watchdog_due_ms) {
        broker->watchdog_due_ms = broker->now_ms + broker->watchdog_ms;
        (void)notify_watchdog();
    }
    if (broker->now_ms >= broker->rest_due_ms)
        broker->rest_due_ms = UINT64_MAX;
    if (broker->rest_due_ms == UINT64_MAX && journal_is_full(broker->journal))
        broker->rest_due_ms = broker->now_ms + JOURNAL_RETRY_MS;
}

static void broker_end_of_round(struct broker *broker)
{
    uint64_t now_ms = broker_begin(broker);
    if (broker->has_failed)
        return;
    net_run_timers(broker->net, now_ms);
    net_take_behind(broker->net);
    core_end_of_round(broker->core);
    bool has_more = net_end_of_round(broker->net);
    broker->has_more = has_more || core_has_more(broker->core);
    broker_upkeep(broker);
    core_on_round(broker->core, clock_machine_us() - broker->round_us);
    broker->is_in_round = false;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t broker_next_due(const struct broker *broker)
{
    if (broker->has_more)
        return 0;
    uint64_t due_ms = earlier(core_next_due(broker->core), net_next_due(broker->net));
    due_ms = earlier(due_ms, earlier(broker->upkeep_due_ms, broker->rest_due_ms));
    if (broker->watchdog_ms > 0)
        due_ms = earlier(due_ms, broker->watchdog_due_ms);
    return earlier(due_ms, broker->state_due_ms);
}

/* --- stopping
 * ------------------------------------------------------------------------------------- */

static void broker_start_draining(struct broker *broker)
{
    uint64_t within_ms = broker->config->timeouts_drain;
    (void)notify_stopping("draining");
    (void)notify_extend_timeout(within_ms + broker->config->timeouts_close + STOP_EXTRA_MS);
    net_stop_listening(broker->net);
    core_drain(broker->core, (uint32_t)within_ms);
    broker_enter(broker, BROKER_DRAINING);
    broker->state_due_ms = broker->now_ms + within_ms;
}

static void broker_start_settling(struct broker *broker)
{
    if (!core_is_drained(broker->core))
        log_write(broker->log, LOG_LEVEL_NOTICE, "broker",
                  "timeouts.drain is over, what is unsettled is taken back");
    net_stop_reading(broker->net);
    core_stop(broker->core);
    broker_enter(broker, BROKER_SETTLING);
}

static void broker_start_closing(struct broker *broker)
{
    net_close_all(broker->net, STATUS_GOODBYE);
    broker_enter(broker, BROKER_CLOSING);
    broker->state_due_ms = broker->now_ms + broker->config->timeouts_close;
}

static bool journal_is_settled(const struct broker *broker)
{
    return journal_durable_position(broker->journal) >= journal_end_position(broker->journal) &&
           crew_outstanding_count(broker->crew) == 0;
}

/* Looked at after every round. */
static void broker_step(struct broker *broker)
{
    bool is_late = broker->now_ms >= broker->state_due_ms;
    switch (broker->state) {
    case BROKER_RUNNING:
    case BROKER_STOPPED:
        break;
    case BROKER_DRAINING:
        if (is_late || core_is_drained(broker->core))
            broker_start_settling(broker);
        break;
    case BROKER_SETTLING:
        if (journal_is_settled(broker))
            broker_start_closing(broker);
        break;
    case BROKER_CLOSING:
        if (!is_late && net_figures(broker->net).connection_count > 0)
            break;
        broker->has_settled = true;
        broker_enter(broker, BROKER_STOPPED);
        break;
    }
}

static void on_stop(void *argument)
{
    struct broker *broker = argument;
    (void)broker_begin(broker);
    if (broker->state == BROKER_RUNNING) {
        log_write(broker->log, LOG_LEVEL_NOTICE, "broker",
                  "asked to stop, waiting %" PRIu64 " ms at most for what is unsettled",
                  broker->config->timeouts_drain);
        broker_start_draining(broker);
        return;
    }
    if (broker->state == BROKER_STOPPED)
        return;
    log_write(broker->log, LOG_LEVEL_NOTICE, "broker", "asked again, stopping at once");
    broker_enter(broker, BROKER_STOPPED);
}

/* Errands use the journal's memory, so they must all come back before it goes, whatever happened.
 */
static void broker_wait_for_errands(struct broker *broker)
{
    while (crew_outstanding_count(broker->crew) > 0) {
        crew_wait(broker->crew);
        broker_take_errands(broker, ERRAND_COMMIT);
        broker_take_errands(broker, ERRAND_BACKGROUND);
    }
}

static void broker_stop_journal(struct broker *broker)
{
    enum status status = journal_stop(broker->journal, broker->now_ms);
    if (status == STATUS_OK)
        return;
    startup_log_failure(broker->log, broker->config->data_directory,
                        journal_failure(broker->journal));
    broker->exit_code = startup_exit_code(status);
}

/* --- other signals
 * -------------------------------------------------------------------------------- */

static void on_change(void *argument, const char *name, enum config_change change)
{
    const struct broker *broker = argument;
    if (change == CONFIG_CHANGED)
        log_write(broker->log, LOG_LEVEL_NOTICE, "config", "%s changed", name);
    else
        log_write(broker->log, LOG_LEVEL_WARNING, "config",
                  "%s differs in the file and takes effect at the next start", name);
}

static void broker_apply_config(struct broker *broker, const struct config *fresh)
{
    config_reload(broker->config, fresh, on_change, broker);
    struct core_limits core_limits = settings_core_limits(broker->config);
    struct net_limits net_limits = settings_net_limits(broker->config, broker->connections_most);
    struct log_options log_options = {
        .level = broker->config->log_level,
        .areas = broker->config->log_areas,
        .repeat_interval_ms = broker->config->log_repeat_interval,
    };
    core_set_limits(broker->core, &core_limits);
    net_set_limits(broker->net, &net_limits);
    log_configure(broker->log, &log_options);
}

static void on_reload(void *argument)
{
    struct broker *broker = argument;
    (void)broker_begin(broker);
    struct config *fresh = malloc(sizeof *fresh);
    if (fresh == NULL || broker->state != BROKER_RUNNING) {
        free(fresh);
        return;
    }
    struct config_errors errors = {0};
    (void)notify_reloading();
    if (config_load(fresh, broker->options.source, &errors) == STATUS_OK) {
        broker_apply_config(broker, fresh);
        log_write(broker->log, LOG_LEVEL_NOTICE, "config", "the configuration was read again");
    } else {
        for (size_t i = 0; i < errors.count && i < CONFIG_ERRORS_MAX; i++)
            log_write(broker->log, LOG_LEVEL_ERROR, "config", "%s", errors.text[i]);
        log_write(broker->log, LOG_LEVEL_ERROR, "config",
                  "the configuration is wrong (%zu mistakes) and stays as it was", errors.count);
    }
    config_errors_deinit(&errors);
    free(fresh);
    (void)notify_ready("serving");
}

static void on_summary(void *argument)
{
    struct broker *broker = argument;
    (void)broker_begin(broker);
    struct net_figures net = net_figures(broker->net);
    struct journal_figures journal = journal_figures(broker->journal);
    log_write(broker->log, LOG_LEVEL_NOTICE, "broker",
              "%s, start %u: %u connections (%u not authenticated), %" PRIu64 " accepted, %" PRIu64
              " turned away; %" PRIu64 " bytes read, %" PRIu64 " written",
              state_names[broker->state], core_start_number(broker->core), net.connection_count,
              net.unauthenticated_count, net.accepted_count, net.refused_count, net.read_bytes,
              net.written_bytes);
    log_write(broker->log, LOG_LEVEL_NOTICE, "journal",
              "end %" PRIu64 ", durable to %" PRIu64 "; %" PRIu64 " segments with %" PRIu64
              " bytes, %" PRIu64 " spares; %" PRIu64 " batches with %" PRIu64
              " bytes since the start; %" PRIu64 " bytes in memory%s",
              journal_end_position(broker->journal), journal_durable_position(broker->journal),
              journal.segment_count, journal.used_bytes, journal.spare_count, journal.batch_count,
              journal.byte_count, journal.cached_bytes,
              journal_is_full(broker->journal) ? "; THE DISK IS FULL" : "");
}

/* --- starting
 * ------------------------------------------------------------------------------------- */

static bool broker_is_dev(const struct broker *broker)
{
    return broker->options.source->dev_directory != NULL;
}

/* Only once recovery is over: until then a signal to stop simply ends the process, which may happen
 * at any time. */
static bool broker_watch(struct broker *broker)
{
    static const struct {
        int number;
        loop_fn on_signal;
    } signals[SIGNAL_COUNT] = {
        {SIGTERM, on_stop},  {SIGINT, on_stop},     {SIGUSR2, on_stop},
        {SIGHUP, on_reload}, {SIGUSR1, on_summary},
    };
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        broker->signal_watches[i] =
            loop_watch_signal(broker->loop, signals[i].number, signals[i].on_signal, broker);
        if (broker->signal_watches[i] == NULL)
            return false;
    }
    broker->crew_watches[ERRAND_COMMIT] =
        loop_watch_file(broker->loop, crew_file(broker->crew, ERRAND_COMMIT), on_commit, broker);
    broker->crew_watches[ERRAND_BACKGROUND] = loop_watch_file(
        broker->loop, crew_file(broker->crew, ERRAND_BACKGROUND), on_background, broker);
    return broker->crew_watches[ERRAND_COMMIT] != NULL &&
           broker->crew_watches[ERRAND_BACKGROUND] != NULL;
}

/* Recovers, and begins a new start of the broker on what was found. */
static enum status broker_start_core(struct broker *broker)
{
    struct core_limits limits = settings_core_limits(broker->config);
    broker->core = core_new(&limits, broker_note, broker);
    unsigned char secret[16];
    if (broker->core == NULL || getrandom(secret, sizeof secret, 0) != sizeof secret)
        return STATUS_NO_MEMORY;
    core_set_secret(broker->core, secret);
    struct startup startup = {
        .log = broker->log,
        .directory = broker->config->data_directory,
        .journal_options = settings_journal_options(broker->config),
        .core = broker->core,
    };
    startup.journal_options.post = crew_post;
    startup.journal_options.post_context = broker->crew;
    enum status status = startup_recover(&startup, &broker->disk, &broker->journal);
    if (status != STATUS_OK)
        return status;
    clock_start(&broker->clock, journal_recovery(broker->journal).newest_ms);
    uint64_t ahead_ms = clock_ahead_ms(&broker->clock);
    if (ahead_ms > 1000)
        log_write(broker->log, LOG_LEVEL_WARNING, "broker",
                  "the wall clock is %" PRIu64 " ms behind the journal, whose time goes on",
                  ahead_ms);
    status = core_start(broker->core, broker->journal, clock_now_ms(&broker->clock));
    if (status != STATUS_OK && core_failure(broker->core) != NULL)
        startup_log_failure(broker->log, broker->config->data_directory,
                            core_failure(broker->core));
    if (status == STATUS_OK && broker_is_dev(broker))
        core_allow_anonymous(broker->core);
    return status;
}

static enum status broker_start_net(struct broker *broker)
{
    broker->connections_most = settings_raise_files(broker->config, broker->log);
    struct net_options options = {
        .core = broker->core,
        .loop = broker->loop,
        .limits = settings_net_limits(broker->config, broker->connections_most),
        .begin = broker_begin,
        .note = broker_note,
        .context = broker,
    };
    broker->net = net_new(&options);
    return broker->net == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

/* In dev mode a port that is taken is no reason not to start: the unix socket does. */
static enum status broker_listen(struct broker *broker)
{
    char text[NET_ERROR_BYTES] = "";
    const struct config *config = broker->config;
    enum status status = STATUS_OK;
    if (config->listen_unix[0] != '\0') {
        status = net_listen_unix(broker->net, config->listen_unix,
                                 (uint32_t)config->listen_unix_mode, text);
        if (status != STATUS_OK)
            goto fail;
        log_write(broker->log, LOG_LEVEL_NOTICE, "net", "listening at unix:%s", text);
    }
    for (unsigned i = 0; i < config->listen_tcp.count; i++) {
        const struct config_address *address = &config->listen_tcp.address[i];
        status = net_listen_tcp(broker->net, address->host, address->port, text);
        if (status == STATUS_IN_USE && broker_is_dev(broker)) {
            log_write(broker->log, LOG_LEVEL_NOTICE, "net", "%s; going on without it", text);
            continue;
        }
        if (status != STATUS_OK)
            goto fail;
        log_write(broker->log, LOG_LEVEL_NOTICE, "net", "listening at tcp:%s", text);
    }
    return STATUS_OK;

fail:
    log_write(broker->log, LOG_LEVEL_ERROR, "net", "%s", text);
    return status;
}

struct broker *broker_new(const struct broker_options *options, int *exit_code)
{
    struct broker *broker = calloc(1, sizeof *broker);
    *exit_code = EX_OSERR;
    if (broker == NULL)
        return NULL;
    broker->options = *options;
    broker->log = options->log;
    broker->config = options->config;
    broker->state_due_ms = broker->rest_due_ms = UINT64_MAX;
    broker->watchdog_ms = notify_watchdog_interval_ms();
    log_write(broker->log, LOG_LEVEL_NOTICE, "broker", "heraldd " HERALD_VERSION ", data in %s",
              broker->config->data_directory);
    broker->crew = crew_new();
    broker->loop = loop_new();
    if (broker->crew == NULL || broker->loop == NULL)
        goto fail;
    enum status status = broker_start_core(broker);
    if (status == STATUS_OK && !broker_watch(broker))
        status = STATUS_NO_MEMORY;
    if (status == STATUS_OK)
        status = broker_start_net(broker);
    if (status == STATUS_OK) {
        /* An address that cannot be had is the system's affair, not the disk's. */
        if (broker_listen(broker) != STATUS_OK)
            goto fail;
        return broker;
    }
    *exit_code = startup_exit_code(status);

fail:
    log_write(broker->log, LOG_LEVEL_ERROR, "broker", "cannot start");
    broker_free(broker);
    return NULL;
}

void broker_free(struct broker *broker)
{
    if (broker == NULL)
        return;
    net_free(broker->net);
    if (broker->journal != NULL)
        broker_wait_for_errands(broker);
    core_free(broker->core);
    journal_free(broker->journal);
    disk_real_free(broker->disk);
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        loop_watch_free(broker->signal_watches[i]);
    for (size_t i = 0; i < CREW_WORKER_COUNT; i++)
        loop_watch_free(broker->crew_watches[i]);
    crew_free(broker->crew);
    loop_free(broker->loop);
    free(broker);
}

/* --- running
 * -------------------------------------------------------------------------------------- */

static void broker_say_ready(struct broker *broker)
{
    log_write(broker->log, LOG_LEVEL_NOTICE, "broker", "ready, start %u",
              core_start_number(broker->core));
    if (broker_is_dev(broker)) {
        printf("export HERALD_URL=unix:%s\n", broker->config->listen_unix);
        (void)fflush(stdout);
    }
    (void)notify_ready("serving");
}

int broker_run(struct broker *broker)
{
    (void)broker_begin(broker);
    broker_end_of_round(broker);
    broker_say_ready(broker);
    while (broker->state != BROKER_STOPPED) {
        uint64_t now_ms = clock_now_ms(&broker->clock);
        if (loop_round(broker->loop, now_ms, broker_next_due(broker)) != STATUS_OK) {
            log_write(broker->log, LOG_LEVEL_ERROR, "broker", "the loop failed: %s",
                      strerror(errno));
            broker->exit_code = EX_OSERR;
            break;
        }
        broker_end_of_round(broker);
        broker_step(broker);
    }
    broker_wait_for_errands(broker);
    if (broker->has_settled && broker->exit_code == 0)
        broker_stop_journal(broker);
    log_write(broker->log, LOG_LEVEL_NOTICE, "broker", "stopped, exit code %d", broker->exit_code);
    return broker->exit_code;
}
