/* Patterns as a trie. */
#include "broker/core/trie.h"

#include <stdlib.h>

enum {
    CELLS_MIN = 16,
    SLAB_NODES_MIN = 8,
    SLAB_NODES_MAX = 512,
};

_Static_assert(sizeof(struct trie_node) == (size_t)2 * TRIE_LINE,
               "what a walk reads fills one line");

/* --- memory of nodes ----------------------------------------------------------------------------
 */

struct trie_slab {
    struct trie_slab *next;
    uint32_t node_count;
    unsigned char memory[];
};

/* More free nodes, if there is memory. Each slab is twice as large as the one before. */
static void slab_add(struct trie *trie)
{
    uint32_t count = trie->slabs != NULL ? trie->slabs->node_count * 2 : SLAB_NODES_MIN;
    if (count > SLAB_NODES_MAX)
        count = SLAB_NODES_MAX;
    struct trie_slab *slab =
        malloc(sizeof *slab + TRIE_LINE - 1 + count * sizeof(struct trie_node));
    if (slab == NULL)
        return;
    slab->next = trie->slabs;
    slab->node_count = count;
    trie->slabs = slab;
    uintptr_t first = ((uintptr_t)slab->memory + TRIE_LINE - 1) & ~(uintptr_t)(TRIE_LINE - 1);
    struct trie_node *nodes = (struct trie_node *)first;
    for (uint32_t i = count; i > 0; i--) {
        nodes[i - 1].next = trie->free;
        trie->free = &nodes[i - 1];
    }
}

static bool set_word(struct trie_node *node, struct wire_bytes word)
{
    node->word_bytes = (uint8_t)word.bytes;
    node->is_long = word.bytes > TRIE_WORD_SHORT;
    if (node->is_long && (node->word_long = malloc(word.bytes)) == NULL)
        return false;
    if (word.bytes > 0)
        memcpy(node->is_long ? node->word_long : node->word_short, word.at, word.bytes);
    return true;
}

static void node_free(struct trie *trie, struct trie_node *node)
{
    if (node->has_many) {
        free(node->targets.many);
        free(node->entries.many);
    }
    free(node->word_long);
    node->next = trie->free;
    trie->free = node;
}

static struct trie_node *node_new(struct trie *trie, enum trie_kind kind, struct wire_bytes word)
{
    if (trie->free == NULL)
        slab_add(trie);
    struct trie_node *node = trie->free;
    if (node == NULL)
        return NULL;
    trie->free = node->next;
    memset(node, 0, sizeof *node);
    node->kind = (uint8_t)kind;
    node->target_room = 1;
    if (kind == TRIE_PLAIN && !set_word(node, word)) {
        node_free(trie, node);
        return NULL;
    }
    return node;
}

bool trie_init(struct trie *trie)
{
    *trie = (struct trie){0};
    trie->root = node_new(trie, TRIE_PLAIN, wire_bytes_of(NULL, 0));
    return trie->root != NULL;
}

/* --- the table ----------------------------------------------------------------------------------
 */

static void cell_put(struct trie *trie, struct trie_node *node)
{
    uint64_t at = node->edge & trie->mask;
    while (trie->cells[at].node != NULL)
        at = (at + 1) & trie->mask;
    trie->cells[at] = (struct trie_cell){node->edge, node};
}

/* Between an eighth and a half of the cells are in use. */
static bool cells_resize(struct trie *trie, uint32_t count)
{
    struct trie_cell *old = trie->cells;
    uint32_t old_count = trie->mask + 1;
    struct trie_cell *cells = calloc(count, sizeof *cells);
    if (cells == NULL)
        return false;
    trie->cells = cells;
    trie->mask = count - 1;
    for (uint32_t i = 0; old != NULL && i < old_count; i++)
        if (old[i].node != NULL)
            cell_put(trie, old[i].node);
    free(old);
    return true;
}

static bool cells_add(struct trie *trie, struct trie_node *node)
{
    if (trie->cells == NULL && !cells_resize(trie, CELLS_MIN))
        return false;
    if (trie->plain_count >= (trie->mask + 1) / 2 && !cells_resize(trie, 2 * (trie->mask + 1)))
        return false;
    cell_put(trie, node);
    trie->plain_count++;
    return true;
}

/* What stands behind the free cell and would not be found any more moves there. */
static void cells_close(struct trie *trie, uint64_t gap)
{
    for (uint64_t at = (gap + 1) & trie->mask; trie->cells[at].node != NULL;
         at = (at + 1) & trie->mask) {
        uint64_t home = trie->cells[at].edge & trie->mask;
        if (((at - home) & trie->mask) < ((at - gap) & trie->mask))
            continue;
        trie->cells[gap] = trie->cells[at];
        trie->cells[at].node = NULL;
        gap = at;
    }
}

static void cells_remove(struct trie *trie, const struct trie_node *node)
{
    uint64_t at = node->edge & trie->mask;
    while (trie->cells[at].node != node)
        at = (at + 1) & trie->mask;
    trie->cells[at].node = NULL;
    cells_close(trie, at);
    trie->plain_count--;
    /* Without memory for fewer cells it stays as it is. */
    if (trie->mask + 1 > CELLS_MIN && trie->plain_count < (trie->mask + 1) / 8)
        (void)cells_resize(trie, (trie->mask + 1) / 2);
}

/* --- nodes --------------------------------------------------------------------------------------
 */

static enum trie_kind kind_of(struct wire_bytes word)
{
    if (word.bytes == 1 && word.at[0] == '*')
        return TRIE_STAR;
    return word.bytes == 1 && word.at[0] == '#' ? TRIE_HASH : TRIE_PLAIN;
}

static struct trie_node *child_find(const struct trie *trie, const struct trie_node *parent,
                                    struct wire_bytes word)
{
    enum trie_kind kind = kind_of(word);
    if (kind == TRIE_STAR)
        return parent->star;
    if (kind == TRIE_HASH)
        return parent->hash;
    uint64_t hash = hash_bytes(word);
    if (!trie_may_have(parent, hash))
        return NULL;
    return trie_find_plain(trie, parent, trie_edge(parent, hash), word);
}

static struct trie_node *child_add(struct trie *trie, struct trie_node *parent,
                                   struct wire_bytes word)
{
    enum trie_kind kind = kind_of(word);
    struct trie_node *child = node_new(trie, kind, word);
    if (child == NULL)
        return NULL;
    child->parent = parent;
    if (kind == TRIE_STAR) {
        parent->star = child;
    } else if (kind == TRIE_HASH) {
        parent->hash = child;
    } else {
        uint64_t hash = hash_bytes(word);
        child->edge = trie_edge(parent, hash);
        if (!cells_add(trie, child)) {
            node_free(trie, child);
            return NULL;
        }
        parent->plain_count++;
        parent->plain_bits |= trie_bit(hash);
    }
    return child;
}

struct trie_node *trie_reach(struct trie *trie, struct wire_bytes pattern)
{
    struct topic_words words;
    topic_split(pattern, &words);
    struct trie_node *node = trie->root;
    for (uint32_t i = 0; i < words.count; i++) {
        struct trie_node *child = child_find(trie, node, words.word[i]);
        if (child == NULL)
            child = child_add(trie, node, words.word[i]);
        if (child == NULL) {
            trie_prune(trie, node);
            return NULL;
        }
        node = child;
    }
    return node;
}

static bool leads_nowhere(const struct trie_node *node)
{
    return node->target_count == 0 && node->plain_count == 0 && node->star == NULL &&
           node->hash == NULL;
}

void trie_prune(struct trie *trie, struct trie_node *node)
{
    while (node->parent != NULL && leads_nowhere(node)) {
        struct trie_node *parent = node->parent;
        if (node->kind == TRIE_STAR) {
            parent->star = NULL;
        } else if (node->kind == TRIE_HASH) {
            parent->hash = NULL;
        } else {
            cells_remove(trie, node);
            if (--parent->plain_count == 0)
                parent->plain_bits = 0; /* of single words that are gone the bits stay */
        }
        node_free(trie, node);
        node = parent;
    }
}

/* A list with more room, of which the old one is the beginning. */
static bool list_grow(union trie_list *list, bool has_many, uint32_t room)
{
    void **grown = realloc(has_many ? list->many : NULL, room * sizeof(void *));
    if (grown == NULL)
        return false;
    if (!has_many)
        grown[0] = list->one;
    list->many = grown;
    return true;
}

bool trie_reserve_target(struct trie_node *node)
{
    if (node->target_count < node->target_room)
        return true;
    uint32_t room = node->target_room < 1024 ? node->target_room * 4 : node->target_room * 2;
    union trie_list targets = node->targets;
    if (!list_grow(&targets, node->has_many, room))
        return false;
    if (node->has_many)
        node->targets = targets;
    if (!list_grow(&node->entries, node->has_many, room)) {
        if (!node->has_many)
            free(targets.many);
        return false;
    }
    node->targets = targets;
    node->has_many = true;
    node->target_room = room;
    return true;
}

/* --- the end ------------------------------------------------------------------------------------
 */

/* What a node holds beside itself, and what hangs on it by `*` and `#` only. */
static void node_empty(struct trie *trie, struct trie_node *top)
{
    struct trie_node *node = top;
    for (;;) {
        struct trie_node **child = node->star != NULL ? &node->star : &node->hash;
        if (*child != NULL) {
            node = *child;
            continue;
        }
        struct trie_node *parent = node->parent;
        bool is_top = node == top;
        if (!is_top && parent->star == node)
            parent->star = NULL;
        else if (!is_top)
            parent->hash = NULL;
        node_free(trie, node);
        if (is_top)
            return;
        node = parent;
    }
}

/* Every node is the root, or in the table, or hangs on such a one by `*` and `#` only. */
void trie_deinit(struct trie *trie)
{
    for (uint32_t i = 0; trie->cells != NULL && i <= trie->mask; i++)
        if (trie->cells[i].node != NULL)
            node_empty(trie, trie->cells[i].node);
    if (trie->root != NULL)
        node_empty(trie, trie->root);
    free(trie->cells);
    while (trie->slabs != NULL) {
        struct trie_slab *slab = trie->slabs;
        trie->slabs = slab->next;
        free(slab);
    }
    *trie = (struct trie){0};
}
