/* The trie of an exchange: which targets a routing key reaches.
 *
 * A node stands for the words of a pattern so far; its plain children are found in one table keyed
 * by (node, word), words being interned, `*` and `#` children stand in the node. A key is matched
 * by walking all nodes that the words so far can lead to; with at most 2 `#` in a pattern and 32
 * words in a key that is bounded. The results of recent keys are cached until a binding changes;
 * the cache switches itself off while it does not help.
 */
#ifndef HERALD_ROUTE_H
#define HERALD_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"
#include "protocol/wire.h"

struct route;

/* NULL when memory ran out. */
struct route *route_new(void);
void route_free(struct route *route);

/* Adds a target under a checked pattern. The same again is STATUS_OK and changes nothing.
 * *added tells. STATUS_NO_MEMORY: nothing has changed. */
enum status route_add(struct route *route, struct wire_bytes pattern, void *target, bool *added);

/* False when there was no such binding. */
bool route_remove(struct route *route, struct wire_bytes pattern, void *target);

/* The targets of a checked key; one may stand there more than once when several of its patterns
 * match. *targets holds until the next call. STATUS_OK or STATUS_NO_MEMORY. */
enum status route_find(struct route *route, struct wire_bytes key, void *const **targets,
                       size_t *count);

#endif
