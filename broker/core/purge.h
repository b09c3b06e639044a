/* Purging: all that nobody has leaves a queue at once.
 *
 * Runs of places are settled whole, pages that are away among them; what stands aside or in a lane
 * is settled by itself, with its outcome.
 */
#ifndef HERALD_PURGE_H
#define HERALD_PURGE_H

#include "protocol/status.h"

struct core;
struct index_at;
struct peer;
struct queue;

/* Takes all ready messages out. STATUS_OK, or the status of the journal. */
enum status queue_purge(struct core *core, struct peer *peer, struct queue *queue);

/* Moves a page that is away, all of whose places are settled, to where it is worked off. */
void queue_bury_page(struct queue *queue, struct index_at at);

#endif
