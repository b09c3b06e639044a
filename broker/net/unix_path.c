/* The name of a unix socket in the file system: bound, left to the group, and removed again. */
#include "broker/net/unix_path.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/net/net.h"

#define UNIX_PATH_GROUP "herald"

struct unix_path {
    dev_t device;
    ino_t number; /* of the name's file, to know it again */
    struct sockaddr_un address;
};

static enum status fail(char *error, const char *path, const char *what, enum status status)
{
    (void)snprintf(error, NET_ERROR_BYTES, "%s: %s", path, what);
    return status;
}

/* A dead daemon leaves its socket behind. Only a refused connection proves that it is dead: a full
 * backlog, for one, is answered otherwise. */
static enum status unix_path_clear(const struct sockaddr_un *address, char *error)
{
    const char *path = address->sun_path;
    struct stat found;
    if (lstat(path, &found) != 0)
        return errno == ENOENT ? STATUS_OK : fail(error, path, strerror(errno), STATUS_IO_ERROR);
    if (!S_ISSOCK(found.st_mode))
        return fail(error, path, "exists and is not a socket", STATUS_IO_ERROR);
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (file < 0)
        return fail(error, path, strerror(errno), STATUS_IO_ERROR);
    int failed = connect(file, (const struct sockaddr *)address, sizeof *address);
    int reason = failed == 0 ? 0 : errno;
    close(file);
    if (reason != ECONNREFUSED)
        return fail(error, path, "another process listens there", STATUS_IN_USE);
    if (unlink(path) != 0)
        return fail(error, path, strerror(errno), STATUS_IO_ERROR);
    return STATUS_OK;
}

/* Members of the group may connect if the mode lets them. A daemon that is not in the group cannot
 * give the socket to it, and then only its own user connects. */
static void unix_path_give_to_group(const char *path)
{
    char room[4096];
    struct group entry;
    struct group *found = NULL;
    if (getgrnam_r(UNIX_PATH_GROUP, &entry, room, sizeof room, &found) == 0 && found != NULL &&
        chown(path, (uid_t)-1, found->gr_gid) != 0)
        errno = 0;
}

/* Until it is finished, the umask keeps everybody else out. */
static enum status unix_path_make(struct unix_path *bound, uint32_t mode, int file, char *error)
{
    const char *path = bound->address.sun_path;
    struct stat made;
    if (bind(file, (const struct sockaddr *)&bound->address, sizeof bound->address) != 0)
        return fail(error, path, strerror(errno), STATUS_IO_ERROR);
    unix_path_give_to_group(path);
    if (chmod(path, mode) != 0 || lstat(path, &made) != 0) {
        enum status status = fail(error, path, strerror(errno), STATUS_IO_ERROR);
        (void)unlink(path);
        return status;
    }
    bound->device = made.st_dev;
    bound->number = made.st_ino;
    return STATUS_OK;
}

enum status unix_path_bind(const char *path, uint32_t mode, struct unix_path **bound, int *file,
                           char *error)
{
    struct unix_path *made = calloc(1, sizeof *made);
    if (made == NULL)
        return fail(error, path, "no memory", STATUS_NO_MEMORY);
    enum status status = STATUS_IO_ERROR;
    int opened = -1;
    made->address.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof made->address.sun_path) {
        fail(error, path, "the path of a unix socket may have 107 bytes", status);
        goto fail;
    }
    memcpy(made->address.sun_path, path, strlen(path) + 1);
    status = unix_path_clear(&made->address, error);
    if (status != STATUS_OK)
        goto fail;
    status = STATUS_IO_ERROR;
    opened = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (opened < 0) {
        fail(error, path, strerror(errno), status);
        goto fail;
    }
    status = unix_path_make(made, mode, opened, error);
    if (status != STATUS_OK)
        goto fail;
    *bound = made;
    *file = opened;
    return STATUS_OK;

fail:
    if (opened >= 0)
        close(opened);
    free(made);
    return status;
}

void unix_path_remove(struct unix_path *bound)
{
    if (bound == NULL)
        return;
    struct stat found;
    if (lstat(bound->address.sun_path, &found) == 0 && found.st_dev == bound->device &&
        found.st_ino == bound->number)
        (void)unlink(bound->address.sun_path);
    free(bound);
}
