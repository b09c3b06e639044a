/* Applying what records state of single messages: failed attempts, checkpoints, parking, repair;
 * see apply.h. */
#include "broker/core/apply.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/core/kept.h"
#include "broker/core/lane.h"
#include "broker/core/queue.h"
#include "broker/core/state.h"
#include "broker/plant.h"

/* --- parked -------------------------------------------------------------------------------------
 */

/* What is kept of a message's terms while it is parked. Live without memory the reply stays as it
 * was. */
static enum status parked_take_terms(struct core *core, struct queue *queue, struct parked *parked,
                                     const struct message_terms *terms)
{
    parked->priority = terms->priority;
    parked->retry = terms->retry;
    parked->is_tracked = terms->is_tracked;
    parked->digest = terms->digest;
    if (!parked->is_repair && terms->is_tracked)
        parked->id = terms->id;
    struct reply *reply = reply_new(terms);
    if (reply != NULL || terms->reply_to.bytes == 0) {
        free(parked->reply);
        parked->reply = reply;
    } else if (!core->is_running) {
        return STATUS_NO_MEMORY;
    }
    if (parked->lane != NULL || terms->lane.bytes == 0)
        return STATUS_OK;
    struct lane *lane = lane_get(queue, terms->lane);
    if (lane == NULL)
        return STATUS_NO_MEMORY;
    lane_add_parked(core, lane, parked);
    return STATUS_OK;
}

enum status apply_to_parked(struct core *core, struct queue *queue, struct parked *parked,
                            const struct new_place *place)
{
    home_add_place(core, place_position(place->word), place->size, place->message_bytes);
    if (parked->word != 0)
        home_remove_place(core, place_position(parked->word), parked->size);
    parked->word = place->word;
    parked->size = place->size;
    return parked_take_terms(core, queue, parked, place->terms);
}

/* `lane` may be NULL. */
static void parked_take_lane(struct core *core, struct parked *parked, struct lane *lane)
{
    if (lane == NULL || parked->lane != NULL)
        return;
    lane->ref_count++;
    lane_add_parked(core, lane, parked);
}

/* What it keeps of its ward until it is repaired. */
static void parked_take_ward(struct core *core, struct parked *parked, struct ward *ward)
{
    struct tracked *tracked = ward->tracked;
    parked->retry = ward->retry;
    parked->is_tracked = tracked != NULL;
    if (tracked != NULL) {
        parked->digest = tracked->digest;
        tracked->is_decided = tracked->outcome == NULL;
    }
    if (tracked != NULL && !parked->is_repair)
        parked->id = tracked->id;
    free(parked->reply);
    parked->reply = ward->reply;
    ward->reply = NULL;
    parked_take_lane(core, parked, ward->lane);
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
    parked->retry = message_terms_plain().retry;
    if (where.aside != NULL && where.aside->has_ward)
        parked_take_ward(core, parked, aside_ward(where.aside));
    parked_take_lane(core, parked, lane_plain_find(&queue->plains, parked->number));
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
    parked->is_repair = !wire_id_is_zero(&operation->id);
    if (parked->is_repair)
        parked->id = operation->id;
    home_move(core, &parked->home, position, (uint32_t)record_size_park(operation));
    park_place(core, queue, parked);
    return STATUS_OK;
}

/* --- attempts -----------------------------------------------------------------------------------
 */

/* What the operation speaks of stands aside from now on, and is with nobody. NULL: it is not seen
 * yet. asides_reserve_for went before. */
static struct aside *set_aside(struct core *core, struct queue *queue, uint64_t number)
{
    struct standing where = queue_locate(queue, number);
    if (where.aside != NULL || where.at.found == NULL)
        return where.aside;
    struct message_terms terms = message_terms_plain();
    struct place place = *where.at.found;
    if ((place.word & PLACE_TRANSIENT) != 0) {
        message_ref(place_message(place.word), 1);
        queue->transient_count++;
    }
    struct lane *lane = lane_plain_find(&queue->plains, number);
    if (planted(PLANT_LANE_LEFT))
        lane = NULL;
    if (lane != NULL)
        lane->ref_count++; /* the ward's */
    standing_leave(core, queue, where);
    queue->bytes += place_bytes(place.size);
    struct aside *aside = asides_add(queue, number, place.word & ~PLACE_OUT, place.size, &terms);
    if (lane != NULL)
        ward_take_lane(core, aside_ward(aside), lane);
    return aside;
}

enum status apply_attempt(struct core *core, struct queue *queue,
                          const struct operation_attempt *operation, uint64_t position)
{
    if (queue_locate(queue, operation->number).at.is_away)
        return STATUS_MORE; /* while recovering only: who has failed was in memory */
    struct attempted *attempted = kept_add_attempted(queue, operation->number);
    if (attempted == NULL || asides_reserve_for(queue, operation->number) != STATUS_OK)
        return STATUS_NO_MEMORY;
    attempted->failed =
        core->is_running || !planted(PLANT_ATTEMPTS_FORGOTTEN) ? operation->failed : 0;
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
    if (attempted == NULL || asides_reserve_for(queue, operation->number) != STATUS_OK)
        return STATUS_NO_MEMORY;
    struct aside *aside = set_aside(core, queue, operation->number);
    if (aside == NULL)
        return STATUS_OK;
    aside->word |= PLACE_ATTEMPTED;
    aside_schedule(core, aside, attempted->due_ms);
    return STATUS_OK;
}

/* --- repair -------------------------------------------------------------------------------------
 */

/* A parked one is back. NULL while recovering: memory ran out. */
static struct aside *unpark(struct core *core, struct queue *queue, struct parked *parked,
                            const struct repair *repair)
{
    struct message_terms terms = kept_repair_terms(parked, repair);
    if (!core->is_running && asides_reserve(queue, &terms) != STATUS_OK)
        return NULL;
    struct aside *aside =
        asides_add(queue, parked->number, parked->word | PLACE_REDELIVERED | PLACE_RESTATED,
                   parked->size, &terms);
    queue->bytes += place_bytes(aside->size);
    parked->word = 0; /* its home is the message's again */
    return aside;
}

/* While recovering, its message may be there already as the one that it was, or come later. */
static enum status begin_repair(struct core *core, struct queue *queue, uint64_t number,
                                struct attempted *attempted)
{
    struct parked *parked = kept_find_parked(queue, number);
    struct aside *aside;
    if (parked != NULL && parked->word != 0) {
        aside = unpark(core, queue, parked, attempted->repair);
        if (aside == NULL)
            return STATUS_NO_MEMORY;
    } else {
        if (asides_reserve_for(queue, number) != STATUS_OK)
            return STATUS_NO_MEMORY;
        aside = set_aside(core, queue, number);
        if (aside != NULL && ward_repair(core, aside, attempted->repair) != STATUS_OK)
            return STATUS_NO_MEMORY;
    }
    if (parked != NULL)
        kept_end_parked(core, queue, parked);
    if (aside == NULL)
        return STATUS_OK;
    aside->word |= PLACE_ATTEMPTED;
    aside_schedule(core, aside, attempted->due_ms);
    return STATUS_OK;
}

enum status apply_repair(struct core *core, struct queue *queue,
                         const struct operation_repair *operation, uint64_t position)
{
    if (kept_find_parked(queue, operation->number) == NULL &&
        queue_locate(queue, operation->number).at.is_away)
        return STATUS_MORE; /* while recovering only */
    struct attempted *attempted = kept_add_attempted(queue, operation->number);
    struct repair *repair = attempted != NULL ? kept_add_repair(attempted) : NULL;
    if (repair == NULL)
        return STATUS_NO_MEMORY;
    bool is_known = memcmp(&repair->id, &operation->id, sizeof repair->id) == 0;
    home_move(core, &repair->home, position, (uint32_t)record_size_repair(operation));
    if (position > queue->attempt_position)
        queue->attempt_position = position;
    if (is_known)
        return STATUS_OK; /* stated again */
    repair->id = operation->id;
    repair->repairs = operation->repairs;
    repair->time_ms = operation->time_ms;
    if (attempted->history == NULL)
        kept_set_bytes(&attempted->history, operation->history);
    return begin_repair(core, queue, operation->number, attempted);
}

/* --- what is said while it runs ------------------------------------------------------------------
 */

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

/* A message that keeps more than its place stands aside; whoever has it goes on having it. */
enum status apply_checkpoint(struct core *core, struct queue *queue,
                             const struct operation_checkpoint *operation, uint64_t position)
{
    struct standing where = queue_locate(queue, operation->number);
    if (where.at.is_away)
        return STATUS_MORE; /* while recovering only */
    struct attempted *attempted = kept_add_attempted(queue, operation->number);
    if (attempted == NULL || asides_reserve_for(queue, operation->number) != STATUS_OK)
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
