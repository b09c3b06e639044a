/* What a queue keeps of single messages besides their places: failed attempts, and why one is
 * parked.
 */
#ifndef HERALD_KEPT_H
#define HERALD_KEPT_H

#include "broker/core/state.h"
#include "broker/store/record.h"
#include "protocol/status.h"

/* NULL: nothing is kept of this number. */
struct attempted *kept_find_attempted(const struct queue *queue, uint64_t number);
struct parked *kept_find_parked(const struct queue *queue, uint64_t number);

/* Failed attempts at a message so far. */
uint16_t kept_failed_attempts(const struct queue *queue, uint64_t number);

/* What there is already, or a new one: without failed attempts, without a message. NULL when memory
 * ran out. */
struct attempted *kept_add_attempted(struct queue *queue, uint64_t number);
struct parked *kept_add_parked(struct queue *queue, uint64_t number);

/* Takes over what the operation says of the failure; the beginning of its words, where there is
 * memory for that. */
void kept_explain_parked(struct parked *parked, const struct operation_park *operation);

/* Takes one out and frees it, its home included. */
void kept_end_attempted(struct core *core, struct queue *queue, struct attempted *attempted);
void kept_end_parked(struct core *core, struct queue *queue, struct parked *parked);

/* All of both. */
void kept_end_all(struct core *core, struct queue *queue);

#endif
