/* The only way from the journal to a disk: a table of calls over one data directory.
 *
 * disk_real works on a real directory; the simulated disk of the tests keeps unsynced writes apart
 * and can lose, tear and reorder them. Names are plain file names inside the directory, never a
 * path.
 *
 * Every call returns 0 (or a count) on success and a negative errno on failure. Calls may be made
 * from any thread, but never two at once on the same file.
 */
#ifndef HERALD_DISK_H
#define HERALD_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"

enum disk_open_mode {
    DISK_OPEN_READ,   /* must exist */
    DISK_OPEN_WRITE,  /* must exist; read and write */
    DISK_OPEN_CREATE, /* must not exist; read and write */
};

/* Called once per name; a value other than 0 ends the listing and is returned. */
typedef int (*disk_list_fn)(void *argument, const char *name, uint64_t bytes);

struct disk {
    void *context;
    /* A descriptor >= 0. Refuses anything that is not a regular file, symbolic links included. */
    int (*open)(void *context, const char *name, enum disk_open_mode mode);
    int (*close)(void *context, int file);
    /* Short counts happen; 0 from read is the end of the file. */
    int64_t (*read)(void *context, int file, void *at, size_t bytes, uint64_t offset);
    int64_t (*write)(void *context, int file, const void *at, size_t bytes, uint64_t offset);
    int (*sync)(void *context, int file);
    /* A range that is synced will hardly be read soon: it need not stay in the machine's memory. */
    void (*forget)(void *context, int file, uint64_t offset, uint64_t bytes);
    int (*sync_directory)(void *context);
    /* Makes the file `bytes` long with all its space allocated. */
    int (*allocate)(void *context, int file, uint64_t bytes);
    int (*truncate)(void *context, int file, uint64_t bytes);
    int (*rename)(void *context, const char *from, const char *to);
    int (*remove)(void *context, const char *name);
    int (*list)(void *context, disk_list_fn on_name, void *argument);
    int (*space)(void *context, uint64_t *free_bytes);
    /* 128 bits of chance for the salt of a segment. */
    int (*random)(void *context, unsigned char salt[16]);
};

/* Opens the directory `path` (made with mode 0700 if it is missing) and locks it against a second
 * daemon. The lock lasts until disk_real_free. On failure *disk is untouched, `error` (of at least
 * 256 bytes) says what and why: STATUS_LOCKED, STATUS_IO_ERROR, STATUS_NO_MEMORY. */
enum status disk_real_new(struct disk **disk, const char *path, char *error, size_t error_bytes);

/* The same for reading only: nothing in the directory is made or changed, writing calls give
 * -EROFS, and others may read at the same time. A directory whose file `lock` is missing is not
 * locked: no daemon was ever there. */
enum status disk_real_new_reading(struct disk **disk, const char *path, char *error,
                                  size_t error_bytes);

/* Ends the lock; NULL is fine. */
void disk_real_free(struct disk *disk);

#endif
