/* The memory of asides. */
#include "broker/core/aside_page.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/core/state.h"

enum {
#ifdef __SANITIZE_ADDRESS__
    /* Each aside has a block of its own, so that the sanitizer sees who touches it too late. */
    PAGES = 1,
    ASIDES_MAX = 1,
    EMPTY_BLOCKS_MAX = 0,
#else
    PAGES = 64,
    ASIDES_MAX = ASIDE_PAGE_BYTES,
    EMPTY_BLOCKS_MAX = 1,
#endif
};

struct aside_block {
    TAILQ_ENTRY(aside_block) link;
    struct aside_page_list free_pages;
    void *memory;
    uint16_t used_count;
};

/* --- blocks -------------------------------------------------------------------------------------
 */

void aside_blocks_init(struct aside_blocks *blocks)
{
    TAILQ_INIT(&blocks->with_room);
}

static void block_free(struct aside_blocks *blocks, struct aside_block *block)
{
    assert(block->used_count == 0);
    TAILQ_REMOVE(&blocks->with_room, block, link);
    blocks->with_room_count--;
    free(block->memory);
    free(block);
}

void aside_blocks_deinit(struct aside_blocks *blocks)
{
    struct aside_block *block;
    while ((block = TAILQ_FIRST(&blocks->with_room)) != NULL)
        block_free(blocks, block);
}

static struct aside_block *block_new(struct aside_blocks *blocks)
{
    struct aside_block *block = malloc(sizeof *block);
    void *memory = malloc((PAGES + 1) * (size_t)ASIDE_PAGE_BYTES);
    if (block == NULL || memory == NULL) {
        free(block);
        free(memory);
        return NULL;
    }
    *block = (struct aside_block){.memory = memory};
    TAILQ_INIT(&block->free_pages);
    uintptr_t mask = ASIDE_PAGE_BYTES - 1;
    unsigned char *at = (unsigned char *)(((uintptr_t)memory + mask) & ~mask);
    for (unsigned i = 0; i < PAGES; i++, at += ASIDE_PAGE_BYTES) {
        struct aside_page *page = (struct aside_page *)(void *)at;
        page->block = block;
        TAILQ_INSERT_TAIL(&block->free_pages, page, link);
    }
    TAILQ_INSERT_TAIL(&blocks->with_room, block, link);
    blocks->with_room_count++;
    return block;
}

static struct aside_page *page_take(struct aside_blocks *blocks)
{
    struct aside_block *block = TAILQ_FIRST(&blocks->with_room);
    if (block == NULL)
        block = block_new(blocks);
    if (block == NULL)
        return NULL;
    struct aside_page *page = TAILQ_FIRST(&block->free_pages);
    TAILQ_REMOVE(&block->free_pages, page, link);
    block->used_count++;
    if (TAILQ_EMPTY(&block->free_pages)) {
        TAILQ_REMOVE(&blocks->with_room, block, link);
        blocks->with_room_count--;
    }
    return page;
}

/* Blocks in use stand before those that are not, so that the latter may go. */
static void page_give(struct aside_blocks *blocks, struct aside_page *page)
{
    struct aside_block *block = page->block;
    if (TAILQ_EMPTY(&block->free_pages)) {
        TAILQ_INSERT_HEAD(&blocks->with_room, block, link);
        blocks->with_room_count++;
    }
    TAILQ_INSERT_HEAD(&block->free_pages, page, link);
    if (--block->used_count > 0)
        return;
    if (blocks->with_room_count > EMPTY_BLOCKS_MAX)
        block_free(blocks, block);
}

/* --- asides -------------------------------------------------------------------------------------
 */

static void page_fill(struct aside_page *page, struct queue *queue, size_t aside_bytes)
{
    page->queue = queue;
    page->holes = NULL;
    page->used_count = 0;
    page->aside_bytes = (uint16_t)aside_bytes;
    size_t count = (ASIDE_PAGE_BYTES - sizeof *page) / aside_bytes;
    unsigned char *at = (unsigned char *)(page + 1);
    for (size_t i = 0; i < count && i < ASIDES_MAX; i++, at += aside_bytes) {
        struct aside_hole *hole = (struct aside_hole *)(void *)at;
        hole->next = page->holes;
        page->holes = hole;
    }
}

struct aside *aside_page_take(struct queue *queue, bool has_ward)
{
    struct aside_page_list *list = &queue->asides.pages[has_ward];
    struct aside_page *page = TAILQ_FIRST(list);
    if (page == NULL) {
        page = page_take(&queue->core->aside_blocks);
        if (page == NULL)
            return NULL;
        page_fill(page, queue, sizeof(struct aside) + (has_ward ? sizeof(struct ward) : 0));
        TAILQ_INSERT_HEAD(list, page, link);
    }
    struct aside_hole *hole = page->holes;
    page->holes = hole->next;
    page->used_count++;
    if (page->holes == NULL)
        TAILQ_REMOVE(list, page, link);
    return (struct aside *)(void *)hole;
}

void aside_page_give(struct aside *aside)
{
    struct aside_page *page = aside_page_of(aside);
    struct queue *queue = page->queue;
    bool has_ward = page->aside_bytes > sizeof(struct aside);
    struct aside_page_list *list = &queue->asides.pages[has_ward];
    struct aside_hole *hole = (struct aside_hole *)(void *)aside;
    if (page->holes == NULL)
        TAILQ_INSERT_HEAD(list, page, link);
    hole->next = page->holes;
    page->holes = hole;
    if (--page->used_count > 0)
        return;
    TAILQ_REMOVE(list, page, link);
    page_give(&queue->core->aside_blocks, page);
}
