/* What a peer was given and has not settled. */
#ifndef HERALD_DELIVERY_H
#define HERALD_DELIVERY_H

#include "broker/core/state.h"

/* Room for one delivery more, so that delivery_add cannot fail. */
enum status delivery_reserve(struct peer *peer);

/* Notes a hand-out of `bytes` bytes to a consumer and returns its name. */
uint64_t delivery_add(struct consumer *consumer, uint64_t number, uint32_t bytes);

/* The one that was added last, before anything is removed. */
struct delivery *delivery_newest(struct peer *peer);

/* The peer's unsettled delivery with this name or the next one after it; NULL: there is none. */
struct delivery *delivery_find_from(struct peer *peer, uint64_t name);

/* The next one that is unsettled; NULL at the end. */
struct delivery *delivery_next(struct peer *peer, const struct delivery *delivery);

/* Takes it out of the ring; its consumer's counts are the caller's affair. */
void delivery_remove(struct peer *peer, struct delivery *delivery);

/* Gives the memory back. */
void delivery_deinit(struct peer *peer);

#endif
