/* Histories at a start: what the journal says of their files, and what the directory holds. */
#ifndef HERALD_HISTORY_RECOVER_H
#define HERALD_HISTORY_RECOVER_H

#include "broker/core/state.h"

/* Before the journal is read: learns with which secrets names of entities were hashed. The archive
 * must be there. STATUS_IO_ERROR, STATUS_NO_MEMORY. */
enum status history_recover_secrets(struct core *core, struct journal_failure *failure);

/* The secret for the entities of an exchange; holds as long as the core. */
const unsigned char *history_secret(const struct core *core, uint32_t exchange);

/* After it: checks the files of every history, reads the entities, cuts and removes what the
 * journal does not know. Nothing is changed when something is wrong. STATUS_CORRUPT,
 * STATUS_NEWER_FORMAT, STATUS_IO_ERROR: `failure` says what and where; STATUS_NO_MEMORY. */
enum status history_recover(struct core *core, struct journal_failure *failure);

void history_recover_deinit(struct core *core);

#endif
