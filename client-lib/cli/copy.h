/* A directory of segments as it grows out of the pieces of a backup.
 *
 *   copy_begin --> DIR.partial --copy_add ...--> copy_finish --> DIR
 *                       '--- copy_drop ---> nothing
 *
 * All calls that fail have said why on standard error.
 */
#ifndef HERALD_CLI_COPY_H
#define HERALD_CLI_COPY_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client-lib/herald.h"

struct copy {
    char path[PATH_MAX];    /* where it will be */
    char partial[PATH_MAX]; /* where it grows */
    int directory;          /* -1: not begun */
    int file;               /* -1: none is open */
    uint64_t segment_bytes;
    uint64_t segment_first;
    uint64_t segment; /* of the open file, or the one to be opened next */
    uint64_t bytes;   /* so far */
    uint64_t file_count;
};

/* Makes the folder that it grows in. False: the name is taken, or it cannot be made. */
bool copy_begin(struct copy *copy, const char *path);

/* Writes a piece; pieces follow each other without a gap. A file that is full is synced. */
bool copy_add(struct copy *copy, const struct herald_backup_piece *piece);

/* Fills the last file, makes all of it durable and gives it its name. */
bool copy_finish(struct copy *copy);

/* Removes what there is, and nothing that it has not made. Does nothing after a finish. */
void copy_drop(struct copy *copy);

#endif
