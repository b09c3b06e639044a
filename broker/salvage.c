/* Salvage: what a repair keeps of histories. */
#include "broker/salvage.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/property.h"

/* What the journal's records hold of the events of an exchange. */
struct recorded {
    uint32_t exchange;
    bool is_gone; /* and the end of it */
    struct runs events;
};

struct salvage {
    struct recorded *recorded;
    size_t recorded_count;
    size_t recorded_room;
    struct salvage_plan *plans;
    size_t plan_count;
};

struct salvage *salvage_new(void)
{
    return calloc(1, sizeof(struct salvage));
}

static void plan_deinit(struct salvage_plan *plan)
{
    entities_deinit(&plan->kept);
    runs_deinit(&plan->lost);
    runs_deinit(&plan->dropped);
}

void salvage_free(struct salvage *salvage)
{
    if (salvage == NULL)
        return;
    for (size_t i = 0; i < salvage->recorded_count; i++)
        runs_deinit(&salvage->recorded[i].events);
    for (size_t i = 0; i < salvage->plan_count; i++)
        plan_deinit(&salvage->plans[i]);
    free(salvage->recorded);
    free(salvage->plans);
    free(salvage);
}

/* --- what survives in the journal ---------------------------------------------------------------
 */

static struct recorded *find_recorded(const struct salvage *salvage, uint32_t exchange)
{
    for (size_t i = 0; i < salvage->recorded_count; i++)
        if (salvage->recorded[i].exchange == exchange)
            return &salvage->recorded[i];
    return NULL;
}

static struct recorded *get_recorded(struct salvage *salvage, uint32_t exchange)
{
    struct recorded *found = find_recorded(salvage, exchange);
    if (found != NULL)
        return found;
    if (salvage->recorded_count == salvage->recorded_room) {
        size_t room = salvage->recorded_room > 0 ? 2 * salvage->recorded_room : 16;
        struct recorded *grown = realloc(salvage->recorded, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        salvage->recorded = grown;
        salvage->recorded_room = room;
    }
    found = &salvage->recorded[salvage->recorded_count++];
    *found = (struct recorded){.exchange = exchange};
    return found;
}

static uint64_t sequence_of(const struct operation_message *event)
{
    return property_find_number(event->properties, PROPERTY_MESSAGE_SEQUENCE, 0);
}

static enum status note_message(struct salvage *salvage, const struct operation_message *message)
{
    uint64_t sequence = sequence_of(message);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; status == STATUS_OK && i + 4 <= message->queues.bytes; i += 4) {
        uint32_t number = wire_load_u32(message->queues.at + i);
        if ((number & HISTORY_BIT) == 0 || sequence == 0)
            continue;
        struct recorded *recorded = get_recorded(salvage, number & ~HISTORY_BIT);
        status =
            recorded != NULL ? runs_add(&recorded->events, sequence, sequence) : STATUS_NO_MEMORY;
    }
    return status;
}

enum status salvage_note(struct salvage *salvage, const struct operation *operation)
{
    if (operation->type == OPERATION_MESSAGE)
        return note_message(salvage, &operation->as.message);
    if (operation->type != OPERATION_EXCHANGE_GONE)
        return STATUS_OK;
    struct recorded *recorded = get_recorded(salvage, operation->as.exchange_gone.exchange);
    if (recorded == NULL)
        return STATUS_NO_MEMORY;
    recorded->is_gone = true;
    return STATUS_OK;
}

bool salvage_may_live(const struct salvage *salvage, uint32_t exchange)
{
    const struct recorded *recorded = find_recorded(salvage, exchange);
    return recorded == NULL || !recorded->is_gone;
}

/* --- deciding -----------------------------------------------------------------------------------
 */

static uint64_t highest(const struct runs *runs)
{
    return runs->count > 0 ? runs->run[runs->count - 1].last : 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The run of events from files, or of the journal alone, that is the largest with what the journal
 * has behind it; of equal ones the newest. */
static void choose(struct salvage_plan *plan, const struct runs *filed, const struct runs *recorded)
{
    uint64_t best = 0;
    for (size_t i = 0; i < filed->count; i++) {
        struct run run = filed->run[i];
        const struct run *behind = runs_find(recorded, run.last + 1);
        uint64_t last = behind != NULL ? behind->last : run.last;
        if (last - run.first + 1 < best)
            continue;
        best = last - run.first + 1;
        plan->first = run.first;
        plan->moved = run.last;
        plan->last = last;
    }
    for (size_t i = 0; i < recorded->count; i++) {
        struct run run = recorded->run[i];
        if (run.first < plan->known_first)
            run.first = plan->known_first;
        if (run.last < run.first || run.last - run.first + 1 < best ||
            (run.last <= plan->last && run.first >= plan->first && best > 0))
            continue;
        best = run.last - run.first + 1;
        plan->first = run.first;
        plan->moved = run.first - 1;
        plan->last = run.last;
    }
    if (best > 0)
        return;
    plan->first = plan->known_last + 1; /* nothing is left, and the sequences go on */
    plan->moved = plan->last = plan->known_last;
}

/* For the report: what is nowhere, and what is there in vain. */
struct counting {
    struct salvage_plan *plan;
    enum status status;
};

static void on_lost(void *argument, uint64_t first, uint64_t last)
{
    struct counting *counting = argument;
    if (counting->status == STATUS_OK)
        counting->status = runs_add(&counting->plan->lost, first, last);
}

static enum status add_part(struct runs *runs, struct run run, uint64_t first, uint64_t last)
{
    run.first = run.first > first ? run.first : first;
    run.last = run.last < last ? run.last : last;
    return run.first <= run.last ? runs_add(runs, run.first, run.last) : STATUS_OK;
}

static enum status note_losses(struct salvage_plan *plan, const struct runs *filed,
                               const struct runs *recorded)
{
    struct runs all = {0};
    struct counting counting = {plan, STATUS_OK};
    uint64_t first = plan->known_first;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < filed->count && status == STATUS_OK; i++)
        status = add_part(&all, filed->run[i], first, plan->known_last);
    for (size_t i = 0; i < recorded->count && status == STATUS_OK; i++)
        status = add_part(&all, recorded->run[i], first, plan->known_last);
    if (status == STATUS_OK && first <= plan->known_last)
        runs_each_gap(&all, (struct run){first, plan->known_last}, on_lost, &counting);
    status = status == STATUS_OK ? counting.status : status;
    for (size_t i = 0; i < all.count && status == STATUS_OK; i++) {
        if (plan->first > 1)
            status = add_part(&plan->dropped, all.run[i], first, plan->first - 1);
        if (status == STATUS_OK)
            status =
                add_part(&plan->dropped, all.run[i], larger(plan->last + 1, first), UINT64_MAX);
    }
    runs_deinit(&all);
    return status;
}

/* Nothing is to be won: the files are as the journal says, and all is there. */
static bool is_as_stated(const struct history_view *view, const struct salvage_plan *plan)
{
    const struct core_history *stated = &view->stated;
    return history_view_is_whole(view) && plan->known_last == stated->last;
}

/* Entities that were saved, and counted all events up to there; unless a start would have removed
 * the file, and the journal can tell. */
static uint64_t highest_saved(const struct histories *histories, uint32_t exchange)
{
    uint64_t sequence = 0;
    for (size_t i = 0; i < histories->file_count; i++) {
        const struct history_file *file = &histories->files[i];
        if (file->name.exchange == exchange && file->found.has_header)
            sequence = larger(sequence, file->name.first);
    }
    return sequence;
}

static enum status decide(struct salvage *salvage, const struct histories *histories,
                          const struct history_view *view, const struct core *core)
{
    static const struct runs none;
    const struct recorded *recorded = find_recorded(salvage, view->stated.exchange);
    const struct runs *events = recorded != NULL ? &recorded->events : &none;
    struct salvage_plan *plan = &salvage->plans[salvage->plan_count];
    *plan =
        (struct salvage_plan){.exchange = view->stated.exchange, .known_first = view->stated.first};
    plan->known_last = larger(larger(view->stated.last, view->stated.moved),
                              larger(highest(&view->filed), highest(events)));
    plan->known_last = larger(plan->known_last, highest_saved(histories, view->stated.exchange));
    if (is_as_stated(view, plan))
        return STATUS_OK;
    entities_init(&plan->kept, core_census_secret(core, plan->exchange));
    salvage->plan_count++;
    choose(plan, &view->filed, events);
    return note_losses(plan, &view->filed, events);
}

enum status salvage_decide(struct salvage *salvage, const struct histories *histories,
                           const struct core *core)
{
    salvage->plans = calloc(histories->view_count + 1, sizeof *salvage->plans);
    enum status status = salvage->plans != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    for (size_t i = 0; i < histories->view_count && status == STATUS_OK; i++)
        status = decide(salvage, histories, &histories->views[i], core);
    return status;
}

struct salvage_plan *salvage_find(const struct salvage *salvage, uint32_t exchange)
{
    for (size_t i = 0; i < salvage->plan_count; i++)
        if (salvage->plans[i].exchange == exchange)
            return &salvage->plans[i];
    return NULL;
}

size_t salvage_count(const struct salvage *salvage)
{
    return salvage->plan_count;
}

struct salvage_plan *salvage_at(const struct salvage *salvage, size_t index)
{
    return &salvage->plans[index];
}

/* --- writing ------------------------------------------------------------------------------------
 */

enum status salvage_keep_entity(struct salvage_plan *plan, const struct operation_message *event)
{
    struct wire_bytes entity = property_find(event->properties, PROPERTY_MESSAGE_ENTITY);
    uint64_t version = property_find_number(event->properties, PROPERTY_MESSAGE_VERSION, 0);
    if (entity.at == NULL || version == 0)
        return STATUS_OK;
    struct entity_key key = entities_key(&plan->kept, entity);
    if (entities_reserve(&plan->kept, key) != STATUS_OK)
        return STATUS_NO_MEMORY;
    entities_set(&plan->kept, key, version, sequence_of(event));
    return STATUS_OK;
}

enum status salvage_filter(const struct salvage *salvage, uint32_t exchange,
                           const struct operation_message *event)
{
    struct salvage_plan *plan = salvage_find(salvage, exchange);
    uint64_t sequence = sequence_of(event);
    if (plan == NULL)
        return STATUS_OK;
    if (sequence <= plan->moved || sequence > plan->last)
        return STATUS_NOT_FOUND;
    return salvage_keep_entity(plan, event);
}
