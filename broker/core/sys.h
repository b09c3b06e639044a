/* What happens to the broker itself, as events on the exchange `$sys`: JSON objects.
 *
 * The exchange is there once somebody has asked for it, by a binding or a subscription; until then
 * nothing is made. An event that cannot be taken is lost and counted.
 */
#ifndef HERALD_SYS_H
#define HERALD_SYS_H

#include "protocol/status.h"
#include "protocol/wire.h"

struct core;
struct ending;
struct queue;

#define SYS_EXCHANGE "$sys"

/* Makes the exchange if the name is its, and it is not there. STATUS_OK, or why it could not be. */
enum status sys_open(struct core *core, struct wire_bytes exchange);

/* Something about a queue: the key says what. */
void sys_tell_queue(struct core *core, const char *key, const struct queue *queue);

/* A command was parked. */
void sys_tell_parked(struct core *core, const struct queue *queue, uint64_t number,
                     const struct ending *ending);

#endif
