/* Reading the events of one entity.
 *
 *   WALKING  from its last event back, each one naming the one before, to where the reader begins
 *   GIVING   what was walked over, the other way round; who wants the newest first gets it on the
 * way
 *
 * Under way it takes a window of a file, and 8 bytes for each event that is walked over.
 */
#ifndef HERALD_ENTITY_READ_H
#define HERALD_ENTITY_READ_H

#include "broker/core/state.h"

struct history;

/* Begins to answer a READ frame. STATUS_NO_ENTITY, STATUS_LIMIT, STATUS_NO_MEMORY. */
enum status entity_read_new(struct peer *peer, struct history *history, const struct frame *frame);

/* At the end of a round: goes on with all of them. */
void entity_read_run(struct core *core);

/* The peer is gone; everything ends. */
void entity_read_end_peer(struct peer *peer);

/* The history is gone: those who read it are told. */
void entity_read_end_history(struct core *core, const struct history *history);

#endif
