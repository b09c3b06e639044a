/* What is in a data directory, by kind and in order. */
#ifndef HERALD_DIRECTORY_H
#define HERALD_DIRECTORY_H

#include <stddef.h>

#include "broker/store/journal.h"

struct directory_entry {
    uint64_t number;
    uint64_t bytes;
};

struct directory_entries {
    struct directory_entry *entry; /* by number */
    size_t count;
    size_t capacity;
};

struct directory {
    struct directory_entries segments;
    struct directory_entries spares;
    struct directory_entries makings; /* left behind half made */
};

/* Reads the directory. STATUS_CORRUPT: a file has a segment's name but for its number.
 * STATUS_IO_ERROR, STATUS_NO_MEMORY. directory_deinit is due in any case. */
enum status directory_read(struct directory *directory, const struct disk *disk,
                           struct journal_failure *failure);
void directory_deinit(struct directory *directory);

#endif
