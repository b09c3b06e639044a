/* Patterns as a trie: a node stands for the words of a pattern so far.
 *
 * `*` and `#` children stand in their parent. The plain ones of all nodes are in one table with
 * open addressing, by the hash of (parent, word): a walk hashes each word of its key once, and
 * looks at one cell for each node that it comes to.
 *
 *   cells   [ edge | node ] [ edge | node ] ...     a power of two, at most half of them in use
 *
 * With many patterns what a walk costs are the lines of memory that it touches: a node has all that
 * it needs in one of them. Nodes come from slabs, which are kept until the trie ends.
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

enum {
    TRIE_LINE = 64,       /* of memory */
    TRIE_WORD_SHORT = 12, /* bytes of a word that stand in its node */
};

/* One of them, or a list of more. */
union trie_list {
    void *one;
    void **many;
};

struct trie_node {
    uint64_t edge;            /* hash of (parent, word) */
    uint64_t walk;            /* TRIE_HASH: the walk that came here last */
    unsigned char *word_long; /* NULL: it is short */
    union trie_list entries;  /* whose each target is, in their order; see route.h */
    struct trie_node *next;   /* free: the next one */
    uint32_t target_room;

    /* What a walk reads. */
    _Alignas(TRIE_LINE) struct trie_node *star;
    struct trie_node *hash;
    struct trie_node *parent; /* NULL: the root */
    union trie_list targets;  /* what is bound here */
    uint64_t plain_bits;      /* one bit for each word of a child: most others are not looked for */
    uint32_t plain_count;     /* children in the table */
    uint32_t target_count;
    uint8_t kind; /* enum trie_kind */
    uint8_t word_bytes;
    bool has_many; /* targets and entries are lists */
    bool is_long;  /* the word stands elsewhere */
    unsigned char word_short[TRIE_WORD_SHORT];
};

struct trie_cell {
    uint64_t edge;
    struct trie_node *node; /* NULL: free */
};

struct trie_slab;

struct trie {
    struct trie_node *root;
    struct trie_cell *cells;
    uint32_t mask; /* of cells; 0: there are none */
    uint32_t plain_count;
    struct trie_slab *slabs;
    struct trie_node *free; /* nodes that are not in use */
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
    return (node->plain_count > 0) | (node->star != NULL);
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
    return hash_mix((uintptr_t)parent, word_hash);
}

static inline void **trie_targets(struct trie_node *node)
{
    return node->has_many ? node->targets.many : &node->targets.one;
}

static inline void **trie_entries(struct trie_node *node)
{
    return node->has_many ? node->entries.many : &node->entries.one;
}

static inline struct wire_bytes trie_word(const struct trie_node *node)
{
    return wire_bytes_of(node->is_long ? node->word_long : node->word_short, node->word_bytes);
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
        if (node->parent == parent && wire_bytes_equal(trie_word(node), word))
            return node;
    }
    return NULL;
}

#endif
