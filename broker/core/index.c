/* The index of a queue: all its places in the order of their numbers. */
#include "broker/core/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE_PLACES_MIN = 16,
    PAGE_PLACES_MAX = 512,
    /* A directory with fewer empty slots is not worth tidying. */
    DIRECTORY_EMPTY_MIN = 64,
};

struct index_page {
    uint64_t base;
    uint32_t room;
    uint32_t count; /* places used, holes included */
    uint32_t live;
    struct place places[];
};

void index_init(struct index *index)
{
    *index = (struct index){0};
}

void index_deinit(struct index *index)
{
    for (size_t i = index->start; i < index->end; i++)
        free(index->slots[i].page);
    free(index->slots);
    free(index->reserved);
    index_init(index);
}

static struct index_page *last_page(const struct index *index)
{
    return index->end > index->start ? index->slots[index->end - 1].page : NULL;
}

static bool page_takes(const struct index_page *page, uint64_t number)
{
    return page != NULL && page->count < page->room && number - page->base <= UINT32_MAX;
}

/* Moves the slots to the front and drops the empty ones, unless the first is wanted as it is. */
static void directory_tidy(struct index *index)
{
    size_t to = 0;
    size_t cursor = 0;
    for (size_t i = index->start; i < index->end; i++) {
        if (i == index->cursor_slot)
            cursor = to;
        if (index->slots[i].page == NULL) {
            if (i == index->cursor_slot)
                index->cursor_place = 0;
            continue;
        }
        index->slots[to++] = index->slots[i];
    }
    if (index->cursor_slot >= index->end)
        cursor = to;
    index->start = 0;
    index->end = to;
    index->empty_count = 0;
    index->cursor_slot = cursor;
}

static enum status directory_reserve(struct index *index)
{
    if (index->end < index->room)
        return STATUS_OK;
    if (index->start > index->room / 2 ||
        (index->empty_count >= DIRECTORY_EMPTY_MIN && index->empty_count > index->room / 2)) {
        directory_tidy(index);
        return STATUS_OK;
    }
    size_t room = index->room > 0 ? index->room * 2 : 4;
    struct index_slot *slots = realloc(index->slots, room * sizeof *slots);
    if (slots == NULL)
        return STATUS_NO_MEMORY;
    index->slots = slots;
    index->room = room;
    return STATUS_OK;
}

enum status index_reserve(struct index *index, uint64_t number)
{
    const struct index_page *last = last_page(index);
    bool is_behind = last == NULL || number > last->base + last->places[last->count - 1].delta;
    if ((is_behind && page_takes(last, number)) || index->reserved != NULL)
        return directory_reserve(index);
    uint32_t room = last != NULL ? last->room * 4 : PAGE_PLACES_MIN;
    if (room > PAGE_PLACES_MAX || !is_behind)
        room = PAGE_PLACES_MAX;
    struct index_page *page = malloc(sizeof *page + room * sizeof page->places[0]);
    if (page == NULL)
        return STATUS_NO_MEMORY;
    page->room = room;
    page->count = 0;
    page->live = 0;
    index->reserved = page;
    return directory_reserve(index);
}

void index_append(struct index *index, uint64_t number, uint64_t word, uint32_t size)
{
    struct index_page *page = last_page(index);
    if (!page_takes(page, number)) {
        page = index->reserved;
        assert(page != NULL && index->end < index->room);
        index->reserved = NULL;
        page->base = number;
        index->slots[index->end++] = (struct index_slot){number, page};
    }
    assert(page->count == 0 || number > page->base + page->places[page->count - 1].delta);
    page->places[page->count++] = (struct place){(uint32_t)(number - page->base), size, word};
    page->live++;
    index->live_count++;
}

/* Takes the reserved page into the directory. */
static struct index_page *directory_insert(struct index *index, size_t slot, uint64_t number)
{
    struct index_page *page = index->reserved;
    assert(page != NULL && index->end < index->room);
    index->reserved = NULL;
    page->base = number;
    memmove(index->slots + slot + 1, index->slots + slot,
            (index->end - slot) * sizeof *index->slots);
    index->slots[slot] = (struct index_slot){number, page};
    index->end++;
    return page;
}

static void page_insert(struct index_page *page, uint32_t at, struct place place)
{
    memmove(page->places + at + 1, page->places + at, (page->count - at) * sizeof place);
    page->places[at] = place;
    page->count++;
    page->live++;
}

/* What stands from `at` on goes to a page of its own. */
static void page_split(struct index *index, size_t slot, uint32_t at)
{
    struct index_page *left = index->slots[slot].page;
    uint64_t first = left->base + left->places[at].delta;
    struct index_page *right = directory_insert(index, slot + 1, first);
    for (uint32_t i = at; i < left->count; i++) {
        struct place place = left->places[i];
        place.delta -= (uint32_t)(first - left->base);
        right->places[right->count++] = place;
        right->live += (place.word & PLACE_GONE) == 0;
    }
    left->live -= right->live;
    left->count = at;
}

/* The last slot whose first number is not above `number`, or the first slot. */
static size_t slot_find(const struct index *index, uint64_t number)
{
    size_t low = index->start;
    size_t high = index->end;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (index->slots[middle].first <= number)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The first place of a page that is not below `number`; page->count when all are. */
static uint32_t place_find(const struct index_page *page, uint64_t number)
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

void index_insert(struct index *index, uint64_t number, uint64_t word, uint32_t size)
{
    const struct index_page *last = last_page(index);
    if (last == NULL || number > last->base + last->places[last->count - 1].delta) {
        index_append(index, number, word, size);
        return;
    }
    size_t slot = slot_find(index, number);
    struct index_page *page = index->slots[slot].page;
    uint32_t at = page != NULL ? place_find(page, number) : 0;
    if (page == NULL || number < page->base) {
        page = directory_insert(index, slot + (page == NULL), number);
    } else if (page->count == page->room || number - page->base > UINT32_MAX) {
        if (at < page->count)
            page_split(index, slot, at);
        else
            page = directory_insert(index, slot + 1, number);
        at = page->count;
    }
    page_insert(page, at, (struct place){(uint32_t)(number - page->base), size, word});
    index->live_count++;
    index->cursor_slot = index->start;
    index->cursor_place = 0;
}

/* The first place from here on that is no hole. */
static struct index_at skip_holes(const struct index *index, size_t slot, uint32_t place)
{
    for (; slot < index->end; slot++, place = 0) {
        struct index_page *page = index->slots[slot].page;
        if (page == NULL)
            continue;
        for (; place < page->count; place++)
            if ((page->places[place].word & PLACE_GONE) == 0)
                return (struct index_at){slot, place, &page->places[place]};
    }
    return (struct index_at){slot, 0, NULL};
}

struct index_at index_find_from(const struct index *index, uint64_t number)
{
    if (index->start == index->end)
        return (struct index_at){index->end, 0, NULL};
    size_t slot = slot_find(index, number);
    const struct index_page *page = index->slots[slot].page;
    return skip_holes(index, slot, page != NULL ? place_find(page, number) : 0);
}

struct index_at index_find(const struct index *index, uint64_t number)
{
    struct index_at at = index_find_from(index, number);
    if (at.found != NULL && index_number(index, at) != number)
        at.found = NULL;
    return at;
}

struct index_at index_next(const struct index *index, struct index_at at)
{
    return skip_holes(index, at.slot, at.place + 1);
}

struct index_at index_first_ready(struct index *index)
{
    if (index->cursor_slot < index->start) {
        index->cursor_slot = index->start;
        index->cursor_place = 0;
    }
    struct index_at at = skip_holes(index, index->cursor_slot, index->cursor_place);
    while (at.found != NULL && !place_is_ready(at.found->word))
        at = index_next(index, at);
    if (at.found != NULL) {
        index->cursor_slot = at.slot;
        index->cursor_place = at.place;
    } else if (index->end > index->start) {
        /* Nothing is ready: go on after the last place there is. */
        const struct index_page *last = last_page(index);
        index->cursor_slot = index->end - 1;
        index->cursor_place = last != NULL ? last->count : 0;
    }
    return at;
}

uint64_t index_number(const struct index *index, struct index_at at)
{
    return index->slots[at.slot].page->base + at.found->delta;
}

void index_on_ready(struct index *index, struct index_at at)
{
    if (at.slot < index->cursor_slot ||
        (at.slot == index->cursor_slot && at.place < index->cursor_place)) {
        index->cursor_slot = at.slot;
        index->cursor_place = at.place;
    }
}

void index_remove(struct index *index, struct index_at at)
{
    struct index_page *page = index->slots[at.slot].page;
    assert((at.found->word & PLACE_GONE) == 0 && page->live > 0);
    at.found->word |= PLACE_GONE;
    index->live_count--;
    if (--page->live > 0)
        return;
    /* The last page goes on being filled while it has room. */
    if (at.slot + 1 == index->end && page->count < page->room)
        return;
    free(page);
    index->slots[at.slot].page = NULL;
    index->empty_count++;
    while (index->start < index->end && index->slots[index->start].page == NULL) {
        index->start++;
        index->empty_count--;
    }
    if (index->start == index->end)
        index->start = index->end = index->cursor_slot = index->cursor_place = 0;
}
