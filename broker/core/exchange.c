/* Topic exchanges and their bindings. */
#include "broker/core/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/apply.h"
#include "broker/core/consumer.h"
#include "broker/core/queue.h"
#include "broker/store/record.h"
#include "protocol/topic.h"

/* One that is not in the table of numbers. */
static void exchange_free_alone(struct core *core, struct exchange *exchange)
{
    if (exchange->name != NULL)
        HASH_DELETE(by_name, core->exchanges_by_name, exchange);
    route_free(exchange->route);
    free(exchange->name);
    free(exchange);
}

struct exchange *exchange_new(struct core *core, enum exchange_kind kind, uint32_t number,
                              struct wire_bytes name)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    struct route *route = route_new(core->router);
    if (exchange == NULL || route == NULL ||
        (name.bytes > 0 && exchange_set_name(core, exchange, name) != STATUS_OK)) {
        free(exchange);
        route_free(route);
        return NULL;
    }
    exchange->number = number;
    exchange->kind = kind;
    exchange->route = route;
    HASH_ADD(by_number, core->exchanges_by_number, number, sizeof exchange->number, exchange);
    if (table_has(&exchange->by_number))
        return exchange;
    exchange_free_alone(core, exchange);
    return NULL;
}

enum status exchange_set_name(struct core *core, struct exchange *exchange, struct wire_bytes name)
{
    if (exchange->name != NULL)
        return STATUS_OK;
    char *copy = strndup((const char *)name.at, name.bytes);
    if (copy == NULL)
        return STATUS_NO_MEMORY;
    exchange->name = copy;
    HASH_ADD_KEYPTR(by_name, core->exchanges_by_name, exchange->name, name.bytes, exchange);
    if (table_has(&exchange->by_name))
        return STATUS_OK;
    free(copy);
    exchange->name = NULL;
    return STATUS_NO_MEMORY;
}

static void binding_end(struct core *core, struct exchange *exchange, struct binding *binding)
{
    HASH_DEL(exchange->bindings, binding);
    LIST_REMOVE(binding, queue_link);
    home_end(core, &binding->home);
    exchange->binding_count--;
    core->binding_count--;
    binding->queue->binding_count--;
    free(binding);
}

void exchange_end(struct core *core, struct exchange *exchange)
{
    consumer_end_live(core, exchange);
    struct binding *binding;
    struct binding *next;
    HASH_ITER (hh, exchange->bindings, binding, next)
        binding_end(core, exchange, binding);
    home_end(core, &exchange->home);
    HASH_DELETE(by_number, core->exchanges_by_number, exchange);
    exchange_free_alone(core, exchange);
}

struct exchange *exchange_find(const struct core *core, struct wire_bytes name)
{
    struct exchange *exchange;
    HASH_FIND(by_name, core->exchanges_by_name, name.at, name.bytes, exchange);
    return exchange;
}

struct exchange *exchange_find_number(const struct core *core, uint32_t number)
{
    struct exchange *exchange;
    HASH_FIND(by_number, core->exchanges_by_number, &number, sizeof number, exchange);
    return exchange;
}

static uint32_t binding_key(unsigned char key[4 + TOPIC_KEY_BYTES_MAX], const struct queue *queue,
                            struct wire_bytes pattern)
{
    wire_store_u32(key, queue->number);
    memcpy(key + 4, pattern.at, pattern.bytes);
    return 4 + pattern.bytes;
}

struct binding *exchange_find_binding(const struct exchange *exchange, const struct queue *queue,
                                      struct wire_bytes pattern)
{
    unsigned char key[4 + TOPIC_KEY_BYTES_MAX];
    uint32_t bytes = binding_key(key, queue, pattern);
    struct binding *binding;
    HASH_FIND(hh, exchange->bindings, key, bytes, binding);
    return binding;
}

enum status exchange_bind(struct core *core, struct exchange *exchange, struct queue *queue,
                          struct wire_bytes pattern, uint64_t position)
{
    uint32_t bytes = (uint32_t)record_size_binding(
        &(struct operation_binding){exchange->number, queue->number, pattern});
    struct binding *binding = exchange_find_binding(exchange, queue, pattern);
    if (binding != NULL) {
        home_move(core, &binding->home, position, bytes);
        return STATUS_OK;
    }
    binding = malloc(sizeof *binding + 4 + pattern.bytes);
    if (binding == NULL)
        return STATUS_NO_MEMORY;
    enum status status = route_add(exchange->route, pattern, queue, &binding->entry);
    if (status != STATUS_OK) {
        free(binding);
        return status;
    }
    binding->exchange = exchange;
    binding->queue = queue;
    binding->home = (struct home){0};
    binding->key_bytes = binding_key(binding->key, queue, pattern);
    HASH_ADD(hh, exchange->bindings, key, binding->key_bytes, binding);
    if (!table_has(&binding->hh)) {
        route_remove(exchange->route, &binding->entry);
        free(binding);
        return STATUS_NO_MEMORY;
    }
    LIST_INSERT_HEAD(&queue->bindings, binding, queue_link);
    home_move(core, &binding->home, position, bytes);
    exchange->binding_count++;
    core->binding_count++;
    queue->binding_count++;
    return STATUS_OK;
}

void exchange_unbind(struct core *core, struct exchange *exchange, struct queue *queue,
                     struct wire_bytes pattern)
{
    struct binding *binding = exchange_find_binding(exchange, queue, pattern);
    if (binding == NULL)
        return;
    route_remove(exchange->route, &binding->entry);
    binding_end(core, exchange, binding);
}

void exchange_unbind_queue(struct core *core, struct queue *queue)
{
    struct binding *binding;
    while ((binding = LIST_FIRST(&queue->bindings)) != NULL) {
        struct exchange *exchange = binding->exchange;
        route_remove(exchange->route, &binding->entry);
        binding_end(core, exchange, binding);
    }
}

/* Several patterns of one queue may match: the stamp of this route leaves each queue once. */
enum status exchange_route(struct core *core, struct exchange *exchange, struct wire_bytes key,
                           struct queue *const **queues, size_t *count)
{
    void *const *targets;
    size_t target_count;
    enum status status = route_find(exchange->route, key, &targets, &target_count);
    if (status != STATUS_OK)
        return status;
    if (target_count > core->routed_room) {
        size_t room = target_count * 2;
        struct queue **grown = realloc(core->routed, room * sizeof(struct queue *));
        if (grown == NULL)
            return STATUS_NO_MEMORY;
        core->routed = grown;
        core->routed_room = room;
    }
    uint64_t stamp = ++core->route_stamp;
    *count = 0;
    for (size_t i = 0; i < target_count; i++) {
        struct queue *queue = targets[i];
        if (queue->route_stamp == stamp)
            continue;
        queue->route_stamp = stamp;
        core->routed[(*count)++] = queue;
    }
    *queues = core->routed;
    return STATUS_OK;
}

enum status exchange_add_live(struct exchange *exchange, struct queue *queue,
                              struct wire_bytes pattern, struct route_entry *entry)
{
    enum status status = route_add(exchange->route, pattern, queue, entry);
    if (status == STATUS_OK)
        exchange->live_count++;
    return status;
}

void exchange_remove_live(struct exchange *exchange, struct route_entry *entry)
{
    if (entry->node == NULL)
        return;
    route_remove(exchange->route, entry);
    exchange->live_count--;
}
