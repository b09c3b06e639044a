/* A segment: one file of the journal, of fixed size, beginning with a header page.
 *
 * A file is made under the name making-<k>, becomes spare-<k> when all its space is there, and
 * segment-<number> when its header is on disk. On the way back it becomes a spare again.
 */
#ifndef HERALD_SEGMENT_H
#define HERALD_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/disk.h"
#include "protocol/status.h"

#define SEGMENT_HEADER_BYTES 4096u
#define SEGMENT_BYTES_MIN 65536u
#define SEGMENT_FORMAT 1u
#define SEGMENT_NAME_BYTES 32
#define SALT_BYTES 16

struct segment_header {
    uint64_t number;
    uint64_t first_position;
    uint32_t segment_bytes;
    unsigned char salt[SALT_BYTES];
};

/* Fills all SEGMENT_HEADER_BYTES. */
void segment_header_encode(unsigned char *at, const struct segment_header *header);

/* STATUS_CORRUPT, or STATUS_NEWER_FORMAT when the version is not ours. */
enum status segment_header_decode(const unsigned char *at, struct segment_header *header);

enum segment_name_kind { NAME_OTHER, NAME_SEGMENT, NAME_SEGMENT_BAD, NAME_SPARE, NAME_MAKING };

/* What a name in the directory stands for; *number is set for all but OTHER and SEGMENT_BAD. */
enum segment_name_kind segment_parse_name(const char *name, uint64_t *number);

void segment_print_name(char name[SEGMENT_NAME_BYTES], enum segment_name_kind kind,
                        uint64_t number);

/* A segment that can be written. */
struct segment_file {
    struct segment_file *next;
    uint64_t number;
    int file;
    unsigned char salt[SALT_BYTES];
};

/* Makes segment `number` out of a spare: header with a fresh salt, sync, rename, directory sync.
 * Fills `segment`, whose file is open for writing. On failure returns a negative errno and
 * *is_renamed tells whether the spare is gone. */
int segment_prepare(struct segment_file *segment, const struct disk *disk, uint64_t spare,
                    uint32_t segment_bytes, bool *is_renamed);

/* Turns a segment into a spare, and makes that durable. 0 or a negative errno. */
int segment_recycle(const struct disk *disk, uint64_t number, uint64_t spare);

/* Removes a segment, and makes that durable. 0 or a negative errno. */
int segment_remove(const struct disk *disk, uint64_t number);

/* Makes a spare, all of it in one call or in steps: *file is -1 at first, *filled_bytes 0; call
 * again until *filled_bytes is segment_bytes. On failure (a negative errno) the file is gone. */
struct spare_making {
    uint64_t spare;
    uint32_t segment_bytes;
    uint32_t filled_bytes;
    int file;
};
int spare_make_step(struct spare_making *making, const struct disk *disk);
int spare_make(const struct disk *disk, uint64_t spare, uint32_t segment_bytes);

#endif
