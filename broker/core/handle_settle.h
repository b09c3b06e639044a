/* How the frames that speak of deliveries find them. */
#ifndef HERALD_HANDLE_SETTLE_H
#define HERALD_HANDLE_SETTLE_H

#include "broker/core/state.h"

/* The delivery with this name or the first after it up to `last`. A frame that names none is
 * refused: of an earlier start or of what was taken back, it is STALE_DELIVERY; of what was never
 * given to anybody, UNKNOWN_DELIVERY. */
enum status settle_find(struct peer *peer, uint32_t start, uint64_t first, uint64_t last,
                        struct delivery **delivery);

#endif
