/* The only way to change durable state: applying what a record states. */
#include "broker/core/apply.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/core/client.h"
#include "broker/core/exchange.h"
#include "broker/core/queue.h"
#include "broker/core/state.h"

void home_add(struct core *core, uint64_t position)
{
    if (core->journal != NULL && position > 0)
        journal_home_add(core->journal, position, 1);
}

void home_remove(struct core *core, uint64_t position)
{
    if (core->journal != NULL && position > 0)
        journal_home_remove(core->journal, position, 1);
}

static void home_move(struct core *core, uint64_t *home, uint64_t position)
{
    home_add(core, position);
    home_remove(core, *home);
    *home = position;
}

/* --- messages -----------------------------------------------------------------------------------
 */

void apply_message_to(struct core *core, struct queue *queue, uint64_t number, uint64_t word,
                      uint32_t bytes)
{
    index_append(&queue->index, number, word, bytes);
    queue->bytes += bytes;
    queue->accepted_total++;
    home_add(core, place_position(word));
}

void apply_message(struct core *core, const struct operation_message *operation, uint64_t word)
{
    if (operation->number >= core->next_message)
        core->next_message = operation->number + 1;
    uint32_t bytes = message_counted_bytes(operation);
    for (uint32_t i = 0; i + 4 <= operation->queues.bytes; i += 4) {
        struct queue *queue = queue_find_number(core, wire_load_u32(operation->queues.at + i));
        if (queue != NULL)
            apply_message_to(core, queue, operation->number, word, bytes);
    }
}

static void attempted_remove(struct core *core, struct queue *queue, uint64_t number)
{
    struct attempted *attempted;
    HASH_FIND(hh, queue->attempted, &number, sizeof number, attempted);
    if (attempted == NULL)
        return;
    home_remove(core, attempted->home);
    HASH_DEL(queue->attempted, attempted);
    free(attempted);
}

void place_remove(struct core *core, struct queue *queue, struct index_at at)
{
    uint64_t word = at.found->word;
    queue->bytes -= at.found->bytes;
    if ((word & PLACE_ATTEMPTED) != 0)
        attempted_remove(core, queue, index_number(&queue->index, at));
    if ((word & PLACE_OUT) != 0)
        queue->out_count--;
    if ((word & PLACE_TRANSIENT) != 0) {
        queue->transient_count--;
        message_unref(core, place_message(word));
    } else {
        home_remove(core, place_position(word));
    }
    index_remove(&queue->index, at);
}

void apply_settle(struct core *core, struct queue *queue, const struct operation_settle *operation)
{
    struct index_at at = index_find_from(&queue->index, operation->first);
    while (at.found != NULL && index_number(&queue->index, at) <= operation->last) {
        struct index_at next = index_next(&queue->index, at);
        place_remove(core, queue, at);
        at = next;
    }
}

void apply_park(struct core *core, struct queue *queue, const struct operation_park *operation,
                uint64_t position)
{
    struct index_at at = index_find(&queue->index, operation->number);
    struct parked *parked = at.found != NULL ? calloc(1, sizeof *parked) : NULL;
    if (parked == NULL)
        return;
    parked->number = operation->number;
    parked->word = at.found->word & ~(PLACE_OUT | PLACE_ATTEMPTED);
    parked->bytes = at.found->bytes;
    parked->home = position;
    home_add(core, position);
    home_add(core, place_position(parked->word)); /* place_remove takes the place's own away */
    place_remove(core, queue, at);
    HASH_ADD(hh, queue->parked, number, sizeof parked->number, parked);
}

void apply_attempt(struct core *core, struct queue *queue,
                   const struct operation_attempt *operation, uint64_t position)
{
    struct index_at at = index_find(&queue->index, operation->number);
    if (at.found == NULL)
        return;
    struct attempted *attempted;
    HASH_FIND(hh, queue->attempted, &operation->number, sizeof operation->number, attempted);
    if (attempted == NULL) {
        attempted = calloc(1, sizeof *attempted);
        if (attempted == NULL)
            return;
        attempted->number = operation->number;
        HASH_ADD(hh, queue->attempted, number, sizeof attempted->number, attempted);
        at.found->word |= PLACE_ATTEMPTED;
    }
    attempted->failed = operation->failed;
    home_move(core, &attempted->home, position);
    if (position > queue->attempt_position)
        queue->attempt_position = position;
}

void apply_mark(struct core *core, struct queue *queue, const struct operation_mark *operation,
                uint64_t position)
{
    queue->mark = operation->number;
    home_move(core, &queue->mark_position, position);
}

/* --- definitions --------------------------------------------------------------------------------
 */

void apply_queue(struct core *core, const struct operation_queue *operation, uint64_t position)
{
    struct queue *queue = queue_find_number(core, operation->queue);
    if (queue == NULL)
        queue = queue_new(core, QUEUE_DURABLE, operation->queue, operation->name);
    if (queue == NULL)
        return;
    queue->is_auto_delete = (operation->flags & FLAG_QUEUE_AUTO_DELETE) != 0;
    queue_set(queue, operation->settings);
    /* Messages and bindings name the queue by its number: the operation that made it must be found
     * before them, however often it is changed afterwards. */
    home_move(core, queue->home == 0 ? &queue->home : &queue->settings_home, position);
    if (operation->queue >= core->next_queue)
        core->next_queue = operation->queue + 1;
}

void apply_queue_gone(struct core *core, const struct operation_queue_gone *operation)
{
    struct queue *queue = queue_find_number(core, operation->queue);
    if (queue != NULL)
        queue_end(core, queue, STATUS_NO_QUEUE);
}

void apply_exchange(struct core *core, const struct operation_exchange *operation,
                    uint64_t position)
{
    struct exchange *exchange = exchange_find_number(core, operation->exchange);
    if (exchange == NULL)
        exchange = exchange_new(core, EXCHANGE_DURABLE, operation->exchange, operation->name);
    if (exchange == NULL)
        return;
    home_move(core, &exchange->home, position);
    if (operation->exchange >= core->next_exchange)
        core->next_exchange = operation->exchange + 1;
}

void apply_exchange_gone(struct core *core, const struct operation_exchange_gone *operation)
{
    struct exchange *exchange = exchange_find_number(core, operation->exchange);
    if (exchange != NULL)
        exchange_end(core, exchange);
}

void apply_binding(struct core *core, const struct operation_binding *operation, uint64_t position)
{
    struct exchange *exchange = exchange_find_number(core, operation->exchange);
    struct queue *queue = queue_find_number(core, operation->queue);
    if (exchange != NULL && queue != NULL)
        exchange_bind(core, exchange, queue, operation->pattern, position);
}

void apply_unbinding(struct core *core, const struct operation_unbinding *operation)
{
    struct exchange *exchange = exchange_find_number(core, operation->exchange);
    struct queue *queue = queue_find_number(core, operation->queue);
    if (exchange != NULL && queue != NULL)
        exchange_unbind(core, exchange, queue, operation->pattern);
}

/* --- clients ------------------------------------------------------------------------------------
 */

void apply_client(struct core *core, const struct operation_client *operation, uint64_t position)
{
    struct client *client = client_find_number(core, operation->client);
    if (client == NULL)
        client = client_new(core, operation->client, operation->name);
    if (client == NULL)
        return;
    client->answered = operation->answered;
    home_move(core, &client->home, position);
    if (operation->client >= core->next_client)
        core->next_client = operation->client + 1;
}

void apply_answered(struct core *core, const struct operation_answered *operation,
                    uint64_t position)
{
    struct client *client = client_find_number(core, operation->client);
    if (client == NULL)
        return;
    client->answered = operation->tag;
    home_move(core, &client->answered_home, position);
}

void apply_refused(struct core *core, const struct operation_refused *operation, uint64_t position)
{
    struct client *client = client_find_number(core, operation->client);
    if (client != NULL)
        client_add_refusal(core, client, operation, position);
}

void apply_seen(struct core *core, const struct operation_seen *operation)
{
    struct client *client = client_find_number(core, operation->client);
    if (client != NULL)
        client_forget_refusals(core, client, operation->through);
}

void apply_client_gone(struct core *core, const struct operation_client_gone *operation)
{
    struct client *client = client_find_number(core, operation->client);
    if (client != NULL)
        client_free(core, client);
}

/* --- recovery -----------------------------------------------------------------------------------
 */

/* Recovery decides nothing; it reserves here what a handler would have reserved. */
static enum status recover_message(struct core *core, const struct operation_message *operation,
                                   uint64_t word)
{
    for (uint32_t i = 0; i + 4 <= operation->queues.bytes; i += 4) {
        struct queue *queue = queue_find_number(core, wire_load_u32(operation->queues.at + i));
        if (queue != NULL && index_reserve(&queue->index, operation->number) != STATUS_OK)
            return STATUS_NO_MEMORY;
    }
    apply_message(core, operation, word);
    return STATUS_OK;
}

static void recover_start(struct core *core, const struct operation_start *operation,
                          uint64_t position)
{
    core->start_number = operation->start;
    home_move(core, &core->start_home, position);
    if (operation->next_message > core->next_message)
        core->next_message = operation->next_message;
    if (operation->next_queue > core->next_queue)
        core->next_queue = operation->next_queue;
    if (operation->next_exchange > core->next_exchange)
        core->next_exchange = operation->next_exchange;
    if (operation->next_client > core->next_client)
        core->next_client = operation->next_client;
}

/* Operations on one place of a queue that may be gone. */
static void recover_place(struct core *core, const struct operation *operation, uint64_t position)
{
    /* All of them begin with the queue's number. */
    struct queue *queue = queue_find_number(core, operation->as.settle.queue);
    if (queue == NULL)
        return;
    if (operation->type == OPERATION_SETTLE)
        apply_settle(core, queue, &operation->as.settle);
    else if (operation->type == OPERATION_PARK)
        apply_park(core, queue, &operation->as.park, position);
    else if (operation->type == OPERATION_ATTEMPT)
        apply_attempt(core, queue, &operation->as.attempt, position);
    else
        apply_mark(core, queue, &operation->as.mark, position);
}

enum status apply_operation(struct core *core, const struct operation *operation, uint64_t position,
                            uint32_t back)
{
    switch (operation->type) {
    case OPERATION_START:
        recover_start(core, &operation->as.start, position);
        break;
    case OPERATION_MESSAGE:
        return recover_message(core, &operation->as.message, place_word_durable(position, back));
    case OPERATION_SETTLE:
    case OPERATION_PARK:
    case OPERATION_ATTEMPT:
    case OPERATION_MARK:
        recover_place(core, operation, position);
        break;
    case OPERATION_QUEUE:
        apply_queue(core, &operation->as.queue, position);
        break;
    case OPERATION_QUEUE_GONE:
        apply_queue_gone(core, &operation->as.queue_gone);
        break;
    case OPERATION_EXCHANGE:
        apply_exchange(core, &operation->as.exchange, position);
        break;
    case OPERATION_EXCHANGE_GONE:
        apply_exchange_gone(core, &operation->as.exchange_gone);
        break;
    case OPERATION_BINDING:
        apply_binding(core, &operation->as.binding, position);
        break;
    case OPERATION_UNBINDING:
        apply_unbinding(core, &operation->as.unbinding);
        break;
    case OPERATION_CLIENT:
        apply_client(core, &operation->as.client, position);
        break;
    case OPERATION_ANSWERED:
        apply_answered(core, &operation->as.answered, position);
        break;
    case OPERATION_REFUSED:
        apply_refused(core, &operation->as.refused, position);
        break;
    case OPERATION_SEEN:
        apply_seen(core, &operation->as.seen);
        break;
    case OPERATION_CLIENT_GONE:
        apply_client_gone(core, &operation->as.client_gone);
        break;
    case OPERATION_TYPE_COUNT:
        assert(false && "an operation of this type is never decoded");
    }
    return STATUS_OK;
}
