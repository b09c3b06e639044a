/* Whole reads and writes over a disk's short ones. */
#ifndef HERALD_DISK_IO_H
#define HERALD_DISK_IO_H

#include <stdbool.h>

#include "broker/store/disk.h"

/* 0 or a negative errno; -ENODATA when the file ends before. */
int disk_read_all(const struct disk *disk, int file, void *at, size_t bytes, uint64_t offset);

/* 0 or a negative errno. */
int disk_write_all(const struct disk *disk, int file, const void *at, size_t bytes,
                   uint64_t offset);

/* True for errors that go away when space, descriptors or memory come back: nothing is wrong with
 * the disk, and the same work may be tried again later. */
bool disk_is_lack(int error);

#endif
