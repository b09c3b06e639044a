/* The spill: index pages leave memory for a file when they are too many, and come back.
 *
 * One for all queues of a core. Without a file (spill_set_pages was not called) every page stays in
 * memory. While the core recovers, pages are written and read at once; after spill_start everything
 * is done by errands, and the loop never waits.
 */
#ifndef HERALD_SPILL_H
#define HERALD_SPILL_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/pages.h"

struct index_page;
struct spill;

/* NULL when memory ran out. */
struct spill *spill_new(uint64_t bytes_max);

/* Ends with the file, which goes; the disk is needed no more. Only spill_stop, spill_remove_page
 * and spill_free may follow. */
void spill_close(struct spill *spill);

/* Does the same, if it was not done. Errands that are out must never come back. NULL is fine. */
void spill_free(struct spill *spill);

/* Lets pages leave for this file, which is the spill's from now on. */
void spill_set_pages_take(struct spill *spill, struct pages *pages);

/* Recovery is over: from now on errands do the work. */
void spill_start(struct spill *spill);

/* Everything ends: whoever waits for a page is told now. Only spill_remove_page and spill_free may
 * follow. */
void spill_stop(struct spill *spill);

/* At the end of a round, and after each record while recovering: lets pages leave while they are
 * too many. STATUS_IO_ERROR when the file failed; spill_failure says why. Once failed, always. */
enum status spill_run(struct spill *spill, uint64_t now_ms);

/* When spill_run wants to be called again; UINT64_MAX: never of its own. */
uint64_t spill_next_due(const struct spill *spill);

/* Whether the errand is the spill's. */
bool spill_owns(const struct errand *errand);

/* Takes back an errand; whoever waits for a page is told. STATUS_IO_ERROR: the process must end. */
enum status spill_on_errand(struct spill *spill, struct errand *errand);

/* NULL: nothing has failed. */
const struct journal_failure *spill_failure(const struct spill *spill);

/* The file has no room, and the pages are too many by a quarter: nothing new may be taken. */
bool spill_is_full(const struct spill *spill);

struct spill_figures {
    uint64_t bytes;      /* of places in memory */
    uint64_t away_count; /* pages that are not */
    uint64_t written_count;
    uint64_t read_count;
};
struct spill_figures spill_figures(const struct spill *spill);

/* Tells that a page is in memory again, or gone with its queue: look again. */
typedef void (*spill_read_fn)(void *argument);

/* Asks for a page that is away; `on_read` is called from a later spill_on_errand or
 * from spill_stop. NULL: nobody waits. STATUS_NO_MEMORY, STATUS_IO_ERROR: nothing was started. */
enum status spill_read(struct spill *spill, struct index_page *page, spill_read_fn on_read,
                       void *argument);

/* --- for index.c; the spill may be NULL but for the last four -------------------------------- */

/* A page has its places, or is about to be freed. */
void spill_add_page(struct spill *spill, struct index_page *page);
void spill_remove_page(struct spill *spill, struct index_page *page);

/* The page may leave, and is the one that was used last. */
void spill_touch(struct spill *spill, struct index_page *page);

/* The page is about to differ from what the file has of it. */
void spill_on_change(struct spill *spill, struct index_page *page);

/* Reads the page ahead of need, if it is away. */
void spill_read_ahead(struct spill *spill, struct index_page *page);

/* While recovering, reads the page at once. False: not recovering, or it cannot be read, and
 * spill_run will say so. */
bool spill_load_now(struct spill *spill, struct index_page *page);

#endif
