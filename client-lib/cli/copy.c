/* A data directory as it grows out of the pieces of a backup. */
#include "client-lib/cli/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client-lib/cli/report.h"

enum { FILL_BYTES = 64 << 10 };

static bool say_failure(const struct copy *copy, const char *what)
{
    report_say("%s: %s: %s", copy->partial, what, strerror(errno));
    return false;
}

static bool is_taken(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 || errno != ENOENT;
}

bool copy_begin(struct copy *copy, const char *path)
{
    *copy = (struct copy){.directory = -1, .file = -1};
    size_t bytes = strlen(path);
    while (bytes > 1 && path[bytes - 1] == '/')
        bytes--;
    if (bytes == 0 || bytes > sizeof copy->path - sizeof ".partial") {
        report_say("'%s' is no name for a directory", path);
        return false;
    }
    snprintf(copy->path, sizeof copy->path, "%.*s", (int)bytes, path);
    memcpy(copy->partial, copy->path, bytes);
    memcpy(copy->partial + bytes, ".partial", sizeof ".partial");
    if (is_taken(copy->path)) {
        report_say("%s is there already; a backup makes a new directory", copy->path);
        return false;
    }
    if (mkdir(copy->partial, 0700) != 0)
        return say_failure(copy, "cannot make it");
    copy->directory = open(copy->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy->directory >= 0)
        return true;
    say_failure(copy, "cannot open it");
    (void)rmdir(copy->partial);
    return false;
}

/* Notes a name before there is a file of it. */
static bool note_name(struct copy *copy, const char *name)
{
    if (copy->name_count == copy->name_room) {
        size_t room = copy->name_room > 0 ? copy->name_room * 2 : 64;
        char **names = realloc(copy->names, room * sizeof *names);
        if (names == NULL)
            return false;
        copy->names = names;
        copy->name_room = room;
    }
    copy->names[copy->name_count] = strdup(name);
    return copy->names[copy->name_count] != NULL;
}

static bool open_file(struct copy *copy, const struct herald_backup_piece *piece)
{
    if (!note_name(copy, piece->file)) {
        errno = ENOMEM;
        return say_failure(copy, "cannot make a file");
    }
    copy->file =
        openat(copy->directory, piece->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (copy->file < 0) {
        free(copy->names[copy->name_count]);
        return say_failure(copy, "cannot make a file");
    }
    copy->name_count++;
    copy->file_bytes = piece->file_bytes;
    copy->file_done = 0;
    return true;
}

static bool close_file(struct copy *copy)
{
    int error = fsync(copy->file) != 0 ? errno : 0;
    if (close(copy->file) != 0 && error == 0)
        error = errno;
    copy->file = -1;
    errno = error;
    return error == 0 || say_failure(copy, "cannot sync a file");
}

static bool write_all(struct copy *copy, const unsigned char *at, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(copy->file, at, bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return say_failure(copy, "cannot write");
        at += written;
        bytes -= (size_t)written;
    }
    return true;
}

/* Written and not left out: a broker writes on in its last segment and counts on its space, so that
 * a full disk shows before and not in the middle of a commit. */
static bool fill_file(struct copy *copy)
{
    static const unsigned char zeros[FILL_BYTES];
    while (copy->file_done < copy->file_bytes) {
        uint64_t left = copy->file_bytes - copy->file_done;
        size_t bytes = left < sizeof zeros ? (size_t)left : sizeof zeros;
        if (!write_all(copy, zeros, bytes))
            return false;
        copy->file_done += bytes;
    }
    return close_file(copy);
}

bool copy_add(struct copy *copy, const struct herald_backup_piece *piece)
{
    if (piece->byte_count == 0)
        return true;
    bool is_another =
        copy->file >= 0 && strcmp(copy->names[copy->name_count - 1], piece->file) != 0;
    if (is_another && !fill_file(copy))
        return false;
    if (copy->file < 0 && !open_file(copy, piece))
        return false;
    if (!write_all(copy, piece->bytes, piece->byte_count))
        return false;
    copy->bytes += piece->byte_count;
    copy->file_done += piece->byte_count;
    return copy->file_done < copy->file_bytes || close_file(copy);
}

/* The folder that the copy stands in; a name without a slash stands in the current one. */
static bool sync_parent(const struct copy *copy)
{
    char parent[PATH_MAX];
    memcpy(parent, copy->path, sizeof parent);
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        memcpy(parent, ".", 2);
    else
        slash[slash == parent ? 1 : 0] = '\0';
    int directory = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_good = directory >= 0 && fsync(directory) == 0;
    if (directory >= 0)
        (void)close(directory);
    return is_good || say_failure(copy, "cannot sync the folder above it");
}

bool copy_finish(struct copy *copy)
{
    if (copy->file >= 0 && !fill_file(copy))
        return false;
    if (fsync(copy->directory) != 0)
        return say_failure(copy, "cannot sync it");
    if (is_taken(copy->path) || rename(copy->partial, copy->path) != 0)
        return say_failure(copy, "cannot give it its name");
    (void)close(copy->directory);
    copy->directory = -1;
    return sync_parent(copy);
}

static void remove_files(struct copy *copy)
{
    if (copy->file >= 0)
        (void)close(copy->file);
    for (size_t i = 0; i < copy->name_count; i++)
        (void)unlinkat(copy->directory, copy->names[i], 0);
    (void)close(copy->directory);
    copy->directory = -1;
    if (rmdir(copy->partial) != 0)
        say_failure(copy, "cannot remove it");
}

void copy_drop(struct copy *copy)
{
    if (copy->directory >= 0)
        remove_files(copy);
    for (size_t i = 0; i < copy->name_count; i++)
        free(copy->names[i]);
    free(copy->names);
    copy->names = NULL;
    copy->name_count = copy->name_room = 0;
}
