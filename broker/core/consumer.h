/* Consumers and live subscriptions of peers. */
#ifndef HERALD_CONSUMER_H
#define HERALD_CONSUMER_H

#include "broker/core/state.h"

struct exchange;

/* Whether the peer may open a consumer of this number. STATUS_CONSUMER_EXISTS, STATUS_LIMIT. */
enum status consumer_may_open(const struct peer *peer, uint32_t number);

/* Begins to hand out. STATUS_CONSUMER_EXISTS, STATUS_LIMIT, STATUS_EXCLUSIVE, STATUS_NO_MEMORY. */
enum status consumer_open(struct peer *peer, struct queue *queue,
                          const struct frame_consume *consume);

/* Likewise for a live subscription, with a queue of its own behind it. */
enum status consumer_subscribe(struct peer *peer, struct exchange *exchange,
                               const struct frame_subscribe *subscribe);

/* Likewise for a reader of the exchange's history, from where the frame says. */
enum status consumer_follow(struct peer *peer, struct exchange *exchange,
                            const struct frame_follow *follow);

/* What it reads cannot be read: it ends, and its peer is told. */
void consumer_end_broken(struct consumer *consumer);

/* NULL: this peer has none of that number, or it is cancelled. */
struct consumer *consumer_find(const struct peer *peer, uint32_t number);

/* No more deliveries. Those it has may still be settled; it is freed with the last of them. */
void consumer_cancel(struct consumer *consumer);

/* Ends the live subscriptions of an exchange that is going away; their peers are told. */
void consumer_end_live(struct core *core, const struct exchange *exchange);

/* Ends a queue's consumers; their peers are told why. Their deliveries become stale. */
void consumer_end_all(struct core *core, struct queue *queue, enum status status);

/* Deliveries of places that are not there any more become stale. */
void consumer_drop_stale(struct core *core, struct queue *queue);

/* Of a queue with a single active consumer: there is one, if there is any. Settings may have
 * changed.
 */
void consumer_elect(struct core *core, struct queue *queue);

/* Looks again whether the consumer has room: after a settlement, or when its peer's output drained.
 */
void consumer_update(struct consumer *consumer);
void consumer_update_all(struct peer *peer);

/* The delivery is settled or taken back: its consumer has room again. */
void consumer_on_settled(struct peer *peer, struct delivery *delivery);

/* Whoever has the message is told that nobody waits for its outcome any more. */
void consumer_tell_unwanted(struct core *core, struct queue *queue, uint64_t number,
                            enum status status);

/* The peer is gone: everything unsettled goes back, the oldest of each consumer as a failed attempt
 * unless the peer left in good order. */
enum peer_leaving { PEER_LOST, PEER_LEFT };
void consumer_end_peer(struct peer *peer, enum peer_leaving leaving);

#endif
