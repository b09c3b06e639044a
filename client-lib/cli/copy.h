/* A data directory as it grows out of the pieces of a backup.
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
    int file;               /* -1: none is open; otherwise the last of the names */
    uint64_t file_bytes;    /* what it will have */
    uint64_t file_done;     /* what it has */
    uint64_t bytes;         /* of all pieces so far */
    char **names;           /* of the files that were made */
    size_t name_count;
    size_t name_room;
};

/* Makes the folder that it grows in. False: the name is taken, or it cannot be made. */
bool copy_begin(struct copy *copy, const char *path);

/* Writes a piece. A file that is full is synced. */
bool copy_add(struct copy *copy, const struct herald_backup_piece *piece);

/* Fills the last file, makes all of it durable and gives it its name. */
bool copy_finish(struct copy *copy);

/* Removes what there is, and nothing that it has not made; after a finish it only gives the memory
 * back. */
void copy_drop(struct copy *copy);

#endif
