/* Queues: the directory, what they hold, and the paths in and out.
 *
 *                accept              pump                 queue_settle, apply_settle
 *   (message) ----------> waiting ----------> running ------------------------------> gone
 *                            ^                   |
 *                            |   queue_return    | apply_park
 *                            +-------------------+--------> parked
 *
 * waiting  a place of the index that is not OUT. Until its record is on disk the pump stops at it.
 * running  a place that is OUT: exactly one peer has a delivery for its number.
 * parked   no longer in the index; kept in a table of its own until it is repaired or dropped.
 *
 * Always true between two calls:
 *   1. bytes is the sum over the places of the index, out_count the number of those that are OUT;
 *   2. a durable place has its home counted in the journal, a transient one a reference to its
 * message;
 *   3. no durable message above `mark` was ever handed out.
 */
#include "broker/core/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/apply.h"
#include "broker/core/call.h"
#include "broker/core/consumer.h"
#include "broker/core/cursor.h"
#include "broker/core/ending.h"
#include "broker/core/exchange.h"
#include "broker/core/expiry.h"
#include "broker/core/kept.h"
#include "broker/core/pump.h"
#include "broker/core/recorder.h"
#include "broker/core/watch.h"
#include "broker/plant.h"
#include "protocol/property.h"

enum {
    /* A mark reaches at least so many numbers ahead, and one more second at the present rate. */
    MARK_AHEAD_MIN = 1024,
    /* Places that one slice of working off takes out: well below a millisecond. */
    WORK_OFF_PLACES = 20000,
};

/* --- the directory ------------------------------------------------------------------------------
 */

struct queue *queue_new(struct core *core, enum queue_kind kind, uint32_t number,
                        struct wire_bytes name)
{
    struct queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return NULL;
    queue->core = core;
    queue->number = number;
    queue->kind = kind;
    queue->ref_count = 1;
    queue_set_default(queue, &core->limits);
    index_init(&queue->index, core->spill);
    asides_init(&queue->asides);
    TAILQ_INIT(&queue->willing);
    TAILQ_INIT(&queue->all);
    LIST_INIT(&queue->bindings);
    if (name.bytes > 0 && queue_set_name(core, queue, name) != STATUS_OK) {
        free(queue);
        return NULL;
    }
    if (kind == QUEUE_LIVE)
        return queue;
    HASH_ADD(by_number, core->queues_by_number, number, sizeof queue->number, queue);
    if (table_has(&queue->by_number))
        return queue;
    if (queue->name != NULL)
        HASH_DELETE(by_name, core->queues_by_name, queue);
    free(queue->name);
    free(queue);
    return NULL;
}

enum status queue_set_name(struct core *core, struct queue *queue, struct wire_bytes name)
{
    if (queue->name != NULL)
        return STATUS_OK;
    char *copy = strndup((const char *)name.at, name.bytes);
    if (copy == NULL)
        return STATUS_NO_MEMORY;
    queue->name = copy;
    queue->name_bytes = name.bytes;
    HASH_ADD_KEYPTR(by_name, core->queues_by_name, queue->name, name.bytes, queue);
    if (table_has(&queue->by_name))
        return STATUS_OK;
    free(copy);
    queue->name = NULL;
    return STATUS_NO_MEMORY;
}

struct wire_bytes queue_name(const struct queue *queue)
{
    return wire_bytes_of(queue->name, queue->name_bytes);
}

void queue_ref(struct queue *queue)
{
    queue->ref_count++;
}

void queue_unref(struct core *core, struct queue *queue)
{
    (void)core;
    if (--queue->ref_count > 0)
        return;
    assert(queue->is_gone && queue_count(queue) == 0);
    index_deinit(&queue->index);
    asides_deinit(&queue->asides);
    lane_plains_deinit(&queue->plains);
    chains_deinit(&queue->lanes);
    free(queue->name);
    free(queue);
}

struct queue *queue_find(const struct core *core, struct wire_bytes name)
{
    struct queue *queue;
    HASH_FIND(by_name, core->queues_by_name, name.at, name.bytes, queue);
    return queue;
}

struct queue *queue_find_number(const struct core *core, uint32_t number)
{
    struct queue *queue;
    HASH_FIND(by_number, core->queues_by_number, &number, sizeof number, queue);
    return queue;
}

void queue_set(struct queue *queue, struct wire_bytes settings)
{
    queue->count_max = property_find_number(settings, PROPERTY_QUEUE_COUNT_MAX, queue->count_max);
    queue->bytes_max = property_find_number(settings, PROPERTY_QUEUE_BYTES_MAX, queue->bytes_max);
    queue->overflow = (enum queue_overflow)property_find_number(settings, PROPERTY_QUEUE_OVERFLOW,
                                                                queue->overflow);
    struct retry_terms *retry = &queue->retry;
    retry->attempts_max =
        property_find_number(settings, PROPERTY_QUEUE_ATTEMPTS, retry->attempts_max);
    retry->backoff_ms = property_find_number(settings, PROPERTY_QUEUE_BACKOFF, retry->backoff_ms);
    retry->backoff_max_ms =
        property_find_number(settings, PROPERTY_QUEUE_BACKOFF_MAX, retry->backoff_max_ms);
    retry->retry_for_ms =
        property_find_number(settings, PROPERTY_QUEUE_RETRY_FOR, retry->retry_for_ms);
    queue->lease_ms = property_find_number(settings, PROPERTY_QUEUE_LEASE, queue->lease_ms);
    queue->ttl_ms = property_find_number(settings, PROPERTY_QUEUE_TTL, queue->ttl_ms);
    queue->lane_parked = (enum lane_parked)property_find_number(
        settings, PROPERTY_QUEUE_LANE_PARKED, queue->lane_parked);
    queue->is_single_active =
        property_find_number(settings, PROPERTY_QUEUE_SINGLE_ACTIVE, queue->is_single_active) != 0;
    queue->is_paused = property_find_number(settings, PROPERTY_QUEUE_PAUSED, queue->is_paused) != 0;
    queue->breaker.limit =
        property_find_number(settings, PROPERTY_QUEUE_BREAKER, queue->breaker.limit);
}

void queue_set_default(struct queue *queue, const struct core_limits *limits)
{
    queue->retry = (struct retry_terms){limits->attempts_max, limits->backoff_ms,
                                        limits->backoff_max_ms, limits->retry_for_ms};
    queue->lease_ms = limits->lease_ms;
}

void queue_put_settings(const struct queue *queue, struct wire_writer *w)
{
    property_put_number(w, PROPERTY_QUEUE_COUNT_MAX, queue->count_max);
    property_put_number(w, PROPERTY_QUEUE_BYTES_MAX, queue->bytes_max);
    property_put_number(w, PROPERTY_QUEUE_OVERFLOW, queue->overflow);
    property_put_number(w, PROPERTY_QUEUE_ATTEMPTS, queue->retry.attempts_max);
    property_put_number(w, PROPERTY_QUEUE_BACKOFF, queue->retry.backoff_ms);
    property_put_number(w, PROPERTY_QUEUE_BACKOFF_MAX, queue->retry.backoff_max_ms);
    property_put_number(w, PROPERTY_QUEUE_RETRY_FOR, queue->retry.retry_for_ms);
    property_put_number(w, PROPERTY_QUEUE_LEASE, queue->lease_ms);
    property_put_number(w, PROPERTY_QUEUE_TTL, queue->ttl_ms);
    property_put_number(w, PROPERTY_QUEUE_LANE_PARKED, queue->lane_parked);
    property_put_number(w, PROPERTY_QUEUE_SINGLE_ACTIVE, queue->is_single_active);
    property_put_number(w, PROPERTY_QUEUE_PAUSED, queue->is_paused);
    property_put_number(w, PROPERTY_QUEUE_BREAKER, queue->breaker.limit);
}

void queue_wake(struct core *core, struct queue *queue)
{
    if (queue->is_in_pump || queue->is_held || queue->is_fetching || queue->is_paging ||
        queue->is_gone)
        return;
    queue->is_in_pump = true;
    core->pump_durable_count += queue->kind == QUEUE_DURABLE;
    TAILQ_INSERT_TAIL(&core->pump, queue, pump_link);
}

/* --- limits -------------------------------------------------------------------------------------
 */

bool queue_has_room(const struct queue *queue, uint32_t bytes)
{
    return (queue->count_max == 0 || queue_count(queue) < queue->count_max) &&
           (queue->bytes_max == 0 || queue->bytes + bytes <= queue->bytes_max);
}

/* Drops the oldest ready message, plain ones first; STATUS_NOT_FOUND: none is ready. */
void queue_miss(struct core *core, struct queue *queue, uint64_t count)
{
    const struct consumer *consumer = queue->live != NULL ? queue->live : TAILQ_FIRST(&queue->all);
    if (queue->missed == 0 && count > 0 && consumer != NULL)
        sys_tell(core, &(struct sys_event){
                           SYS_SUBSCRIBER_SLOW,
                           .as.subscriber_slow = {.connection = consumer->peer->number,
                                                  .consumer = consumer->number,
                                                  .client = peer_client_name(consumer->peer)}});
    queue->missed += count;
    core->counters.events_missed += count;
}

static enum status drop_oldest(struct core *core, struct queue *queue)
{
    struct standing where = {.at = index_first_ready(&queue->index)};
    if (where.at.is_away)
        (void)queue_ask_page(core, queue, where.at);
    else if (where.at.found == NULL)
        where.aside = asides_first(&queue->asides);
    if (!standing_is_found(where))
        return STATUS_NOT_FOUND;
    uint64_t number =
        where.aside != NULL ? where.aside->number : index_number(&queue->index, where.at);
    struct ending ending =
        ending_of(STATUS_OVERFLOW, queue_ran(queue, number, standing_word(where)));
    enum status status = ending_carry_out(core, NULL, queue, number, &ending);
    if (status != STATUS_OK)
        return status;
    core->counters.messages_dropped++;
    if (queue->kind == QUEUE_LIVE)
        queue_miss(core, queue, 1);
    return STATUS_OK;
}

enum status queue_drop_oldest(struct core *core, struct queue *queue, uint32_t bytes)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK && !queue_has_room(queue, bytes))
        status = drop_oldest(core, queue);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* --- pages that are away ------------------------------------------------------------------------
 */

static bool is_over_limit(const struct queue *queue)
{
    return (queue->count_max > 0 && queue_count(queue) > queue->count_max) ||
           (queue->bytes_max > 0 && queue->bytes > queue->bytes_max);
}

void queue_drop_excess(struct core *core, struct queue *queue)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK && queue->overflow == QUEUE_DROP_OLDEST && is_over_limit(queue))
        status = drop_oldest(core, queue);
}

static void on_page(void *argument)
{
    struct queue *queue = argument;
    struct core *core = queue->core;
    queue->is_paging = false;
    if (!queue->is_gone && !core->is_ending) {
        queue_drop_excess(core, queue);
        queue_wake(core, queue);
    }
    queue_unref(core, queue);
}

bool queue_ask_page(struct core *core, struct queue *queue, struct index_at at)
{
    if (queue->is_paging)
        return true;
    if (spill_read(core->spill, index_page(&queue->index, at), on_page, queue) != STATUS_OK)
        return false;
    queue->is_paging = true;
    queue_ref(queue);
    return true;
}

/* --- messages -----------------------------------------------------------------------------------
 */

enum status queue_read(struct core *core, uint64_t word, struct operation_message *message)
{
    struct wire_reader r;
    if ((word & PLACE_TRANSIENT) != 0) {
        const struct message *in_memory = place_message(word);
        r = wire_reader_of(in_memory->operation, in_memory->bytes);
    } else {
        size_t bytes;
        const unsigned char *at = journal_peek(core->journal, place_position(word), &bytes);
        if (at == NULL)
            return STATUS_MORE;
        r = wire_reader_of(at, bytes);
    }
    if (wire_get_u8(&r) != OPERATION_MESSAGE)
        return STATUS_CORRUPT;
    record_get_message(&r, message);
    return r.failed ? STATUS_CORRUPT : STATUS_OK;
}

/* One that its sender took back while it ran is not handed out again. */
static void return_aside(struct core *core, struct aside *aside)
{
    struct queue *queue = aside_queue(aside);
    const struct attempted *attempted = kept_find_attempted(queue, aside->number);
    struct ending ending = ending_of(STATUS_CANCELLED, OUTCOME_MAYBE_RUN);
    if (attempted == NULL || !attempted->is_cancelled ||
        ending_carry_out(core, NULL, queue, aside->number, &ending) != STATUS_OK) {
        aside_schedule(core, aside, core->now_ms);
        watch_tell_aside(core, aside);
        ward_expire_late(core, aside);
    }
}

void queue_return(struct core *core, struct queue *queue, uint64_t number)
{
    struct standing where = queue_locate(queue, number);
    if (!standing_is_found(where) || (standing_word(where) & PLACE_OUT) == 0)
        return;
    uint64_t word = standing_word(where);
    if ((word & PLACE_TRANSIENT) != 0 && place_message(word)->is_unheard) {
        standing_remove(core, queue, where);
        return;
    }
    if (where.aside != NULL) {
        return_aside(core, where.aside);
        return;
    }
    index_clear_out(&queue->index, where.at);
    queue->out_count--;
    expiry_watch(core, queue, core->now_ms);
    if (!planted(PLANT_RETURNED_TO_BACK))
        index_on_ready(&queue->index, where.at);
    queue_wake(core, queue);
}

/* Whether a run of places has a durable one: only then is there something to record. */
static bool run_is_durable(const struct queue *queue, uint64_t first, uint64_t last)
{
    if (queue->kind != QUEUE_DURABLE)
        return false;
    if (queue->transient_count == 0)
        return true;
    const struct aside *aside = first == last ? asides_find(&queue->asides, first) : NULL;
    if (aside != NULL)
        return (aside->word & PLACE_TRANSIENT) == 0;
    if (first == last && kept_find_parked(queue, first) != NULL)
        return true;
    struct index_at at = index_find_from(&queue->index, first);
    for (; at.found != NULL && index_number(&queue->index, at) <= last;
         at = index_next(&queue->index, at))
        if ((at.found->word & PLACE_TRANSIENT) == 0)
            return true;
    return at.is_away; /* transient messages stay in memory */
}

enum status queue_settle(struct core *core, struct peer *peer, struct queue *queue, uint64_t first,
                         uint64_t last)
{
    struct operation_settle operation = {queue->number, first, last};
    if (queue->cursor != NULL && cursor_has_fed(queue, first, last))
        return cursor_settle(core, peer, queue, first, last);
    if (run_is_durable(queue, first, last)) {
        enum status status = recorder_append_settle(core, peer, &operation, NULL);
        if (status != STATUS_OK)
            return status;
    }
    apply_settle(core, queue, &operation);
    return STATUS_OK;
}

/* --- the mark -----------------------------------------------------------------------------------
 */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Numbers are the whole broker's: a queue that few of them go to must not need a mark for each. The
 * second that has just begun counts, too, so that a sudden stream is not held up. */
static uint64_t mark_ahead(const struct core *core)
{
    uint64_t given = core->next_message - core->rate_number;
    uint64_t handed_out = core->counters.messages_delivered - core->rate_delivered;
    return larger(larger(given, handed_out), larger(core->numbers_a_second, MARK_AHEAD_MIN));
}

static void mark_extend(struct core *core, struct queue *queue, uint64_t number)
{
    struct operation_mark operation = {queue->number, number + mark_ahead(core)};
    uint64_t position;
    if (recorder_append_mark(core, NULL, &operation, &position) != STATUS_OK)
        return;
    apply_mark(core, queue, &operation, position);
}

bool queue_mark_covers(struct core *core, struct queue *queue, uint64_t number)
{
    if (queue->mark_home.position < core->durable_position &&
        number + mark_ahead(core) / 2 > queue->mark)
        mark_extend(core, queue, number);
    bool is_on_disk = queue->mark_home.position < core->durable_position;
    if (planted(PLANT_HANDED_BEFORE_MARK))
        return true;
    return number <= (is_on_disk ? queue->mark : queue->mark_before);
}

/* --- the end ------------------------------------------------------------------------------------
 */

static void leave_lists(struct core *core, struct queue *queue)
{
    pump_leave(core, queue);
    if (queue->is_held)
        TAILQ_REMOVE(&core->held, queue, pump_link);
    queue->is_held = false;
}

void queue_end(struct core *core, struct queue *queue, enum status status)
{
    if (queue->is_gone)
        return;
    queue->is_gone = true;
    if (queue->kind == QUEUE_TRANSIENT || queue->home.position > 0) /* it was made */
        sys_tell(core, &(struct sys_event){SYS_QUEUE_DELETED,
                                           .as.queue_deleted = {.queue = queue_name(queue),
                                                                .messages = queue_count(queue)}});
    sys_forget_queue(core, queue);
    if (core->last_queue == queue)
        core->last_queue = NULL;
    call_end_all(core, queue, CALL_ALL, status);
    consumer_end_all(core, queue, status);
    exchange_unbind_queue(core, queue);
    if (queue->cursor != NULL)
        cursor_free(core, queue->cursor);
    feed_free(queue->feed);
    queue->feed = NULL;
    wheel_disarm(&core->wheel, &queue->breaker.timer);
    wheel_disarm(&core->wheel, &queue->ttl_timer);
    leave_lists(core, queue);
    kept_end_all(core, queue);
    asides_unreserve(queue); /* a read that is out may hold the queue for longer than its core */
    home_end(core, &queue->home);
    home_end(core, &queue->mark_home);
    if (queue->name != NULL)
        HASH_DELETE(by_name, core->queues_by_name, queue);
    if (queue->kind != QUEUE_LIVE)
        HASH_DELETE(by_number, core->queues_by_number, queue);
    if (queue_count(queue) > 0)
        TAILQ_INSERT_TAIL(&core->dying, queue, pump_link); /* keeps the directory's reference */
    else
        queue_unref(core, queue);
}

/* Removes places up to a slice's worth, or up to a page that is away. */
static struct index_at work_off_slice(struct core *core, struct queue *queue)
{
    struct index_at at = index_find_from(&queue->index, 0);
    for (uint32_t i = 0; i < WORK_OFF_PLACES; i++) {
        struct index_at next = index_next(&queue->index, at);
        if (at.found != NULL)
            place_remove(core, queue, at);
        else if (at.is_away && core->is_ending)
            index_drop_page(&queue->index, at);
        else
            break;
        at = next;
    }
    return at;
}

/* False: the journal takes nothing now. */
static bool tell_gone(struct core *core, struct aside *aside)
{
    struct ending ending = ending_of_aside(STATUS_NO_QUEUE, aside);
    return !core->is_running || core->is_ending || ending_tell(core, aside, &ending) == STATUS_OK;
}

static void work_off_asides(struct core *core, struct queue *queue)
{
    struct aside *aside = asides_next(&queue->asides, NULL);
    for (uint32_t i = 0; i < WORK_OFF_PLACES && aside != NULL; i++) {
        struct aside *next = asides_next(&queue->asides, aside);
        if (!tell_gone(core, aside))
            return;
        standing_remove(core, queue, (struct standing){.aside = aside});
        aside = next;
    }
}

bool queue_work_off(struct core *core)
{
    struct queue *queue = TAILQ_FIRST(&core->dying);
    if (queue == NULL || (queue->is_paging && !core->is_ending))
        return false;
    struct index_at at = work_off_slice(core, queue);
    if (at.is_away && !core->is_ending)
        return !queue_ask_page(core, queue, at);
    if (at.found == NULL && !at.is_away)
        work_off_asides(core, queue);
    if (queue_count(queue) == 0) {
        TAILQ_REMOVE(&core->dying, queue, pump_link);
        queue_unref(core, queue);
    }
    return !TAILQ_EMPTY(&core->dying);
}
