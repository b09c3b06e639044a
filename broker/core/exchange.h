/* Topic exchanges and their bindings. */
#ifndef HERALD_EXCHANGE_H
#define HERALD_EXCHANGE_H

#include "broker/core/route.h"
#include "broker/core/state.h"

enum exchange_kind {
    EXCHANGE_DURABLE,
    EXCHANGE_TRANSIENT,
};

/* Where a binding leads: one of them is there. */
struct destination {
    struct queue *queue;
    struct exchange *exchange;
};

/* What a BINDING operation calls its kind. */
enum { BINDING_TO_QUEUE = 0, BINDING_TO_EXCHANGE = 1 };

/* A pattern that ties a queue, or another exchange, to an exchange. A live subscription is one,
 * too: its queue has no name, and it is not found by exchange_find_binding.
 *
 * In the trie stands the queue itself where there is nothing else to look at, else the binding with
 * its lowest bit set.
 */
struct binding {
    UT_hash_handle hh;                  /* in its exchange, by key; not a live one */
    TAILQ_ENTRY(binding) exchange_link; /* in the exchange it is of, by number */
    LIST_ENTRY(binding) to_link;        /* in what it leads to */
    LIST_ENTRY(binding) onward_link;    /* in the exchange it is of, when it leads to another */
    struct route_entry entry;
    struct exchange *exchange;
    struct destination to;
    uint64_t number;  /* grows; for paging */
    struct home home; /* the BINDING operation */
    bool is_live;
    uint32_t filter_bytes;
    uint32_t key_bytes;
    unsigned char key[]; /* 5 bytes that name the destination, the pattern; behind it, the filter */
};

struct exchange {
    UT_hash_handle by_name;
    UT_hash_handle by_number;
    char *name;
    uint32_t name_bytes;
    uint32_t number;
    enum exchange_kind kind;
    struct home home; /* the EXCHANGE operation */
    struct route *route;
    struct history *history;      /* NULL: its events are not kept */
    bool is_kept;                 /* its definition says that they are */
    struct binding *bindings;     /* live subscriptions are not among them */
    TAILQ_HEAD(, binding) all;    /* they are here */
    LIST_HEAD(, binding) onward;  /* those that lead to other exchanges */
    LIST_HEAD(, binding) inbound; /* those of other exchanges that lead here */
    struct binding *listed;       /* the last one that a query has shown */
    uint32_t binding_count;
    uint32_t inbound_count;
    uint32_t live_count;
    uint64_t published_total;
    uint64_t route_stamp;         /* the route that came by last, see relay.c */
    struct exchange *next_routed; /* of it: the exchange after this one */
};

/* What says which binding it is, and what is said about it. */
struct binding_terms {
    struct destination to;
    struct wire_bytes pattern;
    struct wire_bytes filter;
};

static inline struct wire_bytes binding_pattern(const struct binding *binding)
{
    return wire_bytes_of(binding->key + 5, binding->key_bytes - 5);
}

static inline struct wire_bytes binding_filter(const struct binding *binding)
{
    return wire_bytes_of(binding->key + binding->key_bytes, binding->filter_bytes);
}

/* What an exchange's trie holds; see struct binding. */
enum { EXCHANGE_TARGET_IS_BINDING = 1 };

static inline bool exchange_target_is_binding(const void *target)
{
    return ((uintptr_t)target & EXCHANGE_TARGET_IS_BINDING) != 0;
}

static inline const struct binding *exchange_target_binding(const void *target)
{
    return (const void *)((const char *)target - EXCHANGE_TARGET_IS_BINDING);
}

/* The binding whose entry in the trie this is. */
static inline struct binding *binding_of_entry(void *entry)
{
    return (struct binding *)(void *)((char *)entry - offsetof(struct binding, entry));
}

/* In the directory; without a name only by its number. NULL when memory ran out. */
struct exchange *exchange_new(struct core *core, enum exchange_kind kind, uint32_t number,
                              struct wire_bytes name);

/* Gives a name to one that has none yet. STATUS_OK or STATUS_NO_MEMORY. */
enum status exchange_set_name(struct core *core, struct exchange *exchange, struct wire_bytes name);

/* Takes it out of the directory with all bindings, those that lead to it too, ends its live
 * subscriptions, and frees it. */
void exchange_end(struct core *core, struct exchange *exchange);

struct exchange *exchange_find(const struct core *core, struct wire_bytes name);
struct exchange *exchange_find_number(const struct core *core, uint32_t number);

/* What a BINDING operation names; without both when it is gone. */
struct destination exchange_destination(const struct core *core, uint8_t kind, uint32_t number);

/* NULL: nothing is bound like that. The filter does not matter. */
struct binding *exchange_find_binding(const struct exchange *exchange, struct destination to,
                                      struct wire_bytes pattern);

/* Binds; `position` is that of the BINDING operation, 0 for a transient binding. The same again
 * only moves its home. STATUS_OK or STATUS_NO_MEMORY. */
enum status exchange_bind(struct core *core, struct exchange *exchange,
                          const struct binding_terms *terms, uint64_t position);

/* Does nothing when there is no such binding. */
void exchange_unbind(struct core *core, struct exchange *exchange, struct destination to,
                     struct wire_bytes pattern);

/* Ends all bindings of a queue, in all exchanges. */
void exchange_unbind_queue(struct core *core, struct queue *queue);

/* Binds the queue behind a live subscription. */
enum status exchange_bind_live(struct core *core, struct exchange *exchange,
                               const struct binding_terms *terms);

#endif
