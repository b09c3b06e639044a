/* Files of the archive by their names; shared by its errands and its recovery. */
#ifndef HERALD_ARCHIVE_FILE_H
#define HERALD_ARCHIVE_FILE_H

#include "broker/store/archive.h"

struct archive {
    const struct disk *disk;
    errand_post_fn post;
    void *post_context;
    enum status status; /* the first failure that ends the process */
    struct journal_failure failure;
};

/* False: the name is not one of the archive's. */
bool archive_parse_name(const char *text, struct archive_name *name);

/* A file that is looked at: what it is called, and who is told what is wrong with it. */
struct archive_handle {
    struct archive *archive;
    struct archive_name name;
    struct journal_failure *failure;
    int file; /* while it is open */
};

struct archive_handle archive_handle_of(struct archive *archive, const struct archive_name *name,
                                        struct journal_failure *failure);

/* Opens it and checks its header, if it is of events. STATUS_NOT_FOUND, STATUS_IO_ERROR,
 * STATUS_CORRUPT, STATUS_NEWER_FORMAT; the file is closed then. */
enum status archive_open_file(struct archive_handle *handle, enum disk_open_mode mode);
void archive_close_file(const struct archive_handle *handle);

/* Says what a call of the disk has met, `error` being its negative errno, or what is wrong at an
 * offset of the file. Both return the status of it: STATUS_IO_ERROR; STATUS_CORRUPT, also for a
 * file that ends too early. */
enum status archive_fail_read(const struct archive_handle *handle, int error, uint64_t offset);
enum status archive_fail_check(const struct archive_handle *handle, uint64_t offset,
                               const char *what);

/* Where the index of a finished file of `name.bytes` bytes begins, from its tail. */
enum status archive_find_index(const struct archive_handle *handle, uint32_t *offset);

/* Reads the index that begins there; *at is to be freed, on failure, too. */
enum status archive_read_index(const struct archive_handle *handle, uint32_t offset,
                               unsigned char **at, struct archive_index *index);

/* Reads whole blocks from `offset` on, about `bytes_wanted` of them, which must lie before `end`,
 * or those before one that is damaged: the next window begins with that, and fails. `at` grows as
 * it must, and is the caller's on failure, too. STATUS_OK, STATUS_CORRUPT, STATUS_IO_ERROR,
 * STATUS_NO_MEMORY. */
struct archive_window {
    uint32_t bytes_wanted;
    unsigned char *at;
    size_t room;
    uint32_t bytes;       /* whole blocks */
    uint32_t next_offset; /* behind them */
};
enum status archive_read_blocks(const struct archive_handle *handle, uint32_t offset, uint32_t end,
                                struct archive_window *window);

#endif
