/* The index of a queue: all its places in the order of their numbers. */
#include "broker/core/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/index_page.h"
#include "broker/core/spill.h"

enum {
    /* A directory with fewer empty slots is not worth tidying. */
    DIRECTORY_EMPTY_MIN = 64,
};

/* --- pages --------------------------------------------------------------------------------------
 */

static struct index_page *page_new(struct index *index, uint32_t room)
{
    struct index_page *page = calloc(1, sizeof *page);
    struct place *places = malloc(room * sizeof *places);
    if (page == NULL || places == NULL) {
        free(page);
        free(places);
        return NULL;
    }
    page->places = places;
    page->room = room;
    spill_add_page(index->spill, page);
    return page;
}

static void page_free(struct index *index, struct index_page *page)
{
    if (page == NULL)
        return;
    spill_remove_page(index->spill, page);
    free(page->places);
    free(page);
}

/* A page that is on its way out is not called back for one place more. */
static bool page_takes(const struct index_page *page, uint64_t number)
{
    return page != NULL && page->count < page->room && number - page->base <= UINT32_MAX &&
           (page->state == PAGE_HERE || page->state == PAGE_CLEAN);
}

/* Whether the places can be looked at. While recovering they can, always. */
static bool page_is_here(const struct index *index, struct index_page *page)
{
    return page->places != NULL || spill_load_now(index->spill, page);
}

static void page_on_change(struct index *index, struct index_page *page)
{
    if (page->state != PAGE_HERE)
        spill_on_change(index->spill, page);
}

/* --- the directory ------------------------------------------------------------------------------
 */

void index_init(struct index *index, struct spill *spill)
{
    *index = (struct index){.spill = spill};
}

void index_deinit(struct index *index)
{
    for (size_t i = index->start; i < index->end; i++)
        page_free(index, index->slots[i].page);
    page_free(index, index->reserved);
    free(index->slots);
    index_init(index, index->spill);
}

static struct index_page *last_page(const struct index *index)
{
    return index->end > index->start ? index->slots[index->end - 1].page : NULL;
}

void index_prefetch(const struct index *index, int step)
{
    if (step == 0 && index->end > 0)
        __builtin_prefetch(&index->slots[index->end - 1]);
    const struct index_page *page = step > 0 ? last_page(index) : NULL;
    if (page != NULL && step == 1)
        __builtin_prefetch(page, 1);
    else if (page != NULL && page->places != NULL)
        __builtin_prefetch(&page->places[page->count], 1);
}

/* Moves the slots to the front and drops the empty ones. A cursor that stands before the first
 * slot, where its page has gone, comes to the beginning of it. */
static void directory_tidy(struct index *index)
{
    size_t to = 0;
    size_t cursor = 0;
    if (index->cursor_slot < index->start)
        index->cursor_place = 0;
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

static enum status directory_grow(struct index *index, size_t more)
{
    size_t room = index->room > 0 ? index->room * 2 : 4;
    while (room < index->end + more)
        room *= 2;
    struct index_slot *slots = realloc(index->slots, room * sizeof *slots);
    if (slots == NULL)
        return STATUS_NO_MEMORY;
    index->slots = slots;
    index->room = room;
    return STATUS_OK;
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
    return directory_grow(index, 1);
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
    spill_touch(index->spill, page);
    return page;
}

/* --- places in ----------------------------------------------------------------------------------
 */

static bool is_behind_all(const struct index *index, uint64_t number)
{
    const struct index_page *last = last_page(index);
    if (last != NULL)
        return last->count == 0 || number > page_last(last);
    return index->start == index->end || number > index->slots[index->end - 1].first;
}

/* Where a number belongs that is not behind all others. */
struct spot {
    size_t slot;
    uint32_t place;
    bool is_new_page; /* a page of its own, at this slot */
    bool is_split;    /* the page is full: what follows the number goes to a new page */
    bool is_hole;     /* the number had a place there before */
};

static struct spot spot_find(const struct index *index, uint64_t number)
{
    struct spot spot = {.slot = slot_find(index, number)};
    struct index_page *page = index->slots[spot.slot].page;
    if (number < index->slots[spot.slot].first || page == NULL) {
        spot.is_new_page = true;
        spot.slot += number >= index->slots[spot.slot].first;
        return spot;
    }
    spot.place = page->count;
    if (number <= page_last(page)) {
        bool is_here = page_is_here(index, page);
        assert(is_here);
        spot.place = place_find(page, number);
    }
    if (spot.place < page->count) {
        spot.is_hole = page->base + page->places[spot.place].delta == number;
        spot.is_split = !spot.is_hole && page->count == page->room;
    } else if (!page_takes(page, number)) {
        spot.is_new_page = true;
        spot.slot++;
    }
    return spot;
}

/* Pages grow with a queue; behind one that did not fill they begin with what that one needed. */
static uint32_t room_after(const struct index_page *page)
{
    if (page == NULL)
        return PAGE_PLACES_MIN;
    uint32_t room = page->room;
    if (page->count == room)
        return room < PAGE_PLACES_MAX ? room * PAGE_GROWTH : room;
    while (room > PAGE_PLACES_MIN && room / PAGE_GROWTH >= page->count)
        room /= PAGE_GROWTH;
    return room;
}

/* The room of the page that an insert of this number needs; 0: it needs none. */
static uint32_t room_needed(const struct index *index, uint64_t number)
{
    if (index->start == index->end)
        return PAGE_PLACES_MIN;
    if (is_behind_all(index, number))
        return room_after(last_page(index));
    struct spot spot = spot_find(index, number);
    if (spot.is_split)
        return index->slots[spot.slot].page->room;
    if (!spot.is_new_page)
        return 0;
    return room_after(spot.slot > index->start ? index->slots[spot.slot - 1].page : NULL);
}

enum status index_reserve(struct index *index, uint64_t number)
{
    if (page_takes(last_page(index), number) && is_behind_all(index, number))
        return STATUS_OK;
    uint32_t room = room_needed(index, number);
    if (room > 0 && (index->reserved == NULL || index->reserved->room < room)) {
        struct index_page *page = page_new(index, room);
        if (page == NULL)
            return STATUS_NO_MEMORY;
        page_free(index, index->reserved);
        index->reserved = page;
    }
    return directory_reserve(index);
}

enum status index_reserve_many(struct index *index, uint64_t number, uint32_t count)
{
    const struct index_page *last = last_page(index);
    uint32_t left = page_takes(last, number) ? last->room - last->count : 0;
    if (left >= count)
        return STATUS_OK;
    uint32_t room = PAGE_PLACES_MIN;
    while (room < count)
        room *= PAGE_GROWTH;
    if (index->reserved == NULL || index->reserved->room < room) {
        struct index_page *page = page_new(index, room);
        if (page == NULL)
            return STATUS_NO_MEMORY;
        page_free(index, index->reserved);
        index->reserved = page;
    }
    return directory_reserve(index);
}

void index_append(struct index *index, uint64_t number, uint64_t word, uint32_t size)
{
    assert(is_behind_all(index, number));
    struct index_page *page = last_page(index);
    if (page_takes(page, number))
        page_on_change(index, page);
    else
        page = directory_insert(index, index->end, number);
    page->last = (uint32_t)(number - page->base);
    page->places[page->count] = (struct place){page->last, size, word};
    page_count(page, &page->places[page->count++]);
    index->live_count++;
}

static void page_insert(struct index_page *page, const struct spot *spot, struct place place)
{
    uint32_t at = spot->place;
    if (!spot->is_hole) {
        memmove(page->places + at + 1, page->places + at, (page->count - at) * sizeof place);
        page->count++;
    }
    page->places[at] = place;
    page->last = page->places[page->count - 1].delta;
    page_count(page, &place);
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
        right->last = place.delta;
        if ((place.word & PLACE_GONE) != 0)
            continue;
        page_count(right, &place);
        page_discount(left, &place);
    }
    left->count = at;
}

/* A split may leave a page of holes. */
static void page_free_empty(struct index *index, size_t slot)
{
    struct index_page *page = index->slots[slot].page;
    if (page->live > 0)
        return;
    page_free(index, page);
    index->slots[slot].page = NULL;
    index->empty_count++;
}

void index_insert(struct index *index, uint64_t number, uint64_t word, uint32_t size)
{
    if (is_behind_all(index, number)) {
        index_append(index, number, word, size);
        return;
    }
    struct spot spot = spot_find(index, number);
    struct index_page *page;
    if (spot.is_new_page) {
        page = directory_insert(index, spot.slot, number);
        spot.place = 0;
    } else {
        page = index->slots[spot.slot].page;
        page_on_change(index, page);
    }
    if (spot.is_split)
        page_split(index, spot.slot, spot.place);
    page_insert(page, &spot, (struct place){(uint32_t)(number - page->base), size, word});
    if (spot.is_split)
        page_free_empty(index, spot.slot + 1);
    index->live_count++;
    /* Positions behind it have moved. */
    index->cursor_slot = index->start;
    index->cursor_place = 0;
}

/* --- finding ------------------------------------------------------------------------------------
 */

/* The first place from here on that is no hole. */
static struct index_at skip_holes(const struct index *index, size_t slot, uint32_t place)
{
    for (; slot < index->end; slot++, place = 0) {
        struct index_page *page = index->slots[slot].page;
        if (page == NULL)
            continue;
        if (!page_is_here(index, page))
            return (struct index_at){.slot = slot, .is_away = true};
        for (; place < page->count; place++)
            if ((page->places[place].word & PLACE_GONE) == 0)
                return (struct index_at){slot, place, &page->places[place], false};
    }
    return (struct index_at){.slot = slot};
}

struct index_at index_find_from(const struct index *index, uint64_t number)
{
    if (index->start == index->end)
        return (struct index_at){.slot = index->end};
    size_t slot = slot_find(index, number);
    struct index_page *page = index->slots[slot].page;
    if (page == NULL)
        return skip_holes(index, slot, 0);
    if (number > page_last(page))
        return skip_holes(index, slot + 1, 0);
    return skip_holes(index, slot, page_is_here(index, page) ? place_find(page, number) : 0);
}

struct index_at index_find(const struct index *index, uint64_t number)
{
    if (index->start == index->end)
        return (struct index_at){.slot = index->end};
    size_t slot = slot_find(index, number);
    struct index_page *page = index->slots[slot].page;
    if (page == NULL || number < page->base || number > page_last(page))
        return (struct index_at){.slot = slot};
    if (!page_is_here(index, page))
        return (struct index_at){.slot = slot, .is_away = true};
    uint32_t at = place_find(page, number);
    struct place *place = &page->places[at];
    if (at == page->count || page->base + place->delta != number || (place->word & PLACE_GONE) != 0)
        return (struct index_at){.slot = slot, .place = at};
    return (struct index_at){slot, at, place, false};
}

struct index_at index_next(const struct index *index, struct index_at at)
{
    return at.is_away ? skip_holes(index, at.slot + 1, 0)
                      : skip_holes(index, at.slot, at.place + 1);
}

/* The cursor comes to another page: it is in use, and the next one soon will be. */
static void cursor_enter(const struct index *index, size_t slot)
{
    spill_touch(index->spill, index->slots[slot].page);
    for (size_t next = slot + 1; next < index->end; next++)
        if (index->slots[next].page != NULL) {
            spill_read_ahead(index->spill, index->slots[next].page);
            return;
        }
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
    if (at.found != NULL || at.is_away) {
        if (at.slot != index->cursor_slot || at.is_away)
            cursor_enter(index, at.slot);
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

struct index_page *index_page(const struct index *index, struct index_at at)
{
    return index->slots[at.slot].page;
}

void index_range(const struct index *index, struct index_at at, uint64_t *first, uint64_t *last)
{
    const struct index_page *page = index->slots[at.slot].page;
    *first = at.is_away ? page->base : index_number(index, at);
    *last = at.is_away ? page_last(page) : *first;
}

/* --- changes ------------------------------------------------------------------------------------
 */

void index_set_out(struct index *index, struct index_at at)
{
    struct index_page *page = index->slots[at.slot].page;
    page_on_change(index, page);
    assert(place_is_ready(at.found->word));
    at.found->word |= PLACE_OUT | PLACE_REDELIVERED;
    page->out_count++;
}

/* A page that was in use may leave again. */
static void page_on_idle(struct index *index, struct index_page *page)
{
    if (!page->is_listed && page_may_leave(page))
        spill_touch(index->spill, page);
}

void index_clear_out(struct index *index, struct index_at at)
{
    struct index_page *page = index->slots[at.slot].page;
    page_on_change(index, page);
    assert((at.found->word & PLACE_OUT) != 0);
    at.found->word &= ~PLACE_OUT;
    page->out_count--;
    page_on_idle(index, page);
}

void index_on_ready(struct index *index, struct index_at at)
{
    if (at.slot < index->cursor_slot ||
        (at.slot == index->cursor_slot && at.place < index->cursor_place)) {
        index->cursor_slot = at.slot;
        index->cursor_place = at.place;
    }
}

void index_set_flags(struct index *index, struct index_at at, uint64_t flags)
{
    assert((flags & ~(PLACE_ATTEMPTED | PLACE_REDELIVERED | PLACE_RESTATED)) == 0);
    page_on_change(index, index->slots[at.slot].page);
    at.found->word |= flags;
}

void index_move(struct index *index, struct index_at at, uint64_t word, uint32_t size)
{
    struct index_page *page = index->slots[at.slot].page;
    page_on_change(index, page);
    page_discount(page, at.found);
    at.found->word = (at.found->word & PLACE_FLAGS) | word;
    at.found->size = size;
    page_count(page, at.found);
}

void index_become_durable(struct index *index, struct index_at at, uint64_t word)
{
    struct index_page *page = index->slots[at.slot].page;
    page_on_change(index, page);
    page_discount(page, at.found);
    at.found->word = (at.found->word & PLACE_FLAGS & ~PLACE_TRANSIENT) | word;
    page_count(page, at.found);
}

void index_pin(struct index *index, size_t slot, int count)
{
    index->slots[slot].page->pin_count += (uint32_t)count;
}

/* Takes the page out of its slot; the slot stays, or goes when it is the first. */
static void slot_empty(struct index *index, size_t slot)
{
    index->slots[slot].page = NULL;
    index->empty_count++;
    while (index->start < index->end && index->slots[index->start].page == NULL) {
        index->start++;
        index->empty_count--;
    }
    if (index->start == index->end)
        index->start = index->end = index->cursor_slot = index->cursor_place = 0;
}

void index_remove(struct index *index, struct index_at at)
{
    struct index_page *page = index->slots[at.slot].page;
    page_on_change(index, page);
    assert((at.found->word & PLACE_GONE) == 0 && page->live > 0);
    page_discount(page, at.found);
    at.found->word |= PLACE_GONE;
    index->live_count--;
    if (page->live > 0) {
        page_on_idle(index, page);
        return;
    }
    /* The last page goes on being filled while it has room. */
    if (at.slot + 1 == index->end && page->count < page->room)
        return;
    page_free(index, page);
    slot_empty(index, at.slot);
}

/* --- whole pages --------------------------------------------------------------------------------
 */

enum status index_reserve_pages(struct index *index, const struct index *other)
{
    size_t more = other->end - other->start;
    return index->end + more <= index->room ? STATUS_OK : directory_grow(index, more);
}

uint64_t index_give_page(struct index *index, struct index_at at, struct index *to)
{
    struct index_page *page = index->slots[at.slot].page;
    assert(page->places == NULL && to->spill == index->spill && to->end < to->room);
    assert(is_behind_all(to, page->base));
    to->slots[to->end++] = (struct index_slot){page->base, page};
    to->live_count += page->live;
    index->live_count -= page->live;
    slot_empty(index, at.slot);
    return page->bytes;
}

void index_drop_page(struct index *index, struct index_at at)
{
    struct index_page *page = index->slots[at.slot].page;
    assert(page->places == NULL);
    index->live_count -= page->live;
    page_free(index, page);
    slot_empty(index, at.slot);
}
