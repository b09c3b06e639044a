/* Patterns as a trie: a node stands for the words of a pattern so far.
 *
 * `*` and `#` children stand in their parent. The plain ones of all nodes are in one table with
 * open addressing, by the hash of (parent, word): a walk hashes each word of its key once, and
 * looks at one cell for each node that it comes to.
 *
 *   cells   [ hash | node ] [ hash | node ] ...     a power of two, at most half of them in use
 *
 * Always true: a node other than the root has targets or children.
 */
#ifndef HERALD_TRIE_H
#define HERALD_TRIE_H

#include "broker/core/hash.h"
#include "protocol/topic.h"

/* How a node is reached from its parent. */
enum trie_kind {
    TRIE_PLAIN, /* by this word; the root is one, too */
    TRIE_STAR,
    TRIE_HASH,
};

/* What a walk reads comes first. */
struct trie_node {
    struct trie_node *star;
    struct trie_node *hash;
    void **targets;       /* what is bound here, ... */
    void **entries;       /* ... and whose each is, in the same order; see route.h */
    uint64_t walk;        /* TRIE_HASH: the walk that came here last */
    uint64_t plain_bits;  /* one bit for each of their words: most others are not looked for */
    uint32_t plain_count; /* children in the table */
    uint32_t target_count;
    uint32_t target_room;
    uint8_t kind; /* enum trie_kind */
    uint8_t word_bytes;
    struct trie_node *parent; /* NULL: the root */
    uint64_t edge;            /* hash of (parent, word) */
    uint64_t salt;            /* hash of the node itself, for its children */
    void *only[2];            /* room for one target and its entry */
    unsigned char word[];
};

struct trie_cell {
    uint64_t edge;
    struct trie_node *node; /* NULL: free */
};

struct trie {
    struct trie_node *root;
    struct trie_cell *cells;
    uint32_t mask; /* of cells; 0: there are none */
    uint32_t plain_count;
    uint64_t made_count; /* nodes, ever */
};

/* False: no memory. */
bool trie_init(struct trie *trie);
void trie_deinit(struct trie *trie);

/* The node of a checked pattern, made if need be; NULL: no memory, and nothing has changed. It must
 * get a target, or be pruned. */
struct trie_node *trie_reach(struct trie *trie, struct wire_bytes pattern);

/* Frees a node that leads nowhere, and its parents likewise. */
void trie_prune(struct trie *trie, struct trie_node *node);

/* Room for one target more. False: no memory. */
bool trie_reserve_target(struct trie_node *node);

/* Whether a further word may lead on from here; `#` apart. */
static inline bool trie_goes_on(const struct trie_node *node)
{
    return node->plain_count > 0 || node->star != NULL;
}

static inline uint64_t trie_bit(uint64_t word_hash)
{
    return (uint64_t)1 << (word_hash >> 58);
}

/* False: it has no plain child of a word with this hash. */
static inline bool trie_may_have(const struct trie_node *node, uint64_t word_hash)
{
    return (node->plain_bits & trie_bit(word_hash)) != 0;
}

static inline uint64_t trie_edge(const struct trie_node *parent, uint64_t word_hash)
{
    return hash_mix(parent->salt, word_hash);
}

static inline const struct trie_cell *trie_cell(const struct trie *trie, uint64_t edge)
{
    return &trie->cells[edge & trie->mask];
}

/* The plain child of a node that has any; NULL: none of this word. */
static inline struct trie_node *trie_find_plain(const struct trie *trie,
                                                const struct trie_node *parent, uint64_t edge,
                                                struct wire_bytes word)
{
    for (uint64_t at = edge & trie->mask; trie->cells[at].node != NULL;
         at = (at + 1) & trie->mask) {
        if (trie->cells[at].edge != edge)
            continue;
        struct trie_node *node = trie->cells[at].node;
        if (node->parent == parent && node->word_bytes == word.bytes &&
            memcmp(node->word, word.at, word.bytes) == 0)
            return node;
    }
    return NULL;
}

#endif
