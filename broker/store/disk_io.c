/* Whole reads and writes over a disk's short ones. */
#include "broker/store/disk_io.h"

#include <errno.h>

#include "broker/plant.h"

int disk_read_all(const struct disk *disk, int file, void *at, size_t bytes, uint64_t offset)
{
    unsigned char *to = at;
    while (bytes > 0) {
        int64_t count = disk->read(disk->context, file, to, bytes, offset);
        if (count <= 0)
            return count < 0 ? (int)count : -ENODATA;
        to += count;
        bytes -= (size_t)count;
        offset += (uint64_t)count;
    }
    return 0;
}

int disk_write_all(const struct disk *disk, int file, const void *at, size_t bytes, uint64_t offset)
{
    const unsigned char *from = at;
    while (bytes > 0) {
        int64_t count = disk->write(disk->context, file, from, bytes, offset);
        if (count <= 0)
            return count < 0 ? (int)count : -EIO;
        if (planted(PLANT_SHORT_WRITE))
            return 0;
        from += count;
        bytes -= (size_t)count;
        offset += (uint64_t)count;
    }
    return 0;
}

bool disk_is_lack(int error)
{
    switch (-error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return true;
    }
    return false;
}
