/* The files of histories in a new directory: what stays as it is, and what a salvage has planned.
 *
 * Finished files are never written to again, only removed, so they may be links to those of the
 * damaged directory; all others are written anew.
 */
#ifndef HERALD_SALVAGE_FILES_H
#define HERALD_SALVAGE_FILES_H

#include "broker/salvage.h"

/* Makes the file of the old directory one of the new, without a copy. False: that cannot be. */
typedef bool (*salvage_link_fn)(void *context, const char *name);

struct salvage_files {
    struct salvage *salvage;
    const struct histories *histories;
    const struct core *core; /* that they were looked at with */
    const struct disk *from;
    const struct disk *to;
    salvage_link_fn link;
    void *link_context;
    struct journal_failure *failure;
};

/* Writes the files of events, and completes the plans. STATUS_DISK_FULL, STATUS_IO_ERROR,
 * STATUS_NO_MEMORY; STATUS_CORRUPT: what could be read before cannot be any more. */
enum status salvage_files_write(const struct salvage_files *files);

/* Once the journal is written again, and so all events that are kept are known: the files of
 * entities. Statuses likewise. */
enum status salvage_files_write_entities(const struct salvage_files *files);

#endif
