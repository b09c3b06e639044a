/* The saver: writes the versions of all entities of a history to a file, so that a start need not
 * read all that was ever kept, and old events may go.
 *
 * What is written may hold entities that came while it was written, even such as are not durable:
 * the file counts only with the HISTORY operation behind it, and whoever finds that in the journal
 * finds them, too.
 */
#ifndef HERALD_SAVER_H
#define HERALD_SAVER_H

#include "broker/core/state.h"

struct history;
struct saver;

struct saver *saver_new(struct core *core);

/* NULL is fine. The errand that is out never comes back. */
void saver_free(struct saver *saver);

/* Saves the entities of a history when enough was moved since. */
void saver_consider(struct core *core, struct history *history);

/* Saves them in any case, soon. */
void saver_want(struct core *core, struct history *history);

/* At the end of a round. */
void saver_run(struct core *core);

#endif
