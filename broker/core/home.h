/* Homes: where in the journal each durable object was last stated whole.
 *
 * The journal frees its oldest segment when nothing is at home there any more. Every durable object
 * therefore says where its home is, and moves it when it is stated again.
 */
#ifndef HERALD_HOME_H
#define HERALD_HOME_H

#include <stdint.h>

struct core;
struct place;

/* The home of anything but a message: `bytes` is the size of the operation there. */
struct home {
    uint64_t position; /* 0: none, the object is not durable */
    uint32_t bytes;
};

/* The object was stated whole by the operation of `bytes` bytes at `position`; its old home is
 * given up. Position 0 does nothing. */
void home_move(struct core *core, struct home *home, uint64_t position, uint32_t bytes);

/* The object is gone. */
void home_end(struct core *core, struct home *home);

/* A message's place in a queue is at home where the message is. `size` is the place's, which says
 * how many queues share the message; `message_bytes` is the size of the operation there. */
void home_add_place(struct core *core, uint64_t position, uint32_t size, uint32_t message_bytes);
void home_remove_place(struct core *core, uint64_t position, uint32_t size);

#endif
