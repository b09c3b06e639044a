/* Topic exchanges and their bindings. */
#ifndef HERALD_EXCHANGE_H
#define HERALD_EXCHANGE_H

#include "broker/core/route.h"
#include "broker/core/state.h"

enum exchange_kind {
    EXCHANGE_DURABLE,
    EXCHANGE_TRANSIENT,
};

/* One pattern that ties a queue to the exchange; the queue is the target in the trie. */
struct binding {
    UT_hash_handle hh; /* in its exchange, by key */
    LIST_ENTRY(binding) queue_link;
    struct exchange *exchange;
    struct queue *queue;
    struct route_entry entry;
    struct home home; /* the BINDING operation */
    uint32_t key_bytes;
    unsigned char key[]; /* 4 bytes of queue number, then the pattern */
};

struct exchange {
    UT_hash_handle by_name;
    UT_hash_handle by_number;
    char *name;
    uint32_t number;
    enum exchange_kind kind;
    struct home home; /* the EXCHANGE operation */
    struct route *route;
    struct binding *bindings; /* live subscriptions are not among them, only in the trie */
    uint32_t binding_count;
    uint32_t live_count;
    uint64_t published_total;
};

/* In the directory; without a name only by its number. NULL when memory ran out. */
struct exchange *exchange_new(struct core *core, enum exchange_kind kind, uint32_t number,
                              struct wire_bytes name);

/* Gives a name to one that has none yet. STATUS_OK or STATUS_NO_MEMORY. */
enum status exchange_set_name(struct core *core, struct exchange *exchange, struct wire_bytes name);

/* Takes it out of the directory with all bindings, ends its live subscriptions, and frees it. */
void exchange_end(struct core *core, struct exchange *exchange);

struct exchange *exchange_find(const struct core *core, struct wire_bytes name);
struct exchange *exchange_find_number(const struct core *core, uint32_t number);

struct binding *exchange_find_binding(const struct exchange *exchange, const struct queue *queue,
                                      struct wire_bytes pattern);

/* Binds; `position` is that of the BINDING operation, 0 for a transient binding. The same again
 * only moves its home. */
enum status exchange_bind(struct core *core, struct exchange *exchange, struct queue *queue,
                          struct wire_bytes pattern, uint64_t position);

/* Does nothing when there is no such binding. */
void exchange_unbind(struct core *core, struct exchange *exchange, struct queue *queue,
                     struct wire_bytes pattern);

/* Ends all bindings of a queue, in all exchanges. */
void exchange_unbind_queue(struct core *core, struct queue *queue);

/* The queues that an event with this key goes to, each once; in `*queues`, which holds until the
 * next call. STATUS_OK or STATUS_NO_MEMORY. */
enum status exchange_route(struct core *core, struct exchange *exchange, struct wire_bytes key,
                           struct queue *const **queues, size_t *count);

/* Live subscriptions: the queue behind one is a target of the trie, but no binding. */
enum status exchange_add_live(struct exchange *exchange, struct queue *queue,
                              struct wire_bytes pattern, struct route_entry *entry);
void exchange_remove_live(struct exchange *exchange, struct route_entry *entry);

#endif
