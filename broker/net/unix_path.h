/* The name of a unix socket in the file system: bound, left to the group, and removed again. */
#ifndef HERALD_UNIX_PATH_H
#define HERALD_UNIX_PATH_H

#include <stdint.h>

#include "protocol/status.h"

struct unix_path;

/* Makes a socket and binds it to `path` with the given permissions; it does not listen yet. A
 * socket that nobody answers at is replaced. *file is the caller's, *bound is for unix_path_remove.
 * STATUS_IN_USE: somebody answers there. STATUS_IO_ERROR, STATUS_NO_MEMORY. On failure `error`, of
 * NET_ERROR_BYTES, says what is wrong. */
enum status unix_path_bind(const char *path, uint32_t mode, struct unix_path **bound, int *file,
                           char *error);

/* Removes the socket's name, unless something else stands there now, and frees. NULL is fine. */
void unix_path_remove(struct unix_path *bound);

#endif
