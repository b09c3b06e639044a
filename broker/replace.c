/* Replacing a directory by a newer one that was made beside it. */
#include "broker/replace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int replace_plan(struct replace *replace, const char *directory, uint64_t now_s)
{
    char date[24];
    time_t seconds = (time_t)now_s;
    struct tm split;
    if (realpath(directory, replace->directory) == NULL)
        return -errno;
    if (gmtime_r(&seconds, &split) == NULL ||
        strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &split) == 0)
        return -EOVERFLOW;
    (void)snprintf(replace->repaired, sizeof replace->repaired, "%s.repaired-%s",
                   replace->directory, date);
    (void)snprintf(replace->damaged, sizeof replace->damaged, "%s.damaged-%s", replace->directory,
                   date);
    return 0;
}

int replace_begin(const struct replace *replace)
{
    return mkdir(replace->repaired, 0700) == 0 ? 0 : -errno;
}

int replace_link(const struct replace *replace, const char *name)
{
    char from[sizeof replace->directory + NAME_MAX + 2];
    char to[sizeof replace->repaired + NAME_MAX + 2];
    struct stat directory;
    struct stat file;
    (void)snprintf(from, sizeof from, "%s/%s", replace->directory, name);
    (void)snprintf(to, sizeof to, "%s/%s", replace->repaired, name);
    if (stat(replace->directory, &directory) != 0 || lstat(from, &file) != 0)
        return -errno;
    if (!S_ISREG(file.st_mode) || file.st_uid != directory.st_uid ||
        file.st_gid != directory.st_gid)
        return -EPERM;
    return link(from, to) == 0 ? 0 : -errno;
}

typedef int (*entry_fn)(int directory, const char *name, const struct stat *owner);

static int each_entry(const char *path, entry_fn on_entry, const struct stat *owner)
{
    DIR *listing = opendir(path);
    if (listing == NULL)
        return -errno;
    int error = 0;
    const struct dirent *entry;
    while (error == 0 && (entry = readdir(listing)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            error = on_entry(dirfd(listing), entry->d_name, owner);
    if (error == 0 && fsync(dirfd(listing)) != 0)
        error = -errno;
    (void)closedir(listing);
    return error;
}

static int give_entry(int directory, const char *name, const struct stat *owner)
{
    int result = fchownat(directory, name, owner->st_uid, owner->st_gid, AT_SYMLINK_NOFOLLOW);
    return result == 0 ? 0 : -errno;
}

static int remove_entry(int directory, const char *name, const struct stat *owner)
{
    (void)owner;
    return unlinkat(directory, name, 0) == 0 ? 0 : -errno;
}

/* Repairing is often done as root, and the daemon is not. */
static int give_to_owner(const struct replace *replace)
{
    struct stat owner;
    struct stat ours;
    if (stat(replace->directory, &owner) != 0 || stat(replace->repaired, &ours) != 0)
        return -errno;
    bool is_ours = owner.st_uid == ours.st_uid && owner.st_gid == ours.st_gid;
    int error = is_ours ? 0 : each_entry(replace->repaired, give_entry, &owner);
    if (error == 0 && !is_ours && chown(replace->repaired, owner.st_uid, owner.st_gid) != 0)
        error = -errno;
    if (error == 0 && chmod(replace->repaired, owner.st_mode & 07777) != 0)
        error = -errno;
    return error;
}

static int sync_parent(const struct replace *replace)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s", replace->directory);
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        slash[slash == path ? 1 : 0] = '\0';
    int parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return -errno;
    int error = fsync(parent) == 0 ? 0 : -errno;
    (void)close(parent);
    return error;
}

/* For file systems that cannot exchange two names. */
static int rename_twice(const struct replace *replace)
{
    if (rename(replace->directory, replace->damaged) != 0)
        return -errno;
    if (rename(replace->repaired, replace->directory) == 0)
        return 0;
    int error = -errno;
    (void)rename(replace->damaged, replace->directory);
    return error;
}

static int exchange(const struct replace *replace)
{
    if (renameat2(AT_FDCWD, replace->repaired, AT_FDCWD, replace->directory, RENAME_EXCHANGE) != 0)
        return errno == EINVAL || errno == ENOSYS ? rename_twice(replace) : -errno;
    if (rename(replace->repaired, replace->damaged) == 0)
        return 0;
    int error = -errno;
    (void)renameat2(AT_FDCWD, replace->repaired, AT_FDCWD, replace->directory, RENAME_EXCHANGE);
    return error;
}

int replace_commit(const struct replace *replace)
{
    int error = give_to_owner(replace);
    if (error == 0)
        error = exchange(replace);
    /* When this fails, a power failure may bring the names back as they were before: either way
     * there is a whole directory under each. */
    if (error == 0)
        (void)sync_parent(replace);
    return error;
}

void replace_abandon(const struct replace *replace)
{
    (void)each_entry(replace->repaired, remove_entry, NULL);
    (void)rmdir(replace->repaired);
}
