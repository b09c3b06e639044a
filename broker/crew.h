/* The crew: two threads that run the journal's errands, so that the loop never waits for a disk.
 *
 *   crew_post (loop) --> queue of its worker --> errand->run (thread) --> done list, eventfd
 *                                                                             |
 *   journal_on_errand (loop) <-- crew_collect (loop) <------------------------+
 *
 * Errands of one worker run and come back in the order of posting. All calls belong to the loop's
 * thread.
 */
#ifndef HERALD_CREW_H
#define HERALD_CREW_H

#include <stdint.h>

#include "broker/store/errand.h"

#define CREW_WORKER_COUNT 2

struct crew;

/* Starts the threads; no signal is ever handled on them. NULL: no memory, threads or files. */
struct crew *crew_new(void);

/* Ends the threads. Every errand must have been collected. NULL is fine. */
void crew_free(struct crew *crew);

/* An errand_post_fn: `context` is the crew. */
void crew_post(void *context, struct errand *errand);

/* Readable when errands of this worker are done and not collected, and now and then when not. */
int crew_file(const struct crew *crew, enum errand_worker worker);

/* What this worker has done, oldest first, linked by `next`; NULL when there is nothing. The loop
 * may post the errands again while it walks the list if it takes `next` first. */
struct errand *crew_collect(struct crew *crew, enum errand_worker worker);

/* Posted and not collected. */
uint32_t crew_outstanding_count(const struct crew *crew);

/* Sleeps until some errand is done. Only while some are outstanding. */
void crew_wait(struct crew *crew);

#endif
