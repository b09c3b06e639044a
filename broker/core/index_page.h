/* A page of an index, as the index and the spill know it. Only these two include this.
 *
 *                 spill_run               written             spill_run
 *   HERE ------------------> WRITING -----------------> CLEAN ----------> AWAY
 *    ^                          |                        | ^               |
 *    |  a place was changed     |                        | |   was read    | spill_read
 *    +--------------------------+------------------------+ +--- READING <--+
 *
 * HERE     in memory, and nowhere else.
 * WRITING  in memory; a copy of it is on its way to the file.
 * CLEAN    in memory and in the file, the same in both.
 * AWAY     in the file alone; only this header is in memory.
 * READING  as AWAY; the bytes are on their way.
 *
 * Always true: a page that is WRITING, CLEAN, AWAY or READING has an extent of the file; places is
 * NULL exactly while it is AWAY or READING; then none of its places is OUT or TRANSIENT, or pinned.
 */
#ifndef HERALD_INDEX_PAGE_H
#define HERALD_INDEX_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "broker/core/place.h"

struct spill_part;

enum page_state {
    PAGE_HERE,
    PAGE_WRITING,
    PAGE_CLEAN,
    PAGE_AWAY,
    PAGE_READING,
};

enum {
    PAGE_PLACES_MIN = 16,
    PAGE_PLACES_MAX = 4096,
    PAGE_GROWTH = 4,
    /* Smaller pages stay in memory: a queue has few of them. */
    PAGE_PLACES_LEAVING = 256,
};

struct index_page {
    TAILQ_ENTRY(index_page) link; /* those that may leave, see spill.c */
    struct place *places;
    struct spill_part *part; /* WRITING, READING: its part of the errand */
    uint64_t base;
    uint64_t bytes; /* of the messages of its live places */
    uint32_t room;
    uint32_t count; /* places used, holes included */
    uint32_t live;
    uint32_t out_count;
    uint32_t transient_count;
    uint32_t pin_count;
    uint32_t last;       /* delta of the last place */
    uint32_t extent;     /* in the file, but for HERE */
    uint32_t crc;        /* of the places there */
    uint32_t seen_count; /* count when the spill looked at it last */
    enum page_state state;
    bool is_listed;
};

static inline bool page_may_leave(const struct index_page *page)
{
    return page->room >= PAGE_PLACES_LEAVING && page->out_count == 0 &&
           page->transient_count == 0 && page->pin_count == 0 && page->live > 0;
}

static inline uint64_t page_last(const struct index_page *page)
{
    return page->base + page->last;
}

/* Counts a place that came to the page. */
static inline void page_count(struct index_page *page, const struct place *place)
{
    page->live++;
    page->bytes += place_bytes(place->size);
    page->out_count += (place->word & PLACE_OUT) != 0;
    page->transient_count += (place->word & PLACE_TRANSIENT) != 0;
}

/* Counts a place that leaves the page. */
static inline void page_discount(struct index_page *page, const struct place *place)
{
    page->live--;
    page->bytes -= place_bytes(place->size);
    page->out_count -= (place->word & PLACE_OUT) != 0;
    page->transient_count -= (place->word & PLACE_TRANSIENT) != 0;
}

/* The first place of a page that is not below `number`; page->count when all are. */
static inline uint32_t place_find(const struct index_page *page, uint64_t number)
{
    if (number <= page->base)
        return 0;
    uint64_t delta = number - page->base;
    uint32_t low = 0;
    uint32_t high = page->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (page->places[middle].delta < delta)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline size_t page_room_bytes(const struct index_page *page)
{
    return page->room * sizeof(struct place);
}

#endif
