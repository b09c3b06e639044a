/* The spill: index pages leave memory for a file when they are too many, and come back.
 *
 * Pages that may leave stand in one list, the one that was used longest ago first. A page that came
 * into use again (a place is out, a transient message came) may still stand in it; it is left out
 * when its turn comes and listed again when it is idle. What is written is a copy, so that the page
 * may change meanwhile; then the copy is forgotten when it arrives.
 *
 * Always true: bytes is the room of all pages in memory, writing_bytes of those that are WRITING;
 * every page that is WRITING or READING is named by one part of one errand in the list of works,
 * and a part whose page has changed or gone names none.
 */
#include "broker/core/spill.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/index_page.h"
#include "broker/plant.h"

enum {
    RETRY_MS = 250,
    /* Errands that write, in flight at a time: each has a copy of its pages. */
    WRITES_MAX = 4,
    /* Pages that a look at the list passes over at most. */
    LOOKS_MAX = 1024,
};

struct waiter {
    STAILQ_ENTRY(waiter) link;
    spill_read_fn on_read;
    void *argument;
};

STAILQ_HEAD(waiter_list, waiter);

/* One page's part of an errand. */
struct spill_part {
    struct index_page *page; /* NULL: it has changed, or is gone */
    uint32_t room_bytes;
};

struct spill_work {
    struct pages_work pages; /* first, so that the errand leads here */
    TAILQ_ENTRY(spill_work) link;
    struct spill_part parts[PAGES_PIECES_MAX];
    struct waiter_list waiters; /* of a page that is read; such an errand has one page */
    unsigned char *memory;      /* the copies that are written, or the places that are read */
};

TAILQ_HEAD(page_list, index_page);
TAILQ_HEAD(work_list, spill_work);

struct spill {
    struct pages *pages; /* NULL: nothing leaves */
    struct page_list list;
    struct work_list works;
    uint64_t bytes_max;
    uint64_t bytes;
    uint64_t writing_bytes;
    uint32_t write_count; /* errands that write, in flight */
    bool is_started;
    bool is_lacking; /* the last write found no room: the next is tried at retry_ms */
    uint64_t retry_ms;
    uint64_t now_ms;
    enum status status;
    struct journal_failure failure;
    struct spill_figures figures;
};

struct spill *spill_new(uint64_t bytes_max)
{
    struct spill *spill = calloc(1, sizeof *spill);
    if (spill == NULL)
        return NULL;
    spill->bytes_max = bytes_max;
    TAILQ_INIT(&spill->list);
    TAILQ_INIT(&spill->works);
    return spill;
}

static void tell_waiters(struct spill_work *work)
{
    struct waiter *waiter;
    while ((waiter = STAILQ_FIRST(&work->waiters)) != NULL) {
        STAILQ_REMOVE_HEAD(&work->waiters, link);
        waiter->on_read(waiter->argument);
        free(waiter);
    }
}

static void work_free(struct spill_work *work)
{
    assert(STAILQ_EMPTY(&work->waiters));
    free(work->memory);
    free(work);
}

void spill_close(struct spill *spill)
{
    if (spill->pages != NULL)
        pages_remove(spill->pages);
}

void spill_free(struct spill *spill)
{
    if (spill == NULL)
        return;
    struct spill_work *work;
    while ((work = TAILQ_FIRST(&spill->works)) != NULL) {
        TAILQ_REMOVE(&spill->works, work, link);
        work_free(work);
    }
    pages_free(spill->pages);
    free(spill);
}

void spill_set_pages_take(struct spill *spill, struct pages *pages)
{
    assert(spill->pages == NULL);
    spill->pages = pages;
}

void spill_start(struct spill *spill)
{
    spill->is_started = true;
}

void spill_stop(struct spill *spill)
{
    struct spill_work *work;
    TAILQ_FOREACH (work, &spill->works, link)
        tell_waiters(work);
}

/* --- what the index tells -----------------------------------------------------------------------
 */

static void unlist(struct spill *spill, struct index_page *page)
{
    if (!page->is_listed)
        return;
    page->is_listed = false;
    TAILQ_REMOVE(&spill->list, page, link);
}

void spill_add_page(struct spill *spill, struct index_page *page)
{
    if (spill != NULL)
        spill->bytes += page_room_bytes(page);
}

/* The page does without its errand. */
static void part_leave(struct index_page *page)
{
    page->part->page = NULL;
    page->part = NULL;
}

void spill_on_change(struct spill *spill, struct index_page *page)
{
    assert(page->state == PAGE_WRITING || page->state == PAGE_CLEAN);
    if (page->state == PAGE_CLEAN && planted(PLANT_SPILL_STALE))
        return;
    if (page->state == PAGE_CLEAN)
        pages_give_extent(spill->pages, page_room_bytes(page), page->extent);
    else
        part_leave(page);
    page->state = PAGE_HERE;
    spill_touch(spill, page);
}

void spill_remove_page(struct spill *spill, struct index_page *page)
{
    if (spill == NULL)
        return;
    unlist(spill, page);
    if (page->places != NULL)
        spill->bytes -= page_room_bytes(page);
    else
        spill->figures.away_count--;
    if (page->state == PAGE_WRITING || page->state == PAGE_READING)
        part_leave(page);
    else if (page->state != PAGE_HERE)
        pages_give_extent(spill->pages, page_room_bytes(page), page->extent);
}

void spill_touch(struct spill *spill, struct index_page *page)
{
    if (spill == NULL || page->room < PAGE_PLACES_LEAVING ||
        (page->state != PAGE_HERE && page->state != PAGE_CLEAN))
        return;
    unlist(spill, page);
    page->is_listed = true;
    TAILQ_INSERT_TAIL(&spill->list, page, link);
}

/* --- leaving ------------------------------------------------------------------------------------
 */

static enum status fail(struct spill *spill, const struct spill_work *work)
{
    if (spill->status == STATUS_OK) {
        spill->status = work->pages.status;
        spill->failure = work->pages.failure;
    }
    return spill->status;
}

/* The page in memory is as in the file: the memory is free. */
static void page_leave(struct spill *spill, struct index_page *page)
{
    assert(page->state == PAGE_CLEAN && page_may_leave(page));
    unlist(spill, page);
    spill->bytes -= page_room_bytes(page);
    spill->figures.away_count++;
    free(page->places);
    page->places = NULL;
    page->state = PAGE_AWAY;
}

/* A written page comes first in the list: it is still the one that was used longest ago. */
static void page_on_written(struct spill *spill, struct index_page *page,
                            const struct pages_piece *piece)
{
    page->part = NULL;
    page->state = PAGE_CLEAN;
    page->extent = piece->extent;
    page->crc = piece->crc;
    page->is_listed = true;
    TAILQ_INSERT_HEAD(&spill->list, page, link);
    spill->figures.written_count++;
}

static void page_on_not_written(struct spill *spill, struct index_page *page)
{
    page->part = NULL;
    page->state = PAGE_HERE;
    page->is_listed = true;
    TAILQ_INSERT_HEAD(&spill->list, page, link);
}

/* Takes back a write, the newest page first, so that the list is in its old order. */
static enum status write_back(struct spill *spill, struct spill_work *work)
{
    for (uint32_t i = work->pages.count; i-- > 0;) {
        const struct spill_part *part = &work->parts[i];
        const struct pages_piece *piece = &work->pages.pieces[i];
        spill->writing_bytes -= part->room_bytes;
        if (part->page != NULL && i < work->pages.done_count) {
            page_on_written(spill, part->page, piece);
            continue;
        }
        pages_give_extent(spill->pages, part->room_bytes, piece->extent);
        if (part->page != NULL)
            page_on_not_written(spill, part->page);
    }
    spill->is_lacking = work->pages.status == STATUS_DISK_FULL;
    spill->retry_ms = spill->now_ms + RETRY_MS;
    return work->pages.status == STATUS_IO_ERROR ? fail(spill, work) : STATUS_OK;
}

static struct spill_work *work_new(enum pages_way way, size_t memory_bytes)
{
    struct spill_work *work = calloc(1, sizeof *work);
    unsigned char *memory = malloc(memory_bytes);
    if (work == NULL || memory == NULL) {
        free(work);
        free(memory);
        return NULL;
    }
    work->pages.way = way;
    work->memory = memory;
    STAILQ_INIT(&work->waiters);
    return work;
}

/* Adds a copy of the page to a write. */
static bool work_add(struct spill *spill, struct spill_work *work, struct index_page *page,
                     size_t *memory_bytes)
{
    assert(page->places != NULL);
    uint32_t extent;
    if (pages_take_extent(spill->pages, page_room_bytes(page), &extent) != STATUS_OK)
        return false;
    struct spill_part *part = &work->parts[work->pages.count];
    *part = (struct spill_part){page, (uint32_t)page_room_bytes(page)};
    struct pages_piece *piece = &work->pages.pieces[work->pages.count++];
    *piece = (struct pages_piece){.at = work->memory + *memory_bytes,
                                  .bytes = page->count * (uint32_t)sizeof *page->places,
                                  .extent = extent};
    memcpy(piece->at, page->places, piece->bytes);
    *memory_bytes += piece->bytes;
    unlist(spill, page);
    page->state = PAGE_WRITING;
    page->part = part;
    spill->writing_bytes += part->room_bytes;
    return true;
}

static bool is_over(const struct spill *spill)
{
    return spill->bytes > spill->bytes_max + spill->writing_bytes;
}

/* The next page that may leave; those that may not are left out of the list until they may. One
 * that has grown since it was looked at last goes on growing, and has its turn later: pages that
 * left too early would be many and small. */
static struct index_page *next_leaving(struct spill *spill)
{
    struct index_page *page;
    for (int looks = 0; looks < LOOKS_MAX && (page = TAILQ_FIRST(&spill->list)) != NULL; looks++) {
        if (page_may_leave(page) && page->count == page->seen_count)
            return page;
        unlist(spill, page);
        if (page_may_leave(page))
            spill_touch(spill, page);
        page->seen_count = page->count;
    }
    return NULL;
}

/* Lets clean pages leave and collects others for one write; NULL: there is nothing to write. */
static struct spill_work *gather(struct spill *spill)
{
    struct spill_work *work = NULL;
    size_t memory_bytes = 0;
    struct index_page *page;
    while (is_over(spill) && (page = next_leaving(spill)) != NULL) {
        if (page->state == PAGE_CLEAN) {
            page_leave(spill, page);
            continue;
        }
        if (work == NULL)
            work = work_new(PAGES_WRITE, (size_t)PAGES_PIECES_MAX * PAGES_EXTENT_BYTES_MAX);
        if (work == NULL || !work_add(spill, work, page, &memory_bytes) ||
            work->pages.count == PAGES_PIECES_MAX)
            break;
    }
    if (work != NULL && work->pages.count == 0) {
        work_free(work);
        return NULL;
    }
    return work;
}

/* While recovering: written at once, and gone. */
static void write_now(struct spill *spill, struct spill_work *work)
{
    pages_run(spill->pages, &work->pages);
    (void)write_back(spill, work);
    work_free(work);
}

static void post(struct spill *spill, struct spill_work *work)
{
    TAILQ_INSERT_TAIL(&spill->works, work, link);
    pages_post(spill->pages, &work->pages);
}

enum status spill_run(struct spill *spill, uint64_t now_ms)
{
    spill->now_ms = now_ms;
    if (spill->pages == NULL || (spill->is_lacking && now_ms < spill->retry_ms))
        return spill->status;
    struct spill_work *work;
    uint32_t writes_max = spill->is_lacking ? 1 : WRITES_MAX;
    while (spill->write_count < writes_max && spill->status == STATUS_OK &&
           (work = gather(spill)) != NULL) {
        if (spill->is_started) {
            spill->write_count++;
            post(spill, work);
            continue;
        }
        write_now(spill, work);
        if (spill->is_lacking)
            break;
    }
    return spill->status;
}

uint64_t spill_next_due(const struct spill *spill)
{
    return spill->is_lacking && is_over(spill) ? spill->retry_ms : UINT64_MAX;
}

bool spill_is_full(const struct spill *spill)
{
    return spill->is_lacking && spill->bytes > spill->bytes_max + spill->bytes_max / 4;
}

/* --- coming back --------------------------------------------------------------------------------
 */

static struct spill_work *read_work_new(struct index_page *page)
{
    struct spill_work *work = work_new(PAGES_READ, page_room_bytes(page));
    if (work == NULL)
        return NULL;
    work->parts[0] = (struct spill_part){page, (uint32_t)page_room_bytes(page)};
    work->pages.pieces[0] =
        (struct pages_piece){.at = work->memory,
                             .bytes = page->count * (uint32_t)sizeof *page->places,
                             .extent = page->extent,
                             .crc = page->crc};
    work->pages.count = 1;
    page->part = &work->parts[0];
    page->state = PAGE_READING;
    return work;
}

/* Takes back a read: the page gets the memory, unless it is gone. */
static enum status read_back(struct spill *spill, struct spill_work *work)
{
    struct spill_part *part = &work->parts[0];
    struct index_page *page = part->page;
    if (page == NULL) {
        pages_give_extent(spill->pages, part->room_bytes, work->pages.pieces[0].extent);
        return work->pages.status == STATUS_OK ? STATUS_OK : fail(spill, work);
    }
    page->part = NULL;
    page->state = PAGE_AWAY;
    if (work->pages.status != STATUS_OK)
        return fail(spill, work);
    page->places = (struct place *)(void *)work->memory;
    work->memory = NULL;
    page->state = PAGE_CLEAN;
    spill->bytes += part->room_bytes;
    spill->figures.away_count--;
    spill->figures.read_count++;
    spill_touch(spill, page);
    return STATUS_OK;
}

bool spill_load_now(struct spill *spill, struct index_page *page)
{
    if (spill == NULL || spill->is_started || spill->status != STATUS_OK)
        return false;
    struct spill_work *work = read_work_new(page);
    if (work == NULL) {
        spill->status = STATUS_NO_MEMORY;
        return false;
    }
    pages_run(spill->pages, &work->pages);
    (void)read_back(spill, work);
    work_free(work);
    return page->places != NULL;
}

enum status spill_read(struct spill *spill, struct index_page *page, spill_read_fn on_read,
                       void *argument)
{
    assert(page->state == PAGE_AWAY || page->state == PAGE_READING);
    if (spill->status != STATUS_OK)
        return spill->status;
    struct waiter *waiter = on_read != NULL ? calloc(1, sizeof *waiter) : NULL;
    if (on_read != NULL && waiter == NULL)
        return STATUS_NO_MEMORY;
    if (page->state == PAGE_AWAY) {
        struct spill_work *work = read_work_new(page);
        if (work == NULL) {
            free(waiter);
            return STATUS_NO_MEMORY;
        }
        post(spill, work);
    }
    if (waiter == NULL)
        return STATUS_OK;
    waiter->on_read = on_read;
    waiter->argument = argument;
    struct spill_work *work =
        (struct spill_work *)(void *)((char *)page->part - offsetof(struct spill_work, parts));
    STAILQ_INSERT_TAIL(&work->waiters, waiter, link);
    return STATUS_OK;
}

void spill_read_ahead(struct spill *spill, struct index_page *page)
{
    /* Where it fails for now, the page is read when it is needed. */
    if (spill != NULL && spill->is_started && page->state == PAGE_AWAY)
        (void)spill_read(spill, page, NULL, NULL);
}

bool spill_owns(const struct errand *errand)
{
    return pages_owns(errand);
}

enum status spill_on_errand(struct spill *spill, struct errand *errand)
{
    struct spill_work *work = (struct spill_work *)(void *)errand;
    TAILQ_REMOVE(&spill->works, work, link);
    enum status status;
    if (work->pages.way == PAGES_WRITE) {
        spill->write_count--;
        status = write_back(spill, work);
    } else {
        status = read_back(spill, work);
    }
    tell_waiters(work);
    work_free(work);
    return status;
}

const struct journal_failure *spill_failure(const struct spill *spill)
{
    return spill->status != STATUS_OK ? &spill->failure : NULL;
}

struct spill_figures spill_figures(const struct spill *spill)
{
    struct spill_figures figures = spill->figures;
    figures.bytes = spill->bytes;
    return figures;
}
