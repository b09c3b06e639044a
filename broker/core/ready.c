/* The order of what is ready to be handed out. */
#include "broker/core/ready.h"

#include <assert.h>
#include <stddef.h>

#include "broker/core/aside.h"

bool ready_comes_before(const struct aside *a, const struct aside *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->number < b->number;
}

/* Who has the larger one stands higher. */
static uint64_t height_of(const struct aside *aside)
{
    uint64_t hash = aside->number * UINT64_C(0x9e3779b97f4a7c15);
    return (hash ^ hash >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
}

static struct ready_links *links(struct aside *aside)
{
    return &aside->as.links;
}

/* What points to it. */
static struct aside **link_to(struct ready *ready, struct aside *aside)
{
    struct aside *parent = links(aside)->parent;
    if (parent == NULL)
        return &ready->root;
    return links(parent)->left == aside ? &links(parent)->left : &links(parent)->right;
}

/* The child takes its parent's place, which becomes its child on the other side. */
static void rotate_up(struct ready *ready, struct aside *child)
{
    struct aside *parent = links(child)->parent;
    struct aside *moved;
    *link_to(ready, parent) = child;
    links(child)->parent = links(parent)->parent;
    links(parent)->parent = child;
    if (links(parent)->left == child) {
        moved = links(child)->right;
        links(child)->right = parent;
        links(parent)->left = moved;
    } else {
        moved = links(child)->left;
        links(child)->left = parent;
        links(parent)->right = moved;
    }
    if (moved != NULL)
        links(moved)->parent = parent;
}

/* Where it belongs as a leaf: below whom, and what is to point to it. */
static struct aside **find_leaf(struct ready *ready, const struct aside *aside,
                                struct aside **parent)
{
    struct aside **link = &ready->root;
    *parent = NULL;
    if (ready->last != NULL && ready_comes_before(ready->last, aside)) {
        *parent = ready->last;
        return &links(ready->last)->right;
    }
    while (*link != NULL) {
        *parent = *link;
        link = ready_comes_before(aside, *link) ? &links(*link)->left : &links(*link)->right;
    }
    return link;
}

void ready_add(struct ready *ready, struct aside *aside)
{
    struct aside *parent;
    struct aside **link = find_leaf(ready, aside, &parent);
    *links(aside) = (struct ready_links){.parent = parent};
    *link = aside;
    if (ready->first == NULL || ready_comes_before(aside, ready->first))
        ready->first = aside;
    if (ready->last == NULL || ready_comes_before(ready->last, aside))
        ready->last = aside;
    uint64_t height = height_of(aside);
    while (links(aside)->parent != NULL && height_of(links(aside)->parent) < height)
        rotate_up(ready, aside);
}

static struct aside *next_of(struct aside *aside)
{
    if (links(aside)->right == NULL)
        return links(aside)->parent; /* the first one is a left child */
    aside = links(aside)->right;
    while (links(aside)->left != NULL)
        aside = links(aside)->left;
    return aside;
}

static struct aside *previous_of(struct aside *aside)
{
    if (links(aside)->left == NULL)
        return links(aside)->parent; /* the last one is a right child */
    aside = links(aside)->left;
    while (links(aside)->right != NULL)
        aside = links(aside)->right;
    return aside;
}

void ready_remove(struct ready *ready, struct aside *aside)
{
    assert(ready->root != NULL);
    if (ready->first == aside)
        ready->first = next_of(aside);
    if (ready->last == aside)
        ready->last = previous_of(aside);
    while (links(aside)->left != NULL && links(aside)->right != NULL)
        rotate_up(ready, height_of(links(aside)->left) > height_of(links(aside)->right)
                             ? links(aside)->left
                             : links(aside)->right);
    struct aside *child = links(aside)->left != NULL ? links(aside)->left : links(aside)->right;
    *link_to(ready, aside) = child;
    if (child != NULL)
        links(child)->parent = links(aside)->parent;
}
