/* The patterns of an exchange. */
#include "broker/core/route.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/core/route_cache.h"
#include "broker/core/trie.h"

enum {
    /* The cache is judged after so many lookups, and rests for as many times 16 when it fails. */
    CACHE_TRIAL = 4096,
    CACHE_REST_TRIALS = 16,
};

/* A list of nodes, targets or entries that grows. */
struct found {
    void **at;
    size_t count;
    size_t room;
};

struct router {
    struct route_cache *cache;
    struct found levels[2];
    struct found found;
    uint64_t walk_count;
    uint64_t step_count;
};

struct route {
    struct router *router;
    struct trie trie;
    uint64_t generation;
    uint32_t lookup_count;
    uint32_t hit_count;
    uint32_t rest_count; /* lookups for which the cache is not used */
};

struct router *router_new(void)
{
    struct router *router = calloc(1, sizeof *router);
    if (router == NULL)
        return NULL;
    router->cache = route_cache_new();
    if (router->cache != NULL)
        return router;
    free(router);
    return NULL;
}

void router_free(struct router *router)
{
    if (router == NULL)
        return;
    route_cache_free(router->cache);
    free(router->levels[0].at);
    free(router->levels[1].at);
    free(router->found.at);
    free(router);
}

uint64_t router_step_count(const struct router *router)
{
    return router->step_count;
}

struct route *route_new(struct router *router)
{
    struct route *route = calloc(1, sizeof *route);
    if (route == NULL || !trie_init(&route->trie)) {
        free(route);
        return NULL;
    }
    route->router = router;
    route->generation = route_cache_draw(router->cache);
    return route;
}

void route_free(struct route *route)
{
    if (route == NULL)
        return;
    trie_deinit(&route->trie);
    free(route);
}

/* --- binding ------------------------------------------------------------------------------------
 */

enum status route_add(struct route *route, struct wire_bytes pattern, void *target,
                      struct route_entry *entry)
{
    struct trie_node *node = trie_reach(&route->trie, pattern);
    if (node == NULL)
        return STATUS_NO_MEMORY;
    if (!trie_reserve_target(node)) {
        trie_prune(&route->trie, node);
        return STATUS_NO_MEMORY;
    }
    *entry = (struct route_entry){node, node->target_count};
    trie_targets(node)[node->target_count] = target;
    trie_entries(node)[node->target_count] = entry;
    node->target_count++;
    route->generation = route_cache_draw(route->router->cache);
    return STATUS_OK;
}

/* The last one of the node takes its place. */
void route_remove(struct route *route, struct route_entry *entry)
{
    struct trie_node *node = entry->node;
    if (node == NULL)
        return;
    void **targets = trie_targets(node);
    void **entries = trie_entries(node);
    assert(entries[entry->at] == entry);
    uint32_t last = --node->target_count;
    struct route_entry *moved = entries[last];
    targets[entry->at] = targets[last];
    entries[entry->at] = moved;
    moved->at = entry->at;
    entry->node = NULL;
    trie_prune(&route->trie, node);
    route->generation = route_cache_draw(route->router->cache);
}

/* --- finding ------------------------------------------------------------------------------------
 */

enum wanted {
    WANTED_TARGETS,
    WANTED_ENTRIES,
};

struct walk {
    struct router *router;
    const struct trie *trie;
    enum wanted wanted;
    struct found *next; /* the nodes that the next word goes on from */
    bool is_end;        /* there is no next word */
    bool has_failed;
};

static bool found_reserve(struct found *found, size_t count)
{
    if (count <= found->room - found->count)
        return true;
    size_t room = found->room > 0 ? found->room : 64;
    while (room - found->count < count)
        room *= 2;
    void **grown = realloc(found->at, room * sizeof *grown);
    if (grown == NULL)
        return false;
    found->at = grown;
    found->room = room;
    return true;
}

static void collect(struct walk *walk, struct trie_node *node)
{
    struct found *found = &walk->router->found;
    uint32_t count = node->target_count;
    if (!found_reserve(found, count)) {
        walk->has_failed = true;
        return;
    }
    void *const *from = walk->wanted == WANTED_TARGETS ? trie_targets(node) : trie_entries(node);
    for (uint32_t i = 0; i < count; i++)
        found->at[found->count + i] = from[i];
    found->count += count;
}

/* Remembered where a word may follow; otherwise the next one is written over it. */
static void go_on_from(struct walk *walk, struct trie_node *node)
{
    struct found *next = walk->next;
    next->at[next->count] = node;
    next->count += trie_goes_on(node);
}

/* A `#` that stands for no word here, and those behind it. One that was reached earlier has taken
 * these words, too. */
static void visit_hash(struct walk *walk, struct trie_node *node)
{
    for (; node != NULL && node->walk != walk->router->walk_count; node = node->hash) {
        node->walk = walk->router->walk_count;
        if (node->target_count > 0)
            collect(walk, node);
        if (!walk->is_end)
            go_on_from(walk, node);
    }
}

/* The words so far lead here. */
static void visit(struct walk *walk, struct trie_node *node)
{
    if (!walk->is_end)
        go_on_from(walk, node);
    else if (node->target_count > 0)
        collect(walk, node);
    if (node->hash != NULL)
        visit_hash(walk, node->hash);
}

/* A node leads on to itself, if it is a `#`, and to two children, each with at most two `#` below.
 */
enum { NEXT_OF_ONE_MAX = 1 + 2 * (1 + TOPIC_HASHES_MAX) };

/* Goes on from every node of a level by one word. */
static void take_word(struct walk *walk, const struct found *level, struct wire_bytes word)
{
    const struct trie *trie = walk->trie;
    uint64_t hash = hash_bytes(word);
    walk->next->count = 0;
    if (!found_reserve(walk->next, level->count * NEXT_OF_ONE_MAX + 1)) {
        walk->has_failed = true;
        return;
    }
    for (size_t i = 0; i < level->count; i++) {
        const struct trie_node *node = level->at[i];
        if (trie_may_have(node, hash))
            __builtin_prefetch(trie_cell(trie, trie_edge(node, hash)));
    }
    for (size_t i = 0; i < level->count; i++) {
        struct trie_node *node = level->at[i];
        if (node->kind == TRIE_HASH && !walk->is_end)
            walk->next->at[walk->next->count++] = node;
        if (node->star != NULL)
            visit(walk, node->star);
        struct trie_node *child = trie_may_have(node, hash)
                                      ? trie_find_plain(trie, node, trie_edge(node, hash), word)
                                      : NULL;
        if (child != NULL)
            visit(walk, child);
    }
    walk->router->step_count += level->count;
}

static enum status search(struct route *route, struct wire_bytes key, enum wanted wanted)
{
    struct router *router = route->router;
    struct topic_words words;
    topic_split(key, &words);
    struct walk walk = {
        .router = router, .trie = &route->trie, .wanted = wanted, .next = &router->levels[0]};
    router->walk_count++;
    router->found.count = 0;
    walk.next->count = 0;
    if (!found_reserve(walk.next, NEXT_OF_ONE_MAX + 1))
        return STATUS_NO_MEMORY;
    visit(&walk, route->trie.root);
    for (uint32_t i = 0; i < words.count && walk.next->count > 0; i++) {
        const struct found *level = walk.next;
        walk.next = &router->levels[(i + 1) % 2];
        walk.is_end = i + 1 == words.count;
        take_word(&walk, level, words.word[i]);
    }
    return walk.has_failed ? STATUS_NO_MEMORY : STATUS_OK;
}

/* True when the cache is worth asking. */
static bool cache_helps(struct route *route)
{
    if (route->rest_count > 0) {
        route->rest_count--;
        return false;
    }
    if (++route->lookup_count == CACHE_TRIAL) {
        if (route->hit_count < CACHE_TRIAL / 2)
            route->rest_count = CACHE_TRIAL * CACHE_REST_TRIALS;
        route->lookup_count = route->hit_count = 0;
    }
    return true;
}

enum status route_find(struct route *route, struct wire_bytes key, void *const **targets,
                       size_t *count)
{
    struct router *router = route->router;
    bool is_cached = cache_helps(route);
    const struct route_cached *known =
        is_cached ? route_cache_find(router->cache, route->generation, key) : NULL;
    if (known != NULL) {
        route->hit_count++;
        *targets = known->targets;
        *count = known->count;
        return STATUS_OK;
    }
    enum status status = search(route, key, WANTED_TARGETS);
    if (status != STATUS_OK)
        return status;
    *targets = router->found.at;
    *count = router->found.count;
    if (is_cached)
        route_cache_put(router->cache, route->generation, key, *targets, *count);
    return STATUS_OK;
}

enum status route_find_entries(struct route *route, struct wire_bytes key, void *const **entries,
                               size_t *count)
{
    enum status status = search(route, key, WANTED_ENTRIES);
    *entries = route->router->found.at;
    *count = route->router->found.count;
    return status;
}
