/* Clients that name themselves: what was answered to them, so that frames sent again after a
 * reconnect get the same answers (DESIGN: resending belongs to clients that name themselves).
 *
 *   absent --client_enter--> connected --client_leave--> absent --(table full)--> forgotten
 *                                |
 *                                +--client_forget (it said goodbye)--> forgotten
 */
#ifndef HERALD_CLIENT_H
#define HERALD_CLIENT_H

#include "broker/core/state.h"
#include "broker/store/record.h"

/* In the directory, absent; without a name only by its number. NULL when memory ran out. */
struct client *client_new(struct core *core, uint32_t number, struct wire_bytes name);

/* Gives a name to one that has none yet. STATUS_OK or STATUS_NO_MEMORY. */
enum status client_set_name(struct core *core, struct client *client, struct wire_bytes name);

/* Its peer, if any, loses it. */
void client_free(struct core *core, struct client *client);

struct client *client_find(const struct core *core, struct wire_bytes name);
struct client *client_find_number(const struct core *core, uint32_t number);

/* NULL: none has this tag. `before`, which may be NULL, gets the one with the highest tag below it,
 * or NULL. */
struct refusal *client_find_refusal(const struct client *client, uint64_t tag,
                                    struct refusal **before);

/* One with the same tag only moves its home. STATUS_OK or STATUS_NO_MEMORY. */
enum status client_add_refusal(struct core *core, struct client *client,
                               const struct operation_refused *operation, uint64_t position);
void client_forget_refusals(struct core *core, struct client *client, uint64_t through);

/* The peer says it is this client: finds or makes the client, ends its older connection, and
 * repeats the answers that a resuming client may have missed, behind what is in the line already.
 * STATUS_CLIENT_UNKNOWN: it wants to resume and is not known. STATUS_LIMIT, or the journal's
 * status. */
enum status client_enter(struct core *core, struct peer *peer);

/* Repeats the answers of a client that resumes; called once AUTH_OK is in the line. */
void client_repeat_answers(struct peer *peer);

/* The connection is gone; the client may come back. */
void client_leave(struct core *core, struct client *client);

/* The client said goodbye and will not come back. */
void client_forget(struct core *core, struct client *client);

/* Remembers a refusal for the peer's client. STATUS_OK also for a peer without one. STATUS_LIMIT:
 * it has left too many unseen. */
enum status client_refused(struct peer *peer, uint64_t tag, enum status status, const char *text);

/* The client has seen its answers up to here. STATUS_OK or the journal's status. */
enum status client_seen(struct peer *peer, uint64_t through);

#endif
