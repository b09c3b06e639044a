/* The trie of an exchange. */
#include "broker/core/route.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>
#include "broker/core/table.h"

#include "protocol/topic.h"

enum {
    CACHE_SLOTS = 1024, /* a power of two */
    CACHE_TARGETS_MAX = 64,
    /* The cache is judged after so many lookups, and rests for as many times 16 when it fails. */
    CACHE_TRIAL = 4096,
    CACHE_REST_TRIALS = 16,
};

struct word {
    UT_hash_handle hh;
    uint32_t id;
    uint32_t ref_count;
    uint32_t bytes;
    char text[];
};

struct node {
    UT_hash_handle hh;     /* among all plain children of all nodes, by (parent, word) */
    LIST_ENTRY(node) link; /* all but the root */
    uint64_t key;
    uint32_t id;
    uint32_t child_count;
    struct node *parent;
    struct node *star;
    struct node *hash;
    struct word *word; /* NULL below * and # and at the root */
    void **targets;
    uint32_t target_count;
    uint32_t target_room;
};

struct cached {
    uint32_t key_bytes;
    uint32_t count;
    char key[TOPIC_KEY_BYTES_MAX];
    void *targets[];
};

struct found {
    void **targets;
    size_t count;
    size_t room;
    bool failed;
};

struct route {
    struct node root;
    LIST_HEAD(, node) nodes;
    struct node *edges;
    struct word *words;
    uint32_t next_node;
    uint32_t next_word;
    struct found found;
    struct cached *cache[CACHE_SLOTS];
    uint32_t lookup_count;
    uint32_t hit_count;
    uint32_t rest_count; /* lookups for which the cache is not used */
};

struct route *route_new(void)
{
    struct route *route = calloc(1, sizeof *route);
    if (route != NULL)
        route->next_node = route->next_word = 1;
    return route;
}

static void cache_clear(struct route *route)
{
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        free(route->cache[i]);
        route->cache[i] = NULL;
    }
    route->lookup_count = route->hit_count = route->rest_count = 0;
}

static struct word *word_find(const struct route *route, struct wire_bytes text)
{
    struct word *word;
    HASH_FIND(hh, route->words, text.at, text.bytes, word);
    return word;
}

static struct word *word_ref(struct route *route, struct wire_bytes text)
{
    struct word *word = word_find(route, text);
    if (word == NULL) {
        word = malloc(sizeof *word + text.bytes);
        if (word == NULL)
            return NULL;
        word->id = route->next_word++;
        word->ref_count = 0;
        word->bytes = text.bytes;
        memcpy(word->text, text.at, text.bytes);
        HASH_ADD_KEYPTR(hh, route->words, word->text, text.bytes, word);
        if (!table_has(&word->hh)) {
            free(word);
            return NULL;
        }
    }
    word->ref_count++;
    return word;
}

static void word_unref(struct route *route, struct word *word)
{
    if (word == NULL || --word->ref_count > 0)
        return;
    HASH_DEL(route->words, word);
    free(word);
}

static bool word_is(struct wire_bytes word, char c)
{
    return word.bytes == 1 && word.at[0] == (unsigned char)c;
}

static uint64_t edge_key(const struct node *node, uint32_t word)
{
    return (uint64_t)node->id << 32 | word;
}

static struct node *child_find(const struct route *route, const struct node *parent,
                               struct wire_bytes text)
{
    if (word_is(text, '*'))
        return parent->star;
    if (word_is(text, '#'))
        return parent->hash;
    const struct word *word = word_find(route, text);
    if (word == NULL)
        return NULL;
    uint64_t key = edge_key(parent, word->id);
    struct node *child;
    HASH_FIND(hh, route->edges, &key, sizeof key, child);
    return child;
}

static struct node *child_add(struct route *route, struct node *parent, struct wire_bytes text)
{
    bool is_plain = !word_is(text, '*') && !word_is(text, '#');
    struct node *child = calloc(1, sizeof *child);
    struct word *word = child != NULL && is_plain ? word_ref(route, text) : NULL;
    if (child == NULL || (is_plain && word == NULL)) {
        free(child);
        return NULL;
    }
    child->id = route->next_node++;
    child->parent = parent;
    child->word = word;
    if (is_plain) {
        child->key = edge_key(parent, word->id);
        HASH_ADD(hh, route->edges, key, sizeof child->key, child);
        if (!table_has(&child->hh)) {
            word_unref(route, word);
            free(child);
            return NULL;
        }
    } else if (word_is(text, '*')) {
        parent->star = child;
    } else {
        parent->hash = child;
    }
    LIST_INSERT_HEAD(&route->nodes, child, link);
    parent->child_count++;
    return child;
}

static void edge_remove(struct route *route, struct node *node)
{
    assert(route->edges != NULL);
    HASH_DEL(route->edges, node);
}

/* Frees a node that leads nowhere, and its parents likewise. */
static void node_prune(struct route *route, struct node *node)
{
    while (node->parent != NULL && node->target_count == 0 && node->child_count == 0) {
        struct node *parent = node->parent;
        if (parent->star == node)
            parent->star = NULL;
        else if (parent->hash == node)
            parent->hash = NULL;
        else
            edge_remove(route, node);
        parent->child_count--;
        LIST_REMOVE(node, link);
        word_unref(route, node->word);
        free(node->targets);
        free(node);
        node = parent;
    }
}

static bool node_has(const struct node *node, const void *target, uint32_t *at)
{
    for (uint32_t i = 0; i < node->target_count; i++)
        if (node->targets[i] == target) {
            *at = i;
            return true;
        }
    return false;
}

static bool node_add_target(struct node *node, void *target)
{
    if (node->target_count == node->target_room) {
        uint32_t room = node->target_room > 0 ? node->target_room * 2 : 2;
        void **targets = realloc(node->targets, room * sizeof *targets);
        if (targets == NULL)
            return false;
        node->targets = targets;
        node->target_room = room;
    }
    node->targets[node->target_count++] = target;
    return true;
}

enum status route_add(struct route *route, struct wire_bytes pattern, void *target, bool *added)
{
    struct topic_words words;
    topic_split(pattern, &words);
    struct node *node = &route->root;
    for (uint32_t i = 0; i < words.count; i++) {
        struct node *child = child_find(route, node, words.word[i]);
        if (child == NULL)
            child = child_add(route, node, words.word[i]);
        if (child == NULL) {
            node_prune(route, node);
            return STATUS_NO_MEMORY;
        }
        node = child;
    }
    uint32_t at;
    *added = !node_has(node, target, &at);
    if (!*added)
        return STATUS_OK;
    if (!node_add_target(node, target)) {
        node_prune(route, node);
        return STATUS_NO_MEMORY;
    }
    cache_clear(route);
    return STATUS_OK;
}

bool route_remove(struct route *route, struct wire_bytes pattern, void *target)
{
    struct topic_words words;
    topic_split(pattern, &words);
    struct node *node = &route->root;
    for (uint32_t i = 0; i < words.count && node != NULL; i++)
        node = child_find(route, node, words.word[i]);
    uint32_t at;
    if (node == NULL || !node_has(node, target, &at))
        return false;
    node->targets[at] = node->targets[--node->target_count];
    node_prune(route, node);
    cache_clear(route);
    return true;
}

static void found_add(struct found *found, void *const *targets, size_t count)
{
    if (count > found->room - found->count) {
        size_t room = found->room > 0 ? found->room : 64;
        while (room - found->count < count)
            room *= 2;
        void **grown = realloc(found->targets, room * sizeof *grown);
        if (grown == NULL) {
            found->failed = true;
            return;
        }
        found->targets = grown;
        found->room = room;
    }
    memcpy(found->targets + found->count, targets, count * sizeof *targets);
    found->count += count;
}

/* A node that the words before `word` lead to. */
struct step {
    const struct node *node;
    uint32_t word;
};

/* A way through the trie takes a word with each step or enters one of at most 2 #, and each step
 * leaves at most 3 others open behind it. */
enum { STEPS_MAX = 3 * (TOPIC_WORDS_MAX + TOPIC_HASHES_MAX + 2) };

struct walk {
    const struct route *route;
    const uint32_t *word_ids; /* 0: no pattern has this word */
    uint32_t word_count;
    struct found *found;
    struct step steps[STEPS_MAX];
    uint32_t step_count;
};

static void walk_push(struct walk *walk, const struct node *node, uint32_t word)
{
    if (node == NULL)
        return;
    assert(walk->step_count < STEPS_MAX);
    walk->steps[walk->step_count++] = (struct step){node, word};
}

static void walk_step(struct walk *walk, struct step step)
{
    walk_push(walk, step.node->hash, step.word);
    if (step.word == walk->word_count) {
        if (step.node->target_count > 0)
            found_add(walk->found, step.node->targets, step.node->target_count);
        return;
    }
    if (step.node->parent != NULL && step.node->parent->hash == step.node)
        walk_push(walk, step.node, step.word + 1);
    walk_push(walk, step.node->star, step.word + 1);
    if (walk->word_ids[step.word] == 0)
        return;
    uint64_t key = edge_key(step.node, walk->word_ids[step.word]);
    const struct node *child;
    HASH_FIND(hh, walk->route->edges, &key, sizeof key, child);
    walk_push(walk, child, step.word + 1);
}

static void route_walk(struct route *route, struct wire_bytes key)
{
    struct topic_words words;
    topic_split(key, &words);
    uint32_t word_ids[TOPIC_WORDS_MAX];
    for (uint32_t i = 0; i < words.count; i++) {
        const struct word *word = word_find(route, words.word[i]);
        word_ids[i] = word != NULL ? word->id : 0;
    }
    struct walk walk;
    walk.route = route;
    walk.word_ids = word_ids;
    walk.word_count = words.count;
    walk.found = &route->found;
    walk.step_count = 0;
    walk_push(&walk, &route->root, 0);
    while (walk.step_count > 0)
        walk_step(&walk, walk.steps[--walk.step_count]);
}

/* FNV-1a, 64 bits (draft-eastlake-fnv). */
static struct cached **cache_slot(struct route *route, struct wire_bytes key)
{
    uint64_t hash = 14695981039346656037U;
    for (uint32_t i = 0; i < key.bytes; i++)
        hash = (hash ^ key.at[i]) * 1099511628211U;
    return &route->cache[(hash ^ hash >> 32) & (CACHE_SLOTS - 1)];
}

static bool cached_is(const struct cached *cached, struct wire_bytes key)
{
    return cached != NULL && cached->key_bytes == key.bytes &&
           memcmp(cached->key, key.at, key.bytes) == 0;
}

static void cache_put(struct cached **slot, struct wire_bytes key, const struct found *found)
{
    if (found->count > CACHE_TARGETS_MAX)
        return;
    struct cached *cached =
        realloc(*slot, sizeof *cached + found->count * sizeof cached->targets[0]);
    if (cached == NULL)
        return;
    cached->key_bytes = key.bytes;
    memcpy(cached->key, key.at, key.bytes);
    cached->count = (uint32_t)found->count;
    if (found->count > 0)
        memcpy(cached->targets, found->targets, found->count * sizeof cached->targets[0]);
    *slot = cached;
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
    struct cached **slot = cache_helps(route) ? cache_slot(route, key) : NULL;
    if (slot != NULL && cached_is(*slot, key)) {
        route->hit_count++;
        *targets = (*slot)->targets;
        *count = (*slot)->count;
        return STATUS_OK;
    }
    route->found.count = 0;
    route->found.failed = false;
    route_walk(route, key);
    if (route->found.failed)
        return STATUS_NO_MEMORY;
    if (slot != NULL)
        cache_put(slot, key, &route->found);
    *targets = route->found.targets;
    *count = route->found.count;
    return STATUS_OK;
}

void route_free(struct route *route)
{
    if (route == NULL)
        return;
    cache_clear(route);
    HASH_CLEAR(hh, route->edges);
    struct node *node;
    while ((node = LIST_FIRST(&route->nodes)) != NULL) {
        LIST_REMOVE(node, link);
        free(node->targets);
        free(node);
    }
    free(route->root.targets);
    struct word *word;
    struct word *next_word;
    HASH_ITER (hh, route->words, word, next_word) {
        HASH_DEL(route->words, word);
        free(word);
    }
    free(route->found.targets);
    free(route);
}
