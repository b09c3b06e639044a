/* Detaching volatile queues from segments that have to go. */
#ifndef HERALD_DETACH_H
#define HERALD_DETACH_H

#include <stdint.h>

struct core;

/* A place of a transient queue or a live subscription may rest on the bytes of a message that is
 * durable in other queues. Gives all of them whose message lies below `end_position` a copy in
 * memory, as far as the bytes can be had now; the others' are read and found by a later call. Where
 * memory for transient messages is used up, a waiting place is dropped and counted. */
void detach_volatile_queues(struct core *core, uint64_t end_position);

#endif
