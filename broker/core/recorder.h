/* The open record: where handlers write what they have decided.
 *
 * Frames of one peer that are read together share a record while it is short, so that they also
 * share its cost; a record states last how far the peer's client is answered. Every operation is
 * applied before the next frame is decided.
 *
 *   recorder_append_... -> apply_...                                              one operation
 *   recorder_begin -> record_put_... into the writer -> recorder_end -> apply_...     several
 *   recorder_close                                       at the end of what was read
 */
#ifndef HERALD_RECORDER_H
#define HERALD_RECORDER_H

#include "broker/core/core.h"
#include "broker/store/record.h"

/* Gives room for `bytes` of operations that belong together. `peer` may be NULL: the broker's own.
 * STATUS_DISK_FULL, STATUS_NO_MEMORY, or STATUS_TOO_LARGE for more than a record may hold; nothing
 * has changed then. */
enum status recorder_begin(struct core *core, struct peer *peer, size_t bytes,
                           enum journal_urgency urgency, struct wire_writer *w);

/* The position in the journal of what the writer writes next. */
uint64_t recorder_position(const struct core *core, const struct wire_writer *w);

/* How far that is behind the beginning of its record. */
uint32_t recorder_back(const struct core *core, const struct wire_writer *w);

/* What was written is part of the record. At least one byte. */
void recorder_end(struct core *core, const struct wire_writer *w);

/* Appends one operation, as urgent as records.def says; its position goes into *position, which may
 * be NULL. What recorder_begin returns. The caller applies it. */
#define OPERATION(NAME, name, type, urgency, text)                                                 \
    enum status recorder_append_##name(struct core *core, struct peer *peer,                       \
                                       const struct operation_##name *operation,                   \
                                       uint64_t *position);
#include "broker/store/records.def"

/* Opens a record for `bytes` bytes of operations that must be there together or not at all: until
 * recorder_let_go everything that is appended goes there, and cannot fail. What recorder_begin
 * returns. */
enum status recorder_hold(struct core *core, struct peer *peer, size_t bytes,
                          enum journal_urgency urgency);
void recorder_let_go(struct core *core);

/* Has the next `count` records, of together `bytes` bytes of operations, be there together or not
 * at all. STATUS_DISK_FULL, STATUS_NO_MEMORY, STATUS_TOO_LARGE. */
enum status recorder_keep_together(struct core *core, size_t bytes, uint32_t count);

/* Ends the record, if one is open. */
void recorder_close(struct core *core);

/* What an answer given now rests on, in doubt: everything so far. */
uint64_t recorder_needs(const struct core *core);

#endif
