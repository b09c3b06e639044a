/* The memory of asides: pages, each of one queue, so that an aside need not say whose it is.
 *
 *   blocks of the core  ->  pages of 4 KiB  ->  asides of one queue, with a ward behind each or
 * none
 *
 * A page finds itself from any address in it. Pages without an aside go back to their block, blocks
 * without a page in use are freed, but for one.
 */
#ifndef HERALD_ASIDE_PAGE_H
#define HERALD_ASIDE_PAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct aside;
struct queue;

enum { ASIDE_PAGE_BYTES = 4096 };

struct aside_block;

/* Asides that are not in use, one behind the other. */
struct aside_hole {
    struct aside_hole *next;
};

struct aside_page {
    struct queue *queue;
    struct aside_block *block;
    TAILQ_ENTRY(aside_page) link; /* of its queue's with room, or of its block's free ones */
    struct aside_hole *holes;
    uint16_t used_count;
    uint16_t aside_bytes;
};

TAILQ_HEAD(aside_page_list, aside_page);

/* Of the core. */
struct aside_blocks {
    TAILQ_HEAD(, aside_block) with_room;
    uint32_t with_room_count;
};

void aside_blocks_init(struct aside_blocks *blocks);
/* All pages must have been given back. */
void aside_blocks_deinit(struct aside_blocks *blocks);

/* Memory for an aside of the queue, for one with a ward. NULL when there is none. */
struct aside *aside_page_take(struct queue *queue, bool has_ward);

/* Gives it back; what has_ward says must still hold. */
void aside_page_give(struct aside *aside);

static inline struct aside_page *aside_page_of(const struct aside *aside)
{
    return (struct aside_page *)((uintptr_t)aside & ~(uintptr_t)(ASIDE_PAGE_BYTES - 1));
}

static inline struct queue *aside_queue(const struct aside *aside)
{
    return aside_page_of(aside)->queue;
}

#endif
