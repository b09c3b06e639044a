/* Histories at a start: what the journal says of their files, and what the directory holds. */
#ifndef HERALD_HISTORY_RECOVER_H
#define HERALD_HISTORY_RECOVER_H

#include "broker/core/state.h"
#include "broker/store/archive.h"

/* Before the journal is read: learns with which secrets names of entities were hashed. The archive
 * must be there. STATUS_IO_ERROR, STATUS_NO_MEMORY. */
enum status history_recover_secrets(struct core *core, struct journal_failure *failure);

/* The secret for the entities of an exchange; holds as long as the core. */
const unsigned char *history_secret(const struct core *core, uint32_t exchange);

/* After it, once: checks the files of every history against what the journal says, and reads the
 * entities. Nothing is changed. STATUS_CORRUPT, STATUS_NEWER_FORMAT, STATUS_IO_ERROR: `failure`
 * says what and where; STATUS_NO_MEMORY. */
enum status history_recover(struct core *core, struct journal_failure *failure);

/* Once all is known to be well: cuts and removes what the journal does not know. STATUS_IO_ERROR,
 * STATUS_NO_MEMORY. */
enum status history_recover_tidy(struct core *core, struct journal_failure *failure);

/* What a file says of an entity, or an event of one: it has come to its version. STATUS_CORRUPT: it
 * is no event. STATUS_NO_MEMORY. */
enum status history_see_entity(struct history *history, const struct archive_entity *entity);
enum status history_see_event(struct history *history, const struct archive_event *event);

void history_recover_deinit(struct core *core);

#endif
