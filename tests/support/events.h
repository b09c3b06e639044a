/* Files of events on a disk, made of nothing but their format. */
#ifndef HERALD_TEST_EVENTS_H
#define HERALD_TEST_EVENTS_H

#include "broker/store/archive.h"

enum { EVENT_BYTES_MAX = 4096 };

/* The operation of an event as files hold it: of the exchange `book`, with a body of so many
 * letters, at millisecond 1000 + sequence. Returns its bytes. */
uint32_t event_encode(unsigned char at[EVENT_BYTES_MAX], uint64_t sequence, uint32_t body_bytes);

/* Blocks of `count` events each, from a sequence on, sealed, as they stand at an offset of a file.
 * `at` is to be freed; *bytes is their size. */
unsigned char *event_blocks(uint32_t exchange, uint32_t offset, uint64_t first, unsigned blocks,
                            unsigned count, size_t *bytes);

/* Events that make_... gave, by their sequence: whether these are their bytes. */
bool event_is(const struct archive_event *event, uint32_t body_bytes);

/* How long the bodies of those in blocks are. */
enum { EVENT_BODY_BYTES = 100 };

/* Writes a whole file of blocks through the archive; ends it with an index, or not. *file says what
 * it is. */
void event_file(struct archive *archive, uint32_t exchange, uint64_t first, unsigned blocks,
                struct archive_file *file);
void event_file_finish(struct archive *archive, uint32_t exchange, unsigned blocks,
                       struct archive_file *file);

enum { EVENTS_IN_BLOCK = 4 };

#endif
