/* Applying what is said of single messages: they are parked, tried again, cancelled, have a
 * checkpoint. Whatever is said of one takes it out of the plain order. */
#include "broker/core/apply.h"

#include <assert.h>

#include "broker/core/kept.h"
#include "broker/core/lane.h"
#include "broker/core/queue.h"
#include "broker/core/state.h"
#include "broker/plant.h"

/* What it keeps of its ward until it is repaired. */
static void take_terms(struct core *core, struct parked *parked, struct ward *ward)
{
    parked->retry = ward->retry;
    if (ward->lane == NULL || parked->lane != NULL)
        return;
    ward->lane->ref_count++;
    lane_add_parked(core, ward->lane, parked);
}

/* The message of a parked command leaves the queue's order, if it is there: it was parked already,
 * or it comes later. */
static void park_place(struct core *core, struct queue *queue, struct parked *parked)
{
    struct standing where = queue_locate(queue, parked->number);
    if (!standing_is_found(where)) {
        attempts_end(core, queue, parked->number);
        return;
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
    standing_leave(core, queue, where); /* its home is the parked command's now */
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
    park_place(core, queue, parked);
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
        standing_leave(core, queue, where);
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

/* Live the message has been there for long, and only its home moves. */
enum status apply_set_aside(struct core *core, struct queue *queue,
                            const struct operation_set_aside *operation)
{
    if (core->is_running)
        return STATUS_OK;
    if (operation->is_parked != 0) {
        struct parked *parked = kept_add_parked(queue, operation->number);
        if (parked == NULL)
            return STATUS_NO_MEMORY;
        park_place(core, queue, parked);
        return STATUS_OK;
    }
    struct attempted *attempted = kept_add_attempted(queue, operation->number);
    struct message_terms terms = message_terms_plain();
    if (attempted == NULL || asides_reserve(queue, &terms) != STATUS_OK)
        return STATUS_NO_MEMORY;
    struct aside *aside = set_aside(core, queue, operation->number);
    if (aside == NULL)
        return STATUS_OK;
    aside->word |= PLACE_ATTEMPTED;
    aside_schedule(core, aside, attempted->due_ms);
    return STATUS_OK;
}
