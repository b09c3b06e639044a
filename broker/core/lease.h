/* Leases: how long a consumer may have a delivery without a word about it.
 *
 * A delivery whose lease is over is taken back: that attempt has failed with LEASE_EXPIRED, and
 * what its worker says later is stale. A peer has one timer, for the lease that ends first.
 */
#ifndef HERALD_LEASE_H
#define HERALD_LEASE_H

#include "broker/core/state.h"

/* The delivery begins its lease, or begins it anew. */
void lease_begin(struct peer *peer, struct delivery *delivery);

/* RENEW: likewise all of the peer's deliveries with these names. */
void lease_renew(struct peer *peer, uint64_t first, uint64_t last);

void lease_on_timer(struct core *core, struct wheel_timer *timer);

#endif
