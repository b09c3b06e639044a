/* Recovery: from the files in a directory to a journal that can be appended to. */
#ifndef HERALD_RECOVERY_H
#define HERALD_RECOVERY_H

#include "broker/store/homes.h"
#include "broker/store/journal.h"
#include "broker/store/segment.h"

struct recovery_input {
    const struct disk *disk;
    const struct journal_options *options;
    const struct journal_reader *reader;
    struct homes *homes; /* initialised by recovery before the first record; NULL for a check */
    struct journal_failure *failure;
    bool is_check; /* only looks: nothing on disk is changed, `recovered` has nothing but `seen` */
};

/* Where appending goes on. */
struct recovered {
    struct journal_recovery seen;
    uint32_t segment_bytes;
    struct segment_file *segment; /* the one to append to; whoever gets it frees it */
    uint32_t end_offset;          /* of the next batch in it */
    uint64_t next_sequence;
    uint64_t first_segment; /* oldest file */
    uint64_t *spares;       /* names of spare files; whoever gets it frees it */
    size_t spare_count;
    uint64_t next_spare; /* above every name in use */
};

/* Statuses as journal_open. On failure `recovered` holds nothing to free. */
enum status recovery_run(struct recovered *recovered, const struct recovery_input *input);

#endif
