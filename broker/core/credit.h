/* Publisher credit: how much a peer may send before the broker says more.
 *
 * Credit used is given anew in portions, at the end of a round, unless the broker has more on its
 * hands than it wants: then it is held back until that eases, and settlements still flow.
 */
#ifndef HERALD_CREDIT_H
#define HERALD_CREDIT_H

#include "protocol/frame.h"

struct core;
struct peer;

/* The first credit of a peer that was let in; `needs` as its AUTH_OK. */
void credit_open(struct peer *peer, uint64_t needs);

/* Charges a SEND, PUBLISH or CALL with its whole size, `rest_bytes` of which are still to come in
 * pieces; other frames are free. STATUS_FLOW_VIOLATION when more than one message too much came. */
enum status credit_charge_message(struct peer *peer, const struct frame *frame,
                                  uint32_t rest_bytes);

/* Gives credit to those who are owed some, if it may be given. */
void credit_run(struct core *core);

#endif
