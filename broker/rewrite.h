/* Writing a journal anew: records one after the other into an empty directory, with syncs on the
 * caller's own thread. For the offline tools. */
#ifndef HERALD_REWRITE_H
#define HERALD_REWRITE_H

#include <stdint.h>

#include "broker/store/journal.h"

struct rewrite;

/* Begins a journal on an empty disk, which stays the caller's and must outlive it. On failure
 * *rewrite is NULL: STATUS_IO_ERROR, STATUS_NO_MEMORY, with the reason in `failure`. */
enum status rewrite_new(struct rewrite **rewrite, const struct disk *disk, uint32_t segment_bytes,
                        struct journal_failure *failure);

/* Appends a record; a mend_record_fn. STATUS_DISK_FULL, STATUS_IO_ERROR, STATUS_NO_MEMORY. */
enum status rewrite_append(void *rewrite, const unsigned char *at, uint32_t bytes, uint64_t now_ms);

/* Everything is on disk and the end is marked as a clean stop. */
enum status rewrite_stop(struct rewrite *rewrite);

/* What went wrong, for an IO_ERROR. */
const struct journal_failure *rewrite_failure(const struct rewrite *rewrite);

/* NULL is fine. */
void rewrite_free(struct rewrite *rewrite);

#endif
