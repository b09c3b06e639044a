/* Patterns as a trie. */
#include "broker/core/trie.h"

#include <assert.h>
#include <stdlib.h>

enum { CELLS_MIN = 16 };

static struct trie_node *node_new(struct trie *trie, enum trie_kind kind, struct wire_bytes word)
{
    uint32_t bytes = kind == TRIE_PLAIN ? word.bytes : 0;
    struct trie_node *node = calloc(1, sizeof *node + bytes);
    if (node == NULL)
        return NULL;
    node->kind = (uint8_t)kind;
    node->word_bytes = (uint8_t)bytes;
    if (bytes > 0)
        memcpy(node->word, word.at, bytes);
    node->salt = hash_mix(++trie->made_count, 0);
    node->targets = &node->only[0];
    node->entries = &node->only[1];
    node->target_room = 1;
    return node;
}

static void node_free(struct trie_node *node)
{
    if (node->targets != &node->only[0]) {
        free(node->targets);
        free(node->entries);
    }
    free(node);
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
            node_free(child);
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
        node_free(node);
        node = parent;
    }
}

static void *grown(void *old, uint32_t room)
{
    return realloc(old, room * sizeof(void *));
}

bool trie_reserve_target(struct trie_node *node)
{
    if (node->target_count < node->target_room)
        return true;
    bool is_first = node->targets == &node->only[0];
    uint32_t room = node->target_room * 4;
    if (room > 1024)
        room = node->target_room * 2;
    void **targets = grown(is_first ? NULL : node->targets, room);
    if (targets == NULL)
        return false;
    if (!is_first)
        node->targets = targets;
    void **entries = grown(is_first ? NULL : node->entries, room);
    if (entries == NULL) {
        if (is_first)
            free(targets);
        return false;
    }
    if (is_first) {
        targets[0] = node->only[0];
        entries[0] = node->only[1];
    }
    node->targets = targets;
    node->entries = entries;
    node->target_room = room;
    return true;
}

/* --- the end ------------------------------------------------------------------------------------
 */

/* A node without children, on the way down from this one. */
static struct trie_node *wild_leaf(struct trie_node *node)
{
    while (node->star != NULL || node->hash != NULL)
        node = node->star != NULL ? node->star : node->hash;
    return node;
}

/* Frees what hangs below by `*` and `#` only, and the node itself. */
static void node_free_wild(struct trie_node *top)
{
    for (;;) {
        struct trie_node *leaf = wild_leaf(top);
        struct trie_node *parent = leaf->parent;
        if (leaf != top && parent->star == leaf)
            parent->star = NULL;
        else if (leaf != top)
            parent->hash = NULL;
        node_free(leaf);
        if (leaf == top)
            return;
    }
}

/* Every node is the root, or in the table, or hangs on such a one by `*` and `#` only. */
void trie_deinit(struct trie *trie)
{
    for (uint32_t i = 0; trie->cells != NULL && i <= trie->mask; i++)
        if (trie->cells[i].node != NULL)
            node_free_wild(trie->cells[i].node);
    if (trie->root != NULL)
        node_free_wild(trie->root);
    free(trie->cells);
    assert(trie->root != NULL || trie->plain_count == 0);
    *trie = (struct trie){0};
}
