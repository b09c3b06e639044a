/* The real disk: a directory descriptor and the system calls on it, and nothing else.
 *
 * The only file on the broker's data path that makes system calls on files. Interrupted calls are
 * made again. No name is ever followed through a symbolic link.
 */
#include "broker/store/disk.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "broker/plant.h"

/* Zeros for file systems that cannot allocate. */
#define ZERO_BYTES 65536u
static const unsigned char zeros[ZERO_BYTES];

struct disk_real {
    struct disk disk; /* first, so that the one is found from the other */
    int directory;
    int lock;
};

static int open_again(int directory, const char *name, int flags)
{
    int file;
    do
        file = openat(directory, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    while (file < 0 && errno == EINTR);
    return file >= 0 ? file : -errno;
}

static int real_open(void *context, const char *name, enum disk_open_mode mode)
{
    const struct disk_real *real = context;
    int flags = mode == DISK_OPEN_READ ? O_RDONLY : O_RDWR;
    if (mode == DISK_OPEN_CREATE)
        flags |= O_CREAT | O_EXCL;
    /* Without O_NONBLOCK the opening of a pipe would wait for its other end. */
    int file = open_again(real->directory, name, flags | O_NONBLOCK | O_NOCTTY);
    if (file == -ELOOP || file == -EISDIR || file == -ENXIO)
        return -EINVAL;
    if (file < 0)
        return file;
    struct stat found;
    int error = fstat(file, &found) != 0 ? -errno : S_ISREG(found.st_mode) ? 0 : -EINVAL;
    if (error != 0) {
        (void)close(file);
        return error;
    }
    return file;
}

static int real_close(void *context, int file)
{
    (void)context;
    /* The descriptor is gone even when the call was interrupted. */
    return close(file) == 0 || errno == EINTR ? 0 : -errno;
}

static int64_t real_read(void *context, int file, void *at, size_t bytes, uint64_t offset)
{
    (void)context;
    ssize_t count;
    do
        count = pread(file, at, bytes, (off_t)offset);
    while (count < 0 && errno == EINTR);
    return count >= 0 ? count : -errno;
}

static int64_t real_write(void *context, int file, const void *at, size_t bytes, uint64_t offset)
{
    (void)context;
    ssize_t count;
    do
        count = pwrite(file, at, bytes, (off_t)offset);
    while (count < 0 && errno == EINTR);
    return count >= 0 ? count : -errno;
}

static int real_sync(void *context, int file)
{
    (void)context;
    int result;
    do
        result = fdatasync(file);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

static void real_forget(void *context, int file, uint64_t offset, uint64_t bytes)
{
    (void)context;
    (void)posix_fadvise(file, (off_t)offset, (off_t)bytes, POSIX_FADV_DONTNEED);
}

static int real_sync_directory(void *context)
{
    const struct disk_real *real = context;
    int result;
    do
        result = fsync(real->directory);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

static int fill_with_zeros(void *context, int file, uint64_t bytes)
{
    for (uint64_t offset = 0; offset < bytes;) {
        uint64_t left = bytes - offset;
        size_t piece = left < ZERO_BYTES ? (size_t)left : ZERO_BYTES;
        int64_t count = real_write(context, file, zeros, piece, offset);
        if (count <= 0)
            return count < 0 ? (int)count : -EIO;
        offset += (uint64_t)count;
    }
    return 0;
}

static int real_allocate(void *context, int file, uint64_t bytes)
{
    int result;
    do
        result = fallocate(file, 0, 0, (off_t)bytes);
    while (result != 0 && errno == EINTR);
    if (result == 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return -errno;
    return fill_with_zeros(context, file, bytes);
}

static int real_truncate(void *context, int file, uint64_t bytes)
{
    (void)context;
    int result;
    do
        result = ftruncate(file, (off_t)bytes);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

static int real_rename(void *context, const char *from, const char *to)
{
    const struct disk_real *real = context;
    return renameat(real->directory, from, real->directory, to) == 0 ? 0 : -errno;
}

static int real_remove(void *context, const char *name)
{
    const struct disk_real *real = context;
    return unlinkat(real->directory, name, 0) == 0 ? 0 : -errno;
}

static int list_entries(const struct disk_real *real, DIR *listing, disk_list_fn on_name,
                        void *argument)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(listing);
        if (entry == NULL)
            return -errno;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        struct stat found;
        if (fstatat(real->directory, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0)
            return -errno;
        int result = on_name(argument, entry->d_name, (uint64_t)found.st_size);
        if (result != 0)
            return result;
    }
}

static int real_list(void *context, disk_list_fn on_name, void *argument)
{
    const struct disk_real *real = context;
    int directory = open_again(real->directory, ".", O_RDONLY | O_DIRECTORY);
    if (directory < 0)
        return directory;
    DIR *listing = fdopendir(directory);
    if (listing == NULL) {
        int error = -errno;
        (void)close(directory);
        return error;
    }
    int result = list_entries(real, listing, on_name, argument);
    (void)closedir(listing);
    return result;
}

static int real_space(void *context, uint64_t *free_bytes)
{
    const struct disk_real *real = context;
    struct statvfs found;
    if (fstatvfs(real->directory, &found) != 0)
        return -errno;
    *free_bytes = (uint64_t)found.f_bavail * found.f_frsize;
    return 0;
}

static int real_random(void *context, unsigned char salt[16])
{
    (void)context;
    ssize_t count;
    do
        count = getrandom(salt, 16, 0);
    while (count < 0 && errno == EINTR);
    return count == 16 ? 0 : count < 0 ? -errno : -EIO;
}

static const struct disk calls = {
    .open = real_open,
    .close = real_close,
    .read = real_read,
    .write = real_write,
    .sync = real_sync,
    .forget = real_forget,
    .sync_directory = real_sync_directory,
    .allocate = real_allocate,
    .truncate = real_truncate,
    .rename = real_rename,
    .remove = real_remove,
    .list = real_list,
    .space = real_space,
    .random = real_random,
};

static int no_open(void *context, const char *name, enum disk_open_mode mode)
{
    return mode == DISK_OPEN_READ ? real_open(context, name, mode) : -EROFS;
}

static int64_t no_write(void *context, int file, const void *at, size_t bytes, uint64_t offset)
{
    (void)context, (void)file, (void)at, (void)bytes, (void)offset;
    return -EROFS;
}

static int no_sync(void *context, int file)
{
    (void)context, (void)file;
    return -EROFS;
}

static int no_sync_directory(void *context)
{
    (void)context;
    return -EROFS;
}

static int no_resize(void *context, int file, uint64_t bytes)
{
    (void)context, (void)file, (void)bytes;
    return -EROFS;
}

static int no_rename(void *context, const char *from, const char *to)
{
    (void)context, (void)from, (void)to;
    return -EROFS;
}

static int no_remove(void *context, const char *name)
{
    (void)context, (void)name;
    return -EROFS;
}

static const struct disk reading_calls = {
    .open = no_open,
    .close = real_close,
    .read = real_read,
    .write = no_write,
    .sync = no_sync,
    .forget = real_forget,
    .sync_directory = no_sync_directory,
    .allocate = no_resize,
    .truncate = no_resize,
    .rename = no_rename,
    .remove = no_remove,
    .list = real_list,
    .space = real_space,
    .random = real_random,
};

/* A directory just made is lost with the power unless its parent is synced. One that may not be
 * read by us was not made by us. */
static int sync_parent(int directory)
{
    int parent = open_again(directory, "..", O_RDONLY | O_DIRECTORY);
    if (parent < 0)
        return parent == -EACCES ? 0 : parent;
    int error = fsync(parent) == 0 || errno == EINVAL || errno == EROFS ? 0 : -errno;
    (void)close(parent);
    return error;
}

static int open_directory(const char *path)
{
    int file;
    do
        file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (file < 0 && errno == EINTR);
    return file >= 0 ? file : -errno;
}

/* The directory and its lock file; whose fault a failure is goes into *what. */
static int open_and_lock(struct disk_real *real, const char *path, const char **what)
{
    *what = "cannot make the data directory";
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return -errno;
    *what = "cannot open the data directory";
    int file = open_directory(path);
    if (file < 0)
        return file;
    real->directory = file;
    *what = "cannot sync the parent of the data directory";
    int error = sync_parent(real->directory);
    if (error != 0)
        return error;
    *what = "cannot open the file `lock` in the data directory";
    file = open_again(real->directory, "lock", O_RDWR | O_CREAT | O_NONBLOCK);
    if (file < 0)
        return file;
    real->lock = file;
    *what = "another process uses the data directory";
    if (planted(PLANT_NO_LOCK))
        return 0;
    return flock(real->lock, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
}

static int open_for_reading(struct disk_real *real, const char *path, const char **what)
{
    *what = "cannot open the data directory";
    real->directory = open_directory(path);
    if (real->directory < 0)
        return real->directory;
    *what = "cannot open the file `lock` in the data directory";
    real->lock = open_again(real->directory, "lock", O_RDONLY | O_NONBLOCK);
    if (real->lock < 0)
        return real->lock == -ENOENT ? 0 : real->lock;
    *what = "another process uses the data directory";
    return flock(real->lock, LOCK_SH | LOCK_NB) == 0 ? 0 : -errno;
}

typedef int (*disk_real_open_fn)(struct disk_real *real, const char *path, const char **what);

static enum status new_with(struct disk **disk, const struct disk *table, disk_real_open_fn open_fn,
                            const char *path, char error[static 256])
{
    struct disk_real *real = malloc(sizeof *real);
    if (real == NULL) {
        (void)snprintf(error, 256, "out of memory");
        return STATUS_NO_MEMORY;
    }
    *real = (struct disk_real){.disk = *table, .directory = -1, .lock = -1};
    real->disk.context = real;
    const char *what;
    int result = open_fn(real, path, &what);
    if (result == 0) {
        *disk = &real->disk;
        return STATUS_OK;
    }
    (void)snprintf(error, 256, "%s: %s: %s", path, what, strerror(-result));
    disk_real_free(&real->disk);
    return result == -EWOULDBLOCK ? STATUS_LOCKED : STATUS_IO_ERROR;
}

enum status disk_real_new(struct disk **disk, const char *path, char *error, size_t error_bytes)
{
    assert(error_bytes >= 256);
    return new_with(disk, &calls, open_and_lock, path, error);
}

enum status disk_real_new_reading(struct disk **disk, const char *path, char *error,
                                  size_t error_bytes)
{
    assert(error_bytes >= 256);
    return new_with(disk, &reading_calls, open_for_reading, path, error);
}

void disk_real_free(struct disk *disk)
{
    if (disk == NULL)
        return;
    struct disk_real *real = disk->context;
    if (real->lock >= 0)
        (void)close(real->lock);
    if (real->directory >= 0)
        (void)close(real->directory);
    free(real);
}
