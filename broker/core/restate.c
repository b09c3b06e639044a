/* Restating: what lives in the oldest segment is stated again at the end, so that it can be freed.
 *
 *             journal larger than `begin`                 nothing is at home there any more
 *   (nothing) ----------------------------> walking the oldest segment ------------> the next one
 *
 * The records of the oldest segment are read once, in order. An operation that is the home of its
 * object is appended again, as the object is now: a message with the queues that still hold it, a
 * client with what it is answered. It is applied like in recovery, which moves the home. Everything
 * else is dead and stays behind. The journal frees the segment when the copies are on disk.
 *
 * How much: `begin` is one and a half times what lives and two segments, `end` is twice what lives
 * and three segments. Below `begin` nothing is done. Between them the pace grows from the rate of
 * the option, and once what others append, to four times that. From `end` on publishers get no
 * credit.
 *
 * A message in a transient queue or behind a live subscription may rest on the journal without
 * being durable there. Such a queue gets a copy in memory when the segment has to go.
 */
#include "broker/core/restate.h"

#include <stdlib.h>

#include "broker/core/apply.h"
#include "broker/core/client.h"
#include "broker/core/detach.h"
#include "broker/core/cursor.h"
#include "broker/core/event.h"
#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/kept.h"
#include "broker/core/mover.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/state.h"
#include "broker/plant.h"
#include "broker/store/record.h"

enum {
    /* What one round looks at and states at most: well below a millisecond. */
    ROUND_RECORDS = 2048,
    ROUND_BYTES = 256 << 10,
    /* Copies that are not on disk yet: more would only wait in memory. */
    PENDING_BYTES_MAX = 4 << 20,
    BEGIN_SEGMENTS = 2,
    END_SEGMENTS = 3,
    PACE_MAX = 4,
    DETACH_INTERVAL_MS = 100,
    /* Rounds that a record waits for all its pages before it is copied for some of its queues. */
    STALLS_MAX = 64,
};

void restate_deinit(struct restate *restate)
{
    free(restate->numbers);
}

bool restate_is_pressed(const struct core *core)
{
    return core->restate.is_pressed;
}

/* --- the pace -----------------------------------------------------------------------------------
 */

/* Whether there is something to do; fills up what may be stated. */
static bool fill_budget(struct core *core)
{
    struct restate *restate = &core->restate;
    struct journal_space space = journal_space(core->journal);
    uint64_t begin = space.live_bytes + space.live_bytes / 2 + BEGIN_SEGMENTS * space.segment_bytes;
    uint64_t end = 2 * space.live_bytes + END_SEGMENTS * space.segment_bytes;
    uint64_t position = journal_end_position(core->journal);
    uint64_t appended = position - restate->end_position;
    uint64_t elapsed = core->now_ms - restate->filled_ms;
    restate->end_position = position;
    restate->filled_ms = core->now_ms;
    restate->is_pressed = space.used_bytes > end && !space.is_held;
    if (space.used_bytes <= begin || space.is_held) {
        restate->budget_bytes = 0;
        return false;
    }
    uint64_t above = space.used_bytes - begin;
    uint64_t range = end - begin;
    if (restate->is_pressed || space.is_full)
        above = range;
    uint64_t rate = core->limits.restate_bytes_per_second;
    restate->budget_bytes += appended + appended * (PACE_MAX - 1) * above / range +
                             rate * (elapsed < 1000 ? elapsed : 1000) / 1000;
    if (restate->is_pressed || space.is_full || restate->budget_bytes > rate)
        restate->budget_bytes = rate > ROUND_BYTES ? rate : ROUND_BYTES;
    return true;
}

static void spend(struct restate *restate, uint64_t bytes)
{
    restate->budget_bytes -= bytes < restate->budget_bytes ? bytes : restate->budget_bytes;
}

/* --- what lives ---------------------------------------------------------------------------------
 */

static const struct home *home_of_place(const struct core *core, const struct operation *operation)
{
    const struct queue *queue = queue_find_number(core, operation->as.mark.queue);
    if (queue == NULL)
        return NULL;
    if (operation->type == OPERATION_QUEUE)
        return &queue->home;
    if (operation->type == OPERATION_MARK)
        return &queue->mark_home;
    if (operation->type == OPERATION_PARK) {
        const struct parked *parked = kept_find_parked(queue, operation->as.park.number);
        return parked != NULL ? &parked->home : NULL;
    }
    const struct attempted *attempted = kept_find_attempted(queue, operation->as.attempt.number);
    if (attempted == NULL)
        return NULL;
    if (operation->type == OPERATION_CHECKPOINT)
        return &attempted->checkpoint_home;
    if (operation->type == OPERATION_REPAIR)
        return attempted->repair != NULL ? &attempted->repair->home : NULL;
    return operation->type == OPERATION_CANCEL ? &attempted->cancel_home : &attempted->home;
}

static const struct home *home_of_cursor(const struct core *core, uint32_t number)
{
    const struct queue *queue = queue_find_number(core, number);
    return queue != NULL && queue->cursor != NULL ? &queue->cursor->home : NULL;
}

static const struct home *home_of_exchange(const struct core *core,
                                           const struct operation *operation)
{
    const struct exchange *exchange = exchange_find_number(core, operation->as.exchange.exchange);
    if (exchange == NULL)
        return NULL;
    if (operation->type == OPERATION_EXCHANGE)
        return &exchange->home;
    return exchange->history != NULL ? &exchange->history->home : NULL;
}

static const struct home *home_of_binding(const struct core *core,
                                          const struct operation_binding *operation)
{
    const struct exchange *exchange = exchange_find_number(core, operation->exchange);
    struct destination to = exchange_destination(core, operation->kind, operation->to);
    if (exchange == NULL || (to.queue == NULL && to.exchange == NULL))
        return NULL;
    const struct binding *binding = exchange_find_binding(exchange, to, operation->pattern);
    return binding != NULL ? &binding->home : NULL;
}

static const struct home *home_of_client(const struct core *core, const struct operation *operation)
{
    const struct client *client = client_find_number(core, operation->as.client.client);
    if (client == NULL)
        return NULL;
    if (operation->type == OPERATION_CLIENT)
        return &client->home;
    if (operation->type == OPERATION_ANSWERED)
        return &client->answered_home;
    const struct refusal *refusal = client_find_refusal(client, operation->as.refused.tag, NULL);
    return refusal != NULL ? &refusal->home : NULL;
}

/* Where the object that the operation states is at home; NULL: it is gone, or the operation states
 * nothing that lasts. */
static const struct home *home_of(const struct core *core, const struct operation *operation)
{
    const struct tracked *tracked;
    switch (operation->type) {
    case OPERATION_START:
        return &core->start_home;
    case OPERATION_QUEUE:
    case OPERATION_MARK:
    case OPERATION_PARK:
    case OPERATION_ATTEMPT:
    case OPERATION_CANCEL:
    case OPERATION_CHECKPOINT:
    case OPERATION_REPAIR:
        return home_of_place(core, operation);
    case OPERATION_EXCHANGE:
    case OPERATION_HISTORY:
        return home_of_exchange(core, operation);
    case OPERATION_CURSOR:
        return home_of_cursor(core, operation->as.cursor.queue);
    case OPERATION_BINDING:
        return home_of_binding(core, &operation->as.binding);
    case OPERATION_CLIENT:
    case OPERATION_ANSWERED:
    case OPERATION_REFUSED:
        return home_of_client(core, operation);
    case OPERATION_OUTCOME:
        tracked = tracked_find(core, operation->as.outcome.id);
        return tracked != NULL ? &tracked->home : NULL;
    case OPERATION_MESSAGE:   /* has a home in each of its queues */
    case OPERATION_SET_ASIDE: /* is stated with it */
    case OPERATION_SETTLE:
    case OPERATION_SETTLE_EACH:
    case OPERATION_QUEUE_GONE:
    case OPERATION_EXCHANGE_GONE:
    case OPERATION_UNBINDING:
    case OPERATION_CURSOR_DONE:
    case OPERATION_SEEN:
    case OPERATION_CLIENT_GONE:
    case OPERATION_TYPE_COUNT:
        break;
    }
    return NULL;
}

/* STATUS_OK: the queue holds the message, and from here; STATUS_NOT_FOUND; STATUS_MORE: its page of
 * the index is being read. */
static enum status queue_holds(struct core *core, struct queue *queue, uint64_t number,
                               uint64_t position)
{
    const struct parked *parked = kept_find_parked(queue, number);
    if (parked != NULL)
        return place_position(parked->word) == position ? STATUS_OK : STATUS_NOT_FOUND;
    struct standing where = queue_locate(queue, number);
    if (where.at.is_away)
        return queue_ask_page(core, queue, where.at) ? STATUS_MORE : STATUS_NO_MEMORY;
    if (!standing_is_found(where) && planted(PLANT_RESTATED_DEAD))
        return STATUS_OK;
    if (!standing_is_found(where) || (standing_word(where) & PLACE_TRANSIENT) != 0 ||
        place_position(standing_word(where)) != position)
        return STATUS_NOT_FOUND;
    return STATUS_OK;
}

/* The same of a history. Its event is rather moved to a file than stated again. */
static enum status history_needs(struct core *core, uint32_t number,
                                 const struct operation_message *message, uint64_t position)
{
    const struct exchange *exchange = exchange_find_number(core, number);
    struct history *history = exchange != NULL ? exchange->history : NULL;
    if (history == NULL ||
        !history_holds(history, event_terms(message->properties).sequence, position))
        return STATUS_NOT_FOUND;
    return mover_hurry(core, history) ? STATUS_MORE : STATUS_OK;
}

static enum status receiver_holds(struct core *core, uint32_t number,
                                  const struct operation_message *message, uint64_t position)
{
    if ((number & HISTORY_BIT) != 0)
        return history_needs(core, number & ~HISTORY_BIT, message, position);
    struct queue *queue = queue_find_number(core, number);
    return queue != NULL ? queue_holds(core, queue, message->number, position) : STATUS_NOT_FOUND;
}

static bool reserve_numbers(struct restate *restate, uint32_t bytes)
{
    if (bytes <= restate->numbers_room)
        return true;
    unsigned char *numbers = realloc(restate->numbers, bytes);
    if (numbers == NULL)
        return false;
    restate->numbers = numbers;
    restate->numbers_room = bytes;
    return true;
}

/* Lists the queues that still hold the message, from where the walk had to wait on; *bytes is the
 * size of the list. STATUS_MORE: the page of the queue at *end is being read. Those before the
 * first one that holds it are done with. */
static enum status list_holders(struct core *core, const struct operation_message *operation,
                                uint64_t position, uint32_t *bytes, uint32_t *end)
{
    struct restate *restate = &core->restate;
    *bytes = 0;
    for (uint32_t i = restate->stall_queue; i + 4 <= operation->queues.bytes; i += 4) {
        if (*bytes > 0 && planted(PLANT_RESTATED_ONE_QUEUE))
            break;
        uint32_t number = wire_load_u32(operation->queues.at + i);
        enum status status = receiver_holds(core, number, operation, position);
        if (*bytes == 0)
            restate->stall_queue = i;
        *end = i;
        if (status == STATUS_NOT_FOUND)
            continue;
        if (status != STATUS_OK)
            return status;
        wire_store_u32(restate->numbers + *bytes, number);
        *bytes += 4;
    }
    return STATUS_OK;
}

/* Leaves only the queues that still hold the message. Where there is no room for the pages of all
 * of them at a time, those that are there have to do, and the others get a copy of their own:
 * *is_part. */
static enum status narrow_queues(struct core *core, struct operation_message *operation,
                                 uint64_t position, bool *is_part)
{
    struct restate *restate = &core->restate;
    uint32_t bytes;
    uint32_t end;
    *is_part = false;
    if (!reserve_numbers(restate, operation->queues.bytes))
        return STATUS_NO_MEMORY;
    enum status status = list_holders(core, operation, position, &bytes, &end);
    *is_part = status == STATUS_MORE && bytes > 0 && restate->stall_count >= STALLS_MAX;
    if (*is_part)
        restate->stall_queue = end;
    operation->queues = wire_bytes_of(restate->numbers, bytes);
    return *is_part ? STATUS_OK : status;
}

/* --- stating it again ---------------------------------------------------------------------------
 */

/* One operation of a record, as it was found. */
struct found_operation {
    struct operation operation;
    uint64_t position;
    const unsigned char *at;
    uint32_t bytes;
};

/* What the message is in a queue besides its place: SET_ASIDE. False: it stands in the plain order.
 * Settlements of ranges reach over what does not, so that whoever replays them must know it as soon
 * as the message, whatever else of it stands elsewhere. */
static bool is_aside(const struct core *core, uint32_t number,
                     const struct operation_message *message, struct operation_set_aside *aside)
{
    const struct queue *queue = queue_find_number(core, number);
    bool is_parked = queue != NULL && kept_find_parked(queue, message->number) != NULL;
    *aside = (struct operation_set_aside){number, message->number, is_parked};
    return is_parked || (queue != NULL && kept_find_attempted(queue, message->number) != NULL);
}

static size_t asides_bytes(const struct core *core, const struct operation_message *message)
{
    size_t bytes = 0;
    struct operation_set_aside aside;
    for (uint32_t i = 0; i + 4 <= message->queues.bytes; i += 4)
        if (is_aside(core, wire_load_u32(message->queues.at + i), message, &aside))
            bytes += record_size_set_aside(&aside);
    return bytes;
}

static void put_asides(const struct core *core, const struct operation_message *message,
                       struct wire_writer *w)
{
    struct operation_set_aside aside;
    for (uint32_t i = 0; i + 4 <= message->queues.bytes; i += 4)
        if (is_aside(core, wire_load_u32(message->queues.at + i), message, &aside))
            record_put_set_aside(w, &aside);
}

static enum status append_message(struct core *core, struct found_operation *found)
{
    struct operation_message *message = &found->operation.as.message;
    bool is_part;
    enum status status = narrow_queues(core, message, found->position, &is_part);
    if (status != STATUS_OK || message->queues.bytes == 0)
        return status;
    size_t bytes = record_size_message(message) + asides_bytes(core, message);
    struct wire_writer w;
    status = recorder_begin(core, NULL, bytes, JOURNAL_PATIENT, &w);
    if (status != STATUS_OK)
        return status;
    uint64_t word = place_word_durable(recorder_position(core, &w), recorder_back(core, &w));
    record_put_message(&w, message);
    put_asides(core, message, &w);
    recorder_end(core, &w);
    core->counters.messages_restated++;
    core->counters.bytes_restated += bytes;
    spend(&core->restate, bytes);
    status = apply_message(core, message, word);
    return status == STATUS_OK && is_part ? STATUS_MORE : status;
}

/* What has changed since without being stated whole. */
static void bring_up_to_date(const struct core *core, struct operation *operation)
{
    if (operation->type == OPERATION_HISTORY)
        operation->as.history =
            history_operation(exchange_find_number(core, operation->as.history.exchange)->history);
    if (operation->type == OPERATION_START) {
        operation->as.start.next_message = core->next_message;
        operation->as.start.next_queue = core->next_queue;
        operation->as.start.next_exchange = core->next_exchange;
        operation->as.start.next_client = core->next_client;
    } else if (operation->type == OPERATION_CLIENT) {
        operation->as.client.answered =
            client_find_number(core, operation->as.client.client)->answered;
    }
}

/* What a cursor has done stands in its list. */
static enum status append_cursor(struct core *core, struct found_operation *found)
{
    const struct queue *queue = queue_find_number(core, found->operation.as.cursor.queue);
    unsigned char *done;
    struct operation_cursor operation = cursor_operation(queue->cursor, &done);
    uint32_t bytes = (uint32_t)record_size_cursor(&operation);
    struct wire_writer w;
    enum status status =
        done == NULL ? STATUS_NO_MEMORY : recorder_begin(core, NULL, bytes, JOURNAL_PATIENT, &w);
    if (status == STATUS_OK) {
        home_move(core, &queue->cursor->home, recorder_position(core, &w), bytes);
        record_put_cursor(&w, &operation);
        recorder_end(core, &w);
        core->counters.bytes_restated += bytes;
        spend(&core->restate, bytes);
    }
    free(done);
    return status;
}

static enum status append_again(struct core *core, struct found_operation *found)
{
    const struct home *home = home_of(core, &found->operation);
    if (home == NULL || home->position != found->position)
        return STATUS_OK;
    if (found->operation.type == OPERATION_CURSOR)
        return append_cursor(core, found);
    struct wire_writer w;
    enum status status = recorder_begin(core, NULL, found->bytes, JOURNAL_PATIENT, &w);
    if (status != STATUS_OK)
        return status;
    uint64_t position = recorder_position(core, &w);
    uint32_t back = recorder_back(core, &w);
    bring_up_to_date(core, &found->operation);
    record_put(&w, &found->operation);
    recorder_end(core, &w);
    core->counters.bytes_restated += found->bytes;
    spend(&core->restate, found->bytes);
    return apply_operation(core, &found->operation, position, back);
}

/* STATUS_OK: all that lives in the record was stated again. Otherwise what was done is done, and
 * the rest is found when the record is looked at again. */
static enum status restate_record(struct core *core, const struct journal_found *record)
{
    struct restate *restate = &core->restate;
    struct wire_reader r = wire_reader_of(record->at, record->bytes);
    for (;;) {
        struct found_operation found = {.at = r.at};
        found.position = record->position + (uint64_t)(r.at - record->at);
        enum status status = record_next(&r, &found.operation);
        if (status != STATUS_OK)
            return status == STATUS_MORE ? STATUS_OK : status;
        found.bytes = (uint32_t)(r.at - found.at);
        if (found.position < restate->stall_position)
            continue;
        if (found.position > restate->stall_position)
            restate->stall_queue = 0;
        restate->stall_position = found.position;
        status = found.operation.type == OPERATION_MESSAGE ? append_message(core, &found)
                                                           : append_again(core, &found);
        if (status != STATUS_OK)
            return status;
    }
}

/* --- a round ------------------------------------------------------------------------------------
 */

/* All that is durable has left the segment: what volatile queues still have there comes into
 * memory.
 */
static void detach(struct core *core)
{
    struct restate *restate = &core->restate;
    if (core->now_ms - restate->detached_ms < DETACH_INTERVAL_MS)
        return;
    restate->detached_ms = core->now_ms;
    detach_volatile_queues(core, journal_space(core->journal).oldest_end_position);
}

static void walk(struct core *core)
{
    uint64_t before = core->counters.bytes_restated;
    for (uint32_t i = 0; i < ROUND_RECORDS; i++) {
        if (core->restate.budget_bytes == 0)
            return;
        struct journal_found found;
        enum status status = journal_oldest_next(core->journal, &found);
        if (status == STATUS_NOT_FOUND)
            detach(core);
        if (status != STATUS_OK)
            return;
        if (restate_record(core, &found) != STATUS_OK) {
            core->restate.stall_count++;
            /* A page is being read, or there is no room: a later round goes on. */
            journal_oldest_again(core->journal);
            return;
        }
        core->restate.stall_count = 0;
        core->restate.stall_position = 0;
        if (core->counters.bytes_restated - before >= ROUND_BYTES)
            break;
    }
    core->has_more = true;
}

void restate_run(struct core *core)
{
    if (core->is_draining || !fill_budget(core) ||
        journal_pending_bytes(core->journal) > PENDING_BYTES_MAX)
        return;
    walk(core);
    recorder_close(core);
    core->restate.end_position = journal_end_position(core->journal);
}
