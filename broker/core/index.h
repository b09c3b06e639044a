/* The index of a queue: all its places in the order of their numbers.
 *
 * Places are appended at the end and stay where they are until they are settled, handed out or not;
 * what is given back is thereby at its old place. They lie in pages that grow from 16 to 4096
 * places. A settled place leaves a hole; a page of holes is freed. Pages may leave memory for a
 * file (spill.h); what is known of them then stands in their headers.
 *
 * Always true: numbers ascend over all pages; a page has at least one live place, or is the last
 * one and has room, or its slot in the directory is empty; no ready place lies before the cursor.
 */
#ifndef HERALD_INDEX_H
#define HERALD_INDEX_H

#include <stddef.h>

#include "broker/core/place.h"
#include "protocol/status.h"

struct index_page;
struct spill;

struct index_slot {
    uint64_t first; /* number of the page's first place; stays when the page is freed */
    struct index_page *page;
};

struct index {
    struct spill *spill;      /* NULL: no page ever leaves */
    struct index_slot *slots; /* the directory: slots [start, end) */
    size_t start;
    size_t end;
    size_t room;
    size_t empty_count;          /* slots without a page between start and end */
    struct index_page *reserved; /* for the next append or insert, when it needs a page */
    uint64_t live_count;         /* places that are not holes */
    size_t cursor_slot;          /* no ready place lies before this one */
    uint32_t cursor_place;
};

/* A found place. Holds until the index is changed by append, insert or remove. */
struct index_at {
    size_t slot;
    uint32_t place;
    struct place *found; /* NULL: none, or its page is away */
    bool is_away;        /* the search ended at a page that is away: slot says which */
};

/* `spill` may be NULL; else it outlives the index. */
void index_init(struct index *index, struct spill *spill);

/* Gives all pages back; what places refer to is the caller's business. */
void index_deinit(struct index *index);

/* Makes sure that the next append or insert, which is of this number, cannot fail. STATUS_OK or
 * STATUS_NO_MEMORY. */
enum status index_reserve(struct index *index, uint64_t number);

/* The same for `count` appends one behind the other, at most PAGE_PLACES_MAX, none of which is to
 * be reserved by itself. */
enum status index_reserve_many(struct index *index, uint64_t number, uint32_t count);

/* Asks the machine for the memory where the next place goes, which is found in three steps: 0 the
 * directory, 1 the last page, 2 its end. Each finds what the one before has asked for, once there
 * was time for that. */
void index_prefetch(const struct index *index, int step);

/* Appends a place; `number` is above all others. index_reserve went before. */
void index_append(struct index *index, uint64_t number, uint64_t word, uint32_t size);

/* The same for a number anywhere that has no place yet, and whose page, if it has one, is not away:
 * index_find says so. While recovering none stays away. */
void index_insert(struct index *index, uint64_t number, uint64_t word, uint32_t size);

/* The place of a number; holes are not found. */
struct index_at index_find(const struct index *index, uint64_t number);

/* The first place with at least this number that is not a hole. */
struct index_at index_find_from(const struct index *index, uint64_t number);

/* The next place that is not a hole; from a page that is away, the first one behind it. */
struct index_at index_next(const struct index *index, struct index_at at);

/* The first ready place; moves the cursor to it. When it enters a page, the next one is read if it
 * is away. */
struct index_at index_first_ready(struct index *index);

uint64_t index_number(const struct index *index, struct index_at at);

/* The page of a place, or the one that is away; for spill_read. */
struct index_page *index_page(const struct index *index, struct index_at at);

/* The number of what was found, or those that the page which is away may hold: all its places are
 * ready. */
void index_range(const struct index *index, struct index_at at, uint64_t *first, uint64_t *last);

/* The place is with a consumer now, and any later hand-out of it is not the first. */
void index_set_out(struct index *index, struct index_at at);

/* Nobody has the place any more. */
void index_clear_out(struct index *index, struct index_at at);

/* The place became ready again: the cursor goes back to it if need be. */
void index_on_ready(struct index *index, struct index_at at);

/* Flags that change neither who has the place nor what it refers to. */
void index_set_flags(struct index *index, struct index_at at, uint64_t flags);

/* The message stands at another position now. The place keeps its flags. */
void index_move(struct index *index, struct index_at at, uint64_t word, uint32_t size);

/* A transient place has its message in the journal from now on. */
void index_become_durable(struct index *index, struct index_at at, uint64_t word);

/* Changes how many reasons there are to keep the page of a slot in memory, by 1 or -1. */
void index_pin(struct index *index, size_t slot, int count);

/* Makes a hole of the place. Frees its page when it was the last. */
void index_remove(struct index *index, struct index_at at);

/* Room in the directory for all pages of another index. STATUS_NO_MEMORY. */
enum status index_reserve_pages(struct index *index, const struct index *other);

/* Moves the page that is away to the end of another index, whose numbers are all below and which
 * has room for it. Returns the bytes of its messages. */
uint64_t index_give_page(struct index *index, struct index_at at, struct index *to);

/* Frees the page that is away, unread. */
void index_drop_page(struct index *index, struct index_at at);

#endif
