/* The index of a queue: all its places in the order of their numbers.
 *
 * Places are appended at the end and stay where they are until they are settled, handed out or not;
 * what is given back is thereby at its old place. They lie in pages that grow from 16 to 512
 * places. A settled place leaves a hole; a page of holes is freed.
 *
 * Always true: numbers ascend over all pages; a page has at least one live place, or its slot in
 * the directory is empty; no ready place lies before the cursor.
 */
#ifndef HERALD_INDEX_H
#define HERALD_INDEX_H

#include <stddef.h>

#include "broker/core/place.h"
#include "protocol/status.h"

struct index_page;

struct index_slot {
    uint64_t first; /* number of the page's first place; stays when the page is freed */
    struct index_page *page;
};

struct index {
    struct index_slot *slots; /* the directory: slots [start, end) */
    size_t start;
    size_t end;
    size_t room;
    size_t empty_count;          /* slots without a page between start and end */
    struct index_page *reserved; /* for the next append, when the last page is full */
    uint64_t live_count;         /* places that are not holes */
    size_t cursor_slot;          /* no ready place lies before this one */
    uint32_t cursor_place;
};

/* A found place. Holds until the index is changed by append or remove. */
struct index_at {
    size_t slot;
    uint32_t place;
    struct place *found; /* NULL: none */
};

void index_init(struct index *index);

/* Gives all pages back; what places refer to is the caller's business. */
void index_deinit(struct index *index);

/* Makes sure that the next append cannot fail. STATUS_OK or STATUS_NO_MEMORY. */
enum status index_reserve(struct index *index, uint64_t number);

/* Appends a place; `number` is above all others. index_reserve went before. */
void index_append(struct index *index, uint64_t number, uint64_t word, uint32_t size);

/* Puts a place where its number belongs; there is none of that number that is not a hole.
 * index_reserve went before. */
void index_insert(struct index *index, uint64_t number, uint64_t word, uint32_t size);

/* The place of a number; holes are not found. */
struct index_at index_find(const struct index *index, uint64_t number);

/* The first place with at least this number that is not a hole. */
struct index_at index_find_from(const struct index *index, uint64_t number);

/* The next place that is not a hole. */
struct index_at index_next(const struct index *index, struct index_at at);

/* The first ready place; moves the cursor to it. */
struct index_at index_first_ready(struct index *index);

uint64_t index_number(const struct index *index, struct index_at at);

/* The place became ready again: the cursor goes back to it if need be. */
void index_on_ready(struct index *index, struct index_at at);

/* Makes a hole of the place. Frees its page when it was the last. */
void index_remove(struct index *index, struct index_at at);

#endif
