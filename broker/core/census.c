/* Counting what a core knows, without changing it. */
#include "broker/core/census.h"

#include "broker/core/client.h"
#include "broker/core/exchange.h"
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
        census->nameless_count += exchange->name == NULL;
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

void core_census_bodiless(const struct core *core, core_census_bodiless_fn on_parked,
                          void *argument)
{
    const struct queue *queue;
    const struct parked *parked;
    for (queue = core->queues_by_number; queue != NULL; queue = queue->by_number.next)
        for (parked = queue->parked; parked != NULL; parked = parked->hh.next)
            if (parked->word == 0)
                on_parked(argument, queue->number, parked->number);
}
