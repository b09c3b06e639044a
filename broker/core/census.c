/* Counting what a core knows, without changing it. */
#include "broker/core/census.h"

#include <string.h>

#include "broker/core/client.h"
#include "broker/core/cursor.h"
#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/history_recover.h"
#include "broker/core/queue.h"
#include "broker/core/state.h"

static void count_queue(struct core_census *census, const struct queue *queue)
{
    census->queue_count++;
    census->nameless_count += queue->name == NULL;
    census->waiting_count += queue_count(queue);
    census->waiting_bytes += queue->bytes;
    census->attempted_count += HASH_COUNT(queue->attempted);
    for (const struct parked *parked = queue->parked; parked != NULL; parked = parked->hh.next) {
        census->parked_count++;
        census->bodiless_count += parked->word == 0;
    }
}

void core_census(const struct core *core, struct core_census *census)
{
    *census = (struct core_census){
        .binding_count = core->binding_count,
        .next_message = core->next_message,
        .next_queue = core->next_queue,
        .next_exchange = core->next_exchange,
        .next_client = core->next_client,
        .start_number = core->start_number,
    };
    const struct queue *queue;
    for (queue = core->queues_by_number; queue != NULL; queue = queue->by_number.next)
        count_queue(census, queue);
    const struct exchange *exchange;
    for (exchange = core->exchanges_by_number; exchange != NULL;
         exchange = exchange->by_number.next) {
        census->exchange_count++;
        census->history_count += exchange->history != NULL;
        census->nameless_count +=
            exchange->name == NULL || (exchange->history != NULL) != exchange->is_kept;
    }
    const struct client *client;
    for (client = core->clients_by_number; client != NULL; client = client->by_number.next) {
        census->client_count++;
        census->nameless_count += client->name == NULL;
    }
}

bool core_census_is_whole(const struct core_census *census)
{
    return census->nameless_count == 0 && census->bodiless_count == 0;
}

uint32_t core_census_find(const struct core *core, enum census_kind kind, struct wire_bytes name)
{
    const struct queue *queue = kind == CENSUS_QUEUE ? queue_find(core, name) : NULL;
    const struct exchange *exchange = kind == CENSUS_EXCHANGE ? exchange_find(core, name) : NULL;
    const struct client *client = kind == CENSUS_CLIENT ? client_find(core, name) : NULL;
    return queue != NULL      ? queue->number
           : exchange != NULL ? exchange->number
           : client != NULL   ? client->number
                              : 0;
}

static struct wire_bytes name_of(const char *name)
{
    return name != NULL ? wire_bytes_of_text(name) : wire_bytes_of(NULL, 0);
}

void core_census_each(const struct core *core, enum census_kind kind, core_census_fn on_object,
                      void *argument)
{
    const struct queue *queue = kind == CENSUS_QUEUE ? core->queues_by_number : NULL;
    for (; queue != NULL; queue = queue->by_number.next)
        on_object(argument, queue->number, queue_name(queue));
    const struct exchange *exchange = kind == CENSUS_EXCHANGE ? core->exchanges_by_number : NULL;
    for (; exchange != NULL; exchange = exchange->by_number.next)
        on_object(argument, exchange->number, name_of(exchange->name));
    const struct client *client = kind == CENSUS_CLIENT ? core->clients_by_number : NULL;
    for (; client != NULL; client = client->by_number.next)
        on_object(argument, client->number, name_of(client->name));
}

void core_census_histories(const struct core *core, core_census_history_fn on_history,
                           void *argument)
{
    const struct exchange *exchange = core->exchanges_by_number;
    for (; exchange != NULL; exchange = exchange->by_number.next) {
        const struct history *history = exchange->history;
        if (history == NULL)
            continue;
        struct core_history told = {.exchange = exchange->number,
                                    .name = name_of(exchange->name),
                                    .moved = history->moved,
                                    .first = history->first_stated,
                                    .file = history->file_stated,
                                    .end = history->end_stated,
                                    .entities = history->entities_stated,
                                    .last = history->last,
                                    .entity_count = history->entities.count};
        const struct cursor *cursor;
        LIST_FOREACH (cursor, &history->cursors, link)
            told.cursor_count++;
        on_history(argument, &told);
    }
}

static struct history *find_history(const struct core *core, uint32_t number)
{
    const struct exchange *exchange = exchange_find_number(core, number);
    return exchange != NULL ? exchange->history : NULL;
}

void core_census_tail(const struct core *core, uint32_t exchange, core_census_run_fn on_run,
                      void *argument)
{
    const struct history *history = find_history(core, exchange);
    uint64_t first = 0;
    uint64_t last = 0;
    for (uint32_t i = 0; history != NULL && i < history->tail_count; i++) {
        uint64_t sequence = history_tail_at(history, i)->sequence;
        if (first != 0 && sequence == last + 1) {
            last = sequence;
            continue;
        }
        if (first != 0)
            on_run(argument, first, last);
        first = last = sequence;
    }
    if (first != 0)
        on_run(argument, first, last);
}

const unsigned char *core_census_secret(const struct core *core, uint32_t exchange)
{
    const struct history *history = find_history(core, exchange);
    return history != NULL ? history->entities.secret : NULL;
}

uint32_t core_census_entities(const struct core *core, uint32_t exchange, struct entity_key *from,
                              struct archive_entity *out, uint32_t count_max)
{
    const struct history *history = find_history(core, exchange);
    return history != NULL ? entities_slice(&history->entities, from, out, count_max) : 0;
}

enum status core_census_see_entity(struct core *core, uint32_t exchange,
                                   const struct archive_entity *entity)
{
    struct history *history = find_history(core, exchange);
    return history != NULL ? history_see_entity(history, entity) : STATUS_OK;
}

enum status core_census_see_block(struct core *core, const struct archive_block *block,
                                  const unsigned char *at)
{
    struct history *history = find_history(core, block->exchange);
    struct archive_walk walk =
        archive_walk_of(at, (size_t)archive_block_bytes(block->payload_bytes));
    struct archive_event event;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && history != NULL && archive_walk_next(&walk, &event) == STATUS_OK)
        status = history_see_event(history, &event);
    return status;
}

/* --- cursors ------------------------------------------------------------------------------------
 */

/* The messages that a queue keeps by themselves: in the plain order, aside, parked. */
void core_census_above(const struct core *core, uint32_t number, uint64_t above,
                       core_census_message_fn on_message, void *argument)
{
    const struct queue *queue = queue_find_number(core, number);
    if (queue == NULL || above == UINT64_MAX)
        return;
    struct index_at at = index_find_from(&queue->index, above + 1);
    for (; at.found != NULL; at = index_next(&queue->index, at))
        on_message(argument, number, index_number(&queue->index, at));
    const struct aside *aside = NULL;
    while ((aside = asides_next(&queue->asides, aside)) != NULL)
        if (aside->number > above)
            on_message(argument, number, aside->number);
    for (const struct parked *parked = queue->parked; parked != NULL; parked = parked->hh.next)
        if (parked->number > above)
            on_message(argument, number, parked->number);
}

static void find_highest(void *argument, uint32_t queue, uint64_t number)
{
    struct core_cursor *told = argument;
    (void)queue;
    told->done = number > told->done ? number : told->done;
}

static void tell_cursor(const struct core *core, const struct cursor *cursor,
                        core_census_cursor_fn on_cursor, void *argument)
{
    struct core_cursor told = {.queue = cursor->queue->number,
                               .exchange = feed_history(cursor->feed)->number};
    if (cursor->done_count > 0)
        told.done = cursor->done[cursor->done_count - 1].last;
    core_census_above(core, told.queue, told.done, find_highest, &told);
    on_cursor(argument, &told);
}

void core_census_cursors(const struct core *core, core_census_cursor_fn on_cursor, void *argument)
{
    const struct queue *queue = core->queues_by_number;
    for (; queue != NULL; queue = queue->by_number.next)
        if (queue->cursor != NULL)
            tell_cursor(core, queue->cursor, on_cursor, argument);
}

enum status core_census_cursor(const struct core *core, uint32_t number, uint64_t last,
                               struct operation_cursor *operation, unsigned char **done)
{
    const struct queue *queue = queue_find_number(core, number);
    *operation = cursor_operation(queue->cursor, done);
    if (*done == NULL)
        return STATUS_NO_MEMORY;
    uint32_t kept = 0;
    for (; kept < operation->done.bytes; kept += 16) {
        if (wire_load_u64(*done + kept) > last)
            break;
        if (wire_load_u64(*done + kept + 8) > last)
            wire_store_u64(*done + kept + 8, last);
    }
    operation->done.bytes = kept;
    return STATUS_OK;
}

/* --- what lacks something -----------------------------------------------------------------------
 */

void core_census_bodiless(const struct core *core, core_census_message_fn on_parked, void *argument)
{
    const struct queue *queue;
    const struct parked *parked;
    for (queue = core->queues_by_number; queue != NULL; queue = queue->by_number.next)
        for (parked = queue->parked; parked != NULL; parked = parked->hh.next)
            if (parked->word == 0)
                on_parked(argument, queue->number, parked->number);
}
