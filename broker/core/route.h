/* The patterns of an exchange: which targets a routing key reaches.
 *
 * A key is matched word by word: a level holds the nodes of the trie that the words so far lead to,
 * each at most once, so that no key takes more steps than there are nodes times words, whatever the
 * patterns are; see trie.h. The results of recent keys are kept until a binding changes
 * (route_cache.h); while they do not help, they are not asked.
 *
 * Whoever is bound embeds a struct route_entry, by which it is found and taken out again at once,
 * however many are bound by the same pattern.
 */
#ifndef HERALD_ROUTE_H
#define HERALD_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"
#include "protocol/wire.h"

struct route;
struct trie_node;

/* What the routes of a broker share: memory that a search needs, and the results that are kept. */
struct router;

struct route_entry {
    struct trie_node *node; /* NULL: it is in no route */
    uint32_t at;            /* among the node's */
};

/* NULL when memory ran out. */
struct router *router_new(void);
void router_free(struct router *router);

/* How many nodes were looked at, ever. */
uint64_t router_step_count(const struct router *router);

/* NULL when memory ran out. */
struct route *route_new(struct router *router);
/* Entries that are still there are not touched and mean nothing any more. */
void route_free(struct route *route);

/* Adds a target under a checked pattern. STATUS_NO_MEMORY: nothing has changed. */
enum status route_add(struct route *route, struct wire_bytes pattern, void *target,
                      struct route_entry *entry);

/* Takes out what route_add put in; nothing happens to an entry that is in no route. */
void route_remove(struct route *route, struct route_entry *entry);

/* The targets of a checked key, once for each entry whose pattern matches. *targets holds until the
 * next call for any route of the router. STATUS_OK or STATUS_NO_MEMORY. */
enum status route_find(struct route *route, struct wire_bytes key, void *const **targets,
                       size_t *count);

/* The same, but the struct route_entry of each. */
enum status route_find_entries(struct route *route, struct wire_bytes key, void *const **entries,
                               size_t *count);

#endif
