/* Exchanges behind exchanges.
 *
 *   news --"eu.#"--> europe --"eu.fr.*"--> france
 *     |                |                     |
 *   queues           queues                queues
 *
 * An event that is published to news may end in all three, and each queue gets it once.
 *
 * A binding that would close a circle is refused, and so is one that would make a way too long.
 * That is decided once, when it is made: an event goes to each exchange once, whatever the bindings
 * are, so that a circle, which only a repaired journal could have, would do no harm.
 */
#include "broker/core/relay.h"

#include <stddef.h>
#include <stdlib.h>

#include "broker/core/exchange.h"
#include "broker/core/filter.h"

enum { PREFETCH_AHEAD = 8 };

/* --- circles ------------------------------------------------------------------------------------
 */

/* The exchanges at the same distance from where a search began, each once. */
struct ring {
    struct exchange **at;
    size_t count;
};

enum direction { ONWARD, INBOUND };

static void ring_add(struct ring *ring, struct exchange *exchange, uint64_t stamp)
{
    if (exchange->route_stamp == stamp)
        return;
    exchange->route_stamp = stamp;
    ring->at[ring->count++] = exchange;
}

/* All exchanges one hop away from those of a ring. */
static void ring_step(const struct ring *from, struct ring *to, enum direction direction,
                      uint64_t stamp)
{
    to->count = 0;
    for (size_t i = 0; i < from->count; i++) {
        const struct binding *binding;
        if (direction == ONWARD) {
            LIST_FOREACH (binding, &from->at[i]->onward, onward_link)
                ring_add(to, binding->to.exchange, stamp);
        } else {
            LIST_FOREACH (binding, &from->at[i]->inbound, to_link)
                ring_add(to, binding->exchange, stamp);
        }
    }
}

static bool ring_has(const struct ring *ring, const struct exchange *exchange)
{
    for (size_t i = 0; i < ring->count; i++)
        if (ring->at[i] == exchange)
            return true;
    return false;
}

/* How many hops the longest way from (or to) an exchange has, at most one more than there may be;
 * STATUS_CYCLE when one of them meets `end`, which may be NULL. */
static enum status measure(struct core *core, struct ring rings[2], enum direction direction,
                           const struct exchange *end, uint32_t *hops)
{
    struct ring *ring = &rings[0];
    struct ring *next = &rings[1];
    *hops = 0;
    while (!ring_has(ring, end)) {
        ring_step(ring, next, direction, ++core->route_stamp);
        if (next->count == 0 || *hops > RELAY_HOPS_MAX)
            return STATUS_OK;
        struct ring *old = ring;
        ring = next;
        next = old;
        ++*hops;
    }
    return STATUS_CYCLE;
}

enum status relay_check(struct core *core, struct exchange *from, struct exchange *to)
{
    size_t count = 1 + HASH_CNT(by_number, core->exchanges_by_number);
    struct exchange **room = calloc(2 * count, sizeof(struct exchange *));
    if (room == NULL)
        return STATUS_NO_MEMORY;
    struct ring rings[2] = {{room, 1}, {room + count, 0}};
    uint32_t behind;
    uint32_t before = 0;
    room[0] = to;
    enum status status = measure(core, rings, ONWARD, from, &behind);
    if (status == STATUS_OK) {
        rings[0].count = 1;
        room[0] = from;
        status = measure(core, rings, INBOUND, NULL, &before);
    }
    free(room);
    if (status == STATUS_OK && before + 1 + behind > RELAY_HOPS_MAX)
        return STATUS_LIMIT;
    return status;
}

/* --- the way of an event ------------------------------------------------------------------------
 */

void relay_begin(struct core *core, struct relay *relay, struct exchange *exchange)
{
    relay->stamp = ++core->route_stamp;
    relay->last = exchange;
    exchange->route_stamp = relay->stamp;
    exchange->next_routed = NULL;
}

void relay_go_on(struct relay *relay, struct exchange *exchange)
{
    if (exchange->route_stamp == relay->stamp)
        return;
    exchange->route_stamp = relay->stamp;
    exchange->next_routed = NULL;
    relay->last->next_routed = exchange;
    relay->last = exchange;
}

static bool reserve(struct core *core, size_t count)
{
    if (count <= core->routed_room)
        return true;
    struct queue **grown = realloc(core->routed, 2 * count * sizeof(struct queue *));
    if (grown == NULL)
        return false;
    core->routed = grown;
    core->routed_room = 2 * count;
    return true;
}

/* Several ways may lead to one queue: the stamp leaves each once. */
static size_t take_queue(struct core *core, struct queue *queue, uint64_t stamp, size_t count)
{
    if (queue->route_stamp == stamp)
        return count;
    queue->route_stamp = stamp;
    core->routed[count] = queue;
    return count + 1;
}

static size_t take_binding(struct core *core, struct relay *relay, const struct binding *binding,
                           struct wire_bytes headers, size_t count)
{
    if (!filter_matches(binding_filter(binding), headers))
        return count;
    if (binding->to.queue != NULL)
        return take_queue(core, binding->to.queue, relay->stamp, count);
    relay_go_on(relay, binding->to.exchange);
    return count;
}

enum status relay_route(struct core *core, struct exchange *exchange,
                        const struct relay_event *event, struct queue *const **queues,
                        size_t *count)
{
    struct relay relay;
    relay_begin(core, &relay, exchange);
    *count = 0;
    for (; exchange != NULL; exchange = exchange->next_routed) {
        void *const *targets;
        size_t target_count;
        enum status status = route_find(exchange->route, event->key, &targets, &target_count);
        if (status != STATUS_OK || !reserve(core, *count + target_count))
            return STATUS_NO_MEMORY;
        for (size_t i = 0; i < target_count; i++) {
            void *target = targets[i];
            if (i + PREFETCH_AHEAD < target_count) /* most are in no cache when they are many */
                __builtin_prefetch((const char *)targets[i + PREFETCH_AHEAD] +
                                       offsetof(struct queue, route_stamp),
                                   1);
            if (exchange_target_is_binding(target))
                *count = take_binding(core, &relay, exchange_target_binding(target), event->headers,
                                      *count);
            else
                *count = take_queue(core, target, relay.stamp, *count);
        }
    }
    *queues = core->routed;
    return STATUS_OK;
}

void relay_count(struct exchange *exchange)
{
    for (; exchange != NULL; exchange = exchange->next_routed)
        exchange->published_total++;
}
