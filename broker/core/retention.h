/* Retention: the oldest events of a history go, a file at a time, when they are too many, too much,
 * or too old.
 *
 * A HISTORY operation says what is gone; when that is on disk the files are removed. A file is
 * about an eighth of what may be kept, so that little more is kept than was asked for. The newest
 * file goes by age alone. Versions of entities outlive their events: a file goes only once they are
 * saved (saver.h).
 */
#ifndef HERALD_RETENTION_H
#define HERALD_RETENTION_H

#include "broker/core/state.h"

struct history;

enum {
    RETENTION_PARTS = 8,
    RETENTION_FILE_BYTES_MIN = 64 << 10,
};

/* All files of a history whose exchange is gone. */
void retention_bury(struct core *core, struct history *history);

/* A file of entities that is not stated any more. */
void retention_drop_entities(struct core *core, uint32_t exchange, uint64_t sequence);

/* From now on no file is removed, until retention_release. */
void retention_hold(struct core *core);
void retention_release(struct core *core);

/* Whether files are being removed that were given up before. */
bool retention_is_removing(const struct core *core);

/* At the end of a round. */
void retention_run(struct core *core);

/* Forgets what waits to be removed: the next start does it. */
void retention_deinit(struct core *core);

#endif
