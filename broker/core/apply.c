/* The only way to change durable state: applying what a record states. */
#include "broker/core/apply.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/core/cursor.h"
#include "broker/core/event.h"
#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/kept.h"
#include "broker/core/lane.h"
#include "broker/core/purge.h"
#include "broker/core/queue.h"
#include "broker/plant.h"
#include "broker/core/state.h"
#include "protocol/property.h"

/* --- what records name -----------------------------------------------------------------------
 *
 * Whatever is live is stated again later than it was first, so while recovery reads the journal an
 * operation may name an object whose definition only comes behind it. It gets one without a name;
 * the definition gives it its name, or the record of its end takes it away again. Live there is
 * none such.
 */

static struct queue *queue_named(struct core *core, uint32_t number)
{
    struct queue *queue = queue_find_number(core, number);
    return queue != NULL ? queue : queue_new(core, QUEUE_DURABLE, number, wire_bytes_of(NULL, 0));
}

static struct exchange *exchange_named(struct core *core, uint32_t number)
{
    struct exchange *exchange = exchange_find_number(core, number);
    return exchange != NULL ? exchange
                            : exchange_new(core, EXCHANGE_DURABLE, number, wire_bytes_of(NULL, 0));
}

static struct history *history_named(struct core *core, uint32_t number)
{
    struct exchange *exchange = exchange_named(core, number);
    if (exchange == NULL || exchange->history != NULL)
        return exchange != NULL ? exchange->history : NULL;
    return history_new(core, exchange);
}

/* --- messages -----------------------------------------------------------------------------------
 */

void apply_message_to(struct core *core, struct queue *queue, const struct new_place *place)
{
    if (place->is_plain)
        index_insert(&queue->index, place->number, place->word, place->size);
    /* A live subscription has no lanes. */
    if (place->is_plain && place->terms->is_only_laned && queue->plains.entering != NULL)
        lane_plain_enter(core, queue, place->number);
    if (!place->is_plain)
        aside_schedule(core,
                       asides_add(queue, place->number, place->word, place->size, place->terms),
                       place->terms->due_ms);
    queue->bytes += place_bytes(place->size);
    queue->accepted_total++;
    home_add_place(core, place_position(place->word), place->size, place->message_bytes);
}

/* What the place's flags say stays, but for the position. */
static uint64_t word_moved(uint64_t old, uint64_t word)
{
    return (old & PLACE_FLAGS) | (word & ~PLACE_FLAGS) | PLACE_RESTATED;
}

static void aside_move(struct core *core, struct aside *aside, const struct new_place *place)
{
    home_add_place(core, place_position(place->word), place->size, place->message_bytes);
    home_remove_place(core, place_position(aside->word), aside->size);
    aside->word = word_moved(aside->word, place->word);
    aside->size = place->size;
}

/* The place keeps its flags and gets the message's new position. */
static void place_move(struct core *core, struct queue *queue, struct index_at at,
                       const struct new_place *place)
{
    home_add_place(core, place_position(place->word), place->size, place->message_bytes);
    home_remove_place(core, place_position(at.found->word), at.found->size);
    if (!planted(PLANT_RESTATED_NOT_MOVED))
        index_move(&queue->index, at, place->word, place->size);
    index_set_flags(&queue->index, at, PLACE_RESTATED);
}

static enum status message_into(struct core *core, struct queue *queue,
                                const struct new_place *place)
{
    struct parked *parked = kept_find_parked(queue, place->number);
    if (parked != NULL)
        return apply_to_parked(core, queue, parked, place);
    struct standing where = queue_locate(queue, place->number);
    if (where.at.is_away)
        return STATUS_MORE;
    if (where.aside != NULL) {
        aside_move(core, where.aside, place);
        return STATUS_OK;
    }
    if (where.at.found != NULL) {
        place_move(core, queue, where.at, place);
        return STATUS_OK;
    }
    struct new_place added = *place;
    struct message_terms terms;
    const struct attempted *attempted = kept_find_attempted(queue, place->number);
    if (attempted != NULL) {
        added.word |= PLACE_ATTEMPTED;
        terms = *place->terms;
        terms.is_plain = false;
        if (attempted->repair != NULL)
            message_terms_repair(&terms, attempted->repair);
        if (attempted->due_ms > terms.due_ms)
            terms.due_ms = attempted->due_ms;
        added.is_plain = false;
        added.terms = &terms;
    }
    enum status status = added.is_plain ? index_reserve(&queue->index, place->number)
                                        : asides_reserve(queue, added.terms);
    if (status == STATUS_OK && queue->cursor != NULL)
        status = cursor_reserve(queue->cursor);
    if (status != STATUS_OK)
        return status;
    if (queue->cursor != NULL) /* a copy of one of its events */
        cursor_apply_done(queue->cursor, place->number, place->number);
    apply_message_to(core, queue, &added);
    return STATUS_OK;
}

static enum status event_into(struct core *core, uint32_t number,
                              const struct operation_message *operation,
                              const struct new_place *place)
{
    struct history *history = history_named(core, number);
    if (history == NULL)
        return STATUS_NO_MEMORY;
    uint64_t sequence = event_terms(operation->properties).sequence;
    if (sequence == 0)
        return STATUS_CORRUPT;
    struct history_event event = {sequence, place->word, place->size};
    return history_meet(core, history, operation, &event, place->message_bytes);
}

enum status apply_message(struct core *core, const struct operation_message *operation,
                          uint64_t word)
{
    if (operation->number >= core->next_message)
        core->next_message = operation->number + 1;
    uint32_t queue_count = operation->queues.bytes / 4;
    struct message_terms terms;
    message_terms(operation, &terms);
    struct new_place place = {operation->number,
                              word,
                              place_size(message_counted_bytes(operation), queue_count),
                              (uint32_t)record_size_message(operation),
                              terms.is_plain,
                              &terms};
    for (uint32_t i = 0; i + 4 <= operation->queues.bytes; i += 4) {
        uint32_t number = wire_load_u32(operation->queues.at + i);
        enum status status;
        if ((number & HISTORY_BIT) != 0) {
            status = event_into(core, number & ~HISTORY_BIT, operation, &place);
        } else {
            struct queue *queue = queue_named(core, number);
            status = queue != NULL ? message_into(core, queue, &place) : STATUS_NO_MEMORY;
        }
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* Takes the place out of its queue; who has the message's home then is the caller's. */
static void place_leave(struct core *core, struct queue *queue, struct index_at at)
{
    uint64_t word = at.found->word;
    queue->bytes -= place_bytes(at.found->size);
    if ((word & PLACE_OUT) != 0)
        queue->out_count--;
    if ((word & PLACE_TRANSIENT) != 0) {
        queue->transient_count--;
        message_unref(core, place_message(word));
    }
    lane_plain_leave(core, queue, index_number(&queue->index, at), at);
    index_remove(&queue->index, at);
}

void place_remove(struct core *core, struct queue *queue, struct index_at at)
{
    uint64_t word = at.found->word;
    if ((word & PLACE_TRANSIENT) == 0)
        home_remove_place(core, place_position(word), at.found->size);
    place_leave(core, queue, at);
}

void attempts_end(struct core *core, struct queue *queue, uint64_t number)
{
    struct attempted *attempted = kept_find_attempted(queue, number);
    if (attempted != NULL)
        kept_end_attempted(core, queue, attempted);
}

/* As place_leave. */
static void aside_leave(struct core *core, struct queue *queue, struct aside *aside)
{
    queue->bytes -= place_bytes(aside->size);
    if ((aside->word & PLACE_ATTEMPTED) != 0)
        attempts_end(core, queue, aside->number);
    if ((aside->word & PLACE_TRANSIENT) != 0) {
        queue->transient_count--;
        message_unref(core, place_message(aside->word));
    }
    aside_remove(core, aside);
}

void standing_leave(struct core *core, struct queue *queue, struct standing where)
{
    if (where.aside != NULL)
        aside_leave(core, queue, where.aside);
    else
        place_leave(core, queue, where.at);
}

void standing_remove(struct core *core, struct queue *queue, struct standing where)
{
    if (where.at.found != NULL)
        place_remove(core, queue, where.at);
    if (where.aside == NULL)
        return;
    if ((where.aside->word & PLACE_TRANSIENT) == 0)
        home_remove_place(core, place_position(where.aside->word), where.aside->size);
    aside_leave(core, queue, where.aside);
}

static bool is_within(const struct index *index, struct index_at at, uint64_t number)
{
    uint64_t first;
    uint64_t last;
    index_range(index, at, &first, &last);
    return last <= number;
}

/* Settles one that does not stand in the index: aside, parked, or, while recovering, not seen. */
static void settle_single(struct core *core, struct queue *queue, uint64_t number)
{
    struct aside *aside = asides_find(&queue->asides, number);
    if (aside != NULL) {
        standing_remove(core, queue, (struct standing){.aside = aside});
        return;
    }
    struct parked *parked = kept_find_parked(queue, number);
    if (parked != NULL)
        kept_end_parked(core, queue, parked);
    attempts_end(core, queue, number);
}

/* A range is of places of the index: what stands aside or in a lane is settled by its number. */
void apply_settle(struct core *core, struct queue *queue, const struct operation_settle *operation)
{
    if (operation->first == operation->last)
        settle_single(core, queue, operation->first);
    struct index_at at = index_find_from(&queue->index, operation->first);
    uint64_t last = operation->last + planted(PLANT_SETTLE_OFF_BY_ONE);
    /* Without a grave a page that is away could not be read while recovering, which fails then. */
    while ((at.found != NULL && index_number(&queue->index, at) <= last) ||
           (at.is_away && queue->grave != NULL && is_within(&queue->index, at, last))) {
        struct index_at next = index_next(&queue->index, at);
        if (at.found != NULL)
            place_remove(core, queue, at);
        else
            queue_bury_page(queue, at);
        at = next;
    }
}

void apply_settle_each(struct core *core, struct queue *queue,
                       const struct operation_settle_each *operation)
{
    struct index_at at = index_find_from(&queue->index, operation->first);
    for (uint64_t number = operation->first; number <= operation->last; number++) {
        if (at.found == NULL || index_number(&queue->index, at) != number) {
            settle_single(core, queue, number);
            continue;
        }
        struct index_at next = index_next(&queue->index, at);
        lane_plain_prefetch(queue, number);
        place_remove(core, queue, at);
        at = next;
    }
}

void apply_mark(struct core *core, struct queue *queue, const struct operation_mark *operation,
                uint64_t position)
{
    /* A mark is only set anew when the one before is on disk. */
    queue->mark_before = queue->mark;
    queue->mark = operation->number;
    home_move(core, &queue->mark_home, position, (uint32_t)record_size_mark(operation));
}

/* --- definitions --------------------------------------------------------------------------------
 */

enum status apply_queue(struct core *core, const struct operation_queue *operation,
                        uint64_t position)
{
    struct queue *queue = queue_named(core, operation->queue);
    if (queue == NULL || queue_set_name(core, queue, operation->name) != STATUS_OK)
        return STATUS_NO_MEMORY;
    queue->is_auto_delete = (operation->flags & FLAG_QUEUE_AUTO_DELETE) != 0;
    queue_set(queue, operation->settings);
    home_move(core, &queue->home, position, (uint32_t)record_size_queue(operation));
    if (operation->queue >= core->next_queue)
        core->next_queue = operation->queue + 1;
    return STATUS_OK;
}

void apply_queue_gone(struct core *core, const struct operation_queue_gone *operation)
{
    struct queue *queue = queue_find_number(core, operation->queue);
    if (queue != NULL)
        queue_end(core, queue, STATUS_NO_QUEUE);
}

enum status apply_exchange(struct core *core, const struct operation_exchange *operation,
                           uint64_t position)
{
    struct exchange *exchange = exchange_named(core, operation->exchange);
    if (exchange == NULL || exchange_set_name(core, exchange, operation->name) != STATUS_OK)
        return STATUS_NO_MEMORY;
    bool is_kept = property_find_number(operation->settings, PROPERTY_EXCHANGE_HISTORY, 0) != 0;
    if (is_kept && exchange->history == NULL && history_new(core, exchange) == NULL)
        return STATUS_NO_MEMORY;
    if (is_kept)
        history_set(exchange->history, operation->settings);
    exchange->is_kept = is_kept;
    home_move(core, &exchange->home, position, (uint32_t)record_size_exchange(operation));
    if (operation->exchange >= core->next_exchange)
        core->next_exchange = operation->exchange + 1;
    return STATUS_OK;
}

void apply_exchange_gone(struct core *core, const struct operation_exchange_gone *operation)
{
    struct exchange *exchange = exchange_find_number(core, operation->exchange);
    if (exchange != NULL)
        exchange_end(core, exchange);
}

enum status apply_binding(struct core *core, const struct operation_binding *operation,
                          uint64_t position)
{
    struct exchange *exchange = exchange_named(core, operation->exchange);
    struct binding_terms terms = {.pattern = operation->pattern, .filter = operation->filter};
    if (operation->kind == BINDING_TO_EXCHANGE)
        terms.to.exchange = exchange_named(core, operation->to);
    else
        terms.to.queue = queue_named(core, operation->to);
    if (exchange == NULL || (terms.to.exchange == NULL && terms.to.queue == NULL))
        return STATUS_NO_MEMORY;
    return exchange_bind(core, exchange, &terms, position);
}

void apply_unbinding(struct core *core, const struct operation_unbinding *operation)
{
    struct exchange *exchange = exchange_find_number(core, operation->exchange);
    struct destination to = exchange_destination(core, operation->kind, operation->to);
    if (exchange != NULL && (to.queue != NULL || to.exchange != NULL))
        exchange_unbind(core, exchange, to, operation->pattern);
}

static enum status apply_history(struct core *core, const struct operation_history *operation,
                                 uint64_t position)
{
    struct history *history = history_named(core, operation->exchange);
    if (history == NULL)
        return STATUS_NO_MEMORY;
    history_apply(core, history, operation, position);
    return STATUS_OK;
}

static enum status apply_cursor(struct core *core, const struct operation_cursor *operation,
                                uint64_t position)
{
    struct queue *queue = queue_named(core, operation->queue);
    struct history *history = history_named(core, operation->exchange);
    struct feed_terms terms = {operation->pattern, operation->filter, operation->from_ms};
    if (queue == NULL || history == NULL ||
        (queue->cursor == NULL && cursor_new(queue, history, &terms) != STATUS_OK))
        return STATUS_NO_MEMORY;
    return cursor_apply(core, queue, operation, position);
}

static enum status apply_cursor_done(struct core *core,
                                     const struct operation_cursor_done *operation)
{
    struct queue *queue = queue_find_number(core, operation->queue);
    if (queue == NULL || queue->cursor == NULL || operation->last < operation->first)
        return STATUS_OK; /* its cursor is stated again later */
    if (planted(PLANT_CURSOR_FORGETS) && operation->first > cursor_low(queue->cursor) + 1)
        return STATUS_OK;
    if (cursor_reserve(queue->cursor) != STATUS_OK)
        return STATUS_NO_MEMORY;
    cursor_apply_done(queue->cursor, operation->first, operation->last);
    return STATUS_OK;
}

/* --- recovery and restating ---------------------------------------------------------------------
 */

static void recover_start(struct core *core, const struct operation_start *operation,
                          uint64_t position)
{
    core->start_number = operation->start;
    home_move(core, &core->start_home, position, (uint32_t)record_size_start(operation));
    if (operation->next_message > core->next_message)
        core->next_message = operation->next_message;
    if (operation->next_queue > core->next_queue)
        core->next_queue = operation->next_queue;
    if (operation->next_exchange > core->next_exchange)
        core->next_exchange = operation->next_exchange;
    if (operation->next_client > core->next_client)
        core->next_client = operation->next_client;
}

/* Stated again, so that only its home has changed: it may have come due, or be out again. What it
 * says was on disk before, so that no hand-out waits for it. */
static void place_restated(struct core *core, struct queue *queue,
                           const struct operation *operation, uint64_t position)
{
    uint64_t number = operation->as.attempt.number;
    struct parked *parked = kept_find_parked(queue, number);
    struct attempted *attempted = kept_find_attempted(queue, number);
    assert(operation->type == OPERATION_PARK ? parked != NULL : attempted != NULL);
    if (operation->type == OPERATION_PARK)
        home_move(core, &parked->home, position, (uint32_t)record_size_park(&operation->as.park));
    if (operation->type == OPERATION_ATTEMPT)
        home_move(core, &attempted->home, position,
                  (uint32_t)record_size_attempt(&operation->as.attempt));
    if (operation->type == OPERATION_CANCEL)
        home_move(core, &attempted->cancel_home, position,
                  (uint32_t)record_size_cancel(&operation->as.cancel));
    if (operation->type == OPERATION_CHECKPOINT)
        home_move(core, &attempted->checkpoint_home, position,
                  (uint32_t)record_size_checkpoint(&operation->as.checkpoint));
    if (operation->type == OPERATION_REPAIR)
        home_move(core, &attempted->repair->home, position,
                  (uint32_t)record_size_repair(&operation->as.repair));
}

/* A settlement of what is gone needs no queue. */
static enum status recover_settle(struct core *core, const struct operation *operation)
{
    const struct operation_settle_each *each = &operation->as.settle_each;
    bool is_each = operation->type == OPERATION_SETTLE_EACH;
    if (is_each && (each->last < each->first || each->last - each->first >= SETTLE_EACH_MAX))
        return STATUS_CORRUPT;
    struct queue *queue =
        queue_find_number(core, is_each ? each->queue : operation->as.settle.queue);
    if (queue != NULL && is_each)
        apply_settle_each(core, queue, each);
    else if (queue != NULL)
        apply_settle(core, queue, &operation->as.settle);
    return STATUS_OK;
}

/* Operations on one place, of something that lives or that a later record ends. */
static enum status recover_place(struct core *core, const struct operation *operation,
                                 uint64_t position)
{
    /* All of them begin with the queue's number, and most go on with the message's. */
    struct queue *queue = queue_named(core, operation->as.mark.queue);
    if (queue == NULL)
        return STATUS_NO_MEMORY;
    if (operation->type == OPERATION_MARK) {
        apply_mark(core, queue, &operation->as.mark, position);
        return STATUS_OK;
    }
    if (operation->type == OPERATION_SET_ASIDE)
        return apply_set_aside(core, queue, &operation->as.set_aside);
    if (core->is_running) {
        place_restated(core, queue, operation, position);
        return STATUS_OK;
    }
    if (operation->type == OPERATION_PARK)
        return apply_park(core, queue, &operation->as.park, position);
    if (operation->type == OPERATION_CHECKPOINT)
        return apply_checkpoint(core, queue, &operation->as.checkpoint, position);
    if (operation->type == OPERATION_CANCEL)
        return apply_cancel(core, queue, &operation->as.cancel, position);
    if (operation->type == OPERATION_REPAIR)
        return apply_repair(core, queue, &operation->as.repair, position);
    return apply_attempt(core, queue, &operation->as.attempt, position);
}

enum status apply_operation(struct core *core, const struct operation *operation, uint64_t position,
                            uint32_t back)
{
    switch (operation->type) {
    case OPERATION_START:
        recover_start(core, &operation->as.start, position);
        break;
    case OPERATION_MESSAGE:
        return apply_message(core, &operation->as.message, place_word_durable(position, back));
    case OPERATION_SETTLE:
    case OPERATION_SETTLE_EACH:
        return recover_settle(core, operation);
    case OPERATION_PARK:
    case OPERATION_ATTEMPT:
    case OPERATION_CANCEL:
    case OPERATION_CHECKPOINT:
    case OPERATION_SET_ASIDE:
    case OPERATION_REPAIR:
    case OPERATION_MARK:
        return recover_place(core, operation, position);
    case OPERATION_QUEUE:
        return apply_queue(core, &operation->as.queue, position);
    case OPERATION_QUEUE_GONE:
        apply_queue_gone(core, &operation->as.queue_gone);
        break;
    case OPERATION_EXCHANGE:
        return apply_exchange(core, &operation->as.exchange, position);
    case OPERATION_EXCHANGE_GONE:
        apply_exchange_gone(core, &operation->as.exchange_gone);
        break;
    case OPERATION_BINDING:
        return apply_binding(core, &operation->as.binding, position);
    case OPERATION_UNBINDING:
        apply_unbinding(core, &operation->as.unbinding);
        break;
    case OPERATION_CLIENT:
        return apply_client(core, &operation->as.client, position);
    case OPERATION_ANSWERED:
        return apply_answered(core, &operation->as.answered, position);
    case OPERATION_REFUSED:
        return apply_refused(core, &operation->as.refused, position);
    case OPERATION_SEEN:
        apply_seen(core, &operation->as.seen);
        break;
    case OPERATION_CLIENT_GONE:
        apply_client_gone(core, &operation->as.client_gone);
        break;
    case OPERATION_HISTORY:
        return apply_history(core, &operation->as.history, position);
    case OPERATION_CURSOR:
        return apply_cursor(core, &operation->as.cursor, position);
    case OPERATION_CURSOR_DONE:
        return apply_cursor_done(core, &operation->as.cursor_done);
    case OPERATION_OUTCOME:
        return tracked_apply(core, &operation->as.outcome, position);
    case OPERATION_TYPE_COUNT:
        assert(false && "an operation of this type is never decoded");
    }
    return STATUS_OK;
}
