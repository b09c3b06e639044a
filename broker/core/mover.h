/* The mover: takes events from the journal to the files of their histories.
 *
 *               enough gathered, or old enough                    written and synced
 *   (tail) --------------------------------------> GATHERING ... WRITING ------------> STATING -->
 * IDLE HISTORY recorded
 *
 * One history at a time, in pieces of up to 8 MiB, so that a sync is paid once for many events.
 * Only what is durable in the journal is moved. Until the HISTORY operation is recorded the file
 * may hold what nobody believes; a start cuts it.
 */
#ifndef HERALD_MOVER_H
#define HERALD_MOVER_H

#include "broker/core/state.h"

struct history;
struct mover;

struct mover *mover_new(struct core *core);

/* NULL is fine. The errand that is out never comes back. */
void mover_free(struct mover *mover);

/* An event has come to the tail of the history. */
void mover_on_event(struct core *core, struct history *history);

/* Events have left it. */
void mover_on_moved(struct core *core, struct history *history);

/* What the history has must leave the journal soon. False: there is no space for that now. */
bool mover_hurry(struct core *core, struct history *history);

/* The history goes. */
void mover_forget(struct core *core, struct history *history);

/* Whether the disk has no room for events: nothing new may be kept. */
bool mover_is_full(const struct core *core);

/* At the end of a round. */
void mover_run(struct core *core);

/* When mover_run wants to be called again; UINT64_MAX: never of its own. */
uint64_t mover_next_due(const struct core *core);

#endif
