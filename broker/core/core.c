/* The core: its life, and what a round does after the frames. */
#include "broker/core/core.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/apply.h"
#include "broker/core/backup.h"
#include "broker/core/call.h"
#include "broker/core/client.h"
#include "broker/core/consumer.h"
#include "broker/core/ending.h"
#include "broker/core/entity_read.h"
#include "broker/core/credit.h"
#include "broker/core/exchange.h"
#include "broker/core/expiry.h"
#include "broker/core/history.h"
#include "broker/core/history_recover.h"
#include "broker/core/lease.h"
#include "broker/core/line.h"
#include "broker/core/mover.h"
#include "broker/core/output.h"
#include "broker/core/peek.h"
#include "broker/core/pump.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/restate.h"
#include "broker/core/retention.h"
#include "broker/core/route.h"
#include "broker/core/saver.h"
#include "broker/core/state.h"
#include "broker/core/watch.h"
#include "broker/plant.h"

enum {
    /* Numbers given since the last record are not known after a crash: a start leaves out so many,
     * so that none is given twice. */
    NUMBERS_LEFT_OUT = 1 << 24,
    RATE_INTERVAL_MS = 1000,
    /* Each may take a microsecond or two: what comes due together must not hold up the loop. */
    TIMERS_A_ROUND = 4096,
};

struct core *core_new(const struct core_limits *limits, core_note_fn note, void *note_context)
{
    struct core *core = calloc(1, sizeof *core);
    if (core == NULL)
        return NULL;
    core->spill = spill_new(limits->index_bytes_max);
    core->mover = mover_new(core);
    core->saver = saver_new(core);
    core->router = router_new();
    if (core->spill == NULL || core->mover == NULL || core->saver == NULL || core->router == NULL) {
        spill_free(core->spill);
        mover_free(core->mover);
        saver_free(core->saver);
        router_free(core->router);
        free(core);
        return NULL;
    }
    core->limits = *limits;
    core->note = note;
    core->note_context = note_context;
    core->next_message = 1;
    core->next_queue = 1;
    core->next_exchange = 1;
    core->next_client = 1;
    core->next_delivery = 1;
    core->next_peer = 1;
    TAILQ_INIT(&core->pump);
    TAILQ_INIT(&core->held);
    TAILQ_INIT(&core->dying);
    TAILQ_INIT(&core->peers);
    TAILQ_INIT(&core->dirty);
    sys_init(&core->sys);
    TAILQ_INIT(&core->lines);
    TAILQ_INIT(&core->creditors);
    TAILQ_INIT(&core->absent);
    tracked_init(&core->tracked);
    aside_blocks_init(&core->aside_blocks);
    TAILQ_INIT(&core->parking);
    TAILQ_INIT(&core->peeks);
    TAILQ_INIT(&core->histories_waiting);
    TAILQ_INIT(&core->histories_due);
    TAILQ_INIT(&core->removals);
    TAILQ_INIT(&core->feeds);
    TAILQ_INIT(&core->hungry);
    TAILQ_INIT(&core->reads);
    core->chance = 1;
    wheel_init(&core->wheel, 0);
    return core;
}

void core_free(struct core *core)
{
    if (core == NULL)
        return;
    assert(TAILQ_EMPTY(&core->peers));
    core->journal = NULL; /* homes are not counted any more */
    core->is_ending = true;
    peek_end_all(core);
    spill_stop(core->spill);
    backup_deinit(core);
    mover_free(core->mover);
    saver_free(core->saver);
    retention_deinit(core);
    struct exchange *exchange;
    struct exchange *next_exchange;
    HASH_ITER (by_number, core->exchanges_by_number, exchange, next_exchange)
        exchange_end(core, exchange);
    struct queue *queue;
    struct queue *next_queue;
    HASH_ITER (by_number, core->queues_by_number, queue, next_queue)
        queue_end(core, queue, STATUS_GOODBYE);
    while (queue_work_off(core) || !TAILQ_EMPTY(&core->dying))
        continue;
    tracked_deinit(core);
    struct client *client;
    struct client *next_client;
    HASH_ITER (by_number, core->clients_by_number, client, next_client)
        client_free(core, client);
    for (unsigned i = 0; i < core->spare_count; i++)
        buffer_deinit(&core->spares[i]);
    aside_blocks_deinit(&core->aside_blocks);
    lane_pool_deinit(&core->lane_pool);
    free(core->routed);
    free(core->numbers);
    sys_deinit(&core->sys);
    router_free(core->router);
    spill_free(core->spill);
    archive_free(core->archive);
    history_recover_deinit(core);
    restate_deinit(&core->restate);
    free(core);
}

enum status core_open_files(struct core *core, const struct disk *disk,
                            const struct journal_options *options, struct journal_failure *failure)
{
    struct pages *pages;
    enum status status = pages_open(&pages, disk, options->post, options->post_context, failure);
    if (status != STATUS_OK)
        return status;
    spill_set_pages_take(core->spill, pages);
    core->archive = archive_new(disk, options->post, options->post_context);
    if (core->archive == NULL)
        return STATUS_NO_MEMORY;
    return history_recover_secrets(core, failure);
}

enum status core_open_archive(struct core *core, const struct disk *disk,
                              struct journal_failure *failure)
{
    core->archive = archive_new(disk, NULL, NULL);
    return core->archive != NULL ? history_recover_secrets(core, failure) : STATUS_NO_MEMORY;
}

void core_set_secret(struct core *core, const unsigned char secret[16])
{
    memcpy(core->secret, secret, sizeof core->secret);
}

void core_count_homes(struct core *core, struct journal *const *journal)
{
    core->opening = journal;
}

void core_close_files(struct core *core)
{
    spill_close(core->spill);
}

enum status core_on_record(void *context, uint64_t position, const unsigned char *at,
                           uint32_t bytes, uint64_t now_ms)
{
    struct core *core = context;
    if (core->opening != NULL)
        core->journal = *core->opening;
    struct wire_reader r = wire_reader_of(at, bytes);
    (void)now_ms;
    for (;;) {
        uint32_t back = (uint32_t)(r.at - at);
        struct operation operation;
        enum status status = record_next(&r, &operation);
        if (status == STATUS_MORE)
            return spill_run(core->spill, 0);
        if (status == STATUS_OK)
            status = apply_operation(core, &operation, position + back, back);
        if (spill_failure(core->spill) != NULL)
            return STATUS_IO_ERROR;
        if (status != STATUS_OK) /* MORE: a page could not be read for lack of memory */
            return status == STATUS_MORE ? spill_run(core->spill, 0) : status;
    }
}

/* --- start --------------------------------------------------------------------------------------
 */

/* Everything at or below the mark may have been handed out before. */
static uint64_t redelivered_up_to(const struct core *core, const struct queue *queue)
{
    if (planted(PLANT_REDELIVERED_LOST))
        return 0;
    return queue->mark < core->next_message ? queue->mark : core->next_message - 1;
}

/* What was recovered must be whole: whatever is named has its definition, whatever is parked its
 * message. */
static enum status undefined(struct core *core, const char *what, uint32_t number)
{
    (void)snprintf(core->failure.text, sizeof core->failure.text,
                   "the journal names %s %u, and nowhere says what that is", what, number);
    return STATUS_CORRUPT;
}

static enum status check_queue(struct core *core, struct queue *queue)
{
    if (queue->name == NULL)
        return undefined(core, "queue", queue->number);
    queue->mark_before = queue->mark;
    queue->handed_max = queue->mark;
    queue->accepted_total = 0;
    queue->redelivered_up_to = redelivered_up_to(core, queue);
    struct parked *parked;
    struct parked *next;
    HASH_ITER (hh, queue->parked, parked, next)
        if (parked->word == 0 || (parked->home.position == 0 && core->journal != NULL))
            return undefined(core, "a parked command of queue", queue->number);
    return STATUS_OK;
}

static enum status check_recovered(struct core *core)
{
    struct queue *queue;
    struct queue *next_queue;
    HASH_ITER (by_number, core->queues_by_number, queue, next_queue)
        if (check_queue(core, queue) != STATUS_OK)
            return STATUS_CORRUPT;
    struct exchange *exchange;
    struct exchange *next_exchange;
    HASH_ITER (by_number, core->exchanges_by_number, exchange, next_exchange)
        if (exchange->name == NULL || (exchange->history != NULL) != exchange->is_kept)
            return undefined(core, "exchange", exchange->number);
    struct client *client;
    struct client *next_client;
    HASH_ITER (by_number, core->clients_by_number, client, next_client)
        if (client->name == NULL)
            return undefined(core, "client", client->number);
    return STATUS_OK;
}

enum status core_on_read(void *context)
{
    struct core *core = context;
    enum status status = check_recovered(core);
    if (status == STATUS_OK && core->archive != NULL)
        status = history_recover(core, &core->failure);
    core->is_checked = status == STATUS_OK;
    return status;
}

static int compare_queues(const struct queue *a, const struct queue *b)
{
    return a->number < b->number ? -1 : 1;
}

static int compare_exchanges(const struct exchange *a, const struct exchange *b)
{
    return a->number < b->number ? -1 : 1;
}

static enum status record_start(struct core *core)
{
    struct operation_start operation = {core->start_number, core->next_message, core->next_queue,
                                        core->next_exchange, core->next_client};
    uint64_t position;
    enum status status = recorder_append_start(core, NULL, &operation, &position);
    if (status != STATUS_OK)
        return status;
    recorder_close(core);
    home_move(core, &core->start_home, position, (uint32_t)record_size_start(&operation));
    return STATUS_OK;
}

static void start_queue(struct core *core, struct queue *queue)
{
    asides_start(core, &queue->asides);
    expiry_watch(core, queue, core->now_ms);
}

enum status core_start(struct core *core, struct journal *journal, uint64_t now_ms)
{
    while (queue_work_off(core) || !TAILQ_EMPTY(&core->dying))
        continue;
    if (spill_failure(core->spill) != NULL)
        return STATUS_IO_ERROR;
    spill_start(core->spill);
    core->opening = NULL;
    core->journal = journal;
    core->now_ms = now_ms;
    core->started_ms = now_ms;
    core->rate_at_ms = now_ms;
    core->durable_position = journal_durable_position(journal);
    wheel_init(&core->wheel, now_ms);
    enum status status = core->is_checked ? STATUS_OK : core_on_read(core);
    if (status == STATUS_OK && core->archive != NULL)
        status = history_recover_tidy(core, &core->failure);
    if (status != STATUS_OK)
        return status;
    /* Lists are told in the order of numbers; from now on new ones come at the end. */
    HASH_SRT(by_number, core->queues_by_number, compare_queues);
    HASH_SRT(by_number, core->exchanges_by_number, compare_exchanges);
    if (!journal_recovery(journal).was_clean)
        core->next_message += NUMBERS_LEFT_OUT;
    core->rate_number = core->next_message;
    core->start_number++;
    core->is_running = true;
    core->chance = ((uint64_t)core->start_number << 32 ^ now_ms) | 1;
    struct queue *queue;
    struct queue *next;
    HASH_ITER (by_number, core->queues_by_number, queue, next)
        start_queue(core, queue);
    status = record_start(core);
    if (status == STATUS_OK)
        status = tracked_start(core);
    if (status == STATUS_OK)
        ending_start(core);
    recorder_close(core);
    return status;
}

uint32_t core_start_number(const struct core *core)
{
    return core->start_number;
}

/* --- a round ------------------------------------------------------------------------------------
 */

enum status core_on_errand(struct core *core, struct errand *errand)
{
    if (spill_owns(errand))
        return spill_on_errand(core->spill, errand);
    if (archive_owns(errand))
        return archive_on_errand(core->archive, errand);
    return journal_on_errand(core->journal, errand);
}

const struct journal_failure *core_failure(const struct core *core)
{
    if (core->failure.text[0] != '\0')
        return &core->failure;
    if (core->archive != NULL && archive_failure(core->archive) != NULL)
        return archive_failure(core->archive);
    return spill_failure(core->spill);
}

void core_set_time(struct core *core, uint64_t now_ms)
{
    if (now_ms > core->now_ms)
        core->now_ms = now_ms;
}

static void on_timer(void *argument, struct wheel_timer *timer)
{
    switch ((enum timer_kind)timer->kind) {
    case TIMER_CALL:
        call_on_timer(argument, timer);
        break;
    case TIMER_ASIDE:
        aside_on_timer(argument, timer);
        break;
    case TIMER_WARD:
        ward_on_timer(argument, timer);
        break;
    case TIMER_EXPIRY:
        expiry_on_timer(argument, timer);
        break;
    case TIMER_BREAKER:
        breaker_on_timer(argument, timer);
        break;
    case TIMER_LEASE:
        lease_on_timer(argument, timer);
        break;
    case TIMER_WATCHER:
        watch_on_timer(argument, timer);
        break;
    }
}

/* How fast numbers are given or handed out now: marks reach ahead by a second of it. */
static void measure_rate(struct core *core)
{
    uint64_t elapsed = core->now_ms - core->rate_at_ms;
    if (elapsed < RATE_INTERVAL_MS)
        return;
    uint64_t given = core->next_message - core->rate_number;
    uint64_t handed_out = core->counters.messages_delivered - core->rate_delivered;
    core->numbers_a_second = (given > handed_out ? given : handed_out) * 1000 / elapsed;
    core->rate_number = core->next_message;
    core->rate_delivered = core->counters.messages_delivered;
    core->rate_at_ms = core->now_ms;
}

void core_end_of_round(struct core *core)
{
    core->has_more = false;
    measure_rate(core);
    restate_run(core);
    pump_prepare(core);
    recorder_close(core);
    journal_round(core->journal, core->now_ms);
    uint64_t durable_position = journal_durable_position(core->journal);
    if (durable_position != core->durable_position) {
        core->durable_position = durable_position;
        pump_on_durable(core);
    }
    core->has_more |= wheel_run(&core->wheel, core->now_ms, TIMERS_A_ROUND, on_timer, core);
    lane_work_off(core);
    line_release_all(core);
    sys_run(core);
    if (!core->is_draining)
        pump_run(core);
    budget_next_round(&core->budget); /* what is read from now on belongs to that one */
    core->has_more |= queue_work_off(core);
    tracked_work_off(core);
    credit_run(core);
    backup_run(core);
    peek_run(core);
    entity_read_run(core);
    mover_run(core);
    saver_run(core);
    retention_run(core);
    if (core->recorder.is_open) {
        recorder_close(core);
        journal_round(core->journal, core->now_ms);
    }
    core->has_more |= sys_has_more(core);
    (void)spill_run(core->spill, core->now_ms); /* a failure was told with its errand */
}

enum { LONGEST_WINDOW_MS = 10000 };

void core_on_round(struct core *core, uint64_t us)
{
    core->round_count++;
    if (core->now_ms - core->longest_at_ms >= LONGEST_WINDOW_MS) {
        core->longest_us[1] = core->longest_us[0];
        core->longest_us[0] = 0;
        core->longest_at_ms = core->now_ms;
    }
    if (us > core->longest_us[0])
        core->longest_us[0] = us;
}

uint64_t core_next_due(const struct core *core)
{
    uint64_t wheel_ms = wheel_next_ms(&core->wheel);
    uint64_t spill_ms = spill_next_due(core->spill);
    uint64_t mover_ms = mover_next_due(core);
    uint64_t due_ms = wheel_ms < spill_ms ? wheel_ms : spill_ms;
    return mover_ms < due_ms ? mover_ms : due_ms;
}

bool core_has_more(const struct core *core)
{
    return core->has_more;
}

bool core_has_dirty(const struct core *core)
{
    return !TAILQ_EMPTY(&core->dirty);
}

struct peer *core_next_dirty(struct core *core)
{
    struct peer *peer = TAILQ_FIRST(&core->dirty);
    if (peer != NULL) {
        TAILQ_REMOVE(&core->dirty, peer, dirty_link);
        peer->is_dirty = false;
    }
    return peer;
}

void core_set_limits(struct core *core, const struct core_limits *limits)
{
    core->limits = *limits;
}

void core_allow_anonymous(struct core *core)
{
    core->is_anonymous_allowed = true;
}

/* --- stop ---------------------------------------------------------------------------------------
 */

void core_drain(struct core *core, uint32_t within_ms)
{
    core->is_draining = true;
    struct queue *queue;
    struct queue *next;
    /* Nothing is handed out any more: who waits for that must not wait for the end. */
    HASH_ITER (by_name, core->queues_by_name, queue, next)
        call_end_all(core, queue, CALL_WAITING, STATUS_DRAINING);
    watch_on_drain(core);
    struct peer *peer;
    TAILQ_FOREACH (peer, &core->peers, link) {
        if (peer->state != PEER_OPEN)
            continue;
        struct frame frame = {.header.type = FRAME_DRAIN};
        frame.as.drain.within_ms = within_ms;
        output_frame(peer, &frame);
    }
}

bool core_is_drained(const struct core *core)
{
    const struct peer *peer;
    TAILQ_FOREACH (peer, &core->peers, link) {
        if (peer->deliveries.live_count > 0 || peer->line.count > 0)
            return false;
    }
    return core->call_count == 0;
}

/* The exact word on what was handed out: after a clean stop nothing is flagged without need. */
static void record_exact_mark(struct core *core, struct queue *queue)
{
    if (queue->kind != QUEUE_DURABLE || queue->mark <= queue->handed_max)
        return;
    struct operation_mark operation = {queue->number, queue->handed_max};
    uint64_t position;
    if (recorder_append_mark(core, NULL, &operation, &position) != STATUS_OK)
        return;
    apply_mark(core, queue, &operation, position);
}

void core_stop(struct core *core)
{
    struct peer *peer;
    TAILQ_FOREACH (peer, &core->peers, link) {
        struct call *call;
        struct call *next;
        HASH_ITER (hh, peer->calls, call, next)
            call_on_drain(core, call);
        peer->has_left = true; /* what it holds goes back uncounted: the broker leaves, not it */
        peer->is_client_kept = true;
    }
    struct queue *queue;
    struct queue *next_queue;
    HASH_ITER (by_name, core->queues_by_name, queue, next_queue)
        record_exact_mark(core, queue);
    /* Transient messages have taken numbers that no record tells. */
    if (record_start(core) != STATUS_OK)
        core->note(core->note_context, CORE_NOTE_WARNING, "core",
                   "the numbers that were given could not be recorded");
    recorder_close(core);
}
