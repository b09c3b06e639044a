/* A copy of all that is on disk for a peer that asked for it (handle_backup), while everything goes
 * on. */
#ifndef HERALD_BACKUP_H
#define HERALD_BACKUP_H

#include "broker/core/state.h"

/* Has the next piece read if there is room for it; ends a copy whose peer is closing. At the end of
 * every round. */
void backup_run(struct core *core);

/* Bytes of the peer's output have left: the next round may go on with its copy. */
void backup_on_sent(struct peer *peer);

/* The peer goes away, and its copy, if it has one, ends. */
void backup_end_peer(struct peer *peer);

/* The core ends; a read that is out never comes back. */
void backup_deinit(struct core *core);

#endif
