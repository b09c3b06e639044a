/* The order of what is ready to be handed out: the highest priority first, then the lowest number.
 *
 * A treap (Seidel and Aragon, "Randomized Search Trees", 1996): a search tree by that order and a
 * heap by a hash of the number, which keeps it flat whatever comes. Its links stand in what is
 * ordered, so that nothing is allocated. What comes in order is added at the end and taken from the
 * front, both in constant time.
 */
#ifndef HERALD_READY_H
#define HERALD_READY_H

#include <stdbool.h>

struct aside;

struct ready_links {
    struct aside *parent;
    struct aside *left;
    struct aside *right;
};

/* Empty when zeroed. */
struct ready {
    struct aside *root;
    struct aside *first; /* to be handed out first; NULL: nothing is ready */
    struct aside *last;
};

void ready_add(struct ready *ready, struct aside *aside);
void ready_remove(struct ready *ready, struct aside *aside);

/* Whether the first one is handed out before the second. */
bool ready_comes_before(const struct aside *a, const struct aside *b);

#endif
