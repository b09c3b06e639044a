/* What one round does for events at most, so that one that ten thousand want keeps nobody else
 * waiting.
 *
 * Reading is bounded by frames and bytes, but one event of a hundred bytes may become ten thousand
 * copies. So each copy costs: its bytes and BUDGET_COPY_BYTES for the work around them. An event is
 * taken in whole, and owed: as long as a round's budget or more is owed, further events wait in
 * their connections, and all else goes on. What a round has taken in leaves less to hand out in it,
 * but for a quarter that is always there; and as much as could be handed out is paid off. So what
 * waits for subscribers that do read does not grow.
 */
#ifndef HERALD_BUDGET_H
#define HERALD_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/frame.h"

/* A few milliseconds' worth even when nothing of it is in a cache: some 2,000 small copies, or 768
 * KiB of large ones. */
#define BUDGET_ROUND_BYTES ((uint64_t)768 * 1024)
#define BUDGET_COPY_BYTES 256

struct budget {
    uint64_t owed_bytes;       /* for events taken in */
    uint64_t taken_in_bytes;   /* in this round */
    uint64_t handed_out_bytes; /* in this round */
};

/* An event of so many bytes goes to so many queues. */
void budget_take_in(struct budget *budget, uint64_t bytes, uint64_t copies);

/* True when frames of this type wait for another round. */
bool budget_holds(const struct budget *budget, enum frame_type type);

/* One message of so many bytes goes to a consumer. */
void budget_hand_out(struct budget *budget, uint64_t bytes);

/* True when the others wait for the next round. */
bool budget_is_spent(const struct budget *budget);

/* How many copies may still be handed out in this round, however small they are. */
uint64_t budget_copies_left(const struct budget *budget);

void budget_next_round(struct budget *budget);

#endif
