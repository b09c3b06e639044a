/* Writing new files of events one event after the other, on the caller's thread: for the offline
 * tools. A running broker moves them in its own way, see core/mover.h. */
#ifndef HERALD_ARCHIVE_WRITER_H
#define HERALD_ARCHIVE_WRITER_H

#include "broker/store/archive.h"

struct archive_writer;

/* The disk outlives it. NULL: no memory. */
struct archive_writer *archive_writer_new(const struct disk *disk, uint32_t exchange);

/* NULL is fine. What was not written by then is not. */
void archive_writer_free(struct archive_writer *writer);

/* Adds the next event, which is recorded so and was accepted then: sequences follow each other.
 * Begins a file where none is open. STATUS_DISK_FULL, STATUS_IO_ERROR, STATUS_NO_MEMORY. */
enum status archive_writer_add(struct archive_writer *writer, const struct archive_event *event,
                               uint64_t time_ms);

/* Ends the open file with an index, if there is one: the next event begins another. */
enum status archive_writer_finish(struct archive_writer *writer);

/* All that was added is on disk, and the open file stays so; *file is what it is, `first` being 0
 * when there is none. */
enum status archive_writer_stop(struct archive_writer *writer, struct archive_file *file);

/* What went wrong, for an IO_ERROR. */
const struct journal_failure *archive_writer_failure(const struct archive_writer *writer);

#endif
