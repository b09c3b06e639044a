/* Replacing a directory by a newer one that was made beside it, with no moment without either.
 *
 *   DIR, DIR.repaired-T  --exchange-->  DIR (the new one), DIR.repaired-T (the old one)
 *                        --rename---->  DIR (the new one), DIR.damaged-T (the old one)
 *
 * Before the exchange the old directory is as it was; a crash between the two steps leaves it whole
 * under the name DIR.repaired-T. Where a file system cannot exchange, the old one is renamed first,
 * and for a moment nothing has the name DIR.
 */
#ifndef HERALD_REPLACE_H
#define HERALD_REPLACE_H

#include <limits.h>
#include <stdint.h>

struct replace {
    char directory[PATH_MAX];     /* its real path, links followed */
    char repaired[PATH_MAX + 40]; /* being made */
    char damaged[PATH_MAX + 40];  /* what the old one will be called */
};

/* Plans the names; `now_s` is seconds since 1970. 0 or a negative errno. */
int replace_plan(struct replace *replace, const char *directory, uint64_t now_s);

/* Makes the new directory, empty. 0 or a negative errno: -EEXIST for one that was there. */
int replace_begin(const struct replace *replace);

/* Gives a file of the old directory a name in the new one, too: no bytes are copied, and whoever
 * writes to one writes to both. 0 or a negative errno: where it belongs to another user than the
 * old directory, -EPERM, because it would have to be given to that. */
int replace_link(const struct replace *replace, const char *name);

/* Gives the new directory and its files to the owner of the old one, and takes the two steps.
 * 0 or a negative errno; then nothing has been replaced, or both steps are undone. */
int replace_commit(const struct replace *replace);

/* Removes the new directory with the files in it. */
void replace_abandon(const struct replace *replace);

#endif
