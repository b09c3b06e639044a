/* Topic exchanges and their bindings. */
#include "broker/core/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/apply.h"
#include "broker/core/consumer.h"
#include "broker/core/filter.h"
#include "broker/core/history.h"
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
    TAILQ_INIT(&exchange->all);
    LIST_INIT(&exchange->onward);
    LIST_INIT(&exchange->inbound);
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
    exchange->name_bytes = name.bytes;
    HASH_ADD_KEYPTR(by_name, core->exchanges_by_name, exchange->name, name.bytes, exchange);
    if (table_has(&exchange->by_name))
        return STATUS_OK;
    free(copy);
    exchange->name = NULL;
    return STATUS_NO_MEMORY;
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

struct destination exchange_destination(const struct core *core, uint8_t kind, uint32_t number)
{
    struct destination to = {NULL, NULL};
    if (kind == BINDING_TO_EXCHANGE)
        to.exchange = exchange_find_number(core, number);
    else
        to.queue = queue_find_number(core, number);
    return to;
}

/* --- bindings -----------------------------------------------------------------------------------
 */

enum { KEY_BYTES_MAX = 5 + TOPIC_KEY_BYTES_MAX };

static uint32_t binding_key(unsigned char key[KEY_BYTES_MAX], struct destination to,
                            struct wire_bytes pattern)
{
    key[0] = to.exchange != NULL;
    wire_store_u32(key + 1, to.exchange != NULL ? to.exchange->number : to.queue->number);
    memcpy(key + 5, pattern.at, pattern.bytes);
    return 5 + pattern.bytes;
}

struct binding *exchange_find_binding(const struct exchange *exchange, struct destination to,
                                      struct wire_bytes pattern)
{
    unsigned char key[KEY_BYTES_MAX];
    uint32_t bytes = binding_key(key, to, pattern);
    struct binding *binding;
    HASH_FIND(hh, exchange->bindings, key, bytes, binding);
    return binding;
}

static struct binding *binding_new(const struct binding_terms *terms)
{
    struct binding *binding =
        calloc(1, sizeof *binding + 5 + terms->pattern.bytes + terms->filter.bytes);
    if (binding == NULL)
        return NULL;
    binding->to = terms->to;
    binding->key_bytes = binding_key(binding->key, terms->to, terms->pattern);
    binding->filter_bytes = terms->filter.bytes;
    if (terms->filter.bytes > 0)
        memcpy(binding->key + binding->key_bytes, terms->filter.at, terms->filter.bytes);
    return binding;
}

/* What stands in the trie. */
static void *target_of(struct binding *binding)
{
    if (binding->to.queue != NULL && binding->filter_bytes == 0)
        return binding->to.queue;
    return (char *)binding + EXCHANGE_TARGET_IS_BINDING;
}

static enum status binding_add(struct core *core, struct exchange *exchange,
                               struct binding *binding)
{
    enum status status =
        route_add(exchange->route, binding_pattern(binding), target_of(binding), &binding->entry);
    if (status != STATUS_OK)
        return status;
    binding->exchange = exchange;
    binding->number = ++core->next_binding;
    TAILQ_INSERT_TAIL(&exchange->all, binding, exchange_link);
    if (binding->to.queue != NULL) {
        LIST_INSERT_HEAD(&binding->to.queue->bindings, binding, to_link);
    } else {
        LIST_INSERT_HEAD(&binding->to.exchange->inbound, binding, to_link);
        LIST_INSERT_HEAD(&exchange->onward, binding, onward_link);
    }
    return STATUS_OK;
}

static void count_binding(struct core *core, struct binding *binding, int32_t by)
{
    binding->exchange->binding_count += (uint32_t)by;
    core->binding_count += (uint32_t)by;
    if (binding->to.queue != NULL)
        binding->to.queue->binding_count += (uint32_t)by;
    else
        binding->to.exchange->inbound_count += (uint32_t)by;
}

static void binding_end(struct core *core, struct binding *binding)
{
    struct exchange *exchange = binding->exchange;
    route_remove(exchange->route, &binding->entry);
    if (exchange->listed == binding)
        exchange->listed = NULL;
    TAILQ_REMOVE(&exchange->all, binding, exchange_link);
    LIST_REMOVE(binding, to_link);
    if (binding->to.exchange != NULL)
        LIST_REMOVE(binding, onward_link);
    if (binding->is_live) {
        exchange->live_count--;
    } else {
        HASH_DEL(exchange->bindings, binding);
        home_end(core, &binding->home);
        count_binding(core, binding, -1);
    }
    free(binding);
}

/* One of the same pattern and destination is there already, but with another filter, only when what
 * ended it was lost with a part of the journal: then the newer one holds. */
static struct binding *find_same(struct core *core, const struct exchange *exchange,
                                 const struct binding_terms *terms)
{
    struct binding *binding = exchange_find_binding(exchange, terms->to, terms->pattern);
    if (binding == NULL || filter_is_same(binding_filter(binding), terms->filter))
        return binding;
    binding_end(core, binding);
    return NULL;
}

static uint32_t operation_bytes(const struct binding_terms *terms)
{
    return (uint32_t)record_size_binding(
        &(struct operation_binding){.pattern = terms->pattern, .filter = terms->filter});
}

enum status exchange_bind(struct core *core, struct exchange *exchange,
                          const struct binding_terms *terms, uint64_t position)
{
    struct binding *binding = find_same(core, exchange, terms);
    if (binding != NULL) {
        home_move(core, &binding->home, position, operation_bytes(terms));
        return STATUS_OK;
    }
    binding = binding_new(terms);
    if (binding == NULL)
        return STATUS_NO_MEMORY;
    HASH_ADD(hh, exchange->bindings, key, binding->key_bytes, binding);
    if (!table_has(&binding->hh)) {
        free(binding);
        return STATUS_NO_MEMORY;
    }
    if (binding_add(core, exchange, binding) != STATUS_OK) {
        HASH_DEL(exchange->bindings, binding);
        free(binding);
        return STATUS_NO_MEMORY;
    }
    home_move(core, &binding->home, position, operation_bytes(terms));
    count_binding(core, binding, 1);
    return STATUS_OK;
}

void exchange_unbind(struct core *core, struct exchange *exchange, struct destination to,
                     struct wire_bytes pattern)
{
    struct binding *binding = exchange_find_binding(exchange, to, pattern);
    if (binding != NULL)
        binding_end(core, binding);
}

void exchange_unbind_queue(struct core *core, struct queue *queue)
{
    struct binding *binding;
    while ((binding = LIST_FIRST(&queue->bindings)) != NULL)
        binding_end(core, binding);
}

enum status exchange_bind_live(struct core *core, struct exchange *exchange,
                               const struct binding_terms *terms)
{
    struct binding *binding = binding_new(terms);
    if (binding == NULL)
        return STATUS_NO_MEMORY;
    binding->is_live = true;
    enum status status = binding_add(core, exchange, binding);
    if (status == STATUS_OK)
        exchange->live_count++;
    else
        free(binding);
    return status;
}

/* --- the end ------------------------------------------------------------------------------------
 */

void exchange_end(struct core *core, struct exchange *exchange)
{
    if (core->last_exchange == exchange)
        core->last_exchange = NULL;
    consumer_end_live(core, exchange);
    if (exchange->history != NULL)
        history_end(core, exchange->history);
    struct binding *binding;
    while ((binding = TAILQ_FIRST(&exchange->all)) != NULL)
        binding_end(core, binding);
    while ((binding = LIST_FIRST(&exchange->inbound)) != NULL)
        binding_end(core, binding);
    home_end(core, &exchange->home);
    HASH_DELETE(by_number, core->exchanges_by_number, exchange);
    exchange_free_alone(core, exchange);
}
