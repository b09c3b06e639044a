/* The only way to change durable state: applying what a record states. */
#include "broker/core/apply.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/core/exchange.h"
#include "broker/core/kept.h"
#include "broker/core/lane.h"
#include "broker/core/queue.h"
#include "broker/plant.h"
#include "broker/core/state.h"

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

/* --- messages -----------------------------------------------------------------------------------
 */

void apply_message_to(struct core *core, struct queue *queue, const struct new_place *place)
{
    if (place->terms.is_plain)
        index_insert(&queue->index, place->number, place->word, place->size);
    else
        aside_schedule(core,
                       asides_add(queue, place->number, place->word, place->size, &place->terms),
                       place->terms.due_ms);
    queue->bytes += place_bytes(place->size);
    queue->accepted_total++;
    home_add_place(core, place_position(place->word), place->size, place->message_bytes);
}

static enum status parked_meet(struct core *core, struct queue *queue, struct parked *parked,
                               const struct new_place *place)
{
    home_add_place(core, place_position(place->word), place->size, place->message_bytes);
    if (parked->word != 0)
        home_remove_place(core, place_position(parked->word), parked->size);
    parked->word = place->word;
    parked->size = place->size;
    parked->priority = place->terms.priority;
    parked->retry = place->terms.retry;
    if (parked->lane != NULL || place->terms.lane.bytes == 0)
        return STATUS_OK;
    parked->lane = lane_get(queue, place->terms.lane);
    if (parked->lane == NULL)
        return STATUS_NO_MEMORY;
    lane_on_parked(core, parked->lane, 1);
    return STATUS_OK;
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
        return parked_meet(core, queue, parked, place);
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
    const struct attempted *attempted = kept_find_attempted(queue, place->number);
    if (attempted != NULL) {
        added.word |= PLACE_ATTEMPTED;
        added.terms.is_plain = false;
        if (attempted->due_ms > added.terms.due_ms)
            added.terms.due_ms = attempted->due_ms;
    }
    enum status status = added.terms.is_plain ? index_reserve(&queue->index, place->number)
                                              : asides_reserve(queue, &added.terms);
    if (status == STATUS_OK)
        apply_message_to(core, queue, &added);
    return status;
}

enum status apply_message(struct core *core, const struct operation_message *operation,
                          uint64_t word)
{
    if (operation->number >= core->next_message)
        core->next_message = operation->number + 1;
    uint32_t queue_count = operation->queues.bytes / 4;
    struct new_place place = {operation->number, word,
                              place_size(message_counted_bytes(operation), queue_count),
                              (uint32_t)record_size_message(operation), message_terms(operation)};
    for (uint32_t i = 0; i + 4 <= operation->queues.bytes; i += 4) {
        struct queue *queue = queue_named(core, wire_load_u32(operation->queues.at + i));
        if (queue == NULL)
            return STATUS_NO_MEMORY;
        enum status status = message_into(core, queue, &place);
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
    index_remove(&queue->index, at);
}

void place_remove(struct core *core, struct queue *queue, struct index_at at)
{
    uint64_t word = at.found->word;
    if ((word & PLACE_TRANSIENT) == 0)
        home_remove_place(core, place_position(word), at.found->size);
    place_leave(core, queue, at);
}

static void attempts_end(struct core *core, struct queue *queue, uint64_t number)
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

/* A range is of places of the index: what stands aside is settled by itself. */
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

/* What it keeps of its ward until it is repaired. */
static void take_terms(struct core *core, struct parked *parked, struct ward *ward)
{
    parked->retry = ward->retry;
    if (ward->lane == NULL || parked->lane != NULL)
        return;
    parked->lane = ward->lane;
    parked->lane->ref_count++;
    lane_on_parked(core, parked->lane, 1);
}

enum status apply_park(struct core *core, struct queue *queue,
                       const struct operation_park *operation, uint64_t position)
{
    struct parked *parked = kept_add_parked(queue, operation->number);
    if (parked == NULL)
        return STATUS_NO_MEMORY;
    parked->time_ms = operation->time_ms;
    parked->attempts = operation->attempts;
    kept_set_bytes(&parked->history, operation->history);
    home_move(core, &parked->home, position, (uint32_t)record_size_park(operation));
    struct standing where = queue_locate(queue, operation->number);
    if (!standing_is_found(where)) {
        attempts_end(core, queue, operation->number);
        return STATUS_OK; /* it was parked already, or its message comes later */
    }
    uint64_t word = standing_word(where);
    assert((word & PLACE_TRANSIENT) == 0);
    if (parked->word != 0)
        home_remove_place(core, place_position(parked->word), parked->size);
    parked->word = word & ~PLACE_FLAGS;
    parked->size = standing_size(where);
    parked->priority = where.aside != NULL ? where.aside->priority : ASIDE_PRIORITY_DEFAULT;
    if (where.aside != NULL && where.aside->has_ward)
        take_terms(core, parked, aside_ward(where.aside));
    /* Its home is the parked command's now. */
    if (where.aside != NULL)
        aside_leave(core, queue, where.aside);
    else
        place_leave(core, queue, where.at);
    return STATUS_OK;
}

/* What the operation speaks of stands aside from now on, and is with nobody. NULL: it is not seen
 * yet. asides_reserve went before. */
static struct aside *set_aside(struct core *core, struct queue *queue, uint64_t number)
{
    struct standing where = queue_locate(queue, number);
    if (where.aside != NULL)
        return where.aside;
    struct parked *parked = kept_find_parked(queue, number);
    struct aside *aside = NULL;
    struct message_terms terms = apply_attempt_terms(queue, number);
    if (where.at.found != NULL) {
        struct place place = *where.at.found;
        if ((place.word & PLACE_TRANSIENT) != 0) {
            message_ref(place_message(place.word), 1);
            queue->transient_count++;
        }
        place_leave(core, queue, where.at);
        aside = asides_add(queue, number, place.word & ~PLACE_OUT, place.size, &terms);
    } else if (parked != NULL && parked->word != 0) {
        aside = asides_add(queue, number, parked->word | PLACE_REDELIVERED | PLACE_RESTATED,
                           parked->size, &terms);
        parked->word = 0; /* its home is the message's again */
    }
    if (aside != NULL)
        queue->bytes += place_bytes(aside->size);
    if (parked != NULL)
        kept_end_parked(core, queue, parked);
    return aside;
}

struct message_terms apply_attempt_terms(const struct queue *queue, uint64_t number)
{
    struct message_terms terms = message_terms_plain();
    const struct parked *parked = kept_find_parked(queue, number);
    if (parked == NULL)
        return terms;
    terms.priority = parked->priority;
    terms.retry = parked->retry;
    if (parked->lane != NULL)
        terms.lane = lane_key(parked->lane);
    terms.needs_ward = parked->lane != NULL;
    return terms;
}

enum status apply_attempt(struct core *core, struct queue *queue,
                          const struct operation_attempt *operation, uint64_t position)
{
    if (kept_find_parked(queue, operation->number) == NULL &&
        queue_locate(queue, operation->number).at.is_away)
        return STATUS_MORE; /* while recovering only: who has failed was in memory */
    struct attempted *attempted = kept_add_attempted(queue, operation->number);
    struct message_terms terms = apply_attempt_terms(queue, operation->number);
    if (attempted == NULL || asides_reserve(queue, &terms) != STATUS_OK)
        return STATUS_NO_MEMORY;
    attempted->failed = operation->failed;
    attempted->since_ms = operation->since_ms;
    kept_set_bytes(&attempted->history, operation->history);
    attempted->due_ms = operation->due_ms;
    home_move(core, &attempted->home, position, (uint32_t)record_size_attempt(operation));
    struct aside *aside = set_aside(core, queue, operation->number);
    if (aside != NULL)
        aside->word |= PLACE_ATTEMPTED;
    if (aside != NULL)
        aside_schedule(core, aside, operation->due_ms);
    if (position > queue->attempt_position)
        queue->attempt_position = position;
    return STATUS_OK;
}

enum status apply_cancel(struct core *core, struct queue *queue,
                         const struct operation_cancel *operation, uint64_t position)
{
    struct attempted *attempted = kept_add_attempted(queue, operation->number);
    if (attempted == NULL)
        return STATUS_NO_MEMORY;
    attempted->is_cancelled = !planted(PLANT_CANCEL_FORGOTTEN);
    home_move(core, &attempted->cancel_home, position, (uint32_t)record_size_cancel(operation));
    struct aside *aside = asides_find(&queue->asides, operation->number);
    if (aside != NULL)
        aside->word |= PLACE_ATTEMPTED;
    if (position > queue->attempt_position)
        queue->attempt_position = position;
    return STATUS_OK;
}

enum status apply_reserve_checkpoint(struct queue *queue)
{
    struct message_terms terms = message_terms_plain();
    return asides_reserve(queue, &terms);
}

/* A message that keeps more than its place stands aside; whoever has it goes on having it. */
enum status apply_checkpoint(struct core *core, struct queue *queue,
                             const struct operation_checkpoint *operation, uint64_t position)
{
    struct standing where = queue_locate(queue, operation->number);
    if (where.at.is_away)
        return STATUS_MORE; /* while recovering only */
    struct attempted *attempted = kept_add_attempted(queue, operation->number);
    if (attempted == NULL || apply_reserve_checkpoint(queue) != STATUS_OK)
        return STATUS_NO_MEMORY;
    kept_set_bytes(&attempted->checkpoint, operation->checkpoint);
    home_move(core, &attempted->checkpoint_home, position,
              (uint32_t)record_size_checkpoint(operation));
    if (position > queue->attempt_position)
        queue->attempt_position = position;
    if (!standing_is_found(where))
        return STATUS_OK;
    bool was_out = (standing_word(where) & PLACE_OUT) != 0;
    bool is_new = where.aside == NULL;
    struct aside *aside = set_aside(core, queue, operation->number);
    aside->word |= PLACE_ATTEMPTED;
    if (is_new && was_out)
        aside_set_out(core, aside);
    else if (is_new)
        aside_schedule(core, aside, attempted->due_ms);
    return STATUS_OK;
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

/* Stated again, so that only its home has changed: it may have come due, or be out again. */
static void attempt_restated(struct core *core, struct queue *queue,
                             const struct operation_attempt *operation, uint64_t position)
{
    struct attempted *attempted = kept_find_attempted(queue, operation->number);
    assert(attempted != NULL);
    home_move(core, &attempted->home, position, (uint32_t)record_size_attempt(operation));
}

/* Operations on one place. A settlement of what is gone needs no queue; the others speak of
 * something that lives, or that a later record ends. */
static enum status recover_place(struct core *core, const struct operation *operation,
                                 uint64_t position)
{
    /* All of them begin with the queue's number. */
    uint32_t number = operation->as.settle.queue;
    bool is_settle = operation->type == OPERATION_SETTLE;
    struct queue *queue = is_settle ? queue_find_number(core, number) : queue_named(core, number);
    if (queue == NULL)
        return is_settle ? STATUS_OK : STATUS_NO_MEMORY;
    if (operation->type == OPERATION_PARK)
        return apply_park(core, queue, &operation->as.park, position);
    if (operation->type == OPERATION_CHECKPOINT)
        return apply_checkpoint(core, queue, &operation->as.checkpoint, position);
    if (operation->type == OPERATION_CANCEL)
        return apply_cancel(core, queue, &operation->as.cancel, position);
    if (operation->type == OPERATION_ATTEMPT && core->is_running)
        attempt_restated(core, queue, &operation->as.attempt, position);
    else if (operation->type == OPERATION_ATTEMPT)
        return apply_attempt(core, queue, &operation->as.attempt, position);
    else if (is_settle)
        apply_settle(core, queue, &operation->as.settle);
    else
        apply_mark(core, queue, &operation->as.mark, position);
    return STATUS_OK;
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
    case OPERATION_PARK:
    case OPERATION_ATTEMPT:
    case OPERATION_CANCEL:
    case OPERATION_CHECKPOINT:
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
    case OPERATION_OUTCOME:
        return tracked_apply(core, &operation->as.outcome, position);
    case OPERATION_TYPE_COUNT:
        assert(false && "an operation of this type is never decoded");
    }
    return STATUS_OK;
}
